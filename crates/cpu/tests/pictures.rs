//! Operations on pictures against their definitions, in f64 and index by index, on random odd shapes; and against candle.

mod common;

use std::rc::Rc;

use candle_core::{Device, Tensor as Candle};
use candle_nn::Module;
use common::{MODES, Tensor, assert_close, floats, run, seeded, stored};
use lantern_cpu::{Cpu, Mode};
use lantern_graph::{
    Bindings, Cancel, Class, DType, Dim, Executor, Graph, NodeId, ResizeMode, Result, Session, Value, Window,
};
use lantern_models::nn;
use rand::Rng;
use rand::rngs::SmallRng;

/// A sum of products in f32, in any order, is off by at most this part of the sum of its terms' magnitudes: f32 rounds to
/// 6·10⁻⁸, products are summed in lanes and blocks, and at most some thousand terms are summed here.
const SUMMED: f32 = 1e-6;

/// A convolution's sizes.
#[derive(Debug, Clone, Copy)]
struct Case {
    window: Window,
    groups: usize,
    /// n, height, width.
    x: [usize; 3],
    /// Input and output channels of a group.
    channels: [usize; 2],
}

impl Case {
    fn random(rng: &mut SmallRng, groups: usize, channels: [usize; 2]) -> Case {
        loop {
            let mut two =
                |range: std::ops::RangeInclusive<usize>| [rng.random_range(range.clone()), rng.random_range(range)];
            let window = Window {
                kernel: two(1..=5),
                stride: two(1..=3),
                dilation: two(1..=2),
                padding: [two(0..=3), two(0..=3)],
            };
            let [h, w] = two(1..=12);
            let case = Case { window, groups, x: [two(1..=2)[0], h, w], channels };
            if window.positions(0, h).is_some() && window.positions(1, w).is_some() {
                return case;
            }
        }
    }

    fn x_dims(&self) -> [usize; 4] {
        let [n, h, w] = self.x;
        [n, h, w, self.groups * self.channels[0]]
    }

    fn y_dims(&self) -> [usize; 4] {
        let [n, h, w] = self.x;
        let [oh, ow] = [(0, h), (1, w)].map(|(axis, length)| self.window.positions(axis, length).unwrap());
        [n, oh, ow, self.groups * self.channels[1]]
    }

    fn w_dims(&self) -> [usize; 4] {
        let [kh, kw] = self.window.kernel;
        [self.groups * self.channels[1], kh, kw, self.channels[0]]
    }

    /// The definition: every product, as element numbers of the result, the picture and the filter.
    fn products(&self, mut each: impl FnMut(usize, usize, usize)) {
        let (x, y, w) = (self.x_dims(), self.y_dims(), self.w_dims());
        let Window { kernel, stride, dilation, padding } = self.window;
        let flat = |dims: [usize; 4], at: [usize; 4]| dims.iter().zip(at).fold(0, |flat, (n, i)| flat * n + i);
        let [per_group, out_per_group] = self.channels;
        for i in 0..y.iter().product::<usize>() {
            let (o, ox, oy, n) = (i % y[3], i / y[3] % y[2], i / y[3] / y[2] % y[1], i / y[3] / y[2] / y[1]);
            for ky in 0..kernel[0] {
                for kx in 0..kernel[1] {
                    let at = |axis: usize, o: usize, k: usize| {
                        let at = (o * stride[axis] + k * dilation[axis]) as isize - padding[axis][0] as isize;
                        (0..self.x[axis + 1] as isize).contains(&at).then_some(at as usize)
                    };
                    let (Some(iy), Some(ix)) = (at(0, oy, ky), at(1, ox, kx)) else { continue };
                    for c in 0..per_group {
                        let from = o / out_per_group * per_group + c;
                        each(i, flat(x, [n, iy, ix, from]), flat(w, [o, ky, kx, c]));
                    }
                }
            }
        }
    }

    /// One of the three tensors from the other two: sums of products, and of their magnitudes.
    fn sums(&self, len: usize, a: &[f32], b: &[f32], pick: impl Fn([usize; 3]) -> [usize; 3]) -> (Vec<f32>, Vec<f32>) {
        let mut sums = vec![(0.0f64, 0.0f64); len];
        self.products(|y, x, w| {
            let [to, i, j] = pick([y, x, w]);
            let product = f64::from(a[i]) * f64::from(b[j]);
            sums[to].0 += product;
            sums[to].1 += product.abs();
        });
        sums.into_iter().map(|(sum, size)| (sum as f32, size as f32)).unzip()
    }
}

