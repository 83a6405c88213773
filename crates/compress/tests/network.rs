//! Whole models: rewrites that change nothing, and compressed files that this engine runs.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use lantern_compress::Gram;
use lantern_compress::bounds::Draws;
use lantern_compress::cost::Charge;
use lantern_compress::layerwise::{DAMPING, Order, Rotation};
use lantern_compress::network::{
    Applied, ApplyOptions, Block, Calibrator, LINEAR, Method, NORMS, Original, apply, rotate_embedding, rotate_output,
};
use lantern_compress::prune::Sparsity;
use lantern_compress::quantize::{Granularity, Range, Uniform};
use lantern_cpu::{Cpu, Mode};
use lantern_demos::chat::{ChatModel, LoadOptions, PerplexityOptions, check, perplexity};
use lantern_graph::{Bindings, Cancel, Class, DType, Executor, Op, Session, Value};
use lantern_models::Parameters;
use lantern_models::llama::{self, Config, Rope, Scaling};
use lantern_testing::data;
use lantern_weights::{GgmlType, Gguf, MemorySource};
use nalgebra::DMatrix;
use pollster::block_on;

type Weights = HashMap<String, Vec<f64>>;

/// Two query heads to a key and value head.
const SMALL: Config = Config {
    vocab_size: 61,
    hidden_size: 24,
    feed_forward_length: 44,
    layers: 2,
    heads: 4,
    kv_heads: 2,
    head_dim: 6,
    rope: Rope { theta: 10_000.0, scaling: Scaling::None, factors: false },
    attention_scale: None,
    sliding_window: None,
    rms_eps: 1e-5,
    context_length: 16,
    tied: true,
    biases: BTreeSet::new(),
    kv_f16: false,
};

/// Of uneven scales, so that there is something to equalize.
fn random(config: &Config, seed: u64) -> Weights {
    println!("seed {seed}");
    let mut draws = Draws::new(seed);
    let graph = llama::decode(config, &Parameters::weights(&|_| DType::F32)).unwrap();
    let mut draw = |spec: &lantern_graph::WeightSpec| -> Vec<f64> {
        let columns = spec.columns();
        let scales: Vec<f64> = (0..columns).map(|_| (0.7 * draws.gaussian()).exp()).collect();
        let spread = if spec.shape.len() == 1 { 1.0 } else { (1.0 / columns as f64).sqrt() };
        (0..spec.rows() * columns).map(|i| spread * scales[i % columns] * draws.gaussian()).collect()
    };
    graph.weights.iter().map(|spec| (spec.name.clone(), draw(spec))).collect()
}

/// The logits after the last of `ids`, computed by the reference executor.
fn logits(config: &Config, weights: &Weights, ids: &[u32]) -> Vec<f32> {
    let cpu = Rc::new(Cpu::new(Mode::Exact));
    let graph = llama::prefill(config, &Parameters::weights(&|_| DType::F32), ids.len()).unwrap();
    let stored = cpu.allocate_weights(&graph.weights).unwrap();
    for spec in &graph.weights {
        let bytes: Vec<u8> = weights[&spec.name].iter().flat_map(|v| (*v as f32).to_le_bytes()).collect();
        block_on(cpu.write_rows(&stored, &spec.name, 0, &bytes)).unwrap();
    }
    let mut session = cpu.session(Class::Training);
    let plan = block_on(session.compile(&graph, &Rc::new(stored), &Cancel::new())).unwrap();
    let symbols = [("past", 0), ("kv_len", ids.len()), ("rows", ids.len()), ("last", ids.len() - 1)];
    let bindings = Bindings::new(&graph, &symbols).unwrap();
    block_on(session.run(&plan, &bindings, &[("ids", Value::U32(ids.to_vec()))], &Cancel::new())).unwrap();
    block_on(session.read(&plan, "logits")).unwrap().into_f32().unwrap()
}

