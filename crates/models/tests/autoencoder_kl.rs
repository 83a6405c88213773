//! Against candle-transformers' AutoEncoderKL with the same random weights.

use std::collections::HashMap;
use std::rc::Rc;

use candle_core::{DType as Theirs, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::stable_diffusion::vae::{AutoEncoderKL, AutoEncoderKLConfig};
use lantern_cpu::{Cpu, Mode};
use lantern_graph::{Bindings, Cancel, Class, DType, Executor, Graph, Session, Value, WeightSpec};
use lantern_models::Parameters;
use lantern_models::autoencoder_kl::{Config, decoder, encoder};
use pollster::block_on;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// f32 on both sides: what some hundred layers of another order of summation come to, relative to the largest value.
const BOUND: f32 = 1e-3;

fn seeded(seed: u64) -> SmallRng {
    let seed = std::env::var("LANTERN_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(seed);
    println!("seed {seed}");
    SmallRng::seed_from_u64(seed)
}

/// Odd in every way that the shapes allow.
fn narrow() -> Config {
    Config { block_channels: vec![24, 40, 48], layers_per_block: 1, groups: 8, ..Config::default() }
}

struct Weights(HashMap<String, (WeightSpec, Vec<f32>)>);

impl Weights {
    fn random(config: &Config, rng: &mut SmallRng) -> Self {
        let f32 = |_: &str| DType::F32;
        let mut all = HashMap::new();
        let side = config.downscale();
        let graphs = [
            encoder(config, &Parameters::weights(&f32), [side, side]).unwrap(),
            decoder(config, &Parameters::weights(&f32), [1, 1]).unwrap(),
        ];
        for spec in graphs.into_iter().flat_map(|g| g.weights) {
            let values = random_values(&spec, config.latent_channels, rng);
            all.insert(spec.name.clone(), (spec, values));
        }
        Self(all)
    }

    /// One output of a graph.
    fn run(&self, mode: Mode, graph: &Graph, input: (&str, Vec<f32>), output: &str) -> Vec<f32> {
        let cpu = Cpu::new(mode);
        let weights = cpu.allocate_weights(&graph.weights).unwrap();
        for spec in &graph.weights {
            let bytes: Vec<u8> = self.0[&spec.name].1.iter().flat_map(|v| v.to_le_bytes()).collect();
            block_on(cpu.write_rows(&weights, &spec.name, 0, &bytes)).unwrap();
        }
        let mut session = cpu.session(Class::Picture);
        let cancel = Cancel::new();
        let plan = block_on(session.compile(graph, &Rc::new(weights), &cancel)).unwrap();
        let inputs = [(input.0, Value::F32(input.1))];
        block_on(session.run(&plan, &Bindings::default(), &inputs, &cancel)).unwrap();
        block_on(session.read(&plan, output)).unwrap().into_f32().unwrap()
    }

    fn theirs(&self, config: &Config) -> AutoEncoderKL {
        let tensor = |(spec, values): &(WeightSpec, Vec<f32>)| {
            let tensor = Tensor::from_slice(values, spec.shape.as_slice(), &Device::Cpu).unwrap();
            match spec.shape.len() {
                4 => tensor.permute((0, 3, 1, 2)).unwrap().contiguous().unwrap(),
                _ => tensor,
            }
        };
        let tensors = self.0.iter().map(|(name, weight)| (name.clone(), tensor(weight))).collect();
        let weights = VarBuilder::from_tensors(tensors, Theirs::F32, &Device::Cpu);
        let their_config = AutoEncoderKLConfig {
            block_out_channels: config.block_channels.clone(),
            layers_per_block: config.layers_per_block,
            latent_channels: config.latent_channels,
            norm_num_groups: config.groups,
            use_quant_conv: config.quant_conv,
            use_post_quant_conv: config.post_quant_conv,
        };
        AutoEncoderKL::new(weights, 3, 3, their_config).unwrap()
    }
}

/// Of such a spread that activations keep theirs. Theirs gives no mean but a sample: log variances of −10,000 make it one.
fn random_values(spec: &WeightSpec, latents: usize, rng: &mut SmallRng) -> Vec<f32> {
    let norm = spec.name.contains("norm") && spec.name.ends_with("weight");
    let spread = (3.0 / spec.columns() as f32).sqrt();
    let mut values: Vec<f32> = (0..spec.shape.iter().product::<usize>())
        .map(|_| match (norm, spec.shape.len()) {
            (true, _) => rng.random_range(0.7..1.3),
            (false, 1) => rng.random_range(-0.1..0.1),
            _ => rng.random_range(-spread..spread),
        })
        .collect();
    match spec.name.as_str() {
        "quant_conv.weight" => values[latents * 2 * latents..].fill(0.0),
        "quant_conv.bias" => values[latents..].fill(-1e4),
        _ => {}
    }
    values
}

fn to_theirs(values: &[f32], [h, w, channels]: [usize; 3]) -> Tensor {
    let tensor = Tensor::from_slice(values, (1, h, w, channels), &Device::Cpu).unwrap();
    tensor.permute((0, 3, 1, 2)).unwrap().contiguous().unwrap()
}

fn from_theirs(tensor: &Tensor) -> Vec<f32> {
    tensor.permute((0, 2, 3, 1)).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// The largest difference, relative to the largest magnitude of `theirs`.
fn relative_error(theirs: &[f32], ours: &[f32]) -> f32 {
    assert_eq!(theirs.len(), ours.len());
    let largest = theirs.iter().fold(0f32, |m, v| m.max(v.abs()));
    let worst = theirs.iter().zip(ours).map(|(a, b)| (a - b).abs());
    worst.fold(0f32, |m, d| if d.is_nan() { f32::NAN } else { m.max(d) }) / largest
}

/// Both halves on the same input; gives both errors.
fn compare(config: &Config, [h, w]: [usize; 2], modes: &[Mode], seed: u64) -> Vec<[f32; 2]> {
    let mut rng = seeded(seed);
    let weights = Weights::random(config, &mut rng);
    let theirs = weights.theirs(config);
    let (lh, lw) = (h / config.downscale(), w / config.downscale());
    let picture: Vec<f32> = (0..3 * h * w).map(|_| rng.random_range(0.0..1.0)).collect();
    let latents: Vec<f32> = (0..config.latent_channels * lh * lw).map(|_| rng.random_range(-2.0..2.0)).collect();

    let f32 = |_: &str| DType::F32;
    let (to, back) = (
        encoder(config, &Parameters::weights(&f32), [h, w]).unwrap(),
        decoder(config, &Parameters::weights(&f32), [lh, lw]).unwrap(),
    );
    let scale = f64::from(config.scaling_factor);
    let centred = to_theirs(&picture, [h, w, 3]).affine(2.0, -1.0).unwrap();
    let their_latents = from_theirs(&theirs.encode(&centred).unwrap().sample().unwrap().affine(scale, 0.0).unwrap());
    let unscaled = to_theirs(&latents, [lh, lw, config.latent_channels]).affine(1.0 / scale, 0.0).unwrap();
    let their_picture = from_theirs(&theirs.decode(&unscaled).unwrap().affine(0.5, 0.5).unwrap());
    let mut errors = Vec::new();
    for &mode in modes {
        let our_latents = weights.run(mode, &to, ("picture", picture.clone()), "latents");
        let our_picture = weights.run(mode, &back, ("latents", latents.clone()), "picture");
        let both = [relative_error(&their_latents, &our_latents), relative_error(&their_picture, &our_picture)];
        println!("{} at {h} × {w}: latents {:.1e}, picture {:.1e}", mode.name(), both[0], both[1]);
        errors.push(both);
    }
    errors
}

fn holds(config: &Config, size: [usize; 2], seed: u64) {
    for both in compare(config, size, &[Mode::Exact, Mode::Fast], seed) {
        assert!(both.iter().all(|error| *error < BOUND), "{both:?}");
    }
}

#[test]
fn a_narrow_one_at_odd_sizes() {
    holds(&narrow(), [20, 28], 1);
    holds(&narrow(), [4, 36], 2);
    holds(&Config { post_quant_conv: false, layers_per_block: 2, scaling_factor: 0.13025, ..narrow() }, [12, 12], 3);
}

#[test]
fn stable_diffusions_shapes_on_a_small_picture() {
    holds(&Config::default(), [16, 24], 4);
}

/// `cargo xtask verify --full` runs it and reads the last line.
#[test]
#[ignore = "ten minutes of work on two cores, and gigabytes"]
fn stable_diffusions_shapes_at_512() {
    let start = std::time::Instant::now();
    let [both] = compare(&Config::default(), [512, 512], &[Mode::Exact], 5)[..] else { unreachable!("one mode") };
    println!(
        "record: {{\"latents\": {:e}, \"picture\": {:e}, \"bound\": {BOUND:e}, \"seconds\": {:.0}}}",
        both[0],
        both[1],
        start.elapsed().as_secs_f64()
    );
    assert!(both.iter().all(|error| *error < BOUND), "{both:?}");
}
