//! Files as PyTorch writes them, and as nobody should: put together by hand.

#![allow(dead_code, unreachable_pub, reason = "every test file uses its own part")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    path::{Path, PathBuf},
};

use wseg_cuda_runner::{
    Result,
    weights::{StateDict, parse},
};

/// The files that PyTorch wrote.
pub const FILES: [&str; 5] =
    ["zip.pth", "zip_nested_module.pth", "zip_bf16.pth", "legacy.pth", "legacy_nested_module.pth"];

/// The path of a file of `fixtures/pth`.
pub fn path_of(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/pth").join(name)
}

/// The bytes of a file of `fixtures/pth`.
pub fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(path_of(name)).expect("a fixture")
}

/// Counts what each thread holds: how much memory a file takes is part of what is promised.
struct Counting;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

fn count(freed: usize, taken: usize) {
    // A thread that ends frees memory after its counters are gone.
    let _ = HELD.try_with(|held| {
        held.set(held.get().saturating_sub(freed).saturating_add(taken));
        PEAK.try_with(|peak| peak.set(peak.get().max(held.get())))
    });
}

// SAFETY: every call is handed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(0, layout.size());
        // SAFETY: the caller's promise is the system allocator's condition.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(layout.size(), 0);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Parses the bytes, and counts the memory that took at most.
pub fn parse_counted(bytes: &[u8]) -> (Result<StateDict>, usize) {
    let before = HELD.get();
    PEAK.set(before);
    let parsed = parse(bytes);
    (parsed, PEAK.get() - before)
}

/// Parses the bytes, and holds the memory that took against what is promised: 16 MiB and a multiple of the length.
#[track_caller]
pub fn parse_bounded(bytes: &[u8]) -> Result<StateDict> {
    let (parsed, taken) = parse_counted(bytes);
    let allowed = (17 << 20) + 256 * bytes.len();
    assert!(taken <= allowed, "{taken} bytes of memory for a file of {} bytes", bytes.len());
    parsed
}

/// The one sentence with which bytes are refused.
#[track_caller]
pub fn refusal(bytes: &[u8]) -> String {
    let sentence = parse_bounded(bytes).expect_err("not a state dict").to_string();
    assert!(!sentence.contains('\n') && sentence.len() < 500, "{sentence}");
    sentence
}

/// A pickle in the making.
#[derive(Clone, Debug)]
pub struct Pickle(pub Vec<u8>);

impl Pickle {
    /// A pickle of protocol 2 without a value.
    pub fn new() -> Self {
        Self(vec![0x80, 2])
    }

    /// Adds instructions as they are.
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    /// Pushes an integer.
    pub fn int(self, number: i64) -> Self {
        self.raw(&[0x8A, 8]).raw(&number.to_le_bytes())
    }

    /// Pushes integers as a tuple.
    pub fn ints(self, numbers: &[i64]) -> Self {
        numbers.iter().fold(self.raw(b"("), |pickle, &number| pickle.int(number)).raw(b"t")
    }

    /// Pushes a text.
    pub fn text(self, text: &str) -> Self {
        self.raw(b"X").raw(&(text.len() as u32).to_le_bytes()).raw(text.as_bytes())
    }

    /// Pushes a function or type.
    pub fn global(self, module: &str, name: &str) -> Self {
        self.raw(format!("c{module}\n{name}\n").as_bytes())
    }

    /// Pushes a storage.
    pub fn storage(self, class: &str, key: &str, count: i64) -> Self {
        self.raw(b"(").text("storage").global("torch", class).text(key).text("cpu").int(count).raw(b"tQ")
    }

    /// Pushes a tensor in a storage.
    pub fn tensor(self, storage: (&str, &str, i64), offset: i64, shape: &[i64], strides: &[i64]) -> Self {
        let (class, key, count) = storage;
        self.global("torch._utils", "_rebuild_tensor_v2")
            .raw(b"(")
            .storage(class, key, count)
            .int(offset)
            .ints(shape)
            .ints(strides)
            .raw(b"\x89}tR")
    }

