//! Operations on pictures on the GPU against `cpu exact`: random odd shapes, every tier; and the same numbers whether a picture
//! is bound whole or in parts.

mod common;

use common::{Work, adapters_and_tiers, close, dense, each_adapter_and_tier, one_device, open, random, weight};
use lantern_cpu::{Cpu, Mode};
use lantern_gpu::{Gpu, GpuOptions, Tier};
use lantern_graph::{DType, Graph, NodeId, ResizeMode, Result, Unary, Window};
use lantern_models::nn;
use rand::Rng;
use rand::rngs::SmallRng;

/// f32 sums of up to a few thousand terms in another order; exp differs by ulps.
const F32: f32 = 1e-4;

/// A window that fits into height and width, with everything it can have.
fn window(rng: &mut SmallRng, size: [usize; 2]) -> Window {
    loop {
        let mut pair = |range: std::ops::Range<usize>| [rng.random_range(range.clone()), rng.random_range(range)];
        let (kernel, stride, dilation) = (pair(1..4), pair(1..4), pair(1..3));
        let padding = [pair(0..3), pair(0..3)];
        let window = Window { kernel, stride, dilation, padding };
        if window.positions(0, size[0]).is_some() && window.positions(1, size[1]).is_some() {
            return window;
        }
    }
}

/// A convolution with bias, residual and activation.
fn convolution(
    work: &mut Work,
    rng: &mut SmallRng,
    name: &str,
    dtype: DType,
    groups: usize,
    per_group: usize,
) -> String {
    let size = [rng.random_range(1..12), rng.random_range(1..12)];
    let outs = groups * rng.random_range(1..40usize.div_ceil(groups).max(2));
    convolution_of(work, rng, name, dtype, [size[0], size[1], groups, per_group, outs])
}

fn convolution_of(
    work: &mut Work,
    rng: &mut SmallRng,
    name: &str,
    dtype: DType,
    [h, wide, groups, per_group, outs]: [usize; 5],
) -> String {
    let n = rng.random_range(1..3);
    let upsample = rng.random_range(1..4);
    let window = window(rng, [h * upsample, wide * upsample]);
    let x = dense(work, rng, &format!("{name}.x"), &[n, h, wide, groups * per_group]);
    let shape = [outs, window.kernel[0], window.kernel[1], per_group];
    let w = weight(work, rng, &format!("{name}.w"), &shape, dtype);
    let g = &mut work.graph;
    let x = if upsample > 1 { g.resize(x, ResizeMode::Nearest, [h * upsample, wide * upsample]).unwrap() } else { x };
    let y = g.conv2d(x, w, window, groups).unwrap();
    let out = g.shape(y).bound(g);
    let bias = dense(work, rng, &format!("{name}.bias"), &[outs]);
    let residual = dense(work, rng, &format!("{name}.residual"), &out);
    let y = work.graph.add(y, bias).unwrap();
    let y = work.graph.add(y, residual).unwrap();
    let y = work.graph.unary(Unary::Relu, y).unwrap();
    work.graph.output(name, y);
    format!("{name}: [{n}, {h}, {wide}, {}] through {shape:?} by {window:?}, groups {groups}", groups * per_group)
}

#[test]
fn convolutions_of_every_kind() {
    each_adapter_and_tier(|gpu| {
        let rng = &mut random();
        for round in 0..3 {
            let mut work = Work::new();
            let mut what = Vec::new();
            for dtype in [DType::F32, DType::F16] {
                let name = |kind: &str| format!("{kind}_{}", dtype.name());
                what.push(convolution(&mut work, rng, &name("aligned"), dtype, 1, 16));
                what.push(convolution(&mut work, rng, &name("odd"), dtype, 1, 3 + round));
                what.push(convolution(&mut work, rng, &name("grouped"), dtype, 3, 5));
                let h = rng.random_range(2..9);
                what.push(convolution_of(&mut work, rng, &name("depthwise"), dtype, [h, 7, 12, 1, 12]));
            }
            work.compare(gpu, F32, &what.join("\n"));
        }
    });
}

#[test]
fn pointwise_convolutions_are_products() {
    each_adapter_and_tier(|gpu| {
        let rng = &mut random();
        let mut work = Work::new();
        let x = dense(&mut work, rng, "x", &[2, 5, 7, 24]);
        for dtype in [DType::F32, DType::BF16] {
            let w = weight(&mut work, rng, dtype.name(), &[9, 1, 1, 24], dtype);
            let y = work.graph.conv2d(x, w, Window::square(1, 1, 0), 1).unwrap();
            let y = nn::silu(&mut work.graph, y).unwrap();
            work.graph.output(dtype.name(), y);
        }
        work.compare(gpu, F32, "1 × 1");
    });
}

/// No loader makes such a filter, so no kernel is compiled and tested for it: said before anything runs.
#[test]
fn a_filter_of_a_language_models_type_is_refused() {
    each_adapter_and_tier(|gpu| {
        let rng = &mut random();
        let mut work = Work::new();
        let x = dense(&mut work, rng, "x", &[1, 5, 7, 32]);
        let w = weight(&mut work, rng, "w", &[9, 2, 2, 32], DType::Q4_1);
        let y = work.graph.conv2d(x, w, Window::square(2, 1, 0), 1).unwrap();
        work.graph.output("y", y);
        let error = work.run(gpu).unwrap_err();
        assert!(error.code == "gpu.graph" && error.cause.contains("q4_1"), "{error}");
    });
}

