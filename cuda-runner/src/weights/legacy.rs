//! What `torch.save` wrote before PyTorch 1.6: pickles one after the other, then the storages.
//!
//! The pickles are a magic number, the format's version, what machine wrote it, the saved object, and the keys of the
//! storages; then each storage in the order of the keys, as its number of elements (eight bytes) and the elements.

use std::collections::HashMap;

use super::{
    Format, StateDict,
    bytes::Bytes,
    pickle::{self, Pickle, Value},
    problem, shown, torch,
    view::Storage,
};
use crate::Result;

/// 0x1950a86a20f9469cfc6c, little-endian.
const MAGIC: [u8; 10] = [0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19];

/// The only version there has been.
const VERSION: i64 = 1001;

/// The state dict in a legacy file.
pub(super) fn parse(file: &[u8]) -> Result<StateDict> {
    let mut bytes = Bytes::new(file, "its pickle");
    let magic = pickle::read(&mut bytes)?;
    if !matches!(magic.root().1, Value::Long(digits) if *digits == MAGIC) {
        return Err(problem("is a pickle, but not one of PyTorch; save the weights with torch.save"));
    }
    match pickle::read(&mut bytes)?.root().1 {
        Value::Integer(VERSION) => {}
        _ => return Err(problem(format!("is of another version of PyTorch's legacy format than {VERSION}"))),
    }
    little_endian(&pickle::read(&mut bytes)?)?;
    let object = pickle::read(&mut bytes)?;
    let views = torch::named_tensors(&object)?;
    let keys = pickle::read(&mut bytes)?;
    let found = storages(&object, &keys, &mut Bytes::new(bytes.rest(), "a storage"))?;
    torch::state_dict(Format::Legacy, file.len(), views, |storage| {
        found.get(storage.key).copied().ok_or_else(|| missing(storage.key))
    })
}

fn little_endian(system: &Pickle<'_>) -> Result<()> {
    let is_key = |&&(key, _): &&(_, _)| matches!(system.get(key), &Value::Text("little_endian"));
    let flag = system.dict(system.root().0).and_then(|pairs| pairs.iter().find(is_key));
    match flag.map(|&(_, value)| system.get(value)) {
        Some(Value::Bool(true)) => Ok(()),
        Some(Value::Bool(false)) => {
            Err(problem("was written by a big-endian machine; load it with PyTorch and save it again on another one"))
        }
        _ => Err(problem("is damaged: it does not say what machine wrote it")),
    }
}

/// The storages' bytes, by key.
fn storages<'a>(object: &Pickle<'a>, keys: &Pickle<'_>, bytes: &mut Bytes<'a>) -> Result<HashMap<&'a str, &'a [u8]>> {
    let mut named: HashMap<&str, &Storage<'a>> = HashMap::new();
    for storage in object.storages() {
        let first = named.entry(storage.key).or_insert(storage);
        if (first.element, first.count) != (storage.element, storage.count) {
            return Err(problem(format!("is damaged: it describes the storage `{}` in two ways", shown(storage.key))));
        }
    }
    let Value::List(keys_in_order) = keys.root().1 else {
        return Err(problem("is damaged: it has no list of its storages"));
    };
    let mut found = HashMap::new();
    for &key in keys_in_order {
        let &Value::Text(key) = keys.get(key) else {
            return Err(problem("is damaged: a storage's name is no text"));
        };
        // Removed, so that a key that is there twice is not found the second time.
        let storage = named.remove(key).ok_or_else(|| problem(format!("has a storage `{}` too many", shown(key))))?;
        let count = bytes.u64()?;
        if count != storage.count as u64 {
            return Err(problem(format!(
                "is damaged: the storage `{}` has {count} elements, its description says {}",
                shown(key),
                storage.count
            )));
        }
        found.insert(storage.key, bytes.take((storage.count * storage.element.size()) as u64)?);
    }
    match named.into_keys().next() {
        None => Ok(found),
        Some(key) => Err(missing(key)),
    }
}

fn missing(key: &str) -> crate::Error {
    problem(format!("is damaged: it lacks the storage `{}`", shown(key)))
}
