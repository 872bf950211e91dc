//! What `torch.save` has written since PyTorch 1.6: a zip archive of a pickle and the storages, uncompressed.
//!
//! Only the archive's directory at the end is believed, as everywhere, and only after it has been held against the
//! records: those lie in the file one after the other, and none is longer than the file.

use std::collections::HashMap;

use super::{Format, StateDict, bytes::Bytes, pickle, problem, shown, torch, view::Storage};
use crate::Result;

/// Signatures of the archive's parts.
const RECORD: u32 = 0x0403_4B50;
const DIRECTORY_ENTRY: u32 = 0x0201_4B50;
const END: u32 = 0x0605_4B50;
const END_64: u32 = 0x0606_4B50;
const END_64_LOCATOR: u32 = 0x0706_4B50;

/// Bytes of the end without its comment, and of what may stand before it: the place of an end with large numbers.
const END_BYTES: usize = 22;
const LOCATOR_BYTES: usize = 20;

/// Bytes of a record's head, and of an entry of the directory, without what varies.
const RECORD_BYTES: u64 = 30;
const ENTRY_BYTES: u64 = 46;

/// Instead of a number that needs more than 32 bits.
const ELSEWHERE: u32 = u32::MAX;

/// The state dict in a zip archive.
pub(super) fn parse(file: &[u8]) -> Result<StateDict> {
    let archive = Archive::open(file)?;
    let root = archive.root()?;
    if archive.get(&format!("{root}byteorder"))?.is_some_and(|order| order.trim_ascii() != b"little") {
        return Err(problem(
            "was written by a big-endian machine; load it with PyTorch and save it again on another one",
        ));
    }
    if archive.records.contains_key(format!("{root}constants.pkl").as_str()) {
        return Err(problem(
            "is a TorchScript model, not a state dict; save its weights with torch.save(model.state_dict(), FILE)",
        ));
    }
    let pickled = archive.get(&format!("{root}data.pkl"))?.unwrap_or_default();
    let pickle = pickle::read(&mut Bytes::new(pickled, "its pickle"))?;
    // Several tensors may lie in one storage, whose checksum is computed once.
    let mut found = HashMap::new();
    torch::state_dict(Format::Zip, file.len(), torch::named_tensors(&pickle)?, |storage| {
        if let Some(&bytes) = found.get(storage.key) {
            return enough(storage, bytes);
        }
        let bytes = archive.get(&format!("{root}data/{}", storage.key))?;
        let bytes =
            bytes.ok_or_else(|| problem(format!("is damaged: it lacks the storage `{}`", shown(storage.key))))?;
        found.insert(storage.key, bytes);
        enough(storage, bytes)
    })
}

/// The bytes of a storage, if they are as many as its description says.
fn enough<'a>(storage: &Storage<'_>, bytes: &'a [u8]) -> Result<&'a [u8]> {
    match bytes.len() / storage.element.size() == storage.count {
        true => Ok(bytes),
        false => Err(problem(format!(
            "is damaged: the storage `{}` has {} bytes, its description says {} elements of type {:?}",
            shown(storage.key),
            bytes.len(),
            storage.count,
            storage.element
        ))),
    }
}

/// A record: where its bytes are, and what the directory says of them.
#[derive(Clone, Copy, Debug)]
struct Record<'a> {
    bytes: &'a [u8],
    is_plain: bool,
    checksum: u32,
}

/// An archive, its directory checked.
#[derive(Debug)]
struct Archive<'a> {
    records: HashMap<&'a str, Record<'a>>,
}

/// What the directory says of a record.
#[derive(Clone, Copy, Debug)]
struct Entry<'a> {
    name: &'a str,
    /// Where its head starts.
    start: u64,
    length: u64,
    is_plain: bool,
    checksum: u32,
}

