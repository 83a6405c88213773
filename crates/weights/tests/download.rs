//! Downloads against servers that misbehave and disks that fill up: what is in the end in storage is the file, whole and of one
//! version, whatever comes between, or a refusal that says why.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use lantern_graph::{Cancel, Error, Result};
use lantern_weights::ByteSource;
use lantern_weights::download::{
    Ask, Body, Chunk, Done, Head, How, Job, Journal, Look, Net, Part, Policy, Stored, Target, Tell, download,
    sha256_hex,
};
use pollster::block_on;

const URL: &str = "https://models.example/m.gguf";

/// Ready at the second asking: every wait is a place where a tab may be closed.
struct Turn(bool);

impl Future for Turn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

async fn turn() {
    Turn(false).await;
}

fn file(bytes: usize, seed: u8) -> Vec<u8> {
    (0..bytes).map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed).rotate_left(i as u32 / 256)).collect()
}

/// What is on the server and how it behaves.
struct Server {
    file: RefCell<Rc<[u8]>>,
    etag: RefCell<Option<String>>,
    ranges: bool,
    says_length: bool,
    /// Ignores `If-Range`, as some do.
    careless: bool,
    /// Fails any request that has `If-Range`, as a page's request does where the server refuses the preflight.
    no_if_range: bool,
    /// Breaks each connection after so many bytes, as long as there are some of these.
    breaks: RefCell<Vec<usize>>,
    /// Instead of an answer.
    statuses: RefCell<Vec<u16>>,
    chunk: usize,
    clock: Cell<f64>,
    asked: RefCell<Vec<(u64, bool)>>,
    sent: Cell<usize>,
    pauses: RefCell<Vec<u32>>,
}

impl Server {
    fn with(file: Vec<u8>) -> Rc<Self> {
        Rc::new(Self::plain(file))
    }

    fn plain(file: Vec<u8>) -> Self {
        Self {
            file: RefCell::new(file.into()),
            etag: RefCell::new(Some("\"one\"".into())),
            ranges: true,
            says_length: true,
            careless: false,
            no_if_range: false,
            breaks: RefCell::default(),
            statuses: RefCell::default(),
            chunk: 50_000,
            clock: Cell::new(0.0),
            asked: RefCell::default(),
            sent: Cell::new(0),
            pauses: RefCell::default(),
        }
    }

    fn replace(&self, file: Vec<u8>, etag: &str) {
        *self.file.borrow_mut() = file.into();
        *self.etag.borrow_mut() = Some(etag.into());
    }
}

struct Connection {
    server: Rc<Server>,
    file: Rc<[u8]>,
    at: usize,
    breaks_at: Option<usize>,
}

fn broken() -> Error {
    Error::new("download.failed", "the connection broke", "try again")
}

/// The way to a server.
struct Line(Rc<Server>);

impl Net for Line {
    type Body = Connection;

    async fn get(&self, ask: &Ask<'_>) -> Result<(Head, Connection)> {
        let server = &self.0;
        turn().await;
        assert_eq!(ask.url, URL);
        server.asked.borrow_mut().push((ask.from, ask.if_range.is_some()));
        if server.no_if_range && ask.if_range.is_some() {
            return Err(broken());
        }
        let file = server.file.borrow().clone();
        let etag = server.etag.borrow().clone();
        let status = server.statuses.borrow_mut().pop();
        let same = ask.if_range.is_none() || server.careless || ask.if_range == etag.as_deref();
        let rest = status.is_none() && server.ranges && ask.from > 0 && same;
        let at = if rest { ask.from as usize } else { 0 };
        let past = rest && at >= file.len();
        let head = Head {
            status: status.unwrap_or(if past {
                416
            } else if rest {
                206
            } else {
                200
            }),
            content_length: server.says_length.then_some((file.len() - at.min(file.len())) as u64),
            content_range: rest.then(|| format!("bytes {at}-{}/{}", file.len() as i64 - 1, file.len())),
            etag,
            ..Head::default()
        };
        let breaks_at = server.breaks.borrow_mut().pop().map(|bytes| at + bytes);
        Ok((head, Connection { server: server.clone(), file, at, breaks_at }))
    }

