//! `lantern diff`: where an executor parts from the reference.
//!
//! Both run the same fused graphs with every node kept, each on its own values: first the prompt, chunk by chunk, then
//! one decode step. An operation's error is its largest difference relative to the reference's largest value.

use std::rc::Rc;

use lantern_cpu::Cpu;
use lantern_demos::chat::{ChatModel, Checked, LoadOptions, check};
use lantern_graph::{Bindings, Cancel, Class, Error, Executor, Graph, NodeId, Op, Result, Session, Value, fuse};
use lantern_weights::{FileSource, Gguf};
use serde_json::{Value as Json, json};

use crate::args::Diff;
use crate::device::{self, Device};
use crate::input;
use crate::output::{self, Notes};

/// How many of the largest errors are shown.
const SHOWN: usize = 10;

pub async fn run(args: &Diff) -> Result<()> {
    let source = FileSource::open(&args.model)?;
    let mut notes = Notes::new("diff");
    let gguf = Gguf::read(&source).await?;
    let checked = check(&gguf, &LoadOptions::default())?;
    notes.tell_all(checked.notices.clone());
    let file = File { source, gguf };
    match device::open(&args.device, &mut notes).await? {
        Device::Cpu(cpu) => compare(&cpu, &file, checked, args, notes).await,
        Device::Gpu(gpu) => compare(&gpu, &file, checked, args, notes).await,
    }
}

struct File {
    source: FileSource,
    gguf: Gguf,
}

/// One operation's two results held against each other.
struct Difference {
    phase: &'static str,
    scope: String,
    op: &'static str,
    shape: Vec<usize>,
    max_abs: f32,
    relative: f32,
}

impl Difference {
    fn to_json(&self) -> Json {
        json!({
            "phase": self.phase, "scope": self.scope, "op": self.op, "shape": self.shape,
            // JSON has no infinity: null says "not a number on one side".
            "max_abs": self.max_abs, "relative": self.relative,
        })
    }

    fn to_text(&self) -> String {
        let Difference { phase, scope, op, shape, max_abs, relative } = self;
        let shape = format!("{shape:?}");
        format!("{phase:<8} {scope:<22} {op:<12} {shape:<20} max abs {max_abs:.3e}, relative {relative:.3e}")
    }
}

async fn compare<E: Executor>(
    other: &Rc<E>,
    file: &File,
    checked: Checked,
    args: &Diff,
    mut notes: Notes,
) -> Result<()> {
    let device = other.describe();
    let bound = match args.bound {
        Some(bound) => bound,
        // Activations in int8.
        None if ["fast", "dot"].contains(&device.tier.as_str()) => 0.1,
        // The GPU keeps such blocks' scales as f16.
        None if file.gguf.tensors.iter().any(|t| t.ggml_type.block_len() == Some(256)) => 1e-2,
        None => 1e-3,
    };
    let mut theirs = Side::new(other, file, checked).await?;
    let mut reference = Side::new(&device::exact(), file, check(&file.gguf, &LoadOptions::default())?).await?;
    let text = input::prompt(&args.prompt)?;
    let prompt = reference.model.raw_prompt(&text)?;
    let context = reference.model.config().context_length;
    if prompt.len() >= context {
        return Err(Error::new(
            "chat.too_long",
            format!("{} tokens and one more do not fit into {context} positions", prompt.len()),
            "give a shorter --prompt",
        ));
    }
    notes.tell_all(reference.model.tokenizer().notice_of(&text)?);
    let differences = differences(&mut reference, &mut theirs, &prompt).await?;
    notes.tell_all(other.notices());
    let first = differences.iter().find(|d| d.relative > bound);
    let mut largest: Vec<&Difference> = differences.iter().collect();
    largest.sort_by(|a, b| b.relative.total_cmp(&a.relative));
    largest.truncate(SHOWN);

    let name = format!("{} {} ({})", device.device, device.tier, device.adapter);
    if args.json.json {
        output::json(&json!({
            "device": device.device, "tier": device.tier, "adapter": device.adapter, "bound": bound,
            "operations": differences.len(),
            "first": first.map(Difference::to_json),
            "largest": largest.iter().map(|d| d.to_json()).collect::<Vec<_>>(),
            "notes": notes.to_json(),
        }))?;
    } else {
        let mut text = format!("cpu exact against {name}: {} operations, bound {bound:e}\n", differences.len());
        match first {
            Some(first) => text += &format!("they part at\n  {}\n", first.to_text()),
            None => text += "they do not part; the largest errors:\n",
        }
        for difference in largest.iter().filter(|_| first.is_none()) {
            text += &format!("  {}\n", difference.to_text());
        }
        output::names(&text)?;
    }
    match first {
        None => Ok(()),
        Some(d) => Err(Error::new(
            "diff.parted",
            format!("{name} parts from cpu exact at {} {} by {:.3e}", d.scope, d.op, d.relative),
            "look at that operation, or allow more with --bound",
        )),
    }
}

