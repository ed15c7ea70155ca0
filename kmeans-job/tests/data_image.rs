//! Reading pixels of images and writing images of few colours.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use kmeans_job::data::image::{EXTENSIONS, ImageError, RgbPixels, decode_rgb, load_rgb};
use kmeans_job::data::{self, LoadError, Points};
use kmeans_job::palette::{PaletteError, encode_png, write_png};
use proptest::prelude::*;

const ASTRONAUT: &[u8] = include_bytes!("../assets/astronaut.jpg");

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).expect("an image in memory");
    bytes.into_inner()
}

/// An image in which every pixel has another colour.
fn colourful(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([(x * 7) as u8, (y * 11) as u8, (x * y) as u8]))
}

fn pixels(image: &RgbImage) -> Vec<[u8; 3]> {
    image.pixels().map(|pixel| pixel.0).collect()
}

#[test]
fn lossless_formats_give_their_pixels_row_by_row() {
    let image = colourful(31, 17);
    let formats =
        [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::WebP, ImageFormat::Pnm];
    for format in formats {
        let read = decode_rgb(&encoded(&DynamicImage::ImageRgb8(image.clone()), format)).unwrap();
        assert_eq!(read, RgbPixels { width: 31, height: 17, pixels: pixels(&image) }, "{format:?}");
    }
}

#[test]
fn the_photograph_becomes_a_point_a_pixel() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/astronaut.jpg");
    let image = load_rgb(&path).unwrap();
    assert_eq!((image.width, image.height, image.pixels.len()), (512, 512, 262_144));
    assert_eq!(image, decode_rgb(ASTRONAUT).unwrap());
    let Points::F32(points) = data::load(&path, &|| false).unwrap() else { panic!("not f32") };
    assert_eq!((points.rows(), points.d()), (262_144, 3));
    for at in [0, 1, 511, 512, 262_143] {
        assert_eq!(points.row(at), Some(&image.pixels[at].map(f32::from)[..]), "pixel {at}");
    }
}

#[test]
fn grey_alpha_and_16_bit_images_become_8_bit_colours() {
    let grey = DynamicImage::ImageLuma8(GrayImage::from_pixel(1, 1, Luma([9])));
    assert_eq!(decode_rgb(&encoded(&grey, ImageFormat::Png)).unwrap().pixels, [[9, 9, 9]]);
    let transparent = DynamicImage::ImageRgba8(RgbaImage::from_pixel(1, 1, Rgba([1, 2, 3, 0])));
    assert_eq!(decode_rgb(&encoded(&transparent, ImageFormat::Png)).unwrap().pixels, [[1, 2, 3]]);
    let deep = DynamicImage::ImageRgb16(ImageBuffer::from_pixel(1, 1, Rgb([0, 0x8080, 0xffff])));
    assert_eq!(decode_rgb(&encoded(&deep, ImageFormat::Png)).unwrap().pixels, [[0, 128, 255]]);
}

#[test]
fn the_orientation_tag_turns_a_photograph_upright() {
    // Exif with one entry: orientation (0x0112), one short, 6: turn right by 90 degrees.
    let exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let jpeg = encoded(&DynamicImage::ImageRgb8(colourful(32, 16)), ImageFormat::Jpeg);
    let mut turned = jpeg[..2].to_vec();
    turned.extend([0xff, 0xe1]);
    turned.extend((exif.len() as u16 + 2).to_be_bytes());
    turned.extend(exif);
    turned.extend(&jpeg[2..]);

    let (flat, upright) = (decode_rgb(&jpeg).unwrap(), decode_rgb(&turned).unwrap());
    assert_eq!((flat.width, flat.height), (32, 16));
    assert_eq!((upright.width, upright.height), (16, 32));
    assert_eq!(upright.pixels[15], flat.pixels[0], "the top left corner comes to the top right");
}

#[test]
fn the_content_says_what_an_image_is_and_the_case_of_the_extension_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("really-a-png.JPG");
    fs::write(&path, encoded(&DynamicImage::ImageRgb8(colourful(3, 2)), ImageFormat::Png)).unwrap();
    let points = data::load(&path, &|| false).unwrap();
    assert_eq!((points.rows(), points.d()), (6, 3));
}

#[test]
fn files_that_are_no_images_are_refused_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    for extension in EXTENSIONS {
        let path = folder.path().join(format!("picture.{extension}"));
        fs::write(&path, "not a picture").unwrap();
        let error = data::load(&path, &|| false).unwrap_err();
        assert!(matches!(error, LoadError::Image { problem: ImageError::NotAnImage, .. }), "{error:?}");
        let message = error.to_string();
        assert!(message.contains("picture.") && message.contains("convert it to .png"), "{message}");
    }
    assert_eq!(decode_rgb(b""), Err(ImageError::Empty));
}

