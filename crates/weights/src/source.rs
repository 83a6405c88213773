//! Byte sources: random access to a file's bytes, wherever they lie.

use lantern_graph::{Error, Result};
use std::rc::Rc;

/// Random access to the bytes of a file. Async, and not `Send`: on the page a read crosses into JavaScript.
/// Offsets are u64, because a file may be larger than a 32-bit address space.
#[allow(async_fn_in_trait, reason = "nothing here is `Send`, so callers need no bound on the future")]
pub trait ByteSource {
    /// Bytes in the file.
    fn len(&self) -> u64;

    /// Fills `buf` from `offset` on, whole or not at all. `source.short` when the range passes the end,
    /// `source.read` when the reading itself fails.
    async fn read(&self, offset: u64, buf: &mut [u8]) -> Result<()>;

    /// What the file is called, without its folders, where that is known. Parts of a split model are told by it too.
    fn name(&self) -> Option<String> {
        None
    }

    /// Where the byte at `offset` comes from, if anybody vouches for it.
    fn origin(&self, _offset: u64) -> Option<Origin> {
        None
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A byte of a file among all files that there are. Where two are the same, so are the bytes from there on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// What is told of the file's contents, such as their hash: no other contents have it.
    pub file: Rc<str>,
    pub offset: u64,
}

/// The check every source makes before it reads.
fn check_range(source_len: u64, offset: u64, want: usize) -> Result<()> {
    if offset.checked_add(want as u64).is_some_and(|end| end <= source_len) {
        return Ok(());
    }
    Err(Error::new(
        "source.short",
        format!("{want} bytes were asked for at byte {offset}, and the file has {source_len}"),
        "the file is incomplete: get it again",
    ))
}

/// A file that is whole in memory: embedded models, and tests. Cloning shares the bytes.
#[derive(Clone)]
pub struct MemorySource {
    bytes: Rc<[u8]>,
    name: Option<Rc<str>>,
}

impl MemorySource {
    pub fn new(bytes: impl Into<Rc<[u8]>>) -> Self {
        Self { bytes: bytes.into(), name: None }
    }

    /// The same as a file of that name.
    pub fn named(self, name: &str) -> Self {
        Self { name: Some(name.into()), ..self }
    }
}

impl ByteSource for MemorySource {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    async fn read(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        check_range(self.len(), offset, buf.len())?;
        let start = offset as usize;
        buf.copy_from_slice(&self.bytes[start..start + buf.len()]);
        Ok(())
    }

    fn name(&self) -> Option<String> {
        self.name.as_deref().map(str::to_owned)
    }
}

/// Several files, one behind the other, as if they were one: what the shards of a model are read from.
pub struct Joined<'s, S> {
    sources: &'s [S],
    /// Of each file, its first byte among all.
    starts: Vec<u64>,
    len: u64,
}

impl<'s, S: ByteSource> Joined<'s, S> {
    pub fn new(sources: &'s [S]) -> Self {
        let mut len = 0u64;
        let mut starts = Vec::with_capacity(sources.len());
        for source in sources {
            starts.push(len);
            len = len.saturating_add(source.len());
        }
        Self { sources, starts, len }
    }

    /// Of the file of that number, the first byte among all.
    pub(crate) fn start(&self, file: usize) -> u64 {
        self.starts[file]
    }
}

impl<S: ByteSource> ByteSource for Joined<'_, S> {
    fn len(&self) -> u64 {
        self.len
    }

    async fn read(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        check_range(self.len, offset, buf.len())?;
        let (mut at, mut rest) = (offset, buf);
        while !rest.is_empty() {
            // The last that begins no later: the range was checked, so it holds the byte.
            let file = self.starts.partition_point(|start| *start <= at) - 1;
            let within = at - self.starts[file];
            let here = (self.sources[file].len() - within).min(rest.len() as u64) as usize;
            let (now, later) = rest.split_at_mut(here);
            self.sources[file].read(within, now).await?;
            (at, rest) = (at + here as u64, later);
        }
        Ok(())
    }

    fn name(&self) -> Option<String> {
        self.sources.first()?.name()
    }

    fn origin(&self, offset: u64) -> Option<Origin> {
        let file = self.starts.partition_point(|start| *start <= offset).checked_sub(1)?;
        self.sources[file].origin(offset - self.starts[file])
    }
}