#[test]
fn adjoints_pooling_resizing_and_norms() {
    each_adapter_and_tier(|gpu| {
        let rng = &mut random();
        for _ in 0..2 {
            let mut work = Work::new();
            let (n, h, w, groups) = (2, rng.random_range(3..9), rng.random_range(3..9), rng.random_range(1..3));
            let window = window(rng, [h, w]);
            let x = dense(&mut work, rng, "x", &[n, h, w, groups * 4]);
            let kernel = [groups * 3, window.kernel[0], window.kernel[1], 4];
            let filter = weight(&mut work, rng, "filter", &kernel, DType::F32);
            let g = &mut work.graph;
            let y = g.conv2d(x, filter, window, groups).unwrap();
            let back = g.conv2d_transposed(y, filter, window, groups, [h, w]).unwrap();
            let of_filter = g.conv2d_filter(x, y, window, groups).unwrap();
            let pooled = g.max_pool(x, Window::square(3, 2, 1)).unwrap();
            let averaged = nn::average_pool(g, x, Window::square(2, 1, 0)).unwrap();
            let nearest = g.resize(x, ResizeMode::Nearest, [h + 2, w * 3]).unwrap();
            let bilinear = g.resize(x, ResizeMode::Bilinear, [h * 2 + 1, w - 1]).unwrap();
            for (name, id) in [
                ("transposed", back),
                ("filter", of_filter),
                ("max_pool", pooled),
                ("average_pool", averaged),
                ("nearest", nearest),
                ("bilinear", bilinear),
            ] {
                work.graph.output(name, id);
            }
            let (scale, bias) =
                (dense(&mut work, rng, "scale", &[groups * 4]), dense(&mut work, rng, "bias", &[groups * 4]));
            // A mean far from zero, as a decoder's activations have.
            let shifted = work.graph.affine(x, 1.0, 30.0).unwrap();
            let normed = nn::group_norm(&mut work.graph, shifted, scale, bias, groups * 2, 1e-6).unwrap();
            let normed = nn::silu(&mut work.graph, normed).unwrap();
            work.graph.output("group_norm", normed);
            work.compare(gpu, F32, &format!("{:?} by {window:?}, groups {groups}", [n, h, w, groups * 4]));
        }
    });
}

/// What a decoder does, on a picture of the given size: everything that is read through windows.
fn decoder(work: &mut Work, rng: &mut SmallRng, h: usize, w: usize) -> Result<NodeId> {
    let x = dense(work, rng, "x", &[1, h, w, 16]);
    let w1 = weight(work, rng, "w1", &[32, 3, 3, 16], DType::F32);
    let w2 = weight(work, rng, "w2", &[32, 3, 3, 32], DType::F16);
    let skip = weight(work, rng, "skip", &[32, 1, 1, 16], DType::F32);
    let last = weight(work, rng, "last", &[3, 3, 3, 32], DType::F32);
    let (scale, bias) = (dense(work, rng, "scale", &[32]), dense(work, rng, "bias", &[32]));
    let g: &mut Graph = &mut work.graph;
    let large = g.resize(x, ResizeMode::Nearest, [h * 2, w * 2])?;
    let y = g.conv2d(large, w1, Window::same(3), 1)?;
    let y = g.add(y, bias)?;
    let normed = nn::group_norm(g, y, scale, bias, 8, 1e-6)?;
    let normed = nn::silu(g, normed)?;
    let z = g.conv2d(normed, w2, Window::same(3), 1)?;
    let beside = g.conv2d(large, skip, Window::square(1, 1, 0), 1)?;
    let z = g.add(z, beside)?;
    let z = g.affine(z, 0.5, 0.1)?;
    let z = g.mul(z, y)?;
    let z = g.unary(Unary::Tanh, z)?;
    let half = g.conv2d(z, w2, Window { padding: [[0, 1], [0, 1]], ..Window::square(3, 2, 0) }, 1)?;
    work.graph.output("half", half);
    let out = work.graph.conv2d(z, last, Window::same(3), 1)?;
    work.graph.output("out", out);
    Ok(out)
}

#[test]
fn a_picture_bound_in_parts_gives_the_numbers_of_the_whole() {
    let _device = one_device();
    for (name, tier) in adapters_and_tiers().into_iter().filter(|(_, tier)| *tier <= Tier::Core) {
        println!("{name}, tier {tier}");
        let rng = &mut random();
        let mut work = Work::new();
        decoder(&mut work, rng, 20, 13).unwrap();
        let open_with = |binding_limit: Option<u64>| -> Gpu {
            let options =
                GpuOptions { tier: Some(tier), adapter: Some(name.clone()), binding_limit, ..Default::default() };
            open(&options).unwrap()
        };
        let whole = work.run(&open_with(None)).unwrap();
        // The largest activation, 40 × 26 × 32 f32, takes 133,120 bytes; the largest weight 36,864.
        let capped = open_with(Some(70_000));
        let parts = work.run(&capped).unwrap_or_else(|e| panic!("{e}"));
        let exact = work.run(&Cpu::new(Mode::Exact)).unwrap();
        for ((whole, parts), exact) in whole.iter().zip(&parts).zip(&exact) {
            // The norm's parts are the same pixels, so the numbers are the same to the bit or nearly.
            close(parts, whole, 1e-6, "in parts");
            close(parts, exact, F32, "against the CPU");
        }
    }
}
