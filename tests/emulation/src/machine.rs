//! The machine: memory with traces, and launches through `emulation.cpp`.

use std::{
    cell::{Cell, RefCell},
    ffi::{CStr, CString, c_char, c_int, c_longlong, c_uchar, c_uint, c_void},
};

use candle_core::{DType, Result, bail};
use half::bf16;
use wseg_cuda_runner::ops::kernels::{Argument, Grid, Machine};

/// The elements as their own type.
#[derive(Debug)]
enum Elements {
    F32(Vec<f32>),
    F64(Vec<f64>),
    Bf16(Vec<u16>),
}

/// Memory of the machine. Only launches write it, one at a time.
#[derive(Debug)]
pub struct Memory {
    elements: RefCell<Elements>,
    /// Who wrote each element in the running launch.
    writers: RefCell<Vec<u32>>,
    /// Whether each element was ever written.
    written: RefCell<Vec<u8>>,
}

/// `emulation::Memory`
#[repr(C)]
struct View {
    data: *mut c_void,
    count: c_longlong,
    kind: c_int,
    writers: *mut u32,
    written: *mut c_uchar,
}

/// `emulation::Argument`
#[repr(C)]
struct Passed {
    sort: c_int,
    length: c_int,
    value: Value,
}

#[repr(C)]
union Value {
    view: *const View,
    integer: c_longlong,
    real: f64,
    table: *const c_void,
}

unsafe extern "C" {
    fn wseg_emulate(
        name: *const c_char,
        grid: *const c_uint,
        threads: c_uint,
        arguments: *const Passed,
        count: c_int,
        seed: u64,
        message: *mut c_char,
        room: usize,
    ) -> c_int;
}

impl Memory {
    fn new(elements: Elements, count: usize, written: bool) -> Self {
        Self {
            elements: RefCell::new(elements),
            writers: RefCell::new(vec![0; count]),
            written: RefCell::new(vec![u8::from(written); count]),
        }
    }

    /// Memory that holds these numbers.
    ///
    /// # Errors
    /// If the type is not one that kernels take.
    pub fn of(dtype: DType, values: &[f64]) -> Result<Self> {
        let elements = match dtype {
            DType::F32 => Elements::F32(values.iter().map(|&value| value as f32).collect()),
            DType::F64 => Elements::F64(values.to_vec()),
            DType::BF16 => Elements::Bf16(values.iter().map(|&v| bf16::from_f32(v as f32).to_bits()).collect()),
            other => bail!("kernels take no {other:?}"),
        };
        Ok(Self::new(elements, values.len(), true))
    }

    /// The numbers.
    ///
    /// # Errors
    /// If nobody wrote one of them.
    pub fn read(&self) -> Result<Vec<f64>> {
        if let Some(at) = self.written.borrow().iter().position(|&written| written == 0) {
            bail!("nobody wrote element {at} of {}", self.written.borrow().len());
        }
        Ok(match &*self.elements.borrow() {
            Elements::F32(values) => values.iter().map(|&value| f64::from(value)).collect(),
            Elements::F64(values) => values.clone(),
            Elements::Bf16(values) => values.iter().map(|&bits| bf16::from_bits(bits).to_f64()).collect(),
        })
    }

    /// What a launch sees; `output` may be written.
    fn view(&self, output: bool) -> View {
        let (data, kind): (*mut c_void, c_int) = match &mut *self.elements.borrow_mut() {
            Elements::F32(values) => (values.as_mut_ptr().cast(), 0),
            Elements::F64(values) => (values.as_mut_ptr().cast(), 1),
            Elements::Bf16(values) => (values.as_mut_ptr().cast(), 2),
        };
        let mut writers = self.writers.borrow_mut();
        let writers = match output {
            true => {
                writers.fill(0);
                writers.as_mut_ptr()
            }
            false => std::ptr::null_mut(),
        };
        let mut written = self.written.borrow_mut();
        View { data, count: written.len() as c_longlong, kind, writers, written: written.as_mut_ptr() }
    }
}

/// The machine. Launches are numbered, and the seed and the number say in which order blocks and threads run.
#[derive(Debug, Default)]
pub struct Emulated {
    seed: u64,
    launches: Cell<u64>,
}

impl Emulated {
    /// A machine whose order of blocks and threads the seed shuffles.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, launches: Cell::new(0) }
    }

    /// Launches so far.
    #[must_use]
    pub fn launches(&self) -> u64 {
        self.launches.get()
    }
}

impl Machine for Emulated {
    type Memory = Memory;