fn count(dims: [usize; 4]) -> usize {
    dims.iter().product()
}

/// Off by at most `SUMMED` of the magnitudes.
fn assert_summed(what: &str, got: &[f32], wanted: &[f32], sizes: &[f32]) {
    assert_eq!(got.len(), wanted.len(), "{what}");
    for (i, ((got, wanted), size)) in got.iter().zip(wanted).zip(sizes).enumerate() {
        let error = (got - wanted).abs();
        assert!(error <= SUMMED * size, "{what}: element {i} is {got}, expected {wanted}, off by {error:e} of {size}");
    }
}

/// One output in that mode.
fn outcome(mode: Mode, g: &Graph, weights: &[(&str, Vec<u8>)], inputs: &[(&str, &[f32])]) -> Vec<f32> {
    let inputs: Vec<_> = inputs.iter().map(|(name, values)| (*name, Value::F32(values.to_vec()))).collect();
    run(mode, g, &[], weights, &inputs).unwrap().remove(0).into_f32().unwrap()
}

fn graph_of(build: impl FnOnce(&mut Graph) -> Result<NodeId>) -> Graph {
    let mut g = Graph::new();
    let y = build(&mut g).unwrap();
    g.output("y", y);
    g
}

/// Plain, grouped, depthwise, and depthwise with several results a channel.
const KINDS: [(usize, [usize; 2]); 8] =
    [(1, [3, 5]), (1, [1, 4]), (1, [7, 1]), (2, [3, 2]), (3, [2, 4]), (6, [1, 1]), (5, [1, 3]), (1, [40, 33])];

#[test]
fn convolutions_and_both_their_adjoints() {
    let mut rng = seeded(60);
    for (groups, channels) in KINDS {
        for _ in 0..12 {
            let case = Case::random(&mut rng, groups, channels);
            let (window, size) = (case.window, [case.x[1], case.x[2]]);
            let (xd, yd, wd) = (case.x_dims(), case.y_dims(), case.w_dims());
            let [x, y, w] = [xd, yd, wd].map(|dims| floats(&mut rng, count(dims), -1.0, 1.0));
            let forward = graph_of(|g| {
                let (x, w) = (g.input("x", xd, DType::F32), g.input("w", wd, DType::F32));
                g.conv2d(x, w, window, groups)
            });
            let transposed = graph_of(|g| {
                let (y, w) = (g.input("y", yd, DType::F32), g.input("w", wd, DType::F32));
                g.conv2d_transposed(y, w, window, groups, size)
            });
            let filter = graph_of(|g| {
                let (x, y) = (g.input("x", xd, DType::F32), g.input("y", yd, DType::F32));
                g.conv2d_filter(x, y, window, groups)
            });
            for mode in MODES {
                let what = |op: &str| format!("{op}, {}, {case:?}", mode.name());
                let got = outcome(mode, &forward, &[], &[("x", &x), ("w", &w)]);
                let (wanted, sizes) = case.sums(count(yd), &x, &w, |[y, x, w]| [y, x, w]);
                assert_summed(&what("conv2d"), &got, &wanted, &sizes);
                let got = outcome(mode, &transposed, &[], &[("y", &y), ("w", &w)]);
                let (wanted, sizes) = case.sums(count(xd), &y, &w, |[y, x, w]| [x, y, w]);
                assert_summed(&what("conv2d_transposed"), &got, &wanted, &sizes);
                let got = outcome(mode, &filter, &[], &[("x", &x), ("y", &y)]);
                let (wanted, sizes) = case.sums(count(wd), &x, &y, |[y, x, w]| [w, x, y]);
                assert_summed(&what("conv2d_filter"), &got, &wanted, &sizes);
            }
        }
    }
}

