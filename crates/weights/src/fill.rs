//! From files to a device: the one way in which weights reach an executor, whoever asks for them.
//!
//! A tensor goes by in rows of at most 8 MiB, so that no tensor stands in memory whole; every row is looked through for NaN and
//! infinity on its way ([`Rows`]). "Stop" is heard between chunks.

use crate::ByteSource;
use crate::rows::{CHUNK_BYTES, Rows};
use lantern_graph::{Cancel, Executor, Result};

/// Streams tensors into the weights that carry their names. `heard`: bytes of the files so far, after each chunk.
///
/// # Errors
/// What a tensor's own [`Rows`] say of it, before its first byte is read; `weights.not_a_number`; the source's and the executor's
/// own; `run.cancelled`.
pub async fn fill<'s, E: Executor, S: ByteSource + 's>(
    executor: &E,
    weights: &E::Weights,
    tensors: impl IntoIterator<Item = Result<Rows<'s, S>>>,
    heard: &mut dyn FnMut(u64),
    cancel: &Cancel,
) -> Result<()> {
    let mut done = 0;
    for rows in tensors {
        let mut rows = rows?;
        let name = rows.name().to_owned();
        loop {
            cancel.check()?;
            let Some(chunk) = rows.next().await? else { break };
            executor.write_rows(weights, &name, chunk.first_row, chunk.bytes).await?;
            done += chunk.file_bytes;
            heard(done);
        }
    }
    Ok(())
}

/// Fills one f32 weight with values that are at hand, `[rows, columns]`.
///
/// # Errors
/// The executor's own; `run.cancelled`.
pub async fn fill_values<E: Executor>(
    executor: &E,
    weights: &E::Weights,
    name: &str,
    values: &[f32],
    columns: usize,
    cancel: &Cancel,
) -> Result<()> {
    let columns = columns.max(1);
    let rows = (CHUNK_BYTES / 4 / columns).max(1);
    for (i, chunk) in values.chunks(rows * columns).enumerate() {
        cancel.check()?;
        let bytes: Vec<u8> = chunk.iter().flat_map(|value| value.to_le_bytes()).collect();
        executor.write_rows(weights, name, i * rows, &bytes).await?;
    }
    Ok(())
}
