//! Large buffers: an error rather than an abort where there is no memory for one.

use alloc::vec::Vec;

use super::CrfError;

/// `elements` default values.
pub(super) fn zeroed<T: Copy + Default>(elements: usize) -> Result<Vec<T>, CrfError> {
    filled(elements, T::default())
}

/// `elements` times the same value.
pub(super) fn filled<T: Copy>(elements: usize, value: T) -> Result<Vec<T>, CrfError> {
    let mut buffer = reserved(elements)?;
    buffer.resize(elements, value);
    Ok(buffer)
}

/// Room for `elements` values: filling it does not grow it, which the compiler sees, so that no path is left on which
/// growing could fail.
fn reserved<T>(elements: usize) -> Result<Vec<T>, CrfError> {
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(elements).map_err(|_| CrfError::Memory { elements })?;
    Ok(buffer)
}

/// `elements` default values that cannot be copied.
pub(super) fn defaults<T: Default>(elements: usize) -> Result<Vec<T>, CrfError> {
    let mut buffer = reserved(elements)?;
    buffer.resize_with(elements, T::default);
    Ok(buffer)
}
