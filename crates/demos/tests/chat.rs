//! What a conversation promises, on a small model with random weights.

mod common;

use std::cell::Cell;
use std::rc::Rc;

use common::{Llama, SMALL, each_gpu, generate, load, open, random_ids, random_model, relative_error};
use lantern_cpu::{Cpu, Mode};
use lantern_demos::chat::{Finish, GenerateOptions, LoadOptions, Overflow, Token, fit, needs};
use lantern_demos::models::Processor;
use lantern_gpu::Tier;
use lantern_graph::{
    Account, Bindings, Cancel, Class, DType, Description, Error, Executor, FEW_ROWS, Graph, MANY_ROWS, Result, Session,
    Value, WeightSpec,
};
use lantern_weights::{Gguf, MemorySource};
use pollster::block_on;

fn cpu() -> Rc<Cpu> {
    Rc::new(Cpu::new(Mode::Exact))
}

fn options(max_tokens: usize) -> GenerateOptions {
    GenerateOptions { max_tokens, ..GenerateOptions::default() }
}

#[test]
fn prefill_in_chunks_is_the_same_as_token_by_token() {
    let seed = 1;
    let bytes = random_model(SMALL, seed);
    let prompt = random_ids(SMALL.vocab, 71, seed);
    let run = |chunk: usize| {
        let mut session =
            open(&cpu(), &bytes, &LoadOptions { prefill_chunk: Some(chunk), ..LoadOptions::default() }).unwrap();
        let logits = block_on(session.logits(&prompt, &Cancel::new())).unwrap();
        (logits, generate(&mut session, &[], &options(20)).unwrap().tokens)
    };
    let (logits, tokens) = run(1);
    for chunk in [3, 7, 64, 4096] {
        let (theirs, answer) = run(chunk);
        let error = relative_error(&logits, &theirs);
        // The sums run in another order, no more.
        assert!(error < 1e-5, "chunks of {chunk}: {error}");
        assert_eq!(answer, tokens, "chunks of {chunk}");
    }
}

#[test]
fn prefill_on_a_gpu_is_the_same_as_token_by_token() {
    let seed = 20;
    let bytes = random_model(SMALL, seed);
    let prompt = random_ids(SMALL.vocab, 71, seed);
    common::each_gpu(|gpu, tier| {
        let run = |chunk: usize| {
            let options = LoadOptions { prefill_chunk: Some(chunk), ..LoadOptions::default() };
            block_on(open(gpu, &bytes, &options).unwrap().logits(&prompt, &Cancel::new())).unwrap()
        };
        let logits = run(1);
        for chunk in [7, 64] {
            let error = relative_error(&logits, &run(chunk));
            assert!(error < 1e-4, "tier {tier}, chunks of {chunk}: {error}");
        }
    });
}

#[test]
fn a_conversation_goes_on_where_it_stood() {
    let bytes = random_model(SMALL, 2);
    let (first, second) = (random_ids(SMALL.vocab, 9, 3), random_ids(SMALL.vocab, 5, 4));
    let mut session = open(&cpu(), &bytes, &LoadOptions::default()).unwrap();
    let answer = generate(&mut session, &first, &options(6)).unwrap();
    let all: Vec<u32> = [first.as_slice(), &answer.tokens, &second].concat();
    let next = generate(&mut session, &second, &options(6)).unwrap();
    // Its last token had not run yet.
    assert_eq!(next.prompt_tokens, second.len() + 1);

    let mut fresh = open(&cpu(), &bytes, &LoadOptions::default()).unwrap();
    assert_eq!(generate(&mut fresh, &all, &options(6)).unwrap().tokens, next.tokens);

    // A page that writes the whole conversation down anew pays for what is new.
    let mut longer = all.clone();
    longer.extend(&next.tokens);
    longer.extend(&first);
    assert_eq!(fresh.keep_prefix(&longer), all.len() + next.tokens.len() - 1);
    let kept = fresh.context().len();
    let shortcut = generate(&mut fresh, &longer[kept..], &options(4)).unwrap();
    fresh.reset();
    assert!(fresh.context().is_empty());
    assert_eq!(generate(&mut fresh, &longer, &options(4)).unwrap().tokens, shortcut.tokens);
}

