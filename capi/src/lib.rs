//! The C library: the method on raw buffers, for any language that can call C.
//!
//! A layer of pointers over [`wseg_core::slices`]. It checks everything that a caller can get wrong and returns a
//! [`WsegStatus`]; it keeps no state and has no way to panic, the dense CRF's included (`capi/budget.sh` shows that from
//! the symbol table of the release build). The header, `capi/include/wseg.h`, is generated from this crate.
//!
//! ```sh
//! # libwseg_c.a and libwseg_c.so in target/capi; the dense CRF is left out without `--features crf`
//! cargo build -p wseg-capi --profile capi --no-default-features --features crf
//! ```
//!
//! The same library for `wasm32-unknown-unknown` is a module that exports the same functions, and for
//! `thumbv7em-none-eabihf` an archive for a microcontroller.
//!
//! # Memory
//!
//! Calls work in memory of the caller and allocate nothing. The dense CRF is the exception: how many points its lattice
//! has is known only when it is there, and the most it could be is many times what a photo needs. So it allocates, from
//! where the program does: with `std` from Rust's allocator, without it from the C library's `malloc`, and in a
//! WebAssembly module, which has neither, from dlmalloc; there the host's share comes from `wseg_wasm_allocate`, so that
//! both have one keeper. Every request may fail, and gives [`WsegStatus::Memory`] when it does. Who does not call the
//! CRF links none of this. (dlmalloc looks after its own heap: in a module whose host has written over it, giving memory
//! back traps. That is the one trap of the WebAssembly module; elsewhere there is none.)
//!
//! # Unsafe code
//!
//! Rust cannot see whether a pointer of C is what its documentation says, so this is the one crate of the project with
//! `unsafe` outside CUDA kernels. Pointers become slices in one place, the module `memory`, after the checks;
//! `allocator` and `wasm` pass requests for memory on. What a caller promises, and only it can know, is that the memory
//! is there: each pointer to as many elements as the shapes say, readable or writable, and used by no other thread while
//! the call runs.
//!
//! # Rooms
//!
//! `status` what a call returns; `constants` shapes and hyper-parameters; `memory` pointers to slices; then one file
//! for each kind of call: `masks`, `losses`, `refinement`, `gates`, `crf`.
#![no_std]

#[cfg(all(feature = "crf", target_family = "wasm"))]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(all(feature = "crf", not(feature = "std"), not(test)))]
mod allocator;
mod constants;
#[cfg(feature = "crf")]
mod crf;
mod gates;
mod losses;
mod masks;
mod memory;
mod refinement;
mod status;
#[cfg(all(feature = "crf", target_family = "wasm"))]
mod wasm;

#[cfg(feature = "crf")]
pub use constants::wseg_crf_default;
pub use constants::{
    WSEG_MAX_DILATIONS, WSEG_MAX_ITERATIONS, WsegCam, WsegCrf, WsegCutoff, WsegPamr, WsegPooling, WsegShape,
    wseg_cam_default, wseg_cutoff_default, wseg_pamr_default, wseg_pooling_default,
};
#[cfg(feature = "crf")]
pub use crf::wseg_dense_crf;
pub use gates::{
    wseg_deterministic_gate, wseg_deterministic_gate_scratch, wseg_stochastic_gate, wseg_stochastic_gate_scratch,
};
pub use losses::{
    wseg_class_scores_gradient, wseg_class_scores_gradient_scratch, wseg_gated_segmentation_loss,
    wseg_gated_segmentation_loss_scratch, wseg_segmentation_loss, wseg_segmentation_loss_scratch, wseg_soft_margin,
    wseg_soft_margin_scratch,
};
pub use masks::{
    wseg_cam_masks, wseg_cam_masks_scratch, wseg_classify, wseg_classify_scratch, wseg_drop_absent,
    wseg_drop_absent_scratch, wseg_pseudo_labels, wseg_pseudo_labels_scratch,
};
pub use refinement::{wseg_pamr, wseg_pamr_scratch, wseg_pamr_scratch_fast};
pub use status::{WsegStatus, wseg_status_text, wseg_version};

#[cfg(all(feature = "crf", target_family = "wasm"))]
pub use wasm::{wseg_wasm_allocate, wseg_wasm_release};

/// Nothing in this library panics; the language wants to know what would happen. In a WebAssembly module dlmalloc does
/// when it finds that the host has written over its heap: that traps.
#[cfg(all(not(feature = "std"), not(test)))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(target_family = "wasm")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_family = "wasm"))]
    loop {
        core::hint::spin_loop();
    }
}

// The compiler's own library was built to unwind, and leaves a table entry behind that names a function which this
// library, built to abort, does not have. Nothing ever calls it; weak and hidden, it is in nobody's way.
#[cfg(all(not(feature = "std"), target_os = "linux"))]
core::arch::global_asm!(".weak rust_eh_personality", ".hidden rust_eh_personality", "rust_eh_personality:");
