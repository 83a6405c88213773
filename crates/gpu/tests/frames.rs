//! Pictures in and out on the device are the processor's, pixel for pixel: at odd sizes, with alpha, in parts, through a plan, and
//! on what a screen would show.

mod common;

use std::rc::Rc;

use common::{adapters_and_tiers, close, each_adapter_and_tier, one_device, open, oracle, random};
use lantern_cpu::{Cpu, Mode};
use lantern_gpu::{Gpu, GpuOptions, Kernel};
use lantern_graph::{
    Alpha, Bindings, Cancel, Class, Crop, DType, Error, Executor, Filter, FrameSpec, Frames, Graph, Result, Session,
    Transfer, Value,
};
use pollster::block_on;
use rand::Rng;
use rand::rngs::SmallRng;

/// Against f64 on the host: powers are within 2⁻¹⁷ or so.
const TENSOR: f32 = 1e-4;

fn bytes(rng: &mut SmallRng, n: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..n).map(|_| rng.random()).collect();
    for pixel in bytes.as_chunks_mut::<4>().0 {
        pixel[3] = [0, 255, pixel[3], pixel[3]][rng.random_range(0..4)];
    }
    bytes
}

fn any_spec(rng: &mut SmallRng, most: usize) -> FrameSpec {
    let from = [rng.random_range(1..most), rng.random_range(1..most)];
    let (top, left) = (rng.random_range(0..from[0]), rng.random_range(0..from[1]));
    let alphas = [Alpha::Drop, Alpha::Over([1.0, 0.25, 0.0]), Alpha::Keep];
    FrameSpec {
        from,
        crop: Crop { top, left, height: rng.random_range(1..most), width: rng.random_range(1..most) },
        size: [rng.random_range(2..most), rng.random_range(2..most)],
        mirror: rng.random(),
        filter: [Filter::Area, Filter::Bilinear][rng.random_range(0..2)],
        range: [[0.0, 1.0], [-1.0, 1.0], [1.0, 0.0]][rng.random_range(0..3)],
        transfer: [Transfer::Srgb, Transfer::Linear][rng.random_range(0..2)],
        alpha: alphas[rng.random_range(0..3)],
    }
}

/// `y = x`, since a plan's output is no input: times one.
fn passing(size: [usize; 2], channels: usize) -> Graph {
    let mut graph = Graph::new();
    let x = graph.input("picture", [1, size[0], size[1], channels], DType::F32);
    let y = graph.affine(x, 1.0, 0.0).unwrap();
    graph.output("same", y);
    graph
}

/// A picture through a plan that changes nothing: its tensor, and what it is painted as by the second spec.
async fn through<E: Frames>(
    executor: &E,
    inwards: &FrameSpec,
    outwards: &FrameSpec,
    rgba: &[u8],
) -> Result<(Value, Vec<u8>)> {
    let cancel = Cancel::new();
    let mut session = executor.session(Class::Frame);
    let plan = session.compile(&passing(inwards.size, inwards.channels()), &Rc::default(), &cancel).await?;
    let (frame, mut surface) = (executor.frame(inwards.from, rgba)?, executor.surface());
    executor.write_frame(&mut session, &plan, "picture", &frame, inwards).await?;
    session.run(&plan, &Bindings::default(), &[], &cancel).await?;
    executor.paint(&mut session, &plan, "same", outwards, &mut surface).await?;
    let (size, painted) = executor.read_surface(&surface).await?;
    assert_eq!(size, outwards.size);
    Ok((session.read(&plan, "same").await?, painted))
}

/// Bytes that are one apart at most, and few of them.
fn alike(got: &[u8], expected: &[u8], what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let apart = |at: usize| got[at].abs_diff(expected[at]);
    let off = (0..got.len()).filter(|at| apart(*at) > 0).count();
    let furthest = (0..got.len()).map(apart).max().unwrap_or(0);
    assert!(furthest <= 1 && off * 100 <= got.len() + 200, "{what}: {off} of {} differ, by {furthest}", got.len());
}