    fn make(&self, dtype: DType, count: usize) -> Result<Memory> {
        let elements = match dtype {
            DType::F32 => Elements::F32(vec![f32::NAN; count]),
            DType::F64 => Elements::F64(vec![f64::NAN; count]),
            DType::BF16 => Elements::Bf16(vec![u16::MAX; count]),
            other => bail!("kernels take no {other:?}"),
        };
        Ok(Memory::new(elements, count, false))
    }

    fn dtype(memory: &Memory) -> DType {
        match &*memory.elements.borrow() {
            Elements::F32(_) => DType::F32,
            Elements::F64(_) => DType::F64,
            Elements::Bf16(_) => DType::BF16,
        }
    }

    fn count(memory: &Memory) -> usize {
        memory.written.borrow().len()
    }

    unsafe fn launch(
        &self,
        module: &'static str,
        kernel: &str,
        grid: Grid,
        arguments: &[Argument<'_, Memory>],
    ) -> Result<()> {
        let mut used: Vec<(*const Memory, bool)> = Vec::new();
        for argument in arguments {
            match argument {
                Argument::In(memory) => used.push((*memory, false)),
                Argument::Out(memory) => used.push((*memory, true)),
                Argument::Ins(table) => used.extend(table.iter().map(|&memory| (std::ptr::from_ref(memory), false))),
                Argument::Outs(table) => used.extend(table.iter().map(|&memory| (std::ptr::from_ref(memory), true))),
                _ => {}
            }
        }
        // A GPU's compiler may assume that memory which is written has one name.
        for (index, &(memory, written)) in used.iter().enumerate() {
            if written && used.iter().enumerate().any(|(other, &(same, _))| other != index && same == memory) {
                bail!("{module}, {kernel}: memory that is written is given twice");
            }
        }
        let mut views: Vec<Vec<View>> = Vec::new();
        let mut tables: Vec<Vec<*const View>> = Vec::new();
        let passed: Vec<Passed> = arguments.iter().map(|argument| pass(*argument, &mut views, &mut tables)).collect();
        let Ok(name) = CString::new(kernel) else { bail!("a kernel called {kernel:?}") };
        let mut message = [0 as c_char; 320];
        let number = self.launches.get();
        self.launches.set(number + 1);
        // SAFETY: views point to memory that lives and is not otherwise used until this returns; every access is
        // checked against their extents, and arguments against the kernel's.
        let failed = unsafe {
            wseg_emulate(
                name.as_ptr(),
                grid.blocks.as_ptr(),
                grid.threads,
                passed.as_ptr(),
                passed.len() as c_int,
                self.seed.wrapping_add(number.wrapping_mul(0x9E37_79B9)),
                message.as_mut_ptr(),
                message.len(),
            )
        };
        if failed == 0 {
            return Ok(());
        }
        // SAFETY: `snprintf` ends the text with 0.
        let told = unsafe { CStr::from_ptr(message.as_ptr()) };
        bail!("{module}, {}", told.to_string_lossy())
    }
}

/// An argument as the other side has it; what it points to is kept in `views` and `tables`.
fn pass(argument: Argument<'_, Memory>, views: &mut Vec<Vec<View>>, tables: &mut Vec<Vec<*const View>>) -> Passed {
    // Where views lie does not change when further ones follow.
    let mut viewed = |memories: &[&Memory], output: bool| -> *const View {
        views.push(memories.iter().map(|memory| memory.view(output)).collect());
        views.last().map_or(std::ptr::null(), |views| views.as_ptr())
    };
    let mut table = |memories: &[&Memory], output: bool| {
        let first = viewed(memories, output);
        tables.push((0..memories.len()).map(|index| first.wrapping_add(index)).collect());
        tables.last().map_or(std::ptr::null(), |table: &Vec<*const View>| table.as_ptr().cast())
    };
    let (sort, length, value) = match argument {
        Argument::In(memory) => (0, 1, Value { view: viewed(&[memory], false) }),
        Argument::NoIn(_) => (0, 0, Value { view: std::ptr::null() }),
        Argument::Out(memory) => (1, 1, Value { view: viewed(&[memory], true) }),
        Argument::Int(value) => (2, 1, Value { integer: c_longlong::from(value) }),
        Argument::Long(value) => (3, 1, Value { integer: value }),
        Argument::Real(value) => (4, 1, Value { real: value }),
        Argument::Ins(memories) => (5, memories.len(), Value { table: table(memories, false) }),
        Argument::Outs(memories) => (6, memories.len(), Value { table: table(memories, true) }),
        Argument::Ints(values) => (7, values.len(), Value { table: values.as_ptr().cast() }),
        Argument::Longs(values) => (8, values.len(), Value { table: values.as_ptr().cast() }),
        Argument::Reals(values) => (9, values.len(), Value { table: values.as_ptr().cast() }),
    };
    Passed { sort, length: length as c_int, value }
}
