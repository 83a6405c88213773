//! One conversation: prefill in chunks, decode token by token, stop at any moment.

use std::collections::VecDeque;
use std::rc::Rc;

use lantern_graph::{Account, Bindings, Cancel, Error, Executor, Later, Result, Session, Value};
use lantern_tokenizer::DecodeStream;
use web_time::Instant;

use super::sampler::{Drawn, Sampler, broken, uniform};
use super::stop::Matcher;
use super::{ChatModel, Overflow, fit};

/// Sampling is llama.cpp's default chain: repetition penalty, top-k, top-p, min-p, temperature; see
/// [`super::sampler::Ranked::choose`].
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateOptions {
    pub max_tokens: usize,
    /// 0: always the likeliest token.
    pub temperature: f32,
    /// The likeliest tokens that stay; 0: all.
    pub top_k: usize,
    /// The share of probability that the likeliest tokens that stay hold; 1: all of it.
    pub top_p: f32,
    /// How likely a token must be to stay, relative to the likeliest; 0: all stay.
    pub min_p: f32,
    /// What the logits of tokens that were just there are divided by, or multiplied where they are negative; 1: nothing.
    pub repeat_penalty: f32,
    /// Tokens that this looks back, prompt and answer; 0: none.
    pub repeat_last_n: usize,
    /// Texts at which an answer ends; they are not part of it.
    pub stop: Vec<String>,
    pub seed: u64,
    /// Draws made before: a journal that is replayed goes on with the draw that would have come next.
    pub first_step: u64,
    /// What happens where the context is full.
    pub overflow: Overflow,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self {
            max_tokens: 256,
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repeat_penalty: 1.0,
            repeat_last_n: 64,
            stop: Vec::new(),
            seed: 0,
            first_step: 0,
            overflow: Overflow::Stop,
        }
    }
}

/// A token as it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub id: u32,
    /// The text it completes: empty while a character is half there.
    pub text: String,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    EndOfText,
    /// One of the stop strings.
    StopString,
    MaxTokens,
    ContextFull,
    Cancelled,
}

#[derive(Debug, Clone)]
pub struct Generation {
    /// Without the token that ends a text, and those of which a stop string took all they spelled.
    pub tokens: Vec<u32>,
    pub text: String,
    pub finish: Finish,
    /// Tokens that ran before the first answer.
    pub prompt_tokens: usize,
    /// How often the oldest of the conversation was forgotten, and how many tokens that were.
    pub slides: usize,
    pub dropped: usize,
    /// Until the first token was known.
    pub prefill_ms: f64,
    /// From there to the last.
    pub decode_ms: f64,
    /// Decode steps that `decode_ms` holds.
    pub decode_steps: usize,
    /// GPU dispatches, or operations on the CPU, of a decode step.
    pub dispatches_per_token: usize,
    /// [`ChatModel::bytes_per_token`] at the steps' mean context.
    pub bytes_per_token: u64,
    /// Read back from the device for a draw, in the mean; 0 when there was none.
    pub read_bytes_per_token: f64,
}

impl Generation {
    /// Decode steps a second; 0 when there were none.
    pub fn tokens_per_s(&self) -> f64 {
        if self.decode_ms > 0.0 { self.decode_steps as f64 * 1e3 / self.decode_ms } else { 0.0 }
    }
}

/// Caches and plans of one conversation. What it holds is always whole tokens: a step that was stopped never happened.
pub struct ChatSession<E: Executor> {
    model: Rc<ChatModel<E>>,
    session: E::Session,
    decode: <E::Session as Session>::Plan,
    prefill: <E::Session as Session>::Plan,
    /// Tokens whose keys and values the caches hold.
    cached: Vec<u32>,
    /// The conversation's tokens after those, which have not run yet: the one given out last, and after a slide that was
    /// stopped all that moved.
    waiting: Vec<u32>,
    /// The last run was a decode, not a prefill.
    decoded_last: bool,
    sampler: Sampler<E>,
}

impl<E: Executor> ChatSession<E> {
    pub(super) fn new(
        model: Rc<ChatModel<E>>,
        session: E::Session,
        decode: <E::Session as Session>::Plan,
        prefill: <E::Session as Session>::Plan,
    ) -> Self {
        let sampler = Sampler::new(model.config().vocab_size);
        let (cached, waiting) = (Vec::new(), Vec::new());
        Self { model, session, decode, prefill, cached, waiting, decoded_last: false, sampler }
    }

    pub fn model(&self) -> &Rc<ChatModel<E>> {
        &self.model
    }

