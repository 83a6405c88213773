//! The catalogue's numbers against the files and executors they speak of.

mod common;

use std::rc::Rc;

use common::{Llama, SMALL, each_gpu, open, random_ids, random_model};
use lantern_cpu::{Cpu, Mode};
use lantern_demos::chat::{Listed, LoadOptions, check, needs};
use lantern_demos::models::{
    Device, Entry, Fit, Needs, Network, Processor, catalogue, catalogue_with, find_entry, memory_for_files,
};
use lantern_gpu::Tier;
use lantern_graph::{Cancel, Class, DType, Executor, Session};
use lantern_models::{Parameters, taesd};
use lantern_weights::download::sha256_hex;
use lantern_weights::{GgmlType, Gguf, MemorySource};
use pollster::block_on;

#[test]
fn the_embedded_model_is_the_first_and_as_the_catalogue_says() {
    let entries = catalogue().unwrap();
    let embedded = &entries[0];
    let bytes = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../www/models/lantern-chat.q8_0.gguf")).unwrap();
    let [only] = &embedded.files[..] else { panic!("{} files", embedded.files.len()) };
    assert_eq!((only.url.as_str(), only.exact), ("lantern-chat.q8_0.gguf", true));
    assert_eq!(only.bytes, bytes.len() as u64);
    assert_eq!(only.sha256.as_deref(), Some(sha256_hex(&bytes).as_str()));
    let embedded = of_chat(embedded);
    let gguf = block_on(Gguf::read(&MemorySource::new(bytes))).unwrap();
    let file = check(&gguf, &LoadOptions::default()).unwrap();
    let said = embedded.config(&LoadOptions { context_length: usize::MAX, ..LoadOptions::default() }).unwrap();
    // Rotary base and epsilon are not the catalogue's business.
    let said = lantern_models::llama::Config { rope: file.config.rope, rms_eps: file.config.rms_eps, ..said };
    assert_eq!(said, file.config);
    assert_eq!(embedded.parameters(), gguf.tensors.iter().map(|t| t.elements()).sum::<u64>());
}

fn of_chat(entry: &Entry) -> &Listed {
    match &entry.network {
        Network::Chat(listed) => listed,
        other => panic!("{} is for {}", entry.id, other.demo()),
    }
}

#[test]
fn every_entry_is_sound() {
    let entries = catalogue().unwrap();
    assert!(entries.len() >= 9);
    for (at, entry) in entries.iter().enumerate() {
        assert!(
            entries[..at].iter().all(|other| other.id != entry.id && other.files[0].url != entry.files[0].url),
            "{} is there twice",
            entry.id
        );
        assert_eq!(find_entry(entries.clone(), &entry.id).unwrap(), *entry);
        let id = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
        assert!(entry.id.chars().all(id) && !entry.id.ends_with(".gguf"), "{}", entry.id);
        if at > 0 {
            for file in &entry.files {
                lantern_weights::download::check_address(&file.url).unwrap();
            }
            lantern_weights::download::check_address(&entry.licence.url).unwrap();
        }
        match &entry.network {
            Network::Chat(_) => assert_numbers_agree(entry),
            Network::Autoencode(_) => assert_halves_are_held(entry),
        }
    }
    let error = find_entry(entries, "nonsense").unwrap_err();
    assert!(error.code == "catalogue.unknown" && error.remedy.contains("tinyllama-1.1b-chat"), "{error}");
}

/// The page's rounded size of the file against the weights that the numbers make: a wrong number shows. A file has a
/// vocabulary besides, up to 8 MB of them.
fn assert_numbers_agree(entry: &Entry) {
    let (file, weights) = (entry.bytes() as f64, entry.needs(Processor::Cpu).unwrap().weights as f64);
    let vocabulary = file - weights;
    assert!(vocabulary > -0.02 * file && vocabulary < 0.02 * file + 8e6, "{}: {weights} in a file of {file}", entry.id);
    for processor in [Processor::Cpu, Processor::Gpu] {
        let needs = entry.needs(processor).unwrap();
        assert!(needs.kept > 0 && needs.work > 0 && needs.work < 200_000_000, "{}: {needs:?}", entry.id);
    }
}