#[test]
fn any_picture_goes_in_and_out_as_on_the_processor() {
    each_adapter_and_tier(|gpu| {
        let rng = &mut random();
        for round in 0..24 {
            let inwards = any_spec(rng, if round == 0 { 300 } else { 50 });
            let mut outwards = any_spec(rng, 50);
            outwards.from = inwards.size;
            outwards.crop.top = outwards.crop.top.min(inwards.size[0] - 1);
            outwards.crop.left = outwards.crop.left.min(inwards.size[1] - 1);
            (outwards.range, outwards.transfer) = (inwards.range, inwards.transfer);
            let rgba = bytes(rng, 4 * inwards.from[0] * inwards.from[1]);
            let what = format!("{inwards:?}, then {outwards:?}");
            let (tensor, painted) = block_on(through(gpu, &inwards, &outwards, &rgba)).expect(&what);
            let (exact, right) = block_on(through(&Cpu::new(Mode::Exact), &inwards, &outwards, &rgba)).expect(&what);
            close(&tensor, &exact, TENSOR, &what);
            alike(&painted, &right, &what);
        }
        assert_eq!(gpu.step_downs(), []);
    });
}

/// Where nothing is asked for, bytes are the same to the bit, whatever their number a row.
#[test]
fn bytes_come_back_as_they_were() {
    each_adapter_and_tier(|gpu| {
        let rng = &mut random();
        for size in [[1, 1], [3, 64], [5, 65], [16, 200], [301, 7]] {
            let mut rgba = bytes(rng, 4 * size[0] * size[1]);
            let spec = FrameSpec::new(size);
            rgba.as_chunks_mut::<4>().0.iter_mut().for_each(|pixel| pixel[3] = 255);
            let (_, painted) = block_on(through(gpu, &spec, &spec, &rgba)).unwrap();
            assert!(painted == rgba, "{size:?}");
            let light = FrameSpec { transfer: Transfer::Linear, mirror: true, ..spec };
            let (_, painted) = block_on(through(gpu, &light, &light, &rgba)).unwrap();
            assert!(painted == rgba, "{size:?} by way of light");
        }
    });
}

/// What is drawn on a texture is what was painted, its colours multiplied by alpha; a surface changes its size.
#[test]
fn what_a_screen_shows_is_what_was_painted() {
    each_adapter_and_tier(|gpu| {
        block_on(async {
            let rng = &mut random();
            let cancel = Cancel::new();
            let mut surface = gpu.texture_surface();
            assert_eq!(gpu.shown(&surface).await.unwrap_err().code, "frame.unfit");
            for (alpha, size) in [(Alpha::Keep, [7, 70]), (Alpha::Drop, [7, 70]), (Alpha::Keep, [33, 5])] {
                let spec = FrameSpec { alpha, ..FrameSpec::new(size) };
                let rgba = bytes(rng, 4 * size[0] * size[1]);
                let mut session = gpu.session(Class::Frame);
                let plan = session.compile(&passing(size, spec.channels()), &Rc::default(), &cancel).await.unwrap();
                let frame = gpu.frame(size, &rgba).unwrap();
                gpu.write_frame(&mut session, &plan, "picture", &frame, &spec).await.unwrap();
                session.run(&plan, &Bindings::default(), &[], &cancel).await.unwrap();
                gpu.paint(&mut session, &plan, "same", &spec, &mut surface).await.unwrap();
                let (painted_size, painted) = gpu.read_surface(&surface).await.unwrap();
                assert_eq!((painted_size, surface.size()), (size, size));
                let multiplied = |pixel: &[u8; 4]| {
                    let times = |v: u8| (f64::from(v) * f64::from(pixel[3]) / 255.0).round() as u8;
                    [times(pixel[0]), times(pixel[1]), times(pixel[2]), pixel[3]]
                };
                let expected: Vec<u8> = painted.as_chunks::<4>().0.iter().flat_map(multiplied).collect();
                let shown = gpu.shown(&surface).await.unwrap();
                match alpha {
                    // How a driver rounds a colour to a byte of a texture is its own affair: seen one apart on 1 % of the bytes.
                    Alpha::Keep => assert!(shown.iter().zip(&expected).all(|(a, b)| a.abs_diff(*b) <= 1)),
                    _ => assert_eq!(shown, expected),
                }
            }
        });
    });
}

