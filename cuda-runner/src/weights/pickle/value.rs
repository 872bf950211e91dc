//! What a pickle holds.

use super::global::Global;
use crate::weights::view::{Storage, TensorView};

/// A value's place among its pickle's values. Values hold places, not each other, so that neither a chain of a
/// million lists nor a list within itself is a danger to the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::weights) struct Id(pub(super) u32);

/// A value, as far as state dicts need it.
#[derive(Clone, Debug)]
pub(in crate::weights) enum Value<'a> {
    None,
    Bool(bool),
    Integer(i64),
    /// An integer of more than eight bytes, little-endian.
    Long(&'a [u8]),
    Text(&'a str),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Storage(Box<Storage<'a>>),
    Tensor(Box<TensorView<'a>>),
    /// Floating-point numbers, byte strings, names of types: nothing asks for them.
    Other,
}

impl Value<'_> {
    /// What it is, to a person.
    pub(in crate::weights) const fn kind(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a truth value",
            Self::Integer(_) | Self::Long(_) => "an integer",
            Self::Text(_) => "a text",
            Self::Tuple(_) => "a tuple",
            Self::List(_) => "a list",
            Self::Dict(_) => "a dict",
            Self::Global(_) => "a function or type",
            Self::Storage(_) => "a storage",
            Self::Tensor(_) => "a tensor",
            Self::Other => "a number or bytes",
        }
    }
}

/// What a pickle holds: values, of which one is the whole.
#[derive(Clone, Debug)]
pub(in crate::weights) struct Pickle<'a> {
    pub(super) values: Vec<Value<'a>>,
    pub(super) root: Id,
}

impl<'a> Pickle<'a> {
    /// The whole.
    pub(in crate::weights) fn root(&self) -> (Id, &Value<'a>) {
        (self.root, self.get(self.root))
    }

    /// The value at a place.
    pub(in crate::weights) fn get(&self, id: Id) -> &Value<'a> {
        // Places are handed out by the machine that filled the list, and it never shrinks.
        &self.values[id.0 as usize]
    }

    /// The pairs of a dict; `None` for anything else.
    pub(in crate::weights) fn dict(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.get(id) {
            Value::Dict(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// All storages that are named anywhere in it.
    pub(in crate::weights) fn storages(&self) -> impl Iterator<Item = &Storage<'a>> {
        self.values.iter().filter_map(|value| match value {
            Value::Storage(storage) => Some(&**storage),
            _ => None,
        })
    }
}