#[test]
fn a_replayed_journal_draws_what_would_have_come() {
    let bytes = random_model(SMALL, 5);
    let prompt = random_ids(SMALL.vocab, 6, 6);
    let warm =
        |max_tokens, first_step| GenerateOptions { temperature: 1.0, seed: 9, first_step, ..options(max_tokens) };
    let fresh = || open(&cpu(), &bytes, &LoadOptions::default()).unwrap();
    let whole = generate(&mut fresh(), &prompt, &warm(24, 0)).unwrap().tokens;
    let replay: Vec<u32> = [prompt.as_slice(), &whole[..10]].concat();
    let rest = generate(&mut fresh(), &replay, &warm(14, 10)).unwrap().tokens;
    assert_eq!(rest, whole[10..]);
    let other = GenerateOptions { seed: 10, ..warm(24, 0) };
    assert_ne!(generate(&mut fresh(), &prompt, &other).unwrap().tokens, whole);
}

#[test]
fn the_context_fills_to_its_last_position_and_says_so() {
    let sizes = Llama { context: 24, ..SMALL };
    let bytes = random_model(sizes, 7);
    let mut session = open(&cpu(), &bytes, &LoadOptions::default()).unwrap();
    let prompt = random_ids(sizes.vocab, 20, 8);
    let answer = generate(&mut session, &prompt, &options(100)).unwrap();
    // Four of them ran; the fifth was drawn from the last position.
    assert_eq!((answer.finish, answer.tokens.len()), (Finish::ContextFull, 5));
    let error = generate(&mut session, &[5], &options(1)).unwrap_err();
    assert!(error.code == "chat.too_long" && error.cause.contains("0 of the context's 24"), "{error}");
    // A refusal changes nothing.
    assert_eq!(session.context().len(), 25);
    session.reset();
    let error = generate(&mut session, &random_ids(sizes.vocab, 25, 8), &options(1)).unwrap_err();
    assert!(error.code == "chat.too_long" && error.cause.contains("25 tokens"), "{error}");
}

#[test]
fn a_shorter_context_may_be_asked_for() {
    let bytes = random_model(SMALL, 7);
    let model = load(&cpu(), &bytes, &LoadOptions { context_length: 10, ..LoadOptions::default() }).unwrap();
    assert_eq!((model.config().context_length, model.prefill_chunk()), (10, 10));
}

/// A card takes many rows at a time, a processor few, and a budget is kept.
#[test]
fn a_prompt_runs_in_as_many_rows_as_suit_the_device() {
    let bytes = random_model(Llama { context: 1000, ..SMALL }, 9);
    let card = || Rc::new(Tripwire { cpu: Cpu::new(Mode::Fast), left: Rc::new(Cell::new(usize::MAX)) });
    let (options, few) = (LoadOptions::default(), LoadOptions { prefill_chunk: Some(9), ..LoadOptions::default() });
    let model = load(&card(), &bytes, &options).unwrap();
    assert_eq!(model.prefill_chunk(), MANY_ROWS);
    assert_eq!(load(&cpu(), &bytes, &options).unwrap().prefill_chunk(), FEW_ROWS);
    assert_eq!(load(&card(), &bytes, &few).unwrap().prefill_chunk(), 9, "as asked for");

    let weights = model.executor().memory_bytes();
    let enough = LoadOptions { prefill_chunk: Some(130), ..LoadOptions::default() };
    let budget = needs(model.config(), weights, &enough, Processor::Cpu).total();
    let narrow = card();
    narrow.account().limit_to(Some(budget));
    assert_eq!(load(&narrow, &bytes, &options).unwrap().prefill_chunk(), 128, "in {budget} bytes");
}

