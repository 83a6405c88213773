//! Name maps: every layout of every model finds its names, and what is missing or of another shape is told at once.

use lantern_graph::{DType, Error, WeightSpec};
use lantern_testing::data;
use lantern_weights::{FileSource, MemorySource, NameMap, SafeDtype, Safetensors, SafetensorsWriter};

fn spec(name: &str, shape: &[usize]) -> WeightSpec {
    WeightSpec { name: name.into(), shape: shape.to_vec(), dtype: DType::F32 }
}

/// A file of these tensors, all F16.
fn file<N: AsRef<str>>(tensors: &[(N, &[usize])]) -> Safetensors {
    let mut writer = SafetensorsWriter::new();
    for (name, shape) in tensors {
        writer.tensor(name.as_ref(), shape, &SafeDtype::F16, &vec![0; shape.iter().product::<usize>() * 2]);
    }
    pollster::block_on(Safetensors::read(&MemorySource::new(writer.finish()))).unwrap()
}

/// A file of these names, each a single number.
fn names<N: AsRef<str>>(names: &[N]) -> Safetensors {
    file(&names.iter().map(|n| (n.as_ref(), [1].as_slice())).collect::<Vec<_>>())
}

fn wanted(names: &[&str]) -> Vec<WeightSpec> {
    names.iter().map(|n| spec(n, &[1])).collect()
}

/// The layout chosen, once each of `ours` was found as the one of `theirs` at its place.
fn found(map: &NameMap, ours: &[&str], theirs: &[&str]) -> String {
    // The file has them the other way round, and something else besides.
    let mut there: Vec<&str> = theirs.iter().rev().copied().collect();
    there.push("model.diffusion_model.out.2.bias");
    let file = names(&there);
    let chosen = map.choose(&file, &wanted(ours)).unwrap();
    let got: Vec<_> = chosen.tensors.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(got, theirs);
    chosen.layout
}

#[test]
fn the_autoencoder_is_found_in_every_layout() {
    // Ours, old diffusers, latent-diffusion.
    let table = [
        ["encoder.conv_in.weight", "", ""],
        ["encoder.down_blocks.0.resnets.1.norm1.weight", "", "encoder.down.0.block.1.norm1.weight"],
        ["encoder.down_blocks.2.downsamplers.0.conv.bias", "", "encoder.down.2.downsample.conv.bias"],
        ["encoder.down_blocks.3.resnets.0.conv2.weight", "", "encoder.down.3.block.0.conv2.weight"],
        ["encoder.down_blocks.1.resnets.0.conv_shortcut.bias", "", "encoder.down.1.block.0.nin_shortcut.bias"],
        ["encoder.mid_block.resnets.0.conv1.weight", "", "encoder.mid.block_1.conv1.weight"],
        ["encoder.conv_norm_out.weight", "", "encoder.norm_out.weight"],
        ["encoder.conv_out.bias", "", ""],
        ["quant_conv.weight", "", ""],
        ["post_quant_conv.bias", "", ""],
        ["decoder.conv_in.weight", "", ""],
        ["decoder.mid_block.resnets.1.norm2.bias", "", "decoder.mid.block_2.norm2.bias"],
        ["decoder.mid_block.attentions.0.group_norm.weight", "", "decoder.mid.attn_1.norm.weight"],
        [
            "decoder.mid_block.attentions.0.to_q.weight",
            "decoder.mid_block.attentions.0.query.weight",
            "decoder.mid.attn_1.q.weight",
        ],
        [
            "decoder.mid_block.attentions.0.to_k.bias",
            "decoder.mid_block.attentions.0.key.bias",
            "decoder.mid.attn_1.k.bias",
        ],
        [
            "encoder.mid_block.attentions.0.to_v.weight",
            "encoder.mid_block.attentions.0.value.weight",
            "encoder.mid.attn_1.v.weight",
        ],
        [
            "decoder.mid_block.attentions.0.to_out.0.weight",
            "decoder.mid_block.attentions.0.proj_attn.weight",
            "decoder.mid.attn_1.proj_out.weight",
        ],
        ["decoder.up_blocks.0.resnets.2.conv1.weight", "", "decoder.up.3.block.2.conv1.weight"],
        ["decoder.up_blocks.0.upsamplers.0.conv.weight", "", "decoder.up.3.upsample.conv.weight"],
        ["decoder.up_blocks.1.resnets.0.norm1.weight", "", "decoder.up.2.block.0.norm1.weight"],
        ["decoder.up_blocks.2.resnets.0.conv_shortcut.weight", "", "decoder.up.1.block.0.nin_shortcut.weight"],
        ["decoder.up_blocks.3.resnets.0.norm1.weight", "", "decoder.up.0.block.0.norm1.weight"],
        ["decoder.conv_norm_out.bias", "", "decoder.norm_out.bias"],
        ["decoder.conv_out.weight", "", ""],
    ];
    let column =
        |i: usize| -> Vec<&str> { table.iter().map(|row| if row[i].is_empty() { row[0] } else { row[i] }).collect() };
    let map = NameMap::autoencoder_kl().unwrap();
    let ours = column(0);
    assert_eq!(found(&map, &ours, &ours), "diffusers");
    assert_eq!(found(&map, &ours, &column(1)), "diffusers with old attention");
    assert_eq!(found(&map, &ours, &column(2)), "latent-diffusion");
    let within: Vec<String> = column(2).iter().map(|name| format!("first_stage_model.{name}")).collect();
    let within: Vec<&str> = within.iter().map(String::as_str).collect();
    assert_eq!(found(&map, &ours, &within), "latent-diffusion behind \"first_stage_model.\"");
}

