//! TAESD: Ollin Boer Bohan 2023, "Tiny AutoEncoder for Stable Diffusion", github.com/madebyollin/taesd (taesd.py).
//!
//! A small stand-in for Stable Diffusion's autoencoder, distilled from it: the same latents, at a hundredth of the work.
//! Every convolution is 3 × 3 and as wide as the others. A block adds three of them to its input:
//! `relu(conv(relu(conv(relu(conv(x))))) + x)`. The encoder halves the picture `STAGES` times by convolutions of stride 2,
//! the decoder doubles it by repeating pixels (nearest) before a convolution; these six have no bias. Latents are bounded
//! by `3 · tanh(x / 3)` on their way in. Pictures are 0 to 1 on both sides, without any scaling of the latents.
//!
//! Weights carry the numbers that taesd.py's `nn.Sequential`s give them: `encoder.1.conv.0.weight` for the first
//! convolution of the encoder's first block. Layers without weights (ReLU, Upsample, Clamp) count.

use lantern_graph::{DType, Error, Graph, NodeId, ResizeMode, Result, Unary, Window};

use crate::{Parameters, nn};

/// Halvings from picture to latents: a latent pixel stands for 8 × 8.
pub const STAGES: usize = 3;
/// Blocks after each halving and before each doubling.
const BLOCKS: usize = 3;

/// The numbers that make one TAESD differ from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Width of every convolution: 64.
    pub channels: usize,
    /// 4 for Stable Diffusion 1, 2 and XL.
    pub latent_channels: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { channels: 64, latent_channels: 4 }
    }
}

impl Config {
    /// # Errors
    /// `taesd.config` naming the number that cannot be.
    pub fn validate(&self) -> Result<()> {
        for (name, size, most) in [("width", self.channels, 4096), ("number of latents", self.latent_channels, 256)] {
            if size == 0 || size > most {
                return Err(Error::new(
                    "taesd.config",
                    format!("the {name} is {size}, outside 1 to {most}"),
                    "use TAESD's encoder and decoder as their author published them",
                ));
            }
        }
        Ok(())
    }

    /// Pixels of a picture's side for one of the latents'.
    pub fn downscale(&self) -> usize {
        1 << STAGES
    }

    /// Elements of the largest tensor between two operations, for a picture of so many pixels.
    pub fn largest_tensor(&self, pixels: u64) -> u64 {
        pixels.saturating_mul(self.channels.max(3) as u64)
    }
}

/// Picture to latents. Input `picture` `[1, h, w, 3]`, 0 to 1, both sides multiples of 8; output `latents`
/// `[1, h / 8, w / 8, latent_channels]`.
///
/// # Errors
/// `taesd.config`; `graph.shape` for sizes that are 0 or no multiples.
pub fn encoder(config: &Config, params: &Parameters, [h, w]: [usize; 2]) -> Result<Graph> {
    config.validate()?;
    nn::whole_latents("taesd", config.downscale(), [h, w])?;
    let mut g = Graph::new();
    let x = g.input("picture", [1, h, w, 3], DType::F32);
    let mut net = Net { config, params, side: "encoder", layer: 0 };
    let mut x = net.conv(&mut g, x, config.channels, 1, true)?;
    x = net.block(&mut g, x)?;
    for _ in 0..STAGES {
        x = net.conv(&mut g, x, config.channels, 2, false)?;
        for _ in 0..BLOCKS {
            x = net.block(&mut g, x)?;
        }
    }
    let latents = net.conv(&mut g, x, config.latent_channels, 1, true)?;
    g.output("latents", latents);
    Ok(g)
}

/// Latents to picture. Input `latents` `[1, h, w, latent_channels]`; output `picture` `[1, 8 h, 8 w, 3]`, about 0 to 1.
///
/// # Errors
/// As [`encoder`].
pub fn decoder(config: &Config, params: &Parameters, [h, w]: [usize; 2]) -> Result<Graph> {
    config.validate()?;
    nn::whole_latents("taesd", 1, [h, w])?;
    let mut g = Graph::new();
    let latents = g.input("latents", [1, h, w, config.latent_channels], DType::F32);
    let mut net = Net { config, params, side: "decoder", layer: 1 };
    g.scope("decoder.0");
    let third = g.affine(latents, 1.0 / 3.0, 0.0)?;
    let bounded = g.unary(Unary::Tanh, third)?;
    let x = g.affine(bounded, 3.0, 0.0)?;
    let x = net.conv(&mut g, x, config.channels, 1, true)?;
    let mut x = net.relu(&mut g, x)?;
    let (mut h, mut w) = (h, w);
    for _ in 0..STAGES {
        for _ in 0..BLOCKS {
            x = net.block(&mut g, x)?;
        }
        (h, w) = (2 * h, 2 * w);
        net.layer += 1;
        x = g.resize(x, ResizeMode::Nearest, [h, w])?;
        x = net.conv(&mut g, x, config.channels, 1, false)?;
    }
    x = net.block(&mut g, x)?;
    let picture = net.conv(&mut g, x, 3, 1, true)?;
    g.output("picture", picture);
    Ok(g)
}

/// Where the next layer stands in its `nn.Sequential`.
struct Net<'a> {
    config: &'a Config,
    params: &'a Parameters<'a>,
    side: &'static str,
    layer: usize,
}

impl Net<'_> {
    /// 3 × 3, padded by 1.
    fn conv(&mut self, g: &mut Graph, x: NodeId, out: usize, stride: usize, bias: bool) -> Result<NodeId> {
        let name = format!("{}.{}", self.side, self.layer);
        g.scope(&name);
        self.layer += 1;
        nn::conv(g, self.params, x, &name, out, Window::square(3, stride, 1), bias)
    }

    fn block(&mut self, g: &mut Graph, x: NodeId) -> Result<NodeId> {
        let name = format!("{}.{}", self.side, self.layer);
        g.scope(&name);
        self.layer += 1;
        let mut y = x;
        // 1 and 3 are the ReLUs between.
        for i in [0, 2, 4] {
            let name = format!("{name}.conv.{i}");
            y = nn::conv(g, self.params, y, &name, self.config.channels, Window::same(3), true)?;
            if i < 4 {
                y = g.unary(Unary::Relu, y)?;
            }
        }
        let sum = g.add(y, x)?;
        g.unary(Unary::Relu, sum)
    }

    fn relu(&mut self, g: &mut Graph, x: NodeId) -> Result<NodeId> {
        self.layer += 1;
        g.unary(Unary::Relu, x)
    }
}
