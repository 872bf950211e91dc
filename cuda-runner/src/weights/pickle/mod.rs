//! A machine that reads pickles and executes nothing.
//!
//! A pickle is a program for a stack machine. This one knows the instructions that PyTorch writes (protocols 2 to 5)
//! and the handful of functions that a state dict names; whatever else a pickle asks for ends the reading with its
//! name. The memory it takes is bounded by the pickle's length and by [`MAX_VALUES`].

mod build;
mod global;
mod value;

use std::collections::HashMap;

pub(super) use global::Global;
pub(super) use value::{Id, Pickle, Value};

use super::{bytes::Bytes, problem, shown};
use crate::Result;

/// The instruction that starts a pickle.
pub(super) const PROTOCOL: u8 = 0x80;

/// Most values that are made, remembered or put on the stack. A tensor takes about fifty.
const MAX_VALUES: usize = 1 << 21;

/// How deep lists, tuples and dicts may be nested. A state dict in a checkpoint needs about five.
const MAX_DEPTH: u16 = 64;

/// Reads one pickle, up to and with its end.
///
/// # Errors
/// If it is damaged, asks for anything but data, or exceeds the bounds.
pub(super) fn read<'a>(bytes: &mut Bytes<'a>) -> Result<Pickle<'a>> {
    let mut machine = Machine::default();
    loop {
        let code = bytes.u8()?;
        if code == b'.' {
            return machine.finish();
        }
        machine.step(code, bytes)?;
    }
}

/// The machine between two instructions.
#[derive(Debug, Default)]
struct Machine<'a> {
    values: Vec<Value<'a>>,
    /// How deep each value is nested.
    depths: Vec<u16>,
    stack: Vec<Id>,
    /// Heights of the stack at which unfinished tuples, lists and dicts start.
    marks: Vec<usize>,
    /// Values that are used again, by number.
    memo: HashMap<u32, Id>,
    /// What counts against [`MAX_VALUES`].
    spent: usize,
}

