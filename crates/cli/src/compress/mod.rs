//! `lantern compress`.

pub mod apply;
pub mod bounds;
mod crossover;
mod layers;
mod theory;

use std::path::Path;

use lantern_compress::cost::Charge;
use lantern_compress::grid::Codes;
use lantern_compress::layers::Entry;
use lantern_compress::theory::Terms;
use lantern_graph::Result;
use lantern_weights::{FileSource, Gguf, Safetensors, model_files, read_table};

use crate::args::{ChargeKind, Compress, CompressTerms, GridKind};
use crate::inspect::is_safetensors;
use crate::output::Notes;

pub async fn run(what: &Compress) -> Result<()> {
    match what {
        Compress::Theory(args) => theory::run(args),
        Compress::Crossover(args) => crossover::run(args),
        Compress::Layers(args) => layers::run(args).await,
        Compress::Bounds(args) => bounds::run(args).await,
        Compress::Apply(args) => apply::run(args).await,
    }
}

/// A file of either format, of which only tensors are asked.
enum ModelFile {
    Gguf(Gguf),
    Safetensors(Safetensors),
}

/// The files of a model: one, or the shards that a list names.
async fn open(path: &Path) -> Result<Vec<FileSource>> {
    model_files(path).await?.iter().map(FileSource::open).collect()
}

impl ModelFile {
    /// A part of a split GGUF is refused. Of safetensors only the name tells; its tensors are whole, so that is a warning.
    async fn read(path: &Path, sources: &[FileSource]) -> Result<Self> {
        if let [source] = sources
            && !is_safetensors(path, source).await?
        {
            let gguf = Gguf::read(source).await?;
            return gguf.check_whole().map(|()| Self::Gguf(gguf));
        }
        let file = read_table(sources).await?;
        Notes::new("compress").tell_all(file.part.clone());
        Ok(Self::Safetensors(file))
    }

    fn entries(&self) -> Vec<Entry> {
        match self {
            Self::Gguf(file) => Entry::of_gguf(file),
            Self::Safetensors(file) => Entry::of_safetensors(file),
        }
    }
}

fn terms(args: &CompressTerms) -> Terms {
    let codes = match args.grid {
        GridKind::Integer => Codes::Integer,
        GridKind::Odd => Codes::Odd,
    };
    Terms { codes, charge: charge(args.charge), natural_zeros: args.natural_zeros }
}

fn charge(kind: ChargeKind) -> Charge {
    match kind {
        ChargeKind::Free => Charge::Free,
        ChargeKind::Bitmap => Charge::Bitmap,
        ChargeKind::Entropy => Charge::Entropy,
    }
}
