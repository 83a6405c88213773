//! `lantern bench chat`: prompt and answer of a Llama of random weights, end to end, and where the time goes.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::rc::Rc;

use lantern_bench::{Bare, ChatBench, HostTime, LlamaShape, RandomLlama, chat_model, converse, median};
use lantern_demos::chat::{ChatModel, Generation};
use lantern_gpu::{BenchOptions, Gpu, Limits, Profile, SHADER_CHECKS, limits, profile};
use lantern_graph::{Executor, Result};
use serde_json::{Value, json};

use super::{clock, clock_text, limits_json, limits_text, operations};
use crate::args::BenchChat;
use crate::device::{self, Device};
use crate::output::{self, Meter, Notes};
use crate::part_file::{PartFile, check_free};

/// Decode steps whose host time is taken.
const HOST_STEPS: usize = 16;

/// Where a GPU's time goes.
struct Apart {
    limits: Limits,
    host: HostTime,
    decode: Profile,
    prefill: Profile,
    /// Tokens before the prefill's chunk, and in it.
    chunk: (usize, usize),
    /// Kernels that were raced, and the variant that won.
    winners: Vec<(String, String)>,
}

pub async fn chat(args: &BenchChat) -> Result<()> {
    let llama = RandomLlama::new(LlamaShape::parse(&args.shape)?, args.target)?;
    if let Some(file) = &args.save {
        check_free(file)?;
        let (part, out) = PartFile::create(file)?;
        let mut out = BufWriter::new(out);
        llama.write(&mut out).and_then(|()| out.flush()).map_err(|error| part.failed(&error))?;
        return part.keep();
    }
    // Before a device is opened and weights are made.
    bench(args, true).check()?;
    let mut notes = Notes::new("bench chat");
    match device::open(&args.device, &mut notes).await? {
        Device::Cpu(cpu) => {
            let bench = bench(args, true);
            let model = load(&cpu, &llama, &bench).await?;
            let answers = converse(&model, &llama, &bench).await?;
            let report = Report { args, llama: &llama, bench: &bench, model: &model, answers: &answers, apart: None };
            report.tell(&notes)
        }
        Device::Gpu(gpu) => {
            let bench = bench(args, gpu.capabilities().is_cpu);
            let model = load(&gpu, &llama, &bench).await?;
            let answers = converse(&model, &llama, &bench).await?;
            let apart = Some(take_apart(&gpu, &model, &llama, &bench).await?);
            notes.tell_all(gpu.notices());
            let report = Report { args, llama: &llama, bench: &bench, model: &model, answers: &answers, apart };
            report.tell(&notes)
        }
    }
}

/// What the flags say, and what suits a GPU or a processor where they say nothing.
fn bench(args: &BenchChat, is_cpu: bool) -> ChatBench {
    let (prompt_tokens, tokens, runs) = if is_cpu { (64, 16, 1) } else { (512, 128, 3) };
    ChatBench {
        prompt_tokens: args.prompt_tokens.unwrap_or(prompt_tokens),
        tokens: args.tokens.unwrap_or(tokens),
        runs: args.runs.unwrap_or(runs),
    }
}

async fn load<E: Executor>(executor: &Rc<E>, llama: &RandomLlama, bench: &ChatBench) -> Result<Rc<ChatModel<E>>> {
    let mut meter = Meter::new("bytes of weights");
    chat_model(executor, llama, bench, &mut |done, total| meter.tell(done, total)).await
}

async fn take_apart(
    gpu: &Rc<Gpu>,
    model: &Rc<ChatModel<Gpu>>,
    llama: &RandomLlama,
    bench: &ChatBench,
) -> Result<Apart> {
    let now_ms = clock();
    let mut bare = Bare::open(model).await?;
    let steps = HOST_STEPS.min(bench.tokens - 1);
    let host = bare.host(bench.prompt_tokens, steps, &now_ms).await?;
    let options = BenchOptions { working_set_bytes: 64 << 20, runs: bench.runs };
    let limits = limits(gpu, &options, &now_ms).await?;
    let measured = (bench.runs, &limits);
    let ids = |count| [("ids", lantern_graph::Value::U32(llama.prompt(count)))];
    let bindings = bare.decode_bindings(bench.middle())?;
    let decode = profile(&mut bare.session, &bare.decode, &bindings, &ids(1), measured, &now_ms).await?;
    let (past, rows) = bare.last_chunk(bench.prompt_tokens);
    let bindings = bare.prefill_bindings(past, rows)?;
    let prefill = profile(&mut bare.session, &bare.prefill, &bindings, &ids(rows), measured, &now_ms).await?;
    let winners = gpu.winners().into_iter().map(|winner| (winner.kernel, winner.choice)).collect();
    Ok(Apart { limits, host, decode, prefill, chunk: (past, rows), winners })
}

struct Report<'r, E: Executor> {
    args: &'r BenchChat,
    llama: &'r RandomLlama,
    bench: &'r ChatBench,
    model: &'r ChatModel<E>,
    answers: &'r [Generation],
    apart: Option<Apart>,
}