impl<'a> Machine<'a> {
    fn step(&mut self, code: u8, bytes: &mut Bytes<'a>) -> Result<()> {
        match code {
            PROTOCOL => match bytes.u8()? {
                2..=5 => Ok(()),
                version => Err(problem(format!("is a pickle of protocol {version}; 2 to 5 are read"))),
            },
            // The length of what follows, for readers that want to read ahead.
            0x95 => bytes.u64().map(drop),
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'K' => bytes.u8().and_then(|number| self.push(Value::Integer(number.into()))),
            b'M' => bytes.u16().and_then(|number| self.push(Value::Integer(number.into()))),
            b'J' => bytes.u32().and_then(|number| self.push(Value::Integer(number.cast_signed().into()))),
            0x8A => bytes.u8().and_then(|length| self.long(length.into(), bytes)),
            0x8B => bytes.u32().and_then(|length| self.long(length.into(), bytes)),
            b'G' => bytes.u64().and_then(|_| self.push(Value::Other)),
            b'X' => bytes.u32().and_then(|length| self.text(length.into(), bytes)),
            0x8C => bytes.u8().and_then(|length| self.text(length.into(), bytes)),
            0x8D => bytes.u64().and_then(|length| self.text(length, bytes)),
            b'U' | b'C' => bytes.u8().and_then(|length| self.byte_string(length.into(), bytes)),
            b'T' | b'B' => bytes.u32().and_then(|length| self.byte_string(length.into(), bytes)),
            0x8E => bytes.u64().and_then(|length| self.byte_string(length, bytes)),
            b'(' => self.mark(),
            b')' => self.push(Value::Tuple(Vec::new())),
            0x85..=0x87 => self.short_tuple(usize::from(code - 0x84)),
            b't' => self.above_mark().and_then(|items| self.push_tuple(items)),
            b']' => self.push(Value::List(Vec::new())),
            b'a' => self.pop().and_then(|item| self.append(&[item])),
            b'e' => self.above_mark().and_then(|items| self.append(&items)),
            b'}' => self.push(Value::Dict(Vec::new())),
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set(&[key, value])
            }
            b'u' => self.above_mark().and_then(|items| self.set(&items)),
            b'q' => bytes.u8().and_then(|number| self.remember(number.into())),
            b'r' => bytes.u32().and_then(|number| self.remember(number)),
            0x94 => self.remember(u32::try_from(self.memo.len()).unwrap_or(u32::MAX)),
            b'h' => bytes.u8().and_then(|number| self.recall(number.into())),
            b'j' => bytes.u32().and_then(|number| self.recall(number)),
            b'c' => {
                let (module, name) = (bytes.line()?, bytes.line()?);
                self.global(&String::from_utf8_lossy(module), &String::from_utf8_lossy(name))
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (self.get(module), self.get(name)) {
                    (&Value::Text(module), &Value::Text(name)) => self.global(module, name),
                    _ => Err(problem("is damaged: its pickle names a function by something that is no text")),
                }
            }
            b'R' => self.call(),
            b'b' => self.set_state(),
            b'Q' => self.storage(),
            other => Err(problem(format!(
                "uses pickle's instruction 0x{other:02x}, which a state dict does not need; it is damaged, or holds \
                 more than weights: save the weights alone with torch.save(model.state_dict(), FILE)"
            ))),
        }
    }

    /// The value at the top, which must be all there is.
    fn finish(mut self) -> Result<Pickle<'a>> {
        let root = self.pop()?;
        match self.stack.is_empty() && self.marks.is_empty() {
            true => Ok(Pickle { values: self.values, root }),
            false => Err(problem("is damaged: its pickle ends before it is finished")),
        }
    }

    fn get(&self, id: Id) -> &Value<'a> {
        &self.values[id.0 as usize]
    }

    fn depth(&self, id: Id) -> u16 {
        self.depths[id.0 as usize]
    }

    /// Counts what takes memory.
    fn spend(&mut self, count: usize) -> Result<()> {
        self.spent = self.spent.saturating_add(count);
        match self.spent <= MAX_VALUES {
            true => Ok(()),
            false => Err(problem(format!("has more than {MAX_VALUES} values; no network needs as many"))),
        }
    }

    fn push(&mut self, value: Value<'a>) -> Result<()> {
        self.push_at(value, 0)
    }

    fn push_at(&mut self, value: Value<'a>, depth: u16) -> Result<()> {
        self.spend(1)?;
        // In range: there are at most MAX_VALUES.
        self.stack.push(Id(self.values.len() as u32));
        self.values.push(value);
        self.depths.push(depth);
        Ok(())
    }

    fn push_tuple(&mut self, items: Vec<Id>) -> Result<()> {
        let depth = self.depth_around(&items)?;
        self.push_at(Value::Tuple(items), depth)
    }

    fn depth_around(&self, items: &[Id]) -> Result<u16> {
        let depth = items.iter().map(|&item| self.depth(item) + 1).max().unwrap_or(0);
        match depth <= MAX_DEPTH {
            true => Ok(depth),
            false => Err(problem(format!("nests values more than {MAX_DEPTH} deep; no state dict does"))),
        }
    }

    fn pop(&mut self) -> Result<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len() > floor {
            true => self.stack.pop().ok_or_else(missing),
            false => Err(missing()),
        }
    }

    fn mark(&mut self) -> Result<()> {
        if self.marks.len() >= usize::from(MAX_DEPTH) {
            return Err(problem(format!("nests values more than {MAX_DEPTH} deep; no state dict does")));
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    /// Takes everything above the last mark.
    fn above_mark(&mut self) -> Result<Vec<Id>> {
        let start = self.marks.pop().ok_or_else(missing)?;
        Ok(self.stack.split_off(start))
    }

    fn long(&mut self, length: u64, bytes: &mut Bytes<'a>) -> Result<()> {
        let digits = bytes.take(length)?;
        if digits.len() > 8 {
            return self.push(Value::Long(digits));
        }
        // Two's complement: the missing bytes repeat the sign.
        let sign = digits.last().map_or(0, |last| if last & 0x80 == 0 { 0 } else { 0xFF });
        let mut whole = [sign; 8];
        whole[..digits.len()].copy_from_slice(digits);
        self.push(Value::Integer(i64::from_le_bytes(whole)))
    }

    fn text(&mut self, length: u64, bytes: &mut Bytes<'a>) -> Result<()> {
        let text = bytes.take(length)?;
        let text = std::str::from_utf8(text).map_err(|_| problem("is damaged: a text in its pickle is no UTF-8"))?;
        self.push(Value::Text(text))
    }

    /// Python 2 wrote its texts as bytes.
    fn byte_string(&mut self, length: u64, bytes: &mut Bytes<'a>) -> Result<()> {
        let string = bytes.take(length)?;
        self.push(std::str::from_utf8(string).map_or(Value::Other, Value::Text))
    }

    fn short_tuple(&mut self, length: usize) -> Result<()> {
        let mut items = (0..length).map(|_| self.pop()).collect::<Result<Vec<Id>>>()?;
        items.reverse();
        self.push_tuple(items)
    }

    /// Appends to the list at the top.
    fn append(&mut self, items: &[Id]) -> Result<()> {
        let (top, depth) = self.around(items)?;
        match &mut self.values[top.0 as usize] {
            Value::List(list) => list.extend_from_slice(items),
            other => return Err(problem(format!("is damaged: its pickle appends to {}", other.kind()))),
        }
        self.depths[top.0 as usize] = depth;
        Ok(())
    }

    /// Adds keys and values, in turn, to the dict at the top.
    fn set(&mut self, items: &[Id]) -> Result<()> {
        let (top, depth) = self.around(items)?;
        let (pairs, []) = items.as_chunks() else {
            return Err(problem("is damaged: its pickle has a key without a value"));
        };
        match &mut self.values[top.0 as usize] {
            Value::Dict(dict) => dict.extend(pairs.iter().map(|&[key, value]| (key, value))),
            other => return Err(problem(format!("is damaged: its pickle sets keys of {}", other.kind()))),
        }
        self.depths[top.0 as usize] = depth;
        Ok(())
    }

    /// The value at the top, and its depth with `items` in it.
    fn around(&mut self, items: &[Id]) -> Result<(Id, u16)> {
        let top = self.pop()?;
        self.stack.push(top);
        Ok((top, self.depth(top).max(self.depth_around(items)?)))
    }

    fn remember(&mut self, number: u32) -> Result<()> {
        self.spend(1)?;
        let top = self.pop()?;
        self.stack.push(top);
        self.memo.insert(number, top);
        Ok(())
    }

    fn recall(&mut self, number: u32) -> Result<()> {
        self.spend(1)?;
        let known = self.memo.get(&number).copied();
        self.stack.push(known.ok_or_else(|| problem("is damaged: its pickle uses a value that it does not have"))?);
        Ok(())
    }

    fn global(&mut self, module: &str, name: &str) -> Result<()> {
        match Global::find(module, name) {
            Some(global) => self.push(Value::Global(global)),
            None => Err(problem(format!(
                "asks for `{}.{}`, which is no part of a state dict; nothing was executed. If you trust the file, \
                 load it with PyTorch and save the weights alone: torch.save(model.state_dict(), FILE)",
                shown(module),
                shown(name)
            ))),
        }
    }
}

fn missing() -> crate::Error {
    problem("is damaged: its pickle takes a value that is not there")
}
