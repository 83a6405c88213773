//! Pictures to tensors and back on the processor: against the definition, written out anew in whole pictures, and through a plan.

mod common;

use std::rc::Rc;

use lantern_cpu::{Cpu, Mode};
use lantern_graph::{
    Alpha, Bindings, Cancel, Class, Crop, DType, Executor, Filter, FrameSpec, Frames, Graph, Oracle, Session, Transfer,
    Value,
};
use pollster::block_on;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

fn random() -> SmallRng {
    let seed = std::env::var("LANTERN_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(20_261_127);
    println!("seed {seed} (LANTERN_SEED)");
    SmallRng::seed_from_u64(seed)
}

fn bytes(rng: &mut SmallRng, n: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..n).map(|_| rng.random()).collect();
    // Alpha of all kinds, its ends among them.
    for pixel in bytes.as_chunks_mut::<4>().0 {
        pixel[3] = [0, 255, pixel[3], pixel[3]][rng.random_range(0..4)];
    }
    bytes
}

fn any_spec(rng: &mut SmallRng) -> FrameSpec {
    let from = [rng.random_range(1..40), rng.random_range(1..40)];
    let (top, left) = (rng.random_range(0..from[0]), rng.random_range(0..from[1]));
    // Past the edge too.
    let crop = Crop { top, left, height: rng.random_range(1..40), width: rng.random_range(1..40) };
    let alphas = [Alpha::Drop, Alpha::Over([1.0, 0.25, 0.0]), Alpha::Keep];
    FrameSpec {
        from,
        crop,
        size: [rng.random_range(1..40), rng.random_range(1..40)],
        mirror: rng.random(),
        filter: [Filter::Area, Filter::Bilinear][rng.random_range(0..2)],
        range: [[0.0, 1.0], [-1.0, 1.0], [1.0, 0.0]][rng.random_range(0..3)],
        transfer: [Transfer::Srgb, Transfer::Linear][rng.random_range(0..2)],
        alpha: alphas[rng.random_range(0..3)],
    }
}

/// How much of pixel `j` is in pixel `i`, in fractions of a pixel.
fn share(filter: Filter, i: usize, j: usize, length: usize, out: usize) -> f64 {
    let scale = length as f64 / out as f64;
    match filter {
        Filter::Area => {
            let (start, end) = (i as f64 * scale, (i + 1) as f64 * scale);
            (end.min((j + 1) as f64) - start.max(j as f64)).max(0.0)
        }
        Filter::Bilinear => (1.0 - ((j as f64 + 0.5) - (i as f64 + 0.5) * scale).abs() / scale.max(1.0)).max(0.0),
    }
}

/// The mean of the pixels of a cropped picture under pixel `[y, x]` of the result.
fn mean(spec: &FrameSpec, pixels: &[Vec<[f64; 4]>], [y, x]: [usize; 2]) -> [f64; 4] {
    let (mut sum, mut total) = ([0.0; 4], 0.0);
    for (j, line) in pixels.iter().enumerate() {
        for (k, pixel) in line.iter().enumerate() {
            let weight = share(spec.filter, y, j, spec.crop.height, spec.size[0])
                * share(spec.filter, x, k, spec.crop.width, spec.size[1]);
            sum.iter_mut().zip(pixel).for_each(|(sum, v)| *sum += weight * v);
            total += weight;
        }
    }
    sum.map(|v| v / total)
}

fn cropped<T>(spec: &FrameSpec, pixel: impl Fn(usize, usize) -> T) -> Vec<Vec<T>> {
    let Crop { top, left, height, width } = spec.crop;
    let row = |y: usize| (top + y).min(spec.from[0] - 1);
    let column = |x: usize| (left + x).min(spec.from[1] - 1);
    (0..height).map(|y| (0..width).map(|x| pixel(row(y), column(x))).collect()).collect()
}

fn linear(v: f64) -> f64 {
    if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
}

fn srgb(v: f64) -> f64 {
    if v <= 0.003_130_8 { 12.92 * v } else { 1.055 * v.powf(1.0 / 2.4) - 0.055 }
}

