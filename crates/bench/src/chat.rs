//! Conversations with a Llama of random weights, timed: whole answers by the chat's own session, and its two graphs one run
//! at a time.

use std::rc::Rc;

use lantern_demos::chat::{ChatModel, GenerateOptions, Generation, LoadOptions};
use lantern_graph::{Bindings, Cancel, Class, Error, Executor, Result, Session, Value};

use crate::RandomLlama;

/// What is asked of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChatBench {
    /// From 2 on: one row is decode's.
    pub prompt_tokens: usize,
    /// Of the answer, from 2 on: the first is the prompt's work.
    pub tokens: usize,
    pub runs: usize,
}

impl ChatBench {
    /// # Errors
    /// `bench.options`.
    pub fn check(&self) -> Result<()> {
        let least = [("prompt tokens", self.prompt_tokens, 2), ("tokens", self.tokens, 2), ("runs", self.runs, 1)];
        match least.iter().find(|(_, given, least)| given < least) {
            None => Ok(()),
            Some((what, given, least)) => Err(Error::new(
                "bench.options",
                format!("nothing to measure with {given} {what}"),
                format!("give {least} {what} at least"),
            )),
        }
    }

    /// Positions of the whole conversation.
    pub fn context(&self) -> usize {
        self.prompt_tokens.saturating_add(self.tokens)
    }

    /// Tokens before the decode step that is looked at alone: the middle of the answer.
    pub fn middle(&self) -> usize {
        self.prompt_tokens + self.tokens / 2
    }
}

/// The model on a device, as a file of it would be loaded.
///
/// # Errors
/// As [`ChatModel::load`].
pub async fn chat_model<E: Executor>(
    executor: &Rc<E>,
    llama: &RandomLlama,
    bench: &ChatBench,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Rc<ChatModel<E>>> {
    let options = LoadOptions { context_length: bench.context(), ..LoadOptions::default() };
    let mut tell = |heard: lantern_demos::Progress| progress(heard.done, heard.total);
    ChatModel::load(executor, llama, &options, &mut tell, &Cancel::new()).await.map(Rc::new)
}

/// So many answers to the same prompt from empty caches, greedily drawn, after a short one that warms up.
///
/// # Errors
/// As [`lantern_demos::chat::ChatSession::generate`].
pub async fn converse<E: Executor>(
    model: &Rc<ChatModel<E>>,
    llama: &RandomLlama,
    bench: &ChatBench,
) -> Result<Vec<Generation>> {
    let cancel = Cancel::new();
    let mut session = model.session(&mut |_| {}, &cancel).await?;
    let prompt = llama.prompt(bench.prompt_tokens);
    let mut answers = Vec::new();
    for run in 0..=bench.runs {
        let max_tokens = if run == 0 { bench.tokens.min(8) } else { bench.tokens };
        let options = GenerateOptions { max_tokens, ..GenerateOptions::default() };
        session.reset();
        let answer = session.generate(&prompt, &options, &cancel, &mut |_| {}).await?;
        if run > 0 {
            answers.push(answer);
        }
    }
    Ok(answers)
}

/// The chat's two plans in a session by itself, for single runs.
pub struct Bare<E: Executor> {
    pub session: E::Session,
    pub decode: <E::Session as Session>::Plan,
    pub prefill: <E::Session as Session>::Plan,
    model: Rc<ChatModel<E>>,
}

/// Where a decode step's time goes, as the host sees it: medians in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HostTime {
    /// Until the work was encoded and submitted; where the work is cut into slices, and on the processor, all of it.
    pub run_ms: f64,
    /// From there until the token was read.
    pub read_ms: f64,
}

impl<E: Executor> Bare<E> {
    /// # Errors
    /// The executor's own.
    pub async fn open(model: &Rc<ChatModel<E>>) -> Result<Bare<E>> {
        let (cancel, mut session) = (Cancel::new(), model.executor().session(Class::Token));
        let decode = session.compile(model.decode_graph(), model.weights(), &cancel).await?;
        let prefill = session.compile(model.prefill_graph(), model.weights(), &cancel).await?;
        Ok(Bare { session, decode, prefill, model: model.clone() })
    }

    /// Of a decode step after `past` tokens.
    ///
    /// # Errors
    /// `graph.binding` beyond the context.
    pub fn decode_bindings(&self, past: usize) -> Result<Bindings> {
        Bindings::new(self.model.decode_graph(), &[("past", past), ("kv_len", past + 1)])
    }

    /// Of `rows` tokens after `past` others.
    ///
    /// # Errors
    /// `graph.binding` beyond the context or the chunk.
    pub fn prefill_bindings(&self, past: usize, rows: usize) -> Result<Bindings> {
        let symbols = [("past", past), ("kv_len", past + rows), ("rows", rows), ("last", rows - 1)];
        Bindings::new(self.model.prefill_graph(), &symbols)
    }

    /// The last chunk of a prompt that has more than one row: one row is decode's. The tokens before it, and its own.
    pub fn last_chunk(&self, prompt_tokens: usize) -> (usize, usize) {
        let chunk = self.model.prefill_chunk();
        let whole = prompt_tokens / chunk * chunk;
        match prompt_tokens - whole {
            0 | 1 if whole > 0 => (whole - chunk, chunk),
            rows => (whole, rows),
        }
    }

    /// So many decode steps, one position after another from `past` on.
    ///
    /// # Errors
    /// The executor's own.
    pub async fn host(&mut self, past: usize, steps: usize, now_ms: &dyn Fn() -> f64) -> Result<HostTime> {
        let (mut runs, mut reads) = (Vec::new(), Vec::new());
        let mut id = 0;
        for step in 0..=steps {
            let bindings = self.decode_bindings(past + step)?;
            let start = now_ms();
            self.session.run(&self.decode, &bindings, &[("ids", Value::U32(vec![id]))], &Cancel::new()).await?;
            let submitted = now_ms();
            id = self.session.read(&self.decode, "next").await?.into_u32()?.first().copied().unwrap_or(0);
            // The first run warms up.
            if step > 0 {
                runs.push(submitted - start);
                reads.push(now_ms() - submitted);
            }
        }
        Ok(HostTime { run_ms: median(&runs), read_ms: median(&reads) })
    }
}

/// The middle one; of none, not a number.
pub fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
