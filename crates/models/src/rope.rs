//! Rotary frequencies (Su et al. 2021, "RoFormer", arXiv 2104.09864), and what models do to them to reach further than they
//! were first trained for. The meaning is llama.cpp's: a file that runs there says the same here.

use std::f64::consts::PI;

use lantern_graph::{Error, Result};

/// How a model turns its heads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rope {
    /// Base of the frequencies.
    pub theta: f32,
    pub scaling: Scaling,
    /// Frequencies are divided by the weight `rope_freqs.weight`, `[head_dim / 2]`: what Llama 3.1 and later do, worked out
    /// by whoever converted the file.
    pub factors: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scaling {
    None,
    /// Positions are divided by this (Chen et al. 2023, "Position Interpolation", arXiv 2306.15595).
    Linear(f32),
    Yarn(Yarn),
}

/// Peng et al. 2023, "YaRN: Efficient Context Window Extension of Large Language Models", arXiv 2309.00071: slow frequencies
/// are interpolated, fast ones kept, with a ramp between, and attention is sharpened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Yarn {
    pub factor: f32,
    /// Positions of the first training.
    pub original_context: usize,
    /// Share of the fast frequencies that is kept: 1.
    pub extrapolation: f32,
    /// Times what the paper recommends.
    pub attention_factor: f32,
    /// Turns over the original context from which on a frequency is fast, and up to which it is slow.
    pub beta_fast: f32,
    pub beta_slow: f32,
}

impl Rope {
    pub fn plain(theta: f32) -> Rope {
        Rope { theta, scaling: Scaling::None, factors: false }
    }

    /// The angles per position, `theta^(-2i / head_dim)` and scaled: `[head_dim / 2]`, before any factors.
    pub fn frequencies(&self, head_dim: usize) -> Vec<f32> {
        // In f64: a rounding error here is multiplied by the position.
        let theta = f64::from(self.theta);
        let frequency = |i: usize| theta.powf(-2.0 * i as f64 / head_dim as f64);
        let scaled = |i: usize| match self.scaling {
            Scaling::None => frequency(i),
            Scaling::Linear(factor) => frequency(i) / f64::from(factor),
            Scaling::Yarn(yarn) => {
                let kept = yarn.kept(theta, head_dim, i);
                frequency(i) * (kept + (1.0 - kept) / f64::from(yarn.factor))
            }
        };
        (0..head_dim / 2).map(|i| scaled(i) as f32).collect()
    }

    /// What attention's scores are multiplied by.
    pub fn score_scale(&self) -> f32 {
        match self.scaling {
            // The paper's √t on queries and on keys.
            Scaling::Yarn(yarn) if yarn.extrapolation != 0.0 => {
                let each = f64::from(yarn.attention_factor) * (1.0 + 0.1 * f64::from(yarn.factor).ln());
                (each * each) as f32
            }
            Scaling::Yarn(yarn) => yarn.attention_factor * yarn.attention_factor,
            _ => 1.0,
        }
    }

    /// # Errors
    /// `llama.config` naming the number that cannot be.
    pub fn validate(&self) -> Result<()> {
        let mut numbers = vec![("base", self.theta)];
        match self.scaling {
            Scaling::None => {}
            Scaling::Linear(factor) => numbers.push(("scaling factor", factor)),
            Scaling::Yarn(yarn) => numbers.extend([
                ("scaling factor", yarn.factor),
                ("attention factor", yarn.attention_factor),
                ("beta_fast", yarn.beta_fast),
                ("beta_slow", yarn.beta_slow),
                ("original context", yarn.original_context as f32),
                // May be 0.
                ("extrapolation factor plus 1", yarn.extrapolation + 1.0),
            ]),
        }
        let wrong = numbers.iter().find(|(_, n)| !(n.is_finite() && *n > 0.0));
        let wrong = wrong.map(|(what, n)| format!("the rotary {what} is {n}"));
        // The ramp's ends divide by ln θ.
        let flat = (matches!(self.scaling, Scaling::Yarn(_)) && self.theta <= 1.0)
            .then(|| format!("the rotary base is {}, too small for YaRN", self.theta));
        match wrong.or(flat) {
            None => Ok(()),
            Some(cause) => {
                let remedy = "use a Llama file that another program can run, or convert it again";
                Err(Error::new("llama.config", cause, remedy))
            }
        }
    }
}

impl Yarn {
    /// How much of pair `i`'s own frequency is kept, 0 to 1; the rest is interpolated.
    fn kept(&self, theta: f64, head_dim: usize, i: usize) -> f64 {
        // The pair that makes so many turns over the original context.
        let pair = |turns: f32| {
            let context = self.original_context as f64;
            head_dim as f64 * (context / (f64::from(turns) * 2.0 * PI)).ln() / (2.0 * theta.ln())
        };
        let low = pair(self.beta_fast).floor().max(0.0);
        let high = pair(self.beta_slow).ceil().min(head_dim as f64 - 1.0);
        let along = (i as f64 - low) / (high - low).max(0.001);
        (1.0 - along.clamp(0.0, 1.0)) * f64::from(self.extrapolation)
    }
}
