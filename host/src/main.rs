//! The binary `wseg`; everything is in the library.

use std::process::ExitCode;

// Training maps and unmaps large tensors at every step; glibc's allocator gives each back to the system.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Candle's own elementwise loops wait for each other by spinning, which on a shared machine costs a quarter of a
    // training step. What takes time is threaded by the runner; the rest is faster on one thread.
    if std::env::var_os("CANDLE_NUM_THREADS").is_none() {
        // SAFETY: no other thread has been started yet.
        unsafe { std::env::set_var("CANDLE_NUM_THREADS", "1") };
    }
    wseg::command::main()
}
