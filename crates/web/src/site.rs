//! The site's own list of models, `site.json` in the folder of the page's own models: a site that has models beside the embedded
//! one offers them first. `cargo xtask build` writes it, an empty one too, so that a page does not ask in vain.

use lantern_demos::models::{Entry, catalogue, catalogue_with};
use lantern_graph::{Error, Result};
use lantern_weights::download::{Ask, Body, Chunk, Net};

use crate::asked::absolute;
use crate::browser::Browser;
use crate::net::WebNet;

/// Bytes of a list at most.
const LIMIT: usize = 1 << 20;

/// All models of this site: its own first, then the catalogue's.
///
/// # Errors
/// `download.failed` where the site cannot be reached, `catalogue.site` for a list that cannot be used.
pub async fn entries(browser: &Browser, base: &str) -> Result<Vec<Entry>> {
    match list(browser, &absolute("site.json", base)).await? {
        Some(list) => catalogue_with(&list),
        None => catalogue(),
    }
}

/// `None` where the site has no list: nothing is there, or a page that is given for whatever is not there.
async fn list(browser: &Browser, url: &str) -> Result<Option<String>> {
    // The list changes when a model comes or goes: the browser's own cache has no part in it.
    let net = WebNet { browser, kept: true };
    let (head, mut body) = net.get(&Ask { url, from: 0, if_range: None }).await?;
    match head.status {
        200 => {}
        400..500 => return Ok(None),
        status => {
            let cause = format!("the site's list of its own models is not to be had: its server answers {status}");
            return Err(Error::new("download.failed", cause, "try again later"));
        }
    }
    if head.content_type.is_some_and(|kind| kind.starts_with("text/html")) {
        return Ok(None);
    }
    let mut text = Vec::new();
    while let Chunk::Bytes(bytes) = body.next(LIMIT).await? {
        text.extend(bytes);
        if text.len() > LIMIT {
            break;
        }
    }
    // What is too long or no text is no list, and its reader says so.
    text.truncate(LIMIT);
    Ok(Some(String::from_utf8_lossy(&text).into_owned()))
}
