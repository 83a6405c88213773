//! How well a model predicts a text: exp of the mean negative log-likelihood of its tokens.
//!
//! The convention is that of llama.cpp's `perplexity`, so that numbers can be compared: the text is cut into pieces of
//! `context` tokens, each begins with BOS in the place of its first token, and only the second half of a piece is scored,
//! so that every scored token has at least half a context before it.

use std::rc::Rc;

use lantern_graph::{Bindings, Cancel, Class, DType, Error, Executor, Graph, Result, Session, Value};
use lantern_models::Parameters;
use lantern_models::llama;

use super::ChatModel;
use crate::{Progress, Stage};

#[derive(Debug, Clone)]
pub struct PerplexityOptions {
    /// Tokens of a piece; the model's own limit holds too.
    pub context: usize,
    /// Most pieces to score; the text's own number holds too.
    pub pieces: usize,
}

impl Default for PerplexityOptions {
    fn default() -> Self {
        Self { context: 512, pieces: usize::MAX }
    }
}

/// Of a text under a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Perplexity {
    /// `exp(nll)`.
    pub perplexity: f64,
    /// Of `perplexity`, from the spread of the tokens' likelihoods, as if they were independent.
    pub standard_error: f64,
    /// Mean negative log-likelihood of a scored token, in nats.
    pub nll: f64,
    pub scored_tokens: usize,
    pub pieces: usize,
    pub context: usize,
}

/// Scores a text's ids, which come without BOS. `progress` hears of each piece.
///
/// # Errors
/// `eval.too_short` for a text of fewer tokens than half a piece needs, `eval.context`, `eval.not_a_number`; the
/// executor's own; `run.cancelled`.
pub async fn perplexity<E: Executor>(
    model: &Rc<ChatModel<E>>,
    ids: &[u32],
    options: &PerplexityOptions,
    progress: &mut dyn FnMut(Progress),
    cancel: &Cancel,
) -> Result<Perplexity> {
    let context = options.context.min(model.config().context_length).min(ids.len());
    if options.context < MIN_CONTEXT || options.pieces == 0 {
        return Err(Error::new(
            "eval.context",
            format!("{} pieces of {} tokens were asked for", options.pieces, options.context),
            format!("ask for at least one piece of at least {MIN_CONTEXT} tokens"),
        ));
    }
    if context < MIN_CONTEXT {
        return Err(Error::new(
            "eval.too_short",
            format!("the text has {} tokens", ids.len()),
            format!("give a longer text: at least {MIN_CONTEXT} tokens, better some thousands"),
        ));
    }
    let mut scorer = Scorer::new(model, context, cancel).await?;
    let total = (ids.len() / context).min(options.pieces);
    let mut likelihoods = Likelihoods::default();
    for (done, piece) in ids.chunks_exact(context).take(total).enumerate() {
        progress(Progress { stage: Stage::Run, done: done as u64, total: total as u64 });
        for nll in scorer.piece(piece, cancel).await? {
            likelihoods.add(f64::from(nll))?;
        }
    }
    progress(Progress { stage: Stage::Run, done: total as u64, total: total as u64 });
    Ok(likelihoods.finish(total, context))
}

/// Two halves, and a next token in the second.
const MIN_CONTEXT: usize = 4;

/// Rows at a time: their logits are `[rows, vocab_size]`.
const ROWS: usize = 64;

struct Scorer<E: Executor> {
    model: Rc<ChatModel<E>>,
    session: E::Session,
    prefill: <E::Session as Session>::Plan,
    score_graph: Graph,
    score: <E::Session as Session>::Plan,
}

impl<E: Executor> Scorer<E> {
    async fn new(model: &Rc<ChatModel<E>>, context: usize, cancel: &Cancel) -> Result<Self> {
        let weights = &model.prefill_graph().weights;
        let dtype = |name: &str| weights.iter().find(|w| w.name == name).map_or(DType::F32, |w| w.dtype);
        let score_graph = llama::score(model.config(), &Parameters::weights(&dtype), ROWS.min(context))?;
        let mut session = model.executor().session(Class::Token);
        let prefill = session.compile(model.prefill_graph(), model.weights(), cancel).await?;
        let score = session.compile(&score_graph, model.weights(), cancel).await?;
        Ok(Self { model: model.clone(), session, prefill, score_graph, score })
    }

    /// −ln p of each token in the second half but its first, given all before it.
    async fn piece(&mut self, piece: &[u32], cancel: &Cancel) -> Result<Vec<f32>> {
        let mut ids = piece.to_vec();
        let tokenizer = self.model.tokenizer();
        if let Some(bos) = tokenizer.bos().filter(|_| tokenizer.add_bos()) {
            ids[0] = bos;
        }
        let half = ids.len() / 2;
        let mut past = 0;
        for rows in ids[..half].chunks(self.model.prefill_chunk()) {
            let symbols =
                [("past", past), ("kv_len", past + rows.len()), ("rows", rows.len()), ("last", rows.len() - 1)];
            let bindings = Bindings::new(self.model.prefill_graph(), &symbols)?;
            self.session.run(&self.prefill, &bindings, &[("ids", Value::U32(rows.to_vec()))], cancel).await?;
            past += rows.len();
        }
        let mut nll = Vec::with_capacity(ids.len() - half);
        let (given, next) = (&ids[half..ids.len() - 1], &ids[half + 1..]);
        for (rows, targets) in given.chunks(ROWS).zip(next.chunks(ROWS)) {
            let symbols = [("past", past), ("kv_len", past + rows.len()), ("rows", rows.len())];
            let bindings = Bindings::new(&self.score_graph, &symbols)?;
            let targets = targets.iter().map(|id| *id as f32).collect();
            let inputs = [("ids", Value::U32(rows.to_vec())), ("targets", Value::F32(targets))];
            self.session.run(&self.score, &bindings, &inputs, cancel).await?;
            nll.extend(self.session.read(&self.score, "nll").await?.into_f32()?);
            past += rows.len();
        }
        Ok(nll)
    }
}

/// Running sums of −ln p and its square.
#[derive(Default)]
struct Likelihoods {
    count: usize,
    sum: f64,
    squares: f64,
}

impl Likelihoods {
    fn add(&mut self, nll: f64) -> Result<()> {
        if !nll.is_finite() {
            return Err(Error::new(
                "eval.not_a_number",
                format!("the model gives a token of the text the likelihood exp(-{nll})"),
                "the weights are damaged or the device computes wrongly: get the file again",
            ));
        }
        self.count += 1;
        self.sum += nll;
        self.squares += nll * nll;
        Ok(())
    }

    fn finish(&self, pieces: usize, context: usize) -> Perplexity {
        let count = self.count as f64;
        let nll = self.sum / count;
        let variance = (self.squares / count - nll * nll).max(0.0);
        let perplexity = nll.exp();
        // d exp(x) = exp(x) dx.
        let standard_error = perplexity * (variance / (count - 1.0).max(1.0)).sqrt();
        Perplexity { perplexity, standard_error, nll, scored_tokens: self.count, pieces, context }
    }
}
