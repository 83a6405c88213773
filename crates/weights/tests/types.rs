//! What each type loses: bounds on dequantized values against what was encoded, and blocks by hand.

mod common;

use common::Rng;
use lantern_weights::{GgmlType, dequantize, quantize};

const VALUES: usize = 256 * 256;

fn round_trip(dtype: GgmlType, values: &[f32]) -> Vec<f32> {
    let mut decoded = vec![0f32; values.len()];
    dequantize(dtype, &quantize(dtype, values).unwrap(), &mut decoded).unwrap();
    decoded
}

fn amax(values: &[f32]) -> f32 {
    values.iter().fold(0f32, |m, v| m.max(v.abs()))
}

fn rms(values: impl Iterator<Item = f32>) -> f64 {
    let (sum, count) = values.fold((0f64, 0), |(sum, n), v| (sum + f64::from(v).powi(2), n + 1));
    (sum / f64::from(count)).sqrt()
}

/// The step between neighbouring levels for normal values of variance 1, from the mean of what a group of so many spans
/// (order statistics: 32 values span 4.1 and reach 2.2 in magnitude, 16 span 3.5 and reach 1.9), in levels. The error of
/// rounding to steps of s is evenly spread, of root mean square s / √12. Scales are rounded too: 10 %.
#[test]
fn normal_values_lose_what_their_steps_say() {
    const SEED: u64 = 0x6a05_5000;
    println!("seed {SEED:#x}");
    let mut rng = Rng(SEED);
    let values: Vec<f32> = (0..VALUES).map(|_| rng.normal()).collect();
    for (dtype, step) in [
        (GgmlType::Q8_0, 2.2 / 127.0),
        (GgmlType::Q4_0, 2.2 / 8.0),
        (GgmlType::Q4_1, 4.1 / 15.0),
        (GgmlType::Q5_0, 2.2 / 16.0),
        (GgmlType::Q5_1, 4.1 / 31.0),
        (GgmlType::Q2K, 3.5 / 3.0),
        (GgmlType::Q3K, 1.9 / 4.0),
        (GgmlType::Q4K, 4.1 / 15.0),
        (GgmlType::Q5K, 4.1 / 31.0),
        (GgmlType::Q6K, 1.9 / 32.0),
    ] {
        let bound = step / 12f64.sqrt() * 1.1;
        let decoded = round_trip(dtype, &values);
        let lost = rms(decoded.iter().zip(&values).map(|(a, b)| a - b)) / rms(values.iter().copied());
        println!("{dtype}: {lost:.5}, bound {bound:.5}");
        assert!(lost <= bound, "{dtype}: {lost} over {bound}");
        // Not better than any rounding could be, either: something was rounded.
        assert!(lost >= bound / 2.0, "{dtype}: {lost} under half of {bound}");
    }
    // One rounding to 11 or 8 bits: half a unit in the last place.
    for (dtype, bound) in [(GgmlType::F16, 2f32.powi(-11)), (GgmlType::BF16, 2f32.powi(-8)), (GgmlType::F32, 0.0)] {
        for (a, b) in round_trip(dtype, &values).iter().zip(&values) {
            // Below 2⁻¹⁴ an f16 has steps of 2⁻²⁴.
            assert!(
                (a - b).abs() <= (b.abs() * bound).max(2f32.powi(-25) * f32::from(bound > 0.0)),
                "{dtype}: {a} {b}"
            );
        }
    }
}

