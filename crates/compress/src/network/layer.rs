//! One layer of a model: which method, and what it makes of the layer.

use lantern_graph::{Error, Result};
use nalgebra::DMatrix;

use crate::cost::{Charge, FULL_BITS, n_m_index_bits};
use crate::layerwise::{
    Factor, GptqOptions, Order, QuantizedLayer, better_of, channel_errors, floats, gptq, joint, magnitude, masked,
    one_opt, refit, round_to_nearest, sparsegpt,
};
use crate::prune::{Cut, Sparsity};
use crate::quadratic::{Gram, Quadratic};
use crate::quantize::Uniform;
use crate::snr_db;

/// What is done to each linear layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Every weight to its nearest grid point.
    RoundToNearest,
    /// With compensation; channels that it makes worse are rounded.
    Gptq,
    /// GPTQ, then code by code until no single change is better.
    OneOpt,
    /// The least in magnitude zeroed, layer by layer.
    Magnitude,
    /// The least of all layers together.
    GlobalMagnitude,
    /// And what is kept refitted.
    MagnitudeRefit,
    SparseGpt,
    /// SparseGPT with what is kept on a grid.
    Joint,
}

impl Method {
    /// Whether it needs a text.
    pub fn is_calibrated(self) -> bool {
        !matches!(self, Self::RoundToNearest | Self::Magnitude | Self::GlobalMagnitude)
    }

    pub fn quantizes(self) -> bool {
        matches!(self, Self::RoundToNearest | Self::Gptq | Self::OneOpt | Self::Joint)
    }

