//! The token of a draw, with as few bytes read back as it takes.

use std::rc::Rc;

use lantern_graph::{Bindings, Cancel, Error, Executor, Graph, MAX_TOP_K, Result, Session, Value};
use lantern_models::sampling::{LOGITS, Pick, pick};

use super::draw::{Ranked, draw_whole};
use crate::chat::GenerateOptions;

/// A token, and the bytes that were read from the device for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drawn {
    pub id: u32,
    pub bytes: u64,
}

/// Largest logits that are asked for: more than the top-k and top-p that are in use leave over.
const CANDIDATES: usize = MAX_TOP_K;

/// Vocabularies up to this are read whole: looking for the largest takes longer than 4 KiB more in the same round trip.
const SMALL: usize = 1024;

/// Plans over the logits that a model left in a session, made when first needed.
pub struct Sampler<E: Executor> {
    vocab_size: usize,
    small: usize,
    plans: Vec<(Pick, Graph, <E::Session as Session>::Plan)>,
    /// Draws in a row that the candidates did not decide, up to `MOST_MISSES`, and draws that are made without them for it.
    misses: u32,
    skip: u32,
}

/// A distribution so flat that candidates never decide is asked for them in one of 32 draws.
const MOST_MISSES: u32 = 5;

impl<E: Executor> Sampler<E> {
    pub fn new(vocab_size: usize) -> Self {
        Self { vocab_size, small: SMALL, plans: Vec::new(), misses: 0, skip: 0 }
    }

    /// One that asks the device whatever the size of the vocabulary.
    pub fn for_any_size(vocab_size: usize) -> Self {
        Self { small: 0, ..Self::new(vocab_size) }
    }

    /// What these options need of the device, with so many tokens that the penalty is for; `None`: all logits.
    fn needs(&self, options: &GenerateOptions, recent: usize) -> Option<Pick> {
        let candidates = CANDIDATES.min(self.vocab_size);
        // A plan for each power of two.
        let recent = if recent == 0 { 0 } else { recent.next_power_of_two().max(64) };
        let mass = options.needs_mass(candidates) && candidates < self.vocab_size;
        let pick = Pick { vocab_size: self.vocab_size, candidates, recent, mass };
        (self.vocab_size > self.small && (pick.len() < self.vocab_size || self.small == 0)).then_some(pick)
    }

    /// Before draws with these options: compiles what they will need, since that may move a session's temporaries.
    ///
    /// # Errors
    /// The executor's own; `run.cancelled`.
    pub async fn prepare(
        &mut self,
        session: &mut E::Session,
        options: &GenerateOptions,
        recent: usize,
        cancel: &Cancel,
    ) -> Result<()> {
        // What other options missed says nothing of these.
        (self.misses, self.skip) = (0, 0);
        match self.needs(options, recent) {
            Some(wanted) if !options.is_plain_greedy() => self.plan(session, &wanted, cancel).await.map(|_| ()),
            _ => Ok(()),
        }
    }

    /// The graph that draws with these options run on the device, without a penalty; `None` where they take none.
    ///
    /// # Errors
    /// Those of building it.
    pub fn graph(&self, options: &GenerateOptions) -> Result<Option<Graph>> {
        self.needs(options, 0).map(|wanted| pick(&wanted)).transpose()
    }

    async fn plan(&mut self, session: &mut E::Session, wanted: &Pick, cancel: &Cancel) -> Result<usize> {
        if let Some(at) = self.plans.iter().position(|(pick, ..)| pick == wanted) {
            return Ok(at);
        }
        let graph = pick(wanted)?;
        let plan = session.compile(&graph, &Rc::default(), cancel).await?;
        self.plans.push((*wanted, graph, plan));
        Ok(self.plans.len() - 1)
    }

    /// The token at quantile `u` from the logits in the session. `recent` are the ids that the penalty is for, each once.
    /// The answer is [`draw_whole`]'s; what is read to find it differs.
    ///
    /// # Errors
    /// `chat.logits`, `chat.repeat_penalty`; the executor's own; `run.cancelled`.
    pub async fn draw(
        &mut self,
        session: &mut E::Session,
        options: &GenerateOptions,
        recent: &[u32],
        u: f64,
        cancel: &Cancel,
    ) -> Result<Drawn> {
        let mut bytes = 0;
        if self.skip > 0 {
            self.skip -= 1;
        } else if let Some(wanted) = self.needs(options, recent.len()) {
            bytes = 4 * wanted.len() as u64;
            if let Some(id) = self.rank(session, options, recent, cancel, &wanted).await?.choose(options, u) {
                self.misses = 0;
                return Ok(Drawn { id, bytes });
            }
            self.misses = (self.misses + 1).min(MOST_MISSES);
            self.skip = (1 << self.misses) - 1;
        }
        let logits = session.read_state(LOGITS).await?.into_f32()?;
        bytes += 4 * logits.len() as u64;
        Ok(Drawn { id: draw_whole(logits, recent, options, u)?, bytes })
    }

    /// The best of the logits in the session, as the device finds them; `None` where all are read at once.
    ///
    /// # Errors
    /// As [`Self::draw`]'s.
    pub async fn ranked(
        &mut self,
        session: &mut E::Session,
        options: &GenerateOptions,
        recent: &[u32],
        cancel: &Cancel,
    ) -> Result<Option<Ranked>> {
        match self.needs(options, recent.len()) {
            Some(wanted) => self.rank(session, options, recent, cancel, &wanted).await.map(Some),
            None => Ok(None),
        }
    }

    async fn rank(
        &mut self,
        session: &mut E::Session,
        options: &GenerateOptions,
        recent: &[u32],
        cancel: &Cancel,
        wanted: &Pick,
    ) -> Result<Ranked> {
        let at = self.plan(session, wanted, cancel).await?;
        let Some((_, graph, plan)) = self.plans.get(at) else {
            return Err(Error::new("graph.output", "a plan is not where it was put", "report this"));
        };
        let mut inputs = Vec::new();
        if wanted.recent > 0 {
            let mut ids = recent.to_vec();
            // Past the vocabulary: none.
            ids.resize(wanted.recent, u32::MAX);
            inputs.push(("recent", Value::U32(ids)));
        }
        if wanted.mass {
            // At a temperature near 0 only the largest count: infinity would make these NaN.
            let scale = (1.0 / options.mass_temperature()).min(1e30) as f32;
            inputs.push(("scale", Value::F32(vec![scale])));
        }
        session.run(plan, &Bindings::new(graph, &[])?, &inputs, cancel).await?;
        let picked = session.read(plan, "picked").await?.into_f32()?;

        let short = || Error::new("graph.output", format!("{} numbers came out", picked.len()), "report this");
        let (values, rest) = picked.split_at_checked(wanted.candidates).ok_or_else(short)?;
        let (ids, rest) = rest.split_at_checked(wanted.candidates).ok_or_else(short)?;
        let (said, rest) = rest.split_at_checked(wanted.recent).ok_or_else(short)?;
        let best: Vec<(f32, u32)> = values.iter().zip(ids).map(|(logit, id)| (*logit, *id as u32)).collect();
        let said: Vec<(f32, u32)> = said.iter().copied().zip(recent.iter().copied()).collect();
        let mass = rest.first().map(|mass| {
            let (mass, error) = (f64::from(*mass), wanted.mass_error());
            [mass * (1.0 - error), mass * (1.0 + error)]
        });
        Ranked::of_best(&best, &said, self.vocab_size, mass, options)
    }
}
