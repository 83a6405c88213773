//! Weights on the device: repacked at load from a file's blocks to the few layouts kernels know (`repack.rs`), cut into
//! shards that fit the adapter's bindings.
//!
//! | layout | a row | scales, apart |
//! | --- | --- | --- |
//! | f32 | as it is | |
//! | f16, bf16 | padded with zeros to 8 values | |
//! | q8 | int8 | f16 per 32 values, two a word |
//! | q4, q5 | 32 values are as many words as they have bits: 4 of each, then the fifth | likewise |
//! | q4_min, q5_min | the same | f16 scale and minimum per 32, a word |
//! | q3, q6 | 2 bits of each of 32, then the third; 4 of each, then 2 more | f16 per 16, two a word |
//! | q2_min | 2 bits of each | f16 scale and minimum per 16, a word |
//!
//! A word's byte b has slots for 1, 2, 4 or 8 bits: slot s is value 4 s + b of the word's.

use std::cell::RefCell;
use std::collections::HashMap;

use lantern_graph::contract::WeightTable;
use lantern_graph::{Account, Error, Result, WeightSpec};

use crate::device::Gpu;
use crate::format::Format;
use crate::memory::Buffer;
use crate::repack::{Repacked, repack};
use crate::session::DATA;

/// Weights by name.
#[derive(Default)]
pub struct GpuWeights {
    table: WeightTable<GpuWeight>,
    account: Account,
}

pub struct GpuWeight {
    pub spec: WeightSpec,
    pub format: Format,
    pub shards: Vec<Shard>,
    /// Scales (halves) at the edge of a chunk that share a word with the next chunk's, by shard and index.
    edge_scales: RefCell<HashMap<(usize, usize), u16>>,
}

/// Rows `first ..  first + rows`, in a binding's limit.
pub struct Shard {
    pub first: usize,
    pub rows: usize,
    pub words: Buffer,
    pub scales: Option<Buffer>,
}

/// Words of one row's values on the device.
fn words_per_row(format: Format, columns: usize) -> usize {
    match format {
        Format::F32 => columns,
        Format::F16 | Format::Bf16 => columns.next_multiple_of(8) / 2,
        Format::Int { bits, .. } => columns / 32 * bits,
    }
}

/// Halves of one row's scales and minimums.
fn halves_per_row(format: Format, columns: usize) -> usize {
    match format {
        Format::Int { group, minimum, .. } => columns / group * if minimum { 2 } else { 1 },
        Format::F32 | Format::F16 | Format::Bf16 => 0,
    }
}

fn scale_bytes(format: Format, rows: usize, columns: usize) -> u64 {
    (rows * halves_per_row(format, columns)).div_ceil(2) as u64 * 4
}

/// What a weight takes on the device, in the layout it is kept in there.
pub fn weight_bytes(spec: &WeightSpec) -> u64 {
    let (format, rows, columns) = (Format::of(spec.dtype), spec.rows(), spec.columns());
    (rows * words_per_row(format, columns)) as u64 * 4 + scale_bytes(format, rows, columns)
}

impl GpuWeights {
    pub fn allocate(gpu: &Gpu, specs: &[WeightSpec]) -> Result<GpuWeights> {
        gpu.check_memory("the model", specs.iter().map(weight_bytes).sum())?;
        let gpu = gpu.part();
        let limit = gpu.0.binding_limit.min(gpu.0.buffer_limit);
        let table = WeightTable::allocate(specs, |spec| {
            let format = Format::of(spec.dtype);
            let row_bytes = words_per_row(format, spec.columns()) as u64 * 4;
            if row_bytes > limit {
                return Err(Error::new(
                    "gpu.too_large",
                    format!(
                        "a row of {} takes {row_bytes} bytes, over this adapter's binding limit of {limit}",
                        spec.name
                    ),
                    "use the processor, or another graphics adapter",
                ));
            }
            // A row has no more bytes of scales than of values.
            let rows_per_shard = ((limit / row_bytes.max(1)) as usize).min(spec.rows());
            let mut shards = Vec::new();
            let mut first = 0;
            while first < spec.rows() {
                let rows = rows_per_shard.min(spec.rows() - first);
                let scale_bytes = scale_bytes(format, rows, spec.columns());
                let scales = format.is_quantized().then(|| gpu.buffer(&spec.name, scale_bytes, DATA));
                let words = gpu.buffer(&spec.name, rows as u64 * row_bytes, DATA);
                shards.push(Shard { first, rows, words, scales });
                first += rows;
            }
            Ok(GpuWeight { spec: spec.clone(), format, shards, edge_scales: RefCell::default() })
        })?;
        Ok(GpuWeights { table, account: gpu.1 })
    }

    pub fn account(&self) -> &Account {
        &self.account
    }

    /// # Errors
    /// `graph.weight` when there is none, or it is of another shape or type.
    pub fn get(&self, wanted: &WeightSpec) -> Result<&GpuWeight> {
        Ok(self.table.at(self.table.find(wanted)?))
    }

    /// # Errors
    /// `graph.weight` when there is none, or the bytes are not whole rows inside it; `gpu.weight`; `gpu.lost`.
    pub fn write_rows(&self, gpu: &Gpu, name: &str, first_row: usize, bytes: &[u8]) -> Result<()> {
        let (spec, weight) = self.table.rows(name, first_row, bytes)?;
        let row_bytes = spec.row_bytes();
        let rows = bytes.len() / row_bytes;
        for (index, shard) in weight.shards.iter().enumerate() {
            let from = first_row.max(shard.first);
            let to = (first_row + rows).min(shard.first + shard.rows);
            if from < to {
                let part = &bytes[(from - first_row) * row_bytes..(to - first_row) * row_bytes];
                weight.write_shard(gpu, index, from - shard.first, part)?;
            }
        }
        gpu.check()
    }
}

impl GpuWeight {
    fn write_shard(&self, gpu: &Gpu, index: usize, row: usize, bytes: &[u8]) -> Result<()> {
        let shard = &self.shards[index];
        let columns = self.spec.columns();
        let Some(Repacked { words, halves }) = repack(self.spec.dtype, columns, bytes) else {
            let cause = format!("{} has a scale over 65504, the largest that is kept on the GPU", self.spec.name);
            return Err(Error::new("gpu.weight", cause, "use the processor for this file"));
        };
        let queue = &gpu.0.queue;
        queue.write_buffer(&shard.words, (row * words_per_row(self.format, columns) * 4) as u64, &words);
        if let Some(scales) = &shard.scales {
            self.write_scales(queue, index, scales, row * halves_per_row(self.format, columns), &halves);
        }
        Ok(())
    }

    /// Halves come in pairs of one word; a chunk may begin or end within one, so the other half is remembered until known.
    fn write_scales(&self, queue: &wgpu::Queue, shard: usize, scales: &Buffer, first: usize, halves: &[u16]) {
        if halves.is_empty() {
            return;
        }
        let mut words = Vec::with_capacity(halves.len() / 2 + 2);
        let mut edges = self.edge_scales.borrow_mut();
        let first_word = first / 2;
        let end = first + halves.len();
        for word in first_word..end.div_ceil(2) {
            let half = |index: usize| {
                let inside = (first..end).contains(&index);
                if inside { halves[index - first] } else { edges.get(&(shard, index)).copied().unwrap_or(0) }
            };
            words.push(u32::from(half(2 * word)) | u32::from(half(2 * word + 1)) << 16);
        }
        for edge in [first, end - 1] {
            edges.insert((shard, edge), halves[edge - first]);
        }
        queue.write_buffer(scales, first_word as u64 * 4, bytemuck::cast_slice(&words));
    }
}
