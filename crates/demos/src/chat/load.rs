//! From a file to weights on a device. No tensor stands in memory whole on the way.

use std::rc::Rc;

use lantern_graph::{Cancel, Class, Error, Executor, Graph, Result, Session};
use lantern_models::llama::Config;
use lantern_tokenizer::Tokenizer;
use lantern_weights::{ByteSource, Gguf, Rows, SharedWeights, Value};

use super::check::{Checked, check, find};
use super::sampler::Sampler;
use super::session::{ChatSession, GenerateOptions};
use super::template::{ChatTemplate, Message, raw_prompt};
use crate::{Progress, Stage};

#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Most positions a conversation may have; the file's own limit holds too. Caches grow with the conversation.
    pub context_length: usize,
    /// Most tokens of a prompt that run at once; `None`: as many as suit the device and its memory.
    pub prefill_chunk: Option<usize>,
    /// Keys and values are kept as halves: half the memory, and each rounded by at most 2⁻¹¹ of itself.
    pub kv_f16: bool,
    /// A chat template in place of the file's.
    pub template: Option<String>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { context_length: 4096, prefill_chunk: None, kv_f16: true, template: None }
    }
}

/// Makes what conversations with a checked file will need of the device beside its weights, while those are on their way.
///
/// # Errors
/// As [`ChatModel::session`]'s, which fails in the same way.
pub async fn warm<E: Executor>(executor: &E, checked: &Checked, cancel: &Cancel) -> Result<()> {
    executor.warm(&checked.decode, cancel).await?;
    executor.warm(&checked.prefill, cancel).await?;
    // Drawn as most answers are: not the likeliest alone, and without a penalty.
    let options = GenerateOptions { temperature: 1.0, top_k: 40, ..GenerateOptions::default() };
    match Sampler::<E>::new(checked.config.vocab_size).graph(&options)? {
        Some(graph) => executor.warm(&graph, cancel).await,
        None => Ok(()),
    }
}

/// A model on a device: shared by every conversation with it.
pub struct ChatModel<E: Executor> {
    executor: Rc<E>,
    weights: Rc<E::Weights>,
    tokenizer: Tokenizer,
    template: ChatTemplate,
    notices: Vec<Error>,
    config: Config,
    decode: Graph,
    prefill: Graph,
    prefill_chunk: usize,
    /// Of weights, by one decode step.
    decode_weight_bytes: u64,
}

impl<E: Executor> ChatModel<E> {
    /// Reads header, tokenizer and weights. `progress` hears of each chunk; `cancel` is heard between chunks.
    ///
    /// # Errors
    /// `gguf.*`, `llama.*`, `tokenizer.*`, `source.*`; the executor's own; `run.cancelled`.
    pub async fn load(
        executor: &Rc<E>,
        source: &impl ByteSource,
        options: &LoadOptions,
        progress: &mut dyn FnMut(Progress),
        cancel: &Cancel,
    ) -> Result<Self> {
        let mut gguf = Gguf::read(source).await?;
        if let Some(template) = &options.template {
            // Which tokens only a prompt may use is read out of the template too.
            gguf.metadata.set("tokenizer.chat_template", Value::String(template.clone()));
        }
        let checked = check(&gguf, options)?;
        Self::load_checked(executor, source, &gguf, checked, progress, cancel).await
    }

    /// [`Self::load`] of a file whose header was read and checked before.
    ///
    /// # Errors
    /// `gguf.*`, `source.*`; the executor's own; `run.cancelled`.
    pub async fn load_checked(
        executor: &Rc<E>,
        source: &impl ByteSource,
        gguf: &Gguf,
        checked: Checked,
        progress: &mut dyn FnMut(Progress),
        cancel: &Cancel,
    ) -> Result<Self> {
        Self::load_sharing(executor, &SharedWeights::default(), source, gguf, checked, progress, cancel).await
    }

    /// [`Self::load_checked`], where what others have of the same file is not loaded again.
    ///
    /// # Errors
    /// As [`Self::load_checked`].
    pub async fn load_sharing(
        executor: &Rc<E>,
        shared: &SharedWeights<E>,
        source: &impl ByteSource,
        gguf: &Gguf,
        mut checked: Checked,
        progress: &mut dyn FnMut(Progress),
        cancel: &Cancel,
    ) -> Result<Self> {
        let total = checked.weight_bytes;
        let tensors = checked.decode.weights.iter().map(|spec| Rows::gguf(source, find(gguf, &spec.name)?, spec));
        let mut heard = |done| progress(Progress { stage: Stage::Weights, done, total });
        let weights = shared.load(&**executor, &checked.decode.weights, tensors, &mut heard, cancel).await?;
        progress(Progress { stage: Stage::Upload, done: total, total });

        checked.suit(&**executor)?;
        let embedding_row = checked.decode.weights.iter().find(|w| w.name == "token_embd.weight");
        let (table, row) = embedding_row.map_or((0, 0), |w| ((w.rows() * w.row_bytes()) as u64, w.row_bytes() as u64));
        let decode_weight_bytes = if checked.config.tied { total } else { total - table + row };
        Ok(Self {
            executor: executor.clone(),
            weights,
            tokenizer: checked.tokenizer,
            template: checked.template,
            notices: checked.notices,
            decode: checked.decode,
            prefill: checked.prefill,
            prefill_chunk: checked.prefill_chunk,
            config: checked.config,
            decode_weight_bytes,
        })
    }

