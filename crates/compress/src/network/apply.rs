//! A GGUF Llama in, a GGUF Llama out, its blocks' linear layers compressed.
//!
//! What a grid chose is stored exactly where blocks of a GGUF type hold it (Q4_0 up to 4 bits, Q8_0 up to 8), else as F16; what
//! is pruned is F16 with its zeros in it. So a file may be larger than what the method charges: both numbers are reported.

use std::io::Write;

use lantern_graph::{Cancel, Error, Executor, Result};
use lantern_models::llama::Config;
use lantern_weights::{
    ByteSource, EncodedMetadata, GgmlType, Gguf, GgufStream, TensorHead, TensorInfo, Value, dequantize, quantize,
};

use super::block::{Block, LINEAR, NORMS, rotate_embedding, rotate_output};
use super::calibrate::{Calibrator, Inputs};
use super::layer::{ApplyOptions, Known, Method, compress};
use crate::layerwise::{QuantizedLayer, Rotation, channels, floats};
use crate::prune::{Cut, RankSelect, Sparsity};
use crate::quantize::Granularity;
use crate::snr_db;
use nalgebra::DMatrix;

/// One layer, before and after.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerReport {
    pub name: String,
    /// `[channels, inputs]`.
    pub shape: [usize; 2],
    /// Charged bits a weight: codes, scales, survivors and mask.
    pub bits: f64,
    /// Share of zeros among the weights.
    pub zeros: f64,
    pub stored: GgmlType,
    pub bytes: u64,
    /// Of the weights.
    pub weight_snr_db: f64,
    /// Of the layer's outputs on the text, where there is one and they are not all zero.
    pub output_snr_db: Option<f64>,
    /// What rounding to the same kind of grid would have had, where the method quantizes.
    pub rtn_output_snr_db: Option<f64>,
}

/// What came of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    pub layers: Vec<LayerReport>,
    /// Of all weights of the new file, and of the old.
    pub bytes: u64,
    pub bytes_before: u64,
    /// Charged bits of the compressed layers, a weight.
    pub bits: f64,
    pub compressed_weights: u64,
    /// Bytes of the new file's tensors that were left as they are: embeddings, output, norms.
    pub other_bytes: u64,
}

/// A model as it comes.
pub struct Original<'a, S> {
    pub source: &'a S,
    /// What was read from it.
    pub gguf: &'a Gguf,
    /// What that says.
    pub config: &'a Config,
}

/// Reads a model, compresses it, writes it. `calibrator`: an empty model of the same configuration, for methods that need one;
/// with others it serves to report. `progress` hears of blocks done.
///
/// # Errors
/// `compress.*`; `compress.calibration` for a calibrated method without calibrator; `gguf.write`; the source's and the
/// executor's own; `run.cancelled`.
pub async fn apply<E: Executor, W: Write>(
    original: &Original<'_, impl ByteSource>,
    calibrator: Option<&Calibrator<E>>,
    options: &ApplyOptions,
    out: W,
    progress: &mut dyn FnMut(u64, u64),
    cancel: &Cancel,
) -> Result<(W, Applied)> {
    let &Original { source, gguf, config } = original;
    options.check()?;
    if options.method.is_calibrated() && calibrator.is_none() {
        return Err(Error::new(
            "compress.calibration",
            format!("{} needs to see what layers see", options.method.name()),
            "give a text to calibrate on",
        ));
    }
    let model = Model { source, gguf, config, options };
    let rotation = options.rotate.map(|seed| Rotation::new(config.hidden_size, seed)).transpose()?;
    let (head, tail) = model.others(rotation.as_ref()).await?;
    let heads: Vec<TensorHead> =
        head.iter().map(Other::head).chain(model.block_heads()?).chain(tail.iter().map(Other::head)).collect();
    let mut stream = GgufStream::start(out, &model.metadata().await?, &heads)?;
    let mut report = Report::new(&heads, gguf);
    if let Some(calibrator) = calibrator {
        calibrator.load(source, gguf, cancel).await?;
        for other in head.iter().chain(&tail) {
            other.fill(calibrator, cancel).await?;
        }
    }
    for other in &head {
        model.write_other(other, &mut stream).await?;
    }
    let mut cut = match options.method {
        Method::GlobalMagnitude => Some(model.cut(rotation.as_ref(), cancel).await?),
        _ => None,
    };
    for i in 0..config.layers {
        cancel.check()?;
        progress(i as u64, config.layers as u64);
        let mut block = model.rewritten_block(i, rotation.as_ref()).await?;
        let inputs = match calibrator {
            Some(calibrator) => {
                fill(calibrator, i, &block, cancel).await?;
                Some(calibrator.inputs(i, cancel).await?)
            }
            None => None,
        };
        let layers = model.compress(i, &mut block, inputs.as_ref(), cut.as_mut(), cancel)?;
        if let Some(calibrator) = calibrator {
            fill(calibrator, i, &block, cancel).await?;
        }
        for (part, norm) in NORMS.iter().zip(block.norms()) {
            stream.write(&encode(&name(i, part), GgmlType::F32, norm)?)?;
        }
        for (layer, bytes) in layers {
            stream.write(&bytes)?;
            report.layers.push(layer);
        }
    }
    progress(config.layers as u64, config.layers as u64);
    for other in &tail {
        model.write_other(other, &mut stream).await?;
    }
    Ok((stream.finish()?, report.finish()))
}

