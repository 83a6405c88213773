//! Chat: a GGUF file, a prompt, an answer token by token.
//!
//! [`ChatModel`] holds what is shared (weights, tokenizer, graphs), a [`ChatSession`] what one conversation owns (key
//! and value caches, plans). Both are freed when dropped.

mod catalogue;
mod check;
mod config;
mod load;
mod needs;
mod overflow;
mod perplexity;
pub mod sampler;
mod session;
mod stop;
mod template;

pub use catalogue::{Entry, Licence, catalogue, catalogue_with, find_entry};
pub use check::{Checked, check};
pub use load::{ChatModel, LoadOptions, warm};
pub use needs::{Device, Fit, Needs, Processor, entry_needs, memory_for_files, needs};
pub use overflow::{Overflow, fit};
pub use perplexity::{Perplexity, PerplexityOptions, perplexity};
pub use session::{ChatSession, Finish, GenerateOptions, Generation, Token};
pub use template::{ChatTemplate, Message, Origin, encode};
