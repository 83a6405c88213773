//! What is measured: products with weights of every type, one row and a prompt's rows, in turns with what candle's dot products
//! and weights widened in pieces take. Natively by `benches/products.rs`, in WebAssembly by `cargo xtask bench products`.

use std::rc::Rc;

use candle_core::quantized::GgmlType as Block;
use candle_core::quantized::k_quants::{self, *};
use lantern_cpu::{Cpu, Mode, Plan, Session};
use lantern_graph::{Bindings, Cancel, Class, DType, Executor, Graph, Session as _, Value, f16};
use pollster::block_on;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

pub struct Pair {
    pub name: String,
    pub before: Box<dyn FnMut() -> Vec<f32>>,
    pub now: Box<dyn FnMut() -> Vec<f32>>,
}

/// In and out: the width of SmolLM2-135M's last product in a block, whole blocks of every type, and weights that no
/// second-level cache holds.
const K: usize = 1536;
const N: usize = 2048;
const ROWS: [usize; 2] = [1, 64];

/// Elements that were widened at a time.
const WIDENED: usize = 1 << 16;

pub fn all() -> Vec<Pair> {
    let mut rng = SmallRng::seed_from_u64(1);
    let types = DType::WEIGHTS.into_iter().filter(|dtype| *dtype != DType::F32);
    types.flat_map(|dtype| ROWS.map(|m| (dtype, m))).map(|(dtype, m)| pair(dtype, m, &mut rng)).collect()
}

/// # Panics
/// Where both results part by more than their roundings of activations may.
fn pair(dtype: DType, m: usize, rng: &mut SmallRng) -> Pair {
    let bytes = Rc::new(weights(dtype, rng));
    let x: Vec<f32> = (0..m * K).map(|_| rng.random_range(-1.0..1.0)).collect();
    let mut pair = Pair {
        name: format!("{}, {m} {}", dtype.name(), if m == 1 { "row" } else { "rows" }),
        before: before(dtype, m, x.clone(), &bytes),
        now: now(dtype, m, x.clone(), &bytes),
    };
    let (before, now) = ((pair.before)(), (pair.now)());
    let mut row = vec![0.0; K];
    for (column, bytes) in bytes.chunks_exact(bytes.len() / N).enumerate() {
        widen(dtype, bytes, &mut row);
        // A step of 1 / 127 for the largest of 256 activations, which is at most 1, and an f16 step where it is one.
        let bound = row.iter().map(|w| w.abs()).sum::<f32>() * (1.0 / 254.0 + 1.0 / 2048.0);
        for r in 0..m {
            let wanted: f32 = row.iter().zip(&x[r * K..]).map(|(w, x)| w * x).sum();
            for (what, got) in [("before", &before), ("now", &now)] {
                let got = got[r * N + column];
                assert!((got - wanted).abs() <= bound, "{}, {what}: {got} for {wanted}, within {bound}", pair.name);
            }
        }
    }
    pair
}

/// Random bits, with factors that are small numbers.
fn weights(dtype: DType, rng: &mut SmallRng) -> Vec<u8> {
    let (elements, size) = dtype.block();
    let mut bytes = vec![0; N * K / elements * size];
    rng.fill(&mut bytes[..]);
    let small = |at: &mut [u8], rng: &mut SmallRng| {
        let magnitude = if dtype == DType::BF16 { 0x3c00 } else { 0x1c00 };
        let bits = rng.random::<u16>() & 0x83ff | magnitude;
        at.copy_from_slice(&bits.to_le_bytes());
    };
    for block in bytes.chunks_exact_mut(size) {
        let factors = if elements == 1 { &[0][..] } else { dtype.factors() };
        factors.iter().for_each(|at| small(&mut block[*at..at + 2], rng));
    }
    bytes
}

/// The executor, on a graph of one product.
fn now(dtype: DType, m: usize, x: Vec<f32>, bytes: &[u8]) -> Box<dyn FnMut() -> Vec<f32>> {
    let mut graph = Graph::new();
    let nx = graph.input("x", [m, K], DType::F32);
    let w = graph.weight("w", &[N, K], dtype).unwrap();
    let y = graph.linear(nx, w).unwrap();
    graph.output("y", y);
    let cpu = Cpu::new(Mode::Fast);
    let store = Rc::new(cpu.allocate_weights(&graph.weights).unwrap());
    block_on(cpu.write_rows(&store, "w", 0, bytes)).unwrap();
    let mut session: Session = cpu.session(Class::Token);
    let plan: Plan = block_on(session.compile(&graph, &store, &Cancel::new())).unwrap();
    let bindings = Bindings::new(&graph, &[]).unwrap();
    let inputs = [("x", Value::F32(x))];
    Box::new(move || {
        block_on(async {
            session.run(&plan, &bindings, &inputs, &Cancel::new()).await.unwrap();
            session.read(&plan, "y").await.unwrap().into_f32().unwrap()
        })
    })
}