fn name(block: usize, part: &str) -> String {
    format!("blk.{block}.{part}.weight")
}

/// What comes between a block's number and `.weight`.
fn part(tensor: &str) -> Option<&str> {
    let (_, part) = tensor.strip_prefix("blk.")?.split_once('.')?;
    part.strip_suffix(".weight")
}

fn encode(name: &str, ggml: GgmlType, values: &[f64]) -> Result<Vec<u8>> {
    named(name, quantize(ggml, &floats(values)))
}

/// Errors say whose they are.
fn named<T>(name: &str, result: Result<T>) -> Result<T> {
    result.map_err(|e| Error::new(e.code, format!("tensor {name}: {}", e.cause), e.remedy))
}

async fn fill<E: Executor>(calibrator: &Calibrator<E>, i: usize, block: &Block, cancel: &Cancel) -> Result<()> {
    for (part, matrix) in LINEAR.iter().zip(block.linear()) {
        calibrator.write(&name(i, part), &floats(matrix.as_slice()), matrix.nrows(), cancel).await?;
    }
    for (part, norm) in NORMS.iter().zip(block.norms()) {
        calibrator.write(&name(i, part), &floats(norm), norm.len(), cancel).await?;
    }
    Ok(())
}

/// A tensor outside the blocks.
struct Other {
    name: String,
    shape: Vec<usize>,
    ggml: GgmlType,
    /// Where rewriting changed them.
    values: Vec<f32>,
    /// Bytes are copied from this tensor where rewriting did not change it.
    copied: Option<TensorInfo>,
}

impl Other {
    fn copied(info: &TensorInfo) -> Self {
        let TensorInfo { name, shape, ggml_type, .. } = info.clone();
        Self { name, shape, ggml: ggml_type, values: Vec::new(), copied: Some(info.clone()) }
    }

    fn head(&self) -> TensorHead {
        TensorHead { name: self.name.clone(), shape: self.shape.clone(), ggml_type: self.ggml }
    }

    /// Where rewriting changed it.
    async fn fill<E: Executor>(&self, calibrator: &Calibrator<E>, cancel: &Cancel) -> Result<()> {
        // A tied model has no output of its own in its graph, and its head is never run here.
        if self.copied.is_some() || self.name == OUTPUT && calibrator.config().tied {
            return Ok(());
        }
        calibrator.write(&self.name, &self.values, self.shape.last().copied().unwrap_or(1), cancel).await
    }
}

const EMBEDDING: &str = "token_embd.weight";
const OUTPUT: &str = "output.weight";
const OUTPUT_NORM: &str = "output_norm.weight";
/// Of positions, which no rewriting touches.
const ROPE: &str = "rope_freqs.weight";

