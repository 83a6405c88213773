//! Our blocks against candle-core's: the same bytes from the same values, the same values from the same bytes.

mod common;

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use common::Rng;
use lantern_weights::{GgmlType, dequantize, quantize};

#[test]
fn blocks_agree_with_candle() {
    const SEED: u64 = 20260;
    println!("seed {SEED}");
    let mut rng = Rng(SEED);
    for (ours, theirs) in
        [(GgmlType::Q8_0, GgmlDType::Q8_0), (GgmlType::Q4_0, GgmlDType::Q4_0), (GgmlType::F16, GgmlDType::F16)]
    {
        // Blocks of very different magnitude, one all zero, one with a tie for the largest.
        let mut values: Vec<f32> = (0..64 * 32).map(|i| rng.float() * 10f32.powi((i / 32) % 9 - 4)).collect();
        values[..32].fill(0.0);
        (values[40], values[50]) = (0.75e3, -0.75e3);
        let theirs = {
            let tensor = Tensor::from_slice(&values, (8, 256), &Device::Cpu).unwrap();
            QTensor::quantize(&tensor, theirs).unwrap()
        };
        let bytes = quantize(ours, &values).unwrap();
        assert!(bytes == theirs.data().unwrap().as_ref(), "{ours}: encoded bytes");

        let mut decoded = vec![0f32; values.len()];
        dequantize(ours, &bytes, &mut decoded).unwrap();
        let expected = theirs.dequantize(&Device::Cpu).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(decoded == expected, "{ours}: decoded values");
    }
}
