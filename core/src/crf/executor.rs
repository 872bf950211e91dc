//! Who does the work: phases that can be split anywhere, and the executor that splits them.

/// One step of the computation. Every unit of its output is a function of the unit's place alone, so that an executor
/// may compute any ranges of units in any order, on any number of threads: the result is the same, bit for bit.
///
/// The phases of this module are `#[inline(always)]`: an executor that calls them from a function compiled for wider
/// vectors gets them in wider vectors. (With the same result: there is no fused multiply-add in them, which would round
/// otherwise, and sums have one order.)
pub trait Phase: Sync {
    /// An element of the output.
    type Item: Send;

    /// Elements that are computed together: outputs are split between units only.
    fn unit(&self) -> usize;

    /// Computes `out`, whole units that begin at element `first` of the output.
    fn run(&self, first: usize, out: &mut [Self::Item]);
}

/// Runs phases.
pub trait Executor: Sync {
    /// Computes every element of `out`, whole units of `phase`.
    fn run<P: Phase>(&self, phase: &P, out: &mut [P::Item]);

    /// Calls both functions, one after the other or side by side.
    fn both<A: Send, B: Send>(&self, first: impl FnOnce() -> A + Send, second: impl FnOnce() -> B + Send) -> (A, B) {
        (first(), second())
    }
}

/// One thread: the caller's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sequential;

impl Executor for Sequential {
    fn run<P: Phase>(&self, phase: &P, out: &mut [P::Item]) {
        phase.run(0, out);
    }
}
