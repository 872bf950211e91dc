//! MATLAB's MAT files of level 5: as much of them as the masks of the Semantic Boundaries Dataset (SBD) need.
//!
//! A file is a header and a row of variables; a variable is a tree of *elements*, each a type, a length and that many
//! bytes. Nothing is read but what is asked for: [`Matrix::field`] and [`Matrix::cells`] step over the elements before
//! the one they want by their lengths, so that there is no recursion, whatever the nesting, and no memory is taken but
//! for what [`MatFile::variables`] inflates, up to [`MAX_INFLATED`] bytes a file.
//!
//! | read | not read |
//! |---|---|
//! | both byte orders, small elements, zlib-compressed variables | MATLAB 7.3 files, which are HDF5; level 4 |
//! | structs, cells, numeric and logical arrays, whatever type their numbers are stored in | text, sparse arrays, objects, functions; imaginary parts |
//!
//! # Reference
//! *MAT-File Format*, The MathWorks.

mod element;
mod error;
mod gtcls;
mod inflate;
mod matrix;
#[cfg(test)]
mod tests;
mod variable;

pub use element::ByteOrder;
pub use error::MatError;
pub use gtcls::{decode_gtcls, is_mat, read_gtcls};
pub use inflate::MAX_INFLATED;
pub use matrix::{Class, MAX_NUMBERS, Matrix};
pub use variable::{MAX_VARIABLES, MatFile, Variable};