/// As products were made before they were ours.
fn before(dtype: DType, m: usize, x: Vec<f32>, bytes: &Rc<Vec<u8>>) -> Box<dyn FnMut() -> Vec<f32>> {
    let native = !cfg!(target_arch = "wasm32");
    match dtype {
        DType::Q8_0 => candle::<BlockQ8_0>(m, x, bytes),
        DType::Q4_0 => candle::<BlockQ4_0>(m, x, bytes),
        DType::Q2K => candle::<BlockQ2K>(m, x, bytes),
        DType::Q3K if native => candle::<BlockQ3K>(m, x, bytes),
        DType::Q4K => candle::<BlockQ4K>(m, x, bytes),
        DType::Q5K if native => candle::<BlockQ5K>(m, x, bytes),
        DType::Q6K => candle::<BlockQ6K>(m, x, bytes),
        _ => {
            let (bytes, step) = (bytes.clone(), WIDENED / K);
            let row = bytes.len() / N;
            let (mut wide, mut part) = (vec![0.0; step * K], vec![0.0; m * step]);
            Box::new(move || {
                let mut out = vec![0.0; m * N];
                for first in (0..N).step_by(step) {
                    let count = step.min(N - first);
                    widen(dtype, &bytes[first * row..(first + count) * row], &mut wide[..count * K]);
                    let part = &mut part[..m * count];
                    k_quants::matmul::<f32>((m, K, count), &x, &wide[..count * K], part).unwrap();
                    for (part, out) in part.chunks_exact(count).zip(out.chunks_exact_mut(N)) {
                        out[first..first + count].copy_from_slice(part);
                    }
                }
                out
            })
        }
    }
}

fn candle<T: Block + 'static>(m: usize, x: Vec<f32>, bytes: &[u8]) -> Box<dyn FnMut() -> Vec<f32>> {
    let blocks = blocks::<T>(bytes);
    Box::new(move || {
        let mut out = vec![0.0; m * N];
        k_quants::matmul((m, K, N), &x, &blocks, &mut out).unwrap();
        out
    })
}

fn blocks<T: Block>(bytes: &[u8]) -> Vec<T> {
    let mut blocks = vec![T::zeros(); bytes.len() / size_of::<T>()];
    // SAFETY: candle's blocks are what a file has, of any bits; the slice covers them exactly.
    let target = unsafe { std::slice::from_raw_parts_mut(blocks.as_mut_ptr().cast::<u8>(), bytes.len()) };
    target.copy_from_slice(bytes);
    blocks
}

fn widen(dtype: DType, bytes: &[u8], out: &mut [f32]) {
    fn all<T: Block>(bytes: &[u8], out: &mut [f32]) {
        // SAFETY: as in `blocks`; they have no alignment above that of a half, which a file's rows keep.
        T::to_float(unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len() / size_of::<T>()) }, out);
    }
    let halves = || bytes.as_chunks().0.iter().map(|two| u16::from_le_bytes(*two));
    match dtype {
        DType::F16 => out.iter_mut().zip(halves()).for_each(|(out, bits)| *out = f16::to_f32(bits)),
        DType::BF16 => out.iter_mut().zip(halves()).for_each(|(out, bits)| *out = f16::bf16_to_f32(bits)),
        DType::Q8_0 => all::<BlockQ8_0>(bytes, out),
        DType::Q4_0 => all::<BlockQ4_0>(bytes, out),
        DType::Q4_1 => all::<BlockQ4_1>(bytes, out),
        DType::Q5_0 => all::<BlockQ5_0>(bytes, out),
        DType::Q5_1 => all::<BlockQ5_1>(bytes, out),
        DType::Q2K => all::<BlockQ2K>(bytes, out),
        DType::Q3K => all::<BlockQ3K>(bytes, out),
        DType::Q4K => all::<BlockQ4K>(bytes, out),
        DType::Q5K => all::<BlockQ5K>(bytes, out),
        DType::Q6K => all::<BlockQ6K>(bytes, out),
        DType::F32 | DType::U32 => unreachable!("not measured"),
    }
}