#[test]
fn a_picture_bound_in_parts_is_the_picture() {
    let _device = one_device();
    for (name, tier) in adapters_and_tiers() {
        println!("{name}, tier {tier}");
        let rng = &mut random();
        let open_with = |binding_limit: Option<u64>| -> Gpu {
            let options =
                GpuOptions { tier: Some(tier), adapter: Some(name.clone()), binding_limit, ..Default::default() };
            open(&options).unwrap()
        };
        // Its words take 300 · 256 · 4 bytes, its tensor 131 · 97 · 4 · 4.
        let rgba = bytes(rng, 4 * 300 * 201);
        let inwards = FrameSpec { size: [131, 97], alpha: Alpha::Keep, ..FrameSpec::new([300, 201]) };
        let outwards = FrameSpec { size: [260, 150], ..FrameSpec::new([131, 97]) };
        let whole = block_on(through(&open_with(None), &inwards, &outwards, &rgba)).unwrap();
        let parts = block_on(frames_in_parts(&open_with(Some(160_000)), &inwards, &outwards, &rgba)).unwrap();
        assert_eq!(parts, whole.1);
        let error = block_on(through(&open_with(Some(1000)), &inwards, &outwards, &rgba)).unwrap_err();
        assert!(matches!(error.code, "gpu.too_large" | "frame.too_large"), "{error}");
    }
}

/// As `through`, without a plan between that would have to see all of it at once.
async fn frames_in_parts(gpu: &Gpu, inwards: &FrameSpec, outwards: &FrameSpec, rgba: &[u8]) -> Result<Vec<u8>> {
    let cancel = Cancel::new();
    let mut graph = Graph::new();
    let [height, width] = inwards.size;
    let x = graph.input("picture", [1, height, width, 4], DType::F32);
    graph.output("same", x);
    let mut session = gpu.session(Class::Frame);
    let plan = session.compile(&graph, &Rc::default(), &cancel).await?;
    let (frame, mut surface) = (gpu.frame(inwards.from, rgba)?, gpu.surface());
    gpu.write_frame(&mut session, &plan, "picture", &frame, inwards).await?;
    session.run(&plan, &Bindings::default(), &[], &cancel).await?;
    gpu.paint(&mut session, &plan, "same", outwards, &mut surface).await?;
    Ok(gpu.read_surface(&surface).await?.1)
}

#[test]
fn pictures_are_compared_in_whole_numbers() {
    each_adapter_and_tier(|gpu| {
        block_on(async {
            let rng = &mut random();
            let cpu = Cpu::new(Mode::Exact);
            for size in [[1, 1], [17, 255], [3, 600]] {
                let (a, b) = (bytes(rng, 4 * size[0] * size[1]), bytes(rng, 4 * size[0] * size[1]));
                let spec = FrameSpec { alpha: Alpha::Keep, ..FrameSpec::new(size) };
                let on_gpu = painted(gpu, &spec, &a).await.unwrap();
                let apart = gpu.difference(&on_gpu, &gpu.frame(size, &b).unwrap()).await.unwrap();
                let (_, seen) = gpu.read_surface(&on_gpu).await.unwrap();
                let pairs = seen.as_chunks::<4>().0.iter().zip(b.as_chunks::<4>().0);
                let squares =
                    |(a, b): (&[u8; 4], &[u8; 4])| (0..3).map(|c| u64::from(a[c].abs_diff(b[c])).pow(2)).sum::<u64>();
                assert_eq!(apart, pairs.map(squares).sum::<u64>(), "{size:?}");
                assert!(apart > 0);
                let itself = gpu.frame(size, &seen).unwrap();
                assert_eq!(gpu.difference(&on_gpu, &itself).await, Ok(0));
                let other = gpu.frame([1, 2], &[0; 8]).unwrap();
                assert_eq!(gpu.difference(&on_gpu, &other).await.unwrap_err().code, "frame.unfit");
                let on_cpu = painted(&cpu, &spec, &a).await.unwrap();
                assert_eq!(on_cpu.size(), size);
            }
        });
    });
}

async fn painted<E: Frames>(executor: &E, spec: &FrameSpec, rgba: &[u8]) -> Result<E::Surface> {
    let cancel = Cancel::new();
    let mut session = executor.session(Class::Frame);
    let plan = session.compile(&passing(spec.size, spec.channels()), &Rc::default(), &cancel).await?;
    let mut surface = executor.surface();
    executor.write_frame(&mut session, &plan, "picture", &executor.frame(spec.from, rgba)?, spec).await?;
    session.run(&plan, &Bindings::default(), &[], &cancel).await?;
    executor.paint(&mut session, &plan, "same", spec, &mut surface).await?;
    Ok(surface)
}

