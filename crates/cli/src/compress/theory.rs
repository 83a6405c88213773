//! `lantern compress theory`: both methods on a distribution.

use lantern_compress::cost::Charge;
use lantern_compress::distribution::{Distribution, Gaussian, Laplace, Mixture, StudentT, Table, Uniform};
use lantern_compress::theory::{
    BITS, Comparison, best_joint, curve, differential_entropy_bits, gaussian_bound_db, shannon_lower_bound_db,
};
use lantern_graph::{Error, Result};
use serde_json::{Value as Json, json};

use crate::args::{CompressTheory, Dist};
use crate::output;

pub fn run(args: &CompressTheory) -> Result<()> {
    let student;
    let base: &dyn Distribution = match args.dist {
        Dist::StudentT => {
            student = student_t(args)?;
            &student
        }
        _ if args.nu.is_some() || args.truncate.is_some() => {
            return Err(Error::new(
                "compress.distribution",
                "--nu and --truncate are of Student's t",
                "leave them out, or say --dist student-t",
            ));
        }
        Dist::Gaussian => &Gaussian,
        Dist::Laplace => &Laplace,
        Dist::Uniform => &Uniform,
    };
    let table = Table::new(base);
    match args.outliers {
        Some(share) => report(&Mixture::with_outliers(&table, share, args.outlier_scale)?, args),
        None => report(&table, args),
    }
}

fn student_t(args: &CompressTheory) -> Result<StudentT> {
    let nu = args.nu.ok_or_else(|| {
        Error::new("compress.distribution", "Student's t has no ν", "give its degrees of freedom with --nu")
    })?;
    StudentT::new(nu, args.truncate.unwrap_or(f64::INFINITY))
}

fn report(distribution: &dyn Distribution, args: &CompressTheory) -> Result<()> {
    let bits: Vec<u32> = args.bits.map_or_else(|| BITS.collect(), |b| vec![b]);
    let found = curve(distribution, bits, super::terms(&args.terms))?;
    let energy = distribution.energy();
    let entropy = differential_entropy_bits(distribution);
    // A mask is never free here: the paper has no such method whose convention could be followed.
    let charge = match super::terms(&args.terms).charge {
        Charge::Free => Charge::Bitmap,
        other => other,
    };
    let one = |c: &Comparison| -> Result<Json> {
        let bits = f64::from(c.bits);
        let mut json = json!(c);
        json["gaussian_bound_db"] = json!(gaussian_bound_db(bits));
        json["shannon_lower_bound_db"] = json!(shannon_lower_bound_db(energy, entropy, bits));
        if args.joint {
            json["joint"] = json!(best_joint(distribution, bits, charge)?);
        }
        Ok(json)
    };
    let about = json!({
        // JSON has no infinity: null says that the fourth moment does not exist.
        "kurtosis": distribution.kurtosis(),
        "standard_deviation": distribution.standard_deviation(),
        "differential_entropy_bits": entropy,
    });
    if args.json.json {
        let mut all = found.iter().map(one).collect::<Result<Vec<_>>>()?;
        let mut out = about;
        match args.bits {
            // One width: its numbers stand beside the distribution's.
            Some(_) => {
                if let (Some(out), Some(Json::Object(one))) = (out.as_object_mut(), all.pop()) {
                    out.extend(one);
                }
            }
            None => out["widths"] = json!(all),
        }
        return output::json(&out);
    }
    let mut text = format!(
        "kurtosis {:.3}, standard deviation {:.4}\n\n",
        distribution.kurtosis(),
        distribution.standard_deviation()
    );
    text +=
        "bits  quantized      pruned   step        clip      threshold  pruned away  code entropy  Shannon allows\n";
    for c in &found {
        text += &format!(
            "{:>4}  {:>6.2} dB  {:>7.2} dB   {:<10.5}  {:<8.4}  {:<9.4}  {:>9.2} %  {:>7.3} bits  {:>8.2} dB\n",
            c.bits,
            c.quant_snr_db,
            c.prune_snr_db,
            c.step,
            c.clip,
            c.threshold,
            100.0 * c.sparsity,
            c.code_entropy_bits,
            shannon_lower_bound_db(energy, entropy, f64::from(c.bits)),
        );
        if args.joint {
            let j = best_joint(distribution, f64::from(c.bits), charge)?;
            text += &format!(
                "      both at once: {:.2} dB, {:.1} % pruned below {:.4}, the rest in {} bits\n",
                j.snr_db,
                100.0 * j.sparsity,
                j.threshold,
                j.survivor_bits
            );
        }
    }
    output::text(&text)
}
