//! A download from its first request to its last byte, with all that can come between.

use super::head::Answer;
use super::{Ask, Digest, Head, Journal, Target, Version};
use crate::ByteSource;
use lantern_graph::{Cancel, Error, Result};

/// Bytes that wait in memory to be written, at most, and the chunks they come in.
const WRITE_BYTES: usize = 4 << 20;
const CHUNK_BYTES: usize = 1 << 20;
/// So long at most what came is not yet written down.
const WRITE_MS: f64 = 1000.0;
/// The header is looked for first when this much is here.
const FIRST_LOOK_BYTES: u64 = 256 << 10;
/// A server that never gives the rest of what it gave before would be begun anew for ever.
const MAX_RESTARTS: u32 = 3;

/// The network.
#[allow(async_fn_in_trait, reason = "nothing here is `Send`, so callers need no bound on the future")]
pub trait Net {
    type Body: Body;

    /// # Errors
    /// `download.failed` where no answer came; what else is thrown ends the download.
    async fn get(&self, ask: &Ask<'_>) -> Result<(Head, Self::Body)>;

    /// Comes back after that time, or at once when it is to be stopped.
    async fn wait(&self, ms: u32);

    fn now_ms(&self) -> f64;
}

/// Bytes as they come. Dropped before its end, it tells the server to stop.
#[allow(async_fn_in_trait, reason = "as `Net`")]
pub trait Body {
    /// # Errors
    /// `download.failed` where the connection broke.
    async fn next(&mut self, most: usize) -> Result<Chunk>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chunk {
    Bytes(Vec<u8>),
    End,
}

/// A place for a file's bytes and its journal: one file's, of one writer.
#[allow(async_fn_in_trait, reason = "as `Net`")]
pub trait Part {
    /// Bytes it holds.
    async fn size(&self) -> Result<u64>;

    /// Writes after what is there, and comes back when it would survive the end of the page.
    ///
    /// # Errors
    /// `storage.full`; `storage.write`.
    async fn write(&self, at: u64, bytes: &[u8]) -> Result<()>;

    /// Forgets what is from there on.
    async fn cut(&self, to: u64) -> Result<()>;

    /// Begins the journal anew, or adds to it.
    async fn journal(&self, text: &str, add: bool) -> Result<()>;

    /// What is written from `at` on goes into memory, and is gone with the page.
    async fn spill(&self, at: u64) -> Result<()>;

    /// # Errors
    /// `source.*`.
    async fn read(&self, at: u64, buf: &mut [u8]) -> Result<()>;
}

/// A part as a file to read, as far as it has come.
pub struct Stored<'a, P> {
    pub part: &'a P,
    /// Bytes that are here.
    pub have: u64,
    /// Bytes the file will have, where anybody said.
    pub len: Option<u64>,
    /// What the file is called at its address.
    pub name: Option<&'a str>,
}

impl<P> Stored<'_, P> {
    /// The code for bytes that have not come yet.
    pub const MORE: &'static str = "source.more";
}

impl<P: Part> ByteSource for Stored<'_, P> {
    fn name(&self) -> Option<String> {
        self.name.map(str::to_owned)
    }

    /// A length that nobody said is above every other; half of what is possible, so that sums do not overflow.
    fn len(&self) -> u64 {
        self.len.unwrap_or(u64::MAX / 2)
    }

    async fn read(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let end = offset.saturating_add(buf.len() as u64);
        if end > self.have {
            let cause = format!("byte {end} was asked for, and {} are here", self.have);
            return Err(Error::new(Self::MORE, cause, "wait for the download"));
        }
        self.part.read(offset, buf).await
    }
}

/// Looks at what has come: whether this file is of use at all. A file that is not is given up before the rest is fetched.
#[allow(async_fn_in_trait, reason = "as `Net`")]
pub trait Look<P> {
    /// `true`: it is, look no more: what it looked at stays as it is, or is looked at again. `false`: too little is here to tell.
    async fn look(&mut self, stored: &Stored<'_, P>) -> Result<bool>;
}

/// Why bytes come from where they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// From the first byte on.
    Begun,
    /// After what was here.
    Resumed,
    /// From the first byte again: the file on the server is another one by now.
    Changed,
    /// From the first byte again: the server gives no parts of files.
    NoRange,
    /// The connection broke; a pause before the next attempt.
    Broken,
    /// What was here is read once more, for its hash.
    Checking,
    /// The device's storage is full: the rest goes into memory.
    Spilled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tell {
    pub done: u64,
    pub total: Option<u64>,
    pub how: How,
}

#[derive(Debug, Clone)]
pub struct Policy {
    /// Pauses before attempts after a broken connection. Progress gives all of them again.
    pub pauses_ms: Vec<u32>,
    /// Bytes that storage has room for, where that is known.
    pub room_bytes: Option<u64>,
    /// Most bytes that may go into memory where the storage is full.
    pub memory_bytes: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self { pauses_ms: vec![500, 1000, 2000, 4000], room_bytes: None, memory_bytes: 0 }
    }
}