fn defined_in(spec: &FrameSpec, rgba: &[u8]) -> Vec<f32> {
    let pixels = cropped(spec, |y, x| {
        let [r, g, b, a] = rgba.as_chunks::<4>().0[y * spec.from[1] + x].map(|byte| f64::from(byte) / 255.0);
        let colours = [r, g, b].map(|v| if spec.transfer == Transfer::Linear { linear(v) } else { v });
        match spec.alpha {
            Alpha::Drop => [colours[0], colours[1], colours[2], 1.0],
            Alpha::Over(other) => {
                let over = |c: usize| colours[c] * a + f64::from(other[c]) * (1.0 - a);
                [over(0), over(1), over(2), 1.0]
            }
            Alpha::Keep => [colours[0] * a, colours[1] * a, colours[2] * a, a],
        }
    });
    let [height, width] = spec.size;
    let mut out = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let x = if spec.mirror { width - 1 - x } else { x };
            let [r, g, b, a] = mean(spec, &pixels, [y, x]);
            let [black, white] = spec.range.map(f64::from);
            let apart = if spec.alpha != Alpha::Keep { 1.0 } else { a };
            // Shares of nothing are not always 0 in fractions.
            let colour = |v: f64| black + if apart > 1e-12 { v / apart } else { 0.0 } * (white - black);
            out.extend([colour(r), colour(g), colour(b)].map(|v| v as f32));
            out.extend((spec.alpha == Alpha::Keep).then_some(a as f32));
        }
    }
    out
}

fn defined_out(spec: &FrameSpec, channels: usize, values: &[f32]) -> Vec<f64> {
    let [black, white] = spec.range.map(f64::from);
    let pixels = cropped(spec, |y, x| {
        let pixel = &values[(y * spec.from[1] + x) * channels..][..channels];
        let alpha = if channels == 4 { f64::from(pixel[3]).clamp(0.0, 1.0) } else { 1.0 };
        let colour = |c: usize| (f64::from(pixel[c.min(channels - 1)]) - black) / (white - black) * alpha;
        [colour(0), colour(if channels == 1 { 0 } else { 1 }), colour(if channels == 1 { 0 } else { 2 }), alpha]
    });
    let [height, width] = spec.size;
    let mut out = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let x = if spec.mirror { width - 1 - x } else { x };
            let [r, g, b, a] = mean(spec, &pixels, [y, x]);
            let colour = |v: f64| {
                let v = if a > 1e-12 { v / a } else { 0.0 }.clamp(0.0, 1.0);
                255.0 * if spec.transfer == Transfer::Linear { srgb(v) } else { v }
            };
            out.extend([colour(r), colour(g), colour(b), 255.0 * a]);
        }
    }
    out
}

#[test]
fn any_picture_becomes_the_tensor_of_the_definition() {
    let (rng, cpu) = (&mut random(), Cpu::new(Mode::Exact));
    for _ in 0..60 {
        let spec = any_spec(rng);
        let rgba = bytes(rng, 4 * spec.from[0] * spec.from[1]);
        let got = cpu.picture_to_tensor(&spec, &rgba).unwrap();
        let expected = defined_in(&spec, &rgba);
        assert_eq!(got.len(), expected.len(), "{spec:?}");
        for (i, (got, right)) in got.iter().zip(&expected).enumerate() {
            assert!((got - right).abs() < 1e-6, "{spec:?}: number {i} is {got}, not {right}");
        }
    }
}

#[test]
fn any_tensor_becomes_the_picture_of_the_definition() {
    let (rng, cpu) = (&mut random(), Cpu::new(Mode::Exact));
    for round in 0..60 {
        let (spec, channels) = (any_spec(rng), [1, 3, 4][round % 3]);
        // Some beyond both ends.
        let n = spec.from[0] * spec.from[1] * channels;
        let values: Vec<f32> = (0..n).map(|_| rng.random_range(-1.3..1.3)).collect();
        let got = cpu.tensor_to_picture(&spec, channels, &values).unwrap();
        let expected = defined_out(&spec, channels, &values);
        assert_eq!(got.len(), expected.len(), "{spec:?}");
        for (i, (got, right)) in got.iter().zip(&expected).enumerate() {
            assert!(
                (f64::from(*got) - right).abs() < 0.5 + 1e-6,
                "{spec:?}, {channels}: byte {i} is {got}, not {right}"
            );
        }
    }
}

