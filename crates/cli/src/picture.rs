//! Picture files. Their colours are read as the files mean them, and written as sRGB.

mod hdr;
mod inks;
mod meaning;
mod srgb;

use std::fs::File;
use std::io::{BufWriter, Cursor};
use std::path::Path;

use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{AnimationDecoder, DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbaImage};
use lantern_demos::Picture;
use lantern_graph::{Error, Result};
use moxcms::{ColorProfile, DataColorSpace};

/// Most pixels that are decoded, 8192 × 8192: a file of a few hundred bytes can claim any size.
const MAX_PIXELS: u64 = 1 << 26;
/// Most bytes that a decoder may take: eight a pixel, and as much again for its own work.
const MAX_DECODER_BYTES: u64 = 16 * MAX_PIXELS;
const MAX_FILE_BYTES: u64 = 1 << 30;

/// The picture in a PNG, JPEG, WebP, GIF or BMP file, in sRGB, upright, over white where it is transparent; of an animation
/// the first frame. With a note on what of the file was not used.
///
/// # Errors
/// `source.open`; `picture.file` for what is none of these or is damaged; `picture.pixels` for more than can be decoded.
pub fn read(path: &Path) -> Result<(Picture, Option<String>)> {
    let bytes = read_file(path)?;
    let bad = |why: String| {
        let remedy = "give a PNG, JPEG, WebP, GIF or BMP file that other programs can show";
        Error::new("picture.file", format!("{}: {why}", path.display()), remedy)
    };
    let mut reader =
        ImageReader::new(Cursor::new(&bytes)).with_guessed_format().map_err(|error| bad(error.to_string()))?;
    let Some(format) = reader.format() else {
        return Err(bad("it does not start like a picture".into()));
    };
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(|error| bad(error.to_string()))?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels > MAX_PIXELS {
        return Err(Error::new(
            "picture.pixels",
            format!("{}: {width} × {height} pixels are {pixels}; at most {MAX_PIXELS} are decoded", path.display()),
            "make it smaller in another program",
        ));
    }
    // A damaged note on which way is up is no reason to refuse the picture.
    let orientation = decoder.orientation().unwrap_or(image::metadata::Orientation::NoTransforms);
    // A profile that the decoder cannot put together is noted in `meaning`.
    let icc = decoder.icc_profile().unwrap_or(None);
    let picture = DynamicImage::from_decoder(decoder).map_err(|error| bad(error.to_string()))?;
    let (meaning, mut notes) = meaning::of(format, &bytes, icc);
    let mut picture = DynamicImage::from(match meaning {
        None => picture.into_rgba8(),
        Some(profile) => in_srgb(picture, &profile, format, &bytes, &mut notes),
    });
    picture.apply_orientation(orientation);
    let rgba = picture.into_rgba8();
    let picture = Picture::from_rgba8(rgba.width() as usize, rgba.height() as usize, &rgba)?;
    if is_animated(format, &bytes, limits) {
        notes.insert(0, "the file is animated: its first frame was taken".to_owned());
    }
    Ok((picture, (!notes.is_empty()).then(|| notes.join("; "))))
}