/// A file that is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    pub bytes: u64,
    /// In storage, whole: it will be found again.
    pub kept: bool,
}

/// A file to fetch, with all that takes part in it.
pub struct Job<'a, N, P, L> {
    pub net: &'a N,
    pub part: &'a P,
    pub target: &'a Target,
    pub policy: &'a Policy,
    pub look: &'a mut L,
    pub cancel: &'a Cancel,
    pub tell: &'a mut dyn FnMut(Tell),
}

/// Brings a file into a part, going on with what its journal vouches for.
///
/// # Errors
/// `download.*`: `failed` and `busy` after all attempts, with what came kept for the next; `status`, `page`, `size`; `short`,
/// `long` and `hash` for a file that is not what it should be, which is removed. `storage.*`. What `look` refuses with.
/// `run.cancelled`, with what came kept.
pub async fn download<N: Net, P: Part, L: Look<P>>(job: Job<'_, N, P, L>, journal: Option<Journal>) -> Result<Done> {
    let Job { net, part, target, policy, look, cancel, tell } = job;
    let known = journal.filter(|journal| journal.sha256 == target.sha256 && journal.url == target.url);
    let fresh = known.is_none();
    let journal = known.unwrap_or_else(|| Journal::new(target, Version::default()));
    let mut run = Run {
        net,
        part,
        target,
        policy,
        look,
        cancel,
        tell,
        journal,
        waiting: Vec::new(),
        written_ms: net.now_ms(),
        digest: Digest::default(),
        next_look: FIRST_LOOK_BYTES,
        looked: None,
        spilled: false,
        answered: false,
        how: How::Begun,
    };
    if fresh {
        run.restart(Version::default(), How::Begun).await?;
    } else {
        run.find().await?;
    }
    run.fetch().await?;
    run.finish().await
}

struct Run<'a, N, P, L> {
    net: &'a N,
    part: &'a P,
    target: &'a Target,
    policy: &'a Policy,
    look: &'a mut L,
    cancel: &'a Cancel,
    tell: &'a mut dyn FnMut(Tell),
    journal: Journal,
    /// Came, and not yet written.
    waiting: Vec<u8>,
    written_ms: f64,
    /// Of what is written.
    digest: Digest,
    next_look: u64,
    /// How long the file was to be when it was looked at and found of use.
    looked: Option<u64>,
    spilled: bool,
    /// The last request had an answer.
    answered: bool,
    how: How,
}

/// How an attempt ended that did not fail.
enum Ended {
    Whole,
    /// What is here is of no use: from the start.
    Again,
}