    /// A conversation: its own caches and plans. `progress` hears of the two plans.
    ///
    /// # Errors
    /// The executor's own; `run.cancelled`.
    pub async fn session(
        self: &Rc<Self>,
        progress: &mut dyn FnMut(Progress),
        cancel: &Cancel,
    ) -> Result<ChatSession<E>> {
        let mut tell = |done| progress(Progress { stage: Stage::Compile, done, total: 2 });
        tell(0);
        let mut session = self.executor.session(Class::Token);
        let decode = session.compile(&self.decode, &self.weights, cancel).await?;
        tell(1);
        let prefill = session.compile(&self.prefill, &self.weights, cancel).await?;
        tell(2);
        Ok(ChatSession::new(self.clone(), session, decode, prefill))
    }

    /// The ids of a conversation, by the file's chat template or its family's. A model without either continues texts: then
    /// it is the messages' texts, a line each, after the file's first token. What the messages say is text: none of it
    /// becomes a control token.
    ///
    /// # Errors
    /// `chat.template` when the template fails; `chat.empty_prompt` when no token comes out.
    pub fn chat_prompt(&self, messages: &[Message]) -> Result<Vec<u32>> {
        self.template.prompt(&self.tokenizer, messages)
    }

    /// How many of `chat_prompt`'s first ids belong to the system prompt: what a context that slides must keep.
    ///
    /// # Errors
    /// As `chat_prompt`.
    pub fn system_prefix(&self, messages: &[Message]) -> Result<usize> {
        self.template.system_prefix(&self.tokenizer, messages)
    }

    /// The ids of a text to be continued: the file's first token (BOS), then the text. The text may be empty where the
    /// file has such a token. Special tokens in the text are plain text.
    ///
    /// # Errors
    /// `chat.empty_prompt`.
    pub fn raw_prompt(&self, text: &str) -> Result<Vec<u32>> {
        raw_prompt(&self.tokenizer, text)
    }

    /// What a reader should know of what becomes of a conversation; nothing fails by it.
    pub fn chat_notices(&self, messages: &[Message]) -> Vec<Error> {
        self.template.notices(messages)
    }

    /// Whether it is known how a conversation is written down for this model.
    pub fn has_template(&self) -> bool {
        self.template.is_some()
    }

    /// What becomes of instructions in a conversation: see [`ChatTemplate::takes_instructions`].
    pub fn takes_instructions(&self) -> bool {
        self.template.takes_instructions()
    }

    /// What a visitor should know of that: [`ChatTemplate::notice`].
    pub fn template_notice(&self) -> Option<Error> {
        self.template.notice()
    }

    pub fn executor(&self) -> &Rc<E> {
        &self.executor
    }

    pub fn weights(&self) -> &Rc<E::Weights> {
        &self.weights
    }

    /// Of device memory, in the executor's layout.
    pub fn weight_bytes(&self) -> u64 {
        self.executor.weights_account(&self.weights).bytes()
    }

    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// What a visitor should know of how the file was read. Nothing fails by it.
    pub fn notices(&self) -> &[Error] {
        &self.notices
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The graph that takes one token, in primitives: executors fuse what they have kernels for.
    pub fn decode_graph(&self) -> &Graph {
        &self.decode
    }

    /// The graph that takes a chunk of tokens, in primitives.
    pub fn prefill_graph(&self) -> &Graph {
        &self.prefill
    }

    /// Most tokens it takes.
    pub fn prefill_chunk(&self) -> usize {
        self.prefill_chunk
    }

    /// What a decode step reads with `kv_len` positions in its caches, in bytes as the file stores them: every matrix
    /// and norm once (of an embedding table that is not also the output, one row), and the keys and values it sees, in
    /// bytes as the caches are declared.
    pub fn bytes_per_token(&self, kv_len: usize) -> u64 {
        self.decode_weight_bytes + self.config.kv_bytes(self.config.seen(kv_len))
    }
}
