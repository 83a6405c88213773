//! What may be typed.

mod compress;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use lantern_weights::GgmlType;

pub use compress::*;

#[derive(Parser)]
#[command(name = "lantern", version, about = "Runs models from GGUF files, on the GPU or the processor")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Answer a prompt
    Chat(Chat),
    /// Send a picture through an autoencoder and back
    Autoencode(Autoencode),
    /// Store a GGUF file's weights in another type, as llama-quantize does
    Quantize(Quantize),
    /// Say what a GGUF or safetensors file holds, and whether `chat` can run it
    Inspect(Inspect),
    /// Turn standard input, verbatim, into token ids: {"ids": […]}
    Tokenize(Tokenize),
    /// Show what a conversation becomes, by a model's chat template or another
    Template(Template),
    /// List the models that the page offers, with their addresses and what they take
    Models(Models),
    /// List the processor and every graphics adapter, with tiers and limits
    Devices(Json),
    /// Find the first operation at which an executor parts from the reference, and by how much
    Diff(Diff),
    /// Judge a model
    Eval {
        #[command(subcommand)]
        what: Eval,
    },
    /// Pruning or quantization: which loses less at the same size
    Compress {
        #[command(subcommand)]
        what: Compress,
    },
    /// Measure
    Bench {
        #[command(subcommand)]
        what: Bench,
    },
    /// List every shader's WGSL, as JSON: what the tests compile in a browser
    Shaders(Json),
}

#[derive(Subcommand)]
pub enum Eval {
    /// How well a model predicts a text: lower is better. Pieces of --context tokens, the second half of each scored, as
    /// llama.cpp does
    Perplexity(Perplexity),
}

#[derive(Subcommand)]
pub enum Bench {
    /// GB/s and GFLOP/s of each kernel, against this adapter's copy bandwidth and a register-only kernel
    Kernels(BenchKernels),
    /// Stacks of convolutions of random weights: GFLOP/s, against a register-only kernel on this adapter
    Conv(BenchConv),
    /// A Llama of random weights: prompt and answer from end to end, and on a GPU each operation against what this adapter
    /// can do
    Chat(BenchChat),
}

#[derive(Args)]
pub struct Json {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct Models {
    /// Folder of a site's own models: what its site.json lists comes first
    #[arg(long, value_name = "FOLDER", default_value = "www/models")]
    pub site: PathBuf,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Args)]
pub struct Inspect {
    /// GGUF or safetensors; the list of a model's shards (NAME.safetensors.index.json); or a folder with a model, of one part or,
    /// with a model_index.json, of several
    pub file: PathBuf,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Args)]
pub struct Tokenize {
    /// GGUF file; the vocabulary alone suffices
    #[arg(long)]
    pub model: PathBuf,
    /// Take special tokens in the text as plain text
    #[arg(long)]
    pub no_special: bool,
    /// The output is JSON with and without this
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
#[group(id = "source", args = ["model", "template"], required = true, multiple = true)]
pub struct Template {
    /// GGUF file; the vocabulary alone suffices
    #[arg(long)]
    pub model: Option<PathBuf>,
    /// A file with a Jinja template, in place of the model's
    #[arg(long, value_name = "FILE")]
    pub template: Option<PathBuf>,
    /// A list like [{"role": "user", "content": "Hi"}]: a file of JSON, JSON itself, or - for standard input
    #[arg(long)]
    pub messages: String,
    /// Without the beginning of an answer
    #[arg(long)]
    pub no_generation_prompt: bool,
    /// What the template knows as bos_token, where there is no model to ask
    #[arg(long, default_value = "<s>", conflicts_with = "model")]
    pub bos_token: String,
    /// What the template knows as eos_token, where there is no model to ask
    #[arg(long, default_value = "</s>", conflicts_with = "model")]
    pub eos_token: String,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Args)]
