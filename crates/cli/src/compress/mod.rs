//! `lantern compress`.

pub mod apply;
pub mod bounds;
mod crossover;
mod layers;
mod theory;

use lantern_compress::cost::Charge;
use lantern_compress::grid::Codes;
use lantern_compress::theory::Terms;
use lantern_graph::Result;

use crate::args::{ChargeKind, Compress, CompressTerms, GridKind};

pub async fn run(what: &Compress) -> Result<()> {
    match what {
        Compress::Theory(args) => theory::run(args),
        Compress::Crossover(args) => crossover::run(args),
        Compress::Layers(args) => layers::run(args).await,
        Compress::Bounds(args) => bounds::run(args).await,
        Compress::Apply(args) => apply::run(args).await,
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
