//! From files to weights on a device. No tensor stands in memory whole on the way.

use std::collections::HashMap;
use std::rc::Rc;

use lantern_graph::{Cancel, Class, DType, Executor, Graph, Result, WeightSpec};
use lantern_models::autoencoder_kl;
use lantern_weights::{ByteSource, Joined, Rows, fill};

use super::check::{Config, Family, Half, check};
use super::session::AutoencoderSession;
use crate::{Progress, Stage};

#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Sizes that the shapes in an AutoencoderKL's file are held to, and its scaling factor, which no file names.
    pub autoencoder_kl: autoencoder_kl::Config,
    /// Most bytes of device memory that a picture may take on its way, weights aside.
    pub max_bytes: u64,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { autoencoder_kl: autoencoder_kl::Config::default(), max_bytes: 4 << 30 }
    }
}

/// An autoencoder on a device: shared by every session with it.
pub struct Autoencoder<E: Executor> {
    executor: Rc<E>,
    weights: Rc<E::Weights>,
    weight_bytes: u64,
    config: Config,
    halves: Vec<Half>,
    dtypes: HashMap<String, DType>,
    max_bytes: u64,
}

impl<E: Executor> Autoencoder<E> {
    /// Recognises the files as [`check`] does and reads their weights. `progress` hears of each chunk; `cancel` is heard
    /// between chunks.
    ///
    /// # Errors
    /// As [`check`]; the executor's own; `run.cancelled`.
    pub async fn load<S: ByteSource>(
        executor: &Rc<E>,
        sources: &[S],
        options: &LoadOptions,
        progress: &mut dyn FnMut(Progress),
        cancel: &Cancel,
    ) -> Result<Self> {
        let checked = check(sources, &options.autoencoder_kl).await?;
        let specs: Vec<WeightSpec> = checked.found.iter().map(|f| f.spec.clone()).collect();
        let total = checked.file_bytes();
        let weights = executor.allocate_weights(&specs)?;
        let joined = Joined::new(sources);
        let tensors = checked.found.iter().map(|f| Rows::safetensors(&joined, &f.tensor, &f.spec));
        let mut heard = |done| progress(Progress { stage: Stage::Weights, done, total });
        fill(&**executor, &weights, tensors, &mut heard, cancel).await?;
        progress(Progress { stage: Stage::Upload, done: total, total });
        Ok(Self {
            executor: executor.clone(),
            weight_bytes: executor.weights_account(&weights).bytes(),
            weights: Rc::new(weights),
            dtypes: checked.dtypes(),
            config: checked.config,
            halves: checked.halves,
            max_bytes: options.max_bytes,
        })
    }

    /// Plans are made when the first picture comes, for its size.
    pub fn session(self: &Rc<Self>) -> AutoencoderSession<E> {
        AutoencoderSession::new(self.clone())
    }

    pub fn executor(&self) -> &Rc<E> {
        &self.executor
    }

    pub fn family(&self) -> Family {
        self.config.family()
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn has_encoder(&self) -> bool {
        self.has(Half::Encoder)
    }

    pub fn has_decoder(&self) -> bool {
        self.has(Half::Decoder)
    }

    /// Of device memory.
    pub fn weight_bytes(&self) -> u64 {
        self.weight_bytes
    }

    pub(super) fn has(&self, half: Half) -> bool {
        self.halves.contains(&half)
    }

    pub(super) fn halves(&self) -> &[Half] {
        &self.halves
    }

    pub(super) fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    pub(super) fn device_session(&self) -> E::Session {
        self.executor.session(Class::Picture)
    }

    pub(super) fn weights(&self) -> &Rc<E::Weights> {
        &self.weights
    }

    /// For latents of a height and a width, in primitives.
    pub(super) fn graph(&self, half: Half, latents: [usize; 2]) -> Result<Graph> {
        let dtype = |name: &str| self.dtypes.get(name).copied().unwrap_or(DType::F32);
        self.config.graph(half, &dtype, latents)
    }
}
