//! [`dither`]: an image in few colours whose errors are made up for by the pixels around.

use crate::data::image::RgbPixels;

/// The colour of a palette for each pixel, by the error diffusion of Floyd and Steinberg ("An adaptive algorithm for
/// spatial greyscale", Proceedings of the SID 17, 1976).
///
/// Pixels are taken row by row from the top left. Each gets the colour nearest to its own plus what it was handed, the
/// lowest index if several are; of what is left 7/16 go to the pixel on the right, and 3/16, 5/16 and 1/16 to those below.
/// All of it in integers: the same image and palette give the same bytes everywhere.
///
/// `interrupted` is asked ahead of each row; `None` once it answers `true`, or if the palette is empty.
///
/// ```
/// use kmeans_job::{data::image::decode_rgb, palette::dither};
///
/// // Grey in black and white: every second pixel.
/// let grey = decode_rgb(b"P5 4 1 255 \x80\x80\x80\x80")?;
/// let labels = dither(&grey, &[[0; 3], [255; 3]], &|| false);
/// assert_eq!(labels, Some(vec![1, 0, 1, 0]));
/// # Ok::<(), kmeans_job::data::image::ImageError>(())
/// ```
#[must_use]
pub fn dither(image: &RgbPixels, palette: &[[u8; 3]], interrupted: &dyn Fn() -> bool) -> Option<Vec<i32>> {
    if palette.is_empty() {
        return None;
    }
    let width = image.width as usize;
    let palette: Vec<[i32; 3]> = palette.iter().map(|colour| colour.map(i32::from)).collect();
    let mut labels = Vec::with_capacity(image.pixels.len());
    // What is handed to the pixels of this row and the next, in 16ths; with a pixel more on each side.
    let mut here = vec![[0_i32; 3]; width + 2];
    let mut below = here.clone();
    for row in image.pixels.chunks_exact(width.max(1)) {
        if interrupted() {
            return None;
        }
        for (x, pixel) in row.iter().enumerate() {
            let handed = here[x + 1];
            // Rounded to the nearest level. Beyond black and white nothing could be made up for.
            let wanted: [i32; 3] =
                std::array::from_fn(|i| (i32::from(pixel[i]) + ((handed[i] + 8) >> 4)).clamp(0, 255));
            let label = nearest(&palette, wanted);
            for i in 0..3 {
                let error = wanted[i] - palette[label][i];
                here[x + 2][i] += 7 * error;
                below[x][i] += 3 * error;
                below[x + 1][i] += 5 * error;
                below[x + 2][i] += error;
            }
            labels.push(label as i32);
        }
        std::mem::swap(&mut here, &mut below);
        below.fill([0; 3]);
    }
    Some(labels)
}

fn nearest(palette: &[[i32; 3]], [r, g, b]: [i32; 3]) -> usize {
    let distance = |colour: &[i32; 3]| {
        (colour[0] - r) * (colour[0] - r)
            + (colour[1] - g) * (colour[1] - g)
            + (colour[2] - b) * (colour[2] - b)
    };
    // The first of equal ones.
    palette.iter().enumerate().min_by_key(|(_, colour)| distance(colour)).map_or(0, |(index, _)| index)
}