/// The Sequential's indices of the layers with weights (taesd.py): convolutions, and blocks of three.
const ENCODER: ([usize; 5], [usize; 10]) = ([0, 2, 6, 10, 14], [1, 3, 4, 5, 7, 8, 9, 11, 12, 13]);
const DECODER: ([usize; 5], [usize; 10]) = ([1, 7, 12, 17, 19], [3, 4, 5, 8, 9, 10, 13, 14, 15, 18]);

fn taesd(prefix: &str, (convolutions, blocks): ([usize; 5], [usize; 10]), less: usize) -> Vec<String> {
    let mut all: Vec<String> = convolutions.iter().map(|i| format!("{prefix}{}.weight", i - less)).collect();
    for block in blocks {
        all.extend([0, 2, 4].map(|i| format!("{prefix}{}.conv.{i}.bias", block - less)));
    }
    all
}

#[test]
fn taesd_is_found_in_every_layout() {
    for (map, part, layers, less) in
        [(NameMap::taesd_encoder(), "encoder", ENCODER, 0), (NameMap::taesd_decoder(), "decoder", DECODER, 1)]
    {
        let map = map.unwrap();
        let ours = taesd(&format!("{part}."), layers, 0);
        let ours: Vec<&str> = ours.iter().map(String::as_str).collect();
        for (prefix, less, layout) in [
            (String::new(), 0, "taesd".to_owned()),
            (format!("taesd_{part}."), 0, format!("taesd behind \"taesd_{part}.\"")),
            (format!("{part}."), 0, format!("taesd behind \"{part}.\"")),
            (format!("{part}.layers."), less, "diffusers".to_owned()),
        ] {
            let theirs = taesd(&prefix, layers, less);
            let theirs: Vec<&str> = theirs.iter().map(String::as_str).collect();
            assert_eq!(found(&map, &ours, &theirs), layout);
        }
    }
}

#[test]
fn real_files_have_what_they_should_and_not_what_they_should_not() {
    let open = |name: &str| {
        let path = data(&format!("weights/taesd/taesd_{name}.safetensors"))?;
        Some(pollster::block_on(Safetensors::read(&FileSource::open(path).unwrap())).unwrap())
    };
    let (Some(encoder), Some(decoder)) = (open("encoder"), open("decoder")) else { return };
    let specs = |part: &str, layers| -> Vec<WeightSpec> {
        let shape = |name: &str| {
            if name.contains("conv") { vec![64] } else { vec![64, 3, 3, 64] }
        };
        let mut all: Vec<_> = taesd(&format!("{part}."), layers, 0).iter().map(|n| spec(n, &shape(n))).collect();
        let (first, last) =
            if part == "encoder" { ([64, 3, 3, 3], [4, 3, 3, 64]) } else { ([64, 3, 3, 4], [3, 3, 3, 64]) };
        (all[0].shape, all[4].shape) = (first.to_vec(), last.to_vec());
        all
    };
    let chosen = NameMap::taesd_encoder().unwrap().choose(&encoder, &specs("encoder", ENCODER)).unwrap();
    assert_eq!((chosen.layout.as_str(), chosen.tensors[0].name.as_str()), ("taesd", "0.weight"));
    NameMap::taesd_decoder().unwrap().choose(&decoder, &specs("decoder", DECODER)).unwrap();
    // The wrong one of the two: what it lacks is named.
    let error = NameMap::taesd_decoder().unwrap().choose(&encoder, &specs("decoder", DECODER)).unwrap_err();
    assert_eq!(error.code, "safetensors.missing");
    for name in ["1.weight", "15.conv.0.bias", "19.weight"] {
        assert!(error.cause.contains(name), "{error}");
    }
}