    async fn wait(&self, ms: u32) {
        self.0.pauses.borrow_mut().push(ms);
        turn().await;
    }

    /// A second passes at every look: every chunk is written at once.
    fn now_ms(&self) -> f64 {
        self.0.clock.set(self.0.clock.get() + 1000.0);
        self.0.clock.get()
    }
}

impl Body for Connection {
    async fn next(&mut self, most: usize) -> Result<Chunk> {
        turn().await;
        let end = self.breaks_at.unwrap_or(usize::MAX).min(self.file.len());
        if self.at >= end {
            return if self.at < self.file.len() { Err(broken()) } else { Ok(Chunk::End) };
        }
        let to = (self.at + self.server.chunk.min(most)).min(end);
        let bytes = self.file[self.at..to].to_vec();
        self.server.sent.set(self.server.sent.get() + bytes.len());
        self.at = to;
        Ok(Chunk::Bytes(bytes))
    }
}

/// Storage whose writes can be seen half done.
#[derive(Default)]
struct Disk {
    data: RefCell<Vec<u8>>,
    journal: RefCell<String>,
    quota: Cell<Option<usize>>,
    /// Where memory begins, and what is in it.
    memory: RefCell<Option<(u64, Vec<u8>)>>,
    largest: Cell<usize>,
}

impl Disk {
    fn found(&self) -> Option<Journal> {
        Journal::read(&self.journal.borrow())
    }

    /// As when the page is closed.
    fn closed(&self) {
        self.memory.take();
    }

    fn content(&self) -> Vec<u8> {
        let mut all = self.data.borrow().clone();
        if let Some((at, more)) = &*self.memory.borrow() {
            all.truncate(*at as usize);
            all.extend_from_slice(more);
        }
        all
    }
}

impl Part for Disk {
    async fn size(&self) -> Result<u64> {
        Ok(self.data.borrow().len() as u64)
    }

    async fn write(&self, at: u64, bytes: &[u8]) -> Result<()> {
        self.largest.set(self.largest.get().max(bytes.len()));
        if let Some((from, memory)) = &mut *self.memory.borrow_mut() {
            assert_eq!(at, *from + memory.len() as u64);
            memory.extend_from_slice(bytes);
            return Ok(());
        }
        assert_eq!(at, self.data.borrow().len() as u64, "bytes follow bytes");
        let (first, second) = bytes.split_at(bytes.len() / 2);
        self.data.borrow_mut().extend_from_slice(first);
        turn().await;
        if self.quota.get().is_some_and(|quota| at as usize + bytes.len() > quota) {
            self.data.borrow_mut().truncate(at as usize);
            return Err(Error::new("storage.full", "the disk is full", "make room"));
        }
        self.data.borrow_mut().extend_from_slice(second);
        turn().await;
        Ok(())
    }

    async fn cut(&self, to: u64) -> Result<()> {
        turn().await;
        self.closed();
        self.data.borrow_mut().truncate(to as usize);
        turn().await;
        Ok(())
    }

    async fn journal(&self, text: &str, add: bool) -> Result<()> {
        if !add {
            self.journal.borrow_mut().clear();
            turn().await;
        }
        let (first, second) = text.split_at(text.len() / 2);
        self.journal.borrow_mut().push_str(first);
        turn().await;
        self.journal.borrow_mut().push_str(second);
        turn().await;
        Ok(())
    }

    async fn spill(&self, at: u64) -> Result<()> {
        self.memory.replace(Some((at, Vec::new())));
        Ok(())
    }

    async fn read(&self, at: u64, buf: &mut [u8]) -> Result<()> {
        turn().await;
        buf.copy_from_slice(&self.content()[at as usize..at as usize + buf.len()]);
        Ok(())
    }
}

/// Refuses what begins with a 7.
struct Taste;

impl Look<Disk> for Taste {
    async fn look(&mut self, stored: &Stored<'_, Disk>) -> Result<bool> {
        let mut first = [0];
        match stored.read(0, &mut first).await {
            Err(error) if error.code == Stored::<Disk>::MORE => Ok(false),
            Err(error) => Err(error),
            Ok(()) if first == [7] => Err(Error::new("gguf.magic", "this is no model", "choose another file")),
            Ok(()) => Ok(true),
        }
    }
}

