//! [`Bitmap`]: charts as pixels.
//!
//! `plotters` has a backend of pixels, too, but its text needs fonts of the system, or a crate that is not maintained any
//! more. The font here is a crate of pixels. Lines and discs are drawn by their distance to each pixel, which gives them
//! smooth edges in the same bits everywhere.

use super::PlotError;
use image::{
    ExtendedColorType, ImageEncoder as _,
    codecs::png::{CompressionType, FilterType, PngEncoder},
};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, RasterizedChar, get_raster, get_raster_width};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
    text_anchor::{HPos, VPos},
};
use std::convert::Infallible;

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

/// Pixels to draw on, white at first.
pub(super) struct Bitmap<'a> {
    width: u32,
    height: u32,
    /// Red, green, blue, row by row.
    pixels: &'a mut [u8],
}

impl<'a> Bitmap<'a> {
    /// Takes the buffer of an image: three bytes for each pixel.
    pub(super) fn new(width: u32, height: u32, pixels: &'a mut Vec<u8>) -> Self {
        pixels.clear();
        pixels.resize(width as usize * height as usize * 3, u8::MAX);
        Self { width, height, pixels }
    }

    /// Lays a colour over a pixel. Outside of the picture there is nothing to see.
    fn blend(&mut self, x: i32, y: i32, colour: BackendColor, coverage: f64) {
        let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { return };
        if x >= self.width || y >= self.height {
            return;
        }
        let at = (y as usize * self.width as usize + x as usize) * 3;
        let (r, g, b) = colour.rgb;
        let share = (colour.alpha * coverage).clamp(0.0, 1.0);
        for (below, over) in self.pixels[at..at + 3].iter_mut().zip([r, g, b]) {
            let (from, to) = (f64::from(*below), f64::from(over));
            *below = (from + (to - from) * share).round() as u8;
        }
    }

    /// Draws what is within half of a pixel of a shape, whose `distance` to the middle of a pixel is negative inside.
    fn shape(
        &mut self,
        (left, top): BackendCoord,
        (right, bottom): BackendCoord,
        colour: BackendColor,
        distance: impl Fn(f64, f64) -> f64,
    ) {
        for y in top.max(0)..=bottom.min(self.height as i32) {
            for x in left.max(0)..=right.min(self.width as i32) {
                let coverage = 0.5 - distance(f64::from(x), f64::from(y));
                if coverage > 0.0 {
                    self.blend(x, y, colour, coverage.min(1.0));
                }
            }
        }
    }
}

impl DrawingBackend for Bitmap<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, colour: BackendColor) -> Drawn {
        self.blend(x, y, colour, 1.0);
        Ok(())
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn {
        let half = f64::from(style.stroke_width()) / 2.0;
        let reach = half.ceil() as i32 + 1;
        let [(ax, ay), (bx, by)] = [from, to].map(|(x, y)| (f64::from(x), f64::from(y)));
        let (dx, dy) = (bx - ax, by - ay);
        let squared = dx * dx + dy * dy;
        let least = (from.0.min(to.0) - reach, from.1.min(to.1) - reach);
        let most = (from.0.max(to.0) + reach, from.1.max(to.1) + reach);
        self.shape(least, most, style.color(), |x, y| {
            let along = match squared {
                0.0 => 0.0,
                squared => (((x - ax) * dx + (y - ay) * dy) / squared).clamp(0.0, 1.0),
            };
            let (x, y) = (x - ax - along * dx, y - ay - along * dy);
            (x * x + y * y).sqrt() - half
        });
        Ok(())
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        let mut path = path.into_iter();
        let Some(mut from) = path.next() else { return Ok(()) };
        for to in path {
            self.draw_line(from, to, style)?;
            from = to;
        }
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        (x, y): BackendCoord,
        radius: u32,
        style: &S,
        fill: bool,
    ) -> Drawn {
        let half = f64::from(style.stroke_width()) / 2.0;
        let reach = radius as i32 + half.ceil() as i32 + 1;
        let (cx, cy, radius) = (f64::from(x), f64::from(y), f64::from(radius));
        self.shape((x - reach, y - reach), (x + reach, y + reach), style.color(), |x, y| {
            let outwards = ((x - cx) * (x - cx) + (y - cy) * (y - cy)).sqrt() - radius;
            if fill { outwards } else { outwards.abs() - half }
        });
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, (x, y): BackendCoord) -> Drawn {
        let (width, height) = self.estimate_text_size(text, style)?;
        let (width, height) = (width as i32, height as i32);
        let left = match style.anchor().h_pos {
            HPos::Left => 0,
            HPos::Center => -width / 2,
            HPos::Right => -width,
        };
        let top = match style.anchor().v_pos {
            VPos::Top => 0,
            VPos::Center => -height / 2,
            VPos::Bottom => -height,
        };
        let size = raster(style.size());
        let glyphs = text.chars().map(|c| glyph(c, size));
        for (i, glyph) in (0..).zip(glyphs) {
            let Some(glyph) = glyph else { continue };
            for (row, levels) in (0..).zip(glyph.rows()) {
                for (column, &level) in (0..).zip(levels) {
                    let along = left + i * glyph.width() as i32 + column;
                    let (dx, dy) = style.transform().transform(along, top + row);
                    self.blend(x + dx, y + dy, style.color(), f64::from(level) / 255.0);
                }
            }
        }
        Ok(())
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        style: &S,
    ) -> Result<(u32, u32), DrawingErrorKind<Infallible>> {
        let size = raster(style.size());
        let width = get_raster_width(FontWeight::Regular, size) * text.chars().count();
        Ok((width as u32, size.val() as u32))
    }
}

/// The pixels of the letters, of the two sizes there are.
fn raster(size: f64) -> RasterHeight {
    if size < 22.0 { RasterHeight::Size20 } else { RasterHeight::Size24 }
}

/// A letter; a question mark for those that the font does not have.
fn glyph(letter: char, size: RasterHeight) -> Option<RasterizedChar> {
    let find = |letter| get_raster(letter, FontWeight::Regular, size);
    find(letter).or_else(|| find('?'))
}

/// The pixels as PNG.
pub(super) fn encode(width: u32, height: u32, pixels: &[u8]) -> Result<Vec<u8>, PlotError> {
    let mut png = Vec::new();
    // A chart is mostly areas of one colour, which filters make larger.
    PngEncoder::new_with_quality(&mut png, CompressionType::Best, FilterType::NoFilter)
        .write_image(pixels, width, height, ExtendedColorType::Rgb8)
        .map_err(|problem| PlotError::Draw { problem: problem.to_string() })?;
    Ok(png)
}
