//! Buffers that are counted, and the plan that puts temporaries into few of them.
//!
//! WebGPU tracks usage per buffer, not per range: a dispatch may not read one part of a buffer and write another. So
//! temporaries live in a few arenas, and a dispatch never writes into an arena it reads from.

use std::ops::Deref;

use lantern_graph::{Account, Entry};

/// A buffer whose bytes are counted while it lives, and destroyed at once when it is dropped.
pub struct Buffer {
    buffer: wgpu::Buffer,
    _entry: Entry,
}

impl Buffer {
    pub fn new(device: &wgpu::Device, account: &Account, label: &str, bytes: u64, usage: wgpu::BufferUsages) -> Buffer {
        // Bindings must not be empty and copies come in words.
        let bytes = bytes.next_multiple_of(16).max(16);
        let descriptor = wgpu::BufferDescriptor { label: Some(label), size: bytes, usage, mapped_at_creation: false };
        Buffer { buffer: device.create_buffer(&descriptor), _entry: account.enter(bytes) }
    }
}

impl Deref for Buffer {
    type Target = wgpu::Buffer;

    fn deref(&self) -> &wgpu::Buffer {
        &self.buffer
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.buffer.destroy();
    }
}

/// A texture whose bytes are counted while it lives, of four a pixel, and destroyed at once when it is dropped.
pub struct Texture {
    texture: wgpu::Texture,
    _entry: Entry,
}

impl Texture {
    /// `size`: height and width.
    pub fn new(
        device: &wgpu::Device,
        account: &Account,
        [height, width]: [usize; 2],
        format: wgpu::TextureFormat,
        usage: wgpu::TextureUsages,
    ) -> Texture {
        let bytes = height as u64 * width as u64 * 4;
        let texture = device.create_texture(&wgpu::TextureDescriptor {
            label: Some("picture"),
            size: wgpu::Extent3d { width: width as u32, height: height as u32, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format,
            usage,
            view_formats: &[],
        });
        Texture { texture, _entry: account.enter(bytes) }
    }
}

impl Deref for Texture {
    type Target = wgpu::Texture;

    fn deref(&self) -> &wgpu::Texture {
        &self.texture
    }
}

impl Drop for Texture {
    fn drop(&mut self) {
        self.texture.destroy();
    }
}

/// When a temporary is written first and read last, counted in dispatches, and its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    pub first: usize,
    pub last: usize,
    pub bytes: u64,
}

/// Where a temporary lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub arena: usize,
    pub offset: u64,
}

/// Places for temporaries, and the arenas' sizes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layout {
    pub places: Vec<Place>,
    pub arenas: Vec<u64>,
}

/// Offsets in bindings are multiples of this on every adapter.
pub const ALIGNMENT: u64 = 256;

/// Places every temporary. `dispatches[i]` lists the temporaries that dispatch i reads, and those it writes: a written
/// one is put into an arena that none of the read ones, and none of the others written, is in (one dispatch may write two).
/// Temporaries are placed in the order of their first write, each in the first gap that fits for its whole lifetime.
pub fn place(lifetimes: &[Lifetime], dispatches: &[(Vec<usize>, Vec<usize>)], largest_arena: u64) -> Layout {
    let mut layout =
        Layout { places: vec![Place { arena: usize::MAX, offset: 0 }; lifetimes.len()], arenas: Vec::new() };
    let mut order: Vec<usize> = (0..lifetimes.len()).collect();
    order.sort_by_key(|&t| lifetimes[t].first);
    for &temporary in &order {
        let life = lifetimes[temporary];
        let bytes = life.bytes.next_multiple_of(ALIGNMENT).max(ALIGNMENT);
        // Arenas that would be bound twice: of everything read where this one is written, and of what is written
        // where this one is read or written.
        let mut forbidden = vec![false; layout.arenas.len()];
        for (reads, writes) in &dispatches[life.first..=life.last] {
            let (read, written) = (reads.contains(&temporary), writes.contains(&temporary));
            let others: &mut dyn Iterator<Item = &usize> = match (read, written) {
                (_, true) => &mut reads.iter().chain(writes),
                (true, false) => &mut writes.iter(),
                (false, false) => continue,
            };
            for &other in others.filter(|o| **o != temporary) {
                if let Some(flag) = forbidden.get_mut(layout.places[other].arena) {
                    *flag = true;
                }
            }
        }
        let mut best = None;
        for arena in (0..layout.arenas.len()).filter(|a| !forbidden[*a]) {
            let offset = first_gap(&layout, lifetimes, arena, life, bytes);
            let growth = (offset + bytes).saturating_sub(layout.arenas[arena]);
            if offset + bytes <= largest_arena && best.is_none_or(|(g, _)| growth < g) {
                best = Some((growth, Place { arena, offset }));
            }
        }
        let place = best.map_or(Place { arena: layout.arenas.len(), offset: 0 }, |(_, place)| place);
        if place.arena == layout.arenas.len() {
            layout.arenas.push(0);
        }
        let size = &mut layout.arenas[place.arena];
        *size = (*size).max(place.offset + bytes);
        layout.places[temporary] = place;
    }
    layout
}