    /// What it holds beside weights: caches, and what its plans compute in.
    pub fn account(&self) -> &Account {
        self.session.account()
    }

    /// Forgets the conversation.
    pub fn reset(&mut self) {
        self.cached.clear();
        self.waiting.clear();
    }

    /// Forgets all but what the conversation shares with the start of `ids`; gives how many tokens that is. What is left
    /// to run is `ids` from there on: a conversation that grew costs its new tokens alone.
    pub fn keep_prefix(&mut self, ids: &[u32]) -> usize {
        let shared = self.cached.iter().zip(ids).take_while(|(a, b)| a == b).count();
        self.cached.truncate(shared);
        self.waiting.clear();
        shared
    }

    /// Makes `ids` the conversation, whatever it was; what both begin with stays computed. Gives what is left to run, which
    /// [`Self::generate`] takes as its prompt, and how many tokens were forgotten because the context cannot hold them all.
    /// The last token is always left to run: the answer begins from its output.
    ///
    /// # Errors
    /// `chat.too_long` where nothing may be forgotten, `chat.keep`: the conversation stays what it was.
    pub fn resume(&mut self, ids: &[u32], overflow: Overflow) -> Result<(Vec<u32>, usize)> {
        let context = self.model.config().context_length;
        let held = overflow.fit(ids, context)?;
        if held.len() > context {
            return Err(too_long(held.len(), context, context));
        }
        let shared = self.keep_prefix(held.split_last().map_or(&[], |(_, before)| before));
        Ok((held[shared..].to_vec(), ids.len() - held.len()))
    }

    /// Tokens the conversation has: those that ran, and those that did not yet.
    pub fn context(&self) -> Vec<u32> {
        [&self.cached[..], &self.waiting].concat()
    }

    /// What [`Overflow::Slide`] leaves of a whole conversation, however much of it was forgotten already: what a page that
    /// writes it down anew gives to [`Self::keep_prefix`].
    ///
    /// # Errors
    /// `chat.keep` when the first `keep` tokens leave no room.
    pub fn fit(&self, ids: &[u32], keep: usize) -> Result<Vec<u32>> {
        fit(ids, self.model.config().context_length, keep)
    }

    /// Runs `prompt` after what the conversation holds, then draws tokens until one ends the text, a stop string is
    /// complete, `max_tokens` are there, the context is full (unless `overflow` lets it slide), or `cancel` is heard; a stop
    /// is no error. With an empty prompt it goes on where it stood. `on_token` hears each token as it comes; a last half
    /// character is in [`Generation::text`] alone.
    ///
    /// Where there are stop strings, a token whose text may belong to one is held back until that is decided: what was
    /// given out is never taken back. At a stop string the answer ends before it, and the conversation holds the answer's
    /// tokens up to the last of which something is seen: a token that spells both stays whole.
    ///
    /// A prompt that was stopped is forgotten whole. After a stop between tokens the conversation holds what was given out.
    /// After a slide it is as if what is left had been the prompt.
    ///
    /// # Errors
    /// `chat.empty_prompt`, `chat.too_long`, `chat.keep`, `chat.token`, `chat.logits`, [`GenerateOptions::check`]'s; the
    /// executor's own.
    pub async fn generate(
        &mut self,
        prompt: &[u32],
        options: &GenerateOptions,
        cancel: &Cancel,
        on_token: &mut dyn FnMut(&Token),
    ) -> Result<Generation> {
        options.check()?;
        // A slide that could not be is refused now, not in the middle of an answer.
        options.overflow.fit(&[], self.model.config().context_length)?;
        let model = self.model.clone();
        let mut out = Answer::new(model.tokenizer().stream(), &options.stop, self.session.dispatches(&self.decode));
        out.start = Instant::now();
        let ran = match self.prepare_draws(prompt.len(), options, cancel).await {
            Ok(()) => self.prompt(prompt, options.overflow, cancel).await,
            Err(error) => Err(error),
        };
        match ran {
            Ok((ran, dropped)) => {
                out.generation.prompt_tokens = ran;
                out.slid(dropped);
            }
            Err(error) if error.is_cancelled() => return Ok(out.finish(self, Finish::Cancelled)),
            Err(error) => return Err(error),
        }
        // A journal's last token may have ended in the middle of a character: of at most four bytes, a token each.
        let replayed = self.cached.len().min(options.first_step.min(4) as usize);
        out.resume(&self.cached[self.cached.len() - replayed..]);
        let finish = self.answer(&mut out, options, cancel, on_token).await;
        match &finish {
            Ok(Finish::Cancelled) | Err(_) => {}
            Ok(Finish::StopString) => out.give_until_cut(on_token),
            Ok(_) => out.give_decided(usize::MAX, on_token),
        }
        self.forget_last(out.held.len());
        Ok(out.finish(self, finish?))
    }