/// Pointwise convolutions are products of the picture as it lies; also in groups, and not with a stride.
#[test]
fn pointwise_convolutions() {
    let mut rng = seeded(61);
    for (groups, channels, stride) in [(1, [9, 5], 1), (3, [2, 3], 1), (4, [1, 1], 1), (1, [5, 6], 2)] {
        let case = Case { window: Window::square(1, stride, 0), groups, x: [2, 5, 7], channels };
        let (x, w) =
            (floats(&mut rng, count(case.x_dims()), -1.0, 1.0), floats(&mut rng, count(case.w_dims()), -1.0, 1.0));
        let g = graph_of(|g| {
            let (x, w) = (g.input("x", case.x_dims(), DType::F32), g.input("w", case.w_dims(), DType::F32));
            g.conv2d(x, w, case.window, groups)
        });
        let (wanted, sizes) = case.sums(count(case.y_dims()), &x, &w, |at| at);
        for mode in MODES {
            assert_summed(&format!("{case:?}"), &outcome(mode, &g, &[], &[("x", &x), ("w", &w)]), &wanted, &sizes);
        }
    }
}

/// Filters of every type a file has. The arithmetic is f32 whatever they are stored as, so the bound is that of f32.
#[test]
fn stored_filters_of_every_type() {
    let mut rng = seeded(62);
    // Rows of whole blocks of 32 (those of 256 are no filter's); the last one is widened in several parts.
    let kinds = [(1, [32, 5], 3), (2, [8, 6], 2), (64, [1, 1], 4), (32, [1, 2], 4), (1, [448, 262], 3)];
    for dtype in DType::WEIGHTS.into_iter().filter(|dtype| dtype.block().0 <= 32) {
        for (groups, channels, size) in kinds {
            let sides = if channels[0] > 100 { [2, 3] } else { [6, 7] };
            let case = Case {
                window: Window { kernel: [size, if groups > 2 { 8 } else { size }], ..Window::square(size, 1, 1) },
                groups,
                x: [1, sides[0], sides[1]],
                channels,
            };
            let x = floats(&mut rng, count(case.x_dims()), -1.0, 1.0);
            let y = floats(&mut rng, count(case.y_dims()), -1.0, 1.0);
            let (bytes, w) = stored(dtype, &floats(&mut rng, count(case.w_dims()), -1.0, 1.0));
            let forward = graph_of(|g| {
                let x = g.input("x", case.x_dims(), DType::F32);
                let w = g.weight("w", &case.w_dims(), dtype)?;
                g.conv2d(x, w, case.window, groups)
            });
            let transposed = graph_of(|g| {
                let y = g.input("y", case.y_dims(), DType::F32);
                let w = g.weight("w", &case.w_dims(), dtype)?;
                g.conv2d_transposed(y, w, case.window, groups, sides)
            });
            let forward_wanted = case.sums(count(case.y_dims()), &x, &w, |at| at);
            let transposed_wanted = case.sums(count(case.x_dims()), &y, &w, |[y, x, w]| [x, y, w]);
            for mode in MODES {
                let what = format!("{} {} {case:?}", mode.name(), dtype.name());
                let got = outcome(mode, &forward, &[("w", bytes.clone())], &[("x", &x)]);
                assert_summed(&what, &got, &forward_wanted.0, &forward_wanted.1);
                let got = outcome(mode, &transposed, &[("w", bytes.clone())], &[("y", &y)]);
                assert_summed(&format!("transposed {what}"), &got, &transposed_wanted.0, &transposed_wanted.1);
            }
        }
    }
}

