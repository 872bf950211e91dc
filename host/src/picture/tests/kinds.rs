//! Kinds of pictures that cameras and programs write: channels, depths, orientations.

use super::*;

#[test]
fn pngs_of_every_kind_become_rgb() {
    let colours = gradient(19, 11);
    assert_eq!(photo(&png_of(colours.clone())).unwrap(), colours);
    let grey = DynamicImage::from(colours.clone()).into_luma8();
    let as_rgb = DynamicImage::from(grey.clone()).into_rgb8();
    assert_eq!(photo(&png_of(grey)).unwrap(), as_rgb);
    let deep = DynamicImage::from(colours.clone()).into_rgb16();
    assert_eq!(photo(&png_of(deep)).unwrap(), colours);
    let indices = raw_png(3, 1, ColorType::Indexed, BitDepth::Two, &[0b00_01_11_00]);
    let painted: Vec<u8> = [0, 1, 3].iter().flat_map(|&label| palette::colour(label)).collect();
    assert_eq!(photo(&indices).unwrap().into_raw(), painted);
    let sheer = image::RgbaImage::from_raw(3, 1, vec![200, 0, 0, 255, 200, 0, 0, 0, 200, 0, 100, 51]).unwrap();
    assert_eq!(photo(&png_of(sheer)).unwrap().into_raw(), [200, 0, 0, 255, 255, 255, 244, 204, 224]);
    // Sixteen bits, grey and with transparency; grey with transparency; one bit.
    let deep_grey = raw_png(2, 1, ColorType::Grayscale, BitDepth::Sixteen, &[0x80, 0x80, 0xff, 0xff]);
    assert_eq!(photo(&deep_grey).unwrap().into_raw(), [128, 128, 128, 255, 255, 255]);
    let deep_sheer = [0x12, 0x12, 0x34, 0x34, 0x56, 0x56, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0];
    let deep_sheer = raw_png(2, 1, ColorType::Rgba, BitDepth::Sixteen, &deep_sheer);
    assert_eq!(photo(&deep_sheer).unwrap().into_raw(), [0x12, 0x34, 0x56, 255, 255, 255]);
    let sheer_grey = raw_png(2, 1, ColorType::GrayscaleAlpha, BitDepth::Eight, &[9, 255, 9, 0]);
    assert_eq!(photo(&sheer_grey).unwrap().into_raw(), [9, 9, 9, 255, 255, 255]);
    let black_and_white = raw_png(3, 1, ColorType::Grayscale, BitDepth::One, &[0b1010_0000]);
    assert_eq!(photo(&black_and_white).unwrap().into_raw(), [255, 255, 255, 0, 0, 0, 255, 255, 255]);
}

/// The one colour of a flat JPEG.
fn colour_of(bytes: &[u8]) -> [u8; 3] {
    let picture = photo(bytes).unwrap();
    assert_eq!(picture.dimensions(), (8, 8));
    picture.get_pixel(4, 4).0
}

#[test]
fn jpegs_of_every_kind_have_the_right_colours() {
    for (adobe, channels, expected) in [
        (None, &[255][..], [255; 3]),
        (Some(0), &[0], [0; 3]),
        (None, &[128, 128, 128], [128; 3]),
        (Some(1), &[0, 128, 255], [178, 0, 0]),
        // CMYK is inverted: 255 is no ink.
        (Some(0), &[255, 255, 255, 255], [255; 3]),
        (Some(0), &[0, 255, 255, 255], [0, 255, 255]),
        (Some(0), &[255, 255, 255, 0], [0; 3]),
        (None, &[255, 0, 255, 255], [255, 0, 255]),
        (None, &[128, 255, 255, 128], [64, 128, 128]),
        // So is YCCK: its luma is that of the ink.
        (Some(2), &[0, 128, 128, 255], [255; 3]),
        (Some(2), &[255, 128, 128, 255], [0; 3]),
        (Some(2), &[0, 128, 128, 0], [0; 3]),
        (Some(2), &[0, 255, 128, 255], [255, 255, 30]),
    ] {
        let pixel = colour_of(&flat_jpeg(adobe, channels));
        let near = pixel.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 3);
        assert!(near, "Adobe {adobe:?}, {channels:?}: {pixel:?} instead of {expected:?}");
    }
}

