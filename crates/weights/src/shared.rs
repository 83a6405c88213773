//! Weights that several owners have in common: of the same files, asked for alike, they are on a device once.
//!
//! What must stay true: only what a file's bytes are vouched for is shared ([`ByteSource::origin`]); nobody gets weights that are not
//! filled; the last owner's end frees them.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::{Rc, Weak};
use std::task::{Poll, Waker};

use crate::fill::fill;
use crate::{ByteSource, Origin, Rows};
use lantern_graph::{Cancel, Executor, Result, WeightSpec};

/// The sets of weights of one executor that somebody holds.
pub struct SharedWeights<E: Executor> {
    sets: RefCell<Vec<Rc<Set<E::Weights>>>>,
}

/// A weight, and where its bytes come from.
type Part = (WeightSpec, Origin);

struct Set<W> {
    parts: Vec<Part>,
    weights: RefCell<Weak<W>>,
    /// Somebody fills it.
    taken: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
}

impl<E: Executor> Default for SharedWeights<E> {
    fn default() -> Self {
        Self { sets: RefCell::default() }
    }
}

impl<E: Executor> SharedWeights<E> {
    /// Weights that are filled from the tensors of their names, in the order of `specs`. Those that are there already, of the same
    /// places of the same files, are had at once; those that another is at are waited for. Nobody may write to them but this.
    /// `heard`: as of [`fill`].
    ///
    /// # Errors
    /// As `Executor::allocate_weights` and [`fill`]; what a tensor's own [`Rows`] say of it, before anything is allocated.
    pub async fn load<'s, S: ByteSource + 's>(
        &self,
        executor: &E,
        specs: &[WeightSpec],
        tensors: impl IntoIterator<Item = Result<Rows<'s, S>>>,
        heard: &mut dyn FnMut(u64),
        cancel: &Cancel,
    ) -> Result<Rc<E::Weights>> {
        let tensors = tensors.into_iter().collect::<Result<Vec<_>>>()?;
        let origins: Option<Vec<Origin>> = tensors.iter().map(Rows::origin).collect();
        let Some(origins) = origins else {
            return filled(executor, specs, tensors, heard, cancel).await;
        };
        let set = self.set(specs.iter().cloned().zip(origins).collect());
        let _turn = Turn::take(&set, cancel).await?;
        let there = set.weights.borrow().upgrade();
        if let Some(weights) = there {
            heard(tensors.iter().map(Rows::file_bytes).sum());
            return Ok(weights);
        }
        let weights = filled(executor, specs, tensors, heard, cancel).await?;
        set.weights.replace(Rc::downgrade(&weights));
        Ok(weights)
    }

    /// That of these parts; those that nobody holds or waits for are forgotten.
    fn set(&self, parts: Vec<Part>) -> Rc<Set<E::Weights>> {
        let mut sets = self.sets.borrow_mut();
        sets.retain(|set| Rc::strong_count(set) > 1 || set.weights.borrow().strong_count() > 0);
        if let Some(set) = sets.iter().find(|set| set.parts == parts) {
            return set.clone();
        }
        let (taken, waiting) = (Cell::new(false), RefCell::default());
        let set = Rc::new(Set { parts, weights: RefCell::new(Weak::new()), taken, waiting });
        sets.push(set.clone());
        set
    }
}

async fn filled<'s, E: Executor, S: ByteSource + 's>(
    executor: &E,
    specs: &[WeightSpec],
    tensors: Vec<Rows<'s, S>>,
    heard: &mut dyn FnMut(u64),
    cancel: &Cancel,
) -> Result<Rc<E::Weights>> {
    let weights = executor.allocate_weights(specs)?;
    fill(executor, &weights, tensors.into_iter().map(Ok), heard, cancel).await?;
    Ok(Rc::new(weights))
}

/// The right to fill a set, until it is dropped: one that failed or was stopped leaves it to the next.
struct Turn<'t, W>(&'t Set<W>);

impl<'t, W> Turn<'t, W> {
    /// # Errors
    /// `run.cancelled`.
    async fn take(set: &'t Set<W>, cancel: &Cancel) -> Result<Self> {
        poll_fn(|context| {
            cancel.wake(context.waker());
            if let Err(error) = cancel.check() {
                return Poll::Ready(Err(error));
            }
            if set.taken.replace(true) {
                set.waiting.borrow_mut().push(context.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(Ok(Self(set)))
        })
        .await
    }
}

impl<W> Drop for Turn<'_, W> {
    fn drop(&mut self) {
        self.0.taken.set(false);
        self.0.waiting.take().into_iter().for_each(Waker::wake);
    }
}