#[test]
fn what_cannot_be_run_is_refused() {
    let bytes = random_model(SMALL, 10);
    let mut session = open(&cpu(), &bytes, &LoadOptions::default()).unwrap();
    assert_eq!(generate(&mut session, &[], &options(3)).unwrap_err().code, "chat.empty_prompt");
    let error = generate(&mut session, &[4, 101], &options(3)).unwrap_err();
    assert!(error.code == "chat.token" && error.cause.contains("101"), "{error}");
    for temperature in [-1.0, f32::NAN, f32::INFINITY] {
        let options = GenerateOptions { temperature, ..options(3) };
        assert_eq!(generate(&mut session, &[4], &options).unwrap_err().code, "chat.temperature");
    }
    assert!(session.context().is_empty());
    let none = generate(&mut session, &[4], &options(0)).unwrap();
    assert_eq!((none.finish, none.tokens.len()), (Finish::MaxTokens, 0));
}

/// Weights that are numbers, and scores beyond all numbers: no token comes out as if nothing had been.
#[test]
fn an_answer_that_is_not_a_number_is_an_error() {
    let mut bytes = random_model(SMALL, 21);
    let gguf = block_on(Gguf::read(&MemorySource::new(bytes.as_slice()))).unwrap();
    for name in ["blk.0.attn_q.weight", "blk.0.attn_k.weight"] {
        let tensor = gguf.tensor(name).unwrap();
        let raw = &mut bytes[tensor.offset as usize..(tensor.offset + tensor.bytes) as usize];
        for value in raw.as_chunks_mut::<4>().0 {
            *value = (f32::from_le_bytes(*value) * 1e24).to_le_bytes();
        }
    }
    // Halves would keep the keys finite.
    let load_options = LoadOptions { kv_f16: false, ..LoadOptions::default() };
    for temperature in [0.0, 0.8] {
        // Not in `exact`: there scores are f64, in which these are numbers.
        let mut session = open(&Rc::new(Cpu::new(Mode::Fast)), &bytes, &load_options).unwrap();
        let options = GenerateOptions { temperature, ..options(3) };
        let error = generate(&mut session, &random_ids(SMALL.vocab, 5, 21), &options).unwrap_err();
        assert_eq!(error.code, "chat.logits", "temperature {temperature}: {error}");
    }
}

#[test]
fn costs_are_counted() {
    let untied = open(&cpu(), &random_model(SMALL, 11), &LoadOptions::default()).unwrap();
    let model = untied.model();
    let blocks = 2 * (64 * 64 * 2 + 32 * 64 * 2 + 3 * 64 * 160 + 2 * 64) * 4;
    let output = (101 * 64 + 64) * 4;
    let keys_and_values = |n: u64| 2 * 2 * 32 * 2 * n;
    assert_eq!(model.bytes_per_token(10), (blocks + output + 64 * 4) as u64 + keys_and_values(10));
    let tied = Llama { tied: true, ..SMALL };
    let tied = open(&cpu(), &random_model(tied, 11), &LoadOptions::default()).unwrap();
    assert_eq!(tied.model().bytes_per_token(0), (blocks + output) as u64);

    let mut session = untied;
    let answer = generate(&mut session, &[5, 6, 7], &options(3)).unwrap();
    assert_eq!((answer.prompt_tokens, answer.decode_steps), (3, 2));
    // The steps saw 4 and 5 positions.
    assert_eq!(answer.bytes_per_token, session.model().bytes_per_token(4));
    assert!(answer.dispatches_per_token > 0 && answer.prefill_ms > 0.0 && answer.tokens_per_s() > 0.0);
}

#[test]
fn conversations_share_weights_and_nothing_else() {
    share_weights_and_nothing_else(&cpu());
}

#[test]
fn conversations_on_a_gpu_share_weights_and_nothing_else() {
    common::each_gpu(|gpu, _| share_weights_and_nothing_else(gpu));
}

fn share_weights_and_nothing_else<E: Executor>(executor: &Rc<E>) {
    let bytes = random_model(SMALL, 12);
    let empty = executor.memory_bytes();
    let model = load(executor, &bytes, &LoadOptions::default()).unwrap();
    let loaded = executor.memory_bytes();
    let cancel = Cancel::new();
    let mut one = block_on(model.session(&mut |_| {}, &cancel)).unwrap();
    let mut two = block_on(model.session(&mut |_| {}, &cancel)).unwrap();
    assert!(loaded > empty && executor.memory_bytes() > loaded);

    let prompt = random_ids(SMALL.vocab, 8, 13);
    let expected = generate(&mut one, &prompt, &options(10)).unwrap().tokens;
    one.reset();
    let half = generate(&mut one, &prompt, &options(5)).unwrap().tokens;
    generate(&mut two, &random_ids(SMALL.vocab, 30, 14), &options(10)).unwrap();
    let rest = generate(&mut one, &[], &options(5)).unwrap().tokens;
    assert_eq!([half, rest].concat(), expected);

    drop((one, two));
    assert_eq!(executor.memory_bytes(), loaded);
    drop(model);
    assert_eq!(executor.memory_bytes(), empty);
}