    /// Ends the pickle.
    pub fn end(self) -> Vec<u8> {
        self.raw(b".").0
    }
}

/// A dict with one tensor `x` in a storage `0`.
pub fn one_tensor(class: &str, count: i64, offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    Pickle::new().raw(b"}").text("x").tensor((class, "0", count), offset, shape, strides).raw(b"s").end()
}

/// A legacy file: its pickled object, and its storages with the number of elements that stands before them.
pub fn legacy(object: &[u8], storages: &[(&str, u64, &[u8])]) -> Vec<u8> {
    let mut file = Pickle::new().raw(b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19").end();
    file.extend(Pickle::new().int(1001).end());
    file.extend(Pickle::new().raw(b"}").text("little_endian").raw(b"\x88s").end());
    file.extend(object);
    let keys = storages.iter().fold(Pickle::new().raw(b"]("), |pickle, (key, ..)| pickle.text(key));
    file.extend(keys.raw(b"e").end());
    for (_, count, bytes) in storages {
        file.extend(count.to_le_bytes());
        file.extend(*bytes);
    }
    file
}

/// A record of a zip archive, and what is written of it.
#[derive(Clone, Debug)]
pub struct Record {
    pub name: String,
    pub bytes: Vec<u8>,
    pub method: u16,
    pub flags: u16,
    pub checksum: u32,
    /// The lengths that the directory claims, packed and unpacked.
    pub lengths: [u32; 2],
    /// The directory's extra field.
    pub extra: Vec<u8>,
    /// Where the directory says that it is, if not where it is.
    pub start: Option<u32>,
}

impl Record {
    /// A record as PyTorch writes it.
    pub fn new(name: &str, bytes: &[u8]) -> Self {
        let length = bytes.len() as u32;
        Self {
            name: name.to_owned(),
            bytes: bytes.to_vec(),
            method: 0,
            flags: 0,
            checksum: crc32fast::hash(bytes),
            lengths: [length; 2],
            extra: Vec::new(),
            start: None,
        }
    }
}

/// A zip archive of these records, without the large end.
pub fn zip(records: &[Record]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for record in records {
        let start = record.start.unwrap_or(file.len() as u32);
        let name = record.name.as_bytes();
        let head = |extra: usize| {
            let mut head = [20_u16, record.flags, record.method, 0, 0].map(u16::to_le_bytes).concat();
            head.extend([record.checksum, record.lengths[0], record.lengths[1]].map(u32::to_le_bytes).concat());
            head.extend([name.len() as u16, extra as u16].map(u16::to_le_bytes).concat());
            head
        };
        file.extend(b"PK\x03\x04");
        file.extend(head(0));
        file.extend(name);
        file.extend(&record.bytes);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(head(record.extra.len()));
        directory.extend([0; 10]);
        directory.extend(start.to_le_bytes());
        directory.extend(name);
        directory.extend(&record.extra);
    }
    let (start, length, count) = (file.len() as u32, directory.len() as u32, records.len() as u16);
    file.extend(directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend([count, count].map(u16::to_le_bytes).concat());
    file.extend([length, start].map(u32::to_le_bytes).concat());
    file.extend([0; 2]);
    file
}

/// The records of a file of `torch.save` with this pickle and these storages.
pub fn records(pickle: &[u8], storages: &[(&str, &[u8])]) -> Vec<Record> {
    let mut records = vec![Record::new("archive/data.pkl", pickle), Record::new("archive/byteorder", b"little")];
    records.extend(storages.iter().map(|(key, bytes)| Record::new(&format!("archive/data/{key}"), bytes)));
    records
}

/// Four numbers as bytes.
pub fn numbers() -> Vec<u8> {
    [1_f32, 2.0, 3.0, 4.0].map(f32::to_le_bytes).concat()
}