/// One value in 64 is 30 times as large: no value of a block is further off than its largest justifies.
///
/// With A the largest magnitude and R the span (zero included) of a block, in steps of s: rounding loses s/2, or s at the
/// end that a signed scale does not reach; the f16 scale and minimum lose 2⁻¹¹ of A and R. In k-quants A and R are those of
/// the super-block, and a group's scale and minimum are rounded to 1 in `n` of the largest: half of that more, for each.
/// These are bounds, so k-quants, which seldom need both, stay well below: a third of them is asserted to be needed.
#[test]
fn outliers_spoil_their_block_and_no_more() {
    const SEED: u64 = 0x0071_1e25;
    println!("seed {SEED:#x}");
    let mut rng = Rng(SEED);
    let values: Vec<f32> = (0..VALUES).map(|i| rng.normal() * if i % 64 == 7 { 30.0 } else { 1.0 }).collect();
    let f16 = 2f32.powi(-11);
    for (dtype, of_largest, of_span) in [
        (GgmlType::Q8_0, 0.5 / 127.0 + f16, 0.0),
        (GgmlType::Q4_0, 1.0 / 8.0 + f16, 0.0),
        (GgmlType::Q4_1, f16, 0.5 / 15.0 + f16),
        (GgmlType::Q5_0, 1.0 / 16.0 + f16, 0.0),
        (GgmlType::Q5_1, f16, 0.5 / 31.0 + f16),
        (GgmlType::Q2K, 0.0, 0.5 / 3.0 + 2.0 * 0.5 / 15.0),
        (GgmlType::Q3K, 1.0 / 4.0 + 0.5 / 32.0, 0.0),
        (GgmlType::Q4K, 0.0, 0.5 / 15.0 + 2.0 * 0.5 / 63.0),
        (GgmlType::Q5K, 0.0, 0.5 / 31.0 + 2.0 * 0.5 / 63.0),
        (GgmlType::Q6K, 1.0 / 32.0 + 0.5 / 128.0, 0.0),
    ] {
        let decoded = round_trip(dtype, &values);
        let block = dtype.block_len().unwrap();
        let mut worst = 0f32;
        for (a, b) in decoded.chunks(block).zip(values.chunks(block)) {
            let span = b.iter().fold(0f32, |m, v| m.max(*v)) - b.iter().fold(0f32, |m, v| m.min(*v));
            let off = a.iter().zip(b).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
            worst = worst.max(off / (of_largest * amax(b) + of_span * span));
        }
        println!("{dtype}: {worst:.3} of the bound");
        assert!(worst <= 1.0 && worst > 1.0 / 3.0, "{dtype}: {worst} of the bound");
    }
}

/// Groups of equal values, which leave a search nothing to measure, and blocks of one value among zeros.
#[test]
fn flat_groups_and_lone_values_survive() {
    for dtype in GgmlType::READ {
        for value in [0.02f32, -0.02, 1.0, -1.0, 900.0] {
            let flat = [value; 512];
            let mut lone = [0f32; 512];
            lone[300] = value;
            for values in [flat, lone] {
                // Nothing is lost but to rounding of f16 scales (2⁻¹¹), of which the largest scale of a super-block and
                // its minimum have one each, and of BF16 (2⁻⁸).
                for (a, b) in round_trip(dtype, &values).iter().zip(&values) {
                    assert!((a - b).abs() <= value.abs() * 2f32.powi(-8), "{dtype}: {b} became {a}");
                }
            }
        }
    }
}