    pub fn prunes(self) -> bool {
        !matches!(self, Self::RoundToNearest | Self::Gptq | Self::OneOpt)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::RoundToNearest => "rtn",
            Self::Gptq => "gptq",
            Self::OneOpt => "one-opt",
            Self::Magnitude => "magnitude",
            Self::GlobalMagnitude => "global-magnitude",
            Self::MagnitudeRefit => "magnitude-refit",
            Self::SparseGpt => "sparsegpt",
            Self::Joint => "joint",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct ApplyOptions {
    pub method: Method,
    pub quantizer: Uniform,
    pub sparsity: Sparsity,
    /// What a mask is charged.
    pub charge: Charge,
    /// Of GPTQ, 1-opt and SparseGPT; joint, and N:M, take inputs as they come.
    pub order: Order,
    /// Relative to the mean of H's diagonal.
    pub damping: f64,
    /// Equalize blocks first.
    pub equalize: bool,
    /// Rotate the residual stream first, with this seed.
    pub rotate: Option<u64>,
}

impl ApplyOptions {
    /// # Errors
    /// `compress.bits`, `compress.group`, `compress.range`, `compress.damping`, `compress.sparsity`.
    pub fn check(&self) -> Result<()> {
        if self.method.quantizes() {
            self.quantizer.check()?;
        }
        if !(self.damping.is_finite() && self.damping >= 0.0) {
            let cause = format!("a damping of {}", self.damping);
            return Err(Error::new("compress.damping", cause, "give a number from 0 on; 0.01 is usual"));
        }
        if self.method == Method::GlobalMagnitude && !matches!(self.sparsity, Sparsity::Share(_)) {
            let cause = "N:M is of neighbours, and no choice among all layers";
            return Err(Error::new("compress.sparsity", cause, "give a share of zeros, or prune each layer by itself"));
        }
        self.sparsity.check()
    }
}

/// What is known of a layer's inputs.
pub(super) struct Known {
    form: Quadratic,
    factor: Factor,
    /// All inputs were zero.
    dead: bool,
}

impl Known {
    /// A layer behind a dead one sees nothing but zeros; then every weight counts alike.
    pub fn new(gram: &Gram, options: &ApplyOptions) -> Result<Self> {
        let mut h = gram.matrix()?;
        let dead = h.trace() == 0.0;
        if dead {
            h.fill_with_identity();
        }
        // Neighbours must be neighbours.
        let in_order = options.method == Method::Joint || matches!(options.sparsity, Sparsity::NOfM { .. });
        let order = if options.method.prunes() && in_order { Order::Natural } else { options.order };
        Ok(Self { factor: Factor::new(&h, options.damping, order)?, form: Quadratic::new(h, 0.0)?, dead })
    }

    /// `None` where there is no output.
    pub fn output_snr_db(&self, before: &DMatrix<f64>, after: &DMatrix<f64>) -> Result<Option<f64>> {
        if self.dead {
            return Ok(None);
        }
        let zeros = DMatrix::zeros(before.nrows(), before.ncols());
        let energy: f64 = channel_errors(&self.form, before, &zeros)?.iter().sum();
        let error: f64 = channel_errors(&self.form, before, after)?.iter().sum();
        Ok(Some(snr_db(energy, error)))
    }
}

/// A compressed layer.
pub(super) struct Layer {
    pub values: DMatrix<f64>,
    /// As GGUF holds them exactly, where it does.
    pub blocks: Option<Vec<u8>>,
    /// Charged, a weight.
    pub bits: f64,
    /// Rounded to the nearest, for comparison.
    pub nearest: Option<DMatrix<f64>>,
}

/// `weights`: `[n, channels]`. `cut`: where the smallest weights of all layers end, for [`Method::GlobalMagnitude`].
pub(super) fn compress(
    weights: &DMatrix<f64>,
    known: Option<&Known>,
    cut: Option<&mut Cut>,
    options: &ApplyOptions,
) -> Result<Layer> {
    let ApplyOptions { method, quantizer, sparsity, charge, .. } = *options;
    let need = || {
        let cause = format!("{} without a layer's inputs", method.name());
        Error::new("compress.calibration", cause, "give a text to calibrate on")
    };
    let quantized = |q: QuantizedLayer, nearest: Option<DMatrix<f64>>| Layer {
        bits: q.bits_per_weight(),
        blocks: q.blocks(),
        values: q.values(),
        nearest,
    };
    let pruned = |values: DMatrix<f64>, dropped: f64| Layer {
        values,
        blocks: None,
        bits: (1.0 - dropped) * FULL_BITS + mask_bits(sparsity, charge, dropped),
        nearest: None,
    };
    match method {
        Method::RoundToNearest => {
            let nearest = round_to_nearest(weights, quantizer)?;
            let values = nearest.values();
            Ok(quantized(nearest, known.map(|_| values)))
        }
        Method::Gptq | Method::OneOpt => {
            let Known { form, factor, .. } = known.ok_or_else(need)?;
            let nearest = round_to_nearest(weights, quantizer)?;
            let best = gptq(weights, factor, quantizer, GptqOptions::default())?;
            let mut best = better_of(form, weights, best, &nearest)?;
            if method == Method::OneOpt {
                one_opt(form, weights, &mut best, false)?;
            }
            Ok(quantized(best, Some(nearest.values())))
        }
        Method::Magnitude | Method::GlobalMagnitude => {
            let mask = match cut {
                Some(cut) => cut.mask(&floats(weights.as_slice())),
                None => magnitude(weights, sparsity)?,
            };
            Ok(pruned(masked(weights, &mask), mask.sparsity()))
        }
        Method::MagnitudeRefit => {
            let form = &known.ok_or_else(need)?.form;
            let mask = magnitude(weights, sparsity)?;
            Ok(pruned(refit(form, weights, &mask)?, mask.sparsity()))
        }
        Method::SparseGpt => {
            let (values, mask) = sparsegpt(weights, &known.ok_or_else(need)?.factor, sparsity)?;
            Ok(pruned(values, mask.sparsity()))
        }
        Method::Joint => {
            let (q, mask) = joint(weights, &known.ok_or_else(need)?.factor, sparsity, quantizer)?;
            let dropped = mask.sparsity();
            let codes = f64::from(quantizer.bits);
            let bits = q.bits_per_weight() - dropped * codes + mask_bits(sparsity, charge, dropped);
            Ok(Layer { bits, ..quantized(q, Some(round_to_nearest(weights, quantizer)?.values())) })
        }
    }
}

/// A mask's bits a weight. N:M survivors say where they are, unless masks are free.
fn mask_bits(sparsity: Sparsity, charge: Charge, dropped: f64) -> f64 {
    match sparsity {
        _ if dropped == 0.0 => 0.0,
        Sparsity::NOfM { n, m } if charge != Charge::Free => n_m_index_bits(n, m),
        _ => charge.mask_bits(1.0 - dropped),
    }
}
