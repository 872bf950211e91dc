//! The binary `wseg`; everything is in the library.

use std::process::ExitCode;

// Training maps and unmaps large tensors at every step; glibc's allocator gives each back to the system.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Keeps memory that is freed, in pages of 2 MiB where the system has them: a training step frees and asks for the same
/// gigabytes again, and clearing pages for it was a fifth of its time. The environment has the last word.
fn tune_allocator() {
    /// Milliseconds until freed memory goes back to the system, -1 for never: `mi_option_purge_delay`.
    const PURGE_DELAY: i32 = 15;
    for (option, value, variable) in [
        (PURGE_DELAY, -1, "MIMALLOC_PURGE_DELAY"),
        (libmimalloc_sys::mi_option_large_os_pages, 1, "MIMALLOC_ALLOW_LARGE_OS_PAGES"),
    ] {
        if std::env::var_os(variable).is_none() {
            // SAFETY: sets a number inside the allocator.
            unsafe { libmimalloc_sys::mi_option_set(option, value) };
        }
    }
}

fn main() -> ExitCode {
    tune_allocator();
    // Candle's own elementwise loops wait for each other by spinning, which on a shared machine costs a quarter of a
    // training step. What takes time is threaded by the runner; the rest is faster on one thread.
    if std::env::var_os("CANDLE_NUM_THREADS").is_none() {
        // SAFETY: no other thread has been started yet.
        unsafe { std::env::set_var("CANDLE_NUM_THREADS", "1") };
    }
    wseg::command::main()
}