fn block(config: &Config, weights: &Weights, i: usize) -> Block {
    let name = |part: &str| format!("blk.{i}.{part}.weight");
    let [q, k, v, output, gate, up, down] = LINEAR.map(|part| {
        let n = match part {
            "attn_output" => config.heads * config.head_dim,
            "ffn_down" => config.feed_forward_length,
            _ => config.hidden_size,
        };
        let values = &weights[&name(part)];
        DMatrix::from_column_slice(n, values.len() / n, values)
    });
    let [attn_norm, ffn_norm] = NORMS.map(|part| weights[&name(part)].clone());
    Block { attn_norm, q, k, v, output, ffn_norm, gate, up, down }
}

fn put(weights: &mut Weights, i: usize, block: &Block) {
    for (part, matrix) in LINEAR.iter().zip(block.linear()) {
        weights.insert(format!("blk.{i}.{part}.weight"), matrix.as_slice().to_vec());
    }
    for (part, norm) in NORMS.iter().zip(block.norms()) {
        weights.insert(format!("blk.{i}.{part}.weight"), norm.to_vec());
    }
}

/// Relative to the largest logit.
fn difference(a: &[f32], b: &[f32]) -> f32 {
    let largest = a.iter().fold(0f32, |m, v| m.max(v.abs()));
    a.iter().zip(b).fold(0f32, |m, (x, y)| m.max((x - y).abs())) / largest
}

const IDS: [u32; 9] = [1, 17, 4, 60, 33, 5, 5, 21, 8];

/// Both executors' sums are of f32: what differs is their rounding, 2⁻²⁴ through two blocks. The promise is 1e-4.
const PRESERVED: f32 = 2e-5;

#[test]
fn equalization_changes_no_logit_and_evens_ranges_out() {
    for tied in [true, false] {
        let config = Config { tied, ..SMALL };
        let mut weights = random(&config, 1);
        let before = logits(&config, &weights, &IDS);
        for i in 0..config.layers {
            let mut block = block(&config, &weights, i);
            block.equalize(&config).unwrap();
            for c in 0..config.feed_forward_length {
                let (up, down) = (block.up.column(c).amax(), block.down.row(c).amax());
                assert!((up / down - 1.0).abs() < 1e-9, "channel {c}: {up} {down}");
            }
            put(&mut weights, i, &block);
        }
        let difference = difference(&before, &logits(&config, &weights, &IDS));
        println!("tied {tied}: {difference:e}");
        assert!(difference < PRESERVED);
    }
}

#[test]
fn rotation_changes_no_logit() {
    let mut weights = random(&SMALL, 2);
    let before = logits(&SMALL, &weights, &IDS);
    let rotation = Rotation::new(SMALL.hidden_size, 5).unwrap();
    for i in 0..SMALL.layers {
        let mut block = block(&SMALL, &weights, i);
        block.rotate(&SMALL, &rotation).unwrap();
        put(&mut weights, i, &block);
    }
    let mut output = weights["token_embd.weight"].clone();
    rotate_output(&mut output, &weights["output_norm.weight"], &rotation).unwrap();
    rotate_embedding(weights.get_mut("token_embd.weight").unwrap(), SMALL.hidden_size, &rotation).unwrap();
    weights.insert("output.weight".into(), output);
    weights.insert("output_norm.weight".into(), vec![1.0; SMALL.hidden_size]);
    let untied = Config { tied: false, ..SMALL };
    let difference = difference(&before, &logits(&untied, &weights, &IDS));
    println!("{difference:e}");
    assert!(difference < PRESERVED);
    let other = Rotation::new(SMALL.hidden_size + 1, 5).unwrap();
    assert_eq!(block(&SMALL, &weights, 0).rotate(&SMALL, &other).unwrap_err().code, "compress.size");
}

#[test]
fn a_block_that_is_not_the_models_is_refused() {
    let mut weights = random(&SMALL, 3);
    weights.insert("blk.0.ffn_up.weight".into(), vec![1.0; 24 * 40]);
    assert_eq!(block(&SMALL, &weights, 0).equalize(&SMALL).unwrap_err().code, "compress.size");
}

