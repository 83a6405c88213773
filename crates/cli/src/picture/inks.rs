//! The inks of a JPEG in CMYK or YCCK, as its profile takes them.

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// Cyan, magenta, yellow and black of every pixel, 255 for all of the ink; `None` when the file's pixels are no inks.
///
/// Such files store what is left of the paper, 255 for no ink: Adobe's programs began it, and every reader takes all files so.
pub fn of_jpeg(bytes: &[u8]) -> Option<Vec<u8>> {
    let options = DecoderOptions::default().set_strict_mode(false).set_max_width(usize::MAX).set_max_height(usize::MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    // What is wrong with the file itself was said when its pixels were read.
    decoder.decode_headers().ok()?;
    let stored = match decoder.input_colorspace() {
        Some(stored @ (ColorSpace::CMYK | ColorSpace::YCCK)) => stored,
        _ => return None,
    };
    decoder.set_options(options.jpeg_set_out_colorspace(stored));
    let mut pixels = decoder.decode().ok()?;
    for pixel in pixels.as_chunks_mut::<4>().0 {
        if stored == ColorSpace::YCCK {
            // What is brightness and differences is already the ink (ITU-T T.872, 6.5.3).
            let [y, cb, cr] = [f32::from(pixel[0]), f32::from(pixel[1]) - 128.0, f32::from(pixel[2]) - 128.0];
            let ink = [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb];
            pixel[..3].copy_from_slice(&ink.map(|value| value.round() as u8));
        } else {
            pixel[..3].iter_mut().for_each(|value| *value = 255 - *value);
        }
        pixel[3] = 255 - pixel[3];
    }
    Some(pixels)
}