impl<E: Executor> Report<'_, E> {
    fn tell(&self, notes: &Notes) -> Result<()> {
        if self.args.json.json { output::json(&self.to_json(notes)) } else { output::text(&self.to_text()) }
    }

    fn prefill_ms(&self) -> Vec<f64> {
        self.answers.iter().map(|answer| answer.prefill_ms).collect()
    }

    /// Of a token.
    fn decode_ms(&self) -> Vec<f64> {
        self.answers.iter().map(|answer| answer.decode_ms / answer.decode_steps.max(1) as f64).collect()
    }

    fn to_json(&self, notes: &Notes) -> Value {
        let (shape, bench) = (&self.llama.shape, self.bench);
        let description = self.model.executor().describe();
        let limits = self.apart.as_ref().map(|apart| apart.limits);
        let (prefill_ms, decode_ms) = (median(&self.prefill_ms()), median(&self.decode_ms()));
        let answer = self.answers.first();
        let bytes = answer.map_or(0, |answer| answer.bytes_per_token);
        let (gb_per_s, gflop_per_s) =
            (bytes as f64 / decode_ms / 1e6, shape.flops(bench.prompt_tokens, 0) as f64 / prefill_ms / 1e6);
        let apart = self.apart.as_ref();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "adapter": description.adapter, "device": description.device, "tier": description.tier,
            "shader_checks": apart.map(|_| SHADER_CHECKS), "clock": apart.map(|apart| apart.decode.clock),
            "shape": {
                "name": shape.name, "hidden": shape.hidden, "feed_forward": shape.feed_forward, "layers": shape.layers,
                "heads": shape.heads, "kv_heads": shape.kv_heads, "vocab": shape.vocab, "tied": shape.tied,
            },
            "type": self.llama.dtype.name().to_lowercase(), "prompt_tokens": bench.prompt_tokens, "tokens": bench.tokens,
            "runs": bench.runs, "limits": limits.as_ref().map(limits_json),
            "prefill": {
                "ms": prefill_ms, "runs_ms": self.prefill_ms(), "tokens_per_s": bench.prompt_tokens as f64 * 1e3 / prefill_ms,
                "chunk": self.model.prefill_chunk(), "flops": shape.flops(bench.prompt_tokens, 0),
                "gflop_per_s": gflop_per_s, "of_arithmetic": limits.map(|l| gflop_per_s / l.fma_gflop_per_s),
            },
            "decode": {
                "ms": decode_ms, "runs_ms": self.decode_ms(), "tokens_per_s": 1e3 / decode_ms,
                "dispatches": answer.map(|answer| answer.dispatches_per_token), "bytes": bytes, "gb_per_s": gb_per_s,
                "of_bandwidth": limits.map(|l| gb_per_s / l.copy_gb_per_s),
                "host": apart.map(|apart| json!({"run_ms": apart.host.run_ms, "read_ms": apart.host.read_ms})),
            },
            "profile": apart.map(|apart| json!({
                "decode": operations::to_json(&apart.decode, json!({"past": bench.middle(), "rows": 1})),
                "prefill": operations::to_json(&apart.prefill, json!({"past": apart.chunk.0, "rows": apart.chunk.1})),
            })),
            "winners": apart.map(|apart| apart.winners.iter().cloned().collect::<BTreeMap<_, _>>()),
            "notes": notes.to_json(),
        })
    }

    fn to_text(&self) -> String {
        let (shape, bench) = (&self.llama.shape, self.bench);
        let description = self.model.executor().describe();
        let mut text = format!("{}, {} tier {}\n", description.adapter, description.device, description.tier);
        if let Some(apart) = &self.apart {
            let clock = clock_text(apart.decode.clock);
            text += &format!("by {clock}; shader checks: {SHADER_CHECKS}\n{}\n", limits_text(&apart.limits));
        }
        text += &format!(
            "random Llama {}: {} columns, {} in the feed-forward, {} layers, {}:{} heads, {} tokens, {}\n\n",
            shape.name,
            shape.hidden,
            shape.feed_forward,
            shape.layers,
            shape.heads,
            shape.kv_heads,
            shape.vocab,
            self.llama.dtype.name().to_lowercase(),
        );
        let (prefill_ms, decode_ms) = (median(&self.prefill_ms()), median(&self.decode_ms()));
        let gflop_per_s = shape.flops(bench.prompt_tokens, 0) as f64 / prefill_ms / 1e6;
        text += &format!(
            "prefill  {} tokens, {:.1} ms, {:.1} tokens/s, {gflop_per_s:.1} GFLOP/s, chunks of {}\n",
            bench.prompt_tokens,
            prefill_ms,
            bench.prompt_tokens as f64 * 1e3 / prefill_ms,
            self.model.prefill_chunk(),
        );
        if let Some(answer) = self.answers.first() {
            text += &format!(
                "decode   {} tokens, {:.3} ms a token, {:.1} tokens/s, {} dispatches, {:.1} MB a token, {:.1} GB/s\n",
                bench.tokens,
                decode_ms,
                1e3 / decode_ms,
                answer.dispatches_per_token,
                answer.bytes_per_token as f64 / 1e6,
                answer.bytes_per_token as f64 / decode_ms / 1e6,
            );
        }
        if let Some(apart) = &self.apart {
            let (HostTime { run_ms, read_ms }, (past, rows)) = (apart.host, apart.chunk);
            text += &format!(
                "host     {run_ms:.3} ms a token until its work was submitted, {read_ms:.3} ms until it was read\n"
            );
            text += &format!("\na decode step after {} tokens\n{}", bench.middle(), operations::to_text(&apart.decode));
            text += &format!("\n{rows} tokens of prefill after {past}\n{}", operations::to_text(&apart.prefill));
        }
        text
    }
}