/// A super-block of each k-quant with one of everything, worked out from ggml's block layouts.
#[test]
fn k_quant_blocks_by_hand() {
    const ONE: [u8; 2] = [0x00, 0x3c];
    const HALF: [u8; 2] = [0x00, 0x38];
    let decode = |dtype: GgmlType, block: &[u8]| {
        let mut values = [0f32; 256];
        dequantize(dtype, block, &mut values).unwrap();
        values
    };

    // Group 1 (values 16 to 31): scale 3, minimum 2. Byte 16 of the 2-bit values: 2 for value 16, 1 for value 48.
    let mut q2 = [0u8; 84];
    (q2[1], q2[16 + 16]) = (0x23, 0b0000_0110);
    q2[80..82].copy_from_slice(&ONE);
    q2[82..].copy_from_slice(&HALF);
    let values = decode(GgmlType::Q2K, &q2);
    assert_eq!((values[15], values[16], values[17], values[31], values[32]), (0.0, 3.0 * 2.0 - 1.0, -1.0, -1.0, 0.0));
    // The same byte through the scale of group 3 (values 48 to 63), and the second half of the block.
    (q2[3], q2[9], q2[16 + 32 + 5]) = (0x05, 0x01, 0b0000_0011);
    let values = decode(GgmlType::Q2K, &q2);
    assert_eq!((values[48], values[49]), (5.0, 0.0));
    q2[8] = 0x07;
    assert_eq!(decode(GgmlType::Q2K, &q2)[128 + 5], 21.0);

    // All scales 32 − 32 = 0 but group 0: low bits 1, high bits 2 (33 − 32 = 1). Value 0: 2 bits 3, third bit set.
    let mut q3 = [0u8; 110];
    (q3[32], q3[0]) = (0b0000_0011, 1);
    q3[96..104].fill(0);
    q3[104..108].fill(0b1010_1010);
    q3[96] = 1;
    q3[108..].copy_from_slice(&ONE);
    let values = decode(GgmlType::Q3K, &q3);
    // 3 + 4 − 4 where the third bit is set; 0 − 4 where it is not.
    assert_eq!((values[0], values[1], values[16]), (3.0, -4.0, 0.0));
    // Group 13 is high nibble of byte 5, high bits 6 and 7 of byte 9: 15 + 48 − 32 = 31.
    (q3[96 + 5], q3[96 + 9], q3[16 + 15]) = (0xf0, 0b1110_1010, 1 << 6);
    assert_eq!((decode(GgmlType::Q3K, &q3)[223], decode(GgmlType::Q3K, &q3)[222]), (0.0, -124.0));

    // Group 1: scale 40, minimum 3; group 6: scale 4 + 32 = 36, minimum 5 + 48 = 53.
    let mut q4 = [0u8; 144];
    q4[..2].copy_from_slice(&ONE);
    q4[2..4].copy_from_slice(&HALF);
    let scales = &mut q4[4..16];
    (scales[1], scales[5]) = (40, 3);
    (scales[2], scales[6], scales[10]) = (2 << 6, 3 << 6, 0x54);
    (q4[16], q4[16 + 96 + 31]) = (0xf2, 0x29);
    let values = decode(GgmlType::Q4K, &q4);
    assert_eq!((values[0], values[32], values[33]), (0.0, 15.0 * 40.0 - 1.5, -1.5));
    assert_eq!((values[192 + 31], values[192], values[224 + 31]), (9.0 * 36.0 - 26.5, -26.5, 0.0));

    // The same, with fifth bits for values 32 (bit 1 of byte 0) and 223 (bit 6 of byte 31).
    let mut q5 = [0u8; 176];
    q5[..16].copy_from_slice(&q4[..16]);
    q5[48..].copy_from_slice(&q4[16..]);
    (q5[16], q5[16 + 31]) = (1 << 1, 1 << 6);
    let values = decode(GgmlType::Q5K, &q5);
    assert_eq!((values[32], values[33], values[223]), (31.0 * 40.0 - 1.5, -1.5, 25.0 * 36.0 - 26.5));

    // Value 70 is the low nibble's neighbour: high nibble of byte 6; its two bits are bits 4 and 5 of byte 6.
    let mut q6 = [0u8; 210];
    (q6[6], q6[128 + 6]) = (0xa0, 0b0011_0000);
    q6[192 + 4] = -2i8 as u8;
    q6[208..].copy_from_slice(&HALF);
    let values = decode(GgmlType::Q6K, &q6);
    assert_eq!((values[70], values[71], values[80]), (-(10.0 + 48.0 - 32.0), 32.0, 0.0));
    (q6[64 + 63], q6[128 + 32 + 31], q6[192 + 15]) = (0x70, 0b0100_0000, 3);
    assert_eq!(decode(GgmlType::Q6K, &q6)[255], 0.5 * 3.0 * (7.0 + 16.0 - 32.0));
}
