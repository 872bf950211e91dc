//! Colours as three numbers of 0 to 1.

/// Red, green, blue.
pub(super) type Rgb = [f32; 3];

/// From hue in degrees (any), saturation and value (0 to 1).
pub(super) fn hsv(hue: f32, saturation: f32, value: f32) -> Rgb {
    let sector = hue.rem_euclid(360.0) / 60.0;
    [5.0, 3.0, 1.0].map(|offset: f32| {
        let k = (offset + sector).rem_euclid(6.0);
        value * (1.0 - saturation * k.min(4.0 - k).clamp(0.0, 1.0))
    })
}

/// `a` at 0, `b` at 1.
pub(super) fn mix(a: Rgb, b: Rgb, amount: f32) -> Rgb {
    std::array::from_fn(|c| a[c] + (b[c] - a[c]) * amount)
}

/// Brighter or darker by a factor.
pub(super) fn scale(colour: Rgb, factor: f32) -> Rgb {
    colour.map(|channel| channel * factor)
}

/// 0 below `low`, 1 above `high`, smooth between.
pub(super) fn smoothstep(low: f32, high: f32, x: f32) -> f32 {
    let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}