/// Nothing is lost where nothing is asked for: all bytes, both transfers, with and without alpha, turned round twice.
#[test]
fn bytes_come_back_as_they_were() {
    let cpu = Cpu::new(Mode::Exact);
    let rgba: Vec<u8> = (0..=255u8).flat_map(|v| [v, 255 - v, v.wrapping_mul(7), 255]).collect();
    for transfer in [Transfer::Srgb, Transfer::Linear] {
        for (alpha, channels) in [(Alpha::Drop, 3), (Alpha::Over([1.0; 3]), 3), (Alpha::Keep, 4)] {
            let spec = FrameSpec { transfer, alpha, mirror: true, range: [-1.0, 1.0], ..FrameSpec::new([8, 32]) };
            let tensor = cpu.picture_to_tensor(&spec, &rgba).unwrap();
            assert_eq!(cpu.tensor_to_picture(&spec, channels, &tensor).unwrap(), rgba, "{spec:?}");
        }
    }
    let glass = [0u8, 0, 0, 0, 255, 0, 0, 51];
    let over = FrameSpec { alpha: Alpha::Over([1.0; 3]), ..FrameSpec::new([1, 2]) };
    let tensor = cpu.picture_to_tensor(&over, &glass).unwrap();
    assert_eq!(cpu.tensor_to_picture(&over, 3, &tensor).unwrap(), [255, 255, 255, 255, 255, 204, 204, 255]);
}

