//! What is between the two halves.

use lantern_graph::{Error, Result};

/// A small picture of four planes, `[height, width, 4]`, in the units that a UNet sees.
#[derive(Debug, Clone, PartialEq)]
pub struct Latents {
    pub width: usize,
    pub height: usize,
    pub values: Vec<f32>,
    /// Width and height of the picture it was, or is to be: up to 8 pixels for each of these, fewer at the edge.
    pub picture: [usize; 2],
}

impl Latents {
    pub const CHANNELS: usize = 4;

    /// One of the four, `[height, width]`; without elements for any other.
    pub fn plane(&self, i: usize) -> Vec<f32> {
        self.values.as_chunks::<{ Self::CHANNELS }>().0.iter().filter_map(|pixel| pixel.get(i).copied()).collect()
    }

    /// Each plane times its factor.
    pub fn scaled(&self, factors: &[f32; Self::CHANNELS]) -> Latents {
        let mut scaled = self.clone();
        for pixel in scaled.values.as_chunks_mut::<{ Self::CHANNELS }>().0 {
            pixel.iter_mut().zip(factors).for_each(|(value, factor)| *value *= factor);
        }
        scaled
    }

    /// # Errors
    /// `autoencoder.latents` when the sizes contradict each other or a value is no number.
    pub(super) fn check(&self, downscale: usize) -> Result<()> {
        let wrong = |cause: String| {
            Err(Error::new("autoencoder.latents", cause, "encode a picture again, and scale by finite numbers"))
        };
        let count = self.width.checked_mul(self.height).and_then(|n| n.checked_mul(Self::CHANNELS));
        if count != Some(self.values.len()) || self.values.is_empty() {
            return wrong(format!("{} values for {} × {} latents", self.values.len(), self.width, self.height));
        }
        let [width, height] = self.picture;
        if (width.div_ceil(downscale), height.div_ceil(downscale)) != (self.width, self.height) {
            return wrong(format!("{} × {} latents for {width} × {height} pixels", self.width, self.height));
        }
        if let Some(at) = self.values.iter().position(|v| !v.is_finite()) {
            return wrong(format!("value {at} is {}", self.values[at]));
        }
        Ok(())
    }
}
