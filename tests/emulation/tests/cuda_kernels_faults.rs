//! The emulation is worth what it finds: kernels with one fault each, and launches that do not fit their kernel.

use candle_core::Result;

/// Where there is no compiler the kernels' tests are empty, which must not pass for success in silence.
#[test]
fn kernels_are_emulated_or_it_is_told() {
    if !wseg_emulation::COMPILED {
        assert!(std::env::var_os("WSEG_NO_SKIP").is_none(), "the kernels are not emulated: install a C++17 compiler");
        println!("skipped: the kernels are not emulated, for want of a C++17 compiler");
    }
}

#[cfg(emulated)]
mod emulated {
    use candle_core::DType;
    use wseg_cuda_runner::ops::kernels::{Argument, Grid, Machine};
    use wseg_emulation::{Emulated, Memory};

    use super::Result;

    const GRID: Grid = Grid { blocks: [1, 1, 1], threads: 256 };

    /// What a faulty kernel leaves of 250 elements.
    fn run(kernel: &str) -> Result<Vec<f64>> {
        let machine = Emulated::new(7);
        let x = Memory::of(DType::F32, &[1.0; 250])?;
        let y = machine.make(DType::F32, 250)?;
        let arguments = [Argument::In(&x), Argument::Out(&y), Argument::Int(250)];
        // SAFETY: the emulation checks every access.
        unsafe { machine.launch("faults", kernel, GRID, &arguments) }?;
        y.read()
    }

    #[test]
    fn every_fault_is_found_and_named() -> Result<()> {
        assert_eq!(run("fault_none")?, [1.0; 250]);
        let faults = [
            ("fault_reads_beyond", "reads element 250 of 250"),
            ("fault_writes_beyond", "writes element 250 of 250"),
            ("fault_leaves_one_out", "nobody wrote element 0 of 250"),
            ("fault_writes_twice", "which another thread writes, too"),
            ("fault_reads_what_is_not_written", "which nobody wrote"),
            ("fault_barrier_of_some", "others have ended"),
            ("fault_two_barriers", "different barriers"),
            ("fault_shuffle_of_some", "not all lanes"),
            ("fault_no_barrier", "shared memory"),
            // Which of the two threads is told of depends on the order.
            ("fault_no_second_barrier", "shared memory"),
            ("fault_beyond_shared", "element 256 of 256 in shared memory"),
            ("fault_nobody_wrote", "no such kernel"),
        ];
        for (kernel, told) in faults {
            let error = run(kernel).expect_err(kernel).to_string();
            assert!(error.contains(told), "{kernel}: {error}");
        }
        Ok(())
    }

    #[test]
    fn launches_that_do_not_fit_are_refused() -> Result<()> {
        let machine = Emulated::new(7);
        let (x, y) = (Memory::of(DType::F32, &[1.0])?, machine.make(DType::F32, 1)?);
        let wide = machine.make(DType::F64, 1)?;
        let good = [Argument::In(&x), Argument::Out(&y), Argument::Int(1)];
        let cases: [(&[_], Grid, &str); 7] = [
            (&good[..2], GRID, "takes 3 arguments, not 2"),
            (&[good[0], good[1], Argument::Long(1)], GRID, "argument 2 should be int"),
            (&[good[0], good[0], good[2]], GRID, "argument 1 should be an output"),
            (&[good[0], Argument::Out(&wide), good[2]], GRID, "argument 1 should be an output"),
            (&[Argument::In(&y), good[1], good[2]], GRID, "given twice"),
            (&good, Grid { threads: 33, ..GRID }, "blocks of 33 threads"),
            (&good, Grid { threads: 0, ..GRID }, "blocks of 0 threads"),
        ];
        for (arguments, grid, told) in cases {
            // SAFETY: the emulation checks every access.
            let error = unsafe { machine.launch("faults", "fault_none", grid, arguments) }.expect_err(told).to_string();
            assert!(error.contains(told), "{error}");
        }
        Ok(())
    }
}
