//! What each demo does, without a screen: the page and the command line call the same code.
//!
//! What must stay true: nothing here names a device or a page. A demo is generic over the executor that runs its graphs
//! and over the source its files come from; what it has to tell, it returns or hands to a callback.

pub mod autoencode;
pub mod chat;
pub mod invert;
pub mod models;
mod picture;
mod progress;
mod states;

pub use picture::Picture;
pub use progress::{Progress, Stage};
pub use states::{load_states, save_states};
