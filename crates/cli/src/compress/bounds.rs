//! `lantern compress bounds`: what is provably best for pieces of a tensor's rows.

use std::time::Instant;

use lantern_compress::bounds::{Bounds, Draws, Limit, MAX_QUANTIZED, Options, Refit, bounds, gap_db};
use lantern_compress::layers::Entry;
use lantern_compress::network::Calibrator;
use lantern_compress::{Quadratic, snr_db};
use lantern_cpu::Cpu;
use lantern_demos::chat::{LoadOptions, check};
use lantern_graph::{Cancel, Error, Result};
use lantern_weights::{ByteSource, FileSource, Gguf, Joined};
use nalgebra::DMatrix;
use serde_json::{Value as Json, json};

use super::ModelFile;
use super::apply::calibrator;
use crate::args::{CompressBounds, RefitKind};
use crate::output::{self, Notes};

/// Rows where none are named.
const ROWS: usize = 8;

/// A piece of a row and what was found.
struct Piece {
    row: usize,
    first_input: usize,
    bounds: Bounds,
}

pub async fn run(args: &CompressBounds) -> Result<()> {
    let options = Options {
        bits: args.bits,
        refit: match args.refit {
            RefitKind::None => Refit::None,
            RefitKind::Free => Refit::Free,
            RefitKind::Box => Refit::Box { factor: 2.0 },
        },
    };
    let sources = super::open(&args.file).await?;
    let source = Joined::new(&sources);
    let matrix = Matrix::open(&sources, args).await?;
    let [rows, columns] = matrix.shape;
    let n = args.n.min(columns);
    if args.n == 0 || args.n > MAX_QUANTIZED || args.pieces == 0 {
        return Err(Error::new(
            "compress.size",
            format!("{} pieces of {} inputs", args.pieces, args.n),
            format!("give --n 1 to {MAX_QUANTIZED}, and --pieces 1 at least"),
        ));
    }
    let chosen = args.rows.clone().unwrap_or_else(|| spread(rows, ROWS));
    let starts: Vec<usize> = spread(columns / n, args.pieces).iter().map(|piece| piece * n).collect();
    let forms = starts.iter().enumerate().map(|(i, at)| matrix.form(*at, n, args.seed.wrapping_add(i as u64)));
    let forms = forms.collect::<Result<Vec<_>>>()?;
    let mut meter = output::Meter::new("pieces");
    let total = (chosen.len() * starts.len()) as u64;
    let start = Instant::now();
    let limit = Limit { nodes: args.max_nodes, seconds: args.max_seconds, clock: &|| start.elapsed().as_secs_f64() };
    let mut pieces = Vec::new();
    for row in chosen {
        let weights: Vec<f64> = matrix.entry.row(&source, row).await?.into_iter().map(f64::from).collect();
        for (first_input, form) in starts.iter().zip(&forms) {
            meter.tell(pieces.len() as u64, total);
            let bounds = bounds(form, &weights[*first_input..first_input + n], &options, limit)?;
            pieces.push(Piece { row, first_input: *first_input, bounds });
        }
    }
    drop(meter);
    if args.json.json { print_json(args, n, &pieces) } else { print_text(args, n, &pieces) }
}

/// `count` of the numbers below `of`, evenly.
fn spread(of: usize, count: usize) -> Vec<usize> {
    let count = count.min(of);
    (0..count).map(|i| i * of / count).collect()
}

/// The tensor, and what its inputs are.
struct Matrix {
    entry: Entry,
    /// Rows, and inputs: of a convolution, those of all its window's pixels.
    shape: [usize; 2],
    /// XᵀX of real inputs.
    h: Option<DMatrix<f64>>,
}

impl Matrix {
    async fn open(sources: &[FileSource], args: &CompressBounds) -> Result<Self> {
        let file = ModelFile::read(&args.file, sources).await?;
        let entry = file.entries().into_iter().find(|entry| entry.name == args.tensor).ok_or_else(|| {
            let cause = format!("{} has no tensor {}", args.file.display(), args.tensor);
            Error::new("compress.tensor", cause, "see `lantern inspect` for the names")
        })?;
        let elements = entry.elements() as usize;
        if !entry.is_matrix() || elements == 0 {
            let cause = format!("{} is {:?}: no matrix with rows of weights", args.tensor, entry.shape);
            return Err(Error::new("compress.tensor", cause, "name a matrix"));
        }
        let h = match (&args.calibrate, &file) {
            (None, _) => None,
            (Some(text), ModelFile::Gguf(gguf)) => Some(inputs(&Joined::new(sources), gguf, text, args).await?),
            (Some(_), ModelFile::Safetensors(_)) => {
                let cause = "a safetensors file says nothing about how its tensors are used";
                return Err(Error::new("compress.calibration", cause, "give a GGUF Llama, or leave --calibrate out"));
            }
        };
        let rows = entry.shape[0];
        Ok(Self { entry, shape: [rows, elements / rows], h })
    }

