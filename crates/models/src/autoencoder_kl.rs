//! AutoencoderKL: Rombach et al. 2022, "High-Resolution Image Synthesis with Latent Diffusion Models", arXiv 2112.10752.
//!
//! The autoencoder of Stable Diffusion, a variational one (Kingma and Welling 2013, "Auto-Encoding Variational Bayes",
//! arXiv 1312.6114): the encoder gives mean and log variance of the latents. The mean is taken, times `scaling_factor`,
//! which brings the latents to about unit variance: the units in which a UNet sees them.
//!
//! - Residual blocks: group norm (Wu and He 2018, arXiv 1803.08494), SiLU, 3 × 3 convolution, twice; a 1 × 1 convolution
//!   on the way around where the width changes.
//! - In the middle, two of them and between them attention of one head over all pixels (Vaswani et al. 2017).
//! - Halving is a convolution of stride 2 over a picture padded by one below and at the right; doubling repeats pixels
//!   before a convolution.
//! - `quant_conv` after the encoder and `post_quant_conv` before the decoder are 1 × 1.
//!
//! Weights carry the names of diffusers' `AutoencoderKL`.

use lantern_graph::{Attention, DType, Error, Graph, Index, Mask, NodeId, ResizeMode, Result, Window};

use crate::{Parameters, nn};

/// Of every group norm.
const EPS: f32 = 1e-6;

/// The numbers that make one AutoencoderKL differ from another.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Widths from the picture inwards; between two of them the picture is halved.
    pub block_channels: Vec<usize>,
    /// Residual blocks per width in the encoder; the decoder has one more.
    pub layers_per_block: usize,
    pub latent_channels: usize,
    /// Of the group norms; divides every width.
    pub groups: usize,
    /// Latents in a UNet's units are the mean times this.
    pub scaling_factor: f32,
    /// `quant_conv` and `post_quant_conv` are there.
    pub quant_conv: bool,
    pub post_quant_conv: bool,
}

/// Stable Diffusion 1 and 2. XL has the same shapes and [`SDXL_SCALING_FACTOR`].
impl Default for Config {
    fn default() -> Self {
        Self {
            block_channels: vec![128, 256, 512, 512],
            layers_per_block: 2,
            latent_channels: 4,
            groups: 32,
            scaling_factor: SD_SCALING_FACTOR,
            quant_conv: true,
            post_quant_conv: true,
        }
    }
}

pub const SD_SCALING_FACTOR: f32 = 0.18215;
pub const SDXL_SCALING_FACTOR: f32 = 0.13025;

impl Config {
    /// # Errors
    /// `autoencoder_kl.config` naming the number that cannot be.
    pub fn validate(&self) -> Result<()> {
        let bad = |cause: String| {
            let remedy = "use the autoencoder of Stable Diffusion 1, 2 or XL, or one built like it";
            Err(Error::new("autoencoder_kl.config", cause, remedy))
        };
        let sizes = [
            ("number of widths", self.block_channels.len(), 8),
            ("number of residual blocks per width", self.layers_per_block, 64),
            ("number of latents", self.latent_channels, 256),
            ("number of groups", self.groups, 4096),
        ];
        if let Some((name, size, most)) = sizes.iter().find(|(_, size, most)| *size == 0 || size > most) {
            return bad(format!("the {name} is {size}, outside 1 to {most}"));
        }
        let fits = |width: &&usize| **width == 0 || **width > 1 << 14 || !width.is_multiple_of(self.groups);
        if let Some(width) = self.block_channels.iter().find(fits) {
            return bad(format!(
                "{width} channels are not {} groups of at most {}",
                self.groups,
                (1 << 14) / self.groups
            ));
        }
        if !(self.scaling_factor.is_finite() && self.scaling_factor > 0.0) {
            return bad(format!("the scaling factor is {}", self.scaling_factor));
        }
        Ok(())
    }

    /// Pixels of a picture's side for one of the latents'.
    pub fn downscale(&self) -> usize {
        1 << (self.block_channels.len().max(1) - 1)
    }

