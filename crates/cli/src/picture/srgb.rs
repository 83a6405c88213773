//! A picture's colours in sRGB. What sRGB cannot show is cut off per channel, as browsers do.

use image::{DynamicImage, RgbaImage};
use moxcms::{CmsError, ColorProfile, DataColorSpace, Layout, RenderingIntent, TransformExecutor, TransformOptions};

/// Pixels converted at a time, so that a second copy of a large picture is never there.
const BAND: usize = 1 << 14;

/// # Errors
/// A note that says why the profile could not be used, with the picture as it is.
pub fn convert(picture: DynamicImage, profile: &ColorProfile) -> Result<RgbaImage, (RgbaImage, String)> {
    let gray = !picture.color().has_color();
    let profile = match profile.color_space {
        DataColorSpace::Rgb => profile.clone(),
        DataColorSpace::Gray if gray => match as_rgb(profile) {
            Some(profile) => profile,
            None => return Err((picture.into_rgba8(), unused("it has no curve"))),
        },
        other => {
            let pixels = if gray { "gray" } else { "RGB" };
            return Err((picture.into_rgba8(), other_space(other, pixels)));
        }
    };
    let channels = usize::from(picture.color().channel_count());
    // Sixteen bits stay sixteen until the colours are right: rounding in between would show in the dark.
    let (picture, done) = if usize::from(picture.color().bytes_per_pixel()) == 2 * channels {
        let mut pixels = picture.into_rgba16();
        let done = transform(&profile, ColorProfile::create_transform_16bit, &mut pixels);
        (DynamicImage::from(pixels).into_rgba8(), done)
    } else {
        let mut pixels = picture.into_rgba8();
        let done = transform(&profile, ColorProfile::create_transform_8bit, &mut pixels);
        (pixels, done)
    };
    match done {
        Ok(()) => Ok(picture),
        Err(error) => Err((picture, unused(&error.to_string()))),
    }
}

/// Inks, four bytes a pixel, 255 for all of it, become RGBA in place.
///
/// # Errors
/// A note that says why the profile could not be used; the inks are as they were.
pub fn convert_inks(inks: &mut [u8], profile: &ColorProfile) -> Result<(), String> {
    transform(profile, ColorProfile::create_transform_8bit, inks).map_err(|error| unused(&error.to_string()))
}

pub fn other_space(space: DataColorSpace, pixels: &str) -> String {
    let space = match space {
        DataColorSpace::Rgb => "RGB",
        DataColorSpace::Gray => "gray",
        DataColorSpace::Cmyk => "CMYK",
        DataColorSpace::Lab => "Lab",
        _ => "another kind of",
    };
    format!("its colour profile is for {space} pixels and its pixels are {pixels}: its colours were taken without it")
}

fn unused(why: &str) -> String {
    format!("its colour profile could not be used ({why}): its colours were taken without it")
}

/// A profile of gray as one of RGB: sRGB's primaries, and the gray's curve for each. Equal numbers stay equal.
fn as_rgb(gray: &ColorProfile) -> Option<ColorProfile> {
    let curve = gray.gray_trc.clone()?;
    let mut profile = ColorProfile::new_srgb();
    profile.cicp = None;
    (profile.red_trc, profile.green_trc, profile.blue_trc) = (Some(curve.clone()), Some(curve.clone()), Some(curve));
    Some(profile)
}

type Make<T> = fn(
    &ColorProfile,
    Layout,
    &ColorProfile,
    Layout,
    TransformOptions,
) -> Result<std::sync::Arc<dyn TransformExecutor<T> + Send + Sync>, CmsError>;

/// Four numbers a pixel, in place; the fourth, where it is opacity, stays.
fn transform<T: Copy + Default>(profile: &ColorProfile, make: Make<T>, pixels: &mut [T]) -> Result<(), CmsError> {
    let srgb = ColorProfile::new_srgb();
    // A file may have tables for one intent only. The first is what pictures are for.
    let intents = [RenderingIntent::Perceptual, RenderingIntent::RelativeColorimetric, RenderingIntent::Saturation];
    let mut made = Err(CmsError::InvalidProfile);
    for rendering_intent in intents {
        let options = TransformOptions { rendering_intent, prefer_fixed_point: false, ..Default::default() };
        made = make(profile, Layout::Rgba, &srgb, Layout::Rgba, options);
        if made.is_ok() {
            break;
        }
    }
    let executor = made?;
    let mut band = vec![T::default(); (4 * BAND).min(pixels.len())];
    for part in pixels.chunks_mut(4 * BAND) {
        let from = &mut band[..part.len()];
        from.copy_from_slice(part);
        executor.transform(from, part)?;
    }
    Ok(())
}
