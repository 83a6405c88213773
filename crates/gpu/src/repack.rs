//! From a file's blocks to the layouts kernels know.
//!
//! A weight is scale · q, or scale · q + minimum, with f16 factors per group. Where a block's factor and a group's of a few
//! bits make one (`K` blocks), the product is rounded to f16, once: relatively wrong by at most 2⁻¹¹, and exact where it is
//! below f16's normal numbers, since an integer times a multiple of f16's smallest number is one. A product over f16's
//! largest number is refused. All else is exact.

use std::borrow::Cow;

use half::f16;
use lantern_graph::DType;

use crate::format::Format;

/// Rows as kernels read them.
pub struct Repacked<'b> {
    /// Little-endian, a whole number of 32-bit words.
    pub words: Cow<'b, [u8]>,
    /// A group's scale, or its scale and its minimum, as bits of f16. Empty for plain numbers.
    pub halves: Vec<u16>,
}

/// Rows of `columns` in a file's bytes. `None` when a factor is over f16's largest number.
pub fn repack(dtype: DType, columns: usize, bytes: &[u8]) -> Option<Repacked<'_>> {
    let block: fn(&[u8], &mut Packer) = match dtype {
        DType::F32 | DType::U32 => return Some(Repacked { words: bytes.into(), halves: Vec::new() }),
        DType::F16 | DType::BF16 => {
            return Some(Repacked { words: pad_halves(bytes, columns), halves: Vec::new() });
        }
        DType::Q8_0 => q8_0,
        DType::Q4_0 => q4_0,
        DType::Q4_1 => q4_1,
        DType::Q5_0 => q5_0,
        DType::Q5_1 => q5_1,
        DType::Q2K => q2_k,
        DType::Q3K => q3_k,
        DType::Q4K => q4_k,
        DType::Q5K => q5_k,
        DType::Q6K => q6_k,
    };
    // A little more than a file's bytes, of which factors are the least part.
    let (words, halves) = (Vec::with_capacity(bytes.len()), Vec::with_capacity(bytes.len() / 8));
    let mut packer = Packer { words, halves, too_large: false };
    bytes.chunks_exact(dtype.block().1).for_each(|bytes| block(bytes, &mut packer));
    let Packer { words, halves, too_large } = packer;
    (!too_large).then_some(Repacked { words: words.into(), halves })
}

/// Rows of 16-bit numbers, each filled with zeros to whole chunks of eight.
fn pad_halves(bytes: &[u8], columns: usize) -> Cow<'_, [u8]> {
    if columns.is_multiple_of(8) {
        return bytes.into();
    }
    let padded = columns.next_multiple_of(8) * 2;
    let mut out = Vec::with_capacity(bytes.len() / (columns * 2) * padded);
    for row in bytes.chunks_exact(columns * 2) {
        out.extend_from_slice(row);
        out.resize(out.len() + padded - row.len(), 0);
    }
    out.into()
}

struct Packer {
    words: Vec<u8>,
    halves: Vec<u16>,
    too_large: bool,
}

impl Packer {
    /// Values in order, in planes of some of their bits: `weights.rs` has the order.
    fn integers(&mut self, bits: usize, values: Unit) {
        let (low, high) = Format::planes(bits);
        self.plane(low, 0, &values);
        if high > 0 {
            self.plane(high, low, &values);
        }
    }

    /// `width` bits of each value from bit `from` on.
    fn plane(&mut self, width: usize, from: usize, values: &Unit) {
        for fours in values.chunks_exact(8 / width) {
            let slots = fours.iter().enumerate();
            let word =
                slots.fold(0, |word, (slot, four)| word | (four >> from & each(0xff >> (8 - width))) << (width * slot));
            self.words.extend(word.to_le_bytes());
        }
    }

    /// The f16 at that place of a block, as it is.
    fn half(&mut self, block: &[u8], at: usize) {
        self.halves.push(u16::from_le_bytes([block[at], block[at + 1]]));
    }

    /// A factor times a small integer, exact in f32, to f16.
    fn product(&mut self, factor: f32, by: i32) {
        let exact = factor * by as f32;
        let rounded = f16::from_f32(exact);
        self.too_large |= exact.is_finite() && !rounded.is_finite();
        self.halves.push(rounded.to_bits());
    }
}