struct Model {
    bytes: Vec<u8>,
    calibration: Vec<u32>,
    held_out: Vec<u32>,
}

impl Model {
    /// The text's first `tokens` to calibrate on, the next `held_out` to judge by.
    fn open(bytes: Vec<u8>, text: &str, tokens: usize, held_out: usize) -> Self {
        let model = load(&bytes);
        let ids = model.tokenizer().encode(text, false).unwrap();
        assert!(ids.len() >= tokens + held_out, "{} tokens", ids.len());
        Self { bytes, calibration: ids[..tokens].to_vec(), held_out: ids[tokens..tokens + held_out].to_vec() }
    }

    fn apply(&self, options: &ApplyOptions) -> (Vec<u8>, Applied) {
        let source = MemorySource::new(self.bytes.clone());
        let gguf = block_on(Gguf::read(&source)).unwrap();
        let config = check(&gguf, &LoadOptions::default()).unwrap().config;
        let cpu = Rc::new(Cpu::new(Mode::Fast));
        let calibrator = Calibrator::new(&cpu, &config, &self.calibration, Some(1), 256).unwrap();
        let calibrator = options.method.is_calibrated().then_some(&calibrator);
        let cancel = Cancel::new();
        let original = Original { source: &source, gguf: &gguf, config: &config };
        block_on(apply(&original, calibrator, options, Vec::new(), &mut |_, _| {}, &cancel)).unwrap()
    }

    fn perplexity(&self, bytes: &[u8]) -> f64 {
        let options = PerplexityOptions { context: 256, ..PerplexityOptions::default() };
        let found = block_on(perplexity(&load(bytes), &self.held_out, &options, &mut |_| {}, &Cancel::new()));
        found.unwrap().perplexity
    }
}

fn load(bytes: &[u8]) -> Rc<ChatModel<Cpu>> {
    let source = MemorySource::new(bytes.to_vec());
    let cpu = Rc::new(Cpu::new(Mode::Fast));
    Rc::new(block_on(ChatModel::load(&cpu, &source, &LoadOptions::default(), &mut |_| {}, &Cancel::new())).unwrap())
}

fn options(method: Method, bits: u32) -> ApplyOptions {
    ApplyOptions {
        method,
        quantizer: Uniform::gguf(bits, Granularity::Group(32), Range::Mse),
        sparsity: Sparsity::at_bits(bits.into(), Charge::Free),
        charge: Charge::Free,
        order: Order::Natural,
        damping: DAMPING,
        equalize: false,
        rotate: None,
    }
}

