//! Every tensor of a model file: which method loses less.
//!
//! Streamed: whatever the file's size, a few megabytes are held. A first pass over a tensor makes its histogram, on which
//! steps and thresholds are searched. Where the histogram is not exact ([`Summary::is_exact`]), a second pass fits those steps
//! to the values themselves and measures the error there; what is pruned is so much coarser than a bin (2⁻¹⁰) that the
//! histogram's answer stands.

use crate::distribution::{Scan, Summary};
use crate::grid::{Fit, Grid};
use crate::snr_db;
use crate::theory::{Comparison, Terms, check_bits, curve};
use lantern_graph::{Cancel, Error, Result};
use lantern_weights::{ByteSource, GgmlType, Gguf, SafeDtype, Safetensors, dequantize};

/// Values that are looked at at once: whole blocks of every type.
const CHUNK_VALUES: u64 = 1 << 18;

/// A tensor of a file, as this module sees it.
#[derive(Debug, Clone)]
pub struct Entry {
    pub name: String,
    /// Row-major, outermost first.
    pub shape: Vec<usize>,
    /// The type's name as the file has it.
    pub type_name: String,
    offset: u64,
    bytes: u64,
    /// Or why it cannot be read.
    stored: Result<GgmlType>,
}

impl Entry {
    pub fn of_gguf(file: &Gguf) -> Vec<Self> {
        let entry = |t: &lantern_weights::TensorInfo| Self {
            name: t.name.clone(),
            shape: t.shape.clone(),
            type_name: t.ggml_type.name(),
            offset: t.offset,
            bytes: t.bytes,
            stored: t.supported().map(|()| t.ggml_type),
        };
        file.tensors.iter().map(entry).collect()
    }

    pub fn of_safetensors(file: &Safetensors) -> Vec<Self> {
        let entry = |t: &lantern_weights::SafeTensor| Self {
            name: t.name.clone(),
            shape: t.shape.clone(),
            type_name: t.dtype.name().to_owned(),
            offset: t.offset,
            bytes: t.bytes,
            stored: t.supported().map(|()| match t.dtype {
                SafeDtype::F16 => GgmlType::F16,
                SafeDtype::BF16 => GgmlType::BF16,
                _ => GgmlType::F32,
            }),
        };
        file.tensors.iter().map(entry).collect()
    }

    pub fn elements(&self) -> u64 {
        self.shape.iter().map(|n| *n as u64).product()
    }

    /// The values of one row: of one of the outermost dimension, such as an output channel.
    ///
    /// # Errors
    /// `compress.size` without such a row; `compress.not_a_number`; those of [`compare_tensor`] about the type, the source's own.
    pub async fn row(&self, source: &impl ByteSource, row: usize) -> Result<Vec<f32>> {
        let stored = self.stored.clone()?;
        let rows = self.shape.first().copied().unwrap_or(0);
        if row >= rows {
            let cause = format!("row {row} of {}, which has {rows}", self.name);
            return Err(Error::new("compress.size", cause, "count rows from 0"));
        }
        let mut raw = vec![0; (self.bytes / rows as u64) as usize];
        source.read(self.offset + row as u64 * raw.len() as u64, &mut raw).await?;
        let mut values = vec![0f32; (self.elements() / rows as u64) as usize];
        dequantize(stored, &raw, &mut values)?;
        match values.iter().position(|v| !v.is_finite()) {
            None => Ok(values),
            Some(i) => {
                let cause = format!("value {i} in row {row} of {} is {}", self.name, values[i]);
                Err(Error::new("compress.not_a_number", cause, "get or convert the file again"))
            }
        }
    }

    /// Norms and biases have one dimension: nobody compresses them, so they do not count.
    pub fn is_matrix(&self) -> bool {
        self.shape.len() > 1
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Winner {
    Quantization,
    Pruning,
    Tie,
}

/// In dB. Beyond it, nothing is lost by either method that f32 could tell, and who loses less is rounding's choice.
const LOSSLESS_DB: f64 = 120.0;

impl Winner {
    pub fn of(comparison: &Comparison) -> Self {
        if comparison.quant_snr_db.min(comparison.prune_snr_db) > LOSSLESS_DB {
            return Self::Tie;
        }
        match comparison.quant_snr_db.total_cmp(&comparison.prune_snr_db) {
            std::cmp::Ordering::Greater => Self::Quantization,
            std::cmp::Ordering::Less => Self::Pruning,
            std::cmp::Ordering::Equal => Self::Tie,
        }
    }
}

/// One tensor's numbers.
#[derive(Debug, Clone)]
pub struct Layer {
    pub entry: Entry,
    pub mean: f64,
    pub kurtosis: f64,
    /// Whether the file's own type had lost something already: such a tensor is no evidence.
    pub was_quantized: bool,
    /// At each width that was asked for.
    pub comparisons: Vec<Comparison>,
}

/// A file's tensors: those compared, and those that could not be, with the reason.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub layers: Vec<Layer>,
    pub skipped: Vec<(Entry, Error)>,
}

/// How often which method won, among matrices.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct WinRate {
    pub bits: u32,
    pub compared: usize,
    /// Of those, the ones whose file had lost something already: no evidence.
    pub quantized_already: usize,
    pub quantization: usize,
    pub pruning: usize,
    /// The share that quantization won; `None` where nothing was compared.
    pub rate: Option<f64>,
}

