//! What an adapter can do, and the tier that follows: decided here, once, and nowhere else.

use std::fmt;
use std::str::FromStr;

use lantern_graph::Error;

/// A named preset over capabilities. Each includes the ones before it, as steps to fall back on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// A CPU pretending to be a GPU: no workgroup barriers (10 to 100 times slower than none on SwiftShader).
    Software,
    /// What every WebGPU adapter has: workgroup memory and barriers.
    Core,
    /// Sums across a subgroup without workgroup memory.
    Subgroups,
    /// Packed int8 dot products on activations quantized to int8: wins on Adreno, loses on Apple.
    Dot,
}

impl Tier {
    pub const ALL: [Tier; 4] = [Tier::Software, Tier::Core, Tier::Subgroups, Tier::Dot];

    pub fn name(self) -> &'static str {
        match self {
            Tier::Software => "software",
            Tier::Core => "core",
            Tier::Subgroups => "subgroups",
            Tier::Dot => "dot",
        }
    }

    /// This tier and those below it, best first.
    pub fn steps_down(self) -> impl Iterator<Item = Tier> {
        Tier::ALL.into_iter().rev().filter(move |t| *t <= self)
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Tier {
    type Err = Error;

    fn from_str(name: &str) -> Result<Tier, Error> {
        Tier::ALL.into_iter().find(|t| t.name() == name).ok_or_else(|| {
            Error::new("gpu.tier", format!("there is no GPU tier {name:?}"), "use software, core, subgroups or dot")
        })
    }
}

/// The capabilities Lantern asks about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    pub name: String,
    /// Its driver with its version; empty where a browser does not tell.
    pub driver: String,
    /// The adapter is a CPU (SwiftShader, lavapipe, WARP).
    pub is_cpu: bool,
    pub is_qualcomm: bool,
    pub subgroups: bool,
    /// Packed 4 × 8-bit integer dot products.
    pub packed_dot: bool,
    /// f16 arithmetic.
    pub f16: bool,
    pub timestamps: bool,
}

impl Capabilities {
    pub fn has(&self, tier: Tier) -> bool {
        match tier {
            Tier::Software | Tier::Core => true,
            Tier::Subgroups => self.subgroups,
            Tier::Dot => self.packed_dot && self.subgroups,
        }
    }

    /// Steps that all loops of an invocation may take together: llvmpipe ends them there and says nothing
    /// (`LP_MAX_TGSI_LOOP_ITERATIONS`).
    pub fn loop_steps(&self) -> usize {
        if self.name.contains("llvmpipe") { 65_535 } else { usize::MAX }
    }

    /// The tier to run at unless the visitor chooses another.
    pub fn preferred_tier(&self) -> Tier {
        if self.is_cpu {
            Tier::Software
        } else if self.is_qualcomm && self.has(Tier::Dot) {
            Tier::Dot
        } else if self.has(Tier::Subgroups) {
            Tier::Subgroups
        } else {
            Tier::Core
        }
    }

    /// The preferred tier, or the asked one.
    ///
    /// # Errors
    /// `gpu.tier` when the adapter lacks the asked one.
    pub fn choose(&self, asked: Option<Tier>) -> Result<Tier, Error> {
        match asked {
            None => Ok(self.preferred_tier()),
            Some(tier) if self.has(tier) => Ok(tier),
            Some(tier) => Err(Error::new(
                "gpu.tier",
                format!("{} cannot run the tier {tier}", self.name),
                format!("leave the tier out; this adapter prefers {}", self.preferred_tier()),
            )),
        }
    }
}
