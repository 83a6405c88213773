//! What may be typed after `lantern compress`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use lantern_compress::layerwise::DAMPING;
use lantern_compress::prune::Sparsity;
use lantern_compress::quantize::Granularity;

use super::{Json, from_one};

#[derive(Subcommand)]
pub enum Compress {
    /// Expected errors of both methods on a distribution of weights
    Theory(CompressTheory),
    /// The tails from which on pruning loses less
    Crossover(CompressCrossover),
    /// Both methods on every tensor of a GGUF or safetensors file, and how often which one wins
    Layers(CompressLayers),
    /// What is provably best for pieces of a matrix's rows, and how near heuristics come
    Bounds(CompressBounds),
    /// Compress a GGUF Llama into a GGUF Llama; `lantern eval perplexity` then judges it
    Apply(CompressApply),
}

#[derive(Args)]
pub struct CompressTerms {
    /// What the pruner pays for knowing where its weights are: nothing as in the paper, a bit a weight, or the mask's entropy
    #[arg(long, value_enum, default_value_t = ChargeKind::Free)]
    pub charge: ChargeKind,
    /// Levels of the quantizer: −2^(b−1) to 2^(b−1) − 1, or one less so that both sides are the same
    #[arg(long, value_enum, default_value_t = GridKind::Integer)]
    pub grid: GridKind,
    /// Hold the pruner to the size that is left when the quantizer's own zeros are not stored either; where masks are charged, both
    /// pay for theirs
    #[arg(long)]
    pub natural_zeros: bool,
}

#[derive(Args)]
pub struct CompressTheory {
    #[arg(long, value_enum)]
    pub dist: Dist,
    /// Degrees of freedom of Student's t
    #[arg(long, allow_hyphen_values = true)]
    pub nu: Option<f64>,
    /// Student's t is cut off at plus and minus this; ν of 2 and less need it
    #[arg(long, allow_hyphen_values = true)]
    pub truncate: Option<f64>,
    /// This share of the weights is wider than the others
    #[arg(long, allow_hyphen_values = true)]
    pub outliers: Option<f64>,
    /// By this factor
    #[arg(long, default_value_t = 10.0, allow_hyphen_values = true, requires = "outliers")]
    pub outlier_scale: f64,
    /// Bits a weight, 2 to 8 [default: all]
    #[arg(long)]
    pub bits: Option<u32>,
    /// Also both at once: the best number of bits for the weights that are left, a mask paid with a bit a weight (or its
    /// entropy, with --charge entropy)
    #[arg(long)]
    pub joint: bool,
    #[command(flatten)]
    pub terms: CompressTerms,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Args)]
pub struct CompressCrossover {
    #[arg(long, value_enum, default_value_t = Dist::StudentT)]
    pub dist: Dist,
    /// Degrees of freedom
    #[arg(long, allow_hyphen_values = true)]
    pub nu: f64,
    /// Bits a weight, 2 to 8
    #[arg(long)]
    pub bits: u32,
    #[command(flatten)]
    pub terms: CompressTerms,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Args)]
pub struct CompressLayers {
    /// GGUF or safetensors, or the list of a model's shards
    pub file: PathBuf,
    /// Bits a weight, 2 to 8 [default: all, 4 first]
    #[arg(long)]
    pub bits: Option<u32>,
    #[command(flatten)]
    pub terms: CompressTerms,
    #[command(flatten)]
    pub json: Json,
}

/// In their textbook scale: N(0, 1); Laplace of scale 1; uniform on −1 to 1; Student's t of scale 1.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Dist {
    Gaussian,
    Laplace,
    Uniform,
    StudentT,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ChargeKind {
    Free,
    Bitmap,
    Entropy,
}

impl ChargeKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Bitmap => "bitmap",
            Self::Entropy => "entropy",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GridKind {
    Integer,
    Odd,
}

#[derive(Args)]
pub struct CompressBounds {
    /// GGUF or safetensors
    pub file: PathBuf,
    /// Name of a matrix in it
    #[arg(long)]
    pub tensor: String,
    /// Rows, which are output channels: numbers and ranges, such as 0,7,16-19 [default: eight, spread evenly]
    #[arg(long, value_parser = numbers)]
    pub rows: Option<std::vec::Vec<usize>>,
    /// Inputs of a piece: 16, 24 and 32 are usual. Up to 24 searches end
    #[arg(long, default_value_t = 16)]
    pub n: usize,
    /// Pieces of each row, spread evenly
    #[arg(long, default_value_t = 1)]
    pub pieces: usize,
    /// Of the grid; pruning keeps bits / 16 of the weights
    #[arg(long, default_value_t = 4)]
    pub bits: u32,
    /// How exact pruning may move what it keeps
    #[arg(long, value_enum, default_value_t = RefitKind::Free)]
    pub refit: RefitKind,
    /// Partial solutions that each exact search may look at
    #[arg(long, default_value_t = 1_000_000)]
    pub max_nodes: u64,
    /// Seconds that each exact search may take: what it has found and proven by then is told
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    pub max_seconds: f64,
    /// Of synthetic inputs: what comes out of a ReLU behind random weights
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Text file: real inputs, of a GGUF Llama's layers
    #[arg(long, value_name = "TEXT")]
    pub calibrate: Option<PathBuf>,
    /// Most tokens of the text that are used, from 1 on
    #[arg(long, default_value_t = 8192, value_parser = from_one)]
    pub calibration_tokens: usize,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RefitKind {
    /// Not at all
    None,
    /// Freely
    Free,
    /// Within twice the range of the weights, as in the paper
    Box,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|s| (0.0..=1e9).contains(s));
    seconds.ok_or_else(|| "give seconds, from 0 on".into())
}

