//! What the graphs are made of: the fusions they must be open to, their states, weights and refusals. What they compute
//! is tested where they run (`lantern-demos`, against candle-transformers).

use std::collections::{BTreeMap, BTreeSet};

use lantern_graph::{Attention, Bindings, DType, Graph, Mask, Op, fuse};
use lantern_models::llama::{Config, Rope, Scaling, Yarn, decode, prefill};
use lantern_models::{Parameters, sampling};

fn config() -> Config {
    Config {
        vocab_size: 97,
        hidden_size: 64,
        feed_forward_length: 160,
        layers: 3,
        heads: 6,
        kv_heads: 2,
        head_dim: 16,
        rope: Rope::plain(10_000.0),
        attention_scale: None,
        sliding_window: None,
        rms_eps: 1e-5,
        context_length: 128,
        tied: false,
        biases: BTreeSet::new(),
        kv_f16: true,
    }
}

fn q8(_: &str) -> DType {
    DType::Q8_0
}

fn counts(graph: &Graph) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for node in graph.nodes.iter().filter(|n| !n.op.is_leaf() && n.op != Op::Reshape) {
        *counts.entry(node.op.name()).or_default() += 1;
    }
    counts
}

/// One primitive left over means a pattern no longer matches, and the block runs a dozen kernels instead of one.
#[test]
fn every_block_fuses_whole() {
    let config = config();
    let n = config.layers;
    let mut expected = BTreeMap::from([
        ("gather", 1),
        ("rms_norm", 2 * n + 1),
        ("linear", 5 * n + 1),
        ("rope", 2 * n),
        ("write", 2 * n + 1),
        ("slice", 2 * n),
        ("attention", n),
        ("fused_linear", 2 * n),
        ("swiglu", n),
        ("argmax", 1),
    ]);
    assert_eq!(counts(&fuse(&decode(&config, &Parameters::weights(&q8)).unwrap())), expected);
    // The last row's slice.
    expected.insert("slice", 2 * n + 1);
    assert_eq!(counts(&fuse(&prefill(&config, &Parameters::weights(&q8), 64).unwrap())), expected);
}

/// What other files of the family bring is no kernel more: biases and windows go into what is there already.
#[test]
fn variants_fuse_whole_too() {
    let n = config().layers;
    let parts = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"];
    let biases = (0..n).flat_map(|i| parts.map(|part| format!("blk.{i}.{part}.bias"))).collect();
    let yarn = Yarn {
        factor: 4.0,
        original_context: 32,
        extrapolation: 1.0,
        attention_factor: 1.0,
        beta_fast: 32.0,
        beta_slow: 1.0,
    };
    let rope = Rope { scaling: Scaling::Yarn(yarn), factors: true, ..config().rope };
    let all = Config { rope, biases, sliding_window: Some(16), attention_scale: Some(0.3), ..config() };
    let fused = fuse(&decode(&all, &Parameters::weights(&q8)).unwrap());
    // The frequencies by their factors; every product has a bias, but for the output.
    let expected = BTreeMap::from([
        ("gather", 1),
        ("binary", 1),
        ("rms_norm", 2 * n + 1),
        ("linear", 1),
        ("rope", 2 * n),
        ("write", 2 * n + 1),
        ("slice", 2 * n),
        ("attention", n),
        ("fused_linear", 7 * n),
        ("swiglu", n),
        ("argmax", 1),
    ]);
    assert_eq!(counts(&fused), expected);
    let scale = 0.3 * (1.0 + 0.1 * 4f32.ln()).powi(2);
    for node in &fused.nodes {
        if let Op::Attention(Attention { mask, scale: found }) = node.op {
            assert_eq!(mask.window(), Some(16));
            assert!((found - scale).abs() < 1e-6, "{found} for {scale}");
        }
    }
    // A window that holds the whole context is none.
    let wide = fuse(&decode(&Config { sliding_window: Some(128), ..config() }, &Parameters::weights(&q8)).unwrap());
    assert!(
        wide.nodes.iter().all(|node| !matches!(node.op, Op::Attention(Attention { mask: Mask::Window { .. }, .. })))
    );
}