impl<'a> Archive<'a> {
    fn open(file: &'a [u8]) -> Result<Self> {
        let directory = Directory::find(file)?;
        let mut bytes = Bytes::new(from(file, directory.start)?, "the zip archive's directory");
        let mut bytes = Bytes::new(bytes.take(directory.length)?, "the zip archive's directory");
        let mut entries = Vec::new();
        while !bytes.rest().is_empty() {
            entries.push(Entry::read(&mut bytes)?);
        }
        if entries.len() as u64 != directory.count {
            return Err(damaged("its directory has another number of entries than it says"));
        }
        // Records that overlap would let a small file hold any amount of data.
        entries.sort_by_key(|entry| entry.start);
        let mut free = 0;
        let mut records = HashMap::new();
        for entry in entries {
            if entry.start < free {
                return Err(damaged("its records overlap"));
            }
            let (bytes, end) = entry.locate(file)?;
            if end > directory.start {
                return Err(damaged("a record reaches into its directory"));
            }
            free = end;
            let record = Record { bytes, is_plain: entry.is_plain, checksum: entry.checksum };
            if records.insert(entry.name, record).is_some() {
                return Err(problem(format!("is damaged: it has two records `{}`", shown(entry.name))));
            }
        }
        Ok(Self { records })
    }

    /// What stands before the names of all records: the folder of the only `data.pkl`.
    fn root(&self) -> Result<&'a str> {
        let roots = self.records.keys().filter_map(|name| name.strip_suffix("data.pkl"));
        let mut roots = roots.filter(|root| root.is_empty() || root.ends_with('/'));
        match (roots.next(), roots.next()) {
            (Some(root), None) => Ok(root),
            (None, _) => Err(problem("is a zip archive without a data.pkl: not one that PyTorch writes")),
            (Some(_), Some(_)) => Err(problem("is a zip archive with several data.pkl: not one that PyTorch writes")),
        }
    }

    /// The bytes of the record called `name`.
    fn get(&self, name: &str) -> Result<Option<&'a [u8]>> {
        let Some(record) = self.records.get(name) else { return Ok(None) };
        if !record.is_plain {
            return Err(problem(format!(
                "has the record `{}` compressed or encrypted, which PyTorch never does; get the original file",
                shown(name)
            )));
        }
        // PyTorch can be told to compute no checksums, and then writes 0.
        if record.checksum != 0 && crc32fast::hash(record.bytes) != record.checksum {
            return Err(problem(format!("is damaged: the checksum of `{}` is wrong; get the file again", shown(name))));
        }
        Ok(Some(record.bytes))
    }
}

impl<'a> Entry<'a> {
    fn read(bytes: &mut Bytes<'a>) -> Result<Self> {
        let mut fixed = Bytes::new(bytes.take(ENTRY_BYTES)?, "the zip archive's directory");
        if fixed.u32()? != DIRECTORY_ENTRY {
            return Err(damaged("its directory has something else than entries"));
        }
        let _versions = fixed.u32()?;
        let (flags, method) = (fixed.u16()?, fixed.u16()?);
        let _time = fixed.u32()?;
        let checksum = fixed.u32()?;
        let (packed, unpacked) = (fixed.u32()?, fixed.u32()?);
        let (name, extra, comment) = (fixed.u16()?, fixed.u16()?, fixed.u16()?);
        let _disk_and_attributes = fixed.take(8)?;
        let start = fixed.u32()?;
        let name = std::str::from_utf8(bytes.take(name.into())?).map_err(|_| damaged("a record's name is no UTF-8"))?;
        let mut large = large_numbers(bytes.take(extra.into())?)?;
        bytes.take(comment.into())?;
        // In the order that the format prescribes.
        let unpacked = number(unpacked, &mut large)?;
        let packed = number(packed, &mut large)?;
        let start = number(start, &mut large)?;
        let (is_encrypted, is_stored) = (flags & 1 != 0, method == 0);
        if is_stored && !is_encrypted && packed != unpacked {
            return Err(problem(format!("is damaged: the record `{}` has two lengths", shown(name))));
        }
        Ok(Self { name, start, length: packed, is_plain: is_stored && !is_encrypted, checksum })
    }

    /// The record's bytes and where they end.
    fn locate(&self, file: &'a [u8]) -> Result<(&'a [u8], u64)> {
        let mut bytes = Bytes::new(from(file, self.start)?, "a record of the zip archive");
        let mut fixed = Bytes::new(bytes.take(RECORD_BYTES)?, "a record of the zip archive");
        let is_record = fixed.u32()? == RECORD;
        let _until_lengths = fixed.take(22)?;
        let (name, extra) = (fixed.u16()?, fixed.u16()?);
        if !is_record || bytes.take(name.into())? != self.name.as_bytes() {
            return Err(problem(format!("is damaged: the record `{}` is not where it should be", shown(self.name))));
        }
        bytes.take(extra.into())?;
        let record = bytes.take(self.length)?;
        Ok((record, (file.len() - bytes.rest().len()) as u64))
    }
}

