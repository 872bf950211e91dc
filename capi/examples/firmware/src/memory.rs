//! One array of numbers, handed out piece by piece.

/// What is left of the memory of a case.
pub(crate) struct Memory<'m> {
    rest: &'m mut [f32],
}

/// The memory is used up.
pub(crate) const FULL: &str = "the memory is used up";

impl<'m> Memory<'m> {
    pub(crate) fn new(rest: &'m mut [f32]) -> Self {
        Self { rest }
    }

    /// `len` numbers.
    pub(crate) fn take(&mut self, len: usize) -> Result<&'m mut [f32], &'static str> {
        let (piece, rest) = core::mem::take(&mut self.rest).split_at_mut_checked(len).ok_or(FULL)?;
        self.rest = rest;
        Ok(piece)
    }

    /// Numbers that are left.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }
}
