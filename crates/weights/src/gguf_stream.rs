//! Writing GGUF files of any size: the header first, then tensor after tensor in pieces, as they come.

use std::io::Write;

use crate::gguf::ALIGNMENT;
use crate::gguf_write::{header, put_entry};
use crate::{ByteSource, GgmlType, Gguf, Metadata, Value};
use lantern_graph::{Error, Result};

/// Metadata as bytes of a file.
#[derive(Debug, Clone)]
pub struct EncodedMetadata {
    count: u64,
    bytes: Vec<u8>,
    alignment: u32,
}

impl EncodedMetadata {
    /// `gguf.metadata` for an array of more than one type, or of arrays.
    pub fn new(metadata: &Metadata) -> Result<Self> {
        let mut bytes = Vec::new();
        for (key, value) in metadata.iter() {
            put_entry(&mut bytes, key, value)?;
        }
        Ok(Self { count: metadata.len() as u64, bytes, alignment: alignment(metadata)? })
    }

    /// That of the file that `gguf` was read from, byte for byte (text that is not UTF-8 and types of empty arrays too), in
    /// its order. `changed` entries take the place of those of the same key, or follow at the end.
    pub async fn copied(source: &impl ByteSource, gguf: &Gguf, changed: &[(&str, Value)]) -> Result<Self> {
        let mut bytes = Vec::new();
        let mut count = 0;
        for (key, place) in gguf.metadata.places() {
            count += 1;
            if let Some((key, value)) = changed.iter().find(|(other, _)| *other == key) {
                put_entry(&mut bytes, key, value)?;
                continue;
            }
            let at = bytes.len();
            // Headers are bounded by the reader.
            bytes.resize(at + (place.end - place.start) as usize, 0);
            source.read(place.start, &mut bytes[at..]).await?;
        }
        for (key, value) in changed.iter().filter(|(key, _)| gguf.metadata.get(key).is_none()) {
            count += 1;
            put_entry(&mut bytes, key, value)?;
        }
        Ok(Self { count, bytes, alignment: gguf.alignment })
    }
}

fn alignment(metadata: &Metadata) -> Result<u32> {
    let alignment = metadata.find_u32("general.alignment")?.unwrap_or(ALIGNMENT);
    if alignment.is_power_of_two() {
        return Ok(alignment);
    }
    let cause = format!("general.alignment is {alignment}, and must be a power of two");
    Err(Error::new("gguf.metadata", cause, "leave it out, or give 32"))
}

/// A tensor that is going to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorHead {
    pub name: String,
    /// Row-major, outermost first: one to four dimensions, the last in whole blocks. Any may be 0.
    pub shape: Vec<usize>,
    pub ggml_type: GgmlType,
}

impl TensorHead {
    /// Encoded. `tensor.size` for a shape or a type that no file can have.
    pub fn bytes(&self) -> Result<u64> {
        let values = self.shape.iter().try_fold(1u64, |n, dim| n.checked_mul(*dim as u64));
        let row = self.shape.last().map_or(0, |n| *n as u64);
        let rows_are_whole = self.ggml_type.bytes_of(row).is_some();
        match values.filter(|_| rows_are_whole && (1..=4).contains(&self.shape.len())) {
            Some(values) => self.ggml_type.bytes_of(values),
            None => None,
        }
        .ok_or_else(|| {
            let cause = format!("tensor {}: {:?} of {} cannot be written", self.name, self.shape, self.ggml_type);
            Error::new("tensor.size", cause, "give one to four dimensions, with rows of whole blocks")
        })
    }
}

/// A file on its way out. Holds the header's bytes until they are written and nothing of the tensors.
pub struct GgufStream<W> {
    out: W,
    /// Bytes written.
    at: u64,
    alignment: u64,
    /// Name and bytes of each tensor.
    tensors: Vec<(String, u64)>,
    /// The tensor that is being written, and what it has so far.
    current: usize,
    done: u64,
}