    /// Elements of the largest tensor between two operations, for a picture of so many pixels.
    pub fn largest_tensor(&self, pixels: u64) -> u64 {
        // The decoder doubles the picture at the width of the smaller one.
        let halved = (0u32..).zip(&self.block_channels).flat_map(|(depth, width)| {
            let at = |depth: u32| (pixels >> (2 * depth)).saturating_mul(*width as u64);
            [at(depth), at(depth.saturating_sub(1))]
        });
        halved.chain([pixels.saturating_mul(3)]).max().unwrap_or(0)
    }

    fn inner_channels(&self) -> usize {
        self.block_channels.last().copied().unwrap_or(0)
    }
}

/// Picture to latents. Input `picture` `[1, h, w, 3]`, 0 to 1, both sides multiples of `downscale`; output `latents`
/// `[1, h / downscale, w / downscale, latent_channels]` in a UNet's units.
///
/// # Errors
/// `autoencoder_kl.config`; `graph.shape` for sizes that are 0 or no multiples.
pub fn encoder(config: &Config, params: &Parameters, [h, w]: [usize; 2]) -> Result<Graph> {
    config.validate()?;
    nn::whole_latents("autoencoder_kl", config.downscale(), [h, w])?;
    let mut g = Graph::new();
    let net = Net { config, params };
    g.scope("encoder.conv_in");
    let picture = g.input("picture", [1, h, w, 3], DType::F32);
    let centred = g.affine(picture, 2.0, -1.0)?;
    let mut x = net.conv(&mut g, centred, "encoder.conv_in", config.block_channels[0], Window::same(3))?;
    for (i, width) in config.block_channels.iter().enumerate() {
        let block = format!("encoder.down_blocks.{i}");
        for layer in 0..config.layers_per_block {
            x = net.residual(&mut g, x, &format!("{block}.resnets.{layer}"), *width)?;
        }
        if i + 1 < config.block_channels.len() {
            let name = format!("{block}.downsamplers.0.conv");
            g.scope(&name);
            let window = Window { padding: [[0, 1]; 2], ..Window::square(3, 2, 0) };
            x = net.conv(&mut g, x, &name, *width, window)?;
        }
    }
    x = net.middle(&mut g, x, "encoder.mid_block")?;
    g.scope("encoder.conv_out");
    x = net.norm_silu(&mut g, x, "encoder.conv_norm_out")?;
    x = net.conv(&mut g, x, "encoder.conv_out", 2 * config.latent_channels, Window::same(3))?;
    if config.quant_conv {
        g.scope("quant_conv");
        x = net.conv(&mut g, x, "quant_conv", 2 * config.latent_channels, Window::same(1))?;
    }
    let mean = g.slice(x, 3, Index::Fixed(0), config.latent_channels)?;
    let latents = g.affine(mean, config.scaling_factor, 0.0)?;
    g.output("latents", latents);
    Ok(g)
}

/// Latents to picture. Input `latents` `[1, h, w, latent_channels]` in a UNet's units; output `picture`
/// `[1, downscale · h, downscale · w, 3]`, about 0 to 1.
///
/// # Errors
/// As [`encoder`].
pub fn decoder(config: &Config, params: &Parameters, [h, w]: [usize; 2]) -> Result<Graph> {
    config.validate()?;
    nn::whole_latents("autoencoder_kl", 1, [h, w])?;
    let mut g = Graph::new();
    let net = Net { config, params };
    g.scope("decoder.conv_in");
    let latents = g.input("latents", [1, h, w, config.latent_channels], DType::F32);
    let mut x = g.affine(latents, 1.0 / config.scaling_factor, 0.0)?;
    if config.post_quant_conv {
        x = net.conv(&mut g, x, "post_quant_conv", config.latent_channels, Window::same(1))?;
    }
    x = net.conv(&mut g, x, "decoder.conv_in", config.inner_channels(), Window::same(3))?;
    x = net.middle(&mut g, x, "decoder.mid_block")?;
    let (mut h, mut w) = (h, w);
    for (i, width) in config.block_channels.iter().rev().enumerate() {
        let block = format!("decoder.up_blocks.{i}");
        for layer in 0..=config.layers_per_block {
            x = net.residual(&mut g, x, &format!("{block}.resnets.{layer}"), *width)?;
        }
        if i + 1 < config.block_channels.len() {
            let name = format!("{block}.upsamplers.0.conv");
            g.scope(&name);
            (h, w) = (2 * h, 2 * w);
            x = g.resize(x, ResizeMode::Nearest, [h, w])?;
            x = net.conv(&mut g, x, &name, *width, Window::same(3))?;
        }
    }
    g.scope("decoder.conv_out");
    x = net.norm_silu(&mut g, x, "decoder.conv_norm_out")?;
    x = net.conv(&mut g, x, "decoder.conv_out", 3, Window::same(3))?;
    let picture = g.affine(x, 0.5, 0.5)?;
    g.output("picture", picture);
    Ok(g)
}

