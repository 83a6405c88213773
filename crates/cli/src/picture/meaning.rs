//! What a picture file says its numbers mean: a colour profile (ICC.1), or chunks of a PNG (PNG, third edition, 4.3: `cICP`
//! goes before `iCCP`, that before `sRGB`, and that before `gAMA` and `cHRM`).

use std::io::Cursor;

use image::ImageFormat;
use moxcms::{
    Chromaticity, CicpColorPrimaries, CicpProfile, ColorPrimaries, ColorProfile, MatrixCoefficients, ParsingOptions,
    ToneReprCurve, TransferCharacteristics, XyY,
};
use png::{CodingIndependentCodePoints, ScaledFloat, SourceChromaticities};

use super::MAX_DECODER_BYTES;

/// Most bytes of a profile that are looked at: a JPEG cannot carry more, and a printer's tables take a few MB. What a PNG's packed
/// profile may unpack to counts as the decoder's memory.
const MAX_PROFILE_BYTES: usize = 16 << 20;
/// Most numbers in one of its tables.
const MAX_TABLE: usize = 10_000_000;
/// The exponent by which writers of PNG have always meant sRGB (PNG, 11.3.2.5).
const SRGB_GAMMA: u32 = 45_455;

/// What the file says, `None` for sRGB, with notes on what it says and was not used. `icc`: the profile that the decoder found.
pub fn of(format: ImageFormat, bytes: &[u8], icc: Option<Vec<u8>>) -> (Option<ColorProfile>, Vec<String>) {
    let mut notes = Vec::new();
    let meaning = match format {
        ImageFormat::Png => png(bytes, icc, &mut notes),
        ImageFormat::Bmp => bmp(bytes).and_then(|icc| profile(icc, &mut notes)),
        _ if icc.is_none() && claims_profile(format, bytes) => {
            notes.push(damaged("it is not whole"));
            None
        }
        _ => icc.and_then(|icc| profile(&icc, &mut notes)),
    };
    (meaning, notes)
}

fn damaged(why: &str) -> String {
    format!("its colour profile is damaged ({why}): its colours were taken without it")
}

fn profile(icc: &[u8], notes: &mut Vec<String>) -> Option<ColorProfile> {
    let limits = ParsingOptions {
        max_profile_size: MAX_PROFILE_BYTES,
        max_allowed_clut_size: MAX_TABLE,
        max_allowed_trc_size: 1 << 16,
    };
    match ColorProfile::new_from_slice_with_options(icc, limits) {
        Ok(profile) => Some(profile),
        Err(error) => {
            notes.push(damaged(&error.to_string()));
            None
        }
    }
}

fn png(bytes: &[u8], icc: Option<Vec<u8>>, notes: &mut Vec<String>) -> Option<ColorProfile> {
    let mut decoder =
        png::Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: MAX_DECODER_BYTES as usize });
    decoder.set_ignore_text_chunk(true);
    // The pixels were read, so the chunks before them can be.
    let Ok(reader) = decoder.read_info() else { return profile(&icc?, notes) };
    let info = reader.info();
    if let Some(points) = info.coding_independent_code_points {
        match code_points(points) {
            Some(profile) => return Some(profile),
            None => notes.push(format!(
                "its cICP chunk (primaries {}, transfer {}, {} range) is of a kind that is not read",
                points.color_primaries,
                points.transfer_function,
                if points.is_video_full_range_image { "full" } else { "narrow" },
            )),
        }
    }
    match icc {
        Some(icc) => {
            if let Some(profile) = profile(&icc, notes) {
                return Some(profile);
            }
        }
        None if claims_profile(ImageFormat::Png, bytes) => notes.push(damaged("it cannot be unpacked")),
        None => {}
    }
    if info.srgb.is_some() {
        return None;
    }
    gamma_and_primaries(info.gama_chunk, info.chrm_chunk, notes)
}

/// Primaries and transfer as numbers (ITU-T H.273), for RGB of the full range.
fn code_points(points: CodingIndependentCodePoints) -> Option<ColorProfile> {
    use TransferCharacteristics as Transfer;
    let primaries = CicpColorPrimaries::try_from(points.color_primaries).ok()?;
    let transfer = Transfer::try_from(points.transfer_function).ok()?;
    let unknown = matches!(primaries, CicpColorPrimaries::Reserved | CicpColorPrimaries::Unspecified)
        || matches!(transfer, Transfer::Reserved | Transfer::Unspecified);
    if unknown || !points.is_video_full_range_image {
        return None;
    }
    let mut profile = ColorProfile::new_from_cicp(CicpProfile {
        color_primaries: primaries,
        transfer_characteristics: transfer,
        matrix_coefficients: MatrixCoefficients::Identity,
        full_range: true,
    });
    // Television's curves are a camera's; what it means to show is a display's (ITU-R BT.1886).
    if matches!(transfer, Transfer::Bt709 | Transfer::Bt601 | Transfer::Bt202010bit | Transfer::Bt202012bit) {
        profile.cicp = None;
        with_curve(&mut profile, ToneReprCurve::Parametric(vec![2.4]));
    }
    Some(profile)
}

