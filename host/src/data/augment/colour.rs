//! Changes of colour as torchvision makes them of Pillow images: on bytes, and rounded to bytes after every change.

/// A change of the colours of a photo.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// Every channel times the factor.
    Brightness(f32),
    /// Away from the photo's mean grey, by the factor; below 1, towards it.
    Contrast(f32),
    /// Away from each pixel's own grey, by the factor; below 1, towards it.
    Saturation(f32),
    /// The hue turned by this share of a circle, from -0.5 to 0.5.
    Hue(f64),
}

impl Change {
    /// Changes interleaved RGB pixels.
    pub fn apply(self, pixels: &mut [u8]) {
        let (pixels, _) = pixels.as_chunks_mut::<3>();
        match self {
            Self::Brightness(factor) => through(pixels, &blends(0, factor)),
            Self::Contrast(factor) => through(pixels, &blends(mean_grey(pixels), factor)),
            Self::Saturation(factor) => {
                for pixel in pixels {
                    let grey = grey(*pixel);
                    *pixel = pixel.map(|value| blend(grey, value, factor));
                }
            }
            Self::Hue(turn) => {
                // Hues are bytes, so a whole circle is 255; the fraction is cut off towards 0.
                let steps = (turn * 255.0) as i32 as u8;
                let circle: [Hue; 256] = std::array::from_fn(|hue| Hue::of(hue as u8));
                for pixel in pixels {
                    *pixel = turned(*pixel, steps, &circle);
                }
            }
        }
    }
}

fn through(pixels: &mut [[u8; 3]], table: &[u8; 256]) {
    for value in pixels.as_flattened_mut() {
        *value = table[usize::from(*value)];
    }
}

/// The blends of one grey with every value.
fn blends(grey: u8, factor: f32) -> [u8; 256] {
    std::array::from_fn(|value| blend(grey, value as u8, factor))
}

/// From `grey` towards `value`, and beyond for factors above 1. Fractions are cut off, as in Pillow's `blend`.
fn blend(grey: u8, value: u8, factor: f32) -> u8 {
    // Conversion to a byte cuts off at 0 and 255.
    (f32::from(grey) + factor * (f32::from(value) - f32::from(grey))) as u8
}

/// Luma of ITU-R 601 in 16 bits, as Pillow's mode L.
fn grey([red, green, blue]: [u8; 3]) -> u8 {
    ((u32::from(red) * 19_595 + u32::from(green) * 38_470 + u32::from(blue) * 7_471 + 0x8000) >> 16) as u8
}

fn mean_grey(pixels: &[[u8; 3]]) -> u8 {
    let sum: u64 = pixels.iter().map(|pixel| u64::from(grey(*pixel))).sum();
    (sum as f64 / pixels.len().max(1) as f64 + 0.5) as u8
}

/// Through Pillow's HSV, whose three channels are bytes, and back. That loses a little even if nothing is turned.
fn turned(pixel: [u8; 3], steps: u8, circle: &[Hue; 256]) -> [u8; 3] {
    let [red, green, blue] = pixel;
    let (high, low) = (red.max(green).max(blue), red.min(green).min(blue));
    if high == low {
        return pixel;
    }
    let (hue, saturation) = hue_and_saturation(pixel, high, low);
    circle[usize::from(hue.wrapping_add(steps))].colour(saturation, high)
}

/// The mix of f32 and f64 is Pillow's: with one of them alone, some colours come out one step away.
fn hue_and_saturation([red, green, blue]: [u8; 3], high: u8, low: u8) -> (u8, u8) {
    let chroma = f32::from(high - low);
    let saturation = chroma / f32::from(high);
    let below = |value: u8| f32::from(high - value) / chroma;
    let sixths = if red == high {
        below(blue) - below(green)
    } else if green == high {
        (2.0 + f64::from(below(red)) - f64::from(below(blue))) as f32
    } else {
        (4.0 + f64::from(below(green)) - f64::from(below(red))) as f32
    };
    let circle = f64::from(sixths) / 6.0 + 1.0;
    // The remainder of 1, without a call.
    let circle = if circle >= 1.0 { circle - 1.0 } else { circle };
    ((f64::from(circle as f32) * 255.0) as u8, (f64::from(saturation) * 255.0) as u8)
}

/// A place on the circle of hues.
#[derive(Clone, Copy)]
struct Hue {
    /// Sixths of the circle before it. 6 is 0 again.
    sector: u8,
    /// How far it is in its sixth, from 0 to 1.
    rest: f32,
}

impl Hue {
    fn of(hue: u8) -> Self {
        let sixths = f64::from(hue) * 6.0 / 255.0;
        Self { sector: sixths as u8, rest: (sixths - sixths.floor()) as f32 }
    }

    fn colour(self, saturation: u8, value: u8) -> [u8; 3] {
        let share = (f64::from(saturation) / 255.0) as f32;
        // Rounded by cutting off, as calling a function for it takes longer than all the rest.
        let shade = |share: f64| (f64::from(value) * (1.0 - share) + 0.5) as u8;
        let low = shade(f64::from(share));
        let falling = || shade(f64::from(share * self.rest));
        let rising = || shade(f64::from(share) * (1.0 - f64::from(self.rest)));
        match self.sector {
            1 => [falling(), value, low],
            2 => [low, value, rising()],
            3 => [low, falling(), value],
            4 => [rising(), low, value],
            5 => [value, low, falling()],
            _ => [value, rising(), low],
        }
    }
}
