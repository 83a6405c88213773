//! Stable Diffusion's autoencoder on the GPU: a narrow one against `cpu exact`, whole and on a device that can bind little; the
//! true one planned for 512 × 512 on the weakest device it must run on.

mod common;

use std::rc::Rc;

use common::{Work, adapters_and_tiers, close, floats, one_device, open, random};
use lantern_cpu::{Cpu, Mode};
use lantern_gpu::{GpuOptions, Tier};
use lantern_graph::{Cancel, Class, DType, Executor, Graph, Session, Value};
use lantern_models::Parameters;
use lantern_models::autoencoder_kl::{Config, decoder, encoder};
use rand::rngs::SmallRng;

/// Some forty layers of f32 sums in another order, each norm bringing errors back to the scale of one.
const F32: f32 = 1e-3;

fn narrow() -> Config {
    Config { block_channels: vec![16, 32], layers_per_block: 1, groups: 8, ..Config::default() }
}

/// A graph with one input and random weights of about unit gain.
fn work(graph: Graph, rng: &mut SmallRng) -> Work {
    let mut work = Work { graph, ..Work::new() };
    for spec in &work.graph.weights {
        let gain = if spec.shape.len() == 1 { 1.0 } else { (3.0 / spec.columns() as f32).sqrt() };
        let values = floats(rng, spec.rows() * spec.columns()).into_iter().map(|v| v * gain);
        let bytes = match spec.dtype {
            DType::F16 => values.flat_map(|v| half::f16::from_f32(v).to_le_bytes()).collect(),
            _ => values.flat_map(f32::to_le_bytes).collect(),
        };
        work.weights.push((spec.name.clone(), bytes));
    }
    let input = work.graph.inputs[0].clone();
    let elements = input.shape.count().bound(&work.graph);
    work.inputs.push((input.name, Value::F32(floats(rng, elements))));
    work
}

#[test]
fn a_narrow_one_is_the_same_everywhere_and_in_parts() {
    let _device = one_device();
    let rng = &mut random();
    let f16 = |_: &str| DType::F16;
    let halves = [
        ("encoder", work(encoder(&narrow(), &Parameters::weights(&f16), [24, 40]).unwrap(), rng)),
        ("decoder", work(decoder(&narrow(), &Parameters::weights(&f16), [12, 20]).unwrap(), rng)),
    ];
    let exact = halves.each_ref().map(|(_, work)| work.run(&Cpu::new(Mode::Exact)).unwrap());
    for (name, tier) in adapters_and_tiers().into_iter().filter(|(_, tier)| *tier <= Tier::Core) {
        // The decoder's largest tensor, 24 × 40 × 32 f32, takes 122,880 bytes.
        for binding_limit in [None, Some(1 << 18), Some(61_440)] {
            let options =
                GpuOptions { tier: Some(tier), adapter: Some(name.clone()), binding_limit, ..Default::default() };
            let gpu = open(&options).unwrap();
            for ((half, work), exact) in halves.iter().zip(&exact) {
                let what = format!("{half} on {name}, tier {tier}, bindings of at most {binding_limit:?}");
                let got = work.run(&gpu).unwrap_or_else(|e| panic!("{what}: {e}"));
                close(&got[0], &exact[0], F32, &what);
            }
        }
    }
}

#[test]
fn the_true_one_is_planned_for_512_on_the_weakest_device() {
    let _device = one_device();
    // Planning is the host's work: one adapter will do.
    for (name, tier) in adapters_and_tiers().into_iter().filter(|(_, tier)| *tier == Tier::Software).take(1) {
        let options =
            GpuOptions { tier: Some(tier), adapter: Some(name), binding_limit: Some(128 << 20), ..Default::default() };
        let gpu = open(&options).unwrap();
        let graph = decoder(&Config::default(), &Parameters::weights(&|_| DType::F16), [64, 64]).unwrap();
        let weights = Rc::new(gpu.allocate_weights(&graph.weights).unwrap());
        let mut session = gpu.session(Class::Picture);
        let before = gpu.memory_bytes();
        let peak = pollster::block_on(session.peak_bytes(&graph, &weights, &Cancel::new())).unwrap();
        assert_eq!(gpu.memory_bytes(), before, "measuring allocates nothing");
        let plan = pollster::block_on(session.compile(&graph, &weights, &Cancel::new())).unwrap();
        let taken = gpu.memory_bytes() - before;
        println!("peak {} MiB in {} dispatches", peak >> 20, session.dispatches(&plan));
        // Constants and the rounding of buffers to 16 bytes are not counted.
        assert!((peak..peak + (1 << 20)).contains(&taken), "{peak} told, {taken} taken");
        // Input and output of the widest convolution are 256 MiB each, and its block's input stays for the way around.
        assert!(peak < 1 << 30, "{peak}");
    }
}

/// A quarter of the pixels on a quarter of the weakest device's limits: every tensor stands to them as at 512 × 512.
#[test]
#[ignore = "0.6 TFLOP: some eight minutes on SwiftShader"]
fn the_true_one_at_256_with_a_quarter_of_the_weakest_device() {
    let _device = one_device();
    let rng = &mut random();
    let work = work(decoder(&Config::default(), &Parameters::weights(&|_| DType::F16), [32, 32]).unwrap(), rng);
    let exact = work.run(&Cpu::new(Mode::Exact)).unwrap();
    for (name, tier) in adapters_and_tiers().into_iter().filter(|(_, tier)| *tier == Tier::Software).take(1) {
        let binding_limit = Some(32 << 20);
        let options = GpuOptions { tier: Some(tier), adapter: Some(name.clone()), binding_limit, ..Default::default() };
        let got = work.run(&open(&options).unwrap()).unwrap();
        let (Value::F32(a), Value::F32(b)) = (&got[0], &exact[0]) else { panic!("a picture is f32") };
        let largest = b.iter().fold(0f32, |m, v| m.max(v.abs()));
        let error = a.iter().zip(b).fold(0f32, |m, (a, b)| m.max((a - b).abs())) / largest;
        println!("{name}, tier {tier}: largest difference {error:.1e} of {largest}");
        close(&got[0], &exact[0], F32, &name);
    }
}
