//! The demos that this engine has: the one list of them in this crate.

mod autoencode;
mod chat;
mod invert;

use lantern_graph::Result;

use crate::contract::{Loaded, Loading};
use crate::frame::Pictures;
use crate::js;

/// A demo's model.
///
/// # Errors
/// `web.request` for a demo that is not in the list; the demo's own; as [`Loading::gather`]; `run.cancelled`.
pub async fn load<E: Pictures>(demo: &str, loading: Loading<'_, E>) -> Result<Loaded> {
    match demo {
        "autoencode" => autoencode::load(loading).await,
        "chat" => chat::load(loading).await,
        "invert" => invert::load(loading).await,
        _ => Err(js::strange(format!("there is no demo {demo:?}"))),
    }
}
