//! What a model takes of a device, and whether that is there: said before a download, not after it.

use lantern_graph::Error;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Processor {
    Cpu,
    Gpu,
}

/// Bytes of device memory of one session with a model: of all its parts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// In the executor's layout: as many as the files', or a few more.
    pub weights: u64,
    /// What a session keeps between its runs: of a conversation, keys and values at the whole context.
    pub kept: u64,
    /// What is computed on the way: temporaries, results, and the plans themselves.
    pub work: u64,
}

impl Needs {
    pub fn total(&self) -> u64 {
        self.weights + self.kept + self.work
    }
}

/// What is known of a device. WebGPU does not say how much memory there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Device {
    /// Most bytes of weights, where the executor has such a bound.
    pub ceiling: Option<u64>,
    /// Memory as the browser tells it: rounded down, and bounded.
    pub memory: Option<u64>,
    /// Bytes that may still be stored.
    pub storage: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    Fits,
    /// It may work.
    Doubtful(Error),
    No(Error),
}

/// Most bytes of files that may be kept in memory where storage gives no room.
pub fn memory_for_files(memory: Option<u64>) -> u64 {
    memory.map_or(1 << 30, |memory| memory / 4).min(2 << 30)
}

/// Browsers tell 8 GiB at most, whatever there is.
const MOST_TOLD: u64 = 8 << 30;

impl Device {
    /// The one verdict on a model, all its files together. `to_fetch`: bytes of them that are not here yet.
    pub fn fit(&self, needs: Needs, to_fetch: u64) -> Fit {
        if let Some(ceiling) = self.ceiling.filter(|ceiling| needs.weights > *ceiling) {
            return Fit::No(Error::new(
                "cpu.ceiling",
                format!("it needs {}, and without a GPU at most {} fit", gb(needs.total()), gb(ceiling)),
                "choose a smaller model, or a browser with WebGPU",
            ));
        }
        if let Some(room) = self.storage.filter(|room| to_fetch > *room) {
            let cause = format!("{} are to be fetched, and this site may store {} more here", gb(to_fetch), gb(room));
            return if to_fetch <= memory_for_files(self.memory) {
                Fit::Doubtful(Error::new("storage.full", cause, "it can be kept in memory until the page is closed"))
            } else {
                Fit::No(Error::new("storage.full", cause, "remove a model, or free space on the device"))
            };
        }
        // Half of it, since the system and the browser have their share.
        if let Some(memory) = self.memory.filter(|memory| *memory < MOST_TOLD && needs.total() > memory / 2) {
            return Fit::Doubtful(Error::new(
                "memory.doubtful",
                format!("it needs {}, and this device has about {} of memory", gb(needs.total()), gb(memory)),
                "choose a smaller model, or try it",
            ));
        }
        // Where 8 GiB are told there may be more.
        if self.ceiling.is_none() && needs.total() > MOST_TOLD / 2 {
            return Fit::Doubtful(Error::new(
                "memory.doubtful",
                format!("it needs {} of the graphics card's memory", gb(needs.total())),
                "choose a smaller model where the card has less",
            ));
        }
        Fit::Fits
    }
}

/// "1.5 GB", "668 MB".
fn gb(bytes: u64) -> String {
    match bytes {
        0..1_000_000_000 => format!("{} MB", (bytes as f64 / 1e6).round()),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}
