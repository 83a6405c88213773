//! Temporaries of whichever plan of a session runs: each arena is as large as the plan that needs most of it.

use std::rc::Rc;

use super::DATA;
use crate::device::Gpu;
use crate::memory::{Buffer, Place};

#[derive(Default)]
pub(super) struct Arenas(Vec<Buffer>);

/// Bytes of each arena that serves plans of these needs, one after the other.
pub(super) fn sizes(plans: impl Iterator<Item = Rc<Vec<u64>>>) -> Vec<u64> {
    let mut sizes: Vec<u64> = Vec::new();
    for needs in plans {
        sizes.resize(sizes.len().max(needs.len()), 0);
        sizes.iter_mut().zip(needs.iter()).for_each(|(size, need)| *size = (*size).max(*need));
    }
    sizes
}

impl Arenas {
    pub fn sizes(&self) -> Vec<u64> {
        self.0.iter().map(|arena| arena.size()).collect()
    }

    pub fn at(&self, place: Place) -> &Buffer {
        &self.0[place.arena]
    }

    /// As large as that, no larger. What is in one that changes is gone.
    pub fn fit(&mut self, gpu: &Gpu, sizes: Vec<u64>) {
        // First all that goes, then all that comes: the peak counts.
        let mut kept: Vec<Option<Buffer>> = self.0.drain(..).map(Some).collect();
        kept.resize_with(sizes.len(), || None);
        for (arena, size) in kept.iter_mut().zip(&sizes) {
            arena.take_if(|arena| arena.size() != *size);
        }
        let new = |size: u64| gpu.buffer("arena", size, DATA);
        self.0 = kept.into_iter().zip(sizes).map(|(arena, size)| arena.unwrap_or_else(|| new(size))).collect();
    }
}