fn factor(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// 32 values, a byte each, four to a word.
type Unit = [u32; 8];

/// Those bits in every byte.
fn each(bits: u32) -> u32 {
    bits * 0x0101_0101
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.as_chunks().0.get(at).map_or(0, |four| u32::from_le_bytes(*four))
}

/// From 32 bytes: those bits of each, from bit `from` on.
fn bits_of(bytes: &[u8], from: usize, bits: u32) -> Unit {
    std::array::from_fn(|i| word(bytes, i) >> from & each(bits))
}

/// From 16 bytes: the low nibbles, then the high ones.
fn nibbles(bytes: &[u8]) -> Unit {
    std::array::from_fn(|i| word(bytes, i % 4) >> (i / 4 * 4) & each(15))
}

fn with_more_bits(low: Unit, from: usize, more: Unit) -> Unit {
    std::array::from_fn(|i| low[i] | more[i] << from)
}

/// A fifth bit to each from 4 bytes.
fn with_fifth_bits(low: Unit, fifths: &[u8]) -> Unit {
    let fifths = word(fifths, 0);
    let four = |i: usize| fifths >> (4 * i) & 15;
    with_more_bits(low, 4, std::array::from_fn(|i| (four(i) | four(i) << 7 | four(i) << 14 | four(i) << 21) & each(1)))
}

fn q8_0(block: &[u8], to: &mut Packer) {
    to.half(block, 0);
    to.words.extend_from_slice(&block[2..]);
}

fn q4_0(block: &[u8], to: &mut Packer) {
    to.half(block, 0);
    to.integers(4, nibbles(&block[2..]));
}

fn q4_1(block: &[u8], to: &mut Packer) {
    to.half(block, 0);
    to.half(block, 2);
    to.integers(4, nibbles(&block[4..]));
}

fn q5_0(block: &[u8], to: &mut Packer) {
    to.half(block, 0);
    to.integers(5, with_fifth_bits(nibbles(&block[6..]), &block[2..6]));
}

fn q5_1(block: &[u8], to: &mut Packer) {
    to.half(block, 0);
    to.half(block, 2);
    to.integers(5, with_fifth_bits(nibbles(&block[8..]), &block[4..8]));
}

/// The unit's two bits of each value: of each 128 values in turn, four times 32 bytes at the next two bits.
fn two_bits(bytes: &[u8], unit: usize) -> Unit {
    bits_of(&bytes[unit / 4 * 32..], unit % 4 * 2, 3)
}

fn q2_k(block: &[u8], to: &mut Packer) {
    let (d, d_min) = (factor(block, 80), factor(block, 82));
    for group in &block[..16] {
        to.product(d, i32::from(group & 15));
        to.product(-d_min, i32::from(group >> 4));
    }
    for unit in 0..8 {
        to.integers(2, two_bits(&block[16..80], unit));
    }
}

fn q3_k(block: &[u8], to: &mut Packer) {
    let (thirds, scales, d) = (&block[..32], &block[96..108], factor(block, 108));
    for group in 0..16 {
        // Four bits of it, low nibbles then high ones, and two more further on.
        let low = scales[group % 8] >> (group / 8 * 4) & 15;
        let high = scales[8 + group % 4] >> (group / 4 * 2) & 3;
        to.product(d, i32::from(low | high << 4) - 32);
    }
    for unit in 0..8 {
        to.integers(3, with_more_bits(two_bits(&block[32..96], unit), 2, bits_of(thirds, unit, 1)));
    }
}

/// Scales and minimums of 8 groups, of 6 bits each, in 12 bytes.
fn scales_and_minimums(block: &[u8], to: &mut Packer) {
    let (d, d_min, packed) = (factor(block, 0), factor(block, 2), &block[4..16]);
    for group in 0..8 {
        let (scale, minimum) = if group < 4 {
            (packed[group] & 63, packed[group + 4] & 63)
        } else {
            let both = packed[group + 4];
            (both & 15 | packed[group - 4] >> 6 << 4, both >> 4 | packed[group] >> 6 << 4)
        };
        to.product(d, i32::from(scale));
        to.product(-d_min, i32::from(minimum));
    }
}

/// The unit's four bits of each value: of each 32 bytes the low nibbles, then the high ones.
fn four_bits(bytes: &[u8], unit: usize) -> Unit {
    bits_of(&bytes[unit / 2 * 32..], unit % 2 * 4, 15)
}

fn q4_k(block: &[u8], to: &mut Packer) {
    scales_and_minimums(block, to);
    for unit in 0..8 {
        to.integers(4, four_bits(&block[16..], unit));
    }
}

fn q5_k(block: &[u8], to: &mut Packer) {
    scales_and_minimums(block, to);
    for unit in 0..8 {
        to.integers(5, with_more_bits(four_bits(&block[48..], unit), 4, bits_of(&block[16..48], unit, 1)));
    }
}

fn q6_k(block: &[u8], to: &mut Packer) {
    let (low, high, scales, d) = (&block[..128], &block[128..192], &block[192..208], factor(block, 208));
    for scale in scales {
        to.product(d, i32::from(*scale as i8));
    }
    // Of each 128 values: 64 bytes of low nibbles, then of high ones; 32 bytes with two more bits each.
    for unit in 0..8 {
        let (half, inside) = (unit / 4, unit % 4);
        let nibbles = bits_of(&low[half * 64 + inside % 2 * 32..], inside / 2 * 4, 15);
        to.integers(6, with_more_bits(nibbles, 4, bits_of(&high[half * 32..], inside * 2, 3)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::quantized::{GgmlDType, QStorage, QTensor};
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    const TYPES: [(DType, GgmlDType); 10] = [
        (DType::Q8_0, GgmlDType::Q8_0),
        (DType::Q4_0, GgmlDType::Q4_0),
        (DType::Q4_1, GgmlDType::Q4_1),
        (DType::Q5_0, GgmlDType::Q5_0),
        (DType::Q5_1, GgmlDType::Q5_1),
        (DType::Q2K, GgmlDType::Q2K),
        (DType::Q3K, GgmlDType::Q3K),
        (DType::Q4K, GgmlDType::Q4K),
        (DType::Q5K, GgmlDType::Q5K),
        (DType::Q6K, GgmlDType::Q6K),
    ];

    /// candle's reading of a file's blocks.
    fn dequantized(ggml: GgmlDType, bytes: &[u8], elements: usize) -> Vec<f32> {
        let device = candle_core::Device::Cpu;
        let storage = QStorage::from_data(Cow::Borrowed(bytes), &device, ggml).unwrap();
        let tensor = QTensor::new(storage, elements).unwrap();
        tensor.dequantize(&device).unwrap().to_vec1().unwrap()
    }

    /// What kernels make of a layout, and for each value the magnitude that its factors' rounding is relative to.
    fn unpacked(format: Format, repacked: &Repacked) -> Vec<(f32, f32)> {
        let half = |bits: u16| f16::from_bits(bits).to_f32();
        let Format::Int { bits, group, minimum } = format else { panic!("{} is plain", format.name()) };
        let (low, high) = Format::planes(bits);
        let value = |i: usize| {
            let (unit, i) = (&repacked.words[i / 32 * bits * 4..], i % 32);
            let plane = |at: usize, width: usize| {
                let (word, inside) = (i * width / 32, i % (32 / width));
                u32::from(unit[at * 4 + word * 4 + inside % 4]) >> (inside / 4 * width) & ((1 << width) - 1)
            };
            let q = plane(0, low) | if high > 0 { plane(low, high) << low } else { 0 };
            match (bits, minimum) {
                (8, _) => f32::from(q as u8 as i8),
                (_, true) => q as f32,
                (_, false) => q as f32 - (1 << (bits - 1)) as f32,
            }
        };
        (0..repacked.words.len() * 8 / bits)
            .map(|i| {
                let at = i / group * if minimum { 2 } else { 1 };
                let scaled = half(repacked.halves[at]) * value(i);
                let added = if minimum { half(repacked.halves[at + 1]) } else { 0.0 };
                (scaled + added, scaled.abs() + added.abs())
            })
            .collect()
    }

    fn random_blocks(
        rng: &mut SmallRng,
        dtype: DType,
        factor: impl Fn(&mut SmallRng) -> f16,
        blocks: usize,
    ) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..blocks * dtype.block().1).map(|_| rng.random()).collect();
        for block in bytes.chunks_exact_mut(dtype.block().1) {
            for at in dtype.factors() {
                block[*at..at + 2].copy_from_slice(&factor(rng).to_le_bytes());
            }
        }
        bytes
    }

    /// All bits of blocks are random, factors from f16's smallest numbers to as large as a group's leave finite.
    #[test]
    fn every_layout_is_what_candle_reads_from_the_file() {
        const SEED: u64 = 0x9e37;
        println!("seed {SEED:#x}");
        let rng = &mut SmallRng::seed_from_u64(SEED);
        for (dtype, ggml) in TYPES {
            let blocks = 40;
            for largest in [3e-7f32, 1e-4, 0.01, 1.0, 500.0] {
                let factor = |rng: &mut SmallRng| f16::from_f32(rng.random_range(-largest..largest));
                let bytes = random_blocks(rng, dtype, factor, blocks);
                let elements = blocks * dtype.block().0;
                let repacked = repack(dtype, elements, &bytes).unwrap();
                let ours = unpacked(Format::of(dtype), &repacked);
                let theirs = dequantized(ggml, &bytes, elements);
                assert_eq!(ours.len(), theirs.len());
                // K blocks' factors are rounded to f16; all else differs by the order of f32 operations.
                let rounding = if dtype.block().0 == 256 { 1.0 / 2048.0 } else { 2.0 * f32::EPSILON };
                for (i, ((a, of), b)) in ours.iter().zip(&theirs).enumerate() {
                    let bound = rounding * of * 1.001;
                    assert!((a - b).abs() <= bound, "{} up to {largest}, value {i}: {a} for {b}", dtype.name());
                }
            }
        }
    }

    #[test]
    fn a_factor_over_the_largest_half_is_refused() {
        let rng = &mut SmallRng::seed_from_u64(1);
        for (dtype, _) in TYPES {
            let bytes = random_blocks(rng, dtype, |_| f16::MAX, 4);
            let fits = dtype.block().0 == 32;
            assert_eq!(repack(dtype, 1024, &bytes).is_some(), fits, "{}", dtype.name());
        }
    }

    #[test]
    fn odd_rows_of_halves_are_padded() {
        let bytes: Vec<u8> = (0..12).collect();
        for dtype in [DType::F16, DType::BF16] {
            let padded = repack(dtype, 3, &bytes).unwrap().words;
            assert_eq!(padded.len(), 32);
            assert_eq!(padded[..6], bytes[..6]);
            assert_eq!(padded[16..22], bytes[6..]);
        }
    }
}