impl<W: Write> GgufStream<W> {
    /// Writes the header (version 3). `tensor.size` for a tensor that cannot be, `gguf.write` where `out` fails.
    pub fn start(out: W, metadata: &EncodedMetadata, tensors: &[TensorHead]) -> Result<Self> {
        let sizes = tensors.iter().map(TensorHead::bytes).collect::<Result<Vec<_>>>()?;
        let heads = tensors.iter().zip(&sizes).map(|(t, bytes)| (t.name.as_str(), &t.shape[..], t.ggml_type, *bytes));
        let header = header(3, (metadata.count, &metadata.bytes), metadata.alignment.into(), heads);
        let mut stream = Self {
            out,
            at: 0,
            alignment: metadata.alignment.into(),
            tensors: tensors.iter().map(|t| t.name.clone()).zip(sizes).collect(),
            current: 0,
            done: 0,
        };
        stream.put(&header)?;
        if !stream.tensors.is_empty() {
            stream.pad()?;
        }
        stream.pass_empty();
        Ok(stream)
    }

    /// Nothing is ever written of a tensor without values.
    fn pass_empty(&mut self) {
        while self.tensors.get(self.current).is_some_and(|(_, bytes)| *bytes == 0) {
            self.current += 1;
        }
    }

    /// The next bytes of the tensors, in their order; a piece may be any part of one. `tensor.size` for more than the
    /// tensor takes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let Some((name, size)) = self.tensors.get(self.current) else {
            let cause = format!("{} bytes behind the last tensor", bytes.len());
            return Err(Error::new("tensor.size", cause, "write what the header promises"));
        };
        let (size, done) = (*size, self.done + bytes.len() as u64);
        if done > size {
            let cause = format!("tensor {name}: {done} bytes are given, and it takes {size}");
            return Err(Error::new("tensor.size", cause, "write one tensor at a time"));
        }
        self.put(bytes)?;
        self.done = done;
        if done == size {
            (self.current, self.done) = (self.current + 1, 0);
            self.pass_empty();
            // Behind the last one too: llama.cpp reads whole aligned tensors.
            self.pad()?;
        }
        Ok(())
    }

    /// `tensor.size` when there is a tensor that is not whole.
    pub fn finish(mut self) -> Result<W> {
        if let Some((name, size)) = self.tensors.get(self.current) {
            let cause = format!("tensor {name}: {} of {size} bytes were given", self.done);
            return Err(Error::new("tensor.size", cause, "write every tensor"));
        }
        self.out.flush().map_err(|error| failed(self.at, &error))?;
        Ok(self.out)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(|error| failed(self.at, &error))?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn pad(&mut self) -> Result<()> {
        const ZEROS: [u8; 4096] = [0; 4096];
        let mut missing = self.at.next_multiple_of(self.alignment) - self.at;
        while missing > 0 {
            let some = missing.min(ZEROS.len() as u64);
            self.put(&ZEROS[..some as usize])?;
            missing -= some;
        }
        Ok(())
    }
}

