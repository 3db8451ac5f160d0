//! The way out of I420 and into it: snapshots as PNG or JPEG, and images that become pictures.

use super::Picture;
use super::colour::{Yuv, coefficients};
use super::scale::Scaler;
use crate::Rect;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageFormat, ImageReader, Limits, Rgb, RgbImage, Rgba};
use mixdown_codecs::{I420Frame, Size};
use std::io::Cursor;
use std::sync::Arc;

/// The longest file that [`decode`] looks at.
pub const MAX_IMAGE_BYTES: usize = 4 << 20;
/// The longest side of an image.
pub const MAX_IMAGE_SIDE: u32 = 4096;
const JPEG_QUALITY: u8 = 88;
/// Narrower snapshots show nothing.
const MIN_WIDTH: u32 = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Png,
    Jpeg,
}

/// A snapshot could not be written. Nothing is owed: ask again.
#[derive(Debug, thiserror::Error)]
#[error("the {size} picture could not be written as an image: {reason}")]
pub struct EncodeError {
    pub size: Size,
    pub reason: String,
}

/// An image cannot be used: refuse the request that named it.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("the image has {0} bytes, more than {MAX_IMAGE_BYTES}")]
    TooLong(usize),
    #[error("the image is neither PNG nor JPEG nor WebP")]
    Format,
    #[error("the image is animated: a layout shows still ones")]
    Animated,
    #[error("the image is larger than {0}x{0}")]
    TooLarge(u32),
    #[error("the image is damaged: {0}")]
    Damaged(String),
}

/// `frame` as an image file, scaled down to `width` (in proportion, sides even) where that is narrower.
pub fn encode(frame: &I420Frame, width: Option<u32>, format: Format) -> Result<Vec<u8>, EncodeError> {
    let size = frame.size();
    let fail = |reason: String| EncodeError { size, reason };
    let rgb = match width.filter(|&width| width < size.width) {
        Some(width) => to_rgb(&shrink(frame, width)),
        None => to_rgb(frame),
    };
    let mut bytes = Vec::new();
    let written = match format {
        Format::Png => rgb.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png),
        Format::Jpeg => {
            let encoder = JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY);
            encoder.write_image(&rgb, rgb.width(), rgb.height(), ExtendedColorType::Rgb8)
        }
    };
    written.map_err(|error| fail(error.to_string()))?;
    Ok(bytes)
}

fn shrink(frame: &I420Frame, width: u32) -> I420Frame {
    let size = frame.size();
    let width = width.max(MIN_WIDTH).min(size.width);
    let height = u64::from(width) * u64::from(size.height) / u64::from(size.width.max(1));
    // Not more than the height was.
    let small = Size::new(width, height as u32).even();
    let mut out = I420Frame::black(small);
    let picture = Picture { frame: Arc::new(frame.clone()), sequence: 0, quarter_turns: 0, flip: false, scaled: None };
    Scaler::default().draw(&picture, &mut out, Rect::new(0, 0, small.width, small.height));
    out
}

fn to_rgb(frame: &I420Frame) -> RgbImage {
    let (Size { width, height }, planes) = (frame.size(), frame.planes());
    RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (x as usize, y as usize);
        let chroma = y / 2 * planes.uv_stride + x / 2;
        Rgb(Yuv { y: planes.y[y * planes.y_stride + x], u: planes.u[chroma], v: planes.v[chroma] }.to_rgb())
    })
}

/// A PNG, JPEG or WebP file as a picture: turned upright by its EXIF orientation, what is transparent laid over `background`.
pub fn decode(bytes: &[u8], background: [u8; 3]) -> Result<I420Frame, DecodeError> {
    Ok(from_rgb(&flatten(&open(bytes, MAX_IMAGE_SIDE)?, background)))
}