/// Two files of one model: their sizes against the network's weights, and what it needs against what the processor would hold for
/// the picture that a page takes where nobody chooses.
fn assert_halves_are_held(entry: &Entry) {
    let roles: Vec<&str> = entry.files.iter().map(|file| file.role.as_str()).collect();
    assert_eq!((roles.as_slice(), entry.network.demo()), (["encoder", "decoder"].as_slice(), "autoencode"));
    let config = taesd::Config::default();
    let f32 = |_: &str| DType::F32;
    let params = Parameters::weights(&f32);
    let halves = |at: [usize; 2]| {
        [taesd::encoder(&config, &params, at.map(|n| 8 * n)).unwrap(), taesd::decoder(&config, &params, at).unwrap()]
    };
    for (file, graph) in entry.files.iter().zip(halves([1, 1])) {
        let weights: usize = graph.weights.iter().map(|spec| spec.rows() * spec.row_bytes()).sum();
        let off = (file.bytes as f64 - weights as f64) / weights as f64;
        assert!(off.abs() < 0.01, "{}: {weights} of weights in a file of {}", file.url, file.bytes);
    }
    let cpu = Cpu::new(Mode::Fast);
    let needs = entry.needs(Processor::Cpu).unwrap();
    let peak = |graph: lantern_graph::Graph| {
        let weights = Rc::new(cpu.allocate_weights(&graph.weights).unwrap());
        block_on(cpu.session(Class::Picture).peak_bytes(&graph, &weights, &Cancel::new())).unwrap()
    };
    let most = halves([32, 32]).map(peak).into_iter().max().unwrap();
    let off = (needs.work as f64 - most as f64) / most as f64;
    println!("taesd at 256 × 256: {most} held, {} foretold ({:+.1} %)", needs.work, 100.0 * off);
    assert!(off.abs() < 0.1, "{most} bytes of temporaries, and {} were foretold", needs.work);
}

/// The entry of the model that `cargo xtask model smollm2-135m` fetches.
fn published() -> serde_json::Value {
    let text = include_str!("../../xtask/src/model/smollm2-135m.json");
    serde_json::from_str::<serde_json::Value>(text).unwrap()["entry"].take()
}

#[test]
fn a_sites_own_models_come_first_and_in_the_place_of_the_catalogues() {
    let list = serde_json::json!({ "models": [published()] }).to_string();
    let (plain, entries) = (catalogue().unwrap(), catalogue_with(&list).unwrap());
    let own = &entries[0];
    assert_eq!(
        (own.id.as_str(), own.bytes(), own.exact(), own.on_site()),
        ("smollm2-135m-instruct", 98_362_432, true, true)
    );
    assert_numbers_agree(own);
    assert_eq!(entries.len(), plain.len(), "it takes the place of the catalogue's own");
    assert_eq!(entries[1], plain[0], "then the catalogue, in its order");
    assert_eq!(find_entry(entries.clone(), "smollm2-135m-instruct").unwrap(), *own);
    assert_eq!(find_entry(plain.clone(), "smollm2-135m-instruct").map(|entry| entry.on_site()), Ok(false));
    assert_eq!(catalogue_with("{\"models\": []}").unwrap(), plain);
    assert!(plain.iter().skip(1).all(|entry| !entry.on_site()) && plain[0].on_site());
}

#[test]
fn a_sites_list_that_cannot_be_used_says_what_is_wrong() {
    let with = |key: &str, value: serde_json::Value| {
        let mut entry = published();
        entry[key] = value;
        serde_json::json!({ "models": [entry] }).to_string()
    };
    for (list, words) in [
        ("<!doctype html>".to_owned(), "cannot be read"),
        (with("nonsense", 1.into()), "nonsense"),
        (with("url", "https://elsewhere.example/m.gguf".into()), "no file beside it"),
        (with("url", "../../m.gguf".into()), "no file beside it"),
        (with("type", "Q9_9".into()), "Q9_9"),
        (with("kv_heads", 2.into()), "wrong numbers"),
        (serde_json::json!({ "models": [published(), published()] }).to_string(), "twice"),
    ] {
        let error = catalogue_with(&list).unwrap_err();
        assert!(error.code == "catalogue.site" && error.cause.contains(words), "{list}: {error}");
    }
}

