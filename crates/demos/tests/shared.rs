//! Weights that demos have in common are on a device once, and go with the last of them.

mod common;

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use common::autoencoders::{options, random_picture, taesd_files, through};
use lantern_cpu::{Cpu, Mode};
use lantern_demos::autoencode::Autoencoder;
use lantern_graph::{Cancel, Error, Executor, Result};
use lantern_weights::{ByteSource, MemorySource, Origin, SharedWeights};
use pollster::block_on;

/// A file whose contents somebody vouches for, and that waits whenever it is read.
#[derive(Clone)]
struct Vouched {
    file: MemorySource,
    origin: Option<Rc<str>>,
    reads: Rc<Cell<usize>>,
}

impl Vouched {
    fn new(bytes: &[u8], origin: Option<&str>) -> Self {
        Self { file: MemorySource::new(bytes), origin: origin.map(Into::into), reads: Rc::default() }
    }
}

impl ByteSource for Vouched {
    fn len(&self) -> u64 {
        self.file.len()
    }

    fn origin(&self, offset: u64) -> Option<Origin> {
        Some(Origin { file: self.origin.clone()?, offset })
    }

    async fn read(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.reads.set(self.reads.get() + 1);
        let mut waited = false;
        poll_fn(|context| {
            context.waker().wake_by_ref();
            if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        self.file.read(offset, buf).await
    }
}

type Model = Rc<Autoencoder<Cpu>>;

fn cpu() -> Rc<Cpu> {
    Rc::new(Cpu::new(Mode::Fast))
}

async fn load(cpu: &Rc<Cpu>, shared: &SharedWeights<Cpu>, files: &[Vouched], cancel: &Cancel) -> Result<Model> {
    Autoencoder::load_sharing(cpu, shared, files, &options(), &mut |_| {}, cancel).await.map(Rc::new)
}

/// Both to their ends, in turns.
fn both<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> (A, B) {
    fn step<T>(future: Pin<&mut impl Future<Output = T>>, done: &mut Option<T>, context: &mut std::task::Context) {
        if done.is_none()
            && let Poll::Ready(value) = future.poll(context)
        {
            *done = Some(value);
        }
    }
    let (mut a, mut b, mut first, mut second) = (pin!(a), pin!(b), None, None);
    block_on(poll_fn(|context| {
        step(a.as_mut(), &mut first, context);
        step(b.as_mut(), &mut second, context);
        if first.is_some() && second.is_some() { Poll::Ready(()) } else { Poll::Pending }
    }));
    (first.unwrap(), second.unwrap())
}

#[test]
fn what_two_demos_have_in_common_is_there_once_and_goes_with_the_last() {
    let [encoder, decoder] = taesd_files(50);
    let (cpu, shared, cancel) = (cpu(), SharedWeights::default(), Cancel::new());
    let files = [Vouched::new(&encoder, Some("e")), Vouched::new(&decoder, Some("d"))];
    let whole = block_on(load(&cpu, &shared, &files, &cancel)).unwrap();
    let all = cpu.memory_bytes();
    assert_eq!(all, whole.weight_bytes());

    // Another demo, which has one of the files alone, in another place.
    let read = files[1].reads.get();
    let half = block_on(load(&cpu, &shared, &files[1..], &cancel)).unwrap();
    assert_eq!(cpu.memory_bytes(), all);
    assert!(files[1].reads.get() - read <= 3, "its header alone was read again");
    let picture = random_picture(24, 16, 51);
    let (latents, back) = through(&mut whole.session(), &picture);
    let latents = lantern_demos::autoencode::Latents { width: 3, height: 2, values: latents, picture: [24, 16] };

    drop(whole);
    assert_eq!(cpu.memory_bytes(), half.weight_bytes());
    let again = block_on(half.session().decode(&latents, &mut |_| {}, &cancel)).unwrap();
    assert!(again.rgb == back.rgb, "the same weights");
    // Whoever comes now finds what is left.
    let whole = block_on(load(&cpu, &shared, &files, &cancel)).unwrap();
    assert_eq!(cpu.memory_bytes(), all);
    drop((half, whole));
    assert_eq!(cpu.memory_bytes(), 0);
}

#[test]
fn other_contents_and_what_nobody_vouches_for_are_not_shared() {
    let ([_, one], [_, other]) = (taesd_files(52), taesd_files(54));
    let (cpu, shared, cancel) = (cpu(), SharedWeights::default(), Cancel::new());
    let open = |bytes: &[u8], origin| block_on(load(&cpu, &shared, &[Vouched::new(bytes, origin)], &cancel)).unwrap();
    let first = open(&one, Some("one"));
    let all = cpu.memory_bytes();
    let second = open(&other, Some("other"));
    assert_eq!(cpu.memory_bytes(), 2 * all);
    let third = open(&one, None);
    assert_eq!(cpu.memory_bytes(), 3 * all);
    drop((first, second, third));
    assert_eq!(cpu.memory_bytes(), 0);
}

#[test]
fn who_comes_while_another_loads_waits_for_it_and_takes_over_where_it_fails() {
    let [_, decoder] = taesd_files(56);
    let (cpu, shared, cancel) = (cpu(), SharedWeights::default(), Cancel::new());
    let file = [Vouched::new(&decoder, Some("d"))];
    let alone = {
        let model = block_on(load(&cpu, &shared, &file, &cancel)).unwrap();
        (model.weight_bytes(), file[0].reads.replace(0))
    };
    let (a, b) = both(load(&cpu, &shared, &file, &cancel), load(&cpu, &shared, &file, &cancel));
    assert_eq!((cpu.memory_bytes(), a.is_ok() && b.is_ok()), (alone.0, true));
    assert!(file[0].reads.get() < alone.1 + 4, "{} reads, {} alone", file[0].reads.get(), alone.1);
    drop((a, b));
    assert_eq!(cpu.memory_bytes(), 0);

    // The first is stopped in the middle, the second was waiting for it.
    let stop = Cancel::new();
    let stopping = async {
        let mut heard = 0;
        let mut progress = |_| {
            heard += 1;
            if heard == 5 {
                stop.cancel();
            }
        };
        Autoencoder::load_sharing(&cpu, &shared, &file, &options(), &mut progress, &stop).await.map(|_| ())
    };
    let (stopped, second) = both(stopping, load(&cpu, &shared, &file, &cancel));
    assert!(stopped.is_err_and(|error: Error| error.is_cancelled()));
    assert_eq!(cpu.memory_bytes(), second.unwrap().weight_bytes());

    // One that waits hears a stop, too.
    let stop = Cancel::new();
    let late = async {
        let waiting = load(&cpu, &shared, &file, &stop);
        let (stopped, ()) = both(waiting, async { stop.cancel() });
        stopped.map(|_| ())
    };
    let (first, late) = both(load(&cpu, &shared, &file, &cancel), late);
    assert!(first.is_ok() && late.is_err_and(|error| error.is_cancelled()));
}

#[test]
fn a_damaged_file_leaves_nothing_to_share() {
    let [_, decoder] = taesd_files(58);
    let mut damaged = decoder.clone();
    let end = damaged.len();
    damaged[end - 2..].copy_from_slice(&0x7fc0_u16.to_le_bytes());
    let (cpu, shared, cancel) = (cpu(), SharedWeights::default(), Cancel::new());
    for _ in 0..2 {
        let failed = block_on(load(&cpu, &shared, &[Vouched::new(&damaged, Some("d"))], &cancel));
        assert_eq!(failed.err().unwrap().code, "weights.not_a_number");
        assert_eq!(cpu.memory_bytes(), 0);
    }
}
