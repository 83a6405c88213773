//! Autoencode: a picture through an autoencoder's two halves, and its latents in between.
//!
//! [`Autoencoder`] holds what is shared (the weights), an [`AutoencoderSession`] the plans for one size of picture. Both
//! are freed when dropped.

mod check;
mod latents;
mod listed;
mod load;
mod session;

pub use check::{Checked, Config, Family, check};
pub use latents::Latents;
pub use listed::Listed;
pub use load::{Autoencoder, LoadOptions};
pub use session::{AutoencoderSession, Times};
