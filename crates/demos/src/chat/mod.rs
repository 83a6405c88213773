//! Chat: a GGUF file, a prompt, an answer token by token.
//!
//! [`ChatModel`] holds what is shared (weights, tokenizer, graphs), a [`ChatSession`] what one conversation owns (key
//! and value caches, plans). Both are freed when dropped.

mod check;
mod config;
mod listed;
mod load;
mod needs;
mod overflow;
mod perplexity;
pub mod sampler;
mod session;
mod stop;
mod template;

pub use check::{Checked, check};
pub use listed::Listed;
pub use load::{ChatModel, LoadOptions, warm};
pub use needs::needs;
pub use overflow::{Overflow, fit};
pub use perplexity::{Perplexity, PerplexityOptions, perplexity};
pub use session::{ChatSession, Finish, GenerateOptions, Generation, Token};
pub use template::{ChatTemplate, Message, Origin, encode};
