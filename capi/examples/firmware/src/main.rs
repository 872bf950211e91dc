//! Golden cases on a Cortex-M4F: classification, losses with gradients, pseudo labels, gate and refinement, in 256 KB
//! of RAM, without an allocator. The exit code is the verdict: 0 if every output is within 1e-5.
#![no_std]
#![no_main]
#![deny(unsafe_code)] // The entry's attribute makes its static array a reference, once.

mod cases;
mod golden;
mod memory;

use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hprintln};
use panic_semihosting as _;

/// Numbers that all arrays of a case share: 160 KB of the RAM; the rest is stack.
const NUMBERS: usize = 40 * 1024;

#[entry]
fn main() -> ! {
    static mut MEMORY: [f32; NUMBERS] = [0.0; NUMBERS];
    match cases::run(MEMORY) {
        Ok(verdict) => {
            hprintln!(
                "{} of {} outputs differ; most memory: {} of {} bytes",
                verdict.failures,
                verdict.checks,
                4 * verdict.peak,
                4 * NUMBERS
            );
            debug::exit(if verdict.failures == 0 && verdict.checks > 0 {
                debug::EXIT_SUCCESS
            } else {
                debug::EXIT_FAILURE
            });
        }
        Err(reason) => {
            hprintln!("the cases could not be run: {}", reason);
            debug::exit(debug::EXIT_FAILURE);
        }
    }
    loop {
        cortex_m::asm::wfi();
    }
}
