//! Signals that ask for the end: the step is finished, the training saved.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

use crate::{Error, Result};

/// Listens for SIGINT (Ctrl-C) and SIGTERM for the rest of the process. The second of them ends it at once.
#[derive(Debug)]
pub struct Interrupt(Arc<AtomicUsize>);

impl Interrupt {
    /// Begins to listen.
    ///
    /// # Errors
    /// The system does not allow it.
    pub fn listen() -> Result<Self> {
        let (asked, which) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let register = |signal: i32| {
            // In this order: a signal must not find the flag that it sets itself.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&asked))?;
            flag::register_usize(signal, Arc::clone(&which), usize::try_from(signal).unwrap_or(0))?;
            flag::register(signal, Arc::clone(&asked))
        };
        [SIGINT, SIGTERM]
            .into_iter()
            .try_for_each(|signal| register(signal).map(|_| ()))
            .map_err(|error| Error::Failed(format!("signals cannot be listened for: {error}")))?;
        Ok(Self(which))
    }

    /// The name of the signal that has come, and the exit code that goes with it.
    #[must_use]
    pub fn asked(&self) -> Option<(&'static str, u8)> {
        match i32::try_from(self.0.load(Ordering::Relaxed)) {
            Ok(SIGINT) => Some(("SIGINT", 130)),
            Ok(SIGTERM) => Some(("SIGTERM", 143)),
            _ => None,
        }
    }
}
