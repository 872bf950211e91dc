//! What running one case on one backend showed.

use std::collections::BTreeSet;

use crate::{bench::Bench, failure::Failure, golden::Golden};

/// Largest distance between computed and expected values.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Distance {
    /// Largest absolute difference.
    pub absolute: f64,
    /// Largest absolute difference, divided by the largest absolute expected value.
    pub relative: f64,
}

impl Distance {
    /// The distance between two lists of values. Not comparable is infinitely far: another length, or a value that
    /// is not a number on one side only. Where every expected value is 0, any difference is infinitely large.
    #[must_use]
    pub fn between(computed: &[f64], expected: &[f64]) -> Self {
        const APART: Distance = Distance { absolute: f64::INFINITY, relative: f64::INFINITY };
        if computed.len() != expected.len() {
            return APART;
        }
        let mut absolute = 0.0_f64;
        for (&computed, &expected) in computed.iter().zip(expected) {
            let same = computed == expected || (computed.is_nan() && expected.is_nan());
            let difference = if same { 0.0 } else { (computed - expected).abs() };
            // Comparisons with NaN are false, so it has to be asked for.
            if difference.is_nan() {
                return APART;
            }
            absolute = absolute.max(difference);
        }
        let largest =
            expected.iter().filter(|value| value.is_finite()).fold(0.0_f64, |peak, value| peak.max(value.abs()));
        let relative = if absolute == 0.0 { 0.0 } else { absolute / largest };
        Self { absolute, relative }
    }

    /// The larger of the two, in each measure.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { absolute: self.absolute.max(other.absolute), relative: self.relative.max(other.relative) }
    }
}

/// Collects the comparisons of one case on one backend.
#[derive(Debug)]
pub struct Checks<'a> {
    golden: &'a Golden,
    tolerance: f64,
    distance: Distance,
    compared: BTreeSet<String>,
    not_applicable: BTreeSet<String>,
    complaints: Vec<String>,
}

/// The outcome of a case on a backend.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The largest distance over all comparisons.
    pub distance: Distance,
    /// Expected outputs that the backend is not meant to produce, such as gradients without automatic differentiation.
    pub not_applicable: Vec<String>,
    /// What is wrong, one phrase a comparison; empty if all is well.
    pub complaints: Vec<String>,
}

impl<'a> Checks<'a> {
    /// No comparison yet.
    #[must_use]
    pub fn new(golden: &'a Golden, tolerance: f64) -> Self {
        Self {
            golden,
            tolerance,
            distance: Distance::default(),
            compared: BTreeSet::new(),
            not_applicable: BTreeSet::new(),
            complaints: Vec::new(),
        }
    }

    /// The file the expected values come from.
    #[must_use]
    pub fn golden(&self) -> &'a Golden {
        self.golden
    }

    /// Whether the file expects an output of that name.
    #[must_use]
    pub fn wants(&self, output: &str) -> bool {
        self.golden.has(&format!("out.{output}"))
    }

    /// Compares a tensor with `out.{output}` within the backend's tolerance; nothing if the file has no such output.
    /// `way` says how it was computed, such as `definition` or `override`.
    ///
    /// # Errors
    /// [`Failure`] if the tensor or the expected output cannot be read.
    pub fn close<B: Bench>(&mut self, bench: &B, output: &str, way: &str, tensor: &B::T) -> Result<(), Failure> {
        use wseg_core::Tensor;
        self.close_values(output, way, &tensor.shape().extents(), &bench.read(tensor)?)
    }

    /// As [`close`](Self::close), but every value must be equal.
    ///
    /// # Errors
    /// [`Failure`] if the tensor or the expected output cannot be read.
    pub fn equal<B: Bench>(&mut self, bench: &B, output: &str, way: &str, tensor: &B::T) -> Result<(), Failure> {
        use wseg_core::Tensor;
        self.equal_values(output, way, &tensor.shape().extents(), &bench.read(tensor)?)
    }

    /// As [`close`](Self::close), for values outside a tensor.
    ///
    /// # Errors
    /// [`Failure`] if the expected output cannot be read.
    pub fn close_values(&mut self, output: &str, way: &str, extents: &[usize], values: &[f64]) -> Result<(), Failure> {
        self.compare(output, way, extents, values, self.tolerance)
    }

    /// As [`equal`](Self::equal), for values outside a tensor.
    ///
    /// # Errors
    /// [`Failure`] if the expected output cannot be read.
    pub fn equal_values(&mut self, output: &str, way: &str, extents: &[usize], values: &[f64]) -> Result<(), Failure> {
        self.compare(output, way, extents, values, 0.0)
    }

    /// Notes that the backend is not meant to produce `out.{output}`.
    pub fn not_applicable(&mut self, output: &str) {
        self.not_applicable.insert(output.to_owned());
    }

    fn compare(
        &mut self,
        output: &str,
        way: &str,
        extents: &[usize],
        values: &[f64],
        tolerance: f64,
    ) -> Result<(), Failure> {
        if !self.wants(output) {
            return Ok(());
        }
        let expected = self.golden.array(&format!("out.{output}"))?;
        self.compared.insert(output.to_owned());
        // `[n, c]` in the file is `[n, c, 1, 1]` here: extents of 1 say nothing.
        let longer_than_one = |extents: &[usize]| extents.iter().copied().filter(|&e| e != 1).collect::<Vec<_>>();
        if longer_than_one(extents) != longer_than_one(&expected.extents) {
            self.complaints.push(format!("`{output}` ({way}) has shape {extents:?}, expected {:?}", expected.extents));
            self.distance = Distance::between(&[0.0], &[]);
            return Ok(());
        }
        let distance = Distance::between(values, &expected.values);
        self.distance = self.distance.max(distance);
        // Asked this way round, a distance that is not a number does not pass.
        let within = distance.relative <= tolerance;
        if !within {
            self.complaints.push(format!(
                "`{output}` ({way}) is off by {:.1e}, {:.1e} of the largest value, allowed {tolerance:.0e}",
                distance.absolute, distance.relative
            ));
        }
        Ok(())
    }

    /// Ends the case: every expected output of the file must have been compared or declared not applicable.
    #[must_use]
    pub fn finish(mut self) -> Report {
        for output in self.golden.outputs() {
            if !self.compared.contains(&output) && !self.not_applicable.contains(&output) {
                self.complaints.push(format!("expected output `{output}` is not known to this op"));
            }
        }
        if self.compared.is_empty() {
            self.complaints.push("the file holds no expected output that can be compared".to_owned());
        }
        Report {
            distance: self.distance,
            not_applicable: self.not_applicable.into_iter().collect(),
            complaints: self.complaints,
        }
    }
}
