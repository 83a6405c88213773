//! Calibrated methods against what they promise.

use lantern_compress::bounds::Draws;
use lantern_compress::layerwise::{
    DAMPING, Factor, GptqOptions, Order, QuantizedLayer, better_of, bias_correction, channel_errors, gptq, joint,
    magnitude, masked, one_opt, refit, round_to_nearest, sparsegpt,
};
use lantern_compress::prune::{Mask, Sparsity};
use lantern_compress::quantize::{Granularity, Range, Uniform};
use lantern_compress::{Gram, Quadratic};
use nalgebra::DMatrix;

const N: usize = 96;
const CHANNELS: usize = 12;

struct Layer {
    weights: DMatrix<f64>,
    gram: Gram,
    form: Quadratic,
}

impl Layer {
    fn new(seed: u64) -> Self {
        println!("seed {seed}");
        let mut draws = Draws::new(seed);
        let mut gram = Gram::new(N).unwrap();
        gram.add(&draws.relu_inputs(4 * N, N)).unwrap();
        let weights = DMatrix::from_fn(N, CHANNELS, |_, _| draws.gaussian());
        let form = Quadratic::new(gram.matrix().unwrap(), 0.0).unwrap();
        Self { weights, gram, form }
    }

    fn factor(&self, order: Order) -> Factor {
        Factor::new(self.form.h(), DAMPING, order).unwrap()
    }

    fn error(&self, values: &DMatrix<f64>) -> f64 {
        channel_errors(&self.form, &self.weights, values).unwrap().iter().sum()
    }
}

fn quantizer(bits: u32, granularity: Granularity) -> Uniform {
    Uniform::gguf(bits, granularity, Range::Mse)
}

/// The least in magnitude at zero.
fn zeroed(weights: &DMatrix<f64>, sparsity: Sparsity) -> DMatrix<f64> {
    masked(weights, &magnitude(weights, sparsity).unwrap())
}

const GRANULARITIES: [Granularity; 4] =
    [Granularity::Tensor, Granularity::Channel, Granularity::Group(32), Granularity::Group(20)];

#[test]
fn compensation_beats_rounding_and_single_changes_improve_it() {
    let layer = Layer::new(1);
    let factor = layer.factor(Order::Natural);
    for bits in [2, 3, 4, 8] {
        for granularity in GRANULARITIES {
            let quantizer = quantizer(bits, granularity);
            let nearest = round_to_nearest(&layer.weights, quantizer).unwrap();
            let compensated = gptq(&layer.weights, &factor, quantizer, GptqOptions::default()).unwrap();
            let mut improved = compensated.clone();
            one_opt(&layer.form, &layer.weights, &mut improved, false).unwrap();
            let [a, b, c] = [&nearest, &compensated, &improved].map(|q| layer.error(&q.values()));
            println!("{bits} bits, {granularity:?}: {a:.3e} {b:.3e} {c:.3e}");
            assert!(b < 0.9 * a && c <= b, "{bits} bits, {granularity:?}: {a} {b} {c}");
            // No single change is better.
            let best = channel_errors(&layer.form, &layer.weights, &improved.values()).unwrap();
            for (i, step) in (0..N).flat_map(|i| [(i, 1), (i, -1)]) {
                let mut other = improved.clone();
                let (grid, code) = (other.grid(0, i), i32::from(other.codes[i]) + step);
                if (grid.low..=grid.high).contains(&code) {
                    other.codes[i] = code as i16;
                    let error = channel_errors(&layer.form, &layer.weights, &other.values()).unwrap()[0];
                    assert!(error >= best[0] * (1.0 - 1e-9), "input {i}, step {step}");
                }
            }
        }
    }
}