async fn differences<E: Executor>(
    reference: &mut Side<Cpu>,
    theirs: &mut Side<E>,
    prompt: &[u32],
) -> Result<Vec<Difference>> {
    let mut found = Vec::new();
    let mut past = 0;
    for chunk in prompt.chunks(reference.model.prefill_chunk()) {
        let symbols =
            [("past", past), ("kv_len", past + chunk.len()), ("rows", chunk.len()), ("last", chunk.len() - 1)];
        hold_against(reference, theirs, "prefill", chunk, &symbols, &mut found).await?;
        past += chunk.len();
    }
    let next = reference.next().await?;
    let symbols = [("past", past), ("kv_len", past + 1)];
    hold_against(reference, theirs, "decode", &[next], &symbols, &mut found).await?;
    Ok(found)
}

async fn hold_against<E: Executor>(
    reference: &mut Side<Cpu>,
    theirs: &mut Side<E>,
    phase: &'static str,
    ids: &[u32],
    symbols: &[(&str, usize)],
    found: &mut Vec<Difference>,
) -> Result<()> {
    reference.run(phase, ids, symbols).await?;
    theirs.run(phase, ids, symbols).await?;
    let graph = reference.graph(phase).clone();
    let bindings = Bindings::new(&graph, symbols)?;
    // A reshape holds what the node before it held.
    for (name, id) in graph.outputs.iter().filter(|(_, id)| graph.node(*id).op != Op::Reshape) {
        // An id that differs says nothing about by how much.
        let (Value::F32(a), Value::F32(b)) = (reference.read(phase, name).await?, theirs.read(phase, name).await?)
        else {
            continue;
        };
        let node = graph.node(*id);
        let (max_abs, relative) = errors(&a, &b);
        let (scope, op) = (node.scope.to_string(), node.op.name());
        found.push(Difference { phase, scope, op, shape: node.shape.eval(&bindings), max_abs, relative });
    }
    Ok(())
}

/// Largest difference, and that relative to the reference's largest value. Infinite where one side is not a number.
fn errors(reference: &[f32], other: &[f32]) -> (f32, f32) {
    let (mut worst, mut largest) = (0f32, 0f32);
    for (a, b) in reference.iter().zip(other) {
        let difference = (a - b).abs();
        worst = if difference.is_nan() { f32::INFINITY } else { worst.max(difference) };
        largest = largest.max(a.abs());
    }
    if reference.len() != other.len() {
        worst = f32::INFINITY;
    }
    let relative = match worst {
        0.0 => 0.0,
        f32::INFINITY => f32::INFINITY,
        worst => worst / largest.max(f32::MIN_POSITIVE),
    };
    (worst, relative)
}

/// One executor with the model, both graphs and both plans.
struct Side<E: Executor> {
    model: Rc<ChatModel<E>>,
    session: E::Session,
    plans: [(Graph, <E::Session as Session>::Plan); 2],
    /// Where prefill's kept graph holds the next token.
    next: NodeId,
    cancel: Cancel,
}

impl<E: Executor> Side<E> {
    async fn new(executor: &Rc<E>, File { source, gguf }: &File, checked: Checked) -> Result<Self> {
        let cancel = Cancel::new();
        let model = ChatModel::load_checked(executor, source, gguf, checked, &mut |_| {}, &cancel).await?;
        let mut session = executor.session(Class::Token);
        let prefill = fuse(model.prefill_graph());
        let next = prefill.find_output("next")?;
        let (prefill, decode) = (prefill.with_every_node_kept(), fuse(model.decode_graph()).with_every_node_kept());
        let prefill_plan = session.compile(&prefill, model.weights(), &cancel).await?;
        let decode_plan = session.compile(&decode, model.weights(), &cancel).await?;
        let plans = [(prefill, prefill_plan), (decode, decode_plan)];
        Ok(Self { model: Rc::new(model), session, plans, next, cancel })
    }

    fn index(phase: &str) -> usize {
        usize::from(phase == "decode")
    }

    fn graph(&self, phase: &str) -> &Graph {
        &self.plans[Self::index(phase)].0
    }

    async fn run(&mut self, phase: &str, ids: &[u32], symbols: &[(&str, usize)]) -> Result<()> {
        let (graph, plan) = &self.plans[Self::index(phase)];
        let bindings = Bindings::new(graph, symbols)?;
        self.session.run(plan, &bindings, &[("ids", Value::U32(ids.to_vec()))], &self.cancel).await
    }

    async fn read(&mut self, phase: &str, name: &str) -> Result<Value> {
        self.session.read(&self.plans[Self::index(phase)].1, name).await
    }

    /// The likeliest token after the last prefill.
    async fn next(&mut self) -> Result<u32> {
        let name = format!("n{}", self.next.0);
        let ids = self.read("prefill", &name).await?.into_u32()?;
        ids.first().copied().ok_or_else(|| Error::new("graph.output", "no token came out", "report this"))
    }
}
