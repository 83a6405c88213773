//! TAESD and AutoencoderKL as graphs: what they ask of files, what they refuse, what executors make of them.

use lantern_graph::{DType, Graph, Op, Result, fuse};
use lantern_models::{Parameters, autoencoder_kl, taesd};

fn f32(_: &str) -> DType {
    DType::F32
}

fn count(graph: &Graph, op: &str) -> usize {
    graph.nodes.iter().filter(|node| node.op.name() == op).count()
}

/// Names of the operations that are left, each once.
fn left(graph: &Graph) -> Vec<&'static str> {
    let mut names: Vec<_> = graph.nodes.iter().filter(|n| !n.op.is_leaf()).map(|n| n.op.name()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn shape(graph: &Graph, name: &str) -> Option<Vec<usize>> {
    graph.weights.iter().find(|w| w.name == name).map(|w| w.shape.clone())
}

fn parameters(graph: &Graph) -> usize {
    graph.weights.iter().map(|w| w.shape.iter().product::<usize>()).sum()
}

#[test]
fn taesd_asks_for_the_tensors_of_its_files() {
    let config = taesd::Config::default();
    let encoder = taesd::encoder(&config, &Parameters::weights(&f32), [16, 8]).unwrap();
    let decoder = taesd::decoder(&config, &Parameters::weights(&f32), [2, 1]).unwrap();
    assert_eq!((encoder.weights.len(), decoder.weights.len()), (67, 67));
    // Bytes of BF16 in the files.
    assert_eq!((2 * parameters(&encoder), 2 * parameters(&decoder)), (2_445_064, 2_445_062));
    assert_eq!(shape(&encoder, "encoder.0.weight"), Some(vec![64, 3, 3, 3]));
    assert_eq!(shape(&encoder, "encoder.14.weight"), Some(vec![4, 3, 3, 64]));
    assert_eq!(shape(&encoder, "encoder.10.bias"), None);
    assert_eq!(shape(&decoder, "decoder.1.weight"), Some(vec![64, 3, 3, 4]));
    assert_eq!(shape(&decoder, "decoder.19.bias"), Some(vec![3]));
}

#[test]
fn every_convolution_of_taesd_takes_its_surroundings_along() {
    let config = taesd::Config::default();
    let encoder = fuse(&taesd::encoder(&config, &Parameters::weights(&f32), [72, 104]).unwrap());
    let decoder = fuse(&taesd::decoder(&config, &Parameters::weights(&f32), [9, 13]).unwrap());
    // The three convolutions of stride 2 have neither bias nor activation.
    assert_eq!(left(&encoder), ["conv2d", "fused_conv2d"]);
    assert_eq!((count(&encoder, "conv2d"), count(&encoder, "fused_conv2d")), (3, 32));
    // 3 · tanh(x / 3) before the first.
    assert_eq!(left(&decoder), ["affine", "fused_conv2d", "unary"]);
    assert_eq!(count(&decoder, "fused_conv2d"), 35);
    let doubled = |node: &&lantern_graph::Node| matches!(node.op, Op::FusedConv2d { upsample: 2, .. });
    assert_eq!(decoder.nodes.iter().filter(doubled).count(), 3);
}

#[test]
fn stable_diffusions_autoencoder_asks_for_the_tensors_of_its_file() {
    let config = autoencoder_kl::Config::default();
    let encoder = autoencoder_kl::encoder(&config, &Parameters::weights(&f32), [8, 8]).unwrap();
    let decoder = autoencoder_kl::decoder(&config, &Parameters::weights(&f32), [1, 1]).unwrap();
    // 83,653,863 parameters in 248 tensors, as the published file has them.
    assert_eq!(encoder.weights.len() + decoder.weights.len(), 248);
    assert_eq!(parameters(&encoder) + parameters(&decoder), 83_653_863);
    assert_eq!(shape(&encoder, "encoder.mid_block.attentions.0.to_q.weight"), Some(vec![512, 512]));
    assert_eq!(shape(&encoder, "quant_conv.weight"), Some(vec![8, 1, 1, 8]));
    assert_eq!(shape(&decoder, "decoder.up_blocks.2.resnets.0.conv_shortcut.weight"), Some(vec![256, 1, 1, 512]));
    assert_eq!(shape(&decoder, "decoder.up_blocks.3.upsamplers.0.conv.weight"), None);
}

#[test]
fn norms_and_doublings_of_the_large_one_are_recognised() {
    let config = autoencoder_kl::Config::default();
    let encoder = fuse(&autoencoder_kl::encoder(&config, &Parameters::weights(&f32), [24, 40]).unwrap());
    let decoder = fuse(&autoencoder_kl::decoder(&config, &Parameters::weights(&f32), [3, 5]).unwrap());
    for (graph, norms, convolutions) in [(&encoder, 22, 28), (&decoder, 30, 36)] {
        assert_eq!(count(graph, "group_norm"), norms);
        assert_eq!(count(graph, "fused_conv2d"), convolutions);
        assert_eq!([count(graph, "conv2d"), count(graph, "resize"), count(graph, "attention")], [0, 0, 1]);
        // Without an activation after it: the one before attention.
        let plain = |node: &&lantern_graph::Node| matches!(node.op, Op::GroupNorm { silu: false, .. });
        assert_eq!(graph.nodes.iter().filter(plain).count(), 1);
    }
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    let (tiny, large) = (taesd::Config::default(), autoencoder_kl::Config::default());
    let code = |graph: Result<Graph>| graph.err().map(|error| error.code);
    for size in [[0, 8], [8, 0], [12, 8], [8, 7]] {
        assert_eq!(code(taesd::encoder(&tiny, &Parameters::weights(&f32), size)), Some("graph.shape"));
        assert_eq!(code(autoencoder_kl::encoder(&large, &Parameters::weights(&f32), size)), Some("graph.shape"));
    }
    assert_eq!(code(taesd::decoder(&tiny, &Parameters::weights(&f32), [0, 1])), Some("graph.shape"));
    assert_eq!(code(autoencoder_kl::decoder(&large, &Parameters::weights(&f32), [1, 0])), Some("graph.shape"));
    for config in [taesd::Config { channels: 0, ..tiny.clone() }, taesd::Config { latent_channels: 1 << 20, ..tiny }] {
        assert_eq!(code(taesd::encoder(&config, &Parameters::weights(&f32), [8, 8])), Some("taesd.config"));
    }
    for config in [
        autoencoder_kl::Config { block_channels: vec![], ..large.clone() },
        autoencoder_kl::Config { block_channels: vec![128, 100], ..large.clone() },
        autoencoder_kl::Config { block_channels: vec![0], ..large.clone() },
        autoencoder_kl::Config { groups: 0, ..large.clone() },
        autoencoder_kl::Config { layers_per_block: 0, ..large.clone() },
        autoencoder_kl::Config { latent_channels: 0, ..large.clone() },
        autoencoder_kl::Config { scaling_factor: f32::NAN, ..large },
    ] {
        assert_eq!(
            code(autoencoder_kl::decoder(&config, &Parameters::weights(&f32), [1, 1])),
            Some("autoencoder_kl.config"),
            "{config:?}"
        );
    }
}

#[test]
fn the_largest_tensor_is_known_beforehand() {
    let config = autoencoder_kl::Config::default();
    for (h, w) in [(8, 8), (64, 40), (512, 512)] {
        let graphs = [
            fuse(&autoencoder_kl::encoder(&config, &Parameters::weights(&f32), [h, w]).unwrap()),
            fuse(&autoencoder_kl::decoder(&config, &Parameters::weights(&f32), [h / 8, w / 8]).unwrap()),
        ];
        let nodes =
            graphs.iter().flat_map(|g| g.nodes.iter().filter(|n| !n.op.is_leaf()).map(|n| n.shape.count().bound(g)));
        assert_eq!(nodes.max().unwrap() as u64, config.largest_tensor((h * w) as u64), "{h} × {w}");
    }
    assert!(config.largest_tensor(u64::MAX) > 1 << 60);
}
