//! The binary `wseg`; everything is in the library.

use std::process::ExitCode;

// Training maps and unmaps large tensors at every step; glibc's allocator gives each back to the system.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    wseg::command::main()
}