/// Weights of one sign: a zero point is worth a bit, to every method.
#[test]
fn methods_work_on_grids_with_a_zero_point() {
    let mut layer = Layer::new(11);
    layer.weights.iter_mut().for_each(|w| *w = w.abs() + 0.5);
    let factor = layer.factor(Order::Natural);
    let with = Uniform::asymmetric(4, Granularity::Group(32), Range::Mse);
    let without = Uniform::symmetric(4, Granularity::Group(32), Range::Mse);
    let nearest = round_to_nearest(&layer.weights, with).unwrap();
    let mut best = gptq(&layer.weights, &factor, with, GptqOptions::default()).unwrap();
    let compensated = layer.error(&best.values());
    one_opt(&layer.form, &layer.weights, &mut best, false).unwrap();
    let plain = gptq(&layer.weights, &factor, without, GptqOptions::default()).unwrap();
    let errors = [layer.error(&best.values()), compensated, layer.error(&nearest.values())];
    assert!(errors[0] <= errors[1] && errors[1] < 0.9 * errors[2], "{errors:?}");
    assert!(errors[1] < 0.5 * layer.error(&plain.values()));
    assert!(best.codes.iter().all(|code| (0..16).contains(code)));
    assert_eq!((best.blocks(), best.bits_per_weight()), (None, 4.0 + 36.0 / 32.0));
    let clipped = Uniform { range: Range::Percentile(99.0), ..with };
    assert!(layer.error(&round_to_nearest(&layer.weights, clipped).unwrap().values()).is_finite());
    let (both, mask) = joint(&layer.weights, &factor, Sparsity::Share(0.5), with).unwrap();
    assert!(both.values().iter().zip(&mask.0).all(|(value, keep)| *keep || *value == 0.0));
}

#[test]
fn blocks_change_nothing_but_rounding() {
    let layer = Layer::new(2);
    for order in [Order::Natural, Order::Activation] {
        let factor = layer.factor(order);
        let run = |block| {
            let options = GptqOptions { block, ..GptqOptions::default() };
            gptq(&layer.weights, &factor, quantizer(4, Granularity::Channel), options).unwrap()
        };
        assert_eq!(run(1).codes, run(32).codes, "{order:?}");
        assert_eq!(run(1).codes, run(N).codes, "{order:?}");
    }
}

#[test]
fn act_order_puts_every_weight_in_its_place() {
    let mut layer = Layer::new(3);
    // One input of much energy, last.
    let mut draws = Draws::new(33);
    let mut x = draws.relu_inputs(4 * N, N);
    x.chunks_mut(N).for_each(|row| row[N - 1] *= 30.0);
    layer.gram = Gram::new(N).unwrap();
    layer.gram.add(&x).unwrap();
    layer.form = Quadratic::new(layer.gram.matrix().unwrap(), 0.0).unwrap();
    let factor = layer.factor(Order::Activation);
    for granularity in GRANULARITIES {
        let quantizer = quantizer(4, granularity);
        let ordered = gptq(&layer.weights, &factor, quantizer, GptqOptions::default()).unwrap();
        let nearest = round_to_nearest(&layer.weights, quantizer).unwrap();
        let natural = gptq(&layer.weights, &layer.factor(Order::Natural), quantizer, GptqOptions::default()).unwrap();
        let [a, b, c] = [&ordered, &natural, &nearest].map(|q| layer.error(&q.values()));
        assert!(a < 0.8 * b && a < 0.8 * c, "{granularity:?}: act-order {a}, natural {b}, nearest {c}");
        // What is decided first is decided by itself.
        let last: Vec<i16> = (0..CHANNELS).map(|c| ordered.codes[c * N + N - 1]).collect();
        assert_eq!(last, (0..CHANNELS).map(|c| nearest.codes[c * N + N - 1]).collect::<Vec<_>>());
    }
}

#[test]
fn without_correlation_compensation_is_rounding() {
    let layer = Layer::new(4);
    let factor = Factor::new(&DMatrix::identity(N, N), DAMPING, Order::Natural).unwrap();
    for granularity in GRANULARITIES {
        let quantizer = quantizer(3, granularity);
        let nearest = round_to_nearest(&layer.weights, quantizer).unwrap();
        assert_eq!(gptq(&layer.weights, &factor, quantizer, GptqOptions::default()).unwrap(), nearest);
    }
}

#[test]
fn the_better_of_two_is_chosen_channel_by_channel() {
    let layer = Layer::new(5);
    let quantizer = quantizer(2, Granularity::Group(16));
    let nearest = round_to_nearest(&layer.weights, quantizer).unwrap();
    let mut mixed = gptq(&layer.weights, &layer.factor(Order::Natural), quantizer, GptqOptions::default()).unwrap();
    mixed.codes[..N].fill(1);
    let better = better_of(&layer.form, &layer.weights, mixed.clone(), &nearest).unwrap();
    let [a, b, both] =
        [&mixed, &nearest, &better].map(|q| channel_errors(&layer.form, &layer.weights, &q.values()).unwrap());
    assert!((0..CHANNELS).all(|c| both[c] == a[c].min(b[c])));
    assert_eq!(&better.codes[..N], &nearest.codes[..N]);
}