/// The lowest offset in an arena where nothing alive at the same time lies.
fn first_gap(layout: &Layout, lifetimes: &[Lifetime], arena: usize, life: Lifetime, bytes: u64) -> u64 {
    let mut taken: Vec<(u64, u64)> = layout
        .places
        .iter()
        .zip(lifetimes)
        .filter(|(place, other)| place.arena == arena && other.first <= life.last && life.first <= other.last)
        .map(|(place, other)| (place.offset, place.offset + other.bytes.next_multiple_of(ALIGNMENT).max(ALIGNMENT)))
        .collect();
    taken.sort_unstable();
    let mut offset = 0;
    for (from, to) in taken {
        if offset + bytes <= from {
            break;
        }
        offset = offset.max(to);
    }
    offset
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(first: usize, last: usize, bytes: u64) -> Lifetime {
        Lifetime { first, last, bytes }
    }

    #[test]
    fn a_chain_ping_pongs_between_two_arenas() {
        let lifetimes: Vec<_> = (0..6).map(|i| life(i, (i + 1).min(5), 1000)).collect();
        let dispatches: Vec<_> = (0..6).map(|i| (if i > 0 { vec![i - 1] } else { vec![] }, vec![i])).collect();
        let layout = place(&lifetimes, &dispatches, u64::MAX);
        assert_eq!(layout.arenas, [1024, 1024]);
        for i in 1..6 {
            assert_ne!(layout.places[i].arena, layout.places[i - 1].arena);
        }
    }

    #[test]
    fn what_lives_together_does_not_overlap_and_no_dispatch_reads_the_arena_it_writes() {
        let mut seed = 0x2545_f491_4f6c_dd1du64;
        println!("seed {seed:#x}");
        let mut random = |n: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed % n as u64) as usize
        };
        for _ in 0..200 {
            let n = 3 + random(40);
            let mut dispatches: Vec<(Vec<usize>, Vec<usize>)> = Vec::new();
            let mut lifetimes = Vec::new();
            for i in 0..n {
                let reads: Vec<usize> = if i == 0 { vec![] } else { (0..random(4)).map(|_| random(i)).collect() };
                for &r in &reads {
                    let l: &mut Lifetime = &mut lifetimes[r];
                    l.last = i;
                }
                dispatches.push((reads, vec![i]));
                lifetimes.push(life(i, i, 1 + random(5000) as u64));
            }
            let layout = place(&lifetimes, &dispatches, u64::MAX);
            for (reads, writes) in &dispatches {
                assert!(reads.iter().all(|r| layout.places[*r].arena != layout.places[writes[0]].arena));
            }
            for a in 0..n {
                for b in 0..a {
                    let (la, lb) = (lifetimes[a], lifetimes[b]);
                    let (pa, pb) = (layout.places[a], layout.places[b]);
                    let together = pa.arena == pb.arena && la.first <= lb.last && lb.first <= la.last;
                    assert!(
                        !together || pa.offset + la.bytes <= pb.offset || pb.offset + lb.bytes <= pa.offset,
                        "{a} and {b} overlap"
                    );
                }
            }
        }
    }
}