/// The CPU, which stops a run once it has done all its work: a stop may come when rows have been written already.
struct Tripwire {
    cpu: Cpu,
    /// Runs until the stop.
    left: Rc<Cell<usize>>,
}

struct TripwireSession {
    inner: <Cpu as Executor>::Session,
    left: Rc<Cell<usize>>,
}

impl Executor for Tripwire {
    type Weights = <Cpu as Executor>::Weights;
    type Session = TripwireSession;

    fn describe(&self) -> Description {
        self.cpu.describe()
    }

    fn allocate_weights(&self, specs: &[WeightSpec]) -> Result<Self::Weights> {
        self.cpu.allocate_weights(specs)
    }

    async fn write_rows(&self, weights: &Self::Weights, name: &str, first: usize, bytes: &[u8]) -> Result<()> {
        self.cpu.write_rows(weights, name, first, bytes).await
    }

    fn session(&self, class: Class) -> TripwireSession {
        TripwireSession { inner: self.cpu.session(class), left: self.left.clone() }
    }

    fn rows_at_once(&self) -> usize {
        MANY_ROWS
    }

    fn account(&self) -> &Account {
        self.cpu.account()
    }

    fn weights_account<'w>(&self, weights: &'w Self::Weights) -> &'w Account {
        self.cpu.weights_account(weights)
    }

    fn check_weights(&self, bytes: u64) -> Result<()> {
        self.cpu.check_weights(bytes)
    }
}

impl Session for TripwireSession {
    type Weights = <Cpu as Executor>::Weights;
    type Plan = <<Cpu as Executor>::Session as Session>::Plan;

    fn account(&self) -> &Account {
        self.inner.account()
    }

    async fn compile(&mut self, graph: &Graph, weights: &Rc<Self::Weights>, cancel: &Cancel) -> Result<Self::Plan> {
        self.inner.compile(graph, weights, cancel).await
    }