/// The whole way on real weights, of 260 thousand parameters that were trained in f32, and a text of another kind than they
/// were trained on: calibrated on its beginning, judged on what follows.
#[test]
fn on_real_weights_compensation_beats_rounding_and_quantization_pruning() {
    let Some(folder) = data("weights/stories260K") else { return };
    let Some(text) = data("text/public-domain-stories/aesop_fables_v-s-vernon-jones.txt") else { return };
    let bytes = std::fs::read(folder.join("stories260K.f32.gguf")).unwrap();
    let text = std::fs::read_to_string(text).unwrap();
    // Behind the title page and the contents.
    let text: String = text.chars().skip(20_000).take(20_000).collect();
    let model = Model::open(bytes, &text, 1024, 1536);
    let before = model.perplexity(&model.bytes);
    println!("before: {before:.2}");
    for bits in [3, 4] {
        let run = |method| {
            let (bytes, applied) = model.apply(&options(method, bits));
            let perplexity = model.perplexity(&bytes);
            println!("{bits} bits, {method:?}: {perplexity:.2}, {:.3} bits, {} bytes", applied.bits, applied.bytes);
            assert_eq!(applied.layers.len(), 35, "five blocks of seven");
            (perplexity, applied)
        };
        let (rounded, _) = run(Method::RoundToNearest);
        let (compensated, applied) = run(Method::Gptq);
        assert!(compensated < rounded, "{bits} bits: {compensated} {rounded}");
        for layer in &applied.layers {
            let (gptq, rtn) = (layer.output_snr_db.unwrap(), layer.rtn_output_snr_db.unwrap());
            assert!(gptq >= rtn, "{}: {gptq} dB, {rtn} dB by rounding", layer.name);
            // Rows of 172 are not whole blocks of 32.
            let held = if layer.name.contains("ffn_down") { GgmlType::F16 } else { GgmlType::Q4_0 };
            assert_eq!(layer.stored, held, "{}", layer.name);
            // One f16 for 32 weights; a row of 172 has six.
            let scales = if layer.name.contains("ffn_down") { 6.0 * 16.0 / 172.0 } else { 0.5 };
            assert!((layer.bits - f64::from(bits) - scales).abs() < 1e-9, "{}", layer.name);
        }
        if bits == 3 {
            continue;
        }
        let pruned = [Method::Magnitude, Method::SparseGpt].map(|method| {
            let (perplexity, applied) = run(method);
            assert!((applied.bits - f64::from(bits)).abs() < 0.01, "masks are free");
            perplexity
        });
        // Of all layers together: as many in all, more here and fewer there.
        let (global, applied) = run(Method::GlobalMagnitude);
        let shares: Vec<f64> = applied.layers.iter().map(|layer| layer.zeros).collect();
        let zeros: f64 = applied.layers.iter().map(|l| l.zeros * (l.shape[0] * l.shape[1]) as f64).sum();
        assert_eq!(zeros.round(), (0.75 * applied.compressed_weights as f64).round());
        assert!(shares.iter().any(|s| *s < 0.7) && shares.iter().any(|s| *s > 0.8), "{shares:?}");
        assert!(global > rounded && (applied.bits - 4.0).abs() < 0.01);
        // Scales cost quantization half a bit, which is no excuse: it wins by far.
        assert!(pruned.iter().all(|p| *p > 1.5 * rounded), "{bits} bits: {pruned:?} {rounded}");
        assert!(pruned[1] < pruned[0], "{bits} bits: {pruned:?}");
    }
}

#[test]
fn a_text_that_is_too_short_is_refused_with_the_numbers() {
    let cpu = Rc::new(Cpu::new(Mode::Fast));
    let error = Calibrator::new(&cpu, &SMALL, &[5; 43], None, 16).err().unwrap();
    assert_eq!(error.code, "compress.calibration");
    assert!(error.cause.contains("43 tokens") && error.cause.contains("44 inputs"), "{error}");
    assert!(Calibrator::new(&cpu, &SMALL, &[5; 44], None, 16).is_ok());
    let unknown = Calibrator::new(&cpu, &SMALL, &[61; 44], None, 16).err().unwrap();
    assert!(unknown.cause.contains("token 61"), "{unknown}");
}

