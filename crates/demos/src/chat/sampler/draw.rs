//! The definition of a draw, for what is known of the logits: all of them, or the best and bounds on the rest.

use std::cmp::Ordering;

use lantern_graph::{Error, Result};

use crate::chat::GenerateOptions;

/// Tokens best first, and what is known of those behind them.
#[derive(Debug, Clone)]
pub struct Ranked {
    /// Penalised logits and ids: the larger first, of equals the lower id.
    best: Vec<(f32, u32)>,
    rest: Rest,
}

/// Tokens of which each is behind all ranked ones.
#[derive(Debug, Clone, Copy)]
struct Rest {
    count: usize,
    /// Between these lies Σ exp((logit − best) / temperature), at the options' mass temperature.
    mass: [f64; 2],
}

impl Rest {
    const NONE: Rest = Rest { count: 0, mass: [0.0; 2] };

    /// What is no number bounds nothing.
    fn new(count: usize, [low, high]: [f64; 2]) -> Rest {
        let low = if low.is_finite() { low.max(0.0) } else { 0.0 };
        let high = if high.is_nan() { f64::INFINITY } else { high.max(0.0) };
        if count == 0 { Rest::NONE } else { Rest { count, mass: [low, high] } }
    }
}

fn by_rank(a: &(f32, u32), b: &(f32, u32)) -> Ordering {
    b.0.partial_cmp(&a.0).unwrap_or(Ordering::Equal).then(a.1.cmp(&b.1))
}

/// Keskar et al. 2019 (CTRL, section 4.1), as llama.cpp has it: also a negative logit falls.
fn penalised(logit: f32, penalty: f32) -> f32 {
    if logit > 0.0 { logit / penalty } else { logit * penalty }
}

fn weight(logit: f32, peak: f32, temperature: f64) -> f64 {
    ((f64::from(logit) - f64::from(peak)) / temperature).exp()
}

/// `chat.logits`.
pub fn broken() -> Error {
    let remedy = "the weights are damaged or the device computes wrongly: get the file again";
    Error::new("chat.logits", "the model's output is not a number", remedy)
}

/// # Errors
/// `chat.logits`.
fn check_largest(logit: f32) -> Result<()> {
    if logit.is_finite() { Ok(()) } else { Err(broken()) }
}

/// # Errors
/// `chat.repeat_penalty`.
fn check_penalised(logit: f32, penalty: f32) -> Result<()> {
    if logit.is_finite() {
        return Ok(());
    }
    let cause = format!("the repetition penalty {penalty} takes the model's output out of all range");
    Err(Error::new("chat.repeat_penalty", cause, "use a number near 1"))
}

impl Ranked {
    /// The token at quantile `u`, or `None` where what is known does not decide it.
    ///
    /// The steps are those of llama.cpp's default chain, in its order. The repetition penalty is in the logits already.
    /// - temperature 0: the first token, whatever the rest of the options say;
    /// - top-k keeps the first k; 0 keeps all;
    /// - top-p keeps the fewest first ones that hold `top_p` of the softmax, at temperature 1, of what top-k kept: the one
    ///   that reaches it stays; 1 keeps all;
    /// - min-p keeps those at least `min_p` times as likely as the first;
    /// - temperature, after the cuts: it changes how they are drawn, not which;
    /// - the first token at which the cumulative sum, in this order, exceeds `u` of the whole.
    ///
    /// The first token passes every cut, so there is always one. Sums are f64, in rank order: what more is known adds to
    /// the end of them, and the answer is the same from little as from all.
    pub fn choose(&self, options: &GenerateOptions, u: f64) -> Option<u32> {
        let (peak, first) = *self.best.first()?;
        let (mut best, mut rest) = (&self.best[..], self.rest);
        if options.temperature == 0.0 {
            return Some(first);
        }
        if (1..=best.len()).contains(&options.top_k) {
            (best, rest) = (&best[..options.top_k], Rest::NONE);
        } else if options.top_k > 0 && options.top_k - best.len() < rest.count {
            // Some of the rest, and none of them better than the last that is known.
            let count = options.top_k - best.len();
            let each = weight(best.last()?.0, peak, options.mass_temperature());
            rest = Rest::new(count, [0.0, rest.mass[1].min(count as f64 * each)]);
        }
        if options.top_p < 1.0 {
            let weights = best.iter().map(|(logit, _)| weight(*logit, peak, 1.0));
            let reached = first_over(weights, rest, |sum, wanted| sum >= wanted, f64::from(options.top_p));
            (best, rest) = (&best[..=reached?], Rest::NONE);
        }
        if options.min_p > 0.0 {
            let floor = f64::from(options.min_p).ln();
            let kept = best.iter().take_while(|(logit, _)| f64::from(*logit) - f64::from(peak) >= floor).count();
            rest = if kept < best.len() { Rest::NONE } else { Rest::new(rest.count, [0.0, rest.mass[1]]) };
            best = &best[..kept];
        }
        let weights = best.iter().map(|(logit, _)| weight(*logit, peak, f64::from(options.temperature)));
        match first_over(weights, rest, |sum, wanted| sum > wanted, u) {
            Some(at) => Some(best[at].1),
            // Rounding left a sliver past the last one: the likeliest takes it.
            None => (rest.count == 0).then_some(first),
        }
    }

