//! From files to weights on a device. No tensor stands in memory whole on the way.

use std::collections::HashMap;
use std::rc::Rc;

use lantern_graph::{Cancel, Class, DType, Executor, Graph, Result, WeightSpec};
use lantern_models::autoencoder_kl;
use lantern_weights::{ByteSource, Joined, Rows, SharedWeights};

use super::check::{Config, Family, Half, check, missing_half};
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
    /// Each by itself: another network may share the one and not the other.
    halves: Vec<(Half, Rc<E::Weights>)>,
    config: Config,
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
        Self::load_sharing(executor, &SharedWeights::default(), sources, options, progress, cancel).await
    }

    /// [`Self::load`], where what others have of the same files is not loaded again.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub async fn load_sharing<S: ByteSource>(
        executor: &Rc<E>,
        shared: &SharedWeights<E>,
        sources: &[S],
        options: &LoadOptions,
        progress: &mut dyn FnMut(Progress),
        cancel: &Cancel,
    ) -> Result<Self> {
        let checked = check(sources, &options.autoencoder_kl).await?;
        let total = checked.file_bytes();
        let joined = Joined::new(sources);
        let (mut halves, mut before) = (Vec::new(), 0);
        for half in &checked.halves {
            let found: Vec<_> = checked.found.iter().filter(|found| found.half == *half).collect();
            let specs: Vec<WeightSpec> = found.iter().map(|f| f.spec.clone()).collect();
            let tensors = found.iter().map(|f| Rows::safetensors(&joined, &f.tensor, &f.spec));
            let mut heard = |done| progress(Progress { stage: Stage::Weights, done: before + done, total });
            halves.push((*half, shared.load(&**executor, &specs, tensors, &mut heard, cancel).await?));
            before += found.iter().map(|f| f.tensor.bytes).sum::<u64>();
        }
        progress(Progress { stage: Stage::Upload, done: total, total });
        Ok(Self {
            executor: executor.clone(),
            halves,
            dtypes: checked.dtypes(),
            config: checked.config,
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
        self.halves.iter().map(|(_, weights)| self.executor.weights_account(weights).bytes()).sum()
    }

    pub(super) fn has(&self, half: Half) -> bool {
        self.halves().any(|there| there == half)
    }

    pub(super) fn halves(&self) -> impl Iterator<Item = Half> {
        self.halves.iter().map(|(half, _)| *half)
    }

    pub(super) fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    pub(super) fn device_session(&self) -> E::Session {
        self.executor.session(Class::Picture)
    }

    /// # Errors
    /// `autoencoder.half`.
    pub(super) fn weights(&self, half: Half) -> Result<&Rc<E::Weights>> {
        let found = self.halves.iter().find(|(there, _)| *there == half);
        found.map(|(_, weights)| weights).ok_or_else(|| missing_half(self.family(), half))
    }

    /// For latents of a height and a width, in primitives.
    pub(super) fn graph(&self, half: Half, latents: [usize; 2]) -> Result<Graph> {
        let dtype = |name: &str| self.dtypes.get(name).copied().unwrap_or(DType::F32);
        self.config.graph(half, &dtype, latents)
    }
}