    /// Draws token after token.
    async fn answer(
        &mut self,
        out: &mut Answer<'_>,
        options: &GenerateOptions,
        cancel: &Cancel,
        on_token: &mut dyn FnMut(&Token),
    ) -> Result<Finish> {
        loop {
            if out.draws >= options.max_tokens {
                return Ok(Finish::MaxTokens);
            }
            let step = options.first_step.wrapping_add(out.draws as u64);
            let ahead = match self.run_ahead(options, out.draws + 1, cancel).await {
                Ok(ahead) => ahead,
                Err(error) if error.is_cancelled() => return Ok(Finish::Cancelled),
                Err(error) => return Err(error),
            };
            let ran_ahead = ahead.is_some();
            let drawn = match ahead {
                Some(later) => later.await.and_then(|value| self.likeliest(value)),
                None => self.draw(options, step, cancel).await,
            };
            let drawn = match drawn {
                Ok(drawn) => drawn,
                Err(error) if error.is_cancelled() => return Ok(Finish::Cancelled),
                Err(error) => return Err(error),
            };
            out.drawn(drawn, self.cached.len());
            // After the last await before the token is given out: a stop heard by now lets none through.
            if cancel.is_cancelled() {
                return Ok(Finish::Cancelled);
            }
            let id = drawn.id;
            self.waiting = vec![id];
            if self.model.tokenizer().is_end(id) {
                return Ok(Finish::EndOfText);
            }
            if out.push(id) {
                return Ok(Finish::StopString);
            }
            out.give_decided(out.stops.decided(), on_token);
            if out.draws >= options.max_tokens {
                return Ok(Finish::MaxTokens);
            }
            if self.cached.len() >= self.model.config().context_length {
                match options.overflow {
                    Overflow::Stop => return Ok(Finish::ContextFull),
                    Overflow::Slide { keep } => out.slid(self.slide(keep)?),
                }
            }
            if ran_ahead {
                self.cached.append(&mut self.waiting);
                continue;
            }
            match self.run_waiting(cancel).await {
                Ok(()) => {}
                Err(error) if error.is_cancelled() => return Ok(Finish::Cancelled),
                Err(error) => return Err(error),
            }
        }
    }

    /// Where the likeliest token is drawn, of `draws` so far with this one, and the device can: begins its run before it is known
    /// here, and gives it on its way. What that run writes is behind what the conversation holds until the token is taken.
    async fn run_ahead(&mut self, options: &GenerateOptions, draws: usize, cancel: &Cancel) -> Result<Option<Later>> {
        let (past, context) = (self.cached.len(), self.model.config().context_length);
        if !options.is_plain_greedy() || draws >= options.max_tokens || past >= context {
            return Ok(None);
        }
        let from = if self.decoded_last { &self.decode } else { &self.prefill };
        let Some(later) = self.session.feed(from, "next", &self.decode, "ids")? else { return Ok(None) };
        let bindings = Bindings::new(self.model.decode_graph(), &[("past", past), ("kv_len", past + 1)])?;
        self.decoded_last = true;
        self.session.run(&self.decode, &bindings, &[], cancel).await?;
        Ok(Some(later))
    }

    /// The token that a plan found to be the likeliest.
    fn likeliest(&self, next: Value) -> Result<Drawn> {
        let next = next.into_u32()?;
        let id = *next.first().ok_or_else(|| Error::new("graph.output", "no token came out", "report this"))?;
        // The argmax of what is not all numbers is none.
        if (id as usize) < self.model.config().vocab_size { Ok(Drawn { id, bytes: 4 }) } else { Err(broken()) }
    }

    /// Forgets tokens at the end of the conversation.
    fn forget_last(&mut self, count: usize) {
        let waited = count.min(self.waiting.len());
        self.waiting.truncate(self.waiting.len() - waited);
        self.cached.truncate(self.cached.len().saturating_sub(count - waited));
    }

    /// Runs `ids` after what the conversation holds; gives the logits `[vocab_size]` after the last one.
    ///
    /// # Errors
    /// As [`Self::generate`]'s, and `run.cancelled`.
    pub async fn logits(&mut self, ids: &[u32], cancel: &Cancel) -> Result<Vec<f32>> {
        self.prompt(ids, Overflow::Stop, cancel).await?;
        self.read("logits").await?.into_f32()
    }

