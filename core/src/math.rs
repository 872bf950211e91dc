//! Exponential and logarithm in f32, in code that vectorises.

/// Natural logarithm of 2 as a sum of two numbers, the first with so few digits that its multiples are exact.
const LN2: (f32, f32) = (0.693_359_4, -2.121_944_4e-4);

/// e to the power `x`, to 2 units in the last place; 0 below -87.3, infinite above 88.72. A NaN is not hidden.
#[inline(always)]
#[must_use]
pub fn exp(x: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to an integer, which then stands in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    // Outside these bounds the result is 0 or infinite.
    const BOUNDS: (f32, f32) = (-87.3, 88.72);
    let bounded = if x > BOUNDS.0 { x } else { BOUNDS.0 };
    let bounded = if bounded < BOUNDS.1 { bounded } else { BOUNDS.1 };
    let rounded = bounded * core::f32::consts::LOG2_E + ROUND;
    let power = rounded - ROUND;
    let r = bounded - power * LN2.0 - power * LN2.1;
    // The Taylor series; |r| is at most ln(2) / 2, where the first term left out is 3e-9.
    let series = 1.0 / 5040.0;
    let series = series * r + 1.0 / 720.0;
    let series = series * r + 1.0 / 120.0;
    let series = series * r + 1.0 / 24.0;
    let series = series * r + 1.0 / 6.0;
    let series = series * r + 0.5;
    let series = (series * r + 1.0) * r + 1.0;
    // 2^power in two factors: the power may be 128, which one factor cannot hold.
    let integer = (rounded.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let half = integer >> 1;
    let factor = |power: i32| f32::from_bits(((power + 127) << 23) as u32);
    let value = series * factor(half) * factor(integer - half);
    let value = if x < BOUNDS.0 { 0.0 } else { value };
    let value = if x > BOUNDS.1 { f32::INFINITY } else { value };
    // The comparisons above are all false for a NaN.
    if x.is_nan() { x } else { value }
}

/// Natural logarithm of a positive, normal number, to 2 units in the last place (near 1: of 1e-7).
#[inline(always)]
#[must_use]
pub fn ln(x: f32) -> f32 {
    // The bits of sqrt(1/2): mantissas lie between it and sqrt(2).
    const HALF: u32 = 0x3f35_04f3;
    let bits = x.to_bits().wrapping_sub(HALF);
    let power = (bits.cast_signed() >> 23) as f32;
    let mantissa = f32::from_bits((bits & 0x007f_ffff) + HALF);
    // ln m = 2 artanh s; |s| is at most 0.172, where the first term left out is 4e-10.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let z = s * s;
    let series = 1.0 / 9.0;
    let series = series * z + 1.0 / 7.0;
    let series = series * z + 1.0 / 5.0;
    let series = series * z + 1.0 / 3.0;
    let series = 2.0 * s + 2.0 * s * (series * z);
    power * LN2.0 + (power * LN2.1 + series)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_exact_to_two_units() {
        for step in -87_300..88_700 {
            let x = 0.001 * step as f32;
            let (value, exact) = (f64::from(exp(x)), libm::exp(f64::from(x)));
            assert!((value - exact).abs() <= 2.4e-7 * exact, "exp({x}) = {value:e}, exactly {exact:e}");
        }
        assert!(exp(f32::NAN).is_nan() && exp(89.0).is_infinite());
        assert_eq!((exp(0.0), exp(-100.0), exp(f32::NEG_INFINITY), exp(f32::MIN)), (1.0, 0.0, 0.0, 0.0));
    }

    #[test]
    fn ln_is_exact_to_two_units() {
        let mut x = 1e-30_f32;
        while x < 2.0 {
            let (value, exact) = (f64::from(ln(x)), libm::log(f64::from(x)));
            assert!((value - exact).abs() <= 2.4e-7 * exact.abs().max(0.5), "ln({x:e}) = {value}, exactly {exact}");
            x *= 1.001;
        }
        assert_eq!(ln(1.0), 0.0);
    }
}