fn failed(at: u64, error: &std::io::Error) -> Error {
    Error::new(
        "gguf.write",
        format!("writing stopped at byte {at}: {error}"),
        "make room on the disk, or write elsewhere",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GgufWriter, MemorySource};

    fn head(name: &str, shape: &[usize], ggml_type: GgmlType) -> TensorHead {
        TensorHead { name: name.into(), shape: shape.to_vec(), ggml_type }
    }

    /// Byte for byte what is built in memory, whatever the pieces, and padded behind the last tensor.
    #[test]
    fn a_stream_writes_what_the_writer_builds() {
        let mut writer = GgufWriter::default();
        writer.metadata("general.alignment", Value::U32(64)).unwrap();
        writer.metadata("empty", Value::Array(vec![])).unwrap();
        writer.tensor("a", &[3], GgmlType::F32, vec![1; 12]).tensor("b", &[2, 32], GgmlType::Q8_0, vec![2; 68]);
        writer.tensor("c", &[5], GgmlType::F16, vec![3; 10]);
        let mut expected = writer.finish().unwrap();
        let gguf = pollster::block_on(Gguf::read(&MemorySource::new(expected.clone()))).unwrap();
        let metadata = EncodedMetadata::new(&gguf.metadata).unwrap();
        let heads =
            [head("a", &[3], GgmlType::F32), head("b", &[2, 32], GgmlType::Q8_0), head("c", &[5], GgmlType::F16)];
        let mut stream = GgufStream::start(Vec::new(), &metadata, &heads).unwrap();
        stream.write(&[1; 12]).unwrap();
        (0..34).for_each(|_| stream.write(&[2; 2]).unwrap());
        stream.write(&[3; 10]).unwrap();
        let written = stream.finish().unwrap();
        expected.resize(expected.len().next_multiple_of(64), 0);
        assert!(written == expected);
    }

    /// Text that is not UTF-8 and the type of an empty array would not survive being read.
    #[test]
    fn copied_metadata_is_the_same_but_for_what_was_changed() {
        let mut writer = GgufWriter::default();
        for key in ["first", "general.file_type", "last"] {
            writer.metadata(key, Value::String("\u{1f}".repeat(3))).unwrap();
        }
        let mut bytes = writer.finish().unwrap();
        bytes.iter_mut().filter(|b| **b == 0x1f).for_each(|b| *b = 0xff);
        let source = MemorySource::new(bytes.clone());
        let gguf = pollster::block_on(Gguf::read(&source)).unwrap();
        let same = pollster::block_on(EncodedMetadata::copied(&source, &gguf, &[])).unwrap();
        assert!(same.bytes == bytes[24..] && same.count == 3);
        let changed = [("new", Value::U8(1)), ("general.file_type", Value::U32(7))];
        let copy = pollster::block_on(EncodedMetadata::copied(&source, &gguf, &changed)).unwrap();
        let written = GgufStream::start(Vec::new(), &copy, &[]).unwrap().finish().unwrap();
        let read = pollster::block_on(Gguf::read(&MemorySource::new(written.clone()))).unwrap();
        let keys: Vec<_> = read.metadata.iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["first", "general.file_type", "last", "new"]);
        assert_eq!(read.metadata.u32("general.file_type").unwrap(), 7);
        assert_eq!(written.iter().filter(|b| **b == 0xff).count(), 6, "the bytes of two strings");
    }

    #[test]
    fn wrong_amounts_and_failing_outputs_are_errors() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let none = EncodedMetadata::new(&Metadata::default()).unwrap();
        let code = |result: Result<()>| result.unwrap_err().code;
        let heads = [head("a", &[3], GgmlType::F32)];
        let mut stream = GgufStream::start(Vec::new(), &none, &heads).unwrap();
        assert_eq!(code(stream.write(&[0; 13])), "tensor.size");
        stream.write(&[0; 5]).unwrap();
        assert!(stream.finish().unwrap_err().cause.contains("a: 5 of 12 bytes"));
        let mut stream = GgufStream::start(Vec::new(), &none, &heads).unwrap();
        stream.write(&[0; 12]).unwrap();
        assert_eq!(code(stream.write(&[0; 1])), "tensor.size");
        assert_eq!(GgufStream::start(Full, &none, &heads).err().unwrap().code, "gguf.write");
        for wrong in [
            head("a", &[], GgmlType::F32),
            head("a", &[1; 5], GgmlType::F32),
            head("a", &[33], GgmlType::Q8_0),
            head("a", &[64, 16], GgmlType::Q8_0),
            head("a", &[4], GgmlType::Unknown(77)),
            head("a", &[usize::MAX, 2], GgmlType::F32),
        ] {
            assert_eq!(
                GgufStream::start(Vec::new(), &none, std::slice::from_ref(&wrong)).err().unwrap().code,
                "tensor.size",
                "{wrong:?}"
            );
        }
    }
}