/// By hand: a white half and a black half become grey, which in light is a lighter one; a step is smoothed; an edge goes on.
#[test]
fn shrinking_averages_enlarging_smooths_and_padding_repeats() {
    let cpu = Cpu::new(Mode::Exact);
    let halves = [255u8, 255, 255, 255, 0, 0, 0, 255];
    for (transfer, byte) in [(Transfer::Srgb, 128), (Transfer::Linear, 188)] {
        for filter in [Filter::Area, Filter::Bilinear] {
            let spec = FrameSpec { size: [1, 1], transfer, filter, ..FrameSpec::new([1, 2]) };
            let tensor = cpu.picture_to_tensor(&spec, &halves).unwrap();
            let back = FrameSpec { transfer, ..FrameSpec::new([1, 1]) };
            assert_eq!(cpu.tensor_to_picture(&back, 3, &tensor).unwrap(), [byte, byte, byte, 255], "{filter:?}");
        }
    }
    let red = |spec: &FrameSpec| -> Vec<f32> {
        cpu.picture_to_tensor(spec, &halves).unwrap().as_chunks::<3>().0.iter().map(|pixel| pixel[0]).collect()
    };
    let spec = FrameSpec { size: [1, 4], ..FrameSpec::new([1, 2]) };
    assert_eq!(red(&spec), [1.0, 0.75, 0.25, 0.0]);
    assert_eq!(red(&FrameSpec { filter: Filter::Area, ..spec }), [1.0, 1.0, 0.0, 0.0]);
    assert_eq!(red(&FrameSpec::part([1, 2], [2, 4])), [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
    assert_eq!(red(&FrameSpec::part([1, 2], [1, 1])), [1.0]);
}

/// `y = 1 − x` over a picture.
fn inverting(size: [usize; 2]) -> Graph {
    let mut graph = Graph::new();
    let x = graph.input("picture", [1, size[0], size[1], 3], DType::F32);
    let y = graph.affine(x, -1.0, 1.0).unwrap();
    graph.output("inverted", y);
    graph
}

#[test]
fn a_frame_goes_through_a_plan_and_is_painted() {
    block_on(async {
        let (cpu, cancel) = (Cpu::new(Mode::Fast), Cancel::new());
        let graph = inverting([3, 5]);
        let mut session = cpu.session(Class::Frame);
        let plan = session.compile(&graph, &Rc::default(), &cancel).await.unwrap();
        let before = cpu.memory_bytes();
        let rgba = bytes(&mut random(), 4 * 15);
        let (frame, spec) = (cpu.frame([3, 5], &rgba).unwrap(), FrameSpec::new([3, 5]));
        let mut surface = cpu.surface();
        let bindings = Bindings::default();
        let missing = session.run(&plan, &bindings, &[], &cancel).await.unwrap_err();
        assert!(missing.cause.contains("picture"), "{missing}");
        cpu.write_frame(&mut session, &plan, "picture", &frame, &spec).await.unwrap();
        // Once written it stays.
        for _ in 0..2 {
            session.run(&plan, &bindings, &[], &cancel).await.unwrap();
            cpu.paint(&mut session, &plan, "inverted", &spec, &mut surface).await.unwrap();
            let (size, painted) = cpu.read_surface(&surface).await.unwrap();
            let inverted = |(i, byte): (usize, &u8)| if i % 4 == 3 { 255 } else { 255 - byte };
            assert_eq!((size, painted), ([3, 5], rgba.iter().enumerate().map(inverted).collect()));
        }
        let same = cpu.frame([3, 5], surface.rgba()).unwrap();
        assert_eq!(cpu.difference(&surface, &same).await, Ok(0));
        let squares = |(a, b): (&u8, &u8)| u64::from(a.abs_diff(*b)).pow(2);
        let colours = rgba.iter().zip(surface.rgba()).enumerate().filter(|(i, _)| i % 4 < 3);
        let apart: u64 = colours.map(|(_, pair)| squares(pair)).sum();
        assert_eq!(cpu.difference(&surface, &frame).await, Ok(apart));
        // A value that is given takes its place, for good.
        let given = Value::F32(vec![0.0; 45]);
        session.run(&plan, &bindings, &[("picture", given)], &cancel).await.unwrap();
        cpu.paint(&mut session, &plan, "inverted", &spec, &mut surface).await.unwrap();
        assert!(surface.rgba().iter().all(|byte| *byte == 255));
        assert!(session.run(&plan, &bindings, &[], &cancel).await.is_err());
        drop((frame, same, surface));
        assert_eq!(cpu.memory_bytes(), before);
    });
}

#[test]
fn what_does_not_fit_is_said() {
    block_on(async {
        let (cpu, cancel) = (Cpu::new(Mode::Fast), Cancel::new());
        let mut session = cpu.session(Class::Frame);
        let plan = session.compile(&inverting([3, 5]), &Rc::default(), &cancel).await.unwrap();
        let (frame, spec) = (cpu.frame([4, 5], &[7; 80]).unwrap(), FrameSpec::part([4, 5], [3, 5]));
        assert_eq!(cpu.frame([4, 5], &[7; 79]).err().unwrap().code, "frame.unfit");
        let code = |result: lantern_graph::Result<()>| result.unwrap_err().code;
        assert_eq!(code(cpu.write_frame(&mut session, &plan, "x", &frame, &spec).await), "graph.input");
        let of_another = FrameSpec::new([3, 5]);
        assert_eq!(code(cpu.write_frame(&mut session, &plan, "picture", &frame, &of_another).await), "frame.unfit");
        let whole = FrameSpec::new([4, 5]);
        assert_eq!(code(cpu.write_frame(&mut session, &plan, "picture", &frame, &whole).await), "frame.unfit");
        let mut surface = cpu.surface();
        let spec = FrameSpec::new([3, 5]);
        assert_eq!(code(cpu.paint(&mut session, &plan, "inverted", &spec, &mut surface).await), "graph.output");
        assert_eq!(code(cpu.paint(&mut session, &plan, "y", &spec, &mut surface).await), "graph.output");
        assert_eq!(code(cpu.paint(&mut session, &plan, "inverted", &whole, &mut surface).await), "frame.unfit");
        assert_eq!(cpu.difference(&surface, &frame).await.unwrap_err().code, "frame.unfit");
    });
}
