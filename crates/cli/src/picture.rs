//! Picture files.

use std::io::Cursor;
use std::path::Path;

use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{AnimationDecoder, DynamicImage, ExtendedColorType, ImageDecoder, ImageFormat, ImageReader, Limits};
use lantern_demos::Picture;
use lantern_graph::{Error, Result};

/// Most pixels that are decoded, 8192 × 8192: a file of a few hundred bytes can claim any size.
const MAX_PIXELS: u64 = 1 << 26;
/// Most bytes that a decoder may take: eight a pixel, and as much again for its own work.
const MAX_DECODER_BYTES: u64 = 16 * MAX_PIXELS;
const MAX_FILE_BYTES: u64 = 1 << 30;

/// The picture in a PNG, JPEG, WebP, GIF or BMP file, upright, over white where it is transparent; of an animation the
/// first frame, and a note that says so.
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
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| bad(error.to_string()))?;
    picture.apply_orientation(orientation);
    let rgba = picture.to_rgba8();
    let picture = Picture::from_rgba8(rgba.width() as usize, rgba.height() as usize, &rgba)?;
    let note =
        is_animated(format, &bytes, limits).then(|| "the file is animated: its first frame was taken".to_owned());
    Ok((picture, note))
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

/// # Errors
/// `picture.output` when it cannot be written.
pub fn write_png(path: &Path, picture: &Picture) -> Result<()> {
    let rgba = picture.to_rgba8();
    let rgb: Vec<u8> = rgba.as_chunks::<4>().0.iter().flat_map(|[r, g, b, _]| [*r, *g, *b]).collect();
    let (width, height) = (picture.width as u32, picture.height as u32);
    image::save_buffer_with_format(path, &rgb, width, height, ExtendedColorType::Rgb8, ImageFormat::Png).map_err(
        |error| {
            let remedy = "check the disk, and that you may write there";
            Error::new("picture.output", format!("{}: {error}", path.display()), remedy)
        },
    )
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