/// The numbers of an entry that need more than 32 bits, one after the other: its extra field with tag 1.
fn large_numbers(extra: &[u8]) -> Result<Bytes<'_>> {
    let mut extra = Bytes::new(extra, "an entry of the zip archive");
    while !extra.rest().is_empty() {
        let (tag, length) = (extra.u16()?, extra.u16()?);
        let field = extra.take(length.into())?;
        if tag == 1 {
            return Ok(Bytes::new(field, "an entry of the zip archive"));
        }
    }
    Ok(extra)
}

/// `short`, or the next of the large numbers if that is where it says it is.
fn number(short: u32, large: &mut Bytes<'_>) -> Result<u64> {
    match short {
        ELSEWHERE => large.u64(),
        short => Ok(short.into()),
    }
}

/// Where the directory is.
#[derive(Clone, Copy, Debug)]
struct Directory {
    start: u64,
    length: u64,
    count: u64,
}

impl Directory {
    fn find(file: &[u8]) -> Result<Self> {
        let cut = || damaged("its end is missing");
        // A comment of at most 64 KiB may follow the end; nothing may follow the comment.
        let is_end = |&place: &usize| {
            let comment = file.len() - place - END_BYTES;
            file[place..].starts_with(&END.to_le_bytes())
                && file[place + END_BYTES - 2..].starts_with(&(comment as u32).to_le_bytes()[..2])
        };
        let last = file.len().checked_sub(END_BYTES).ok_or_else(cut)?;
        let first = last.saturating_sub(usize::from(u16::MAX));
        let end = (first..=last).rev().find(is_end).ok_or_else(cut)?;
        let mut bytes = Bytes::new(&file[end..], "the zip archive's end");
        let _signature_and_disks = bytes.take(10)?;
        let short = (bytes.u16()?, bytes.u32()?, bytes.u32()?);
        let locator = end.checked_sub(LOCATOR_BYTES).map(|place| &file[place..end]);
        let directory = match locator.and_then(|locator| locator.strip_prefix(&END_64_LOCATOR.to_le_bytes())) {
            Some(locator) => {
                let mut locator = Bytes::new(locator, "the zip archive's end");
                let _disk = locator.u32()?;
                Self::find_large(file, locator.u64()?, short)?
            }
            None => Self { start: short.2.into(), length: short.1.into(), count: short.0.into() },
        };
        match directory.start.checked_add(directory.length) {
            Some(stop) if stop <= end as u64 => Ok(directory),
            _ => Err(damaged("its directory is not where it should be")),
        }
    }

    /// From the end with large numbers, of which `short` are the short ones: count, length, start.
    fn find_large(file: &[u8], place: u64, short: (u16, u32, u32)) -> Result<Self> {
        let mut bytes = Bytes::new(from(file, place)?, "the zip archive's end");
        if bytes.u32()? != END_64 {
            return Err(damaged("its end is not where it should be"));
        }
        let _size_versions_disks_count = bytes.take(28)?;
        let (count, length, start) = (bytes.u64()?, bytes.u64()?, bytes.u64()?);
        let agree = |large: u64, short: u32, elsewhere: u32| short == elsewhere || large == u64::from(short);
        match agree(count, short.0.into(), u16::MAX.into())
            && agree(length, short.1, ELSEWHERE)
            && agree(start, short.2, ELSEWHERE)
        {
            true => Ok(Self { start, length, count }),
            false => Err(damaged("its two ends contradict each other")),
        }
    }
}

/// The file from a place on.
fn from(file: &[u8], place: u64) -> Result<&[u8]> {
    let rest = usize::try_from(place).ok().and_then(|place| file.get(place..));
    rest.ok_or_else(|| damaged("it points beyond its end"))
}

fn damaged(how: &str) -> crate::Error {
    problem(format!("is a damaged zip archive: {how}; get the file again"))
}