impl<N: Net, P: Part, L: Look<P>> Run<'_, N, P, L> {
    fn total(&self) -> Option<u64> {
        self.target.bytes.or(self.journal.version.bytes)
    }

    fn told(&mut self, how: How) {
        let (done, total) = (self.journal.stored + self.waiting.len() as u64, self.total());
        (self.tell)(Tell { done, total, how });
    }

    /// What the journal vouches for, and no byte more.
    async fn find(&mut self) -> Result<()> {
        let size = self.part.size().await?;
        self.journal.stored = self.journal.stored.min(size);
        self.journal.whole = false;
        if self.total().is_some_and(|total| self.journal.stored > total) {
            return self.restart(Version::default(), How::Changed).await;
        }
        if size > self.journal.stored {
            // What was written and never vouched for.
            self.part.cut(self.journal.stored).await?;
        }
        // A line of its own, whatever the last one came to.
        self.part.journal(&format!("\n{}", self.journal.note()), true).await?;
        if self.target.sha256.is_some() {
            self.hash_stored().await?;
        }
        if self.journal.stored > 0 {
            self.how = How::Resumed;
            self.told(How::Resumed);
        }
        Ok(())
    }

    async fn hash_stored(&mut self) -> Result<()> {
        let mut buf = vec![0; CHUNK_BYTES];
        let (mut at, total) = (0, self.total());
        while at < self.journal.stored {
            self.cancel.check()?;
            let n = (self.journal.stored - at).min(buf.len() as u64) as usize;
            self.part.read(at, &mut buf[..n]).await?;
            self.digest.update(&buf[..n]);
            at += n as u64;
            (self.tell)(Tell { done: at, total, how: How::Checking });
        }
        Ok(())
    }

    /// Nothing is here any more. The journal goes first: it must not vouch for bytes of another version.
    async fn restart(&mut self, version: Version, how: How) -> Result<()> {
        self.journal = Journal::new(self.target, version);
        self.waiting.clear();
        self.digest = Digest::default();
        self.next_look = FIRST_LOOK_BYTES;
        self.looked = None;
        self.spilled = false;
        self.how = how;
        self.part.journal(&self.journal.text(), false).await?;
        self.part.cut(0).await
    }

    /// Attempt after attempt, until all bytes are here.
    async fn fetch(&mut self) -> Result<()> {
        let (mut pauses, mut furthest, mut restarts) = (self.policy.pauses_ms.iter(), self.journal.stored, 0);
        let mut polite = true;
        while self.total().is_none_or(|total| self.journal.stored < total) {
            let attempt = self.attempt(polite).await;
            // Whatever ended it: what came is kept.
            let written = self.write().await;
            if self.cancel.is_cancelled() {
                return Err(Error::cancelled());
            }
            match attempt {
                Ok(Ended::Whole) => return written,
                Ok(Ended::Again) if restarts < MAX_RESTARTS => {
                    restarts += 1;
                    self.restart(Version::default(), How::Changed).await?;
                }
                Ok(Ended::Again) => return Err(self.gave_up("the server gives another file at every request")),
                Err(error) if matches!(error.code, "download.failed" | "download.busy") => {
                    written?;
                    if self.journal.stored > furthest {
                        furthest = self.journal.stored;
                        pauses = self.policy.pauses_ms.iter();
                    }
                    // A server may refuse the question that `If-Range` makes a page ask first (CORS): without it, the answer's
                    // own headers say whether it is the same file.
                    polite = self.answered || self.journal.stored == 0 || !polite;
                    let Some(pause) = pauses.next() else { return Err(self.gave_up(&error.cause)) };
                    self.told(How::Broken);
                    self.net.wait(*pause).await;
                    self.cancel.check()?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn gave_up(&self, cause: &str) -> Error {
        let came = self.journal.stored;
        let so_far = match self.total() {
            Some(total) => format!("{} of {} MB are here", megabytes(came), megabytes(total)),
            None => format!("{} MB are here", megabytes(came)),
        };
        let remedy = if came == 0 {
            "check the connection and the address; a server that other sites' pages may not read (CORS) can be used by \
             downloading the file in the browser and opening it from disk"
        } else {
            "check the connection and try again: it goes on from there"
        };
        Error::new("download.failed", format!("{cause}; {so_far}"), remedy)
    }

    async fn attempt(&mut self, polite: bool) -> Result<Ended> {
        self.cancel.check()?;
        let from = self.journal.stored;
        let known = self.journal.version.clone();
        let if_range = known.if_range().filter(|_| polite && from > 0);
        let ask = Ask { url: &self.target.url, from, if_range };
        self.answered = false;
        let (head, mut body) = self.net.get(&ask).await?;
        self.answered = true;
        match head.judge(&ask, &known, self.target) {
            Answer::Refuse(error) | Answer::Later(error) => return Err(error),
            Answer::Again => return Ok(Ended::Again),
            Answer::Bytes { from: 0, version } => {
                // A server that answers the whole to a question for the rest has another file, or gives no parts.
                let how = match (from, known.same(&version)) {
                    (0, _) => self.how,
                    (_, Some(true)) => How::NoRange,
                    _ => How::Changed,
                };
                self.restart(version, how).await?;
            }
            Answer::Bytes { version, .. } => {
                self.journal.version = version;
                self.how = How::Resumed;
            }
        }
        self.make_room().await?;
        self.told(self.how);
        loop {
            match body.next(CHUNK_BYTES).await? {
                Chunk::End => break,
                Chunk::Bytes(bytes) => self.waiting.extend_from_slice(&bytes),
            }
            self.cancel.check()?;
            let here = self.journal.stored + self.waiting.len() as u64;
            if let Some(total) = self.total().filter(|total| here > *total) {
                self.discard().await;
                return Err(Error::new(
                    "download.long",
                    format!("the server sends more than the {total} bytes of {}", self.target.name),
                    "the file at this address is another one: choose another model",
                ));
            }
            self.told(self.how);
            // Early at first, so that the header is looked at as soon as it is here.
            let enough = self.waiting.len() >= WRITE_BYTES || here >= self.next_look;
            if enough || self.net.now_ms() - self.written_ms >= WRITE_MS {
                self.write().await?;
            }
        }
        self.write().await?;
        match self.total() {
            // An end that the server itself announced.
            Some(total) if self.journal.stored < total && self.journal.version.bytes.is_none() => {
                let cause = format!("the server sent {} of {total} bytes", self.journal.stored);
                self.discard().await;
                Err(short(self.target, &cause))
            }
            Some(total) if self.journal.stored < total => {
                let cause = format!("the connection to the server of {} ended early", self.target.name);
                Err(Error::new("download.failed", cause, "try again"))
            }
            _ => Ok(Ended::Whole),
        }
    }

    /// What waits is written, and then written down.
    async fn write(&mut self) -> Result<()> {
        self.written_ms = self.net.now_ms();
        if self.waiting.is_empty() {
            return Ok(());
        }
        let at = self.journal.stored;
        match self.part.write(at, &self.waiting).await {
            Err(error) if error.code == "storage.full" && !self.spilled && self.fits_memory() => {
                self.spill().await?;
                self.part.write(at, &self.waiting).await?;
            }
            other => other?,
        }
        if self.target.sha256.is_some() {
            self.digest.update(&self.waiting);
        }
        self.journal.stored += self.waiting.len() as u64;
        self.waiting.clear();
        if !self.spilled {
            self.part.journal(&self.journal.note(), true).await?;
        }
        self.look(false).await
    }

    /// Bytes to come.
    fn rest(&self) -> Option<u64> {
        self.total().map(|total| total.saturating_sub(self.journal.stored))
    }

    fn fits_memory(&self) -> bool {
        self.rest().is_some_and(|rest| rest <= self.policy.memory_bytes)
    }

    /// Known before the first byte comes, a lack of room costs nobody a download.
    async fn make_room(&mut self) -> Result<()> {
        let (Some(rest), Some(room)) = (self.rest(), self.policy.room_bytes) else { return Ok(()) };
        if self.spilled || rest <= room {
            return Ok(());
        }
        if !self.fits_memory() {
            return Err(Error::new(
                "storage.full",
                format!(
                    "{} MB of {} are to come, and this site may store {} MB more on this device",
                    megabytes(rest),
                    self.target.name,
                    megabytes(room)
                ),
                "remove a model, or free space on the device, and try again",
            ));
        }
        self.spill().await
    }

    async fn spill(&mut self) -> Result<()> {
        self.spilled = true;
        self.how = How::Spilled;
        self.told(How::Spilled);
        self.part.spill(self.journal.stored).await
    }

    /// Looks at the header as soon as it is here; at the whole where that was not all that could be said of it.
    async fn look(&mut self, whole: bool) -> Result<()> {
        let have = self.journal.stored;
        let due = if whole { self.looked != Some(have) } else { have >= self.next_look };
        if !due {
            return Ok(());
        }
        let len = if whole { Some(have) } else { self.total() };
        let name = self.target.file_name();
        match self.look.look(&Stored { part: self.part, have, len, name }).await {
            Ok(true) => (self.next_look, self.looked) = (u64::MAX, len),
            Ok(false) => self.next_look = have.saturating_mul(2),
            Err(error) if error.is_cancelled() => return Err(error),
            Err(error) => {
                self.discard().await;
                return Err(error);
            }
        }
        Ok(())
    }

    /// What is here is of no use to anybody. That it cannot be removed is no news worth more than the reason.
    async fn discard(&mut self) {
        let _ = self.restart(Version::default(), How::Begun).await;
    }

    async fn finish(mut self) -> Result<Done> {
        let bytes = self.journal.stored;
        if let Some(expected) = &self.target.sha256 {
            let found = std::mem::take(&mut self.digest).finish();
            if found != *expected {
                self.discard().await;
                return Err(Error::new(
                    "download.hash",
                    format!(
                        "{} is not what it should be: its SHA-256 is {found}, and the catalogue has {expected}",
                        self.target.name
                    ),
                    "it was removed: try again, and if that does not help the file at this address is another one",
                ));
            }
        }
        if self.total().is_none() && bytes == 0 {
            self.discard().await;
            return Err(short(self.target, "the server sent nothing"));
        }
        self.look(true).await?;
        if !self.spilled {
            self.journal.whole = true;
            self.part.journal(&self.journal.note(), true).await?;
        }
        Ok(Done { bytes, kept: !self.spilled })
    }
}

fn short(target: &Target, cause: &str) -> Error {
    Error::new("download.short", format!("{cause} at {}", target.url), "check the address, or choose another model")
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}