fn with_curve(profile: &mut ColorProfile, curve: ToneReprCurve) {
    (profile.red_trc, profile.green_trc, profile.blue_trc) = (Some(curve.clone()), Some(curve.clone()), Some(curve));
}

fn gamma_and_primaries(
    gamma: Option<ScaledFloat>,
    primaries: Option<SourceChromaticities>,
    notes: &mut Vec<String>,
) -> Option<ColorProfile> {
    let gamma = gamma.map(ScaledFloat::into_scaled);
    if primaries.is_none() && gamma.is_none_or(|gamma| gamma == SRGB_GAMMA) {
        return None;
    }
    let mut profile = ColorProfile::new_srgb();
    profile.cicp = None;
    if let Some(primaries) = primaries {
        let xy = |(x, y): (ScaledFloat, ScaledFloat)| Chromaticity::new(x.into_value(), y.into_value());
        let [white, red, green, blue] = [primaries.white, primaries.red, primaries.green, primaries.blue].map(xy);
        let at = XyY::new(f64::from(white.x), f64::from(white.y), 1.0);
        profile.update_rgb_colorimetry(at, ColorPrimaries { red, green, blue });
        let matrix = profile.colorant_matrix();
        let sane = [white, red, green, blue].iter().all(|c| c.y > 0.0)
            && matrix.v.as_flattened().iter().all(|v| v.is_finite())
            && matrix.determinant().is_some_and(|d| d.abs() > 1e-6);
        if !sane {
            notes.push("its cHRM chunk names no possible primaries: its colours were taken as sRGB".into());
            return None;
        }
    }
    match gamma {
        // With sRGB's own primaries, this is how sRGB has always been written.
        Some(SRGB_GAMMA) if primaries.is_some_and(is_srgb) => return None,
        Some(gamma) => with_curve(&mut profile, ToneReprCurve::Parametric(vec![100_000.0 / gamma as f32])),
        None => {}
    }
    Some(profile)
}

fn is_srgb(primaries: SourceChromaticities) -> bool {
    let numbers =
        |p: SourceChromaticities| [p.white, p.red, p.green, p.blue].map(|(x, y)| [x.into_scaled(), y.into_scaled()]);
    let srgb = [[31_270, 32_900], [64_000, 33_000], [30_000, 60_000], [15_000, 6_000]];
    // Writers round.
    numbers(primaries).as_flattened().iter().zip(srgb.as_flattened()).all(|(a, b)| a.abs_diff(*b) <= 100)
}

/// The profile in a BMP whose header is of version 5. All numbers are little-endian; the header stands at byte 14.
fn bmp(bytes: &[u8]) -> Option<&[u8]> {
    const HEADER: usize = 14;
    let u32_at = |at: usize| Some(u32::from_le_bytes(*bytes.get(HEADER + at..)?.first_chunk()?) as usize);
    let is_embedded = u32_at(0)? >= 124 && bytes.get(HEADER + 56..HEADER + 60)? == b"DEBM";
    let (start, length) = (u32_at(112)?, u32_at(116)?);
    // A profile that the file is too short for is damaged, not absent.
    is_embedded.then(|| bytes.get(HEADER + start..).map_or(&[][..], |rest| &rest[..length.min(rest.len())]))
}

/// Does the file announce a profile, whether or not the decoder could put it together?
fn claims_profile(format: ImageFormat, bytes: &[u8]) -> bool {
    match format {
        ImageFormat::Png => png_chunks(bytes).any(|name| name == b"iCCP"),
        ImageFormat::Jpeg => {
            jpeg_segments(bytes).any(|(marker, data)| marker == 0xe2 && data.starts_with(b"ICC_PROFILE\0"))
        }
        ImageFormat::WebP => bytes.get(12..16) == Some(b"VP8X") && bytes.get(20).is_some_and(|flags| flags & 0x20 != 0),
        _ => false,
    }
}

/// The names of a PNG's chunks before its pixels.
fn png_chunks(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut at = 8;
    std::iter::from_fn(move || {
        let head = bytes.get(at..at + 8)?;
        let length = u32::from_be_bytes(*head.first_chunk()?) as usize;
        at = at.checked_add(length)?.checked_add(12)?;
        (&head[4..] != b"IDAT").then_some(&head[4..])
    })
}

/// A JPEG's segments before its first scan: their markers' second bytes, and what they hold.
fn jpeg_segments(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut at = 2;
    std::iter::from_fn(move || {
        let &[0xff, marker, high, low] = bytes.get(at..)?.first_chunk()? else { return None };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let data = bytes.get(at + 4..at + 2 + length)?;
        at += 2 + length;
        (marker != 0xda).then_some((marker, data))
    })
}
