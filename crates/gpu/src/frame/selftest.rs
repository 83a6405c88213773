//! The kernels of this room, and their self-test: no picture passes through a driver before these kernels were right there, twice: of odd sizes, with every kind of oddity.

use std::pin::Pin;

use lantern_graph::{Alpha, Crop, Error, Filter, FrameSpec, Result, Transfer};

use super::Pixels;
use crate::device::Gpu;
use crate::kernel::{Described, Kernel, Test, Variant};
use crate::session::DATA;

/// Against f64: powers are within 2⁻¹⁷ or so.
const TENSOR: f32 = 1e-4;

/// A byte may be rounded the other way.
const BYTES: u8 = 1;

/// One smaller and one larger way, with nothing alike on both axes.
fn ways() -> [FrameSpec; 2] {
    let from = [13, 19];
    let crop = Crop { top: 2, left: 3, height: 14, width: 15 };
    let smaller = FrameSpec {
        crop,
        size: [5, 7],
        mirror: true,
        range: [-1.0, 1.0],
        transfer: Transfer::Linear,
        alpha: Alpha::Keep,
        ..FrameSpec::new(from)
    };
    let larger = FrameSpec {
        crop: Crop { height: 4, ..crop },
        size: [9, 17],
        filter: Filter::Area,
        alpha: Alpha::Over([0.5, 1.0, 0.0]),
        ..FrameSpec::new(from)
    };
    [smaller, larger]
}

pub(crate) fn all() -> Vec<Kernel> {
    vec![Kernel::FrameIn, Kernel::FrameOut, Kernel::FrameDifference]
}

pub(crate) fn frame_in() -> Described {
    let variants = vec![Variant::software("frame_in.wgsl")];
    let test = Test::Own(|gpu| twice(gpu, "frame_in", |gpu| Box::pin(inwards(gpu))));
    Described { name: "frame_in".into(), variants, test }
}

pub(crate) fn frame_out() -> Described {
    let variants = vec![Variant::software("frame_out.wgsl")];
    let test = Test::Own(|gpu| twice(gpu, "frame_out", |gpu| Box::pin(outwards(gpu))));
    Described { name: "frame_out".into(), variants, test }
}

pub(crate) fn frame_difference() -> Described {
    let variants = vec![Variant::software("frame_difference.wgsl")];
    let test = Test::Own(|gpu| twice(gpu, "frame_difference", |gpu| Box::pin(differences(gpu))));
    Described { name: "frame_difference".into(), variants, test }
}

type Later<'g, T> = Pin<Box<dyn Future<Output = Result<T>> + 'g>>;

/// Runs a kernel with its chosen variant, twice: `test` says what was wrong.
///
/// # Errors
/// `gpu.selftest` with what was wrong; `gpu.lost`.
fn twice<'g>(gpu: &'g Gpu, name: &'static str, test: fn(&Gpu) -> Later<'_, Option<String>>) -> Later<'g, ()> {
    Box::pin(rounds(gpu, name, test))
}

async fn rounds(gpu: &Gpu, name: &str, test: fn(&Gpu) -> Later<'_, Option<String>>) -> Result<()> {
    for round in ["first", "second"] {
        let outcome = test(gpu).await;
        // A refused command was about this kernel; a lost device is not.
        let wrong = outcome.map_err(|error| gpu.take_trouble().unwrap_or(error))?;
        if let Some(wrong) = wrong {
            return Err(Error::new(
                "gpu.selftest",
                format!("{name} is wrong in its {round} run: {wrong}"),
                "use the processor",
            ));
        }
    }
    Ok(())
}

/// Deterministic: a self-test must not depend on chance. A quarter is wholly transparent, and a quarter opaque.
fn bytes(n: usize) -> Vec<u8> {
    let mut state = 0x2545_f491u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 11) as u8
    };
    let mut bytes: Vec<u8> = (0..n).map(|_| next()).collect();
    for pixel in bytes.as_chunks_mut::<4>().0 {
        pixel[3] = if pixel[3] % 4 == 0 { 0 } else { pixel[3] | (255 * u8::from(pixel[3] % 4 == 1)) };
    }
    bytes
}

async fn inwards(gpu: &Gpu) -> Result<Option<String>> {
    for spec in ways() {
        let [height, width] = spec.from;
        let rgba = bytes(4 * height * width);
        let expected = gpu.0.oracle.picture_to_tensor(&spec, &rgba)?;
        let picture = gpu.upload(spec.from, &rgba)?;
        let tensor = gpu.buffer("tensor", expected.len() as u64 * 4, DATA);
        gpu.picture_in(&picture, &spec, &tensor, 0)?;
        let got = gpu.read_buffer(&mut None, &tensor, 0, expected.len() as u64 * 4).await?;
        let got: Vec<f32> = bytemuck::pod_collect_to_vec(&got);
        // Asked so that NaN fails.
        let is_close = |(a, b): (&f32, &f32)| (a - b).abs() <= TENSOR;
        if let Some(at) = got.iter().zip(&expected).position(|pair| !is_close(pair)) {
            return Ok(Some(format!("number {at} is {}, not {}", got[at], expected[at])));
        }
    }
    Ok(None)
}

async fn outwards(gpu: &Gpu) -> Result<Option<String>> {
    for (spec, channels) in ways().into_iter().zip([4, 3]) {
        let [height, width] = spec.from;
        // Some beyond both ends of the range.
        let [black, white] = spec.range;
        let value = |byte: &u8| black + (f32::from(*byte) / 220.0 - 0.05) * (white - black);
        let values: Vec<f32> = bytes(4 * height * width).iter().take(channels * height * width).map(value).collect();
        let expected = gpu.0.oracle.tensor_to_picture(&spec, channels, &values)?;
        let tensor = gpu.buffer("tensor", values.len() as u64 * 4, DATA);
        gpu.0.queue.write_buffer(&tensor, 0, bytemuck::cast_slice(&values));
        let picture = Pixels::new(gpu, spec.size)?;
        gpu.picture_out(&tensor, 0, channels, &spec, &picture)?;
        let got = gpu.bytes_of(&picture).await?;
        if let Some(at) = got.iter().zip(&expected).position(|(a, b)| a.abs_diff(*b) > BYTES) {
            return Ok(Some(format!("byte {at} is {}, not {}", got[at], expected[at])));
        }
    }
    Ok(None)
}

async fn differences(gpu: &Gpu) -> Result<Option<String>> {
    // More than one piece a row.
    let size = [3, 301];
    let a = bytes(4 * 3 * 301);
    let b: Vec<u8> = a.iter().rev().copied().collect();
    let rows = a.chunks_exact(4 * 301).zip(b.chunks_exact(4 * 301));
    let of_piece = |(a, b): (&[u8], &[u8])| -> u32 {
        let pixels = a.as_chunks::<4>().0.iter().zip(b.as_chunks::<4>().0);
        pixels.map(|(a, b)| (0..3).map(|c| u32::from(a[c].abs_diff(b[c])).pow(2)).sum::<u32>()).sum()
    };
    let piece = 4 * super::PIECE;
    let expected: Vec<u32> = rows.flat_map(|(a, b)| a.chunks(piece).zip(b.chunks(piece)).map(of_piece)).collect();
    let sums = gpu.differences(&gpu.upload(size, &a)?, &gpu.upload(size, &b)?)?;
    let got = gpu.read_buffer(&mut None, &sums, 0, expected.len() as u64 * 4).await?;
    let got: Vec<u32> = bytemuck::pod_collect_to_vec(&got);
    Ok((got != expected).then(|| format!("sums are {got:?}, not {expected:?}")))
}
