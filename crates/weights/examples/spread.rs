//! Spreads a GGUF file over more than 4 GiB, most of it holes: the same model, whose later tensors lie where 32 bits do not
//! reach. For tests of everything that reads files.
//!
//! ```text
//! cargo run -p lantern-weights --example spread -- IN.gguf OUT.gguf
//! ```

use lantern_weights::Gguf;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

/// What the file's length becomes. On a file system with holes it takes hardly more room than the model.
pub const SPREAD_BYTES: u64 = 5 << 30;

/// Tensors but the first move up by this much.
const UP: u64 = (4 << 30) + (1 << 29);

/// Writes `bytes`, a small model's file, to `path`. The second tensor in the table and all that follow are moved up.
pub fn spread(bytes: &[u8], gguf: &Gguf, path: &Path) -> std::io::Result<()> {
    let data_start = gguf.tensors.iter().map(|t| t.offset).min().unwrap_or(bytes.len() as u64);
    let mut header = bytes[..data_start as usize].to_vec();
    for tensor in gguf.tensors.iter().skip(1) {
        let field = offset_field(&header, &tensor.name, tensor.shape.len());
        let moved = tensor.offset - data_start + UP;
        header[field..field + 8].copy_from_slice(&moved.to_le_bytes());
    }
    let mut file = File::create(path)?;
    file.set_len(SPREAD_BYTES)?;
    file.write_all(&header)?;
    for (i, tensor) in gguf.tensors.iter().enumerate() {
        file.seek(SeekFrom::Start(tensor.offset + if i == 0 { 0 } else { UP }))?;
        file.write_all(&bytes[tensor.offset as usize..][..tensor.bytes as usize])?;
    }
    file.sync_all()
}

/// Where in the header a tensor's offset is: behind its name, dimensions and type.
fn offset_field(header: &[u8], name: &str, dims: usize) -> usize {
    let entry = [&(name.len() as u64).to_le_bytes(), name.as_bytes(), &(dims as u32).to_le_bytes()].concat();
    let at = header.windows(entry.len()).rposition(|window| window == entry).expect("the table names its tensors");
    at + entry.len() + 8 * dims + 4
}

#[allow(dead_code, reason = "a test uses the rest")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let [input, output] = &args[..] else { return Err("give IN.gguf and OUT.gguf".into()) };
    let bytes = std::fs::read(input)?;
    let gguf = pollster::block_on(Gguf::read(&lantern_weights::MemorySource::new(bytes.as_slice())))?;
    spread(&bytes, &gguf, Path::new(output))?;
    Ok(())
}
