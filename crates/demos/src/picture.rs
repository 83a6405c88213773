//! Pictures on the host: what demos take in and give back.

use lantern_graph::{Error, Result};

/// Rows from the top, `[height, width, 3]`: red, green, blue in sRGB's own curve, 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    pub width: usize,
    pub height: usize,
    pub rgb: Vec<f32>,
}

impl Picture {
    /// # Errors
    /// `picture.empty` without pixels, `picture.size` when `rgb` holds another number of values.
    pub fn new(width: usize, height: usize, rgb: Vec<f32>) -> Result<Self> {
        check(width, height, rgb.len(), 3)?;
        Ok(Self { width, height, rgb })
    }

    /// From bytes as canvases and decoders have them: red, green, blue and alpha (not premultiplied). What is transparent
    /// lies over white.
    ///
    /// # Errors
    /// As [`Picture::new`].
    pub fn from_rgba8(width: usize, height: usize, rgba: &[u8]) -> Result<Self> {
        check(width, height, rgba.len(), 4)?;
        let over_white = |pixel: &[u8; 4]| {
            let alpha = f32::from(pixel[3]) / 255.0;
            [0, 1, 2].map(|i| f32::from(pixel[i]) / 255.0 * alpha + (1.0 - alpha))
        };
        Ok(Self { width, height, rgb: rgba.as_chunks::<4>().0.iter().flat_map(over_white).collect() })
    }

    /// Rounded to bytes, wholly opaque; what lies outside 0 to 1 is brought to its edge.
    pub fn to_rgba8(&self) -> Vec<u8> {
        let byte = |v: f32| (v.clamp(0.0, 1.0) * 255.0).round() as u8;
        self.rgb.as_chunks::<3>().0.iter().flat_map(|[r, g, b]| [byte(*r), byte(*g), byte(*b), 255]).collect()
    }

    /// Peak signal-to-noise ratio in dB: `-10 · log10(mean squared difference)`. Infinite for equal pictures.
    ///
    /// # Errors
    /// `picture.size` for pictures of different sizes.
    pub fn psnr_db(&self, other: &Picture) -> Result<f64> {
        if (self.width, self.height) != (other.width, other.height) {
            return Err(Error::new(
                "picture.size",
                format!("{} × {} and {} × {} pixels", self.width, self.height, other.width, other.height),
                "compare pictures of one size",
            ));
        }
        let squares: f64 = self.rgb.iter().zip(&other.rgb).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
        Ok(-10.0 * (squares / self.rgb.len() as f64).log10())
    }

    /// To whole multiples of `side`, right and below, by repeating the last column and row.
    pub fn padded(&self, side: usize) -> Picture {
        let (width, height) = (self.width.next_multiple_of(side), self.height.next_multiple_of(side));
        self.pick(width, height)
    }

    /// The upper left part; no larger than the picture is.
    pub fn cropped(&self, width: usize, height: usize) -> Picture {
        self.pick(width.min(self.width), height.min(self.height))
    }

    /// Pixels outside are those at the edge.
    fn pick(&self, width: usize, height: usize) -> Picture {
        let mut rgb = Vec::with_capacity(3 * width * height);
        for y in 0..height {
            let row = &self.rgb[3 * self.width * y.min(self.height - 1)..][..3 * self.width];
            rgb.extend_from_slice(&row[..3 * width.min(self.width)]);
            for _ in self.width..width {
                rgb.extend_from_slice(&row[row.len() - 3..]);
            }
        }
        Picture { width, height, rgb }
    }
}

fn check(width: usize, height: usize, values: usize, channels: usize) -> Result<()> {
    if width == 0 || height == 0 {
        return Err(Error::new(
            "picture.empty",
            format!("the picture has {width} × {height} pixels"),
            "choose one with pixels in it",
        ));
    }
    if width.checked_mul(height).and_then(|n| n.checked_mul(channels)) == Some(values) {
        return Ok(());
    }
    Err(Error::new(
        "picture.size",
        format!("{values} values for {width} × {height} pixels of {channels} channels"),
        "choose another picture; this one contradicts itself",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient(width: usize, height: usize) -> Picture {
        let rgb = (0..width * height * 3).map(|i| (i % 251) as f32 / 251.0).collect();
        Picture::new(width, height, rgb).unwrap()
    }

    #[test]
    fn padding_repeats_the_edge_and_cropping_takes_it_away() {
        let picture = gradient(5, 3);
        let padded = picture.padded(8);
        assert_eq!((padded.width, padded.height), (8, 8));
        let pixel = |p: &Picture, x: usize, y: usize| p.rgb[3 * (y * p.width + x)..][..3].to_vec();
        assert_eq!(pixel(&padded, 7, 7), pixel(&picture, 4, 2));
        assert_eq!(pixel(&padded, 1, 6), pixel(&picture, 1, 2));
        assert_eq!(pixel(&padded, 6, 1), pixel(&picture, 4, 1));
        assert_eq!(padded.cropped(5, 3), picture);
        assert_eq!(gradient(16, 8).padded(8), gradient(16, 8));
    }

    #[test]
    fn bytes_come_back_and_what_is_transparent_is_white() {
        let rgba: Vec<u8> = (0..=255).flat_map(|v| [v, 255 - v, v / 2, 255]).collect();
        assert_eq!(Picture::from_rgba8(16, 16, &rgba).unwrap().to_rgba8(), rgba);
        let glass = Picture::from_rgba8(2, 1, &[0, 0, 0, 0, 255, 0, 0, 51]).unwrap();
        assert_eq!(glass.to_rgba8(), [255, 255, 255, 255, 255, 204, 204, 255]);
    }

    #[test]
    fn noise_is_measured_against_full_scale() {
        let (a, mut b) = (gradient(4, 4), gradient(4, 4));
        assert_eq!(a.psnr_db(&b).unwrap(), f64::INFINITY);
        b.rgb.iter_mut().for_each(|v| *v += 0.1);
        assert!((a.psnr_db(&b).unwrap() - 20.0).abs() < 1e-4);
        assert_eq!(a.psnr_db(&gradient(4, 5)).unwrap_err().code, "picture.size");
    }

    #[test]
    fn pictures_without_pixels_or_with_too_few_values_are_refused() {
        assert_eq!(Picture::from_rgba8(0, 7, &[]).unwrap_err().code, "picture.empty");
        assert_eq!(Picture::from_rgba8(2, 2, &[0; 15]).unwrap_err().code, "picture.size");
        assert_eq!(Picture::new(usize::MAX, 2, vec![0.0; 3]).unwrap_err().code, "picture.size");
    }
}
