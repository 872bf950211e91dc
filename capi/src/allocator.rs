//! Where the dense CRF's memory comes from in a library without the standard library.
//!
//! On a system with a C library it is the program's own `malloc`: one heap, with the program's limits and tools. (A
//! microcontroller's C library has one, too; who does not call the CRF needs none.) A WebAssembly module has nobody to
//! ask: there it is dlmalloc over the module's memory, and the host, which must not use the same memory, asks for its
//! share by `wseg_wasm_allocate`. All of them say that there is no memory by a null pointer, which becomes a status.

#[cfg(not(target_family = "wasm"))]
mod heap {
    use core::{
        alloc::{GlobalAlloc, Layout},
        ffi::c_void,
    };

    #[cfg_attr(unix, link(name = "c"))]
    unsafe extern "C" {
        fn malloc(bytes: usize) -> *mut c_void;
        fn realloc(pointer: *mut c_void, bytes: usize) -> *mut c_void;
        fn free(pointer: *mut c_void);
    }

    /// What `malloc` aligns to, at least.
    const ALIGNED: usize = 8;

    /// The program's heap.
    struct Program;

    // SAFETY: `malloc` is as thread-safe as the program, returns null or memory of as many bytes that nobody else has,
    // and aligns it to what is asked for, or is not asked; nothing here unwinds.
    unsafe impl GlobalAlloc for Program {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            if layout.align() > ALIGNED {
                return core::ptr::null_mut();
            }
            // SAFETY: any size may be asked for.
            unsafe { malloc(layout.size()) }.cast()
        }

        unsafe fn dealloc(&self, pointer: *mut u8, _: Layout) {
            // SAFETY: the memory is `malloc`'s, as the caller promises.
            unsafe { free(pointer.cast()) }
        }

        unsafe fn realloc(&self, pointer: *mut u8, _: Layout, bytes: usize) -> *mut u8 {
            // SAFETY: the memory is `malloc`'s, as the caller promises, and keeps its alignment.
            unsafe { realloc(pointer.cast(), bytes) }.cast()
        }
    }

    #[global_allocator]
    static HEAP: Program = Program;
}

#[cfg(target_family = "wasm")]
#[global_allocator]
static HEAP: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;
