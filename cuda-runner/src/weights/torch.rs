//! What the two files of `torch.save` have in common: a pickle whose tensors lie in storages beside it.

use std::collections::HashSet;

use super::{
    Format, RawTensor, StateDict,
    pickle::{Id, Pickle, Value},
    problem,
    view::{Storage, TensorView},
};
use crate::Result;

/// Names under which checkpoints keep the state dict beside other things, best first.
const WRAPPERS: [&str; 8] =
    ["state_dict", "model_state_dict", "model_state", "model", "net", "network", "module", "weights"];

/// How many wrappers may lie in each other.
const MAX_WRAPPERS: usize = 2;

/// Tensors may share a storage, and each gets its own copy: so much more than the file's length they may take.
const MAX_GROWTH: usize = 4;

/// What they may take in any case, so that small files may repeat a number.
const MIN_BUDGET: usize = 16 << 20;

/// The state dict of these tensors. `storages` finds the bytes of a storage, all of them.
pub(super) fn state_dict<'a>(
    format: Format,
    file_bytes: usize,
    views: Vec<(&str, &TensorView<'a>)>,
    mut storages: impl FnMut(&Storage<'a>) -> Result<&'a [u8]>,
) -> Result<StateDict> {
    let mut budget = file_bytes.saturating_mul(MAX_GROWTH).max(MIN_BUDGET);
    let mut tensors = Vec::new();
    for (name, view) in views {
        budget = budget.checked_sub(view.byte_count()).ok_or_else(|| {
            problem(format!("has tensors that take more than {MAX_GROWTH} times the bytes of the file; it is damaged"))
        })?;
        let bytes = view.gather(storages(&view.storage)?)?;
        tensors.push((name.to_owned(), RawTensor::new(view.storage.element, view.shape().to_vec(), bytes)?));
    }
    StateDict::new(format, tensors)
}

/// The tensors of a pickle's state dict with their names. What else is beside them is left out.
pub(super) fn named_tensors<'p, 'a>(pickle: &'p Pickle<'a>) -> Result<Vec<(&'a str, &'p TensorView<'a>)>> {
    let (root, value) = pickle.root();
    if !matches!(value, Value::Dict(_)) {
        return Err(problem(format!("holds {}, not a state dict", value.kind())));
    }
    let place = match unwrap(pickle, root, MAX_WRAPPERS) {
        Some(place) => place,
        None => only_state_dict(pickle, root)?,
    };
    let mut tensors = Vec::new();
    for &(key, value) in pickle.dict(place).unwrap_or_default() {
        match (pickle.get(key), pickle.get(value)) {
            (&Value::Text(name), Value::Tensor(view)) => tensors.push((name, &**view)),
            (key, Value::Tensor(_)) => {
                return Err(problem(format!("has a tensor whose name is {}, not a text", key.kind())));
            }
            _ => {}
        }
    }
    Ok(tensors)
}

/// The state dict behind at most `depth` wrappers.
fn unwrap(pickle: &Pickle<'_>, place: Id, depth: usize) -> Option<Id> {
    let pairs = pickle.dict(place)?;
    let mut inner = [None; WRAPPERS.len()];
    if depth > 0 {
        for &(key, value) in pairs {
            if let &Value::Text(name) = pickle.get(key)
                && let Some(rank) = WRAPPERS.iter().position(|wrapper| *wrapper == name)
            {
                inner[rank] = Some(value);
            }
        }
    }
    let unwrapped = inner.into_iter().flatten().find_map(|inner| unwrap(pickle, inner, depth - 1));
    unwrapped.or_else(|| holds_tensors(pickle, pairs).then_some(place))
}

/// The only dict of tensors among the values of a dict, whatever it is called.
fn only_state_dict(pickle: &Pickle<'_>, root: Id) -> Result<Id> {
    let pairs = pickle.dict(root).unwrap_or_default();
    let inner: HashSet<Id> = pairs.iter().map(|&(_, value)| value).collect();
    let mut found: Vec<Id> =
        inner.into_iter().filter(|&id| pickle.dict(id).is_some_and(|pairs| holds_tensors(pickle, pairs))).collect();
    match (found.pop(), found.as_slice()) {
        (Some(one), []) => Ok(one),
        (None, _) => Err(problem("holds no tensors")),
        (Some(_), more) => Err(problem(format!(
            "holds {} dicts of tensors, none of them called {}; save the one that counts alone",
            more.len() + 1,
            WRAPPERS.join(", ")
        ))),
    }
}

fn holds_tensors(pickle: &Pickle<'_>, pairs: &[(Id, Id)]) -> bool {
    pairs.iter().any(|&(_, value)| matches!(pickle.get(value), Value::Tensor(_)))
}