fn target() -> Target {
    Target { url: URL.into(), name: "M".into(), bytes: None, sha256: None, part_of: None }
}

fn hashed(file: &[u8]) -> Target {
    Target { sha256: Some(sha256_hex(file)), ..target() }
}

struct Visit<'a> {
    server: &'a Rc<Server>,
    disk: &'a Disk,
    target: Target,
    policy: Policy,
    cancel: Cancel,
    heard: RefCell<Vec<Tell>>,
}

impl<'a> Visit<'a> {
    fn new(server: &'a Rc<Server>, disk: &'a Disk, target: Target) -> Self {
        Self { server, disk, target, policy: Policy::default(), cancel: Cancel::new(), heard: RefCell::default() }
    }

    async fn run(&self) -> Result<Done> {
        let mut tell = |tell| self.heard.borrow_mut().push(tell);
        let found = self.disk.found();
        let Self { server, disk, target, policy, cancel, .. } = self;
        let (net, part, look, tell): (_, _, _, &mut dyn FnMut(Tell)) =
            (&Line((*server).clone()), *disk, &mut Taste, &mut tell);
        download(Job { net, part, target, policy, look, cancel, tell }, found).await
    }

    fn hows(&self) -> Vec<How> {
        let mut hows: Vec<How> = self.heard.borrow().iter().map(|told| told.how).collect();
        hows.dedup();
        hows
    }
}

fn get(server: &Rc<Server>, disk: &Disk, target: Target) -> Result<Done> {
    block_on(Visit::new(server, disk, target).run())
}

#[track_caller]
fn assert_whole(disk: &Disk, file: &[u8]) {
    assert!(*disk.data.borrow() == file, "{} bytes are stored, the file has {}", disk.data.borrow().len(), file.len());
    let journal = disk.found().expect("a journal");
    assert!(journal.whole && journal.stored == file.len() as u64, "{journal:?}");
}

/// Nothing is there that could be taken for a part of the file.
#[track_caller]
fn assert_nothing(disk: &Disk) {
    assert_eq!((disk.data.borrow().len(), disk.found().map(|journal| journal.stored)), (0, Some(0)));
}

#[test]
fn a_file_comes_in_pieces_with_true_progress() {
    let file = file(620_000, 1);
    let (server, disk) = (Server::with(file.clone()), Disk::default());
    let visit = Visit::new(&server, &disk, hashed(&file));
    assert_eq!(block_on(visit.run()).unwrap(), Done { bytes: 620_000, kept: true });
    assert_whole(&disk, &file);
    assert_eq!(*server.asked.borrow(), [(0, false)]);
    let heard = visit.heard.borrow();
    assert!(heard.windows(2).all(|pair| pair[0].done <= pair[1].done), "it only grows");
    assert!(heard.iter().skip(1).all(|told| told.total == Some(620_000) && told.how == How::Begun));
    assert_eq!(heard.last().unwrap().done, 620_000);
}

#[test]
fn pieces_are_bounded_whatever_the_chunks() {
    let file = file(11 << 20, 2);
    // Time stands still: only the size makes it write.
    struct Still(Line);
    impl Net for Still {
        type Body = Connection;
        async fn get(&self, ask: &Ask<'_>) -> Result<(Head, Connection)> {
            self.0.get(ask).await
        }
        async fn wait(&self, ms: u32) {
            self.0.wait(ms).await;
        }
        fn now_ms(&self) -> f64 {
            0.0
        }
    }
    let still = Still(Line(Rc::new(Server { chunk: 64 << 20, ..Server::plain(file.clone()) })));
    let disk = Disk::default();
    let (policy, cancel) = (Policy::default(), Cancel::new());
    let job = Job {
        net: &still,
        part: &disk,
        target: &hashed(&file),
        policy: &policy,
        look: &mut Taste,
        cancel: &cancel,
        tell: &mut |_| {},
    };
    block_on(download(job, None)).unwrap();
    assert_whole(&disk, &file);
    assert!(disk.largest.get() <= 8 << 20, "{} bytes were held", disk.largest.get());
}

