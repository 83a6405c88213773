//! Chat: a GGUF file, a prompt, an answer token by token.
//!
//! [`ChatModel`] holds what is shared (weights, tokenizer, graphs), a [`ChatSession`] what one conversation owns (key
//! and value caches, plans). Both are freed when dropped.

mod check;
mod load;
mod overflow;
mod perplexity;
pub mod sampler;
mod session;
mod stop;
mod template;

pub use check::{Checked, check};
pub use load::{ChatModel, LoadOptions};
pub use overflow::{Overflow, fit};
pub use perplexity::{Perplexity, PerplexityOptions, perplexity};
pub use session::{ChatSession, Finish, GenerateOptions, Generation, Token};
pub use template::{ChatTemplate, Message};