/// What a calibrator sums up is XᵀX of what the layers see: of the first block's, the normed embedding.
#[test]
fn a_layers_inputs_are_those_that_the_graph_gives_it() {
    let weights = random(&SMALL, 4);
    let cpu = Rc::new(Cpu::new(Mode::Exact));
    let ids: Vec<u32> = (0..50).map(|i| (i * 7 + 3) % 61).collect();
    let calibrator = Calibrator::new(&cpu, &SMALL, &ids, Some(1), 16).unwrap();
    // A piece of 15 tokens and BOS.
    assert_eq!(calibrator.tokens(), 54);
    for spec in &llama::decode(&SMALL, &Parameters::weights(&|_| DType::F32)).unwrap().weights {
        let values: Vec<f32> = weights[&spec.name].iter().map(|v| *v as f32).collect();
        block_on(calibrator.write(&spec.name, &values, spec.columns(), &Cancel::new())).unwrap();
    }
    let inputs = block_on(calibrator.inputs(0, &Cancel::new())).unwrap();
    let n = SMALL.hidden_size;
    let mut h = DMatrix::<f64>::zeros(n, n);
    for piece in ids.chunks(15) {
        for id in [1].iter().chain(piece) {
            let row = &weights["token_embd.weight"][*id as usize * n..][..n];
            let mean = row.iter().map(|v| v * v).sum::<f64>() / n as f64 + f64::from(SMALL.rms_eps);
            let x = DMatrix::from_fn(n, 1, |i, _| row[i] / mean.sqrt() * weights["blk.0.attn_norm.weight"][i]);
            h += &x * x.transpose() / 54.0;
        }
    }
    for part in ["attn_q", "attn_k", "attn_v"] {
        let found = inputs.of(&format!("blk.0.{part}.weight")).unwrap().matrix().unwrap();
        // f32 activations.
        assert!((&found - &h).amax() < 1e-5 * h.amax(), "{part}");
    }
    assert_eq!(inputs.of("blk.0.ffn_down.weight").unwrap().n(), SMALL.feed_forward_length);
    assert_eq!(inputs.of("blk.1.attn_q.weight").unwrap_err().code, "compress.calibration");

    // Block after block, what the whole model's graph gives: in pieces of more than a chunk of rows, and again from the start.
    let long = Config { context_length: 100, ..SMALL };
    let ids: Vec<u32> = (0..99).map(|i| (i * 7 + 3) % 61).collect();
    let calibrator = Calibrator::new(&cpu, &long, &ids, Some(1), 100).unwrap();
    for spec in &llama::decode(&long, &Parameters::weights(&|_| DType::F32)).unwrap().weights {
        let values: Vec<f32> = weights[&spec.name].iter().map(|v| *v as f32).collect();
        block_on(calibrator.write(&spec.name, &values, spec.columns(), &Cancel::new())).unwrap();
    }
    let mut graph = llama::score(&long, &Parameters::weights(&|_| DType::F32), 100).unwrap();
    let products = graph.ids().filter(|id| matches!(graph.node(*id).op, Op::Linear { .. }));
    let mut of_down = products.filter_map(|id| match graph.node(graph.node(id).inputs[1]).op {
        Op::Weight(w) if graph.weights[w.0 as usize].name == "blk.1.ffn_down.weight" => Some(graph.node(id).inputs[0]),
        _ => None,
    });
    graph.outputs = vec![("down".into(), of_down.next_back().unwrap())];
    let (graph, _) = graph.without_dead_nodes();
    let stored =
        cpu.allocate_weights(&llama::decode(&long, &Parameters::weights(&|_| DType::F32)).unwrap().weights).unwrap();
    for spec in &graph.weights {
        let bytes: Vec<u8> = weights[&spec.name].iter().flat_map(|v| (*v as f32).to_le_bytes()).collect();
        block_on(cpu.write_rows(&stored, &spec.name, 0, &bytes)).unwrap();
    }
    let mut session = cpu.session(Class::Training);
    let plan = block_on(session.compile(&graph, &Rc::new(stored), &Cancel::new())).unwrap();
    let bindings = Bindings::new(&graph, &[("past", 0), ("kv_len", 100), ("rows", 100)]).unwrap();
    let all = Value::U32([1].iter().chain(&ids).copied().collect());
    block_on(session.run(&plan, &bindings, &[("ids", all)], &Cancel::new())).unwrap();
    let mut whole = Gram::new(long.feed_forward_length).unwrap();
    whole.add(&block_on(session.read(&plan, "down")).unwrap().into_f32().unwrap()).unwrap();
    let whole = whole.matrix().unwrap();
    for block in [0, 1, 0, 1, 1] {
        let inputs = block_on(calibrator.inputs(block, &Cancel::new())).unwrap();
        if block == 1 {
            let found = inputs.of("blk.1.ffn_down.weight").unwrap().matrix().unwrap();
            assert!((&found - &whole).amax() < 1e-5 * whole.amax(), "{}", (&found - &whole).amax() / whole.amax());
        }
    }
}
