//! The device's part of drawing a token: of a vocabulary's logits, what a sampler needs to know, in a few hundred bytes.
//!
//! Samplers look at the likeliest tokens (Fan et al. 2018, "Hierarchical Neural Story Generation", arXiv 1805.04833: top-k;
//! Holtzman et al. 2019, "The Curious Case of Neural Text Degeneration", arXiv 1904.09751: top-p; Nguyen et al. 2024,
//! "Turning Up the Heat", arXiv 2407.01082: min-p), at those that were just said (Keskar et al. 2019, "CTRL", arXiv
//! 1909.05858: repetition penalty), and at all others only through their share of the whole. What is done with these
//! numbers is the host's: it has doubles, and its divisions are rounded alike everywhere.

use lantern_graph::{DType, Graph, Index, Result, Unary};

/// The state a language model leaves its last logits in, `[1, vocab_size]`: it outlives the runs of other plans.
pub const LOGITS: &str = "logits";

/// Which numbers are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pick {
    pub vocab_size: usize,
    /// How many of the largest, up to `lantern_graph::MAX_TOP_K` and the vocabulary.
    pub candidates: usize,
    /// Of how many tokens by number; 0: none.
    pub recent: usize,
    /// The sum of all weights.
    pub mass: bool,
}

impl Pick {
    /// Numbers it gives.
    pub fn len(&self) -> usize {
        2 * self.candidates + self.recent + usize::from(self.mass)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How far the device's mass may be from the true one, relative to it. Sums of positive terms, n / 256 and then 256 of
    /// them one after another, are off by a rounding (2⁻²⁴) each. A term is off by (3 + 2 |x|) · 2⁻²³ of itself for exp(−x)
    /// as WGSL promises, and by 2 |x| roundings of x; terms beyond x = 30 are less than 1e-13 each: 2e-5 in all. Twice that
    /// is allowed.
    pub fn mass_error(&self) -> f64 {
        let terms = self.vocab_size.div_ceil(LANES) + LANES;
        2.0 * (terms as f64 * f64::from(f32::EPSILON) / 2.0 + 2e-5)
    }
}

/// Sums side by side: one invocation each, so that a vocabulary is not one invocation's work.
const LANES: usize = 256;

/// Reads the state [`LOGITS`].
///
/// Input `recent` u32 `[recent]`, ids whose logits are wanted (0 is given for one past the vocabulary), where there are
/// any; input `scale` f32 `[1]` with the mass. Output `picked` f32 `[Pick::len]`: the largest logits, largest first, the
/// first of equals before; their ids; the logits of `recent`; `Σ exp((logit − largest) · scale)` over all.
///
/// # Errors
/// `graph.shape` where more candidates are asked for than there can be.
pub fn pick(pick: &Pick) -> Result<Graph> {
    let Pick { vocab_size: n, candidates, recent, mass } = *pick;
    let mut g = Graph::new();
    g.scope("pick");
    let logits = g.state(LOGITS, &[1, n])?;
    let best = g.top_k(logits, candidates)?;
    let best = g.reshape(best, [2 * candidates])?;
    let mut parts = vec![best];
    if recent > 0 {
        let ids = g.input("recent", [recent], DType::U32);
        let table = g.reshape(logits, [n, 1])?;
        let said = g.gather(table, ids)?;
        parts.push(g.reshape(said, [recent])?);
    }
    if mass {
        let scale = g.input("scale", [1], DType::F32);
        let largest = g.slice(best, 0, Index::Fixed(0), 1)?;
        let below = g.sub(logits, largest)?;
        let below = g.mul(below, scale)?;
        let mut weights = g.unary(Unary::Exp, below)?;
        let rows = n.div_ceil(LANES);
        if rows * LANES > n {
            weights = g.pad(weights, 1, Index::Fixed(0), rows * LANES)?;
        }
        let weights = g.reshape(weights, [rows, LANES])?;
        let sums = g.sum(weights, 0)?;
        let sum = g.sum(sums, 1)?;
        parts.push(g.reshape(sum, [1])?);
    }
    let picked = if parts.len() == 1 { best } else { g.concat(&parts, 0)? };
    g.output("picked", picked);
    Ok(g)
}