/// A PNG, JPEG or WebP file of at most `max_side` pixels each way, turned upright.
pub(crate) fn open(bytes: &[u8], max_side: u32) -> Result<DynamicImage, DecodeError> {
    if bytes.len() > MAX_IMAGE_BYTES {
        return Err(DecodeError::TooLong(bytes.len()));
    }
    let format = image::guess_format(bytes).ok();
    let format = format.filter(|format| matches!(format, ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP));
    let format = format.ok_or(DecodeError::Format)?;
    if is_animated(bytes, format) {
        return Err(DecodeError::Animated);
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(max_side), Some(max_side));
    limits.max_alloc = Some(u64::from(max_side) * u64::from(max_side) * 8);
    reader.limits(limits);
    let refuse = |error: image::ImageError| match error {
        image::ImageError::Limits(_) => DecodeError::TooLarge(max_side),
        other => DecodeError::Damaged(other.to_string()),
    };
    let mut decoder = reader.into_decoder().map_err(refuse)?;
    let orientation = decoder.orientation().map_err(refuse)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(refuse)?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// Reads the head alone; one that cannot be read is refused when it is decoded.
fn is_animated(bytes: &[u8], format: ImageFormat) -> bool {
    let bytes = Cursor::new(bytes);
    match format {
        ImageFormat::Png => PngDecoder::new(bytes).and_then(|decoder| decoder.is_apng()).unwrap_or(false),
        ImageFormat::WebP => WebPDecoder::new(bytes).is_ok_and(|decoder| decoder.has_animation()),
        _ => false,
    }
}

fn flatten(image: &DynamicImage, background: [u8; 3]) -> RgbImage {
    let rgba = image.to_rgba8();
    let mut rgb = RgbImage::new(rgba.width(), rgba.height());
    for (out, Rgba([red, green, blue, alpha])) in rgb.pixels_mut().zip(rgba.pixels()) {
        let mix =
            |part: u8, below: u8| ((u32::from(part) * u32::from(*alpha) + u32::from(below) * u32::from(255 - alpha) + 127) / 255) as u8;
        *out = Rgb([mix(*red, background[0]), mix(*green, background[1]), mix(*blue, background[2])]);
    }
    rgb
}

/// Each two by two pixels have the colour of their mean.
fn from_rgb(rgb: &RgbImage) -> I420Frame {
    let (width, height) = rgb.dimensions();
    let mut frame = I420Frame::black(Size::new(width, height));
    let planes = frame.planes_mut();
    for (x, y, pixel) in rgb.enumerate_pixels() {
        planes.y[y as usize * planes.y_stride + x as usize] = Yuv::from_rgb(pixel.0).y;
    }
    for (x, y) in (0..height.div_ceil(2)).flat_map(|y| (0..width.div_ceil(2)).map(move |x| (x, y))) {
        let pixel = |dx: u32, dy: u32| rgb.get_pixel((2 * x + dx).min(width - 1), (2 * y + dy).min(height - 1)).0;
        let four = [pixel(0, 0), pixel(1, 0), pixel(0, 1), pixel(1, 1)];
        let mean = |part: usize| four.iter().map(|pixel| f32::from(pixel[part])).sum::<f32>() / 4.0;
        let [_, u, v] = coefficients(mean(0), mean(1), mean(2));
        let at = y as usize * planes.uv_stride + x as usize;
        (planes.u[at], planes.v[at]) = ((128.0 + u).round() as u8, (128.0 + v).round() as u8);
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(size: Size, rgb: [u8; 3]) -> I420Frame {
        let mut frame = I420Frame::black(size);
        let Yuv { y, u, v } = Yuv::from_rgb(rgb);
        frame.fill(y, u, v);
        frame
    }

    #[test]
    fn colours_survive_the_way_out_and_back_again() {
        for rgb in [[0, 0, 0], [255, 255, 255], [200, 30, 40], [20, 180, 60], [30, 60, 220]] {
            let frame = flat(Size::new(33, 17), rgb);
            for format in [Format::Png, Format::Jpeg] {
                let back = decode(&encode(&frame, None, format).unwrap(), [0; 3]).unwrap();
                assert_eq!(back.size(), frame.size());
                let worst = back.data().iter().zip(frame.data()).map(|(a, b)| a.abs_diff(*b)).max();
                assert!(worst <= Some(3), "{rgb:?} {format:?} {worst:?}");
            }
        }
    }

    #[test]
    fn every_pixel_has_its_own_brightness_and_each_two_by_two_the_colour_of_their_mean() {
        let image = RgbImage::from_fn(3, 3, |x, y| Rgb([100 * x as u8, 90 * y as u8, 10 * (x + y) as u8]));
        let mut png = Vec::new();
        image.write_to(&mut Cursor::new(&mut png), ImageFormat::Png).unwrap();
        let frame = decode(&png, [0; 3]).unwrap();
        let planes = frame.planes();
        for (x, y, pixel) in image.enumerate_pixels() {
            assert_eq!(planes.y[y as usize * planes.y_stride + x as usize], Yuv::from_rgb(pixel.0).y, "{x}, {y}");
        }
        // At the edges a row or a column counts twice.
        for (x, y, mean) in [(0, 0, [50, 45, 10]), (1, 0, [200, 45, 25]), (0, 1, [50, 180, 25]), (1, 1, [200, 180, 40])] {
            let (at, Yuv { u, v, .. }) = (y * planes.uv_stride + x, Yuv::from_rgb(mean));
            assert!(planes.u[at].abs_diff(u) <= 1 && planes.v[at].abs_diff(v) <= 1, "{x}, {y}");
        }
    }

    #[test]
    fn a_snapshot_is_scaled_down_in_proportion_and_never_up() {
        let frame = flat(Size::new(1280, 720), [90, 90, 90]);
        let size = |width| decode(&encode(&frame, width, Format::Jpeg).unwrap(), [0; 3]).unwrap().size();
        assert_eq!(size(Some(320)), Size::new(320, 180));
        assert_eq!(size(Some(5000)), Size::new(1280, 720));
        assert_eq!(size(Some(0)), Size::new(16, 8));
    }

    #[test]
    fn transparency_shows_the_background() {
        let clear = image::RgbaImage::from_pixel(4, 4, Rgba([255, 0, 0, 0]));
        let mut png = Vec::new();
        clear.write_to(&mut Cursor::new(&mut png), ImageFormat::Png).unwrap();
        assert_eq!(decode(&png, [0, 0, 255]).unwrap().planes().u[0], Yuv::from_rgb([0, 0, 255]).u);
    }

    #[test]
    fn what_is_no_image_or_too_large_is_refused() {
        assert!(matches!(decode(b"<svg/>", [0; 3]), Err(DecodeError::Format)));
        assert!(matches!(decode(&vec![0; MAX_IMAGE_BYTES + 1], [0; 3]), Err(DecodeError::TooLong(_))));
        let mut wide = Vec::new();
        image::GrayImage::new(MAX_IMAGE_SIDE + 1, 1).write_to(&mut Cursor::new(&mut wide), ImageFormat::Png).unwrap();
        assert!(matches!(decode(&wide, [0; 3]), Err(DecodeError::TooLarge(_))));
        let whole = encode(&flat(Size::new(64, 64), [9, 9, 9]), None, Format::Png).unwrap();
        // An animation control chunk (APNG 1.0) behind the header chunk.
        let control = [0, 0, 0, 8, b'a', b'c', b'T', b'L', 0, 0, 0, 1, 0, 0, 0, 0, 0xb4, 0x2d, 0xe9, 0xa0];
        let animated = [&whole[..33], &control, &whole[33..]].concat();
        assert!(matches!(decode(&animated, [0; 3]), Err(DecodeError::Animated)), "{:?}", decode(&animated, [0; 3]));
        assert!(matches!(decode(&whole[..whole.len() / 2], [0; 3]), Err(DecodeError::Damaged(_))));
    }
}