#[test]
fn zeros_are_as_many_as_asked_for_and_where_structure_allows() {
    let layer = Layer::new(6);
    let factor = layer.factor(Order::Natural);
    for share in [0.0, 0.3, 0.5, 0.75, 0.875, 1.0] {
        let wanted = (share * (N * CHANNELS) as f64).round() as usize;
        for pruned in [
            zeroed(&layer.weights, Sparsity::Share(share)),
            sparsegpt(&layer.weights, &factor, Sparsity::Share(share)).unwrap().0,
        ] {
            assert_eq!(pruned.iter().filter(|v| **v == 0.0).count(), wanted, "{share}");
        }
    }
    for (n, m) in [(2, 4), (4, 8), (3, 4)] {
        let sparsity = Sparsity::NOfM { n, m };
        for pruned in [zeroed(&layer.weights, sparsity), sparsegpt(&layer.weights, &factor, sparsity).unwrap().0] {
            let groups = pruned.as_slice().chunks(m).map(|group| group.iter().filter(|v| **v == 0.0).count());
            assert!(groups.into_iter().all(|count| count == m - n), "{n}:{m}");
        }
    }
    let endless = Sparsity::NOfM { n: 1, m: usize::MAX };
    for wrong in [Sparsity::Share(-0.1), Sparsity::Share(f64::NAN), Sparsity::NOfM { n: 5, m: 4 }, endless] {
        assert_eq!(magnitude(&layer.weights, wrong).unwrap_err().code, "compress.sparsity");
        assert_eq!(sparsegpt(&layer.weights, &factor, wrong).unwrap_err().code, "compress.sparsity");
    }
}

#[test]
fn compensated_pruning_beats_magnitude_and_a_refit_is_the_best_for_its_zeros() {
    let layer = Layer::new(7);
    let factor = layer.factor(Order::Natural);
    for sparsity in [Sparsity::Share(0.5), Sparsity::Share(0.75), Sparsity::NOfM { n: 2, m: 4 }] {
        let plain = zeroed(&layer.weights, sparsity);
        let (swept, zeros) = sparsegpt(&layer.weights, &factor, sparsity).unwrap();
        let mask = magnitude(&layer.weights, sparsity).unwrap();
        let refitted = refit(&layer.form, &layer.weights, &mask).unwrap();
        let [a, b, c] = [&plain, &swept, &refitted].map(|v| layer.error(v));
        println!("{sparsity:?}: magnitude {a:.3e}, SparseGPT {b:.3e}, magnitude with refit {c:.3e}");
        assert!(b < 0.8 * a && c < 0.8 * a, "{a} {b} {c}");
        // The gradient is zero where weights were kept.
        let gradient = layer.form.h() * (&layer.weights - &refitted);
        for (slope, keep) in gradient.iter().zip(&mask.0) {
            assert!(!*keep || slope.abs() < 1e-9 * layer.form.h().trace(), "{slope}");
        }
        // And the sweep's zeros, refitted, are better still.
        assert_eq!(zeros, Mask(swept.iter().map(|v| *v != 0.0).collect()));
        assert!(layer.error(&refit(&layer.form, &layer.weights, &zeros).unwrap()) <= b);
    }
}

#[test]
fn one_sweep_for_both_beats_pruning_and_then_rounding() {
    let layer = Layer::new(8);
    let factor = layer.factor(Order::Natural);
    let mut ratios = Vec::new();
    for sparsity in [Sparsity::Share(0.5), Sparsity::NOfM { n: 2, m: 4 }] {
        for granularity in GRANULARITIES {
            let quantizer = quantizer(3, granularity);
            let (both, mask) = joint(&layer.weights, &factor, sparsity, quantizer).unwrap();
            assert_eq!(mask.0.iter().filter(|keep| !**keep).count(), N * CHANNELS / 2);
            assert!(mask.0.iter().zip(&both.codes).all(|(keep, code)| *keep || *code == 0));
            let pruned = sparsegpt(&layer.weights, &factor, sparsity).unwrap().0;
            let apart = layer.error(&round_to_nearest(&pruned, quantizer).unwrap().values());
            let together = layer.error(&both.values());
            // Either may have luck with a grid.
            assert!(together < 1.05 * apart, "{sparsity:?}, {granularity:?}: {together} {apart}");
            ratios.push(together / apart);
        }
    }
    let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
    assert!(mean < 0.95, "{ratios:?}");
    let ordered = layer.factor(Order::Activation);
    let error = joint(&layer.weights, &ordered, Sparsity::Share(0.5), quantizer(4, Granularity::Channel)).unwrap_err();
    assert_eq!(error.code, "compress.order");
}