/// Decoders make them black, and say nothing.
#[test]
fn jpegs_of_unknown_channels_are_refused() {
    for (adobe, channels) in
        [(None, &[255, 255][..]), (Some(0), &[255, 255, 255]), (Some(2), &[255, 255, 255]), (None, &[255; 5])]
    {
        let bytes = flat_jpeg(adobe, channels);
        assert!(refusal(photo(&bytes)).contains("JPEG"), "Adobe {adobe:?}, {} channels", channels.len());
    }
}

#[test]
fn rare_kinds_of_jpeg_are_refused() {
    let plain = flat_jpeg(None, &[128]);
    let frame = plain.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    let changed = |at: usize, value: u8| {
        let mut bytes = plain.clone();
        bytes[frame + at] = value;
        refusal(photo(&bytes))
    };
    // Lossless and arithmetic coding; the decoder need not know their names.
    for code in [0xc3, 0xc9] {
        assert!(changed(1, code).contains("JPEG"), "frame {code:x}: {}", changed(1, code));
    }
    assert!(changed(4, 12).contains("12 bits"), "twelve bits: {}", changed(4, 12));
}

/// Where the pixel shown at (x, y) is stored, in a picture of `w` x `h` stored pixels (EXIF 2.3, tag 274).
fn stored(orientation: u8, (w, h): (u32, u32), (x, y): (u32, u32)) -> (u32, u32) {
    match orientation {
        2 => (w - 1 - x, y),
        3 => (w - 1 - x, h - 1 - y),
        4 => (x, h - 1 - y),
        5 => (y, x),
        6 => (y, h - 1 - x),
        7 => (w - 1 - y, h - 1 - x),
        8 => (w - 1 - y, x),
        _ => (x, y),
    }
}

/// `bytes` of a PNG with an eXIf chunk behind its header.
fn png_with_orientation(bytes: &[u8], orientation: u8) -> Vec<u8> {
    let content = [b"eXIf", tiff(orientation).as_slice()].concat();
    let length = (content.len() as u32 - 4).to_be_bytes();
    [&bytes[..33], &length, &content, &crc32(&content).to_be_bytes(), &bytes[33..]].concat()
}

#[test]
fn every_orientation_of_a_camera_is_applied() {
    let picture = gradient(32, 16);
    let (jpeg, png) = (jpeg(&picture), png_of(picture.clone()));
    let plain = photo(&jpeg).unwrap();
    // 0 and 9 are no orientations: the picture is shown as stored.
    for orientation in 0..=9 {
        let turned = (5..=8).contains(&orientation);
        let from_jpeg = photo(&with_orientation(&jpeg, orientation)).unwrap();
        let from_png = photo(&png_with_orientation(&png, orientation)).unwrap();
        for (shown, as_stored) in [(from_jpeg, &plain), (from_png, &picture)] {
            assert_eq!(shown.dimensions(), if turned { (16, 32) } else { (32, 16) }, "orientation {orientation}");
            for (x, y, pixel) in shown.enumerate_pixels() {
                let (column, row) = stored(orientation, (32, 16), (x, y));
                assert_eq!(pixel, as_stored.get_pixel(column, row), "orientation {orientation} at {x}, {y}");
            }
        }
    }
}

#[test]
fn names_in_capitals_and_wrong_endings_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["A.JPG", "B.Jpeg", "C.PNG", "jpeg-inside.png", "no-ending"] {
        let path = folder.path().join(name);
        std::fs::write(&path, jpeg(&gradient(9, 7))).unwrap();
        assert_eq!(read_photo(&path).unwrap().dimensions(), (9, 7), "{name}");
    }
}
