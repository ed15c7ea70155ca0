//! Reading the pixels of an image as 8-bit red, green and blue.
//!
//! Grey levels become three equal values, palettes their colours, 16-bit values their upper 8 bits (rounded). An alpha
//! channel is dropped, not blended with a background. Of an animation the first frame is read. A photograph is turned
//! upright as its orientation tag says.

use std::io::Cursor;
use std::path::Path;

use ::image::{DynamicImage, ImageDecoder, ImageReader, Limits};

use super::{LoadError, sink::Sink};

/// The extensions that [`load`](super::load) takes for an image. What the file is, its content says.
pub const EXTENSIONS: [&str; 12] =
    ["png", "jpg", "jpeg", "bmp", "gif", "tif", "tiff", "webp", "ppm", "pgm", "pbm", "pnm"];

/// The longest side of an image that is decoded, in pixels.
pub const SIDE_MAX: u32 = 65_535;
/// The most memory that decoding may take, in bytes: an image of 715 million pixels of 8-bit colour.
pub const DECODE_BYTES_MAX: u64 = 2 << 30;

/// Pixels that are put where points go at once.
const CHUNK_PIXELS: usize = 16 << 10;

/// The first bytes of a JPEG.
const JPEG_START: [u8; 3] = [0xff, 0xd8, 0xff];

/// The pixels of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RgbPixels {
    /// Pixels in a row.
    pub width: u32,
    /// Rows of pixels.
    pub height: u32,
    /// Red, green and blue of each pixel, row by row from the top left: `width * height` of them.
    pub pixels: Vec<[u8; 3]>,
}

impl RgbPixels {
    /// Puts the pixels of a file, as points to cluster, behind the `before` ones that are there: three values from 0 to
    /// 255 each.
    pub(super) fn append(
        &self,
        path: &Path,
        before: usize,
        sink: &mut Sink<'_, f32>,
    ) -> Result<(), LoadError> {
        let mut rows = before;
        for pixels in self.pixels.chunks(CHUNK_PIXELS) {
            sink.values.extend(pixels.iter().flatten().map(|&level| f32::from(level)));
            rows += pixels.len();
            sink.check(path, rows)?;
        }
        Ok(())
    }
}

/// Loads the pixels of an image file, whatever its extension.
///
/// # Errors
/// [`LoadError::File`], or [`LoadError::Image`] if it is no image, cut off, or too large.
pub fn load_rgb(path: &Path) -> Result<RgbPixels, LoadError> {
    let bytes = super::load::read(path)?;
    decode_rgb(&bytes).map_err(|problem| LoadError::Image { path: path.to_owned(), problem })
}

/// Decodes the pixels of an image from the bytes of its file.
///
/// # Errors
/// [`ImageError`] if it is no image, cut off, or too large.
///
/// ```
/// use kmeans_job::data::image::decode_rgb;
///
/// let image = decode_rgb(b"P6 2 1 255 \xff\x00\x00\x00\x00\xff")?; // a portable pixmap
/// assert_eq!((image.width, image.height), (2, 1));
/// assert_eq!(image.pixels, [[255, 0, 0], [0, 0, 255]]);
/// # Ok::<(), kmeans_job::data::image::ImageError>(())
/// ```
pub fn decode_rgb(bytes: &[u8]) -> Result<RgbPixels, ImageError> {
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|problem| ImageError::Damaged { problem: problem.to_string() })?;
    if reader.format().is_none() {
        return Err(if bytes.is_empty() { ImageError::Empty } else { ImageError::NotAnImage });
    }
    reader.limits(limits());
    let mut image = decode(reader)?;
    let (width, height) = (image.width(), image.height());
    if width == 0 || height == 0 {
        return Err(ImageError::Damaged { problem: format!("it claims {width} x {height} pixels") });
    }
    if bytes.starts_with(&JPEG_START) && !jpeg_is_complete(bytes) {
        return Err(ImageError::Damaged { problem: "its end is missing".to_owned() });
    }
    image = DynamicImage::ImageRgb8(image.into_rgb8());
    let pixels = image.as_bytes().as_chunks().0.to_vec();
    Ok(RgbPixels { width, height, pixels })
}

/// Why a file is no image that can be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The file holds nothing.
    #[error("the file is empty; copy or download the image again")]
    Empty,
    /// The content is in no format that is read here, whatever the extension says.
    #[error("this is not an image of a known format; convert it to .png or .jpg")]
    NotAnImage,
    /// The image is cut off or broken.
    #[error("the image is cut off or damaged: {problem}; copy or download it again")]
    Damaged {
        /// What the decoder says.
        problem: String,
    },
    /// The image uses a feature of its format that is not read here.
    #[error("the image cannot be decoded: {problem}; convert it to .png or .jpg")]
    Unsupported {
        /// What the decoder says.
        problem: String,
    },
    /// The image is larger than the limits.
    #[error(
        "the image is larger than {SIDE_MAX} pixels a side or {DECODE_BYTES_MAX} bytes of pixels; scale it down"
    )]
    TooLarge,
}

impl From<::image::ImageError> for ImageError {
    fn from(error: ::image::ImageError) -> Self {
        match error {
            ::image::ImageError::Limits(_) => Self::TooLarge,
            ::image::ImageError::Unsupported(problem) => Self::Unsupported { problem: problem.to_string() },
            problem => Self::Damaged { problem: problem.to_string() },
        }
    }
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(DECODE_BYTES_MAX);
    limits
}

fn decode(reader: ImageReader<Cursor<&[u8]>>) -> Result<DynamicImage, ImageError> {
    let mut decoder = reader.into_decoder()?;
    // Set here once more, because not every decoder counts its output towards them.
    let mut limits = limits();
    let (width, height) = decoder.dimensions();
    limits.check_dimensions(width, height)?;
    limits.reserve(decoder.total_bytes())?;
    decoder.set_limits(limits)?;
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// Whether a JPEG has its end marker. The decoder fills in grey for what is missing without a word.
///
/// Walks the segments (ITU-T T.81, annex B) rather than looking for the marker from the end: a thumbnail in a segment
/// has an end marker of its own, and phones append to the file.
fn jpeg_is_complete(bytes: &[u8]) -> bool {
    const END: u8 = 0xd9;
    const TEMPORARY: u8 = 0x01;

    let mut rest = bytes.get(2..).unwrap_or_default();
    while let Some((marker, segment)) = next_marker(rest) {
        let length = match (marker, segment) {
            (END, _) => return true,
            // The one marker without a segment that can stand here.
            (TEMPORARY, _) => 0,
            (_, [high, low, ..]) => usize::from(u16::from_be_bytes([*high, *low])),
            _ => return false,
        };
        rest = segment.get(length..).unwrap_or_default();
    }
    false
}

/// The next marker of a JPEG, and what follows it.
///
/// Skipped are compressed pixels, in which 0xff is followed by a 0 or by the number of a restart, and stray bytes.
fn next_marker(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let starts = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0xd0..=0xd7 | 0xff);
    let at = bytes.windows(2).position(starts)?;
    Some((bytes[at + 1], &bytes[at + 2..]))
}