#[test]
fn a_broken_connection_is_taken_up_where_it_broke() {
    let file = file(600_000, 3);
    let (server, disk) = (Server::with(file.clone()), Disk::default());
    *server.breaks.borrow_mut() = vec![150_000, 0, 123_456];
    let visit = Visit::new(&server, &disk, hashed(&file));
    block_on(visit.run()).unwrap();
    assert_whole(&disk, &file);
    assert_eq!(*server.asked.borrow(), [(0, false), (123_456, true), (123_456, true), (273_456, true)]);
    assert_eq!(server.sent.get(), file.len(), "no byte was sent twice");
    assert_eq!(*server.pauses.borrow(), [500, 1000, 500], "progress gives the attempts back");
    let again = [How::Broken, How::Resumed].repeat(3);
    assert_eq!(visit.hows(), [[How::Begun].as_slice(), &again].concat());
}

#[test]
fn a_server_that_stays_away_is_given_up_with_what_came_kept() {
    let file = file(400_000, 4);
    let (server, disk) = (Server::with(file.clone()), Disk::default());
    *server.breaks.borrow_mut() = vec![0, 0, 0, 0, 200_000];
    let error = get(&server, &disk, target()).unwrap_err();
    assert_eq!(error.code, "download.failed");
    assert!(error.cause.contains("0.2 of 0.4 MB") && error.remedy.contains("goes on from there"), "{error}");
    assert_eq!(server.pauses.borrow().len(), 4);
    // The same for one that says it is busy.
    *server.statuses.borrow_mut() = vec![503; 5];
    let error = get(&server, &disk, target()).unwrap_err();
    assert!(error.code == "download.failed" && error.cause.contains("503"), "{error}");
    assert_eq!(disk.found().unwrap().stored, 200_000);
    get(&server, &disk, target()).unwrap();
    assert_whole(&disk, &file);
    assert_eq!(server.sent.get(), file.len());
}

/// Runs until the tab is closed at the `polls`th wait; `None` when it was.
fn run_for(visit: &Visit<'_>, polls: usize) -> Option<Result<Done>> {
    let mut running = pin!(visit.run());
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..polls {
        if let Poll::Ready(done) = running.as_mut().poll(&mut context) {
            return Some(done);
        }
    }
    None
}

#[test]
fn a_tab_closed_at_any_moment_leaves_a_part_that_is_gone_on_with() {
    let file = file(230_000, 5);
    let mut closed = 0;
    for polls in 0.. {
        let (server, disk) = (Server::with(file.clone()), Disk::default());
        *server.breaks.borrow_mut() = vec![130_000];
        let visit = Visit::new(&server, &disk, hashed(&file));
        if run_for(&visit, polls).is_some() {
            break;
        }
        closed += 1;
        disk.closed();
        let before = disk.found().map_or(0, |journal| journal.stored) as usize;
        assert!(disk.data.borrow()[..before] == file[..before], "closed at {polls}: the journal says what is true");
        // And once more, in the middle of taking it up.
        let _ = run_for(&Visit::new(&server, &disk, hashed(&file)), 9);
        get(&server, &disk, hashed(&file)).unwrap_or_else(|error| panic!("closed at {polls}: {error}"));
        assert_whole(&disk, &file);
    }
    assert!(closed > 30, "{closed} moments");
}

#[test]
fn a_server_without_ranges_is_begun_anew_and_that_is_said() {
    let file = file(300_000, 6);
    let disk = Disk::default();
    let server = Rc::new(Server { ranges: false, ..Server::plain(file.clone()) });
    *server.breaks.borrow_mut() = vec![220_000];
    let visit = Visit::new(&server, &disk, target());
    block_on(visit.run()).unwrap();
    assert_whole(&disk, &file);
    assert_eq!(visit.hows(), [How::Begun, How::Broken, How::NoRange]);
    assert_eq!(server.sent.get(), 520_000);
}