/// The picture in sRGB, or as it is where the profile is of no use for it.
fn in_srgb(
    picture: DynamicImage,
    profile: &ColorProfile,
    format: ImageFormat,
    bytes: &[u8],
    notes: &mut Vec<String>,
) -> RgbaImage {
    if let Some(transfer) = hdr::Transfer::of(profile) {
        notes.push("its light goes beyond what a page shows: it was brought into that range".into());
        return hdr::convert(picture, profile, transfer);
    }
    let inks = if format == ImageFormat::Jpeg { inks::of_jpeg(bytes) } else { None };
    let Some(mut inks) = inks else {
        return srgb::convert(picture, profile).unwrap_or_else(|(picture, note)| {
            notes.push(note);
            picture
        });
    };
    let done = match profile.color_space {
        DataColorSpace::Cmyk => srgb::convert_inks(&mut inks, profile),
        other => Err(srgb::other_space(other, "CMYK")),
    };
    match done {
        Ok(()) => match RgbaImage::from_raw(picture.width(), picture.height(), inks) {
            Some(picture) => picture,
            None => picture.into_rgba8(),
        },
        Err(note) => {
            notes.push(note);
            picture.into_rgba8()
        }
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>> {
    let cannot = |why: String| {
        Error::new("source.open", format!("{}: {why}", path.display()), "give the path of a file you may read")
    };
    let about = std::fs::metadata(path).map_err(|error| cannot(error.to_string()))?;
    if !about.is_file() {
        return Err(cannot("not a regular file".into()));
    }
    if about.len() > MAX_FILE_BYTES {
        return Err(cannot(format!("a picture file of {} bytes; at most {MAX_FILE_BYTES} are read", about.len())));
    }
    std::fs::read(path).map_err(|error| cannot(error.to_string()))
}

fn is_animated(format: ImageFormat, bytes: &[u8], limits: Limits) -> bool {
    let bytes = Cursor::new(bytes);
    match format {
        ImageFormat::Gif => GifDecoder::new(bytes).is_ok_and(|mut gif| {
            gif.set_limits(limits).is_ok() && gif.into_frames().take_while(Result::is_ok).take(2).count() == 2
        }),
        ImageFormat::Png => PngDecoder::new(bytes).is_ok_and(|png| png.is_apng().unwrap_or(false)),
        ImageFormat::WebP => WebPDecoder::new(bytes).is_ok_and(|webp| webp.has_animation()),
        _ => false,
    }
}

/// Can a PNG be written there? Asked before minutes of work.
///
/// # Errors
/// `picture.output` when the name does not end in `.png` or there is no such folder.
pub fn check_output(path: &Path) -> Result<()> {
    let bad = |why: &str, remedy: &str| {
        Err(Error::new("picture.output", format!("{}: {why}", path.display()), remedy.to_owned()))
    };
    if !path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png")) {
        return bad("pictures are written as PNG", "choose a name that ends in .png");
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return bad("there is no such folder", "make the folder first");
    }
    if path.is_dir() {
        return bad("it is a folder", "choose another name");
    }
    Ok(())
}

/// Writes eight bits of sRGB, and says in the file that they are.
///
/// # Errors
/// `picture.output` when it cannot be written.
pub fn write_png(path: &Path, picture: &Picture) -> Result<()> {
    let rgba = picture.to_rgba8();
    let rgb: Vec<u8> = rgba.as_chunks::<4>().0.iter().flat_map(|[r, g, b, _]| [*r, *g, *b]).collect();
    let write = || -> std::result::Result<(), png::EncodingError> {
        let mut file = BufWriter::new(File::create(path)?);
        let mut encoder = png::Encoder::new(&mut file, picture.width as u32, picture.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Fast);
        encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&rgb)?;
        writer.finish()?;
        file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        Ok(())
    };
    write().map_err(|error| {
        let remedy = "check the disk, and that you may write there";
        Error::new("picture.output", format!("{}: {error}", path.display()), remedy)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/pictures").join(name)
    }

    /// A file of its own for each test.
    fn write(name: &str, bytes: &[u8]) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("lantern-picture-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        path
    }

    const FIELDS: [[u8; 3]; 4] = [[200, 40, 40], [40, 160, 60], [40, 60, 200], [240, 230, 210]];

    /// The middles of the four fields are of these colours, give or take `tolerance`.
    fn shows(name: &str, fields: [[u8; 3]; 4], tolerance: u8) -> Option<String> {
        let (picture, note) = read(&case(name)).unwrap();
        assert_eq!((picture.width, picture.height), (24, 16), "{name}");
        let rgba = picture.to_rgba8();
        for (i, field) in fields.iter().enumerate() {
            let at = 4 * ((4 + 8 * (i / 2)) * 24 + 6 + 12 * (i % 2));
            let off = field.iter().zip(&rgba[at..]).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
            assert!(off <= tolerance, "{name}, field {i}: {:?} is not {field:?}", &rgba[at..at + 3]);
        }
        note
    }

    #[test]
    fn pictures_of_all_kinds_are_read_right() {
        for name in ["rgb.png", "rgb.bmp", "lossless.webp", "palette.png", "still.gif"] {
            assert_eq!(shows(name, FIELDS, 0), None);
        }
        // Lossy: the files' own loss.
        for name in ["rgb.jpg", "progressive.jpg", "lossy.webp", "cmyk.jpg", "turned.jpg"] {
            assert_eq!(shows(name, FIELDS, 6), None);
        }
        // The luma that Pillow makes: (299 r + 587 g + 114 b) / 1000.
        let gray = FIELDS.map(|[r, g, b]| {
            let luma = (299 * u32::from(r) + 587 * u32::from(g) + 114 * u32::from(b)) as f32 / 1000.0;
            [luma.round() as u8; 3]
        });
        shows("gray.png", gray, 1);
        shows("gray16.png", gray, 1);
        shows("gray.jpg", gray, 4);
        let over_white = |c: u8| 255 - ((255 - u32::from(c)) * 191 / 255) as u8;
        shows("alpha.png", FIELDS.map(|field| field.map(over_white)), 1);
    }

    #[test]
    fn of_an_animation_the_first_frame_is_taken_and_said_so() {
        for name in ["animated.gif", "animated.png", "animated.webp"] {
            let note = shows(name, FIELDS, 0);
            assert!(note.is_some_and(|note| note.contains("first frame")), "{name}");
        }
    }

    #[test]
    fn colours_are_those_the_file_means() {
        let cases: serde_json::Value = serde_json::from_slice(&std::fs::read(case("colours.json")).unwrap()).unwrap();
        for one in cases.as_array().unwrap() {
            let name = one["file"].as_str().unwrap();
            let fields = [0, 1, 2, 3].map(|i| [0, 1, 2].map(|j| one["fields"][i][j].as_u64().unwrap() as u8));
            let note = shows(name, fields, one["tolerance"].as_u64().unwrap() as u8);
            match one["note"].as_str() {
                Some(about) => assert!(note.as_ref().is_some_and(|note| note.contains(about)), "{name}: {note:?}"),
                None => assert_eq!(note, None, "{name}"),
            }
        }
    }

    #[test]
    fn a_damaged_profile_never_ends_the_reading() {
        let seed = std::env::var("LANTERN_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(11u64);
        println!("LANTERN_SEED={seed}");
        let mut state = seed;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize
        };
        for name in ["wide.webp", "wide.bmp", "wide.jpg", "cmyk-icc.jpg"] {
            let whole = std::fs::read(case(name)).unwrap();
            // The profile's bytes, and few others: its size and "acsp" stand 36 bytes apart at its start.
            let start = whole.windows(4).position(|four| four == b"acsp").unwrap() - 36;
            let length = u32::from_be_bytes(whole[start..start + 4].try_into().unwrap()) as usize;
            for _ in 0..40 {
                let mut bytes = whole.clone();
                for _ in 0..1 + random() % 4 {
                    bytes[start + random() % length] = random() as u8;
                }
                let path = write(name, &bytes);
                let read = read(&path);
                std::fs::remove_file(&path).unwrap();
                read.unwrap();
            }
        }
    }

    /// A BMP's header, without pixels.
    fn bmp(width: i32, height: i32) -> Vec<u8> {
        let mut bytes = b"BM".to_vec();
        bytes.extend([54u32, 0, 54, 40].iter().flat_map(|n| n.to_le_bytes()));
        bytes.extend([width, height].iter().flat_map(|n| n.to_le_bytes()));
        bytes.extend([1u16, 24].iter().flat_map(|n| n.to_le_bytes()));
        bytes.extend([0u8; 24]);
        bytes
    }

    #[test]
    fn what_is_no_picture_or_too_large_is_refused() {
        let png = std::fs::read(case("rgb.png")).unwrap();
        let half = &png[..png.len() / 2];
        for (name, bytes, code) in [
            ("empty.png", &b""[..], "picture.file"),
            ("text.jpg", b"a text, and no picture at all", "picture.file"),
            ("half.png", half, "picture.file"),
            ("half.webp", b"RIFF\x10\0\0\0WEBPVP8 ", "picture.file"),
            ("half.gif", b"GIF89a\x01\0", "picture.file"),
            ("none.bmp", &bmp(0, 4), "picture.file"),
            ("bomb.bmp", &bmp(20_000, 20_000), "picture.pixels"),
        ] {
            let path = write(name, bytes);
            let error = read(&path).unwrap_err();
            std::fs::remove_file(&path).unwrap();
            assert!(error.code == code && error.cause.contains(name), "{name}: {error}");
        }
        assert_eq!(read(&std::env::temp_dir()).unwrap_err().code, "source.open");
        assert_eq!(read(Path::new("/no/such/picture.png")).unwrap_err().code, "source.open");
    }

    #[test]
    fn a_png_comes_back_as_it_was_written() {
        let (picture, _) = read(&case("rgb.png")).unwrap();
        let path = write("back.png", b"");
        write_png(&path, &picture).unwrap();
        assert_eq!(read(&path).unwrap(), (picture, None));
        let file = std::fs::read(&path).unwrap();
        assert!(file.windows(4).any(|name| name == b"sRGB"), "it says what its numbers mean");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn an_output_that_cannot_be_is_refused_beforehand() {
        for (path, cause) in [("a.jpg", "PNG"), ("no/such/folder/a.png", "folder"), ("a", "PNG")] {
            let error = check_output(Path::new(path)).unwrap_err();
            assert!(error.code == "picture.output" && error.cause.contains(cause), "{error}");
        }
        check_output(Path::new("a.PNG")).unwrap();
    }
}