/// A number of pictures that is known only when the plan runs; also none.
#[test]
fn the_number_of_pictures_may_be_a_symbol() {
    let mut rng = seeded(63);
    let mut g = Graph::new();
    let n = g.symbol("n", 3);
    let fixed = Dim::Fixed;
    let x = g.input("x", [Dim::Symbol(n), fixed(7), fixed(6), fixed(4)], DType::F32);
    let w = g.input("w", [6, 3, 3, 4], DType::F32);
    let (weight, bias) = (g.input("weight", [6], DType::F32), g.input("bias", [6], DType::F32));
    let y = g.conv2d(x, w, Window::square(3, 2, 1), 1).unwrap();
    let y = nn::group_norm(&mut g, y, weight, bias, 3, 1e-5).unwrap();
    let y = nn::silu(&mut g, y).unwrap();
    let y = g.resize(y, ResizeMode::Bilinear, [9, 5]).unwrap();
    let y = g.max_pool(y, Window::square(2, 2, 0)).unwrap();
    g.output("y", y);
    let all: Vec<_> = [3 * 7 * 6 * 4, 6 * 9 * 4, 6, 6].map(|len| floats(&mut rng, len, -1.0, 1.0)).into();
    for mode in MODES {
        let of = |from: usize, n: usize| {
            let x = all[0][from * 168..(from + n) * 168].to_vec();
            let inputs = [("x", x), ("w", all[1].clone()), ("weight", all[2].clone()), ("bias", all[3].clone())];
            let inputs = inputs.map(|(name, values)| (name, Value::F32(values)));
            run(mode, &g, &[("n", n)], &[], &inputs).unwrap().remove(0).into_f32().unwrap()
        };
        let (together, alone) = (of(0, 3), [of(0, 1), of(1, 1), of(2, 1)].concat());
        assert_eq!(together.len(), 3 * 4 * 2 * 6);
        assert_close(mode.name(), &together, &alone, 1e-5);
        assert!(of(0, 0).is_empty());
    }
}

#[test]
fn max_pool_by_its_definition() {
    let mut rng = seeded(64);
    for _ in 0..40 {
        let mut two = |range: std::ops::Range<usize>| [rng.random_range(range.clone()), rng.random_range(range)];
        let kernel = two(1..5);
        let pads = [two(0..4), two(0..4)];
        let padding = [0, 1].map(|axis| pads[axis].map(|p| p % kernel[axis]));
        let window = Window { kernel, stride: two(1..4), dilation: [1, 1], padding };
        let [h, w] = two(1..10);
        let (Some(oh), Some(ow)) = (window.positions(0, h), window.positions(1, w)) else { continue };
        let x = Tensor::random(&mut rng, &[2, h, w, 3]);
        let g = graph_of(|g| {
            let x = x.input(g, "x");
            g.max_pool(x, window)
        });
        let wanted = Tensor::from_fn(&[2, oh, ow, 3], |i| {
            let under = |axis: usize, length: usize| {
                let start = (i[axis + 1] * window.stride[axis]) as isize - window.padding[axis][0] as isize;
                (start..start + kernel[axis] as isize).filter(move |at| (0..length as isize).contains(at))
            };
            under(0, h)
                .flat_map(|iy| under(1, w).map(move |ix| (iy, ix)))
                .map(|(iy, ix)| x.at(&[i[0], iy as usize, ix as usize, i[3]]))
                .fold(f32::NEG_INFINITY, f32::max)
        });
        for mode in MODES {
            assert_eq!(outcome(mode, &g, &[], &[("x", &x.data)]), wanted.data, "{window:?} on {h} by {w}");
        }
    }
}

/// PyTorch's definitions for `align_corners=False`, in f64.
#[test]
fn resize_by_its_definition() {
    let mut rng = seeded(65);
    for (from, to) in [([5, 7], [10, 21]), ([5, 7], [8, 3]), ([1, 1], [4, 3]), ([9, 4], [9, 5]), ([13, 2], [1, 1])] {
        let x = Tensor::random(&mut rng, &[2, from[0], from[1], 3]);
        for mode in [ResizeMode::Nearest, ResizeMode::Bilinear] {
            let g = graph_of(|g| {
                let x = x.input(g, "x");
                g.resize(x, mode, to)
            });
            let wanted = Tensor::from_fn(&[2, to[0], to[1], 3], |i| {
                let source = |axis: usize| {
                    let (length, out, i) = (from[axis], to[axis], i[axis + 1]);
                    let ratio = length as f64 / out as f64;
                    match mode {
                        ResizeMode::Nearest => ((i as f64 * ratio + 1e-9).floor() as usize, 0, 0.0),
                        ResizeMode::Bilinear => {
                            let at = ((i as f64 + 0.5) * ratio - 0.5).max(0.0);
                            let first = at.floor() as usize;
                            (first, (first + 1).min(length - 1), at - first as f64)
                        }
                    }
                };
                let ((top, bottom, down), (left, right, over)) = (source(0), source(1));
                let at = |iy: usize, ix: usize| f64::from(x.at(&[i[0], iy, ix, i[3]]));
                let above = at(top, left) * (1.0 - over) + at(top, right) * over;
                let below = at(bottom, left) * (1.0 - over) + at(bottom, right) * over;
                (above * (1.0 - down) + below * down) as f32
            });
            for run in MODES {
                let got = outcome(run, &g, &[], &[("x", &x.data)]);
                // Three interpolations, each a rounding or two of values below 2, and a share rounded to f32.
                assert_close(&format!("{mode:?} {from:?} to {to:?}"), &got, &wanted.data, 1e-6);
            }
        }
    }
}