struct Model<'a, S> {
    source: &'a S,
    gguf: &'a Gguf,
    config: &'a Config,
    options: &'a ApplyOptions,
}

impl<S: ByteSource> Model<'_, S> {
    fn info(&self, name: &str) -> Result<&TensorInfo> {
        self.gguf.tensor(name).ok_or_else(|| {
            let cause = format!("the file has no tensor {name}");
            Error::new("llama.tensor", cause, "get the whole file, or convert it again")
        })
    }

    async fn values(&self, info: &TensorInfo) -> Result<Vec<f32>> {
        let mut raw = vec![0; info.bytes as usize];
        self.source.read(info.offset, &mut raw).await?;
        let mut values = vec![0f32; info.elements() as usize];
        named(&info.name, dequantize(info.ggml_type, &raw, &mut values))?;
        Ok(values)
    }

    /// Tensors that are none of those this module knows: copied, and nothing may be rewritten around them.
    fn strangers(&self) -> Result<Vec<Other>> {
        let known = |tensor: &str| {
            [EMBEDDING, OUTPUT_NORM, OUTPUT, ROPE].contains(&tensor)
                || part(tensor).is_some_and(|part| LINEAR.contains(&part) || NORMS.contains(&part))
        };
        let strangers: Vec<&TensorInfo> = self.gguf.tensors.iter().filter(|t| !known(&t.name)).collect();
        if let Some(stranger) = strangers.first()
            && (self.options.equalize || self.options.rotate.is_some())
        {
            return Err(Error::new(
                "compress.unsupported",
                format!("the tensor {} takes part in what would be rewritten", stranger.name),
                "leave equalizing and rotating out for this model",
            ));
        }
        Ok(strangers.into_iter().map(Other::copied).collect())
    }

    /// What comes before the blocks, and behind them.
    async fn others(&self, rotation: Option<&Rotation>) -> Result<(Vec<Other>, Vec<Other>)> {
        let mut embedding = Other::copied(self.info(EMBEDDING)?);
        let mut norm = Other::copied(self.info(OUTPUT_NORM)?);
        let mut output = if self.config.tied { None } else { Some(Other::copied(self.info(OUTPUT)?)) };
        if let Some(rotation) = rotation {
            let gain = self.wide(OUTPUT_NORM).await?;
            let mut rows = self.wide(EMBEDDING).await?;
            // A tied table cannot be both.
            let mut out = if self.config.tied { rows.clone() } else { self.wide(OUTPUT).await? };
            rotate_output(&mut out, &gain, rotation)?;
            rotate_embedding(&mut rows, self.config.hidden_size, rotation)?;
            let rewritten = |of: &Other, name: &str, ggml: GgmlType, values: &[f64]| Other {
                name: name.into(),
                shape: of.shape.clone(),
                ggml: if of.ggml == GgmlType::F32 { GgmlType::F32 } else { ggml },
                values: floats(values),
                copied: None,
            };
            output = Some(rewritten(output.as_ref().unwrap_or(&embedding), OUTPUT, GgmlType::F16, &out));
            embedding = rewritten(&embedding, EMBEDDING, GgmlType::F16, &rows);
            norm = rewritten(&norm, OUTPUT_NORM, GgmlType::F32, &vec![1.0; gain.len()]);
        }
        let rope = self.gguf.tensor(ROPE).map(Other::copied);
        let head = self.strangers()?.into_iter().chain(rope).chain([embedding]).collect();
        Ok((head, [norm].into_iter().chain(output).collect()))
    }

    async fn wide(&self, name: &str) -> Result<Vec<f64>> {
        Ok(self.values(self.info(name)?).await?.iter().map(|v| f64::from(*v)).collect())
    }

    async fn write_other<W: Write>(&self, other: &Other, stream: &mut GgufStream<W>) -> Result<()> {
        match &other.copied {
            Some(info) => {
                let mut raw = vec![0; info.bytes as usize];
                self.source.read(info.offset, &mut raw).await?;
                info.check_finite(&raw)?;
                stream.write(&raw)
            }
            None => stream.write(&named(&other.name, quantize(other.ggml, &other.values))?),
        }
    }

    async fn block(&self, i: usize) -> Result<Block> {
        let mut matrices = Vec::new();
        for part in LINEAR {
            let info = self.info(&name(i, part))?;
            let n = info.shape.last().copied().unwrap_or(0);
            matrices.push(named(&info.name, channels(&self.values(info).await?, n))?);
        }
        let mut norms = Vec::new();
        for part in NORMS {
            norms.push(self.wide(&name(i, part)).await?);
        }
        let [q, k, v, output, gate, up, down] = matrices.try_into().expect("as many as there are parts");
        let [attn_norm, ffn_norm] = norms.try_into().expect("as many as there are norms");
        let block = Block { attn_norm, q, k, v, output, ffn_norm, gate, up, down };
        block.check(self.config)?;
        Ok(block)
    }

    /// As it is compressed.
    async fn rewritten_block(&self, i: usize, rotation: Option<&Rotation>) -> Result<Block> {
        let mut block = self.block(i).await?;
        if self.options.equalize {
            block.equalize(self.config)?;
        }
        if let Some(rotation) = rotation {
            block.rotate(self.config, rotation)?;
        }
        Ok(block)
    }

    /// Where the smallest weights of all linear layers together end, by reading them twice.
    async fn cut(&self, rotation: Option<&Rotation>, cancel: &Cancel) -> Result<Cut> {
        let layers = self.gguf.tensors.iter().filter(|t| part(&t.name).is_some_and(|part| LINEAR.contains(&part)));
        let total: u64 = layers.map(TensorInfo::elements).sum();
        let dropped = (self.options.sparsity.share() * total as f64).round() as u64;
        let mut select = RankSelect::new(dropped);
        for pass in 0..2 {
            if pass == 1 {
                select = select.refine();
            }
            for i in 0..self.config.layers {
                cancel.check()?;
                let block = self.rewritten_block(i, rotation).await?;
                block.linear().iter().for_each(|matrix| select.add(&floats(matrix.as_slice())));
            }
        }
        Ok(select.finish())
    }

    /// How a layer of `n` inputs is stored.
    fn stored(&self, n: usize) -> GgmlType {
        let ApplyOptions { method, quantizer, .. } = self.options;
        let held = method.quantizes().then(|| QuantizedLayer::block_type(quantizer, n)).flatten();
        held.unwrap_or(GgmlType::F16)
    }

    fn block_heads(&self) -> Result<Vec<TensorHead>> {
        let mut heads = Vec::new();
        for i in 0..self.config.layers {
            for part in NORMS {
                let TensorInfo { name, shape, .. } = self.info(&name(i, part))?.clone();
                heads.push(TensorHead { name, shape, ggml_type: GgmlType::F32 });
            }
            for part in LINEAR {
                let TensorInfo { name, shape, .. } = self.info(&name(i, part))?.clone();
                let ggml_type = self.stored(shape.last().copied().unwrap_or(0));
                heads.push(TensorHead { name, shape, ggml_type });
            }
        }
        Ok(heads)
    }

    /// The old file's, and what was done.
    async fn metadata(&self) -> Result<EncodedMetadata> {
        let ApplyOptions { method, quantizer, sparsity, equalize, rotate, .. } = self.options;
        // ggml's numbers for "mostly" that type.
        let file_type = match self.stored(self.config.hidden_size) {
            GgmlType::Q4_0 => 2,
            GgmlType::Q8_0 => 7,
            _ => 1,
        };
        let mut changed = vec![
            ("general.file_type", Value::U32(file_type)),
            ("lantern.compress.method", Value::String(method.name().into())),
            ("lantern.compress.equalize", Value::Bool(*equalize)),
            ("lantern.compress.rotate", Value::Bool(rotate.is_some())),
        ];
        if method.quantizes() {
            let group = match quantizer.granularity {
                Granularity::Group(size) => size.to_string(),
                Granularity::Channel => "channel".into(),
                Granularity::Tensor => "tensor".into(),
            };
            changed.push(("lantern.compress.bits", Value::U32(quantizer.bits)));
            changed.push(("lantern.compress.group", Value::String(group)));
        }
        if method.prunes() {
            let said = match sparsity {
                Sparsity::Share(share) => format!("{share}"),
                Sparsity::NOfM { n, m } => format!("{n}:{m}"),
            };
            changed.push(("lantern.compress.sparsity", Value::String(said)));
        }
        EncodedMetadata::copied(self.source, self.gguf, &changed).await
    }

    /// Compresses a block's linear layers in place; each one's report and bytes.
    fn compress(
        &self,
        i: usize,
        block: &mut Block,
        inputs: Option<&Inputs>,
        mut cut: Option<&mut Cut>,
        cancel: &Cancel,
    ) -> Result<Vec<(LayerReport, Vec<u8>)>> {
        let mut layers = Vec::new();
        for (part, matrix) in LINEAR.iter().zip(block.linear_mut()) {
            cancel.check()?;
            let name = name(i, part);
            let gram = inputs.map(|inputs| inputs.of(&name)).transpose()?;
            let known = gram.map(|gram| Known::new(gram, self.options)).transpose();
            let known = named(&name, known)?;
            let layer = named(&name, compress(matrix, known.as_ref(), cut.as_deref_mut(), self.options))?;
            let stored = self.stored(matrix.nrows());
            // What counts is what the file holds.
            let as_stored = |values: &DMatrix<f64>| -> Result<(DMatrix<f64>, Vec<u8>)> {
                let bytes = encode(&name, stored, values.as_slice())?;
                let mut read = vec![0f32; values.len()];
                named(&name, dequantize(stored, &bytes, &mut read))?;
                Ok((channels(&read, values.nrows())?, bytes))
            };
            let (values, bytes) = match layer.blocks {
                Some(bytes) => (layer.values, bytes),
                None => as_stored(&layer.values)?,
            };
            let nearest = match layer.nearest {
                Some(nearest) if stored == GgmlType::F16 => Some(as_stored(&nearest)?.0),
                nearest => nearest,
            };
            let output = |values| known.as_ref().map(|known| known.output_snr_db(matrix, values)).transpose();
            layers.push((
                LayerReport {
                    name: name.clone(),
                    shape: [matrix.ncols(), matrix.nrows()],
                    bits: layer.bits,
                    zeros: values.iter().filter(|v| **v == 0.0).count() as f64 / matrix.len() as f64,
                    stored,
                    bytes: bytes.len() as u64,
                    weight_snr_db: snr_db(matrix.norm_squared(), (&*matrix - &values).norm_squared()),
                    output_snr_db: output(&values)?.flatten(),
                    rtn_output_snr_db: nearest.as_ref().map(output).transpose()?.flatten().flatten(),
                },
                bytes,
            ));
            *matrix = values;
        }
        Ok(layers)
    }
}

struct Report {
    layers: Vec<LayerReport>,
    bytes: u64,
    bytes_before: u64,
}

impl Report {
    fn new(heads: &[TensorHead], gguf: &Gguf) -> Self {
        let bytes = heads.iter().filter_map(|head| head.bytes().ok()).sum();
        Self { layers: Vec::new(), bytes, bytes_before: gguf.tensors.iter().map(|t| t.bytes).sum() }
    }

    fn finish(self) -> Applied {
        let count = |layer: &LayerReport| layer.shape.iter().product::<usize>() as u64;
        let compressed_weights = self.layers.iter().map(count).sum::<u64>();
        let charged: f64 = self.layers.iter().map(|layer| layer.bits * count(layer) as f64).sum();
        let in_layers = self.layers.iter().map(|layer| layer.bytes).sum::<u64>();
        Applied {
            bits: charged / compressed_weights.max(1) as f64,
            compressed_weights,
            other_bytes: self.bytes - in_layers,
            bytes: self.bytes,
            bytes_before: self.bytes_before,
            layers: self.layers,
        }
    }
}
