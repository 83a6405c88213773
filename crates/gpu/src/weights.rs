//! Weights on the device: repacked at load from a file's blocks to the few layouts kernels know, cut into shards that fit
//! the adapter's bindings.
//!
//! | layout | words of a row | scales |
//! | --- | --- | --- |
//! | f32 | as it is | |
//! | f16 | padded with zeros to 8 values | |
//! | q8 | 4 int8 a word | f16 per 32, two a word, apart |
//! | q4 | 8 values a word: bytes' low nibbles hold the first four, high nibbles the next four | f16 per 32, apart |

use std::cell::RefCell;
use std::collections::HashMap;

use lantern_graph::{Error, Result, WeightSpec};

use crate::device::Gpu;
use crate::kernel::Format;
use crate::memory::Buffer;

/// All weights of a model.
pub struct GpuWeights {
    weights: HashMap<String, GpuWeight>,
}

pub struct GpuWeight {
    pub spec: WeightSpec,
    pub format: Format,
    pub shards: Vec<Shard>,
    /// Scales at the edge of a chunk that share a word with the next chunk's, by shard and index.
    edge_scales: RefCell<HashMap<(usize, usize), u16>>,
}

/// Rows `first ..  first + rows`, in a binding's limit.
pub struct Shard {
    pub first: usize,
    pub rows: usize,
    pub words: Buffer,
    pub scales: Option<Buffer>,
}

/// Bytes of one row's values on the device.
fn words_per_row(format: Format, columns: usize) -> usize {
    match format {
        Format::F32 => columns,
        Format::F16 => columns.next_multiple_of(8) / 2,
        Format::Q8 => columns / 4,
        Format::Q4 => columns / 8,
    }
}

fn weight_error(cause: String) -> Error {
    Error::new("gpu.weight", cause, "load a file of the model the graph was built for")
}

impl GpuWeights {
    pub fn allocate(gpu: &Gpu, specs: &[WeightSpec]) -> Result<GpuWeights> {
        let limit = gpu.0.binding_limit.min(gpu.0.buffer_limit);
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
        let mut weights = HashMap::new();
        for spec in specs {
            let format = Format::of(spec.dtype);
            let row_bytes = words_per_row(format, spec.columns()) as u64 * 4;
            if row_bytes > limit {
                return Err(Error::new(
                    "gpu.too_large",
                    format!(
                        "a row of {} takes {row_bytes} bytes, over this adapter's binding limit of {limit}",
                        spec.name
                    ),
                    "use the CPU or another adapter",
                ));
            }
            // Even, so that a shard's scales start on a whole word.
            let rows_per_shard = ((limit / row_bytes) as usize / 2 * 2).max(1).min(spec.rows());
            let mut shards = Vec::new();
            let mut first = 0;
            while first < spec.rows() {
                let rows = rows_per_shard.min(spec.rows() - first);
                let scales = format.is_quantized().then(|| {
                    let halves = rows * spec.columns() / 32;
                    gpu.buffer(&spec.name, halves.div_ceil(2) as u64 * 4, usage)
                });
                let words = gpu.buffer(&spec.name, rows as u64 * row_bytes, usage);
                shards.push(Shard { first, rows, words, scales });
                first += rows;
            }
            let weight = GpuWeight { spec: spec.clone(), format, shards, edge_scales: RefCell::default() };
            weights.insert(spec.name.clone(), weight);
        }
        Ok(GpuWeights { weights })
    }

    /// # Errors
    /// `gpu.weight` when there is none, or it is of another shape or type.
    pub fn get(&self, spec: &WeightSpec) -> Result<&GpuWeight> {
        let weight =
            self.weights.get(&spec.name).ok_or_else(|| weight_error(format!("there is no weight {}", spec.name)))?;
        if weight.spec == *spec {
            return Ok(weight);
        }
        let (have, want) = (&weight.spec, spec);
        Err(weight_error(format!(
            "{} is {:?} {}, the graph wants {:?} {}",
            spec.name,
            have.shape,
            have.dtype.name(),
            want.shape,
            want.dtype.name()
        )))
    }