struct Net<'a> {
    config: &'a Config,
    params: &'a Parameters<'a>,
}

impl Net<'_> {
    fn conv(&self, g: &mut Graph, x: NodeId, name: &str, out: usize, window: Window) -> Result<NodeId> {
        nn::conv(g, self.params, x, name, out, window, true)
    }

    fn norm(&self, g: &mut Graph, x: NodeId, name: &str) -> Result<NodeId> {
        let channels = g.shape(x).back(0).bound(g);
        let weight = self.params.vector(g, &format!("{name}.weight"), channels)?;
        let bias = self.params.vector(g, &format!("{name}.bias"), channels)?;
        nn::group_norm(g, x, weight, bias, self.config.groups, EPS)
    }

    fn norm_silu(&self, g: &mut Graph, x: NodeId, name: &str) -> Result<NodeId> {
        let normed = self.norm(g, x, name)?;
        nn::silu(g, normed)
    }

    /// `[1, h, w, in]` → `[1, h, w, out]`.
    fn residual(&self, g: &mut Graph, x: NodeId, name: &str, out: usize) -> Result<NodeId> {
        g.scope(name);
        let width = g.shape(x).back(0).bound(g);
        let y = self.norm_silu(g, x, &format!("{name}.norm1"))?;
        let y = self.conv(g, y, &format!("{name}.conv1"), out, Window::same(3))?;
        let y = self.norm_silu(g, y, &format!("{name}.norm2"))?;
        let y = self.conv(g, y, &format!("{name}.conv2"), out, Window::same(3))?;
        let around =
            if width == out { x } else { self.conv(g, x, &format!("{name}.conv_shortcut"), out, Window::same(1))? };
        g.add(y, around)
    }

    fn middle(&self, g: &mut Graph, x: NodeId, name: &str) -> Result<NodeId> {
        let width = self.config.inner_channels();
        let x = self.residual(g, x, &format!("{name}.resnets.0"), width)?;
        let x = self.attention(g, x, &format!("{name}.attentions.0"))?;
        self.residual(g, x, &format!("{name}.resnets.1"), width)
    }

    /// x plus one head of attention over its pixels, all of them seeing all.
    fn attention(&self, g: &mut Graph, x: NodeId, name: &str) -> Result<NodeId> {
        g.scope(name);
        let shape = g.shape(x).clone();
        let (pixels, channels) = (shape.back(2).bound(g) * shape.back(1).bound(g), shape.back(0).bound(g));
        let normed = self.norm(g, x, &format!("{name}.group_norm"))?;
        let rows = g.reshape(normed, [pixels, channels])?;
        let linear = |g: &mut Graph, x: NodeId, part: &str| {
            nn::linear(g, self.params, x, &format!("{name}.{part}"), channels, true)
        };
        let (q, k, v) = (linear(g, rows, "to_q")?, linear(g, rows, "to_k")?, linear(g, rows, "to_v")?);
        let attention = Attention { scale: 1.0 / (channels as f32).sqrt(), mask: Mask::None };
        let (q, k, v) = (
            g.reshape(q, [pixels, 1, 1, channels])?,
            g.reshape(k, [pixels, 1, channels])?,
            g.reshape(v, [pixels, 1, channels])?,
        );
        let mixed = g.attention(q, k, v, &attention)?;
        let mixed = g.reshape(mixed, [pixels, channels])?;
        let out = linear(g, mixed, "to_out.0")?;
        let around = g.reshape(x, [pixels, channels])?;
        let sum = g.add(out, around)?;
        g.reshape(sum, shape)
    }
}