/// Far from zero, too: a variance as a difference of squares would lose everything there.
#[test]
fn group_norm_by_its_definition() {
    let mut rng = seeded(66);
    for (dims, groups, offset) in [([1, 5, 7, 6], 3, 0.0), ([2, 3, 3, 8], 1, 50.0), ([2, 4, 1, 5], 5, -1000.0)] {
        let mut x = Tensor::random(&mut rng, &dims);
        x.data.iter_mut().for_each(|x| *x += offset);
        let (weight, bias) = (Tensor::random(&mut rng, &dims[3..]), Tensor::random(&mut rng, &dims[3..]));
        for silu in [false, true] {
            let g = graph_of(|g| {
                let (x, w, b) = (x.input(g, "x"), weight.input(g, "w"), bias.input(g, "b"));
                let y = nn::group_norm(g, x, w, b, groups, 1e-5)?;
                if silu { nn::silu(g, y) } else { Ok(y) }
            });
            let per_group = dims[3] / groups;
            let wanted = Tensor::from_fn(&dims, |i| {
                let members = || {
                    let first = i[3] / per_group * per_group;
                    let pixels = (0..dims[1]).flat_map(|y| (0..dims[2]).map(move |x| (y, x)));
                    let at = |(iy, ix): (usize, usize), c: usize| f64::from(x.at(&[i[0], iy, ix, c]));
                    pixels.flat_map(move |p| (first..first + per_group).map(move |c| at(p, c)))
                };
                let size = members().count() as f64;
                let mean = members().sum::<f64>() / size;
                let variance = members().map(|x| (x - mean) * (x - mean)).sum::<f64>() / size;
                let normed = (f64::from(x.at(i)) - mean) / (variance + 1e-5).sqrt();
                let y = normed * f64::from(weight.at(&i[3..])) + f64::from(bias.at(&i[3..]));
                (if silu { y / (1.0 + (-y).exp()) } else { y }) as f32
            });
            for mode in MODES {
                let inputs = [("x", &x.data[..]), ("w", &weight.data), ("b", &bias.data)];
                let got = outcome(mode, &g, &[], &inputs);
                // The mean is kept as f32, off by half an ulp of it; the values spread by about 1.
                let tolerance = 3e-6 + offset.abs() * f32::EPSILON;
                let what = format!("{dims:?} in {groups} groups, silu {silu}, {}", mode.name());
                assert_close(&what, &got, &wanted.data, tolerance);
            }
        }
    }
}

// Against candle, whose pictures are [n, c, h, w].

fn candle(dims: &[usize], values: &[f32]) -> Candle {
    Candle::from_slice(values, dims, &Device::Cpu).unwrap()
}

fn nchw(dims: [usize; 4], values: &[f32]) -> Candle {
    candle(&dims, values).permute((0, 3, 1, 2)).unwrap().contiguous().unwrap()
}