/// A frame stays until a value is given; memory is counted, and given back.
#[test]
fn a_frame_stays_an_input_until_a_value_is_given_and_memory_is_counted() {
    each_adapter_and_tier(|gpu| {
        block_on(async {
            let cancel = Cancel::new();
            let mut session = gpu.session(Class::Frame);
            let plan = session.compile(&passing([6, 10], 3), &Rc::default(), &cancel).await.unwrap();
            let bindings = Bindings::default();
            let given = || Value::F32(vec![0.0; 180]);
            // What results are copied to for the host stays in the session.
            session.run(&plan, &bindings, &[("picture", given())], &cancel).await.unwrap();
            session.read(&plan, "same").await.unwrap();
            let before = gpu.memory_bytes();
            let (frame, spec) = (gpu.frame([6, 10], &[51; 240]).unwrap(), FrameSpec::new([6, 10]));
            assert_eq!(gpu.memory_bytes() - before, 6 * 64 * 4);
            let mut surface = gpu.texture_surface();
            let missing = session.run(&plan, &bindings, &[], &cancel).await.unwrap_err();
            assert!(missing.cause.contains("picture"), "{missing}");
            gpu.write_frame(&mut session, &plan, "picture", &frame, &spec).await.unwrap();
            for _ in 0..2 {
                session.run(&plan, &bindings, &[], &cancel).await.unwrap();
                let values = session.read(&plan, "same").await.unwrap().into_f32().unwrap();
                assert!(values.iter().all(|v| (v - 0.2).abs() < 1e-6));
            }
            gpu.paint(&mut session, &plan, "same", &spec, &mut surface).await.unwrap();
            assert_eq!(gpu.memory_bytes() - before, 2 * 6 * 64 * 4 + 6 * 10 * 4);
            session.run(&plan, &bindings, &[("picture", given())], &cancel).await.unwrap();
            assert!(session.run(&plan, &bindings, &[], &cancel).await.is_err());
            drop((frame, surface));
            assert_eq!(gpu.memory_bytes(), before);
        });
    });
}

#[test]
fn what_does_not_fit_is_said() {
    each_adapter_and_tier(|gpu| {
        block_on(async {
            let cancel = Cancel::new();
            let mut session = gpu.session(Class::Frame);
            let plan = session.compile(&passing([3, 5], 3), &Rc::default(), &cancel).await.unwrap();
            let (frame, spec) = (gpu.frame([4, 5], &[7; 80]).unwrap(), FrameSpec::part([4, 5], [3, 5]));
            let code = |result: Result<()>| result.unwrap_err().code;
            assert_eq!(gpu.frame([4, 5], &[7; 79]).err().map(|error: Error| error.code), Some("frame.unfit"));
            assert_eq!(code(gpu.write_frame(&mut session, &plan, "x", &frame, &spec).await), "graph.input");
            let whole = FrameSpec::new([4, 5]);
            assert_eq!(code(gpu.write_frame(&mut session, &plan, "picture", &frame, &whole).await), "frame.unfit");
            let (spec, mut surface) = (FrameSpec::new([3, 5]), gpu.surface());
            assert_eq!(code(gpu.write_frame(&mut session, &plan, "picture", &frame, &spec).await), "frame.unfit");
            assert_eq!(code(gpu.paint(&mut session, &plan, "same", &spec, &mut surface).await), "graph.output");
            assert_eq!(code(gpu.paint(&mut session, &plan, "y", &spec, &mut surface).await), "graph.output");
            assert_eq!(gpu.difference(&surface, &frame).await.unwrap_err().code, "frame.unfit");
        });
    });
}

/// They have one variant, so that one which is wrong has nowhere to step down to: no picture passes.
#[test]
fn a_driver_that_gets_pictures_wrong_is_not_trusted_with_them() {
    let _device = one_device();
    for (adapter, tier) in adapters_and_tiers() {
        for (kernel, right, wrong) in [
            (Kernel::FrameIn, "/ 255.0", "/ 256.0"),
            (Kernel::FrameOut, "floor(v * 255.0 + 0.5)", "floor(v * 252.0)"),
            (Kernel::FrameDifference, "shift < 24u", "shift < 16u"),
        ] {
            let patch = move |patched: Kernel, _, wgsl: String| {
                assert!(patched != kernel || wgsl.contains(right), "{wgsl}");
                if patched == kernel { wgsl.replace(right, wrong) } else { wgsl }
            };
            let options = GpuOptions {
                tier: Some(tier),
                adapter: Some(adapter.clone()),
                patch: Some(Rc::new(patch)),
                ..Default::default()
            };
            let gpu = block_on(Gpu::new(&options, oracle())).unwrap();
            let error = block_on(gpu.prepare(&[kernel])).unwrap_err();
            assert!(error.code == "gpu.kernel" && error.cause.contains(&kernel.name()), "{error}");
        }
    }
}
