//! The conformance harness of wseg: cases x backends.
//!
//! A [golden file](golden) holds the inputs and expected outputs of one computation. A [case](case) is a function,
//! generic over a [backend](bench::Bench), that computes the outputs and [compares](report::Checks) them.
//! [`verify`](verify::verify) runs files through backends and is what the command `wseg verify` prints; the tests of this crate run
//! the same cases on the files in `fixtures/`, and hold every overridden kernel against its definition.

pub mod bench;
pub mod case;
pub mod failure;
pub mod golden;
pub mod named_weights;
pub mod report;
pub mod sample;
pub mod verify;