#[test]
fn a_file_changed_in_between_is_never_mixed() {
    let (old, new) = (file(300_000, 7 + 1), file(300_000, 9));
    // By If-Range; by another etag on the rest; by another length on the rest.
    let longer = file(310_000, 10);
    for (careless, etag, new) in [(false, "\"two\"", &new), (true, "\"two\"", &new), (true, "\"one\"", &longer)] {
        let disk = Disk::default();
        let server = Rc::new(Server { careless, ..Server::plain(old.clone()) });
        *server.breaks.borrow_mut() = vec![0, 0, 0, 0, 0, 120_000];
        assert_eq!(get(&server, &disk, target()).unwrap_err().code, "download.failed");
        assert_eq!(disk.found().unwrap().stored, 120_000);
        server.breaks.borrow_mut().clear();
        server.replace(new.clone(), etag);
        let visit = Visit::new(&server, &disk, target());
        block_on(visit.run()).unwrap();
        assert_whole(&disk, new);
        assert!(visit.hows().contains(&How::Changed), "{:?}", visit.hows());
        assert!(server.asked.borrow().contains(&(120_000, true)), "it was asked for the rest");
    }
}

#[test]
fn a_server_that_refuses_if_range_is_asked_without_it() {
    let file = file(300_000, 11);
    let disk = Disk::default();
    let server = Rc::new(Server { no_if_range: true, ..Server::plain(file.clone()) });
    *server.breaks.borrow_mut() = vec![120_000];
    get(&server, &disk, target()).unwrap();
    assert_whole(&disk, &file);
    assert_eq!(*server.asked.borrow(), [(0, false), (120_000, true), (120_000, false)]);
    assert_eq!(server.sent.get(), file.len());
}

#[test]
fn a_wrong_hash_is_said_and_the_file_removed() {
    let good = file(200_000, 12);
    let mut bad = good.clone();
    bad[150_000] ^= 1;
    let (server, disk) = (Server::with(bad), Disk::default());
    let error = get(&server, &disk, hashed(&good)).unwrap_err();
    assert!(error.code == "download.hash" && error.cause.contains(&sha256_hex(&good)), "{error}");
    assert_nothing(&disk);
    server.replace(good.clone(), "\"two\"");
    get(&server, &disk, hashed(&good)).unwrap();
    assert_whole(&disk, &good);
}

#[test]
fn what_is_not_there_costs_nothing_of_what_is() {
    let file = file(300_000, 13);
    let (server, disk) = (Server::with(file.clone()), Disk::default());
    *server.breaks.borrow_mut() = vec![0, 0, 0, 0, 0, 100_000];
    let _ = get(&server, &disk, target());
    for status in [404, 403, 302] {
        *server.statuses.borrow_mut() = vec![status];
        let error = get(&server, &disk, target()).unwrap_err();
        assert!(error.code == "download.status" && error.cause.contains(&status.to_string()), "{error}");
        assert_eq!(disk.found().unwrap().stored, 100_000);
    }
    server.breaks.borrow_mut().clear();
    get(&server, &disk, target()).unwrap();
    assert_eq!(server.sent.get(), file.len());
}

#[test]
fn too_short_and_too_long_are_refused() {
    let file = file(300_000, 14);
    for (says_length, bytes, code) in
        [(true, 299_999, "download.size"), (false, 299_999, "download.long"), (false, 300_001, "download.short")]
    {
        let disk = Disk::default();
        let server = Rc::new(Server { says_length, ..Server::plain(file.clone()) });
        let error = get(&server, &disk, Target { bytes: Some(bytes), ..target() }).unwrap_err();
        assert_eq!(error.code, code);
        assert!(disk.data.borrow().is_empty());
    }
    let (server, disk) = (Server::with(Vec::new()), Disk::default());
    assert_eq!(
        get(&Rc::new(Server { says_length: false, ..Server::plain(Vec::new()) }), &disk, target()).unwrap_err().code,
        "download.short"
    );
    drop(server);
}

