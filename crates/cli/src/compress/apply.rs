//! `lantern compress apply`: a GGUF Llama compressed, and written as one.

use std::io::BufWriter;
use std::path::Path;
use std::rc::Rc;

use lantern_compress::layerwise::Order;
use lantern_compress::network::{self, Applied, ApplyOptions, Calibrator, LayerReport, Original};
use lantern_compress::prune::Sparsity;
use lantern_compress::quantize::{Range, Uniform};
use lantern_cpu::{Cpu, Mode};
use lantern_demos::chat::{Checked, LoadOptions, check};
use lantern_graph::{Cancel, Error, Result};
use lantern_weights::{FileSource, GgmlType, Gguf};
use serde_json::{Value as Json, json};

use crate::args::{CompressApply, Method, RangeKind};
use crate::input;
use crate::output::{self, Notes};
use crate::part_file::{PartFile, check_output};

impl Method {
    fn method(self) -> network::Method {
        match self {
            Self::Rtn => network::Method::RoundToNearest,
            Self::Gptq => network::Method::Gptq,
            Self::OneOpt => network::Method::OneOpt,
            Self::Magnitude => network::Method::Magnitude,
            Self::GlobalMagnitude => network::Method::GlobalMagnitude,
            Self::MagnitudeRefit => network::Method::MagnitudeRefit,
            Self::Sparsegpt => network::Method::SparseGpt,
            Self::Joint => network::Method::Joint,
        }
    }
}

impl CompressApply {
    fn options(&self) -> Result<ApplyOptions> {
        let method = self.method.method();
        let range = match self.range {
            RangeKind::Mse => Range::Mse,
            RangeKind::MinMax => Range::MinMax,
        };
        let quantizer = Uniform::gguf(self.bits, self.group, range);
        quantizer.check()?;
        let charge = super::charge(self.charge);
        let equal = match method {
            network::Method::Joint => Sparsity::Share(0.5),
            _ => Sparsity::at_bits(self.bits.into(), charge),
        };
        Ok(ApplyOptions {
            method,
            quantizer,
            sparsity: self.sparsity.unwrap_or(equal),
            charge,
            order: if self.act_order { Order::Activation } else { Order::Natural },
            damping: self.damping,
            equalize: self.equalize,
            rotate: self.rotate,
        })
    }
}

pub async fn run(args: &CompressApply) -> Result<()> {
    let options = args.options()?;
    options.check()?;
    check_output(&args.input, &args.output)?;
    let source = FileSource::open(&args.input)?;
    let gguf = Gguf::read(&source).await?;
    let checked = check(&gguf, &LoadOptions { context_length: args.context, ..LoadOptions::default() })?;
    Notes::new("compress").tell_all(checked.notices.clone());
    let calibrator = match &args.calibrate {
        Some(text) => Some(calibrator(&checked, text, args.calibration_tokens)?),
        None => None,
    };
    let (part, file) = PartFile::create(&args.output)?;
    let mut meter = output::Meter::new("blocks");
    let out = BufWriter::with_capacity(1 << 20, file);
    let mut tell = |done, total| meter.tell(done, total);
    let original = Original { source: &source, gguf: &gguf, config: &checked.config };
    let done = network::apply(&original, calibrator.as_ref(), &options, out, &mut tell, &Cancel::new()).await;
    drop(meter);
    let (out, applied) = done?;
    // It is flushed. The input's handle is given back first: where OUT is open elsewhere, some systems refuse to replace it.
    drop((out, source));
    part.keep()?;
    let quantized_before = gguf.tensors.iter().find(|t| t.ggml_type.block_len().is_some_and(|n| n > 1));
    let note = quantized_before.map(|t| {
        format!(
            "{} was {} before: what that has lost is not counted here; compress an F16 or F32 file",
            t.name, t.ggml_type
        )
    });
    let tokens = calibrator.as_ref().map(Calibrator::tokens);
    if args.json.json { print_json(&options, &applied, tokens, note) } else { print_text(args, &applied, note) }
}