/// Weights dominate, as they do in real models.
const MEDIUM: Llama =
    Llama { vocab: 2000, hidden: 256, feed_forward: 704, layers: 4, heads: 8, kv_heads: 4, context: 256, ..SMALL };

fn held_and_needed<E: Executor>(executor: &Rc<E>, kind: GgmlType, processor: Processor) -> (u64, Needs) {
    let bytes = random_model(Llama { matrices: kind, ..MEDIUM }, 40);
    let gguf = block_on(Gguf::read(&MemorySource::new(bytes.as_slice()))).unwrap();
    let options = LoadOptions { prefill_chunk: Some(64), ..LoadOptions::default() };
    let checked = check(&gguf, &options).unwrap();
    let mut session = open(executor, &bytes, &options).unwrap();
    let ids = random_ids(MEDIUM.vocab, 65, 41);
    block_on(session.logits(&ids, &Cancel::new())).unwrap();
    (executor.memory_bytes(), needs(&checked.config, checked.weight_bytes, &options, processor))
}

/// What is left out (constants, parameter blocks, alignment) is a small part of a model where weights dominate.
const TOLERANCE: f64 = 0.05;

#[track_caller]
fn assert_near(what: &str, (held, needs): (u64, Needs)) {
    let (needed, part) = (needs.total(), (needs.total() as f64 - held as f64) / held as f64);
    println!("{what}: {held} held, {needed} computed ({:+.1} %), {needs:?}", 100.0 * part);
    assert!(part.abs() <= TOLERANCE, "{what}: {held} bytes are held, and {needed} were foretold");
}

const KINDS: [GgmlType; 4] = [GgmlType::F32, GgmlType::F16, GgmlType::Q8_0, GgmlType::Q4_0];

#[test]
fn the_processor_holds_what_was_foretold() {
    for kind in KINDS {
        let cpu = Rc::new(Cpu::new(Mode::Fast));
        assert_near(kind.name().as_str(), held_and_needed(&cpu, kind, Processor::Cpu));
    }
}

#[test]
fn the_gpu_holds_what_was_foretold() {
    each_gpu(|gpu, tier| {
        // Tiers differ in arithmetic and by a few KB.
        if tier == Tier::Core {
            assert_near(&format!("{tier}"), held_and_needed(gpu, GgmlType::Q8_0, Processor::Gpu));
        }
    });
}

#[test]
fn what_cannot_fit_is_said_with_its_numbers() {
    const MB: u64 = 1_000_000;
    let of = |weights: u64| Needs { weights: weights * MB, kept: 100 * MB, work: 10 * MB };
    let cpu = Device { ceiling: Some(1500 * MB), memory: Some(8 << 30), storage: Some(10_000 * MB) };
    let gpu = Device { ceiling: None, ..cpu };
    assert_eq!(cpu.fit(of(1400), 1400 * MB), Fit::Fits);
    let Fit::No(error) = cpu.fit(of(4000), 4000 * MB) else { panic!("it fits") };
    assert_eq!(
        (error.code, error.cause.as_str()),
        ("cpu.ceiling", "it needs 4.1 GB, and without a GPU at most 1.5 GB fit")
    );
    assert_eq!(gpu.fit(of(4000), 4000 * MB), Fit::Fits);
    assert!(matches!(gpu.fit(of(6000), 6000 * MB), Fit::Doubtful(error) if error.code == "memory.doubtful"));
    let small = Device { memory: Some(4 << 30), ..gpu };
    assert!(matches!(small.fit(of(4000), 4000 * MB), Fit::Doubtful(error) if error.code == "memory.doubtful"));
    // Where there is no room to keep it: in memory as long as it is of a moderate size.
    let full = Device { storage: Some(300 * MB), ..gpu };
    assert!(matches!(full.fit(of(1400), 1400 * MB), Fit::Doubtful(error) if error.code == "storage.full"));
    assert!(matches!(full.fit(of(3000), 3000 * MB), Fit::No(error) if error.code == "storage.full"));
    assert_eq!(full.fit(of(1400), 200 * MB), Fit::Fits, "most of it is here");
    assert_eq!((memory_for_files(None), memory_for_files(Some(16 << 30))), (1 << 30, 2 << 30));
}