#[test]
fn a_length_nobody_says_is_the_length_that_comes() {
    let file = file(300_000, 15);
    let disk = Disk::default();
    let server = Rc::new(Server { says_length: false, ..Server::plain(file.clone()) });
    let visit = Visit::new(&server, &disk, target());
    block_on(visit.run()).unwrap();
    assert_whole(&disk, &file);
    assert!(visit.heard.borrow().iter().all(|told| told.total.is_none()));
}

#[test]
fn a_file_of_no_use_is_given_up_at_its_beginning() {
    let mut file = file(3_000_000, 16);
    file[0] = 7;
    let (server, disk) = (Server::with(file), Disk::default());
    assert_eq!(get(&server, &disk, target()).unwrap_err().code, "gguf.magic");
    assert!(server.sent.get() < 400_000, "{} bytes were fetched", server.sent.get());
    assert_nothing(&disk);
}

#[test]
fn a_full_disk_keeps_what_it_has_and_memory_takes_the_rest_where_it_may() {
    let file = file(300_000, 17);
    let (server, disk) = (Server::with(file.clone()), Disk::default());
    disk.quota.set(Some(120_000));
    assert_eq!(get(&server, &disk, hashed(&file)).unwrap_err().code, "storage.full");
    assert_eq!(disk.found().unwrap().stored, 100_000);

    let mut visit = Visit::new(&server, &disk, hashed(&file));
    visit.policy.memory_bytes = 250_000;
    assert_eq!(block_on(visit.run()).unwrap(), Done { bytes: 300_000, kept: false });
    assert!(disk.content() == file);
    assert!(visit.hows().contains(&How::Spilled));
    assert!(!disk.found().unwrap().whole, "the rest is gone with the page");

    // Known beforehand, it costs no byte.
    let mut visit = Visit::new(&server, &disk, hashed(&file));
    disk.closed();
    (visit.policy.room_bytes, visit.policy.memory_bytes) = (Some(20_000), 199_999);
    let before = server.sent.get();
    let error = block_on(visit.run()).unwrap_err();
    assert!(error.code == "storage.full" && error.cause.contains("0.2 MB") && server.sent.get() == before, "{error}");

    // The page is closed, and there is room again.
    disk.closed();
    disk.quota.set(None);
    get(&server, &disk, hashed(&file)).unwrap();
    assert_whole(&disk, &file);
}

#[test]
fn a_stop_is_heard_between_chunks_and_keeps_what_came() {
    let file = file(600_000, 18);
    let (server, disk) = (Server::with(file.clone()), Disk::default());
    let visit = Visit::new(&server, &disk, hashed(&file));
    let stopped = {
        let mut tell = |told: Tell| {
            if told.done >= 200_000 {
                visit.cancel.cancel();
            }
        };
        let Visit { target, policy, cancel, .. } = &visit;
        let (net, look) = (&Line(server.clone()), &mut Taste);
        block_on(download(Job { net, part: &disk, target, policy, look, cancel, tell: &mut tell }, None))
    };
    assert!(stopped.unwrap_err().is_cancelled());
    let stored = disk.found().unwrap().stored as usize;
    assert!((200_000..=250_000).contains(&stored), "{stored}");
    get(&server, &disk, hashed(&file)).unwrap();
    assert_whole(&disk, &file);
    assert!(server.sent.get() <= file.len() + server.chunk);
}

#[test]
fn addresses_are_encrypted_or_of_this_machine() {
    use lantern_weights::download::check_address;
    for good in
        ["https://a.example/m.gguf", "http://localhost:8017/m.gguf", "http://127.0.0.1/m.gguf", "http://[::1]:80/m"]
    {
        check_address(good).unwrap();
    }
    for bad in [
        "",
        "m.gguf",
        "ftp://a/m",
        "http://a.example/m",
        "https://",
        "https:///m",
        "https://me:secret@a/m",
        "blob:x",
        "http://localhost.evil/m",
    ] {
        assert_eq!(check_address(bad).unwrap_err().code, "download.address", "{bad}");
    }
}

#[test]
fn parts_are_named_by_content_or_by_address() {
    let file = file(10, 19);
    assert_eq!(hashed(&file).key(), sha256_hex(&file));
    assert!(target().key().starts_with("url-") && target().key().len() == 36);
    assert_eq!(sha256_hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