/// More inputs than a block, and neighbours that groups are no multiple of: no group of weights is fitted to less than itself.
#[test]
fn neighbours_that_cross_groups_are_dropped_and_quantized() {
    let (n, channels, seed) = (288, 4, 12);
    println!("seed {seed}");
    let mut draws = Draws::new(seed);
    let form = Quadratic::from_inputs(&draws.relu_inputs(4 * n, n), n).unwrap();
    let weights = DMatrix::from_fn(n, channels, |_, _| draws.gaussian());
    let factor = Factor::new(form.h(), DAMPING, Order::Natural).unwrap();
    let error = |values: &DMatrix<f64>| channel_errors(&form, &weights, values).unwrap().iter().sum::<f64>();
    for (keep, m) in [(2, 3), (2, 5), (4, 6), (2, 4)] {
        let sparsity = Sparsity::NOfM { n: keep, m };
        let of = |granularity| joint(&weights, &factor, sparsity, Uniform::gguf(8, granularity, Range::Mse)).unwrap();
        let ((groups, mask), (channels, _)) = (of(Granularity::Group(32)), of(Granularity::Channel));
        let (a, b) = (error(&groups.values()), error(&channels.values()));
        assert!(a < 1.2 * b, "{keep}:{m}: {a} by groups, {b} by channels");
        for row in mask.0.chunks(n) {
            assert!(row.chunks(m).all(|group| group.iter().filter(|keep| **keep).count() == keep.min(group.len())));
        }
    }
    let ordered = Factor::new(form.h(), DAMPING, Order::Activation).unwrap();
    let refused = sparsegpt(&weights, &ordered, Sparsity::NOfM { n: 2, m: 4 }).unwrap_err();
    assert_eq!(refused.code, "compress.order", "neighbours in another order are no neighbours");
}

#[test]
fn a_corrected_bias_takes_the_mean_error_away_and_nothing_else() {
    let layer = Layer::new(9);
    let rounded = round_to_nearest(&layer.weights, quantizer(2, Granularity::Tensor)).unwrap().values();
    let bias = bias_correction(&layer.weights, &rounded, &layer.gram).unwrap();
    let x = Draws::new(9).relu_inputs(4 * N, N);
    let errors = channel_errors(&layer.form, &layer.weights, &rounded).unwrap();
    for (c, bias) in bias.iter().enumerate() {
        let outputs = x.chunks(N).map(|row| {
            let product =
                |w: &DMatrix<f64>| row.iter().enumerate().map(|(i, x)| f64::from(*x) * w[(i, c)]).sum::<f64>();
            product(&layer.weights) - product(&rounded) - bias
        });
        let outputs: Vec<f64> = outputs.collect();
        let mean = outputs.iter().sum::<f64>() / outputs.len() as f64;
        let square = outputs.iter().map(|v| v * v).sum::<f64>() / outputs.len() as f64;
        assert!(mean.abs() < 1e-10, "channel {c}: {mean}");
        assert!((square - (errors[c] - bias * bias)).abs() < 1e-9 * errors[c], "channel {c}");
    }
    assert_eq!(bias_correction(&layer.weights, &rounded, &Gram::new(3).unwrap()).unwrap_err().code, "compress.size");
    assert_eq!(
        bias_correction(&layer.weights, &rounded, &Gram::new(N).unwrap()).unwrap_err().code,
        "compress.calibration"
    );
}

#[test]
fn blocks_hold_exactly_what_the_method_chose() {
    let layer = Layer::new(10);
    let factor = layer.factor(Order::Natural);
    for bits in 2..=8 {
        for granularity in [Granularity::Tensor, Granularity::Channel, Granularity::Group(32), Granularity::Group(64)] {
            let chosen = gptq(&layer.weights, &factor, quantizer(bits, granularity), GptqOptions::default()).unwrap();
            // The last group of 64 in a row of 96 is half a group, and ends with the row: that is no obstacle.
            let ggml = QuantizedLayer::block_type(&chosen.quantizer, N).unwrap();
            let bytes = chosen.blocks().unwrap();
            assert_eq!(ggml == lantern_weights::GgmlType::Q4_0, bits <= 4);
            let mut read = vec![0f32; N * CHANNELS];
            lantern_weights::dequantize(ggml, &bytes, &mut read).unwrap();
            let values = chosen.values();
            assert!(read.iter().zip(values.iter()).all(|(a, b)| f64::from(*a) == *b), "{bits} bits, {granularity:?}");
        }
    }
    let odd = round_to_nearest(&layer.weights, quantizer(4, Granularity::Group(20))).unwrap();
    assert_eq!(odd.blocks(), None, "scales change inside blocks");
}