fn nhwc(x: &Candle) -> Vec<f32> {
    x.permute((0, 2, 3, 1)).unwrap().contiguous().unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// Sums of at most a few hundred products below 1 in size, in candle's order and in ours.
const CANDLE: f32 = 1e-5;

#[test]
fn candle_convolves_alike() {
    let mut rng = seeded(67);
    for (groups, channels, stride, dilation, padding) in
        [(1, [5, 4], 1, 1, 1), (1, [3, 8], 2, 1, 0), (2, [4, 3], 1, 2, 2), (6, [1, 1], 2, 1, 1)]
    {
        let window = Window { dilation: [dilation; 2], ..Window::square(3, stride, padding) };
        let case = Case { window, groups, x: [2, 9, 11], channels };
        let (x, w) =
            (floats(&mut rng, count(case.x_dims()), -1.0, 1.0), floats(&mut rng, count(case.w_dims()), -1.0, 1.0));
        let theirs =
            nchw(case.x_dims(), &x).conv2d(&nchw(case.w_dims(), &w), padding, stride, dilation, groups).unwrap();
        let g = graph_of(|g| {
            let (x, w) = (g.input("x", case.x_dims(), DType::F32), g.input("w", case.w_dims(), DType::F32));
            g.conv2d(x, w, window, groups)
        });
        for mode in MODES {
            let ours = outcome(mode, &g, &[], &[("x", &x), ("w", &w)]);
            assert_close(&format!("{case:?}"), &ours, &nhwc(&theirs), CANDLE);
        }
    }
}

/// `ConvTranspose2d` has the weight `[in, out, kh, kw]`: the filter of the convolution it is the adjoint of.
#[test]
fn candle_convolves_transposed_alike() {
    let mut rng = seeded(68);
    for (stride, padding, output_padding) in [(1, 0, 0), (2, 1, 0), (2, 1, 1), (3, 0, 2)] {
        let (from, to, y) = (5, 4, [2, 6, 5, 5]);
        let size = [6, 5].map(|n| (n - 1) * stride + 3 + output_padding - 2 * padding);
        let window = Window::square(3, stride, padding);
        let (y_values, w) = (floats(&mut rng, count(y), -1.0, 1.0), floats(&mut rng, from * 9 * to, -1.0, 1.0));
        let theirs = nchw(y, &y_values)
            .conv_transpose2d(&nchw([from, 3, 3, to], &w), padding, output_padding, stride, 1)
            .unwrap();
        let g = graph_of(|g| {
            let (y, w) = (g.input("y", y, DType::F32), g.input("w", [from, 3, 3, to], DType::F32));
            g.conv2d_transposed(y, w, window, 1, size)
        });
        for mode in MODES {
            let ours = outcome(mode, &g, &[], &[("y", &y_values), ("w", &w)]);
            assert_close(&format!("stride {stride}, padding {padding}"), &ours, &nhwc(&theirs), CANDLE);
        }
    }
}

#[test]
fn candle_pools_and_norms_alike() {
    let mut rng = seeded(69);
    let dims = [2, 8, 9, 6];
    let x = floats(&mut rng, count(dims), -2.0, 2.0);
    for (size, stride) in [(2, 2), (3, 2), (3, 1)] {
        let g = graph_of(|g| {
            let x = g.input("x", dims, DType::F32);
            g.max_pool(x, Window::square(size, stride, 0))
        });
        let theirs = nchw(dims, &x).max_pool2d_with_stride(size, stride).unwrap();
        let mean = graph_of(|g| {
            let x = g.input("x", dims, DType::F32);
            nn::average_pool(g, x, Window::square(size, stride, 0))
        });
        let their_mean = nchw(dims, &x).avg_pool2d_with_stride(size, stride).unwrap();
        for mode in MODES {
            assert_eq!(outcome(mode, &g, &[], &[("x", &x)]), nhwc(&theirs));
            assert_close("average_pool", &outcome(mode, &mean, &[], &[("x", &x)]), &nhwc(&their_mean), 1e-6);
        }
    }
    let (weight, bias) = (floats(&mut rng, 6, -2.0, 2.0), floats(&mut rng, 6, -2.0, 2.0));
    let norm = candle_nn::GroupNorm::new(candle(&[6], &weight), candle(&[6], &bias), 6, 2, 1e-6).unwrap();
    let g = graph_of(|g| {
        let (x, w, b) = (g.input("x", dims, DType::F32), g.input("w", [6], DType::F32), g.input("b", [6], DType::F32));
        nn::group_norm(g, x, w, b, 2, 1e-6)
    });
    for mode in MODES {
        let ours = outcome(mode, &g, &[], &[("x", &x), ("w", &weight), ("b", &bias)]);
        assert_close("group_norm", &ours, &nhwc(&norm.forward(&nchw(dims, &x)).unwrap()), 5e-6);
    }
}

/// A result does not depend on where a run was cut, and what is told of its progress only grows, to the end.
#[test]
fn slices_change_nothing_and_are_told() {
    let mut rng = seeded(70);
    let (size, c) = ([1, 96, 80, 48], 48);
    let mut g = Graph::new();
    let x = g.input("x", size, DType::F32);
    let mut y = x;
    for i in 0..6 {
        let w = g.weight(&format!("w{i}"), &[c, 3, 3, c], DType::F32).unwrap();
        let product = g.conv2d(y, w, Window::same(3), 1).unwrap();
        y = g.affine(product, 0.1, 0.0).unwrap();
    }
    g.output("y", y);
    // Cut alike on every machine; slices of convolutions grow with the cores.
    let mut z = g.input("z", [64, 1024], DType::F32);
    let w = g.weight("w", &[1024, 1024], DType::F32).unwrap();
    for _ in 0..3 {
        z = g.linear(z, w).unwrap();
    }
    g.output("z", z);
    let filters: Vec<(String, Vec<u8>)> =
        (0..6).map(|i| (format!("w{i}"), common::le_bytes(&floats(&mut rng, c * 9 * c, -0.3, 0.3)))).collect();
    let z = floats(&mut rng, 64 * 1024, -1.0, 1.0);
    let inputs = [("x", Value::F32(floats(&mut rng, count(size), -1.0, 1.0))), ("z", Value::F32(z))];
    for mode in MODES {
        let cpu = Cpu::new(mode);
        pollster::block_on(async {
            let store = Rc::new(cpu.allocate_weights(&g.weights).unwrap());
            for (name, bytes) in &filters {
                cpu.write_rows(&store, name, 0, bytes).await.unwrap();
            }
            let mut session = cpu.session(Class::Picture);
            let cancel = Cancel::new();
            let plan = session.compile(&g, &store, &cancel).await.unwrap();
            let bindings = Bindings::new(&g, &[]).unwrap();
            let mut first = None;
            // What is left of a slice is carried over, so each run is cut elsewhere.
            for _ in 0..3 {
                let mut told: Vec<(u64, u64)> = Vec::new();
                let mut tell = |done, total| told.push((done, total));
                session.run_reporting(&plan, &bindings, &inputs, &cancel, &mut tell).await.unwrap();
                let total = told[0].1;
                assert!(told.len() > 1 && told.iter().all(|(done, of)| done <= of && *of == total), "{told:?}");
                assert!(told.is_sorted() && told.last() == Some(&(total, total)), "{told:?}");
                let y = session.read(&plan, "y").await.unwrap();
                assert_eq!(*first.get_or_insert(y.clone()), y);
            }
            cancel.cancel();
            assert!(session.run(&plan, &bindings, &inputs, &cancel).await.unwrap_err().is_cancelled());
        });
    }
}

#[test]
fn wrong_shapes_are_refused() {
    type Build = fn(&mut Graph) -> Result<NodeId>;
    let square = Window::same(3);
    assert_eq!(square.positions(0, 5), Some(5));
    fn x(g: &mut Graph, dims: [usize; 4]) -> NodeId {
        g.input("x", dims, DType::F32)
    }
    fn padded(kernel: usize, padding: usize) -> Window {
        Window::square(kernel, 1, padding)
    }
    let cases: [(&str, Build); 20] = [
        ("three axes", |g| {
            let (x, w) = (g.input("x", [5, 5, 3], DType::F32), x(g, [2, 3, 3, 3]));
            g.conv2d(x, w, Window::same(3), 1)
        }),
        ("a symbolic height", |g| {
            let h = Dim::Symbol(g.symbol("h", 9));
            let picture = g.input("x", [1.into(), h, 5.into(), 3.into()], DType::F32);
            let w = x(g, [2, 3, 3, 3]);
            g.conv2d(picture, w, Window::same(3), 1)
        }),
        ("channels", |g| {
            let (a, w) = (x(g, [1, 5, 5, 4]), x(g, [2, 3, 3, 3]));
            g.conv2d(a, w, Window::same(3), 1)
        }),
        ("another kernel", |g| {
            let (a, w) = (x(g, [1, 5, 5, 3]), x(g, [2, 3, 5, 3]));
            g.conv2d(a, w, Window::same(3), 1)
        }),
        ("results not in groups", |g| {
            let (a, w) = (x(g, [1, 5, 5, 4]), x(g, [3, 3, 3, 2]));
            g.conv2d(a, w, Window::same(3), 2)
        }),
        ("no groups", |g| {
            let (a, w) = (x(g, [1, 5, 5, 4]), x(g, [3, 3, 3, 2]));
            g.conv2d(a, w, Window::same(3), 0)
        }),
        ("a window that does not fit", |g| {
            let (a, w) = (x(g, [1, 2, 5, 4]), x(g, [3, 3, 3, 4]));
            g.conv2d(a, w, padded(3, 0), 1)
        }),
        ("a stride of zero", |g| {
            let (a, w) = (x(g, [1, 5, 5, 4]), x(g, [3, 3, 3, 4]));
            g.conv2d(a, w, Window { stride: [1, 0], ..Window::same(3) }, 1)
        }),
        ("a dilation of zero", |g| {
            let (a, w) = (x(g, [1, 5, 5, 4]), x(g, [3, 3, 3, 4]));
            g.conv2d(a, w, Window { dilation: [0, 1], ..Window::same(3) }, 1)
        }),
        ("no channels", |g| {
            let (a, w) = (x(g, [1, 5, 5, 0]), x(g, [3, 3, 3, 0]));
            g.conv2d(a, w, Window::same(3), 1)
        }),
        ("no results", |g| {
            let (a, w) = (x(g, [1, 5, 5, 3]), x(g, [0, 3, 3, 3]));
            g.conv2d(a, w, Window::same(3), 1)
        }),
        ("transposed to another size", |g| {
            let (y, w) = (x(g, [1, 5, 5, 2]), x(g, [2, 3, 3, 4]));
            g.conv2d_transposed(y, w, Window::same(3), 1, [5, 6])
        }),
        ("transposed from other channels", |g| {
            let (y, w) = (x(g, [1, 5, 5, 3]), x(g, [2, 3, 3, 4]));
            g.conv2d_transposed(y, w, Window::same(3), 1, [5, 5])
        }),
        ("transposed with a stride of zero", |g| {
            let (y, w) = (x(g, [1, 5, 5, 2]), x(g, [2, 3, 3, 4]));
            g.conv2d_transposed(y, w, Window { stride: [0, 1], ..Window::same(3) }, 1, [5, 5])
        }),
        ("a filter of other pictures", |g| {
            let (a, y) = (x(g, [1, 5, 5, 3]), x(g, [2, 5, 5, 4]));
            g.conv2d_filter(a, y, Window::same(3), 1)
        }),
        ("a filter in uneven groups", |g| {
            let (a, y) = (x(g, [1, 5, 5, 3]), x(g, [1, 5, 5, 4]));
            g.conv2d_filter(a, y, Window::same(3), 2)
        }),
        ("a filter without a kernel", |g| {
            let (a, y) = (x(g, [1, 5, 5, 3]), x(g, [1, 5, 5, 4]));
            g.conv2d_filter(a, y, Window { dilation: [0, 1], ..Window::same(3) }, 1)
        }),
        ("a pool that is all padding", |g| {
            let a = x(g, [1, 5, 5, 3]);
            g.max_pool(a, padded(2, 2))
        }),
        ("a dilated pool", |g| {
            let a = x(g, [1, 5, 5, 3]);
            g.max_pool(a, Window { dilation: [2, 1], ..Window::same(3) })
        }),
        ("to nothing", |g| {
            let a = x(g, [1, 5, 5, 3]);
            g.resize(a, ResizeMode::Nearest, [0, 4])
        }),
    ];
    for (what, build) in cases {
        let error = build(&mut Graph::new()).err().unwrap_or_else(|| panic!("{what} was taken"));
        assert_eq!(error.code, "graph.shape", "{what}: {error}");
    }
    for (what, dims, groups) in
        [("uneven groups", [1, 4, 4, 6], 4), ("no groups", [1, 4, 4, 6], 0), ("empty", [1, 0, 4, 6], 2)]
    {
        let mut g = Graph::new();
        let (x, row) = (x(&mut g, dims), g.input("row", [6], DType::F32));
        let error = nn::group_norm(&mut g, x, row, row, groups, 1e-5).unwrap_err();
        assert_eq!(error.code, "graph.shape", "{what}: {error}");
    }
    // Ids are no pictures.
    let mut g = Graph::new();
    let (ids, w) = (g.input("ids", [1, 5, 5, 3], DType::U32), g.input("w", [2, 3, 3, 3], DType::F32));
    assert_eq!(g.conv2d(ids, w, square, 1).unwrap_err().code, "graph.dtype");
}
