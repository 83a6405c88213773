//! Models in several safetensors files: the shards of a list read as one, and what is said of lists and shards that contradict
//! each other.

mod common;

use common::Rng;
use lantern_graph::{DType, Error, Result, WeightSpec};
use lantern_weights::{
    Joined, MemorySource, ModelIndex, Rows, SafeDtype, Safetensors, SafetensorsWriter, ShardIndex, model_files,
    model_index, read_table, read_tables,
};
use pollster::block_on;

fn named(name: &str, bytes: &[u8]) -> MemorySource {
    MemorySource::new(bytes).named(name)
}

/// Tensors of 2 × 3, each of one number.
fn shard(tensors: &[(&str, f32)]) -> Vec<u8> {
    let mut writer = SafetensorsWriter::new();
    for (name, value) in tensors {
        writer.tensor_f32(name, &[2, 3], &SafeDtype::F32, &[*value; 6]).unwrap();
    }
    writer.finish()
}

fn list(map: &[(&str, &str)]) -> String {
    let entries: Vec<String> = map.iter().map(|(tensor, file)| format!("{tensor:?}: {file:?}")).collect();
    format!(r#"{{"metadata": {{"total_size": 72}}, "weight_map": {{{}}}}}"#, entries.join(", "))
}

const ONE: &str = "model-00001-of-00002.safetensors";
const TWO: &str = "model-00002-of-00002.safetensors";
const LIST: &str = "model.safetensors.index.json";

fn good() -> [(&'static str, Vec<u8>); 3] {
    [
        (LIST, list(&[("a", ONE), ("b", TWO), ("c", ONE)]).into_bytes()),
        (ONE, shard(&[("a", 1.0), ("c", 3.0)])),
        (TWO, shard(&[("b", 2.0)])),
    ]
}

fn read(files: &[(&str, Vec<u8>)]) -> Result<Safetensors> {
    let sources: Vec<MemorySource> = files.iter().map(|(name, bytes)| named(name, bytes)).collect();
    block_on(read_table(&sources))
}

/// The first number of every tensor, by name, as the rows bring it.
fn values(files: &[(&str, Vec<u8>)]) -> Vec<(String, f32)> {
    let sources: Vec<MemorySource> = files.iter().map(|(name, bytes)| named(name, bytes)).collect();
    let table = block_on(read_table(&sources)).unwrap();
    let joined = Joined::new(&sources);
    let mut found: Vec<(String, f32)> = Vec::new();
    for tensor in &table.tensors {
        let spec = WeightSpec { name: tensor.name.clone(), shape: vec![2, 3], dtype: DType::F32 };
        let mut rows = Rows::safetensors(&joined, tensor, &spec).unwrap();
        let chunk = block_on(rows.next()).unwrap().unwrap();
        assert_eq!(chunk.bytes.len(), 24);
        found.push((tensor.name.clone(), f32::from_le_bytes(chunk.bytes[..4].try_into().unwrap())));
        assert_eq!(table.tensor(&tensor.name), Some(tensor));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

#[test]
fn shards_read_as_one_file_in_whatever_order_they_are_given() {
    let whole = [("whole.safetensors", shard(&[("a", 1.0), ("b", 2.0), ("c", 3.0)]))];
    let expected = values(&whole);
    let [list, one, two] = good();
    for files in [
        vec![list.clone(), one.clone(), two.clone()],
        vec![two.clone(), list.clone(), one.clone()],
        // By their names alone.
        vec![one.clone(), two.clone()],
        vec![two, one],
    ] {
        assert_eq!(values(&files), expected);
    }
    let index = ShardIndex::parse(&list.1, LIST).unwrap();
    assert_eq!((index.tensor_bytes, index.len()), (Some(72), 3));
    assert_eq!(index.files(), [ONE, TWO]);
}

#[test]
fn models_that_are_given_together_stay_apart() {
    let [list, one, two] = good();
    let other = ("other.safetensors", shard(&[("a", 9.0)]));
    let files = [two, other, list, one];
    let sources: Vec<MemorySource> = files.iter().map(|(name, bytes)| named(name, bytes)).collect();
    let tables = block_on(read_tables(&sources)).unwrap();
    let names = |i: usize| tables[i].tensors.iter().map(|t| t.name.as_str()).collect::<Vec<_>>();
    assert_eq!((tables.len(), names(0), names(1)), (2, vec!["a", "c", "b"], vec!["a"]));
    let error = block_on(read_table(&sources)).unwrap_err();
    assert!(error.code == "safetensors.split" && error.cause.contains("but of 2"), "{error}");
    // One part of several is read for what is in it, and says that there is more.
    let part = read(&[(ONE, shard(&[("a", 1.0)]))]).unwrap();
    assert_eq!(part.part.map(|error| error.code), Some("safetensors.split"));
}

/// Code, and what the cause names.
fn refused(what: &str, files: &[(&str, Vec<u8>)], code: &str, says: &[&str]) {
    let Error { code: found, cause, remedy } = read(files).expect_err(what);
    assert_eq!(found, code, "{what}: {cause}");
    assert!(says.iter().all(|words| cause.contains(words)), "{what}: {cause}");
    assert!(cause.len() < 2000 && !remedy.is_empty(), "{what}: {cause}");
}

#[test]
fn lists_and_shards_that_contradict_each_other_are_refused_with_the_file_s_name() {
    let with = |list: &str, one: Vec<u8>, two: Vec<u8>| vec![(LIST, list.as_bytes().to_vec()), (ONE, one), (TWO, two)];
    let map = list(&[("a", ONE), ("b", TWO)]);
    let (a, b) = (shard(&[("a", 1.0)]), shard(&[("b", 2.0)]));
    let cut = b[..b.len() - 1].to_vec();
    let long = "x".repeat(5000);
    let two_missing = with(&list(&[("a", ONE), ("b", TWO), ("c", "third.safetensors")]), a.clone(), b.clone());
    for (what, files, code, says) in [
        ("no shard is there", vec![(LIST, map.clone().into_bytes())], "safetensors.split", vec![LIST, ONE, TWO]),
        ("one is missing", two_missing, "safetensors.split", vec![LIST, "lists 3 files", "third.safetensors"]),
        (
            "a tensor is not in its shard",
            with(&list(&[("a", ONE), ("b", TWO), ("gone", TWO)]), a.clone(), b.clone()),
            "safetensors.shard",
            vec![TWO, "\"gone\"", "is not in it"],
        ),
        (
            "a tensor is in another shard",
            with(&list(&[("a", ONE), ("b", ONE)]), a.clone(), b.clone()),
            "safetensors.shard",
            vec![ONE, "\"b\"", "is not in it"],
        ),
        (
            "a tensor is in two shards",
            with(&map, shard(&[("a", 1.0), ("b", 2.0)]), b.clone()),
            "safetensors.shard",
            vec![ONE, "\"b\"", TWO],
        ),
        (
            "a tensor that nobody lists",
            with(&map, a.clone(), shard(&[("b", 2.0), ("strange", 3.0)])),
            "safetensors.shard",
            vec![TWO, "\"strange\"", "does not list"],
        ),
        (
            "a tensor is listed twice",
            with(&list(&[("a", ONE), ("a", TWO)]), a.clone(), b.clone()),
            "safetensors.index",
            vec![LIST, "two files", ONE, TWO],
        ),
        ("a shard is cut off", with(&map, a.clone(), cut), "safetensors.truncated", vec![TWO]),
        ("a shard is a page", with(&map, a.clone(), b"<!DOCTYPE html>".to_vec()), "safetensors.header", vec![TWO]),
        ("a list is a page", with("<!DOCTYPE html>", a.clone(), b.clone()), "safetensors.index", vec![LIST]),
        ("a list is empty", with("", a.clone(), b.clone()), "safetensors.index", vec![LIST]),
        ("a list is a long text", with(&format!("{long:?}"), a.clone(), b.clone()), "safetensors.index", vec![LIST]),
        ("a list is an array", with("[]", a.clone(), b.clone()), "safetensors.index", vec![LIST]),
        ("there is no map", with("{}", a.clone(), b.clone()), "safetensors.index", vec![LIST, "weight_map"]),
        (
            "a map of nothing",
            with(r#"{"weight_map": {}}"#, a.clone(), b.clone()),
            "safetensors.index",
            vec!["no tensor"],
        ),
        (
            "a map of numbers",
            with(r#"{"weight_map": {"a": 1}}"#, a.clone(), b.clone()),
            "safetensors.index",
            vec![LIST, "\"a\""],
        ),
        (
            "a name of megabytes",
            with(&list(&[(&long, ONE), (&long, TWO)]), a.clone(), b.clone()),
            "safetensors.index",
            vec![LIST],
        ),
        (
            "two files of one name",
            [with(&map, a.clone(), b.clone()), vec![(TWO, b.clone())]].concat(),
            "safetensors.shard",
            vec![TWO, "two files have that name"],
        ),
        (
            "two lists that name one file",
            [with(&map, a.clone(), b.clone()), vec![("b.index.json", list(&[("b", TWO)]).into_bytes())]].concat(),
            "safetensors.shard",
            vec![TWO, "two lists"],
        ),
        (
            "parts without a list that hold the same",
            vec![(ONE, a.clone()), (TWO, a.clone())],
            "safetensors.shard",
            vec![TWO, "\"a\"", "another part"],
        ),
    ] {
        refused(what, &files, code, &says);
    }
    for name in [
        "../a.safetensors",
        "/a.safetensors",
        "b/a.safetensors",
        "..\\a.safetensors",
        "c:a.safetensors",
        ".a.safetensors",
    ] {
        refused(
            name,
            &with(&list(&[("a", name)]), a.clone(), b.clone()),
            "safetensors.index",
            &["no name of a file beside it"],
        );
    }
    for name in ["", "a.bin", "pytorch_model-00001-of-00002.bin", "a.safetensors.txt"] {
        refused(
            name,
            &with(&list(&[("a", name)]), a.clone(), b.clone()),
            "safetensors.index",
            &["no name of a safetensors file"],
        );
    }
}

/// Only what is a number counts, and published lists write it in several ways.
#[test]
fn a_list_s_sum_is_taken_where_it_is_one() {
    for (metadata, bytes) in [
        (r#""metadata": {"total_size": 72.0},"#, Some(72)),
        (r#""metadata": {"total_size": 13476839424, "format": "pt"},"#, Some(13_476_839_424)),
        (r#""metadata": {"total_size": -1},"#, None),
        (r#""metadata": {"total_size": null},"#, None),
        (r#""metadata": {},"#, None),
        (r#""metadata": null,"#, None),
        ("", None),
    ] {
        let text = format!(r#"{{{metadata} "weight_map": {{"a": {ONE:?}}}, "more": [1]}}"#);
        assert_eq!(ShardIndex::parse(text.as_bytes(), LIST).unwrap().tensor_bytes, bytes, "{text}");
    }
}

/// Whatever the bytes of a list say: a list whose promises hold, or an error with its name, and nothing large in it.
#[test]
fn no_damaged_list_panics_or_names_a_file_elsewhere() {
    let good =
        list(&[("a.weight", ONE), ("b.weight", TWO), ("c.weight", ONE), ("d.weight", "x.safetensors")]).into_bytes();
    let mut rng = Rng(0x5a_4d_1e);
    println!("seed 0x5a4d1e");
    let (mut read, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let mut bytes = good.clone();
        for _ in 0..1 + rng.below(4) {
            let at = rng.below(bytes.len());
            match rng.below(6) {
                0 => bytes[at] = rng.next() as u8,
                1 => bytes[at] ^= 1 << rng.below(8),
                2 => bytes.truncate(at.max(1)),
                3 => drop(bytes.splice(at..at, *b"../")),
                4 => bytes[at] = b"/\\.:\"{}[],"[rng.below(10)],
                _ => drop(bytes.remove(at)),
            }
            if bytes.is_empty() {
                break;
            }
        }
        match ShardIndex::parse(&bytes, LIST) {
            Ok(index) => {
                read += 1;
                assert!(!index.is_empty() && !index.files().is_empty() && index.files().len() <= index.len());
                for file in index.files() {
                    assert!(
                        file.ends_with(".safetensors") && !file.contains(['/', '\\', ':']) && !file.starts_with('.')
                    );
                }
            }
            Err(error) => {
                refused += 1;
                assert_eq!(error.code, "safetensors.index");
                assert!(error.cause.contains(LIST) && error.cause.len() < 2000, "{error}");
            }
        }
    }
    println!("{read} read, {refused} refused");
    assert!(read > 500 && refused > 5000, "{read} read, {refused} refused");
}

fn folder(name: &str, files: &[(&str, &[u8])]) -> std::path::PathBuf {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("shards").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    for (file, bytes) in files {
        let path = folder.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    folder
}

#[test]
fn a_folder_holds_one_model_or_says_what_it_holds() {
    let map = list(&[("a", ONE), ("b", TWO)]);
    let map = map.as_bytes();
    let shards: [(&str, &[u8]); 3] = [(LIST, map), (ONE, b""), (TWO, b"")];
    let odd: [(&str, &[u8]); 3] = [("x.safetensors.index.json", map), (ONE, b""), (TWO, b"")];
    for (what, files, chosen) in [
        ("one file", &[("a.safetensors", &b""[..]), ("config.json", b"{}")][..], vec!["a.safetensors"]),
        (
            "diffusers' name before another's",
            &[("diffusion_pytorch_model.fp16.safetensors", b""), ("diffusion_pytorch_model.safetensors", b"")],
            vec!["diffusion_pytorch_model.safetensors"],
        ),
        (
            "transformers' name",
            &[("model.fp16.safetensors", b""), ("model.safetensors", b"")],
            vec!["model.safetensors"],
        ),
        ("a list", &shards, vec![LIST, ONE, TWO]),
        ("a list of another name", &odd, vec!["x.safetensors.index.json", ONE, TWO]),
    ] {
        let folder = folder("one", files);
        let found = block_on(model_files(&folder)).unwrap();
        assert_eq!(found, chosen.iter().map(|name| folder.join(name)).collect::<Vec<_>>(), "{what}");
    }
    for (what, files, code, says) in [
        ("nothing", &[][..], "model.folder", "0 safetensors files"),
        ("two", &[("a.safetensors", &b""[..]), ("b.safetensors", b"")], "model.folder", "a.safetensors, b.safetensors"),
        ("a list without its shards", &shards[..2], "safetensors.split", TWO),
        ("a list that is none", &[(LIST, b"nothing")], "safetensors.index", LIST),
    ] {
        let error = block_on(model_files(&folder("bad", files))).unwrap_err();
        assert!(error.code == code && error.cause.contains(says), "{what}: {error}");
    }
    let pickled = block_on(model_files(&folder("pickled", &[("pytorch_model.bin", b"")]))).unwrap_err();
    assert!(pickled.remedy.contains("can run code"), "{pickled}");
}

#[test]
fn a_model_s_description_names_the_parts_that_have_weights() {
    let text = r#"{
        "_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.6.0", "requires_safety_checker": true,
        "feature_extractor": ["transformers", "CLIPImageProcessor"], "safety_checker": [null, null],
        "scheduler": ["diffusers", "PNDMScheduler"], "tokenizer": ["transformers", "CLIPTokenizer"],
        "text_encoder": ["transformers", "CLIPTextModel"], "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"]
    }"#;
    let index = ModelIndex::parse(text.as_bytes()).unwrap();
    let parts: Vec<_> = index.parts.iter().map(|part| (part.role.as_str(), part.class.as_str())).collect();
    assert_eq!(index.class, "StableDiffusionPipeline");
    assert_eq!(parts, [("text_encoder", "CLIPTextModel"), ("unet", "UNet2DConditionModel"), ("vae", "AutoencoderKL")]);
    assert_eq!(index.part("vae").unwrap().class, "AutoencoderKL");
    let error = index.part("image_encoder").unwrap_err();
    assert!(error.code == "model.part" && error.cause.contains("text_encoder, unet, vae"), "{error}");
    for (text, says) in [
        ("", "EOF"),
        ("[]", "map"),
        ("{}", "_class_name"),
        (r#"{"_class_name": 3}"#, "_class_name"),
        (r#"{"_class_name": "P"}"#, "no part"),
        (r#"{"_class_name": "P", "scheduler": ["diffusers", "PNDMScheduler"]}"#, "no part"),
        (r#"{"_class_name": "P", "../vae": ["diffusers", "AutoencoderKL"]}"#, "no name of a folder"),
        (r#"{"_class_name": "P", "/etc": ["diffusers", "AutoencoderKL"]}"#, "no name of a folder"),
        (r#"{"_class_name": "P", "..": ["diffusers", "AutoencoderKL"]}"#, "no name of a folder"),
    ] {
        let error = ModelIndex::parse(text.as_bytes()).unwrap_err();
        assert!(error.code == "model.index" && error.cause.contains(says), "{text}: {error}");
    }
    assert_eq!(model_index(&folder("plain", &[])).unwrap(), None);
    assert_eq!(model_index(&folder("described", &[("model_index.json", text.as_bytes())])).unwrap(), Some(index));
}
