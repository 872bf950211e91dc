//! The C library: the method on raw buffers, for any language that can call C.
//!
//! A layer of pointers over [`wseg_core::slices`]. It checks everything that a caller can get wrong and returns a
//! [`WsegStatus`]; it allocates nothing, keeps no state and has no way to panic (`capi/check-symbols.sh` shows that
//! from the symbol table of the release build). The header, `capi/include/wseg.h`, is generated from this crate.
//!
//! ```sh
//! cargo build -p wseg-capi --profile capi --no-default-features      # libwseg_c.a and libwseg_c.so in target/capi
//! ```
//!
//! The same library for `wasm32-unknown-unknown` is a module that exports the same functions, and for
//! `thumbv7em-none-eabihf` an archive for a microcontroller.
//!
//! # Unsafe code
//!
//! Rust cannot see whether a pointer of C is what its documentation says, so this is the one crate of the project with
//! `unsafe` outside CUDA kernels. Pointers become slices in one place, the module `memory`, after the checks. What a
//! caller promises, and only it can know, is that the memory is there: each pointer to as many elements as the shapes
//! say, readable or writable, and used by no other thread while the call runs.
//!
//! # Rooms
//!
//! `status` what a call returns; `constants` shapes and hyper-parameters; `memory` pointers to slices; then one file
//! for each kind of call: `masks`, `losses`, `refinement`, `gates`.
#![no_std]

#[cfg(feature = "std")]
extern crate std;

mod constants;
mod gates;
mod losses;
mod masks;
mod memory;
mod refinement;
mod status;

pub use constants::{
    WSEG_MAX_DILATIONS, WSEG_MAX_ITERATIONS, WsegCam, WsegCutoff, WsegPamr, WsegPooling, WsegShape, wseg_cam_default,
    wseg_cutoff_default, wseg_pamr_default, wseg_pooling_default,
};
pub use gates::{
    wseg_deterministic_gate, wseg_deterministic_gate_scratch, wseg_stochastic_gate, wseg_stochastic_gate_scratch,
};
pub use losses::{
    wseg_class_scores_gradient, wseg_class_scores_gradient_scratch, wseg_segmentation_loss,
    wseg_segmentation_loss_scratch, wseg_soft_margin, wseg_soft_margin_scratch,
};
pub use masks::{
    wseg_cam_masks, wseg_cam_masks_scratch, wseg_classify, wseg_classify_scratch, wseg_drop_absent,
    wseg_drop_absent_scratch, wseg_pseudo_labels, wseg_pseudo_labels_scratch,
};
pub use refinement::{wseg_pamr, wseg_pamr_scratch, wseg_pamr_scratch_fast};
pub use status::{WsegStatus, wseg_status_text, wseg_version};

// The dense CRF belongs here: a module `crf` with `wseg_dense_crf` and `wseg_dense_crf_scratch`, on `wseg_core::crf`.

/// Nothing in this library panics; the language wants to know what would happen.
#[cfg(all(not(feature = "std"), not(test)))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

// The compiler's own library was built to unwind, and leaves a table entry behind that names a function which this
// library, built to abort, does not have. Nothing ever calls it; weak and hidden, it is in nobody's way.
#[cfg(all(not(feature = "std"), target_os = "linux"))]
core::arch::global_asm!(".weak rust_eh_personality", ".hidden rust_eh_personality", "rust_eh_personality:");
