//! What a conversation takes of a device.

use lantern_graph::{FEW_ROWS, MANY_ROWS};
use lantern_models::llama::Config;

use super::LoadOptions;
use crate::models::{Needs, Processor};

/// Of weights of so many bytes, with a context of `config.context_length`. Where the prompt's rows are for the device to
/// choose, as many as it may choose.
pub fn needs(config: &Config, weights: u64, options: &LoadOptions, processor: Processor) -> Needs {
    let most = if processor == Processor::Gpu { MANY_ROWS } else { FEW_ROWS };
    let rows = options.prefill_chunk.unwrap_or(most).min(config.context_length) as u64;
    let hidden = config.hidden_size as u64;
    let heads = (config.heads * config.head_dim) as u64;
    let kv = (config.kv_heads * config.head_dim) as u64;
    let feed_forward = config.feed_forward_length as u64;
    let logits = config.vocab_size as u64;
    let work = match processor {
        // Alive at once: the residual stream and its norm, and gate and up, or queries, keys, values and what they give.
        Processor::Cpu => rows * (2 * hidden + (2 * feed_forward).max(2 * heads + 2 * kv)) + logits,
        // Arenas keep apart what one dispatch reads and another writes, so each of these is there about once more.
        Processor::Gpu => rows * (4 * hidden + (3 * feed_forward).max(3 * heads + 2 * kv)) + 2 * logits,
    };
    // Constants, and on the GPU a block of numbers for each kind of dispatch of the two plans.
    let work = 4 * work + 64 * 1024;
    // The processor rounds keys and values to halves, and keeps these as f32, which it computes with.
    let widened = if processor == Processor::Cpu && config.kv_f16 { 2 } else { 1 };
    Needs { weights, kept: widened * config.kv_bytes(config.context_length), work }
}
