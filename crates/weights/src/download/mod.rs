//! Getting a file from a server into the device's storage: whole, verified, and never twice.
//!
//! All decisions are here, and none of the doing: what a server's answer means ([`Head`]), what is written down so that half a
//! download is found again ([`Journal`]), when to try again, when to begin anew. The page supplies the network ([`Net`])
//! and a place for the bytes ([`Part`]); the tests supply servers that misbehave and disks that fill up.
//!
//! What must stay true: bytes of two versions of a file never meet in one part; the journal never claims bytes that are not
//! stored; an interruption of any kind, at any moment, leaves a part that can be gone on with; no more than a few MiB are held
//! in memory, whatever the file's size.

mod digest;
mod head;
mod journal;
mod kept;
mod run;

pub use digest::{Digest, sha256_hex};
pub use head::{Ask, Head, Version};
pub use journal::{Journal, PartOf};
pub use kept::{Kept, KeptModel};
pub use run::{Body, Chunk, Done, How, Job, Look, Net, Part, Policy, Stored, Tell, download};

use lantern_graph::{Error, Result};

/// What is to be fetched, and what is known of it before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    pub url: String,
    /// What a person calls it.
    pub name: String,
    /// Exactly; `None` where nobody said.
    pub bytes: Option<u64>,
    /// 64 lower-case hexadecimal digits.
    pub sha256: Option<String>,
    /// The model that it is one file of several of, where no list says.
    pub part_of: Option<PartOf>,
}

impl Target {
    /// What its file is called at its address.
    pub fn file_name(&self) -> Option<&str> {
        let path = self.url.split(['?', '#']).next()?;
        path.rsplit('/').next().filter(|name| !name.is_empty())
    }

    /// A file that lies beside it.
    pub fn beside(&self, file: &str) -> String {
        let path = self.url.split(['?', '#']).next().unwrap_or_default();
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{folder}/{file}")
    }

    /// The name its parts are stored under: by content where the content is known, by address otherwise.
    pub fn key(&self) -> String {
        match &self.sha256 {
            Some(sha256) => sha256.clone(),
            None => format!("url-{}", &sha256_hex(self.url.as_bytes())[..32]),
        }
    }
}

/// An address to fetch a model from, written by a person: `https`, or `http` on this very machine.
///
/// # Errors
/// `download.address`.
pub fn check_address(url: &str) -> Result<()> {
    let bad = |cause: String| {
        Err(Error::new("download.address", cause, "give an address that begins with https:// and ends in .gguf"))
    };
    let Some((scheme, rest)) = url.split_once("://") else {
        return bad(format!("{url:?} is no address"));
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return bad("the address holds a name or a password".into());
    }
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    match scheme {
        _ if host.is_empty() => bad(format!("{url:?} names no host")),
        "https" => Ok(()),
        "http" if matches!(host, "localhost" | "127.0.0.1" | "[::1]") => Ok(()),
        "http" => bad(format!("{host} would be asked without encryption")),
        other => bad(format!("{other:?} addresses are not fetched")),
    }
}
