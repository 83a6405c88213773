//! A stack of convolutions as data: what `bench conv` gives to every engine it compares.
//!
//! The numbers in it come from its seed and nothing else, so each engine makes or receives the same ones. `cargo xtask`
//! reads this file by its path, to stay free of the engine: nothing here uses more than serde.

use serde::{Deserialize, Serialize};

/// Layers, each a convolution and what is fused around it. Heights, widths and channels of one picture; f32 throughout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stack {
    /// Also a file's name.
    pub name: String,
    /// Which part of which network has these shapes.
    pub about: String,
    pub seed: u64,
    /// Height, width, channels.
    pub input: [usize; 3],
    pub layers: Vec<Layer>,
}

/// `activation(conv(upsample(silu(group_norm(x)))) + bias + residual)`. The padding is `kernel / 2` on every side.
///
/// Values are counted: 0 is the stack's input, n the result of the nth layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// The value it reads; the one before it when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<usize>,
    /// Groups of a group norm, with SiLU after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_norm: Option<usize>,
    /// How many times larger, by the nearest neighbour, the convolution sees it.
    #[serde(default = "one")]
    pub upsample: usize,
    pub out: usize,
    pub kernel: usize,
    #[serde(default = "one")]
    pub stride: usize,
    #[serde(default = "one")]
    pub groups: usize,
    /// A value of the result's shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub residual: Option<usize>,
    #[serde(default)]
    pub activation: Activation,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    #[default]
    None,
    Relu,
    Silu,
}

fn one() -> usize {
    1
}

/// Added to the variance of a group norm.
pub const EPS: f32 = 1e-5;

/// Weights of one kind: filters `[out, kernel, kernel, in / groups]`, all else `[channels]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    pub name: String,
    pub shape: Vec<usize>,
    mean: f32,
    spread: f32,
    stream: u64,
}

/// What a filter, a bias and the norm's two are called, layers counted from 1.
pub fn filter_name(layer: usize) -> String {
    format!("{layer}.conv.weight")
}

pub fn bias_name(layer: usize) -> String {
    format!("{layer}.conv.bias")
}

pub fn norm_names(layer: usize) -> [String; 2] {
    [format!("{layer}.norm.weight"), format!("{layer}.norm.bias")]
}

impl Stack {
    /// Height, width and channels of every value, the input first.
    ///
    /// # Errors
    /// What does not fit together, in words.
    pub fn shapes(&self) -> Result<Vec<[usize; 3]>, String> {
        let mut shapes = vec![self.input];
        if self.input.contains(&0) || self.layers.is_empty() {
            return Err(format!("{} has no picture or no layers", self.name));
        }
        for (before, layer) in self.layers.iter().enumerate() {
            let wrong = |what: &str| Err(format!("layer {} of {}: {what}", before + 1, self.name));
            let Some(&[h, w, c]) = shapes.get(layer.from.unwrap_or(before)) else {
                return wrong("it reads a value that is not there yet");
            };
            let Layer { upsample, out, kernel, stride, groups, .. } = *layer;
            if [upsample, out, kernel, stride, groups].contains(&0) || kernel % 2 == 0 {
                return wrong("sizes start at 1, and kernels are odd");
            }
            if c % groups != 0 || out % groups != 0 {
                return wrong("the groups do not divide the channels");
            }
            if layer.group_norm.is_some_and(|groups| groups == 0 || c % groups != 0) {
                return wrong("the norm's groups do not divide the channels");
            }
            let side = |n: usize| (n * upsample - 1) / stride + 1;
            let shape = [side(h), side(w), out];
            if layer.residual.is_some_and(|value| shapes.get(value) != Some(&shape)) {
                return wrong("the residual is not there yet, or of another shape");
            }
            shapes.push(shape);
        }
        Ok(shapes)
    }

    /// The channels that each layer reads.
    ///
    /// # Errors
    /// As `shapes`.
    pub fn channels_in(&self) -> Result<Vec<usize>, String> {
        let shapes = self.shapes()?;
        Ok(self.layers.iter().enumerate().map(|(before, layer)| shapes[layer.from.unwrap_or(before)][2]).collect())
    }

    /// Every parameter. Filters keep the spread of what passes through them (He et al. 2015, arXiv 1502.01852).
    ///
    /// # Errors
    /// As `shapes`.
    pub fn parameters(&self) -> Result<Vec<Parameter>, String> {
        let mut parameters: Vec<Parameter> = Vec::new();
        let mut add = |name: String, shape: Vec<usize>, mean: f32, spread: f32| {
            // Stream 0 is the input's.
            let stream = parameters.len() as u64 + 1;
            parameters.push(Parameter { name, shape, mean, spread, stream });
        };
        for (before, (layer, channels)) in self.layers.iter().zip(self.channels_in()?).enumerate() {
            let number = before + 1;
            if layer.group_norm.is_some() {
                let [weight, bias] = norm_names(number);
                add(weight, vec![channels], 1.0, 0.25);
                add(bias, vec![channels], 0.0, 0.25);
            }
            let each = channels / layer.groups;
            let fan_in = layer.kernel * layer.kernel * each;
            let filter = vec![layer.out, layer.kernel, layer.kernel, each];
            add(filter_name(number), filter, 0.0, (6.0 / fan_in as f32).sqrt());
            add(bias_name(number), vec![layer.out], 0.0, 0.25);
        }
        Ok(parameters)
    }

    /// The values of one parameter, row-major.
    pub fn values(&self, parameter: &Parameter) -> Vec<f32> {
        let Parameter { mean, spread, .. } = *parameter;
        let count = parameter.shape.iter().product();
        uniform(self.seed, parameter.stream).take(count).map(|x| mean + spread * x).collect()
    }

    /// The picture, `[height, width, channels]`: even between -1 and 1.
    pub fn picture(&self) -> Vec<f32> {
        uniform(self.seed, 0).take(self.input.iter().product()).collect()
    }

    /// Multiplications and additions of the convolutions. Norms, activations and sums are not counted.
    ///
    /// # Errors
    /// As `shapes`.
    pub fn flops(&self) -> Result<u64, String> {
        let (shapes, channels) = (self.shapes()?, self.channels_in()?);
        let layers = self.layers.iter().zip(&shapes[1..]).zip(channels);
        Ok(layers
            .map(|((layer, [h, w, out]), channels)| {
                2 * (h * w * out * layer.kernel * layer.kernel * channels / layer.groups) as u64
            })
            .sum())
    }

    /// Bytes that must be read or written at least once: the weights, the picture, and what every layer gives.
    ///
    /// # Errors
    /// As `shapes`.
    pub fn working_set_bytes(&self) -> Result<u64, String> {
        let weights: usize = self.parameters()?.iter().map(|p| p.shape.iter().product::<usize>()).sum();
        let values: usize = self.shapes()?.iter().map(|shape| shape.iter().product::<usize>()).sum();
        Ok((weights + values) as u64 * 4)
    }
}

/// Even between -1 and 1, 24 bits each: splitmix64 (Steele, Lea and Flood 2014), whose streams start far apart.
fn uniform(seed: u64, stream: u64) -> impl Iterator<Item = f32> {
    let mut state = mix(seed.wrapping_add(mix(stream.wrapping_add(GOLDEN))));
    std::iter::repeat_with(move || {
        state = state.wrapping_add(GOLDEN);
        (mix(state) >> 40) as f32 / (1 << 23) as f32 - 1.0
    })
}

/// What splitmix64 counts by.
pub const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// What it makes of each count.
pub fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