    fn form(&self, at: usize, n: usize, seed: u64) -> Result<Quadratic> {
        match &self.h {
            Some(h) => Quadratic::new(h.view((at, at), (n, n)).into_owned(), 0.0),
            None => Quadratic::from_inputs(&Draws::new(seed).relu_inputs(8 * n, n), n),
        }
    }
}

/// XᵀX of the inputs that the layer sees on the text.
async fn inputs(
    source: &impl ByteSource,
    gguf: &Gguf,
    text: &std::path::Path,
    args: &CompressBounds,
) -> Result<DMatrix<f64>> {
    let checked = check(gguf, &LoadOptions::default())?;
    Notes::new("compress").tell_all(checked.notices.clone());
    let block = args.tensor.strip_prefix("blk.").and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
    let Some(block) = block.filter(|block| *block < checked.config.layers) else {
        let cause = format!("{} is no linear layer of a block", args.tensor);
        return Err(Error::new("compress.calibration", cause, "name one, such as blk.0.attn_q.weight"));
    };
    let calibrator: Calibrator<Cpu> = calibrator(&checked, text, args.calibration_tokens)?;
    let cancel = Cancel::new();
    calibrator.load(source, gguf, &cancel).await?;
    calibrator.inputs(block, &cancel).await?.of(&args.tensor)?.matrix()
}

/// Who wins for certain, both at their best. What pruning cannot do better is proven over all its choices; of quantization
/// only over the points of one grid, that whose scale has the least error of the weights. So pruning wins where it beats that
/// grid's proof and the best that was found on any other.
fn winner(bounds: &Bounds) -> &'static str {
    let (q, p) = (&bounds.quantization, &bounds.pruning);
    let least = |errors: &[f64]| errors.iter().copied().fold(f64::INFINITY, f64::min);
    let quantized = least(&[q.round_to_nearest, q.gptq, q.one_opt, q.sampled, q.scale_search, q.exact]);
    // What other refits reach is no solution of the problem that was bounded.
    let pruned = match p.refit {
        Refit::Free => least(&[p.magnitude, p.magnitude_refit, p.obs, p.exact]),
        Refit::None | Refit::Box { .. } => least(&[p.magnitude, p.exact]),
    };
    match () {
        () if quantized < p.lower => "quantization",
        () if pruned < q.lower.min(quantized) => "pruning",
        () => "undecided",
    }
}

