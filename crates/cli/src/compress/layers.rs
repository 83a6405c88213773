//! `lantern compress layers`: both methods on the tensors of a file.

use lantern_compress::layers::{Layer, Report, Winner, compare_file};
use lantern_compress::theory::{BITS, Comparison};
use lantern_graph::{Cancel, Result};
use lantern_weights::Joined;
use serde_json::{Value as Json, json};

use super::ModelFile;
use crate::args::CompressLayers;
use crate::output;

/// The width whose numbers stand first where all are asked for.
const USUAL_BITS: u32 = 4;

pub async fn run(args: &CompressLayers) -> Result<()> {
    let sources = super::open(&args.file).await?;
    let entries = ModelFile::read(&args.file, &sources).await?.entries();
    let source = Joined::new(&sources);
    let bits: Vec<u32> = args.bits.map_or_else(|| BITS.collect(), |b| vec![b]);
    let mut meter = output::Meter::new("weights");
    let mut tell = |done, total| meter.tell(done, total);
    let report = compare_file(&source, entries, &bits, super::terms(&args.terms), &mut tell, &Cancel::new()).await?;
    drop(meter);
    let first = args.bits.unwrap_or(USUAL_BITS);
    if args.json.json { print_json(&report, first, &bits, args) } else { print_text(&report, first, &bits) }
}

fn at(layer: &Layer, bits: u32) -> Option<&Comparison> {
    layer.comparisons.iter().find(|c| c.bits == bits)
}

fn print_json(report: &Report, first: u32, bits: &[u32], args: &CompressLayers) -> Result<()> {
    let with_winner = |c: &Comparison| {
        // An infinite ratio, of a tensor that lies on the grid, is null.
        let mut json = json!(c);
        json["winner"] = json!(Winner::of(c));
        json
    };
    let tensor = |layer: &Layer| {
        let mut json = at(layer, first).map_or_else(|| json!({}), with_winner);
        json["name"] = json!(layer.entry.name);
        json["shape"] = json!(layer.entry.shape);
        json["type"] = json!(layer.entry.type_name);
        json["quantized_already"] = json!(layer.was_quantized);
        json["counted"] = json!(layer.entry.is_matrix());
        json["mean"] = json!(layer.mean);
        json["kurtosis"] = json!(layer.kurtosis);
        if bits.len() > 1 {
            json["widths"] = layer.comparisons.iter().map(with_winner).collect();
        }
        json
    };
    let skipped = report.skipped.iter().map(|(entry, error)| {
        json!({
            "name": entry.name, "shape": entry.shape, "type": entry.type_name,
            "code": error.code, "cause": error.cause, "remedy": error.remedy,
        })
    });
    let rates: Vec<Json> = bits.iter().map(|b| json!(report.win_rate(*b))).collect();
    output::json(&json!({
        "bits": first,
        "charge": args.terms.charge.name(),
        "natural_zeros": args.terms.natural_zeros,
        "tensors": report.layers.iter().map(tensor).collect::<Vec<_>>(),
        "skipped": skipped.collect::<Vec<_>>(),
        // Of quantization, over tensors of two dimensions or more.
        "win_rate": report.win_rate(first).rate,
        "win_rates": rates,
    }))
}

fn print_text(report: &Report, first: u32, bits: &[u32]) -> Result<()> {
    let mut text = format!("at {first} bits, in dB\n");
    for layer in &report.layers {
        let Some(c) = at(layer, first) else { continue };
        let winner = match Winner::of(c) {
            Winner::Quantization => "quantization",
            Winner::Pruning => "pruning",
            Winner::Tie => "neither",
        };
        let mut notes = String::new();
        if layer.was_quantized {
            notes += ", quantized already: no evidence";
        }
        if !layer.entry.is_matrix() {
            notes += ", not counted: one dimension";
        }
        text += &format!(
            "  {:<40} {:<18} kurtosis {:>8.2}  quantized {:>6.2}  pruned {:>6.2}  {winner}{notes}\n",
            layer.entry.name,
            format!("{:?}", layer.entry.shape),
            layer.kurtosis,
            c.quant_snr_db,
            c.prune_snr_db,
        );
    }
    for (entry, error) in &report.skipped {
        let shape = format!("{:?}", entry.shape);
        text += &format!("  {:<40} {shape:<18} not compared: {}; {}\n", entry.name, error.cause, error.remedy);
    }
    text += "\n";
    for b in bits {
        let rate = report.win_rate(*b);
        text += &match rate.rate {
            Some(share) => format!(
                "{b} bits: quantization wins {} of {} tensors, {:.1} %\n",
                rate.quantization,
                rate.compared,
                100.0 * share
            ),
            None => format!("{b} bits: no tensor of two dimensions or more could be compared\n"),
        };
    }
    let already = bits.first().map_or(0, |b| report.win_rate(*b).quantized_already);
    if already > 0 {
        text += &format!("quantized already, and so no evidence: {already} of them; compare an F16 or F32 file\n");
    }
    output::names(&text)
}