    /// Runs what waits and the prompt, or nothing of it. Gives how many tokens ran, and how many were forgotten for them.
    async fn prompt(&mut self, prompt: &[u32], overflow: Overflow, cancel: &Cancel) -> Result<(usize, usize)> {
        let before = self.context();
        self.waiting.extend_from_slice(prompt);
        if self.waiting.is_empty() {
            // The logits it goes on from are gone; the last token gives them again.
            self.waiting.extend(self.cached.pop());
        }
        let outcome = match self.make_room(overflow) {
            Ok(dropped) => {
                let count = self.waiting.len();
                self.run_waiting(cancel).await.map(|()| (count, dropped))
            }
            Err(error) => Err(error),
        };
        if outcome.is_err() {
            // The conversation is what it was; what its caches lost to a slide runs again.
            self.keep_prefix(&before);
            self.waiting = before[self.cached.len()..].to_vec();
        }
        outcome
    }

    /// Checks what is about to run, and lets the conversation slide where it is too long and may. Gives how many tokens were
    /// forgotten.
    fn make_room(&mut self, overflow: Overflow) -> Result<usize> {
        let config = self.model.config();
        if self.waiting.is_empty() {
            return Err(Error::new("chat.empty_prompt", "the prompt holds no token", "write something"));
        }
        if let Some(id) = self.waiting.iter().find(|id| **id as usize >= config.vocab_size) {
            return Err(Error::new(
                "chat.token",
                format!("there is no token {id}: the vocabulary has {}", config.vocab_size),
                "encode the prompt with this model's own tokenizer",
            ));
        }
        let (count, room) = (self.waiting.len(), config.context_length - self.cached.len());
        match overflow {
            _ if count <= room => Ok(0),
            Overflow::Slide { keep } => self.slide(keep),
            Overflow::Stop => Err(too_long(count, room, config.context_length)),
        }
    }

    /// Forgets the oldest of a conversation that is too long, but for its first `keep` tokens; what moved is to run again.
    /// Gives how many tokens were forgotten.
    fn slide(&mut self, keep: usize) -> Result<usize> {
        let all = self.context();
        let kept = self.fit(&all, keep)?;
        let shared = self.keep_prefix(&kept);
        self.waiting = kept[shared..].to_vec();
        Ok(all.len() - kept.len())
    }

    /// Runs what waits chunk by chunk; each chunk counts once it ran whole.
    async fn run_waiting(&mut self, cancel: &Cancel) -> Result<()> {
        let model = self.model.clone();
        while !self.waiting.is_empty() {
            cancel.check()?;
            let chunk = self.waiting[..self.waiting.len().min(model.prefill_chunk())].to_vec();
            let (past, rows) = (self.cached.len(), chunk.len());
            let mut symbols = vec![("past", past), ("kv_len", past + rows)];
            self.decoded_last = rows == 1;
            let (graph, plan) = if self.decoded_last {
                (model.decode_graph(), &self.decode)
            } else {
                symbols.extend([("rows", rows), ("last", rows - 1)]);
                (model.prefill_graph(), &self.prefill)
            };
            let bindings = Bindings::new(graph, &symbols)?;
            self.session.run(plan, &bindings, &[("ids", Value::U32(chunk))], cancel).await?;
            self.cached.extend(self.waiting.drain(..rows));
        }
        Ok(())
    }

    async fn prepare_draws(&mut self, prompt: usize, options: &GenerateOptions, cancel: &Cancel) -> Result<()> {
        let said = if options.penalises() { (self.context().len() + prompt).min(options.repeat_last_n) } else { 0 };
        self.sampler.prepare(&mut self.session, options, said, cancel).await
    }

    async fn draw(&mut self, options: &GenerateOptions, step: u64, cancel: &Cancel) -> Result<Drawn> {
        if options.is_plain_greedy() {
            let next = self.read("next").await?;
            return self.likeliest(next);
        }
        let mut recent = Vec::new();
        if options.penalises() {
            let said = self.cached.len().saturating_sub(options.repeat_last_n);
            recent.extend_from_slice(&self.cached[said..]);
            recent.sort_unstable();
            recent.dedup();
        }
        let u = uniform(options.seed, step);
        self.sampler.draw(&mut self.session, options, &recent, u, cancel).await
    }

    async fn read(&mut self, output: &str) -> Result<Value> {
        let plan = if self.decoded_last { &self.decode } else { &self.prefill };
        self.session.read(plan, output).await
    }
}