type Column = (&'static str, fn(&Bounds) -> f64);

/// Errors as columns, best known and proven.
const QUANTIZATION: [Column; 9] = [
    ("rtn", |b| b.quantization.round_to_nearest),
    ("gptq", |b| b.quantization.gptq),
    ("one_opt", |b| b.quantization.one_opt),
    ("sampled", |b| b.quantization.sampled),
    ("scale_search", |b| b.quantization.scale_search),
    ("exact", |b| b.quantization.exact),
    ("proven", |b| b.quantization.lower),
    ("dual", |b| b.quantization.dual),
    ("dual_integers", |b| b.quantization.dual_integers),
];
const PRUNING: [Column; 5] = [
    ("magnitude", |b| b.pruning.magnitude),
    ("magnitude_refit", |b| b.pruning.magnitude_refit),
    ("obs", |b| b.pruning.obs),
    ("exact", |b| b.pruning.exact),
    ("proven", |b| b.pruning.lower),
];

fn decibels(bounds: &Bounds, error: f64) -> f64 {
    snr_db(bounds.energy, error)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.retain(|v| v.is_finite());
    values.sort_by(f64::total_cmp);
    let n = values.len();
    (n > 0).then(|| (values[(n - 1) / 2] + values[n / 2]) / 2.0)
}

fn medians(pieces: &[Piece], columns: &[Column]) -> Vec<(&'static str, Option<f64>)> {
    let of = |(name, error): &Column| {
        (*name, median(pieces.iter().map(|p| decibels(&p.bounds, error(&p.bounds))).collect()))
    };
    columns.iter().map(of).collect()
}

fn wins(pieces: &[Piece], whose: &str) -> usize {
    pieces.iter().filter(|piece| winner(&piece.bounds) == whose).count()
}

fn print_json(args: &CompressBounds, n: usize, pieces: &[Piece]) -> Result<()> {
    // A ratio that is infinite, or of nothing to nothing, is null.
    let db = |bounds: &Bounds, columns: &[Column]| -> Json {
        columns.iter().map(|(name, error)| (name.to_string(), json!(decibels(bounds, error(bounds))))).collect()
    };
    let each = pieces.iter().map(|Piece { row, first_input, bounds }| {
        let (mut quantization, mut pruning) = (db(bounds, &QUANTIZATION), db(bounds, &PRUNING));
        let (q, p) = (&bounds.quantization, &bounds.pruning);
        let search = |json: &mut Json, complete: bool, nodes: u64, gap: f64| {
            (json["complete"], json["nodes"], json["gap_db"]) = (json!(complete), json!(nodes), json!(gap));
        };
        search(&mut quantization, q.complete, q.nodes, gap_db(q.exact, q.lower));
        search(&mut pruning, p.complete, p.nodes, gap_db(p.exact, p.lower));
        (quantization["scale"], pruning["zeros"]) = (json!(q.scale), json!(p.zeros));
        json!({
            "row": row, "first_input": first_input, "energy": bounds.energy,
            "quantization_snr_db": quantization, "pruning_snr_db": pruning, "winner": winner(bounds),
        })
    });
    let medians = |columns: &[Column]| -> Json {
        medians(pieces, columns).into_iter().map(|(name, value)| (name.to_string(), json!(value))).collect()
    };
    output::json(&json!({
        "tensor": args.tensor, "bits": args.bits, "n": n,
        "inputs": if args.calibrate.is_some() { "text" } else { "synthetic" },
        "seed": args.calibrate.is_none().then_some(args.seed),
        "pieces": each.collect::<Vec<_>>(),
        "median_quantization_snr_db": medians(&QUANTIZATION),
        "median_pruning_snr_db": medians(&PRUNING),
        "quantization_wins": wins(pieces, "quantization"),
        "pruning_wins": wins(pieces, "pruning"),
        "undecided": wins(pieces, "undecided"),
    }))
}

fn print_text(args: &CompressBounds, n: usize, pieces: &[Piece]) -> Result<()> {
    let inputs = match &args.calibrate {
        Some(text) => format!("on inputs from {}", text.display()),
        None => format!("on synthetic inputs, seed {}", args.seed),
    };
    let mut text = format!(
        "{}, {} bits, pieces of {n} {inputs}; SNR in dB, medians of {}\n",
        args.tensor,
        args.bits,
        pieces.len()
    );
    let refit = match args.refit {
        RefitKind::None => "kept weights as they are in `exact` and `proven`",
        RefitKind::Free => "kept weights anywhere",
        RefitKind::Box => "kept weights within twice their range in `exact` and `proven`",
    };
    let quantization = "at the scale of the weights' least error; only `scale_search` tries others";
    for (what, about, columns) in [("quantization", quantization, &QUANTIZATION[..]), ("pruning", refit, &PRUNING)] {
        text += &format!("  {what}, {about}\n");
        for (name, value) in medians(pieces, columns) {
            let value = value.map_or("-".into(), |v| format!("{v:.2}"));
            text += &format!("    {name:<16} {value:>7}\n");
        }
    }
    let gaps: [fn(&Bounds) -> f64; 2] =
        [|b| gap_db(b.quantization.exact, b.quantization.lower), |b| gap_db(b.pruning.exact, b.pruning.lower)];
    for (what, gap) in ["quantization", "pruning"].into_iter().zip(gaps) {
        let cut: Vec<f64> = pieces.iter().map(|p| gap(&p.bounds)).filter(|gap| *gap > 0.0).collect();
        if !cut.is_empty() {
            let widest = cut.iter().copied().fold(0.0, f64::max);
            text += &format!(
                "{} of {} searches for the best {what} met their limit: `exact` is the best found, and none is better \
                 than `proven`, {widest:.2} dB above at most\n",
                cut.len(),
                pieces.len()
            );
        }
    }
    let [q, p, open] = ["quantization", "pruning", "undecided"].map(|whose| wins(pieces, whose));
    text += &format!("quantization provably wins {q} of {}, pruning {p}, undecided {open}\n", pieces.len());
    if p > 0 {
        text += "pruning wins against every point of that scale's grid, and against what was found at others\n";
    }
    output::names(&text)
}