/// A file on disk.
#[cfg(not(target_arch = "wasm32"))]
pub struct FileSource {
    file: std::fs::File,
    path: std::path::PathBuf,
    len: u64,
}

#[cfg(not(target_arch = "wasm32"))]
impl FileSource {
    /// `source.open` when there is no such file, it may not be read, or it is a folder or a device.
    pub fn open(path: impl AsRef<std::path::Path>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        let cannot = |why: String| {
            Error::new("source.open", format!("{}: {why}", path.display()), "give the path of a file you may read")
        };
        let file = std::fs::File::open(&path).map_err(|e| cannot(e.to_string()))?;
        let about = file.metadata().map_err(|e| cannot(e.to_string()))?;
        if !about.is_file() {
            return Err(cannot("not a regular file".into()));
        }
        Ok(Self { len: about.len(), file, path })
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl ByteSource for FileSource {
    fn len(&self) -> u64 {
        self.len
    }

    fn name(&self) -> Option<String> {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned())
    }

    async fn read(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        use std::io::{Read, Seek, SeekFrom};
        check_range(self.len, offset, buf.len())?;
        // `&File` reads and seeks; seek + read needs no platform's own positioned read.
        let mut file = &self.file;
        file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(buf)).map_err(|e| {
            Error::new(
                "source.read",
                format!("{}: {e} at byte {offset}", self.path.display()),
                "the file or its disk changed or failed meanwhile: try again, and get the file again if that does not help",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_past_the_end_is_an_error_that_names_both_numbers() {
        let source = MemorySource::new(vec![1u8, 2, 3]);
        let mut two = [0; 2];
        pollster::block_on(source.read(1, &mut two)).unwrap();
        assert_eq!(two, [2, 3]);
        for offset in [2, 3, u64::MAX] {
            let error = pollster::block_on(source.read(offset, &mut two)).unwrap_err();
            assert_eq!(error.code, "source.short");
            assert!(error.cause.contains(&offset.to_string()) && error.cause.contains("has 3"), "{error}");
        }
    }

    #[test]
    fn files_that_are_joined_read_as_one() {
        let sources: Vec<MemorySource> = [&[1u8, 2][..], &[], &[3], &[4, 5, 6], &[]].map(MemorySource::new).into();
        let joined = Joined::new(&sources);
        assert_eq!(joined.len(), 6);
        for from in 0..=6 {
            for to in from..=6 {
                let mut buf = vec![0; to - from];
                pollster::block_on(joined.read(from as u64, &mut buf)).unwrap();
                assert_eq!(buf, &[1, 2, 3, 4, 5, 6][from..to]);
            }
        }
        let error = pollster::block_on(joined.read(5, &mut [0; 2])).unwrap_err();
        assert_eq!(error.code, "source.short");
        let none: [MemorySource; 0] = [];
        assert!(Joined::new(&none).is_empty());
    }

    #[test]
    fn a_file_reads_like_memory_and_a_folder_is_refused() {
        let path = std::env::temp_dir().join(format!("lantern-source-{}.bin", std::process::id()));
        std::fs::write(&path, [9u8, 8, 7, 6]).unwrap();
        let source = FileSource::open(&path).unwrap();
        let mut buf = [0; 3];
        pollster::block_on(source.read(1, &mut buf)).unwrap();
        assert_eq!((source.len(), buf), (4, [8, 7, 6]));
        assert_eq!(pollster::block_on(source.read(2, &mut buf)).unwrap_err().code, "source.short");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(FileSource::open(&path).err().unwrap().code, "source.open");
        assert_eq!(FileSource::open(std::env::temp_dir()).err().unwrap().code, "source.open");
    }
}
