//! Pointers to slices: the checks, and the one place where memory of C becomes memory of Rust.

use core::slice;

use crate::status::WsegStatus;

/// The arrays of a call, lent to Rust while it runs.
pub(crate) struct Lent<'a, const I: usize, const O: usize> {
    /// What is read.
    pub(crate) inputs: [&'a [f32]; I],
    /// What is written.
    pub(crate) outputs: [&'a mut [f32]; O],
    /// What is needed on the way.
    pub(crate) scratch: &'a mut [f32],
}

/// Scratch memory as the caller gives it, with the elements that the call needs and those that it can use.
pub(crate) struct Scratch {
    pub(crate) pointer: *mut f32,
    pub(crate) len: usize,
    pub(crate) needed: usize,
    pub(crate) useful: usize,
}

impl Scratch {
    /// Scratch memory of which the call uses exactly what it needs.
    pub(crate) fn new(pointer: *mut f32, len: usize, needed: usize) -> Self {
        Self { pointer, len, needed, useful: needed }
    }

    /// Elements that the call takes.
    fn taken(&self) -> Result<usize, WsegStatus> {
        if self.needed > self.len { Err(WsegStatus::Scratch) } else { Ok(self.len.min(self.useful)) }
    }
}

/// Bytes of `len` elements, as many as an object may have.
pub(crate) fn bytes(len: usize) -> Result<usize, WsegStatus> {
    match len.checked_mul(size_of::<f32>()) {
        Some(bytes) if bytes <= isize::MAX.unsigned_abs() => Ok(bytes),
        _ => Err(WsegStatus::TooLarge),
    }
}

/// Addresses of an array: first, and first behind it. An array of no elements is nowhere, whatever its pointer.
fn span<T>(pointer: *const T, len: usize) -> Result<(usize, usize), WsegStatus> {
    if len == 0 {
        return Ok((0, 0));
    }
    let bytes = len.checked_mul(size_of::<T>()).filter(|&bytes| bytes <= isize::MAX.unsigned_abs());
    let (bytes, start) = (bytes.ok_or(WsegStatus::TooLarge)?, pointer.addr());
    if start == 0 {
        return Err(WsegStatus::NullPointer);
    }
    if !pointer.is_aligned() {
        return Err(WsegStatus::Misaligned);
    }
    start.checked_add(bytes).map(|end| (start, end)).ok_or(WsegStatus::TooLarge)
}

fn overlap(one: (usize, usize), other: (usize, usize)) -> bool {
    one.0 < other.1 && other.0 < one.1
}

/// Checks the arrays of a call and lends them. Nothing is written before every check has passed.
///
/// # Errors
/// [`WsegStatus`]: a null or misaligned pointer, an array beyond the address space, too little scratch memory, arrays
/// that are written and overlap others, inputs that are not finite.
///
/// # Safety
/// Each pointer that passes the checks points to as many elements as stand beside it, readable, and writable where the
/// pointer is `*mut`; until the end of `'a` nobody else writes any of them or reads those that are written.
pub(crate) unsafe fn lend<'a, const I: usize, const O: usize>(
    inputs: [(*const f32, usize); I],
    outputs: [(*mut f32, usize); O],
    scratch: Scratch,
) -> Result<Lent<'a, I, O>, WsegStatus> {
    let taken = scratch.taken()?;
    let own = span(scratch.pointer, taken)?;
    for &(pointer, len) in &inputs {
        if overlap(own, span(pointer, len)?) {
            return Err(WsegStatus::Overlap);
        }
    }
    for (index, &(pointer, len)) in outputs.iter().enumerate() {
        let written = span(pointer, len)?;
        if overlap(own, written) {
            return Err(WsegStatus::Overlap);
        }
        for &(pointer, len) in &inputs {
            if overlap(written, span(pointer, len)?) {
                return Err(WsegStatus::Overlap);
            }
        }
        for &(pointer, len) in outputs.iter().take(index) {
            if overlap(written, span(pointer, len)?) {
                return Err(WsegStatus::Overlap);
            }
        }
    }
    let inputs = inputs.map(|(pointer, len)| match len {
        0 => &[][..],
        // SAFETY: not null, aligned, inside the address space (checked above), readable (the caller's promise); what
        // is written lies elsewhere (checked above).
        _ => unsafe { slice::from_raw_parts(pointer, len) },
    });
    if inputs.iter().flat_map(|input| input.iter()).any(|value| !value.is_finite()) {
        return Err(WsegStatus::NotFinite);
    }
    let exclusive = |pointer: *mut f32, len: usize| match len {
        0 => &mut [][..],
        // SAFETY: as for the inputs; it overlaps nothing else of the call (checked above). Memory that C hands over
        // counts as initialised, whatever it holds, and any bits are an f32.
        _ => unsafe { slice::from_raw_parts_mut(pointer, len) },
    };
    let outputs = outputs.map(|(pointer, len)| exclusive(pointer, len));
    Ok(Lent { inputs, outputs, scratch: exclusive(scratch.pointer, taken) })
}

/// Checks the bytes of a picture beside an array that the call will write, and lends them.
///
/// # Errors
/// As [`lend`], whose turn it is for the array.
///
/// # Safety
/// As for [`lend`], for the bytes.
#[cfg(feature = "crf")]
pub(crate) unsafe fn lend_beside<'a>(
    (bytes, len): (*const u8, usize),
    (written, elements): (*mut f32, usize),
) -> Result<&'a [u8], WsegStatus> {
    if overlap(span(bytes, len)?, span(written.cast_const(), elements)?) {
        return Err(WsegStatus::Overlap);
    }
    match len {
        0 => Ok(&[]),
        // SAFETY: not null, inside the address space, apart from what is written (checked above), readable (the
        // caller's promise).
        _ => Ok(unsafe { slice::from_raw_parts(bytes, len) }),
    }
}

/// `Ok` if every result is finite.
pub(crate) fn finite(results: &[&mut [f32]]) -> Result<(), WsegStatus> {
    match results.iter().flat_map(|values| values.iter()).all(|value| value.is_finite()) {
        true => Ok(()),
        false => Err(WsegStatus::Overflow),
    }
}

/// The value behind a pointer; `None` where it is null.
///
/// # Safety
/// The pointer is null, or misaligned, or points to a readable value of the type, of which any bits are one.
pub(crate) unsafe fn read<T: Copy>(pointer: *const T) -> Result<Option<T>, WsegStatus> {
    if pointer.is_null() {
        return Ok(None);
    }
    if !pointer.is_aligned() {
        return Err(WsegStatus::Misaligned);
    }
    // SAFETY: neither null nor misaligned, so readable.
    Ok(Some(unsafe { pointer.read() }))
}

/// Writes a value behind a pointer.
///
/// # Safety
/// The pointer is null, or misaligned, or points to a value that may be written.
pub(crate) unsafe fn write<T: Copy>(pointer: *mut T, value: T) -> Result<(), WsegStatus> {
    if pointer.is_null() {
        return Err(WsegStatus::NullPointer);
    }
    if !pointer.is_aligned() {
        return Err(WsegStatus::Misaligned);
    }
    // SAFETY: neither null nor misaligned, so writable.
    unsafe { pointer.write(value) };
    Ok(())
}