impl Report {
    pub fn win_rate(&self, bits: u32) -> WinRate {
        let at = |c: &&Comparison| c.bits == bits;
        let counted = self.layers.iter().filter(|l| l.entry.is_matrix() && l.comparisons.iter().any(|c| at(&c)));
        let quantized_already = counted.clone().filter(|l| l.was_quantized).count();
        let winners: Vec<Winner> = counted.flat_map(|l| l.comparisons.iter().filter(at)).map(Winner::of).collect();
        let count = |which: Winner| winners.iter().filter(|w| **w == which).count();
        let (compared, quantization) = (winners.len(), count(Winner::Quantization));
        let rate = (compared > 0).then(|| quantization as f64 / compared as f64);
        WinRate { bits, compared, quantized_already, quantization, pruning: count(Winner::Pruning), rate }
    }
}

/// Compares every tensor at every width. `progress` hears how many values are done, of how many.
///
/// # Errors
/// `compress.bits`, the source's own, and `run.cancelled`; what is wrong with one tensor is in the report, and the others
/// are compared all the same.
pub async fn compare_file(
    source: &impl ByteSource,
    entries: Vec<Entry>,
    bits: &[u32],
    terms: Terms,
    progress: &mut dyn FnMut(u64, u64),
    cancel: &Cancel,
) -> Result<Report> {
    bits.iter().try_for_each(|b| check_bits(*b))?;
    let total = entries.iter().map(Entry::elements).fold(0, u64::saturating_add);
    let (mut report, mut done) = (Report::default(), 0u64);
    let mut scan = Scan::default();
    for entry in entries {
        progress(done, total);
        done = done.saturating_add(entry.elements());
        match compare_tensor(source, &entry, bits, terms, &mut scan, cancel).await {
            Ok(Found { summary, comparisons }) => report.layers.push(Layer {
                mean: summary.mean,
                kurtosis: summary.kurtosis,
                was_quantized: entry.stored.as_ref().is_ok_and(|t| t.is_quantized()),
                comparisons,
                entry,
            }),
            // A disk that fails, or a stop, ends the work; the rest is about this tensor.
            Err(error) if error.is_cancelled() || error.code.starts_with("source.") => return Err(error),
            Err(error) => report.skipped.push((entry, error)),
        }
    }
    Ok(report)
}

/// What one tensor gives.
pub struct Found {
    pub summary: Summary,
    pub comparisons: Vec<Comparison>,
}

/// Compares one tensor. `scan` is any, and is left empty.
///
/// # Errors
/// Why it cannot be compared: see [`Scan::finish`], `gguf.type`, `safetensors.type`; `compress.bits`, the source's own.
pub async fn compare_tensor(
    source: &impl ByteSource,
    entry: &Entry,
    bits: &[u32],
    terms: Terms,
    scan: &mut Scan,
    cancel: &Cancel,
) -> Result<Found> {
    let stored = entry.stored.clone()?;
    let scanned = read(source, entry, stored, cancel, &mut |chunk| match chunk {
        Chunk::F16(bytes) => scan.add_f16(bytes),
        Chunk::BF16(bytes) => scan.add_bf16(bytes),
        Chunk::Values(values) => scan.add(values),
    })
    .await;
    // Finished in any case: the next tensor starts from nothing.
    let summary = scan.finish();
    scanned?;
    let summary = summary?;
    let mut comparisons = curve(&summary.histogram, bits.iter().copied(), terms)?;
    if !summary.is_exact {
        let grids: Vec<Grid> = comparisons.iter().map(|c| terms.codes.grid(c.bits, c.step)).collect();
        let mut fits = vec![Fit::default(); grids.len()];
        read(source, entry, stored, cancel, &mut |chunk| {
            // Halves are exact in the first pass.
            if let Chunk::Values(values) = chunk {
                grids.iter().zip(&mut fits).for_each(|(grid, fit)| *fit += grid.fit(values));
            }
        })
        .await?;
        for ((comparison, grid), fit) in comparisons.iter_mut().zip(&grids).zip(&fits) {
            let (factor, error) = fit.best();
            comparison.step = grid.scale * factor;
            comparison.clip = comparison.step * f64::from(grid.high);
            comparison.quant_snr_db = snr_db(summary.energy, error * grid.scale * grid.scale / summary.values as f64);
        }
    }
    Ok(Found { summary, comparisons })
}

enum Chunk<'c> {
    F16(&'c [u8]),
    BF16(&'c [u8]),
    Values(&'c [f32]),
}

/// The tensor in pieces of up to [`CHUNK_VALUES`].
async fn read(
    source: &impl ByteSource,
    entry: &Entry,
    stored: GgmlType,
    cancel: &Cancel,
    take: &mut dyn FnMut(Chunk),
) -> Result<()> {
    let Some(chunk_bytes) = stored.bytes_of(CHUNK_VALUES) else {
        return Err(Error::new("gguf.type", format!("{stored} has no known block"), "choose another file"));
    };
    let (mut raw, mut values) = (Vec::new(), Vec::new());
    let mut left = entry.bytes;
    while left > 0 {
        if cancel.is_cancelled() {
            return Err(Error::cancelled());
        }
        let now = left.min(chunk_bytes);
        raw.resize(now as usize, 0);
        source.read(entry.offset + (entry.bytes - left), &mut raw).await?;
        left -= now;
        match stored {
            GgmlType::F16 => take(Chunk::F16(&raw)),
            GgmlType::BF16 => take(Chunk::BF16(&raw)),
            _ => {
                values.resize((now as u128 * u128::from(CHUNK_VALUES) / u128::from(chunk_bytes)) as usize, 0.0);
                dequantize(stored, &raw, &mut values)?;
                take(Chunk::Values(&values));
            }
        }
    }
    Ok(())
}
