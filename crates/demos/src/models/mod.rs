//! Models, whatever demo they are for: which can be had ([`catalogue`]), and whether a device has room for one ([`Device::fit`]),
//! said before a download and not after it.
//!
//! What must stay true: no network is known here. What a model takes is computed by its demo (`chat/listed.rs`,
//! `autoencode/listed.rs`), from numbers that the catalogue has of it.

mod catalogue;
mod needs;

pub use catalogue::{Entry, File, Licence, Network, catalogue, catalogue_with, find_entry};
pub use needs::{Device, Fit, Needs, Processor, memory_for_files};