#[test]
fn all_that_is_missing_is_named_at_once() {
    let map = NameMap::autoencoder_kl().unwrap();
    let ours = wanted(&["quant_conv.weight", "decoder.conv_norm_out.bias", "decoder.up_blocks.0.resnets.0.conv1.bias"]);
    let error = map.choose(&names(&["first_stage_model.quant_conv.weight"]), &ours).unwrap_err();
    assert_eq!(error.code, "safetensors.missing");
    assert_eq!(
        error.cause,
        "2 of 3 tensors are not in the file, named as latent-diffusion behind \"first_stage_model.\": \
         first_stage_model.decoder.norm_out.bias, first_stage_model.decoder.up.3.block.0.conv1.bias"
    );

    // Nothing is there: what was tried, and what the file has instead. Of many, the first twenty.
    let many: Vec<String> = (0..50).map(|i| format!("layer.{i}")).collect();
    let many: Vec<WeightSpec> = many.iter().map(|n| spec(n, &[1])).collect();
    let error = map.choose(&names(&["alpha", "beta"]), &many).unwrap_err();
    assert_eq!(error.code, "safetensors.missing");
    for says in [
        "50 of 50",
        "layer.0, layer.1,",
        "layer.19 and 30 more",
        "Tried: diffusers, ",
        "2 tensors, such as alpha, beta",
    ] {
        assert!(error.cause.contains(says), "{says}: {error}");
    }
    assert!(!error.cause.contains("layer.20"), "{error}");
    let error = map.choose(&names::<&str>(&[]), &many).unwrap_err();
    assert!(error.cause.contains("0 tensors, such as none"), "{error}");
}

#[test]
fn wrong_shapes_and_types_are_shown_all_at_once() {
    let map = NameMap::parse("[plain]").unwrap();
    let there =
        file(&[("conv", [4, 2, 3, 1].as_slice()), ("matrix", &[4, 2]), ("point", &[4, 2, 1, 1]), ("bias", &[4])]);
    let right =
        [spec("conv", &[4, 3, 1, 2]), spec("matrix", &[4, 2]), spec("point", &[4, 1, 1, 2]), spec("bias", &[4])];
    assert_eq!(map.choose(&there, &right).unwrap().tensors.len(), 4);
    // A matrix and a 1 x 1 convolution stand for each other.
    map.choose(&there, &[spec("matrix", &[4, 1, 1, 2]), spec("point", &[4, 2])]).unwrap();
    let wrong =
        [spec("conv", &[4, 2, 3, 1]), spec("matrix", &[2, 4]), spec("point", &[4, 1, 1, 2]), spec("bias", &[1, 4])];
    let error = map.choose(&there, &wrong).unwrap_err();
    assert_eq!(error.code, "safetensors.shape");
    assert_eq!(
        error.cause,
        "3 of 4 tensors have another shape: conv is [4, 2, 3, 1] and should be [4, 1, 2, 3], \
         matrix is [4, 2] and should be [2, 4], bias is [4] and should be [1, 4]"
    );

    let mut writer = SafetensorsWriter::new();
    writer.tensor("a", &[1], &SafeDtype::Other("I64".into()), &[0; 8]);
    writer.tensor("b", &[1], &SafeDtype::Other("F8_E4M3".into()), &[0; 1]);
    let there = pollster::block_on(Safetensors::read(&MemorySource::new(writer.finish()))).unwrap();
    let error = map.choose(&there, &wanted(&["a", "b"])).unwrap_err();
    assert_eq!(error.code, "safetensors.type");
    assert!(error.cause.contains("a is I64, b is F8_E4M3"), "{error}");
}

#[test]
fn a_map_says_in_which_line_it_is_wrong() {
    let wrong = |text: &str| -> Error { NameMap::parse(text).unwrap_err() };
    for (text, says) in [
        ("", "no layout"),
        ("# nothing\n\n", "no layout"),
        ("a -> b", "line 1 of a name map: it stands before"),
        ("[a]\n[b", "line 2 of a name map: the bracket"),
        ("[a]\n\n -> b", "line 3 of a name map: nothing is replaced"),
        ("[a]\na = b", "line 2 of a name map: it is neither"),
    ] {
        let error = wrong(text);
        assert!(error.code == "names.map" && error.cause.contains(says), "{text:?}: {error}");
    }
    // Replacements follow each other, wherever they occur; a prefix comes last.
    let map = NameMap::parse("# c\n[x]\r\nprefix p.\na -> b\n  b.b -> c  \nd ->\n").unwrap();
    let file = names(&["p.c.c-e"]);
    assert_eq!(map.choose(&file, &wanted(&["a.a.b.a-de"])).unwrap().layout, "x behind \"p.\"");
}