/// An empty model, and the text it will be run on. Also for `bounds`.
///
/// # Errors
/// `compress.calibration` for a text that cannot be read or is too short; the tokenizer's and the executor's own.
pub fn calibrator(model: &Checked, text: &Path, most_tokens: usize) -> Result<Calibrator<Cpu>> {
    let text = input::file(text, "compress.calibration")?;
    let Checked { config, tokenizer, .. } = model;
    // The text is text: a special token written in it stays letters.
    let mut ids = tokenizer.encode(&text, false)?;
    let tokens = ids.len();
    ids.truncate(most_tokens);
    let bos = tokenizer.bos().filter(|_| tokenizer.add_bos());
    let made = Calibrator::new(&Rc::new(Cpu::new(Mode::Fast)), config, &ids, bos, config.context_length);
    if tokens <= most_tokens {
        return made;
    }
    let remedy = format!("give a larger --calibration-tokens: the text has {tokens}");
    let calibrator = made.map_err(|error| Error { remedy: remedy.clone(), ..error })?;
    let cause = format!("only the first {most_tokens} tokens of the text are used");
    Notes::new("compress").tell(Error::new("compress.calibration_cut", cause, remedy));
    Ok(calibrator)
}

fn layer_json(layer: &LayerReport) -> Json {
    // A ratio that is infinite, of a layer that lost nothing, is null.
    json!({
        "name": layer.name, "shape": layer.shape, "bits": layer.bits, "zeros": layer.zeros,
        "type": layer.stored.name(), "bytes": layer.bytes, "weight_snr_db": layer.weight_snr_db,
        "output_snr_db": layer.output_snr_db, "rtn_output_snr_db": layer.rtn_output_snr_db,
    })
}

fn charged_bytes(applied: &Applied) -> u64 {
    applied.other_bytes + (applied.bits * applied.compressed_weights as f64 / 8.0).ceil() as u64
}

fn print_json(options: &ApplyOptions, applied: &Applied, tokens: Option<usize>, note: Option<String>) -> Result<()> {
    output::json(&json!({
        "method": options.method.name(),
        "bits": options.quantizer.bits,
        "sparsity": options.method.prunes().then(|| options.sparsity.share()),
        "calibration_tokens": tokens,
        "charged_bits_per_weight": applied.bits,
        "compressed_weights": applied.compressed_weights,
        "charged_bytes": charged_bytes(applied),
        "bytes": applied.bytes,
        "bytes_before": applied.bytes_before,
        "note": note,
        "layers": applied.layers.iter().map(layer_json).collect::<Vec<_>>(),
    }))
}

fn print_text(args: &CompressApply, applied: &Applied, note: Option<String>) -> Result<()> {
    let mut text = format!("{:<28} {:>13} {:>5} {:>6} {:>6}", "layer", "shape", "type", "bits", "zeros");
    text += &format!(" {:>9} {:>9} {:>9}\n", "weight dB", "output dB", "rtn dB");
    // Of nothing but zeros there is no ratio.
    let db = |value: Option<f64>| value.filter(|v| !v.is_nan()).map_or(String::from("-"), |v| format!("{v:.2}"));
    for layer in &applied.layers {
        let LayerReport { name, shape: [channels, inputs], bits, zeros, stored, .. } = layer;
        let shape = format!("{channels} × {inputs}");
        text += &format!("{name:<28} {shape:>13} {:>5} {bits:>6.3} {zeros:>6.3}", stored.name());
        let [a, b, c] = [Some(layer.weight_snr_db), layer.output_snr_db, layer.rtn_output_snr_db].map(db);
        text += &format!(" {a:>9} {b:>9} {c:>9}\n");
    }
    let in_file = (applied.bytes - applied.other_bytes) as f64 * 8.0 / applied.compressed_weights.max(1) as f64;
    text += &format!(
        "{} weights at {:.3} bits as charged, {in_file:.3} as GGUF holds them\n",
        applied.compressed_weights, applied.bits
    );
    text += &format!(
        "{}: {} bytes of weights, {} if stored as charged, from {}\n",
        args.output.display(),
        applied.bytes,
        charged_bytes(applied),
        applied.bytes_before
    );
    if applied.layers.iter().any(|layer| layer.stored == GgmlType::F16) {
        text += "GGUF has no type for what is F16 here: the file is larger than the method charges\n";
    }
    text += &note.map_or(String::new(), |note| format!("{note}\n"));
    output::names(&text)
}
