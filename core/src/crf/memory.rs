//! Large buffers: an error rather than an abort where there is no memory for one.

use alloc::{vec, vec::Vec};

use super::CrfError;

/// `elements` default values.
pub(super) fn zeroed<T: Clone + Default>(elements: usize) -> Result<Vec<T>, CrfError> {
    // Zeros that the system gives need not be written: memory is asked for twice, once to see whether there is any.
    drop(reserved::<T>(elements)?);
    Ok(vec![T::default(); elements])
}

/// Room for `elements` values.
pub(super) fn reserved<T>(elements: usize) -> Result<Vec<T>, CrfError> {
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(elements).map_err(|_| CrfError::Memory { elements })?;
    Ok(buffer)
}
