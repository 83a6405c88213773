//! Reading a header front to back over an async source, a chunk at a time.

use crate::ByteSource;
use lantern_graph::{Error, Result};

/// One read of the source. Large enough that a 700 KB vocabulary costs a few reads, small against any heap.
const CHUNK_BYTES: u64 = 256 * 1024;

/// No header comes near this (the largest vocabularies make about 16 MB): a bound on what a hostile file can make us
/// hold, well inside the page's heap.
const MAX_HEADER_BYTES: u64 = 64 * 1024 * 1024;

pub(crate) struct Cursor<'a, S> {
    source: &'a S,
    /// Bytes read and not yet consumed are `buf[at..]`; the source continues at `next`.
    buf: Vec<u8>,
    at: usize,
    next: u64,
}

impl<'a, S: ByteSource> Cursor<'a, S> {
    pub fn new(source: &'a S) -> Self {
        Self { source, buf: Vec::new(), at: 0, next: 0 }
    }

    /// Where in the file the next byte lies.
    pub fn position(&self) -> u64 {
        self.next - (self.buf.len() - self.at) as u64
    }

    /// Bytes from here to the end of the file.
    pub fn left(&self) -> u64 {
        self.source.len() - self.position()
    }

    /// The next `n` bytes. `what` names them in the error of a file that ends before.
    pub async fn take(&mut self, n: u64, what: &str) -> Result<&[u8]> {
        let have = (self.buf.len() - self.at) as u64;
        if have < n {
            self.fill(n, have, what).await?;
        }
        // `fill` has bounded n by MAX_HEADER_BYTES, or n was already buffered: it fits usize on every target.
        let start = self.at;
        self.at += n as usize;
        Ok(&self.buf[start..self.at])
    }

    async fn fill(&mut self, n: u64, have: u64, what: &str) -> Result<()> {
        if n > self.left() {
            return Err(self.truncated(what));
        }
        if n > MAX_HEADER_BYTES || self.position() + n > MAX_HEADER_BYTES {
            return Err(Error::new(
                "gguf.metadata",
                format!("the header passes {} MiB (reading {what})", MAX_HEADER_BYTES >> 20),
                "this file is damaged, or not a model: get it again",
            ));
        }
        self.buf.drain(..self.at);
        self.at = 0;
        let more = CHUNK_BYTES.max(n - have).min(self.source.len() - self.next) as usize;
        let old = self.buf.len();
        self.buf.resize(old + more, 0);
        self.source.read(self.next, &mut self.buf[old..]).await?;
        self.next += more as u64;
        Ok(())
    }

    pub fn truncated(&self, what: &str) -> Error {
        Error::new(
            "gguf.truncated",
            format!("the file ends at byte {}, inside {what} at byte {}", self.source.len(), self.position()),
            "the download is incomplete or the file is damaged: get it again",
        )
    }

    /// Refuses a count that cannot be true: `count` things of at least `each` bytes must fit in what is left.
    pub fn check_count(&self, count: u64, each: u64, what: &str) -> Result<()> {
        if count.checked_mul(each).is_some_and(|bytes| bytes <= self.left()) {
            return Ok(());
        }
        Err(Error::new(
            "gguf.truncated",
            format!("{what} claims {count} entries at byte {}, and {} bytes are left", self.position(), self.left()),
            "the download is incomplete or the file is damaged: get it again",
        ))
    }

    pub async fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N as u64, what).await?);
        Ok(out)
    }

    pub async fn u32(&mut self, what: &str) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array(what).await?))
    }

    pub async fn u64(&mut self, what: &str) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array(what).await?))
    }

    /// A length-prefixed string's bytes.
    pub async fn string(&mut self, what: &str) -> Result<&[u8]> {
        let n = self.u64(what).await?;
        self.take(n, what).await
    }
}
