//! What the tests of this crate share: a seeded generator, and a small valid file.
#![allow(dead_code, reason = "each test binary uses its part")]

use lantern_weights::{GgmlType, GgufWriter, Value};

/// xorshift64*: enough for test data, and the same everywhere.
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// Of mean 0 and variance 1 (Irwin and Hall: twelve uniform numbers).
    pub fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.float()).sum::<f32>() / 2.0
    }

    /// In [-1, 1).
    pub fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }
}

/// Every kind of value, a tensor of each type we read, one that we do not and one that nobody knows.
pub fn sample(version: u32) -> GgufWriter {
    let mut writer = sample_of_read_types(version);
    writer.tensor("w.iq4", &[256], GgmlType::Iq4Xs, vec![0x5a; 136]);
    writer.tensor("w.new", &[2, 5], GgmlType::Unknown(77), vec![0x77; 10]);
    writer
}

/// Every kind of value, and a tensor of each type we read.
pub fn sample_of_read_types(version: u32) -> GgufWriter {
    let mut writer = GgufWriter::new(version);
    let strings = ["<unk>", "<s>", "\u{2581}the"].map(|s| Value::String(s.into()));
    for (key, value) in [
        ("general.architecture", Value::String("llama".into())),
        ("a.u8", Value::U8(1)),
        ("a.i8", Value::I8(-1)),
        ("a.u16", Value::U16(2)),
        ("a.i16", Value::I16(-2)),
        ("a.u32", Value::U32(3)),
        ("a.i32", Value::I32(-3)),
        ("a.f32", Value::F32(0.25)),
        ("a.bool", Value::Bool(true)),
        ("a.u64", Value::U64(1 << 40)),
        ("a.i64", Value::I64(-4)),
        ("a.f64", Value::F64(0.125)),
        ("tokens", Value::Array(strings.to_vec())),
        ("scores", Value::Array(vec![Value::F32(0.0), Value::F32(-1.0), Value::F32(-2.0)])),
    ] {
        writer.metadata(key, value).unwrap();
    }
    let values: Vec<f32> = (0..256).map(|i| i as f32 / 7.0 - 5.0).collect();
    for (name, ggml_type) in [
        ("w.f32", GgmlType::F32),
        ("w.f16", GgmlType::F16),
        ("w.bf16", GgmlType::BF16),
        ("w.q8", GgmlType::Q8_0),
        ("w.q4", GgmlType::Q4_0),
        ("w.q4_1", GgmlType::Q4_1),
        ("w.q5", GgmlType::Q5_0),
        ("w.q5_1", GgmlType::Q5_1),
    ] {
        writer.tensor_f32(name, &[3, 32], ggml_type, &values[..96]).unwrap();
    }
    for (name, ggml_type) in [
        ("w.q2k", GgmlType::Q2K),
        ("w.q3k", GgmlType::Q3K),
        ("w.q4k", GgmlType::Q4K),
        ("w.q5k", GgmlType::Q5K),
        ("w.q6k", GgmlType::Q6K),
    ] {
        writer.tensor_f32(name, &[256], ggml_type, &values).unwrap();
    }
    writer
}