pub struct Chat {
    /// GGUF file
    #[arg(long)]
    pub model: PathBuf,
    /// The prompt; - reads it from standard input. Without this, a terminal gets a conversation, line by line, and anything
    /// else on standard input is the prompt. A last line break is not part of it
    #[arg(long)]
    pub prompt: Option<String>,
    /// What the model is told before the prompt, as its chat template marks it
    #[arg(long, conflicts_with = "raw")]
    pub system: Option<String>,
    /// A file with a Jinja template, in place of the model's
    #[arg(long, value_name = "FILE", conflicts_with = "raw")]
    pub template: Option<PathBuf>,
    /// No chat template: the model continues the prompt as text. What looks like a special token (<|im_start|>) is taken as
    /// letters. The prompt may be empty
    #[arg(long)]
    pub raw: bool,
    /// Most tokens of an answer [default: 256]
    #[arg(long)]
    pub max_tokens: Option<usize>,
    /// 0: always the likeliest token
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    pub temperature: f32,
    #[command(flatten)]
    pub sampling: Sampling,
    /// Most tokens a conversation may have, from 1 to what the model was trained for [default: that, at most 4096]
    #[arg(long, value_parser = from_one)]
    pub context: Option<usize>,
    /// What happens where that is reached: the answer stops, or the oldest of the conversation is forgotten
    #[arg(long, value_enum, default_value_t = WhenFull::Stop)]
    pub overflow: WhenFull,
    /// With --overflow slide: how many tokens at the beginning are never forgotten [default: those of the system prompt]
    #[arg(long)]
    pub keep: Option<usize>,
    #[command(flatten)]
    pub device: Device,
    #[command(flatten)]
    pub json: Json,
}

/// How a token is drawn, where the temperature is not 0: llama.cpp's default chain, in its order.
#[derive(Args)]
pub struct Sampling {
    /// Only the likeliest tokens, so many; 0: all
    #[arg(long, default_value_t = 0)]
    pub top_k: usize,
    /// Only the likeliest tokens that hold this share of probability; 1: all
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    pub top_p: f32,
    /// Only tokens at least so likely as the likeliest, times this; 0: all
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    pub min_p: f32,
    /// Makes tokens that were just there less likely; 1: not. At temperature 0 too
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    pub repeat_penalty: f32,
    /// How many tokens that looks back, prompt and answer; -1: all
    #[arg(long, default_value_t = 64, allow_negative_numbers = true)]
    pub repeat_last_n: i64,
    /// The same seed draws the same text on one device
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// End the answer before this text; may be given again
    #[arg(long)]
    pub stop: Vec<String>,
}

#[derive(Args)]
pub struct Autoencode {
    /// PNG, JPEG, WebP, GIF or BMP
    pub input: PathBuf,
    /// PNG
    pub output: PathBuf,
    /// safetensors: TAESD's encoder and decoder, or Stable Diffusion's autoencoder; FILE, FILE,FILE, the list of a model's
    /// shards (NAME.safetensors.index.json), or a folder: of diffusers, its `vae`
    #[arg(long, value_delimiter = ',')]
    pub model: Vec<PathBuf>,
    /// Factors of the four latent planes: a,b,c,d
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true)]
    pub scale: Option<Vec<f32>>,
    /// Of Stable Diffusion's autoencoder: 0.13025 for XL [default: 0.18215]
    #[arg(long, value_parser = above_zero, allow_negative_numbers = true)]
    pub scaling_factor: Option<f32>,
    /// Most MiB of device memory that the picture may take on its way [default: 4096]
    #[arg(long)]
    pub memory_mib: Option<u64>,
    #[command(flatten)]
    pub device: Device,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Args)]
pub struct Quantize {
    /// GGUF file, in F32, F16 or BF16
    pub input: PathBuf,
    /// GGUF file; it appears when it is whole, and replaces what was there
    pub output: PathBuf,
    /// f32, f16, bf16, q8_0, q4_0, q4_1, q5_0, q5_1, q2_k, q3_k, q4_k, q5_k or q6_k
    #[arg(long = "type", value_name = "TYPE", value_parser = weight_type)]
    pub target: GgmlType,
    /// The output matrix too, which otherwise stays Q6_K or finer
    #[arg(long)]
    pub pure: bool,
    /// Take weights that were quantized before, which lose twice
    #[arg(long)]
    pub allow_requantize: bool,
    #[command(flatten)]
    pub json: Json,
}

/// A whole number from 1 on.
pub fn from_one(text: &str) -> Result<usize, String> {
    whole_number(text, 1)
}

/// A piece of a text to be scored: two halves, and a next token in the second.
fn from_four(text: &str) -> Result<usize, String> {
    whole_number(text, 4)
}

fn whole_number(text: &str, least: usize) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number >= least);
    number.ok_or_else(|| format!("give a whole number from {least} on"))
}

fn above_zero(text: &str) -> Result<f32, String> {
    let number = text.parse().ok().filter(|number: &f32| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "give a number above 0".to_owned())
}

fn bound(text: &str) -> Result<f32, String> {
    text.parse().ok().filter(|bound: &f32| !bound.is_nan()).ok_or_else(|| "give a number".to_owned())
}

