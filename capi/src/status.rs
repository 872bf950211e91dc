//! What a call returns.

use core::ffi::{CStr, c_char, c_int};

use wseg_core::slices::SliceError;

/// What a call did.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WsegStatus {
    /// The work is done and every result is finite.
    Ok = 0,
    /// A pointer that is needed is null.
    NullPointer = 1,
    /// A pointer is not aligned to its type.
    Misaligned = 2,
    /// A shape has an extent of 0, or there are no scores.
    Empty = 3,
    /// An array would not fit into the address space.
    TooLarge = 4,
    /// Shapes that do not go together.
    Shape = 5,
    /// Too little scratch memory.
    Scratch = 6,
    /// Memory that is written overlaps other memory of the call.
    Overlap = 7,
    /// An input holds a NaN or an infinity.
    NotFinite = 8,
    /// A constant is not finite or out of its range.
    Constant = 9,
    /// The inputs are finite, but a result is not; the results were written.
    Overflow = 10,
    /// There is not as much memory as the call needs.
    Memory = 11,
}

/// How many values [`WsegStatus`] has.
#[cfg(test)]
pub(crate) const STATUSES: c_int = 12;

impl From<SliceError> for WsegStatus {
    fn from(error: SliceError) -> Self {
        match error {
            SliceError::Empty(_) => Self::Empty,
            SliceError::Length { .. } | SliceError::Shape(_) => Self::Shape,
            SliceError::Scratch { .. } => Self::Scratch,
            SliceError::NoDilation => Self::Constant,
        }
    }
}

/// The status of a call that came to an end.
pub(crate) fn status(result: Result<(), WsegStatus>) -> WsegStatus {
    match result {
        Ok(()) => WsegStatus::Ok,
        Err(status) => status,
    }
}

const fn text(status: c_int) -> &'static CStr {
    match status {
        0 => c"done",
        1 => c"a pointer that is needed is null",
        2 => c"a pointer is not aligned to its type",
        3 => c"a shape has an extent of 0",
        4 => c"an array would not fit into the address space",
        5 => c"shapes that do not go together",
        6 => c"too little scratch memory",
        7 => c"memory that is written overlaps other memory of the call",
        8 => c"an input holds a NaN or an infinity",
        9 => c"a constant is out of its range",
        10 => c"a result is not finite",
        11 => c"there is not as much memory as the call needs",
        _ => c"not a status",
    }
}

/// A phrase in English for a status; any number may be given. The text lives as long as the program.
#[unsafe(no_mangle)]
pub extern "C" fn wseg_status_text(status: c_int) -> *const c_char {
    text(status).as_ptr()
}

/// The version of the library, such as `0.1.0`. The text lives as long as the program.
#[unsafe(no_mangle)]
pub extern "C" fn wseg_version() -> *const c_char {
    const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => c"",
    };
    VERSION.as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_own_text() {
        for status in 0..STATUSES {
            assert_ne!(text(status), c"not a status");
            assert!((0..status).all(|other| text(other) != text(status)));
        }
        assert_eq!(WsegStatus::Memory as c_int + 1, STATUSES);
        assert_eq!((text(-1), text(STATUSES)), (c"not a status", c"not a status"));
    }
}
