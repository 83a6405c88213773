//! Work cut into pieces for the cores there are; in the page there is one.

/// Cores that pieces are spread over.
#[cfg(not(target_arch = "wasm32"))]
pub fn threads() -> usize {
    rayon::current_num_threads()
}

#[cfg(target_arch = "wasm32")]
pub fn threads() -> usize {
    1
}

/// `work(i, piece, space)` for each piece `i` of `len` elements of `out`, the last one shorter. Each core has one of
/// `spaces` to itself; there are made as many as it takes.
pub fn pieces<S: Default + Send>(
    out: &mut [f32],
    len: usize,
    spaces: &mut Vec<S>,
    work: impl Fn(usize, &mut [f32], &mut S) + Sync,
) {
    let count = out.len().div_ceil(len.max(1));
    let cores = threads().min(count).max(1);
    if spaces.len() < cores {
        spaces.resize_with(cores, S::default);
    }
    let pieces = out.chunks_mut(len.max(1)).enumerate();
    #[cfg(not(target_arch = "wasm32"))]
    if cores > 1 {
        // The next piece goes to whoever is free.
        let pieces = std::sync::Mutex::new(pieces);
        let next = || pieces.lock().ok().and_then(|mut pieces| pieces.next());
        rayon::scope(|scope| {
            for space in &mut spaces[..cores] {
                scope.spawn(|_| {
                    while let Some((i, piece)) = next() {
                        work(i, piece, space);
                    }
                });
            }
        });
        return;
    }
    for (i, piece) in pieces {
        work(i, piece, &mut spaces[0]);
    }
}