    async fn run_reporting(
        &mut self,
        plan: &Self::Plan,
        bindings: &Bindings,
        inputs: &[(&str, Value)],
        cancel: &Cancel,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<()> {
        self.inner.run_reporting(plan, bindings, inputs, cancel, progress).await?;
        match self.left.get() {
            0 => Err(Error::cancelled()),
            left => {
                self.left.set(left - 1);
                Ok(())
            }
        }
    }

    async fn peak_bytes(&mut self, graph: &Graph, weights: &Rc<Self::Weights>, cancel: &Cancel) -> Result<u64> {
        self.inner.peak_bytes(graph, weights, cancel).await
    }

    async fn read(&mut self, plan: &Self::Plan, output: &str) -> Result<Value> {
        self.inner.read(plan, output).await
    }

    async fn read_state(&mut self, name: &str) -> Result<Value> {
        self.inner.read_state(name).await
    }

    fn write_state(&mut self, name: &str, value: &Value) -> Result<()> {
        self.inner.write_state(name, value)
    }

    fn write_state_rows(&mut self, name: &str, first_row: usize, dtype: DType, bytes: &[u8]) -> Result<()> {
        self.inner.write_state_rows(name, first_row, dtype, bytes)
    }

    fn dispatches(&self, plan: &Self::Plan) -> usize {
        self.inner.dispatches(plan)
    }
}

#[test]
fn a_stop_at_any_run_leaves_whole_tokens() {
    let bytes = random_model(SMALL, 15);
    let (prompt, next) = (random_ids(SMALL.vocab, 20, 16), random_ids(SMALL.vocab, 7, 17));
    let left = Rc::new(Cell::new(usize::MAX));
    let tripwire = Rc::new(Tripwire { cpu: Cpu::new(Mode::Exact), left: left.clone() });
    let load_options = LoadOptions { prefill_chunk: Some(8), ..LoadOptions::default() };
    let mut session = open(&tripwire, &bytes, &load_options).unwrap();
    let whole = generate(&mut session, &prompt, &options(12)).unwrap().tokens;

    // 20 tokens are 3 runs; then each token is one.
    for stop in 0..10 {
        session.reset();
        left.set(stop);
        let stopped = generate(&mut session, &prompt, &options(12)).unwrap();
        left.set(usize::MAX);
        assert_eq!(stopped.finish, Finish::Cancelled);
        if stop < 3 {
            assert!(stopped.tokens.is_empty() && session.context().is_empty(), "run {stop}: the prompt is forgotten");
        } else {
            assert_eq!(stopped.tokens, whole[..stop - 2], "run {stop}");
            assert_eq!(session.context(), [&prompt, &stopped.tokens[..]].concat(), "run {stop}");
        }
        // Going on is as if nothing had been stopped.
        let told: Vec<u32> = if stop < 3 { [prompt.as_slice(), &next].concat() } else { next.clone() };
        let before = session.context();
        let answer = generate(&mut session, &told, &options(5)).unwrap().tokens;
        let mut fresh = open(&cpu(), &bytes, &load_options).unwrap();
        let all: Vec<u32> = [before.as_slice(), &told].concat();
        assert_eq!(answer, generate(&mut fresh, &all, &options(5)).unwrap().tokens, "run {stop}");
    }
}

/// A slide runs half a context again: stopped at any chunk of it, the conversation is what the slide left, and goes on as
/// if nothing had been stopped; a prompt that made it slide is forgotten, and nothing else.
#[test]
fn a_stop_in_a_slide_leaves_whole_tokens() {
    let sizes = Llama { context: 24, ..SMALL };
    let bytes = random_model(sizes, 21);
    let prompt = random_ids(sizes.vocab, 22, 22);
    let slide = |max_tokens| GenerateOptions { overflow: Overflow::Slide { keep: 4 }, ..options(max_tokens) };
    let left = Rc::new(Cell::new(usize::MAX));
    let tripwire = Rc::new(Tripwire { cpu: Cpu::new(Mode::Exact), left: left.clone() });
    let load_options = LoadOptions { prefill_chunk: Some(4), ..LoadOptions::default() };
    let mut session = open(&tripwire, &bytes, &load_options).unwrap();
    let whole = generate(&mut session, &prompt, &slide(20)).unwrap();
    assert!(whole.slides == 2 && whole.tokens.len() == 20, "{} slides", whole.slides);
    let all = [&prompt[..], &whole.tokens].concat();

    // The prompt is 6 runs, and two tokens fill the context; the slide keeps 15 tokens, of which 4 or more need not run again.
    for stop in 6..16 {
        session.reset();
        left.set(stop);
        let stopped = generate(&mut session, &prompt, &slide(20)).unwrap();
        left.set(usize::MAX);
        assert_eq!(stopped.finish, Finish::Cancelled, "run {stop}");
        let held = fit(&all[..22 + stopped.tokens.len()], 24, 4).unwrap();
        assert_eq!(session.context(), held, "run {stop}");
        let rest = generate(&mut session, &[], &slide(20 - stopped.tokens.len())).unwrap();
        assert_eq!([stopped.tokens, rest.tokens].concat(), whole.tokens, "run {stop}");
    }

    // A longer prompt than there is room for: 20 held, 9 new.
    let longer = random_ids(sizes.vocab, 9, 23);
    for stop in 0..4 {
        session.reset();
        generate(&mut session, &prompt[..19], &options(1)).unwrap();
        let before = session.context();
        left.set(stop);
        let stopped = generate(&mut session, &longer, &slide(5)).unwrap();
        left.set(usize::MAX);
        assert_eq!((stopped.finish, stopped.dropped), (Finish::Cancelled, 0));
        assert_eq!(session.context(), before, "run {stop}: nothing is lost");
        let answer = generate(&mut session, &longer, &slide(5)).unwrap();
        let mut fresh = open(&cpu(), &bytes, &load_options).unwrap();
        let told = [&before[..], &longer].concat();
        assert_eq!(answer.tokens, generate(&mut fresh, &told, &slide(5)).unwrap().tokens, "run {stop}");
    }
}

#[test]
fn a_stop_while_tokens_are_held_back_forgets_them() {
    let bytes = random_model(SMALL, 15);
    let prompt = random_ids(SMALL.vocab, 20, 16);
    let left = Rc::new(Cell::new(usize::MAX));
    let tripwire = Rc::new(Tripwire { cpu: Cpu::new(Mode::Exact), left: left.clone() });
    let mut session = open(&tripwire, &bytes, &LoadOptions::default()).unwrap();
    let mut texts = Vec::new();
    let note = &mut |token: &Token| texts.push(token.text.clone());
    let whole = block_on(session.generate(&prompt, &options(12), &Cancel::new(), note)).unwrap().tokens;
    // From the third token on, all of it may be the beginning of this.
    let held = GenerateOptions { stop: vec![texts[2..].concat() + "\u{2026}"], ..options(12) };
    // The prompt is one run, then each token is one.
    for runs in 3..12 {
        session.reset();
        left.set(runs);
        let stopped = generate(&mut session, &prompt, &held).unwrap();
        left.set(usize::MAX);
        assert_eq!((stopped.finish, stopped.tokens.as_slice()), (Finish::Cancelled, &whole[..2]), "run {runs}");
        assert_eq!(session.context(), [&prompt, &whole[..2]].concat(), "run {runs}");
        assert_eq!(generate(&mut session, &[], &options(10)).unwrap().tokens, whole[2..], "run {runs}");
    }
}

#[test]
fn after_a_stop_no_token_comes() {
    let bytes = random_model(SMALL, 18);
    let mut session = open(&cpu(), &bytes, &LoadOptions::default()).unwrap();
    let prompt = random_ids(SMALL.vocab, 4, 19);
    let whole = generate(&mut session, &prompt, &options(10)).unwrap().tokens;
    session.reset();
    let cancel = Cancel::new();
    let mut heard = Vec::new();
    let stopped = block_on(session.generate(&prompt, &options(10), &cancel, &mut |token| {
        heard.push(token.id);
        if heard.len() == 4 {
            cancel.cancel();
        }
    }))
    .unwrap();
    assert_eq!((stopped.finish, stopped.tokens.as_slice()), (Finish::Cancelled, &whole[..4]));
    assert_eq!(heard, whole[..4]);
    // Asked before it began.
    let none = block_on(session.generate(&prompt, &options(10), &cancel, &mut |_| panic!("a token"))).unwrap();
    assert_eq!((none.finish, none.tokens.len()), (Finish::Cancelled, 0));
}

/// A device that goes on with a token before it is known here leaves nothing behind where that token ends the answer.
#[test]
fn what_ran_ahead_and_was_not_wanted_leaves_nothing() {
    let bytes = random_model(SMALL, 17);
    let prompt = random_ids(SMALL.vocab, 20, 18);
    each_gpu(|gpu, tier| {
        // It is the same at all of them.
        if tier != Tier::Software {
            return;
        }
        let mut session = open(gpu, &bytes, &LoadOptions::default()).unwrap();
        let mut texts = Vec::new();
        let note = &mut |token: &Token| texts.push(token.text.clone());
        let whole = block_on(session.generate(&prompt, &options(12), &Cancel::new(), note)).unwrap().tokens;
        assert_eq!(session.context(), [&prompt[..], &whole].concat());
        for end in [3, 7] {
            session.reset();
            // What the answer says from there on to its end.
            let stop = GenerateOptions { stop: vec![texts[end..].concat()], ..options(12) };
            let first = generate(&mut session, &prompt, &stop).unwrap().tokens;
            assert_eq!(first, whole[..first.len()]);
            assert_eq!(session.context(), [&prompt[..], &first].concat());
            let rest = generate(&mut session, &[], &options(12 - first.len())).unwrap().tokens;
            assert_eq!([first, rest].concat(), whole, "stopped at {end}");
        }
    });
}