    /// From a vocabulary's penalised logits, the best `most`.
    fn of_all(logits: &[f32], most: usize, options: &GenerateOptions) -> Ranked {
        let mut all: Vec<(f32, u32)> = logits.iter().copied().zip(0..).collect();
        let behind = if most < all.len() {
            all.select_nth_unstable_by(most, by_rank);
            all.split_off(most)
        } else {
            Vec::new()
        };
        all.sort_unstable_by(by_rank);
        let peak = all.first().map_or(0.0, |(logit, _)| *logit);
        let mass: f64 = behind.iter().map(|(logit, _)| weight(*logit, peak, options.mass_temperature())).sum();
        Ranked { rest: Rest::new(behind.len(), [mass, mass]), best: all }
    }

    /// From the numbers of `lantern_models::sampling`: the largest logits and their ids, the logits of the `recent` tokens,
    /// and the weights' sum at the options' mass temperature relative to the largest logit, if asked for, with its error.
    ///
    /// The penalty is applied here: of the tokens that are not known none is recent, so each is behind the last of the
    /// largest, and what the penalty leaves before that one is in its place.
    ///
    /// # Errors
    /// `chat.logits`, `chat.repeat_penalty`.
    pub(super) fn of_best(
        best: &[(f32, u32)],
        recent: &[(f32, u32)],
        vocab_size: usize,
        mass: Option<[f64; 2]>,
        options: &GenerateOptions,
    ) -> Result<Ranked> {
        let (Some((largest, _)), Some(last)) = (best.first(), best.last()) else {
            return Err(Error::new("graph.output", "no candidates came out", "report this"));
        };
        check_largest(*largest)?;
        let temperature = options.mass_temperature();
        let is_recent = |id: u32| recent.iter().any(|(_, recent)| *recent == id);
        let known = recent.iter().chain(best.iter().filter(|(_, id)| !is_recent(*id)));
        let (mut known_mass, mut ranked) = (0.0, Vec::with_capacity(best.len() + recent.len()));
        for (logit, id) in known {
            known_mass += weight(*logit, *largest, temperature);
            ranked.push((if is_recent(*id) { penalised(*logit, options.repeat_penalty) } else { *logit }, *id));
        }
        ranked.sort_unstable_by(by_rank);
        let peak = ranked[0].0;
        check_penalised(peak, options.repeat_penalty)?;
        let unknown = vocab_size.saturating_sub(ranked.len());
        let certain = match unknown {
            0 => ranked.len(),
            _ => ranked.partition_point(|one| by_rank(one, last) != Ordering::Greater),
        };
        let behind: f64 = ranked[certain..].iter().map(|(logit, _)| weight(*logit, peak, temperature)).sum();
        // None of the unknown is heavier than the last of the largest.
        let most = unknown as f64 * weight(last.0, peak, temperature);
        let to_peak = weight(*largest, peak, temperature);
        let [low, high] = mass.unwrap_or([0.0, f64::INFINITY]).map(|mass| (mass - known_mass).max(0.0) * to_peak);
        let low = if low.is_finite() { low.min(most) } else { 0.0 };
        let rest = Rest::new(unknown + ranked.len() - certain, [low + behind, high.min(most) + behind]);
        ranked.truncate(certain);
        Ok(Ranked { best: ranked, rest })
    }
}

/// Where the cumulative sum first passes `share` of the whole, if what is known of the rest decides that.
fn first_over(
    weights: impl Iterator<Item = f64> + Clone,
    rest: Rest,
    passes: impl Fn(f64, f64) -> bool,
    share: f64,
) -> Option<usize> {
    let known: f64 = weights.clone().sum();
    // All in one sum would have been rounded otherwise: by 1e-9 at most where there are four million.
    let rounding = if rest.count == 0 { 0.0 } else { 1e-9 };
    let low = share * (known + rest.mass[0]) * (1.0 - rounding);
    let high = share * (known + rest.mass[1]) * (1.0 + rounding);
    let mut sum = 0.0;
    for (i, weight) in weights.enumerate() {
        sum += weight;
        if passes(sum, high) {
            return Some(i);
        }
        if passes(sum, low) {
            return None;
        }
    }
    None
}

/// Ranked first when all are known; a draw seldom asks for more.
const FEW: usize = 256;

/// The token at quantile `u`, from a vocabulary's logits as the model gave them. `recent` are ids, each once.
///
/// # Errors
/// `chat.logits` where one is NaN or none is finite, or the largest is infinite; `chat.repeat_penalty`.
pub fn draw_whole(mut logits: Vec<f32>, recent: &[u32], options: &GenerateOptions, u: f64) -> Result<u32> {
    let largest = |logits: &[f32]| logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    check_largest(logits.iter().copied().find(|l| l.is_nan()).unwrap_or_else(|| largest(&logits)))?;
    for id in recent {
        if let Some(logit) = logits.get_mut(*id as usize) {
            *logit = penalised(*logit, options.repeat_penalty);
        }
    }
    let peak = largest(&logits);
    check_penalised(peak, options.repeat_penalty)?;
    if options.temperature == 0.0 {
        return Ok(logits.iter().position(|l| *l == peak).unwrap_or(0) as u32);
    }
    let few = Ranked::of_all(&logits, FEW, options).choose(options, u);
    let chosen = few.or_else(|| Ranked::of_all(&logits, logits.len(), options).choose(options, u));
    chosen.ok_or_else(|| Error::new("chat.logits", "there is no token to draw", "report this"))
}