#[test]
fn caches_grow_and_are_halves_where_asked() {
    for (kv_f16, dtype, bytes) in [(true, DType::F16, 2), (false, DType::F32, 4)] {
        let config = Config { kv_f16, ..config() };
        let graph = decode(&config, &Parameters::weights(&q8)).unwrap();
        let caches: Vec<_> = graph.states.iter().filter(|state| state.name != sampling::LOGITS).collect();
        assert_eq!(caches.len(), 2 * config.layers);
        assert!(caches.iter().all(|state| state.growing && state.dtype == dtype));
        assert_eq!(config.kv_bytes(10), 3 * 2 * 10 * 2 * 16 * bytes);
    }
    assert_eq!(Config { sliding_window: Some(16), ..config() }.seen(100), 16);
}

#[test]
fn one_query_head_per_key_head_and_two_wide_heads_fuse_too() {
    let config = Config { heads: 1, kv_heads: 1, head_dim: 2, layers: 1, ..config() };
    let counts = counts(&fuse(&decode(&config, &Parameters::weights(&|_| DType::F32)).unwrap()));
    assert_eq!((counts["attention"], counts["rope"]), (1, 2), "{counts:?}");
    assert!(!counts.contains_key("matmul") && !counts.contains_key("binary"), "{counts:?}");
}

#[test]
fn both_graphs_share_weights_and_states() {
    let config = config();
    let (one, many) =
        (decode(&config, &Parameters::weights(&q8)).unwrap(), prefill(&config, &Parameters::weights(&q8), 8).unwrap());
    assert_eq!(one.weights, many.weights);
    assert_eq!(one.states, many.states);
    // Keys, values and the last logits.
    assert_eq!(one.states.len(), 2 * config.layers + 1);
    assert_eq!(one.weights.len(), 9 * config.layers + 3);
    one.check_state_order().unwrap();
    many.check_state_order().unwrap();
    Bindings::new(&one, &[("past", 127), ("kv_len", 128)]).unwrap();
    Bindings::new(&many, &[("past", 120), ("kv_len", 128), ("rows", 8), ("last", 7)]).unwrap();
    let logits = many.find_output("logits").unwrap();
    assert_eq!(many.shape(logits).to_string(), "[1, 97]");
}

#[test]
fn tied_weights_are_one_slot_and_norms_are_f32() {
    let graph = decode(&Config { tied: true, ..config() }, &Parameters::weights(&q8)).unwrap();
    assert!(graph.weights.iter().all(|w| w.name != "output.weight"));
    for weight in &graph.weights {
        let expected = if weight.name.contains("norm") { DType::F32 } else { DType::Q8_0 };
        assert_eq!(weight.dtype, expected, "{}", weight.name);
    }
}

#[test]
fn impossible_configurations_are_named() {
    type Change = fn(&mut Config);
    let cases: [(Change, &str); 11] = [
        (|c| c.sliding_window = Some(0), "slides over 0"),
        (|c| c.attention_scale = Some(f32::INFINITY), "scaled by inf"),
        (|c| c.rope.scaling = Scaling::Linear(-2.0), "scaling factor is -2"),
        (|c| c.layers = 0, "number of blocks is 0"),
        (|c| c.layers = usize::MAX, "number of blocks"),
        (|c| c.kv_heads = 4, "6 heads do not share 4"),
        (|c| c.head_dim = 15, "15 is odd"),
        (|c| c.rope.theta = f32::NAN, "rotary base is NaN"),
        (|c| c.rms_eps = -1.0, "epsilon is -1"),
        (|c| (c.vocab_size, c.hidden_size) = (1 << 22, 1 << 17), "4194304 × 131072"),
        (|c| (c.context_length, c.kv_f16) = (1 << 24, false), "16777216 positions"),
    ];
    for (change, expected) in cases {
        let mut config = config();
        change(&mut config);
        let error = decode(&config, &Parameters::weights(&q8)).unwrap_err();
        assert!(error.code.starts_with("llama.") && error.cause.contains(expected), "{expected}: {error}");
    }
    assert_eq!(prefill(&config(), &Parameters::weights(&q8), 0).unwrap_err().code, "llama.config");
    // Rows of 48 are not whole blocks of 32.
    let narrow = Config { hidden_size: 48, ..config() };
    assert_eq!(decode(&narrow, &Parameters::weights(&q8)).unwrap_err().code, "graph.shape");
}
