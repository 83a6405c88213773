//! What a sampler may be told, and what follows from it.

use lantern_graph::{Error, Result};

use crate::chat::{GenerateOptions, stop};

impl GenerateOptions {
    /// # Errors
    /// `chat.temperature`, `chat.top_p`, `chat.min_p`, `chat.repeat_penalty`: each names the number; `chat.stop`.
    pub fn check(&self) -> Result<()> {
        let Self { temperature, top_p, min_p, repeat_penalty, .. } = *self;
        // Written so that NaN fails.
        let bounds = [
            (
                temperature >= 0.0 && temperature.is_finite(),
                "chat.temperature",
                "temperature",
                temperature,
                "from 0 on",
            ),
            (top_p > 0.0 && top_p <= 1.0, "chat.top_p", "top-p", top_p, "above 0, up to 1 (all)"),
            ((0.0..1.0).contains(&min_p), "chat.min_p", "min-p", min_p, "from 0 (off), below 1"),
            (
                repeat_penalty > 0.0 && repeat_penalty.is_finite(),
                "chat.repeat_penalty",
                "repetition penalty",
                repeat_penalty,
                "above 0; 1 is none",
            ),
        ];
        if let Some((_, code, name, value, range)) = bounds.into_iter().find(|(fits, ..)| !fits) {
            return Err(Error::new(code, format!("the {name} is {value}"), format!("give a number {range}")));
        }
        stop::check(&self.stop)
    }

    /// The likeliest token, whatever was said before: nothing but its number is needed.
    pub(in crate::chat) fn is_plain_greedy(&self) -> bool {
        self.temperature == 0.0 && !self.penalises()
    }

    pub(in crate::chat) fn penalises(&self) -> bool {
        self.repeat_penalty != 1.0 && self.repeat_last_n > 0
    }

    /// The temperature at which the weights of all tokens together are asked for: top-p's sum is at 1, before tempering.
    pub(super) fn mass_temperature(&self) -> f64 {
        if self.top_p < 1.0 { 1.0 } else { f64::from(self.temperature) }
    }

    /// Whether the tokens behind the best `known` can matter through their number alone.
    pub(super) fn needs_mass(&self, known: usize) -> bool {
        let cut_by_number = (1..=known).contains(&self.top_k);
        // Min-p alone nearly always ends among the known ones.
        let cut_by_ratio = self.min_p > 0.0 && self.top_p == 1.0;
        self.temperature > 0.0 && !cut_by_number && !cut_by_ratio
    }
}
