//! `lantern compress crossover`: the tails at which pruning overtakes quantization.

use lantern_compress::theory::student_t_crossover;
use lantern_graph::{Error, Result};

use crate::args::{CompressCrossover, Dist};
use crate::output;

pub fn run(args: &CompressCrossover) -> Result<()> {
    if args.dist != Dist::StudentT {
        return Err(Error::new(
            "compress.distribution",
            "only Student's t has tails that can be made heavier",
            "say --dist student-t, with --nu",
        ));
    }
    let found = student_t_crossover(args.nu, args.bits, super::terms(&args.terms))?;
    if args.json.json {
        return output::json(&found);
    }
    let truncate =
        if found.truncate < 0.1 { format!("{:.3e}", found.truncate) } else { format!("{:.2}", found.truncate) };
    output::line(&format!(
        "pruning loses less from ±{truncate} on, where the kurtosis is {:.2} and both have {:.2} dB",
        found.kurtosis, found.snr_db
    ))
}
