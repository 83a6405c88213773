//! An autoencoder as a list of models describes it: from which network and types follow what it takes, before a byte is fetched.

use lantern_graph::{Error, Result};
use lantern_models::{autoencoder_kl, taesd};
use serde::Deserialize;

use super::Config;
use crate::models::{Needs, Processor};

/// Published autoencoders differ in nothing else.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// What the convolutions are stored as: `F32`, `F16`, `BF16`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `taesd`, `autoencoder_kl`.
    pub network: String,
}

/// The longest side that the page takes a picture at where nobody chooses: the GPU's, the processor's.
const SIDES: [u64; 2] = [512, 256];
/// Tensors of the largest size that are alive at once, kept apart as the executors do: measured, and held by a test.
const ALIVE: [u64; 2] = [4, 3];

impl Listed {
    /// Of a square picture on its way through both halves, as the page takes one. `bytes`: of the files.
    ///
    /// # Errors
    /// `catalogue.damaged` for a network or a type that this version does not know.
    pub fn needs(&self, bytes: u64, processor: Processor) -> Result<Needs> {
        let unknown = |what: &str| {
            let cause = format!("this version cannot weigh {what:?}");
            Err(Error::new("catalogue.damaged", cause, "name taesd or autoencoder_kl, in F32, F16 or BF16"))
        };
        let config = match self.network.as_str() {
            "taesd" => Config::Taesd(taesd::Config::default()),
            "autoencoder_kl" => Config::AutoencoderKl(autoencoder_kl::Config::default()),
            other => return unknown(other),
        };
        let weights = match self.kind.as_str() {
            "F32" | "F16" => bytes,
            // Widened to f32.
            "BF16" => 2 * bytes,
            other => return unknown(other),
        };
        let at = usize::from(processor == Processor::Cpu);
        let work = 4 * ALIVE[at] * config.largest_tensor(SIDES[at] * SIDES[at]);
        Ok(Needs { weights, kept: 0, work })
    }
}