fn weight_type(name: &str) -> Result<GgmlType, String> {
    GgmlType::from_name(name).ok_or_else(|| {
        let names: Vec<_> = GgmlType::READ.iter().map(|t| t.name().to_lowercase()).collect();
        format!("types are {}", names.join(", "))
    })
}

#[derive(Args)]
pub struct Diff {
    /// GGUF file
    #[arg(long)]
    pub model: PathBuf,
    /// The text to run; - reads it from standard input
    #[arg(long)]
    pub prompt: String,
    /// Largest difference allowed, relative to the operation's largest value [default: 0.001; 0.01 on a GPU for K types,
    /// whose scales it rounds to f16; 0.1 where activations are rounded to int8]
    #[arg(long, value_parser = bound, allow_negative_numbers = true)]
    pub bound: Option<f32>,
    #[command(flatten)]
    pub device: Device,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Args)]
pub struct Perplexity {
    /// GGUF file
    #[arg(long)]
    pub model: PathBuf,
    /// Text file, UTF-8; - reads standard input
    #[arg(long)]
    pub text: PathBuf,
    /// Tokens of a piece, from 4 on; the model's own limit and the text's length hold too
    #[arg(long, default_value_t = 512, value_parser = from_four)]
    pub context: usize,
    /// Most pieces to score, from 1 on [default: all]
    #[arg(long, value_parser = from_one)]
    pub pieces: Option<usize>,
    #[command(flatten)]
    pub device: Device,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Args)]
pub struct BenchKernels {
    /// software, core, subgroups or dot
    #[arg(long)]
    pub tier: Option<String>,
    /// Part of the graphics adapter's name
    #[arg(long)]
    pub adapter: Option<String>,
    /// Bytes of weights a matrix-vector product reads, in MiB: beyond the adapter's caches [default: 256, on a software
    /// adapter 64]
    #[arg(long)]
    pub working_set_mib: Option<u64>,
    /// Runs of each kernel; the median counts [default: 9, on a software adapter 3]
    #[arg(long)]
    pub runs: Option<usize>,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Args)]
pub struct BenchConv {
    /// Names from benches/stacks.json, or with --large from benches/stacks-large.json [default: all]
    pub stacks: Vec<String>,
    /// Shapes of Stable Diffusion in full: for a real graphics card
    #[arg(long)]
    pub large: bool,
    /// Runs of each stack; the median counts [default: 9, on a software adapter 5]
    #[arg(long)]
    pub runs: Option<usize>,
    #[command(flatten)]
    pub device: Device,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Args)]
pub struct BenchChat {
    /// 135m, 1b, 3b or 7b; or hidden/feed-forward/layers/heads:kv-heads/vocabulary, such as 256/768/6/8:4/32000
    #[arg(long, default_value = "135m")]
    pub shape: String,
    /// What the matrices are stored as: f32, f16, bf16, q8_0, q4_0, q4_1, q5_0, q5_1, q2_k, q3_k, q4_k, q5_k or q6_k
    #[arg(long = "type", value_name = "TYPE", default_value = "q4_0", value_parser = weight_type)]
    pub target: GgmlType,
    /// Measure nothing, and write the model to this file, for other programs
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Of the prompt [default: 512, on the processor and a software adapter 64]
    #[arg(long)]
    pub prompt_tokens: Option<usize>,
    /// Of the answer [default: 128, on the processor and a software adapter 16]
    #[arg(long)]
    pub tokens: Option<usize>,
    /// Runs of each; the median counts [default: 3, on the processor and a software adapter 1]
    #[arg(long)]
    pub runs: Option<usize>,
    #[command(flatten)]
    pub device: Device,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Args)]
pub struct Device {
    /// auto: a GPU where there is a real one, else the processor
    #[arg(long, value_enum, default_value_t = Kind::Auto)]
    pub device: Kind,
    /// On the CPU exact or fast; on a GPU software, core, subgroups or dot
    #[arg(long)]
    pub tier: Option<String>,
    /// Part of the graphics adapter's name
    #[arg(long)]
    pub adapter: Option<String>,
    /// On a GPU, a variant of a kernel to use instead of racing them, such as gemv=core; `lantern shaders` lists all
    #[arg(long, value_name = "KERNEL=VARIANT", value_parser = variant)]
    pub variant: Vec<(String, String)>,
}

fn variant(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').ok_or("write a part of a kernel's name, =, and a variant: gemv=core")?;
    Ok((parts.0.to_owned(), parts.1.to_owned()))
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WhenFull {
    Stop,
    Slide,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    Auto,
    Cpu,
    Gpu,
}
