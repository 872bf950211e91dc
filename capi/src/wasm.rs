//! Memory for the host of a WebAssembly module, which has none of its own there.

use alloc::alloc::{alloc, dealloc};
use core::{alloc::Layout, ptr};

/// Bytes before each piece of memory, which hold its size; what memory is aligned to.
const HEAD: usize = 16;

fn layout(bytes: usize) -> Option<Layout> {
    Layout::from_size_align(bytes.checked_add(HEAD)?, HEAD).ok()
}

/// Memory of so many bytes, aligned to 16; null if there is none.
#[unsafe(no_mangle)]
pub extern "C" fn wseg_wasm_allocate(bytes: usize) -> *mut u8 {
    let Some(layout) = layout(bytes) else { return ptr::null_mut() };
    // SAFETY: the size is not 0.
    let start = unsafe { alloc(layout) };
    if start.is_null() {
        return start;
    }
    // SAFETY: the first bytes of the memory above, which is aligned for any number and larger than them.
    unsafe {
        start.cast::<usize>().write(bytes);
        start.add(HEAD)
    }
}

/// Gives back memory of `wseg_wasm_allocate`; null is none.
///
/// # Safety
/// The pointer is null, or comes from `wseg_wasm_allocate` and was not given back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wseg_wasm_release(pointer: *mut u8) {
    if pointer.is_null() {
        return;
    }
    // SAFETY: before the memory stands its size, written above.
    unsafe {
        let start = pointer.sub(HEAD);
        if let Some(layout) = layout(start.cast::<usize>().read()) {
            dealloc(start, layout);
        }
    }
}