    pub fn write_rows(&self, gpu: &Gpu, name: &str, first_row: usize, bytes: &[u8]) -> Result<()> {
        let weight = self.weights.get(name).ok_or_else(|| weight_error(format!("there is no weight {name}")))?;
        let row_bytes = weight.spec.row_bytes();
        let rows = bytes.len() / row_bytes;
        if !bytes.len().is_multiple_of(row_bytes) || first_row + rows > weight.spec.rows() {
            return Err(weight_error(format!(
                "{} bytes at row {first_row} of {name} are not rows of {row_bytes} bytes of its {}",
                bytes.len(),
                weight.spec.rows()
            )));
        }
        for (index, shard) in weight.shards.iter().enumerate() {
            let from = first_row.max(shard.first);
            let to = (first_row + rows).min(shard.first + shard.rows);
            if from < to {
                let part = &bytes[(from - first_row) * row_bytes..(to - first_row) * row_bytes];
                weight.write_shard(gpu, index, from - shard.first, part);
            }
        }
        gpu.check()
    }
}

impl GpuWeight {
    fn write_shard(&self, gpu: &Gpu, index: usize, row: usize, bytes: &[u8]) {
        let shard = &self.shards[index];
        let columns = self.spec.columns();
        let words_at = (row * words_per_row(self.format, columns) * 4) as u64;
        let queue = &gpu.0.queue;
        match self.format {
            Format::F32 => queue.write_buffer(&shard.words, words_at, bytes),
            Format::F16 => queue.write_buffer(&shard.words, words_at, &pad_halves(bytes, columns)),
            Format::Q8 | Format::Q4 => {
                let (words, halves) = if self.format == Format::Q8 { split_q8_0(bytes) } else { split_q4_0(bytes) };
                queue.write_buffer(&shard.words, words_at, bytemuck::cast_slice(&words));
                if let Some(scales) = &shard.scales {
                    self.write_scales(queue, index, scales, row * columns / 32, &halves);
                }
            }
        }
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

fn pad_halves(bytes: &[u8], columns: usize) -> Vec<u8> {
    if columns.is_multiple_of(8) {
        return bytes.to_vec();
    }
    let padded = columns.next_multiple_of(8) * 2;
    let mut out = Vec::with_capacity(bytes.len() / (columns * 2) * padded);
    for row in bytes.chunks_exact(columns * 2) {
        out.extend_from_slice(row);
        out.resize(out.len() + padded - row.len(), 0);
    }
    out
}

/// ggml's q8_0 blocks (f16 scale, 32 int8) → words, scales.
fn split_q8_0(bytes: &[u8]) -> (Vec<u32>, Vec<u16>) {
    let mut words = Vec::with_capacity(bytes.len() / 34 * 8);
    let mut scales = Vec::with_capacity(bytes.len() / 34);
    for block in bytes.chunks_exact(34) {
        scales.push(u16::from_le_bytes([block[0], block[1]]));
        words.extend(block[2..].chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])));
    }
    (words, scales)
}

/// ggml's q4_0 blocks (f16 scale, 16 bytes: value i in the low nibble of byte i, value i + 16 in its high one) → words of eight
/// consecutive values, scales.
fn split_q4_0(bytes: &[u8]) -> (Vec<u32>, Vec<u16>) {
    let mut words = Vec::with_capacity(bytes.len() / 18 * 4);
    let mut scales = Vec::with_capacity(bytes.len() / 18);
    for block in bytes.chunks_exact(18) {
        scales.push(u16::from_le_bytes([block[0], block[1]]));
        let quants = &block[2..];
        let value = |i: usize| u32::from(if i < 16 { quants[i] & 15 } else { quants[i - 16] >> 4 });
        for eight in (0..32).step_by(8) {
            words.push((0..4).fold(0, |w, i| w | value(eight + i) << (8 * i) | value(eight + 4 + i) << (8 * i + 4)));
        }
    }
    (words, scales)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q4_0_values_keep_their_order() {
        let mut block = vec![0u8, 0x3c];
        block.extend((0..16).map(|i| (i % 16) | ((15 - i) << 4)));
        let (words, scales) = split_q4_0(&block);
        assert_eq!(scales, [0x3c00]);
        let unpacked: Vec<u32> = words
            .iter()
            .flat_map(|w| (0..8).map(move |i| if i < 4 { w >> (8 * i) & 15 } else { w >> (8 * (i - 4) + 4) & 15 }))
            .collect();
        let expected: Vec<u32> = (0..16).chain((0..16).rev()).collect();
        assert_eq!(unpacked, expected);
    }

    #[test]
    fn odd_rows_of_halves_are_padded() {
        let bytes: Vec<u8> = (0..12).collect();
        let padded = pad_halves(&bytes, 3);
        assert_eq!(padded.len(), 32);
        assert_eq!(padded[..6], bytes[..6]);
        assert_eq!(padded[16..22], bytes[6..]);
    }
}
