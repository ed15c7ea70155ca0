//! Writing an image of few colours: a palette and the label of each pixel. [`dither`] finds labels that hide how few
//! they are, [`stage_gpl`] writes the palette itself.
//!
//! Up to 256 colours make an indexed PNG, one byte a pixel; more make an RGB one.

mod dither;
mod gimp;

use std::io::Write;
use std::path::Path;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};

use crate::output::{self, AtomicFile, OutputError};

pub use dither::dither;
pub use gimp::{encode_gpl, stage_gpl};

/// The most colours of an indexed image: its pixels are bytes.
const INDEXED_COLOURS_MAX: usize = 256;
/// Where the first chunk of a PNG starts, and where it ends: after the signature comes an IHDR chunk of 13 bytes
/// between a length, a type and a checksum of 4 bytes each.
const IHDR: std::ops::Range<usize> = 8..8 + 4 + 4 + 13 + 4;
/// Where the colour type stands in the IHDR chunk, and its value for an indexed image.
const COLOUR_TYPE_AT: usize = IHDR.start + 4 + 4 + 9;
const COLOUR_TYPE_INDEXED: u8 = 3;

/// Writes an image of `width` x `height` pixels as PNG: pixel `i`, row by row from the top left, has the colour
/// `palette[labels[i]]`.
///
/// # Errors
/// [`PaletteError`] if the labels do not fill the image or have no colour, or if the file cannot be written. The file
/// appears whole or not at all.
pub fn write_png(
    path: &Path,
    width: u32,
    height: u32,
    palette: &[[u8; 3]],
    labels: &[i32],
) -> Result<(), PaletteError> {
    Ok(stage_png(path, width, height, palette, labels)?.commit()?)
}

/// As [`write_png`], up to the point where the file would take its place.
///
/// # Errors
/// Those of [`write_png`].
pub fn stage_png(
    path: &Path,
    width: u32,
    height: u32,
    palette: &[[u8; 3]],
    labels: &[i32],
) -> Result<AtomicFile, PaletteError> {
    let png = encode_png(width, height, palette, labels)?;
    Ok(output::stage_file(path, |file| file.write_all(&png))?)
}

/// Encodes what [`write_png`] writes.
///
/// # Errors
/// [`PaletteError`] if the labels do not fill the image or have no colour.
///
/// ```
/// use kmeans_job::{data::image::decode_rgb, palette::encode_png};
///
/// let png = encode_png(2, 1, &[[0, 0, 0], [255, 128, 0]], &[1, 0])?;
/// assert_eq!(decode_rgb(&png)?.pixels, [[255, 128, 0], [0, 0, 0]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn encode_png(
    width: u32,
    height: u32,
    palette: &[[u8; 3]],
    labels: &[i32],
) -> Result<Vec<u8>, PaletteError> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || pixels != labels.len() as u64 {
        return Err(PaletteError::Size { width, height, labels: labels.len() });
    }
    let indexes = labels
        .iter()
        .map(|&label| {
            let index = usize::try_from(label).ok().filter(|&index| index < palette.len());
            index.ok_or(PaletteError::Label { label, colours: palette.len() })
        })
        .collect::<Result<Vec<usize>, _>>()?;
    if palette.len() > INDEXED_COLOURS_MAX {
        let rgb: Vec<u8> = indexes.iter().flat_map(|&index| palette[index]).collect();
        return encode(&rgb, width, height, FilterType::Adaptive, ExtendedColorType::Rgb8);
    }
    let bytes: Vec<u8> = indexes.iter().map(|&index| index as u8).collect();
    // Neighbouring indexes are not similar colours, so no filter helps (PNG specification, section 12.7).
    let grey = encode(&bytes, width, height, FilterType::NoFilter, ExtendedColorType::L8)?;
    Ok(grey_to_indexed(&grey, palette))
}

/// Why an image of few colours cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PaletteError {
    /// The labels do not fill the image.
    #[error("an image of {width} x {height} pixels does not take {labels} labels; give one label a pixel")]
    Size {
        /// Pixels in a row.
        width: u32,
        /// Rows of pixels.
        height: u32,
        /// The number of labels.
        labels: usize,
    },
    /// A label has no colour.
    #[error(
        "label {label} has no colour in a palette of {colours}; give labels from 0 to the number of colours - 1"
    )]
    Label {
        /// The label.
        label: i32,
        /// The colours of the palette.
        colours: usize,
    },
    /// The image cannot be encoded.
    #[error("cannot encode the image: {problem}; scale it down")]
    Encode {
        /// What the encoder says.
        problem: String,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
}

fn encode(
    bytes: &[u8],
    width: u32,
    height: u32,
    filter: FilterType,
    colours: ExtendedColorType,
) -> Result<Vec<u8>, PaletteError> {
    let mut png = Vec::new();
    PngEncoder::new_with_quality(&mut png, CompressionType::Default, filter)
        .write_image(bytes, width, height, colours)
        .map_err(|problem| PaletteError::Encode { problem: problem.to_string() })?;
    Ok(png)
}

/// Makes an indexed PNG of a grey one whose grey levels are indexes.
///
/// `image` writes no indexed PNG. The two differ in the colour type of the IHDR chunk and in the PLTE chunk behind it
/// alone (PNG specification, sections 11.2.1 and 11.2.2); the compressed bytes of the pixels are the same.
fn grey_to_indexed(grey: &[u8], palette: &[[u8; 3]]) -> Vec<u8> {
    let mut png = grey[..IHDR.end].to_vec();
    png[COLOUR_TYPE_AT] = COLOUR_TYPE_INDEXED;
    let checksum = crc32(&png[IHDR.start + 4..IHDR.end - 4]);
    png[IHDR.end - 4..].copy_from_slice(&checksum.to_be_bytes());

    let mut chunk = b"PLTE".to_vec();
    chunk.extend(palette.as_flattened());
    png.extend((palette.as_flattened().len() as u32).to_be_bytes());
    png.extend(&chunk);
    png.extend(crc32(&chunk).to_be_bytes());

    png.extend(&grey[IHDR.end..]);
    png
}

/// The checksum of a PNG chunk (PNG specification, annex D), bit by bit: it runs over 800 bytes at most.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}
