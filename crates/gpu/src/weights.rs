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
//!
//! Matrices that come one after the other, with rows of one layout and length, lie one behind the other in one buffer as far as a
//! binding reaches: a dispatch may take several as one matrix of more rows (`lower/joins.rs`).

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use lantern_graph::contract::WeightTable;
use lantern_graph::{Account, Error, Result, WeightSpec};

use crate::device::Gpu;
use crate::format::Format;
use crate::memory::{ALIGNMENT, Buffer};
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
    pub words: Region,
    pub scales: Option<Region>,
}

/// A part of a buffer, or all of it.
pub struct Region {
    pub buffer: Rc<Buffer>,
    pub offset: u64,
    pub size: u64,
}

impl Region {
    fn whole(buffer: Buffer) -> Region {
        Region { size: buffer.size(), buffer: Rc::new(buffer), offset: 0 }
    }

    /// Does the other one begin where this one ends?
    fn is_before(&self, other: &Region) -> bool {
        Rc::ptr_eq(&self.buffer, &other.buffer) && self.offset + self.size == other.offset
    }
}

impl Shard {
    fn is_before(&self, other: &Shard) -> bool {
        let scales = match (&self.scales, &other.scales) {
            (Some(scales), Some(others)) => scales.is_before(others),
            (None, None) => true,
            _ => false,
        };
        scales && self.words.is_before(&other.words)
    }
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

/// Bytes of words and of scales of a whole weight.
fn parts(spec: &WeightSpec) -> [u64; 2] {
    let (format, rows, columns) = (Format::of(spec.dtype), spec.rows(), spec.columns());
    [(rows * words_per_row(format, columns)) as u64 * 4, scale_bytes(format, rows, columns)]
}

/// How many weights from the first on are to lie one behind the other: of one layout and row length, each beginning where a
/// binding may, all of them in one binding.
fn run_length(specs: &[WeightSpec], limit: u64) -> usize {
    let Some(first) = specs.first().filter(|spec| spec.shape.len() == 2) else { return 1 };
    let alike = |spec: &&WeightSpec| {
        spec.shape.len() == 2 && spec.columns() == first.columns() && Format::of(spec.dtype) == Format::of(first.dtype)
    };
    let mut ends = [0; 2];
    let mut fits = |spec: &&WeightSpec| {
        let aligned = ends.iter().all(|end| end % ALIGNMENT == 0);
        ends = [0, 1].map(|i| ends[i] + parts(spec)[i]);
        aligned && ends.iter().all(|end| *end <= limit)
    };
    specs.iter().take_while(alike).take_while(|spec| fits(spec)).count().max(1)
}

/// Parts of buffers for weights that lie one behind the other.
struct Run {
    words: Rc<Buffer>,
    scales: Option<Rc<Buffer>>,
    /// Where the next one's words and scales begin.
    at: [u64; 2],
    left: usize,
}

impl Run {
    fn new(gpu: &Gpu, specs: &[WeightSpec]) -> Run {
        let [words, scales] = [0, 1].map(|i| specs.iter().map(|spec| parts(spec)[i]).sum());
        let buffer = |bytes: u64| Rc::new(gpu.buffer(&specs[0].name, bytes, DATA));
        let scales = Format::of(specs[0].dtype).is_quantized().then(|| buffer(scales));
        Run { words: buffer(words), scales, at: [0; 2], left: specs.len() }
    }

    fn next(&mut self, spec: &WeightSpec) -> Shard {
        let sizes = parts(spec);
        let region =
            |buffer: &Rc<Buffer>, i: usize| Region { buffer: buffer.clone(), offset: self.at[i], size: sizes[i] };
        let (words, scales) = (region(&self.words, 0), self.scales.as_ref().map(|scales| region(scales, 1)));
        self.at = [0, 1].map(|i| self.at[i] + sizes[i]);
        self.left -= 1;
        Shard { first: 0, rows: spec.rows(), words, scales }
    }
}

impl GpuWeights {
    pub fn allocate(gpu: &Gpu, specs: &[WeightSpec]) -> Result<GpuWeights> {
        gpu.check_memory("the model", specs.iter().map(weight_bytes).sum())?;
        let gpu = gpu.part();
        let limit = gpu.0.binding_limit.min(gpu.0.buffer_limit);
        let mut run: Option<Run> = None;
        let mut done = 0;
        let table = WeightTable::allocate(specs, |spec| {
            let format = Format::of(spec.dtype);
            let length = run_length(&specs[done..], limit);
            done += 1;
            if run.as_ref().is_none_or(|run| run.left == 0) && length > 1 {
                run = Some(Run::new(&gpu, &specs[done - 1..][..length]));
            }
            if let Some(run) = run.as_mut().filter(|run| run.left > 0) {
                let shards = vec![run.next(spec)];
                return Ok(GpuWeight { spec: spec.clone(), format, shards, edge_scales: RefCell::default() });
            }
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
                let scales = format.is_quantized().then(|| Region::whole(gpu.buffer(&spec.name, scale_bytes, DATA)));
                let words = Region::whole(gpu.buffer(&spec.name, rows as u64 * row_bytes, DATA));
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
    /// Does the other one lie right behind this one, so that both are one matrix?
    pub fn is_before(&self, other: &GpuWeight) -> bool {
        match (&self.shards[..], &other.shards[..]) {
            ([one], [two]) => one.is_before(two),
            _ => false,
        }
    }

    fn write_shard(&self, gpu: &Gpu, index: usize, row: usize, bytes: &[u8]) -> Result<()> {
        let shard = &self.shards[index];
        let columns = self.spec.columns();
        let Some(Repacked { words, halves }) = repack(self.spec.dtype, columns, bytes) else {
            let cause = format!("{} has a scale over 65504, the largest that is kept on the GPU", self.spec.name);
            return Err(Error::new("gpu.weight", cause, "use the processor for this file"));
        };
        let queue = &gpu.0.queue;
        let at = shard.words.offset + (row * words_per_row(self.format, columns) * 4) as u64;
        queue.write_buffer(&shard.words.buffer, at, &words);
        if let Some(scales) = &shard.scales {
            self.write_scales(queue, index, scales, row * halves_per_row(self.format, columns), &halves);
        }
        Ok(())
    }

    /// Halves come in pairs of one word; a chunk may begin or end within one, so the other half is remembered until known.
    fn write_scales(&self, queue: &wgpu::Queue, shard: usize, scales: &Region, first: usize, halves: &[u16]) {
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
        queue.write_buffer(&scales.buffer, scales.offset + first_word as u64 * 4, bytemuck::cast_slice(&words));
    }
}