fn too_long(count: usize, room: usize, context: usize) -> Error {
    Error::new(
        "chat.too_long",
        format!("the prompt has {count} tokens, and {room} of the context's {context} positions are free"),
        "shorten the prompt, begin a new conversation, or let the oldest be forgotten",
    )
}

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// An answer while it grows.
struct Answer<'t> {
    generation: Generation,
    stream: DecodeStream<'t>,
    stops: Matcher<'t>,
    /// Drawn and not given out: their text may belong to a stop string.
    held: VecDeque<Held>,
    /// Bytes of text that all tokens spelled so far.
    spelled: usize,
    /// Where a stop string ended the text.
    cut: usize,
    start: Instant,
    first_token: Option<Instant>,
    draws: usize,
    read_bytes: u64,
    /// Summed over the decode steps.
    kv_len_sum: usize,
}

struct Held {
    token: Token,
    /// Where its text begins.
    at: usize,
}

impl Held {
    fn end(&self) -> usize {
        self.at + self.token.text.len()
    }
}

impl<'t> Answer<'t> {
    fn new(stream: DecodeStream<'t>, stops: &'t [String], dispatches_per_token: usize) -> Self {
        let generation = Generation {
            tokens: Vec::new(),
            text: String::new(),
            finish: Finish::Cancelled,
            prompt_tokens: 0,
            slides: 0,
            dropped: 0,
            prefill_ms: 0.0,
            decode_ms: 0.0,
            decode_steps: 0,
            dispatches_per_token,
            bytes_per_token: 0,
            read_bytes_per_token: 0.0,
        };
        Self {
            generation,
            stream,
            stops: Matcher::new(stops),
            held: VecDeque::new(),
            spelled: 0,
            cut: 0,
            start: Instant::now(),
            first_token: None,
            draws: 0,
            read_bytes: 0,
            kv_len_sum: 0,
        }
    }

    /// Takes up a character that these tokens left unfinished.
    fn resume(&mut self, given: &[u32]) {
        for id in given {
            self.stream.push(*id);
        }
    }

    /// Counts a draw from `kv_len` positions.
    fn drawn(&mut self, drawn: Drawn, kv_len: usize) {
        self.draws += 1;
        self.read_bytes += drawn.bytes;
        match self.first_token {
            None => self.generation.prefill_ms = ms(self.start),
            Some(first_token) => {
                self.generation.decode_ms = ms(first_token);
                self.generation.decode_steps += 1;
                self.kv_len_sum += kv_len;
            }
        }
        self.first_token.get_or_insert_with(Instant::now);
    }

    /// Takes a token; says whether a stop string is complete.
    fn push(&mut self, id: u32) -> bool {
        let text = self.stream.push(id);
        let cut = self.stops.push(&text);
        let at = self.spelled;
        self.spelled += text.len();
        self.held.push_back(Held { token: Token { id, text }, at });
        self.cut = cut.unwrap_or(self.cut);
        cut.is_some()
    }

    fn slid(&mut self, dropped: usize) {
        self.generation.slides += usize::from(dropped > 0);
        self.generation.dropped += dropped;
    }

    /// Gives out the tokens whose text ends by `until`.
    fn give_decided(&mut self, until: usize, on_token: &mut dyn FnMut(&Token)) {
        while let Some(next) = self.held.pop_front_if(|next| next.end() <= until) {
            self.give(&next.token, on_token);
        }
    }

    /// Gives out what is before the stop string, up to the last token that spells some of it.
    fn give_until_cut(&mut self, on_token: &mut dyn FnMut(&Token)) {
        let seen = self.held.iter().rposition(|token| token.at < self.cut && token.end() > token.at);
        for _ in 0..seen.map_or(0, |last| last + 1) {
            if let Some(mut next) = self.held.pop_front() {
                next.token.text.truncate(self.cut - next.at);
                self.give(&next.token, on_token);
            }
        }
    }

    fn give(&mut self, token: &Token, on_token: &mut dyn FnMut(&Token)) {
        self.generation.tokens.push(token.id);
        self.generation.text.push_str(&token.text);
        on_token(token);
    }

    fn finish<E: Executor>(mut self, session: &ChatSession<E>, finish: Finish) -> Generation {
        let rest = self.stream.finish();
        let g = &mut self.generation;
        // Behind a stop string, or behind text that was not given out, there is none.
        if finish != Finish::StopString && self.held.is_empty() {
            g.text.push_str(&rest);
        }
        g.finish = finish;
        // With no decode step, what the next one would read.
        let mean = self.kv_len_sum.checked_div(g.decode_steps).unwrap_or(session.cached.len() + 1);
        g.bytes_per_token = session.model.bytes_per_token(mean);
        if self.draws > 0 {
            g.read_bytes_per_token = self.read_bytes as f64 / self.draws as f64;
        }
        self.generation
    }
}