#[test]
fn a_photograph_without_its_end_is_refused_rather_than_filled_with_grey() {
    for length in [ASTRONAUT.len() - 1, ASTRONAUT.len() - 2, ASTRONAUT.len() / 2, 1000] {
        let error = decode_rgb(&ASTRONAUT[..length]).unwrap_err();
        assert!(matches!(error, ImageError::Damaged { .. }), "{length}: {error:?}");
    }
    let with_more_behind = [ASTRONAUT, b"what a phone adds"].concat();
    assert!(decode_rgb(&with_more_behind).is_ok());
}

#[test]
fn an_image_that_claims_to_be_huge_is_refused_before_it_is_decoded() {
    assert_eq!(decode_rgb(b"P6 100000 1 255 "), Err(ImageError::TooLarge));
    assert_eq!(decode_rgb(b"P6 60000 60000 255 "), Err(ImageError::TooLarge));
    assert!(ImageError::TooLarge.to_string().contains("65535"));
}

#[test]
fn an_interrupted_load_of_an_image_ends() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/astronaut.jpg");
    assert!(matches!(data::load(&path, &|| true), Err(LoadError::Interrupted)));
}

#[test]
fn up_to_256_colours_are_written_as_an_indexed_image() {
    for colours in [1, 2, 3, 16, 255, 256] {
        let palette: Vec<[u8; 3]> = (0..colours).map(|i| [i as u8, (i * 3) as u8, 255 - i as u8]).collect();
        let labels: Vec<i32> = (0..20 * 30).map(|i| i * 7 % colours).collect();
        let png = encode_png(20, 30, &palette, &labels).unwrap();
        assert_eq!(png[25], 3, "the colour type of an indexed image");
        let read = decode_rgb(&png).unwrap();
        let expected: Vec<[u8; 3]> = labels.iter().map(|&label| palette[label as usize]).collect();
        assert_eq!(read, RgbPixels { width: 20, height: 30, pixels: expected }, "{colours} colours");
    }
}

#[test]
fn more_than_256_colours_are_written_as_an_rgb_image() {
    let palette: Vec<[u8; 3]> = (0..300).map(|i| [i as u8, (i / 2) as u8, (i / 3) as u8]).collect();
    let labels: Vec<i32> = (0..300).rev().collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("few.png");
    write_png(&path, 15, 20, &palette, &labels).unwrap();
    let expected: Vec<[u8; 3]> = palette.iter().rev().copied().collect();
    assert_eq!(load_rgb(&path).unwrap().pixels, expected);
}

#[test]
fn labels_that_do_not_fit_are_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("few.png");
    let palette = [[0, 0, 0], [9, 9, 9]];
    for (width, height, labels) in [(2, 2, &[0, 1, 0][..]), (0, 5, &[]), (1, 1, &[0, 0])] {
        let error = write_png(&path, width, height, &palette, labels).unwrap_err();
        assert!(matches!(error, PaletteError::Size { .. }), "{error}");
    }
    for label in [2, -1, i32::MIN] {
        let error = write_png(&path, 2, 1, &palette, &[0, label]).unwrap_err();
        assert!(matches!(error, PaletteError::Label { colours: 2, .. }), "{error}");
    }
    let error = write_png(&folder.path().join("no/few.png"), 1, 1, &palette, &[0]).unwrap_err();
    assert!(matches!(error, PaletteError::Output(_)), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_image_of_few_colours_comes_back(
        palette in prop::collection::vec(any::<[u8; 3]>(), 1..300),
        width in 1_u32..20,
        height in 1_u32..20,
        seed: u32,
    ) {
        let labels: Vec<i32> = (0..width * height)
            .map(|i| (i.wrapping_mul(2_654_435_761).wrapping_add(seed) % palette.len() as u32) as i32)
            .collect();
        let read = decode_rgb(&encode_png(width, height, &palette, &labels).unwrap()).unwrap();
        let expected: Vec<[u8; 3]> = labels.iter().map(|&label| palette[label as usize]).collect();
        prop_assert_eq!(read, RgbPixels { width, height, pixels: expected });
    }

    #[test]
    fn a_part_of_an_image_is_an_error(cut in 0.0..1.0_f64, format in prop::sample::select(vec![
        ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Bmp, ImageFormat::Gif, ImageFormat::Tiff,
        ImageFormat::WebP, ImageFormat::Pnm,
    ])) {
        let whole = encoded(&DynamicImage::ImageRgb8(colourful(40, 30)), format);
        // The last bytes of some formats are padding or a checksum behind the last pixel.
        let length = (cut * (whole.len() - 12) as f64) as usize;
        prop_assert!(decode_rgb(&whole[..length]).is_err(), "{:?} cut at {} of {}", format, length, whole.len());
    }

    #[test]
    fn damaged_images_give_an_error_or_pixels(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        format in prop::sample::select(vec![
            ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Bmp, ImageFormat::Gif, ImageFormat::Tiff,
            ImageFormat::WebP, ImageFormat::Pnm,
        ]),
    ) {
        let mut bytes = encoded(&DynamicImage::ImageRgb8(colourful(16, 12)), format);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(image) = decode_rgb(&bytes) {
            prop_assert_eq!(image.pixels.len() as u64, u64::from(image.width) * u64::from(image.height));
        }
    }
}
