//! Pictures brighter than a page (ITU-R BT.2100: PQ and HLG), brought into what sRGB can show.
//!
//! White paper, 203 cd/m² (ITU-R BT.2408), comes to half of sRGB's light; below it all stays in proportion, and above it a
//! curve rises to sRGB's white at 1000 cd/m²: the reference-white tone mapping that browsers use (SMPTE ST 2094-50), with the
//! range that is assumed of a file that names none.

use image::{DynamicImage, RgbaImage};
use moxcms::{ColorProfile, TransferCharacteristics};

const PAPER_NITS: f32 = 203.0;
const PEAK_NITS: f32 = 1000.0;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Transfer {
    Pq,
    Hlg,
}

impl Transfer {
    pub fn of(profile: &ColorProfile) -> Option<Self> {
        match profile.cicp.as_ref()?.transfer_characteristics {
            TransferCharacteristics::Smpte2084 => Some(Self::Pq),
            TransferCharacteristics::Hlg => Some(Self::Hlg),
            _ => None,
        }
    }

    /// Of a number from 0 to 1: light in cd/m² (PQ), or the scene's light, 0 to 1 (HLG).
    fn light(self, value: f64) -> f64 {
        match self {
            Self::Pq => {
                let power = value.powf(32.0 / 2523.0);
                let above = (power - 0.835_937_5).max(0.0);
                10_000.0 * (above / (18.851_562_5 - 18.6875 * power)).powf(8192.0 / 1305.0)
            }
            Self::Hlg if value <= 0.5 => value * value / 3.0,
            Self::Hlg => (((value - 0.559_910_73) / 0.178_832_77).exp() + 0.284_668_92) / 12.0,
        }
    }
}

/// The picture in sRGB. `profile`: its primaries.
pub fn convert(picture: DynamicImage, profile: &ColorProfile, transfer: Transfer) -> RgbaImage {
    let matrix = profile.transform_matrix(&ColorProfile::new_srgb());
    let lights: Vec<f32> = (0..=u16::MAX).map(|value| transfer.light(f64::from(value) / 65535.0) as f32).collect();
    let from = picture.into_rgba16();
    let mut to = RgbaImage::new(from.width(), from.height());
    for (pixel, from) in to.pixels_mut().zip(from.pixels()) {
        let mut rgb = [0, 1, 2].map(|i| lights[usize::from(from[i])]);
        if transfer == Transfer::Hlg {
            // A display of 1000 cd/m² shows a scene with this exponent; the factors are BT.2100's primaries'.
            let scene = 0.2627 * rgb[0] + 0.678 * rgb[1] + 0.0593 * rgb[2];
            rgb = rgb.map(|light| PEAK_NITS * scene.powf(0.2) * light);
        }
        let gain = gain(rgb.into_iter().fold(0.0, f32::max) / PAPER_NITS);
        let rgb = rgb.map(|light| f64::from(gain * light / PAPER_NITS));
        for (channel, row) in matrix.v.iter().enumerate() {
            pixel[channel] = encode(row.iter().zip(rgb).map(|(factor, light)| factor * light).sum());
        }
        pixel[3] = (u32::from(from[3]) * 255).div_ceil(65535).min(255) as u8;
    }
    to
}

/// By what light is multiplied whose strongest channel is `x` papers: a quadratic Bézier curve from white paper to the peak.
fn gain(x: f32) -> f32 {
    const AT: [f32; 2] = [1.0, 0.5];
    const END: [f32; 2] = [PEAK_NITS / PAPER_NITS, 1.0];
    if x <= AT[0] {
        return AT[1];
    }
    if x >= END[0] {
        return END[1] / x;
    }
    // Between the knee and where its tangent meets white.
    const SHARPNESS: f32 = 0.65;
    let middle = [AT[0] + SHARPNESS * (AT[0] / AT[1] - AT[0]), AT[1] + SHARPNESS * (END[1] - AT[1])];
    let (a, b, c) = (AT[0] - 2.0 * middle[0] + END[0], 2.0 * (middle[0] - AT[0]), AT[0] - x);
    let t = (-b + (b * b - 4.0 * a * c).sqrt()) / (2.0 * a);
    let y = (1.0 - t) * (1.0 - t) * AT[1] + 2.0 * t * (1.0 - t) * middle[1] + t * t * END[1];
    y / x
}

/// sRGB's byte (IEC 61966-2-1).
fn encode(light: f64) -> u8 {
    let light = light.clamp(0.0, 1.0);
    let value = if light <= 0.003_130_8 { 12.92 * light } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 };
    (255.0 * value).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn light_and_its_curve_are_those_of_the_standards() {
        // BT.2408, table 1: white paper is 58 % in PQ and 75 % in HLG.
        assert!((Transfer::Pq.light(0.58) - 203.0).abs() < 2.0);
        assert!((1000.0 * Transfer::Hlg.light(0.75).powf(1.2) - 203.0).abs() < 2.0);
        assert!((Transfer::Pq.light(1.0) - 10_000.0).abs() < 1.0 && Transfer::Pq.light(0.0) == 0.0);
        assert!((Transfer::Hlg.light(1.0) - 1.0).abs() < 1e-5);
        let shown: Vec<f32> = (1..2000).map(|i| i as f32 / 200.0).map(|x| x * gain(x)).collect();
        assert!((shown[199] - 0.5).abs() < 1e-6 && (shown[1998] - 1.0).abs() < 1e-6);
        assert!(shown.windows(2).all(|pair| (-1e-6..0.003).contains(&(pair[1] - pair[0]))), "it rises, without a jump");
    }
}