fn numbers(text: &str) -> Result<Vec<usize>, String> {
    let wrong = |part: &str| format!("{part:?} is no row number or range");
    let mut rows = Vec::new();
    for part in text.split(',') {
        let number = |text: &str| text.trim().parse::<usize>().map_err(|_| wrong(part));
        match part.split_once('-') {
            Some((from, to)) => {
                let (from, to) = (number(from)?, number(to)?);
                if to < from || to - from >= MAX_ROWS {
                    return Err(wrong(part));
                }
                rows.extend(from..=to);
            }
            None => rows.push(number(part)?),
        }
    }
    Ok(rows)
}

/// Rows of one call.
const MAX_ROWS: usize = 100_000;

#[derive(Args)]
pub struct CompressApply {
    /// GGUF file of a Llama, best in F16 or F32: what a quantized file has lost is lost
    pub input: PathBuf,
    /// GGUF file; it appears when it is whole, and replaces what was there
    pub output: PathBuf,
    #[arg(long, value_enum)]
    pub method: Method,
    /// Bits a weight, 2 to 8. Of a pruner: the size, mask as charged, that what is left of the weights in 16 bits makes
    #[arg(long, default_value_t = 4)]
    pub bits: u32,
    /// Neighbours in a row that share a scale: a number, `channel` or `tensor`
    #[arg(long, default_value = "32", value_parser = group)]
    pub group: Granularity,
    /// How wide grids are
    #[arg(long, value_enum, default_value_t = RangeKind::Mse)]
    pub range: RangeKind,
    /// Share of zeros, 0 to 1, or N:M, such as 2:4: of every M neighbours N stay [default: what equals --bits; for joint 0.5]
    #[arg(long, value_parser = sparsity)]
    pub sparsity: Option<Sparsity>,
    /// What a mask is charged
    #[arg(long, value_enum, default_value_t = ChargeKind::Free)]
    pub charge: ChargeKind,
    /// Text file, UTF-8, to see what layers see. rtn and magnitude need none; with one they report their output's error
    #[arg(long, value_name = "TEXT")]
    pub calibrate: Option<PathBuf>,
    /// Most tokens of the text that are used, from 1 on
    #[arg(long, default_value_t = 8192, value_parser = from_one)]
    pub calibration_tokens: usize,
    /// Tokens of a piece of the text
    #[arg(long, default_value_t = 512, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(2..))]
    pub context: usize,
    /// Inputs of most energy are decided first; joint, and N:M, take them as they come all the same
    #[arg(long)]
    pub act_order: bool,
    /// Added to the diagonal of the inputs' second moments, relative to its mean
    #[arg(long, default_value_t = DAMPING, allow_hyphen_values = true)]
    pub damping: f64,
    /// First even out the ranges of weights that meet, which changes nothing the model computes
    #[arg(long)]
    pub equalize: bool,
    /// First rotate the residual stream at random with this seed, which changes nothing the model computes; unties a tied output
    #[arg(long, value_name = "SEED")]
    pub rotate: Option<u64>,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// Round to nearest
    Rtn,
    /// What rounding loses, inputs not yet rounded make up for
    Gptq,
    /// GPTQ, then code by code while it gets better
    OneOpt,
    /// Zero the smallest weights of each layer
    Magnitude,
    /// Zero the smallest of all layers together
    GlobalMagnitude,
    /// Zero the smallest of each layer and refit the others
    MagnitudeRefit,
    /// Zero what costs least, others make up for it
    Sparsegpt,
    /// SparseGPT, what is left on a grid
    Joint,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RangeKind {
    /// The scale of the smallest squared error
    Mse,
    /// No weight is clipped
    MinMax,
}

fn group(text: &str) -> Result<Granularity, String> {
    match text {
        "tensor" => Ok(Granularity::Tensor),
        "channel" => Ok(Granularity::Channel),
        number => number.parse().map(Granularity::Group).map_err(|_| "give a number, `channel` or `tensor`".into()),
    }
}

fn sparsity(text: &str) -> Result<Sparsity, String> {
    let parsed = match text.split_once(':') {
        Some((n, m)) => n.parse().ok().zip(m.parse().ok()).map(|(n, m)| Sparsity::NOfM { n, m }),
        None => text.parse().ok().map(Sparsity::Share),
    };
    parsed.ok_or_else(|| "give a share such as 0.5, or N:M such as 2:4".into())
}
