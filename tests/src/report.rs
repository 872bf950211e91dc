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
    /// Not comparable.
    const APART: Self = Self { absolute: f64::INFINITY, relative: f64::INFINITY };

    /// The distance between two lists of values. Not comparable is infinitely far: another length, or a value that
    /// is not a number on one side only. Where every expected value is 0, any difference is infinitely large.
    #[must_use]
    pub fn between(computed: &[f64], expected: &[f64]) -> Self {
        if computed.len() != expected.len() {
            return Self::APART;
        }
        let mut absolute = 0.0_f64;
        for (&computed, &expected) in computed.iter().zip(expected) {
            let same = computed == expected || (computed.is_nan() && expected.is_nan());
            let difference = if same { 0.0 } else { (computed - expected).abs() };
            // Comparisons with NaN are false, so it has to be asked for.
            if difference.is_nan() {
                return Self::APART;
            }
            absolute = absolute.max(difference);
        }
        let largest =
            expected.iter().filter(|value| value.is_finite()).fold(0.0_f64, |peak, value| peak.max(value.abs()));
        let relative = if absolute == 0.0 { 0.0 } else { absolute / largest };
        Self { absolute, relative }
    }

    /// As [`between`](Self::between), but `relative` is the largest relative error of any single value.
    #[must_use]
    pub fn between_each(computed: &[f64], expected: &[f64]) -> Self {
        if computed.len() != expected.len() {
            return Self::APART;
        }
        let single = |(computed, expected)| Self::between(&[computed], &[expected]);
        let pairs = computed.iter().copied().zip(expected.iter().copied());
        pairs.map(single).fold(Self::default(), Self::max)
    }

    /// The larger of the two, in each measure.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { absolute: self.absolute.max(other.absolute), relative: self.relative.max(other.relative) }
    }
}

/// A relative error and the largest one allowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Margin {
    /// The error found.
    pub relative: f64,
    /// The error allowed.
    pub tolerance: f64,
}

impl Margin {
    /// The share of what is allowed that is used up: beyond 1, a comparison fails.
    fn used(self) -> f64 {
        if self.relative == 0.0 { 0.0 } else { self.relative / self.tolerance }
    }
}

/// How two lists of values are compared.
#[derive(Clone, Copy)]
struct Measure {
    tolerance: f64,
    between: fn(&[f64], &[f64]) -> Distance,
    /// What the relative error is a share of.
    share_of: &'static str,
}

/// Collects the comparisons of one case on one backend.
#[derive(Debug)]
pub struct Checks<'a> {
    golden: &'a Golden,
    tolerance: f64,
    absolute: f64,
    tightest: Margin,
    compared: BTreeSet<String>,
    not_applicable: BTreeSet<String>,
    complaints: Vec<String>,
}

/// The outcome of a case on a backend.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The largest absolute error over all comparisons.
    pub absolute: f64,
    /// The comparison that used up most of what it is allowed. Where all outputs have the same tolerance, its error is
    /// the largest one.
    pub tightest: Margin,
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
            absolute: 0.0,
            tightest: Margin { relative: 0.0, tolerance },
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
        self.close_within(output, way, extents, values, self.tolerance)
    }

    /// As [`close_values`](Self::close_values), within a tolerance of the output's own.
    ///
    /// # Errors
    /// [`Failure`] if the expected output cannot be read.
    pub fn close_within(
        &mut self,
        output: &str,
        way: &str,
        extents: &[usize],
        values: &[f64],
        tolerance: f64,
    ) -> Result<(), Failure> {
        let measure = Measure { tolerance, between: Distance::between, share_of: "the largest value" };
        self.compare(output, way, extents, values, measure)
    }

    /// As [`close_within`](Self::close_within), each value's error being a share of that value alone: for lists of
    /// numbers of different kinds.
    ///
    /// # Errors
    /// [`Failure`] if the expected output cannot be read.
    pub fn each_close_within(
        &mut self,
        output: &str,
        way: &str,
        extents: &[usize],
        values: &[f64],
        tolerance: f64,
    ) -> Result<(), Failure> {
        let measure = Measure { tolerance, between: Distance::between_each, share_of: "the expected value" };
        self.compare(output, way, extents, values, measure)
    }

    /// Notes that `out.{output}` was judged in another way, with what was wrong with it.
    pub fn judged(&mut self, output: &str, complaint: Option<String>) {
        self.compared.insert(output.to_owned());
        self.complaints.extend(complaint);
    }

    /// As [`equal`](Self::equal), for values outside a tensor.
    ///
    /// # Errors
    /// [`Failure`] if the expected output cannot be read.
    pub fn equal_values(&mut self, output: &str, way: &str, extents: &[usize], values: &[f64]) -> Result<(), Failure> {
        self.close_within(output, way, extents, values, 0.0)
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
        Measure { tolerance, between, share_of }: Measure,
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
            self.note(Distance::APART, tolerance);
            return Ok(());
        }
        let distance = between(values, &expected.values);
        self.note(distance, tolerance);
        // Asked this way round, a distance that is not a number does not pass.
        let within = distance.relative <= tolerance;
        if !within {
            self.complaints.push(format!(
                "`{output}` ({way}) is off by {:.1e}, {:.1e} of {share_of}, allowed {tolerance:.0e}",
                distance.absolute, distance.relative
            ));
        }
        Ok(())
    }

    fn note(&mut self, distance: Distance, tolerance: f64) {
        self.absolute = self.absolute.max(distance.absolute);
        let margin = Margin { relative: distance.relative, tolerance };
        if margin.used() > self.tightest.used() {
            self.tightest = margin;
        }
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
            absolute: self.absolute,
            tightest: self.tightest,
            not_applicable: self.not_applicable.into_iter().collect(),
            complaints: self.complaints,
        }
    }
}
