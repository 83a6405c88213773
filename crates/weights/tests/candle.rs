//! Our blocks against candle-core's: the same bytes from the same values, the same values from the same bytes.

mod common;

use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{Device, Tensor};
use common::Rng;
use lantern_weights::{GgmlType, dequantize, quantize};
use std::borrow::Cow;

const TYPES: [(GgmlType, GgmlDType); 12] = [
    (GgmlType::F16, GgmlDType::F16),
    (GgmlType::BF16, GgmlDType::BF16),
    (GgmlType::Q8_0, GgmlDType::Q8_0),
    (GgmlType::Q4_0, GgmlDType::Q4_0),
    (GgmlType::Q4_1, GgmlDType::Q4_1),
    (GgmlType::Q5_0, GgmlDType::Q5_0),
    (GgmlType::Q5_1, GgmlDType::Q5_1),
    (GgmlType::Q2K, GgmlDType::Q2K),
    (GgmlType::Q3K, GgmlDType::Q3K),
    (GgmlType::Q4K, GgmlDType::Q4K),
    (GgmlType::Q5K, GgmlDType::Q5K),
    (GgmlType::Q6K, GgmlDType::Q6K),
];

fn theirs(values: &[f32], dtype: GgmlDType) -> QTensor {
    let tensor = Tensor::from_slice(values, (values.len() / 256, 256), &Device::Cpu).unwrap();
    QTensor::quantize(&tensor, dtype).unwrap()
}

fn floats(tensor: &QTensor) -> Vec<f32> {
    tensor.dequantize(&Device::Cpu).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// What the search of that type minimises: for Q2_K differences times magnitudes, otherwise squared differences, more or
/// less.
fn loss(dtype: GgmlType, decoded: &[f32], values: &[f32]) -> f64 {
    let weigh = |(a, b): (&f32, &f32)| {
        let off = f64::from((a - b).abs());
        off * if dtype == GgmlType::Q2K { f64::from(b.abs()) } else { off }
    };
    decoded.iter().zip(values).map(weigh).sum()
}

#[test]
fn blocks_agree_with_candle() {
    const SEED: u64 = 20260;
    println!("seed {SEED}");
    let mut rng = Rng(SEED);
    // k-quants are searched for in another way here: below.
    for (ours, dtype) in &TYPES[..7] {
        // Blocks of very different magnitude, one all zero, one with a tie for the largest.
        let mut values: Vec<f32> = (0..64 * 32).map(|i| rng.float() * 10f32.powi((i / 32) % 9 - 4)).collect();
        values[..32].fill(0.0);
        (values[40], values[50]) = (0.75e3, -0.75e3);
        let theirs = theirs(&values, *dtype);
        let bytes = quantize(*ours, &values).unwrap();
        assert!(bytes == theirs.data().unwrap().as_ref(), "{ours}: encoded bytes");

        let mut decoded = vec![0f32; values.len()];
        dequantize(*ours, &bytes, &mut decoded).unwrap();
        assert!(decoded == floats(&theirs), "{ours}: decoded values");
    }
}

/// Any bytes but for scales that are no numbers: every bit of every block means the same to both.
#[test]
fn random_blocks_decode_as_candle_decodes_them() {
    const SEED: u64 = 0xb10c_0004;
    println!("seed {SEED:#x}");
    let mut rng = Rng(SEED);
    for (ours, dtype) in TYPES {
        let values = 256 * 64;
        // No byte may be the high half of an f16 that is infinite or NaN.
        let bytes: Vec<u8> = (0..ours.bytes_of(values).unwrap())
            .map(|_| {
                loop {
                    let byte = rng.next() as u8;
                    if byte & 0x7c != 0x7c {
                        break byte;
                    }
                }
            })
            .collect();
        let storage = QStorage::from_data(Cow::Borrowed(&aligned(&bytes)), &Device::Cpu, dtype).unwrap();
        let expected = floats(&QTensor::new(storage, (64, 256)).unwrap());
        let mut decoded = vec![0f32; values as usize];
        dequantize(ours, &bytes, &mut decoded).unwrap();
        for (i, (a, b)) in decoded.iter().zip(&expected).enumerate() {
            assert!(a == b, "{ours}, value {i}: {a} and {b}");
        }
    }
}

/// candle wants blocks to lie at even addresses; vectors of this size do.
fn aligned(bytes: &[u8]) -> Vec<u8> {
    let copy = bytes.to_vec();
    assert_eq!(copy.as_ptr().align_offset(2), 0);
    copy
}

/// ggml's present search loses less than candle's older one, and a group of equal values, which that one loses, is kept.
#[test]
fn k_quants_lose_no_more_than_candles() {
    const SEED: u64 = 0x5ea2_c4ed;
    println!("seed {SEED:#x}");
    let mut rng = Rng(SEED);
    for (ours, dtype) in &TYPES[7..] {
        let normal: Vec<f32> = (0..256 * 64).map(|_| rng.normal() * 0.02).collect();
        // Rows as they are in trained models: mostly small, a few large, some columns off centre.
        let skewed: Vec<f32> =
            (0..256 * 64).map(|i| rng.normal() * if i % 53 == 0 { 1.0 } else { 0.05 } + 0.1 * (i % 3) as f32).collect();
        for (what, values) in [("normal", normal), ("skewed", skewed)] {
            let mut decoded = vec![0f32; values.len()];
            dequantize(*ours, &quantize(*ours, &values).unwrap(), &mut decoded).unwrap();
            let theirs = floats(&theirs(&values, *dtype));
            let (ours_lost, theirs_lost) = (loss(*ours, &decoded, &values), loss(*ours, &theirs, &values));
            println!("{ours}, {what}: {:.3} of candle's error", ours_lost / theirs_lost);
            // 2 %: where both searches find nearly the same scales, either may be luckier.
            assert!(ours_lost <= theirs_lost * 1.02, "{ours}, {what}: {ours_lost} and {theirs_lost}");
        }
        let mut decoded = vec![0f32; 256];
        dequantize(*ours, &quantize(*ours, &[0.5; 256]).unwrap(), &mut decoded).unwrap();
        assert!(decoded.iter().all(|v| (v - 0.5).abs() < 0.002), "{ours}: {decoded:?}");
    }
}
