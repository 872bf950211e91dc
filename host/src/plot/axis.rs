//! Axes: a range with round ticks, and what stands beside them.

/// An axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    step: f64,
}

impl Axis {
    /// An axis for values from `low` to `high`, widened to round numbers, with about `ticks` ticks.
    pub(super) fn around(low: f64, high: f64, ticks: f64) -> Self {
        let (mut low, mut high) = (low, high);
        // From 0 where that does not squeeze the curve.
        if low > 0.0 && low < 0.5 * high {
            low = 0.0;
        }
        // Values that hardly differ, in the middle.
        let middle = 0.5 * (low + high);
        let narrow = 1e-3 * middle.abs();
        if high - low <= narrow {
            let room = if middle == 0.0 { 1.0 } else { 0.5 * middle.abs() };
            (low, high) = (middle - room, middle + room);
        }
        let step = round_step((high - low) / ticks);
        Self { low: (low / step + 1e-9).floor() * step, high: (high / step - 1e-9).ceil() * step, step }
    }

    /// An axis of whole numbers from `low` to `high` and no further.
    pub(super) fn whole(low: f64, high: f64, ticks: f64) -> Self {
        let (low, high) = if high - low < 1.0 { (low - 1.0, high + 1.0) } else { (low, high) };
        Self { low, high, step: round_step((high - low) / ticks).max(1.0) }
    }

    /// Where a value is, from 0 at the low end to 1.
    pub(super) fn share(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    /// The ticks, with what stands beside them.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let first = (self.low / self.step - 1e-6).ceil();
        let count = ((self.high / self.step + 1e-6).floor() - first).clamp(0.0, 100.0) as u32;
        let largest = self.low.abs().max(self.high.abs());
        (0..=count)
            .map(|index| (first + f64::from(index)) * self.step)
            .map(|value| (value, label(value, self.step, largest)))
            .collect()
    }
}

/// The smallest of 1, 2 and 5 times a power of ten that is not below `step`.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .map(|factor| factor * power)
        .into_iter()
        .find(|round| *round >= step * (1.0 - 1e-9))
        .unwrap_or(step)
}

/// A tick's number, with as many digits as the step needs; very small and very large ones with an exponent.
fn label(value: f64, step: f64, largest: f64) -> String {
    let value = if value.abs() < 1e-6 * step { 0.0 } else { value };
    let decimals = |step: f64| (-(step.log10() + 1e-9).floor()).max(0.0) as usize;
    if (1e-4..1e6).contains(&largest) && step >= 1e-6 {
        return format!("{value:.*}", decimals(step)).replace('-', "−");
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let exponent = (largest.log10() + 1e-9).floor();
    let power = 10_f64.powf(exponent);
    format!("{:.*}e{exponent}", decimals(step / power), value / power).replace('-', "−")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks().into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(labels(&Axis::around(0.12, 0.71, 5.0)), ["0.0", "0.2", "0.4", "0.6", "0.8"]);
        assert_eq!(labels(&Axis::around(41.0, 67.5, 5.0)), ["40", "50", "60", "70"]);
        assert_eq!(labels(&Axis::around(-3.0, 3.0, 5.0)), ["−4", "−2", "0", "2", "4"]);
        assert_eq!(
            labels(&Axis::around(0.001, 0.001, 5.0)),
            ["0.0004", "0.0006", "0.0008", "0.0010", "0.0012", "0.0014", "0.0016"]
        );
        assert_eq!(labels(&Axis::around(0.0, 3e-5, 3.0)), ["0", "1e−5", "2e−5", "3e−5"]);
        assert_eq!(labels(&Axis::around(0.0, 0.0, 4.0)), ["−1.0", "−0.5", "0.0", "0.5", "1.0"]);
    }

    #[test]
    fn epochs_are_whole() {
        assert_eq!(labels(&Axis::whole(1.0, 20.0, 5.0)), ["5", "10", "15", "20"]);
        assert_eq!(labels(&Axis::whole(1.0, 3.0, 5.0)), ["1", "2", "3"]);
        assert_eq!(labels(&Axis::whole(1.0, 1.0, 5.0)), ["0", "1", "2"]);
    }

    proptest! {
        #[test]
        fn an_axis_holds_its_values_and_has_a_few_ticks(low in -1e6_f64..1e6, span in 0.0..1e6_f64, power in -9..4) {
            let scale = 10_f64.powi(power);
            let (low, high) = (low * scale, (low + span) * scale);
            let axis = Axis::around(low, high, 5.0);
            prop_assert!(axis.share(low) >= -1e-6 && axis.share(high) <= 1.0 + 1e-6, "{axis:?}");
            let ticks = axis.ticks();
            prop_assert!((3..=9).contains(&ticks.len()), "{ticks:?}");
            prop_assert!(ticks.windows(2).all(|pair| pair[0].1 != pair[1].1), "{ticks:?}");
        }
    }
}
