//! The calls in a pickle: what they make is made here, by hand.

use super::{Global, Id, Machine, Value};
use crate::{
    Result,
    weights::{
        problem,
        view::{Storage, TensorView},
    },
};

impl<'a> Machine<'a> {
    /// Calls the function below the top with the arguments at the top.
    pub(super) fn call(&mut self) -> Result<()> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let Value::Tuple(arguments) = self.get(arguments) else {
            return Err(problem("is damaged: its pickle calls a function without a list of arguments"));
        };
        let &Value::Global(function) = self.get(function) else {
            return Err(problem(format!(
                "is damaged: its pickle calls {}, which is no function",
                self.get(function).kind()
            )));
        };
        match (function, arguments.as_slice()) {
            (Global::OrderedDict, []) => self.push(Value::Dict(Vec::new())),
            // Python 2 hands the items over at once.
            (Global::OrderedDict, &[items]) => self.ordered_dict(items),
            (Global::RebuildTensor, &[storage, offset, shape, strides, ..]) => {
                let view = self.tensor(storage, offset, shape, strides)?;
                self.push(Value::Tensor(Box::new(view)))
            }
            (Global::RebuildParameter, &[tensor, ..]) if matches!(self.get(tensor), Value::Tensor(_)) => {
                self.spend(1)?;
                self.stack.push(tensor);
                Ok(())
            }
            (Global::Size, &[extents]) if self.items(extents).is_some() => {
                self.spend(1)?;
                self.stack.push(extents);
                Ok(())
            }
            (function, arguments) => Err(problem(format!(
                "is damaged: its pickle calls {function:?} with {} arguments that do not fit",
                arguments.len()
            ))),
        }
    }

    /// Sets the state of the value below the top. Only a dict's attributes (`_metadata` of a state dict) may be set,
    /// and nothing asks for them.
    pub(super) fn set_state(&mut self) -> Result<()> {
        let state = self.pop()?;
        let object = self.pop()?;
        self.stack.push(object);
        match (self.get(object), self.get(state)) {
            (Value::Dict(_), Value::Dict(_)) => Ok(()),
            (object, _) => Err(problem(format!("is damaged: its pickle sets the state of {}", object.kind()))),
        }
    }

    /// Replaces the persistent id at the top, `("storage", type, key, device, count)`, by the storage it names. Legacy
    /// files add a part: None, or `(its key, start, length)`.
    pub(super) fn storage(&mut self) -> Result<()> {
        let id = self.pop()?;
        let storage = self.named_storage(id).ok_or_else(|| match self.get(id) {
            Value::Tuple(items) if items.first().is_some_and(|&kind| self.is_text(kind, "module")) => {
                problem("holds a whole model, not its weights; save those with torch.save(model.state_dict(), FILE)")
            }
            _ => problem("is damaged: its pickle names a storage in a way that makes no sense"),
        })?;
        self.push(Value::Storage(Box::new(storage)))
    }

    fn named_storage(&self, id: Id) -> Option<Storage<'a>> {
        let Value::Tuple(items) = self.get(id) else { return None };
        let (&[kind, class, key, _device, count], part) = items.split_first_chunk()?;
        let (&Value::Global(Global::Storage(element)), &Value::Text(key)) = (self.get(class), self.get(key)) else {
            return None;
        };
        let count = self.natural(count)?;
        // More bytes than can be counted are in no file.
        count.checked_mul(element.size()).filter(|_| self.is_text(kind, "storage"))?;
        let (start, length) = match part {
            [] => (0, count),
            &[part] => match self.get(part) {
                Value::None => (0, count),
                Value::Tuple(part) => match part.as_slice() {
                    &[_, start, length] => (self.natural(start)?, self.natural(length)?),
                    _ => return None,
                },
                _ => return None,
            },
            _ => return None,
        };
        start.checked_add(length).filter(|end| *end <= count)?;
        Some(Storage { element, key, count, start, length })
    }

    fn tensor(&self, storage: Id, offset: Id, shape: Id, strides: Id) -> Result<TensorView<'a>> {
        let (Value::Storage(storage), &Value::Integer(offset), Some(shape), Some(strides)) =
            (self.get(storage), self.get(offset), self.integers(shape), self.integers(strides))
        else {
            return Err(problem("is damaged: its pickle makes a tensor of something that is no storage"));
        };
        TensorView::new(**storage, offset, &shape, &strides)
    }

    /// The numbers of a tuple or list; `None` if there are other things in it, or far too many for a shape.
    fn integers(&self, id: Id) -> Option<Vec<i64>> {
        const MANY: usize = 64;
        let items = self.items(id)?;
        let integer = |&item: &Id| match self.get(item) {
            &Value::Integer(number) => Some(number),
            _ => None,
        };
        if items.len() > MANY { None } else { items.iter().map(integer).collect() }
    }

    fn natural(&self, id: Id) -> Option<usize> {
        match self.get(id) {
            &Value::Integer(number) => usize::try_from(number).ok(),
            _ => None,
        }
    }

    fn is_text(&self, id: Id, text: &str) -> bool {
        matches!(self.get(id), &Value::Text(found) if found == text)
    }

    fn ordered_dict(&mut self, items: Id) -> Result<()> {
        // Counted before it is copied: the same list may be handed over again and again.
        self.spend(self.items(items).map_or(0, <[Id]>::len))?;
        let pair = |&item: &Id| match self.items(item) {
            Some(&[key, value]) => Some((key, value)),
            _ => None,
        };
        match self.items(items).and_then(|list| list.iter().map(pair).collect()) {
            Some(pairs) => self.push_at(Value::Dict(pairs), self.depth(items)),
            None => Err(problem("is damaged: its pickle makes a dict of something that has no keys and values")),
        }
    }

    /// What is in a tuple or list; `None` for anything else.
    fn items(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Value::Tuple(items) | Value::List(items) => Some(items),
            _ => None,
        }
    }
}
