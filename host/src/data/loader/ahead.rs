//! Work done ahead of its use: threads make numbered items, the caller takes them in order, and never more than so many wait.

use std::{
    collections::VecDeque,
    io,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

/// The work on item `index` panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Panicked {
    pub(super) index: usize,
}

/// Items of a range, made by threads and taken in order. The threads end when the last item is made, or this is dropped:
/// then each finishes at most the item in its hands.
#[derive(Debug)]
pub(super) struct Ahead<T> {
    shared: Arc<Shared<T>>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    /// An item was made.
    made: Condvar,
    /// An item was taken, or everything is over.
    room: Condvar,
    /// Most items made or in the making.
    limit: usize,
}

#[derive(Debug)]
struct State<T> {
    /// Items nobody has begun.
    left: Range<usize>,
    /// Items begun and not taken, in order; `None` until it is made.
    begun: VecDeque<Option<Result<T, Panicked>>>,
    stopped: bool,
}

impl<T: Send + 'static> Ahead<T> {
    /// Starts `workers` threads, at least one, on the items of `range`; at most `limit` of them, at least one, are begun and
    /// not yet taken.
    ///
    /// # Errors
    /// If no thread can be started. Should only some be, these do the work.
    pub(super) fn start(
        range: Range<usize>,
        workers: usize,
        limit: usize,
        make: impl Fn(usize) -> T + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let state = State { left: range, begun: VecDeque::new(), stopped: false };
        let shared =
            Shared { state: Mutex::new(state), made: Condvar::new(), room: Condvar::new(), limit: limit.max(1) };
        let mut ahead = Self { shared: Arc::new(shared), threads: Vec::new() };
        let make = Arc::new(make);
        for worker in 0..workers.max(1) {
            let (shared, make) = (Arc::clone(&ahead.shared), Arc::clone(&make));
            let thread = std::thread::Builder::new().name(format!("loader {worker}"));
            match thread.spawn(move || shared.work(&*make)) {
                Ok(thread) => ahead.threads.push(thread),
                Err(error) if ahead.threads.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        Ok(ahead)
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, make: &dyn Fn(usize) -> T) {
        while let Some(index) = self.begin() {
            // Whoever waits for this item must get something, whatever happens.
            let item = catch_unwind(AssertUnwindSafe(|| make(index))).map_err(|_| Panicked { index });
            let mut state = self.lock();
            // Items are begun in order: those behind the first one begun are next to each other.
            let place = index + state.begun.len() - state.left.start;
            if let Some(slot) = state.begun.get_mut(place) {
                *slot = Some(item);
            }
            drop(state);
            self.made.notify_one();
        }
    }

    /// The next item to make, once there is room for it.
    fn begin(&self) -> Option<usize> {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return None;
            }
            if state.begun.len() < self.limit {
                let index = state.left.next()?;
                state.begun.push_back(None);
                return Some(index);
            }
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<T> Iterator for Ahead<T> {
    type Item = Result<T, Panicked>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut state = self.shared.lock();
        loop {
            match state.begun.front() {
                None if state.left.is_empty() => return None,
                Some(Some(_)) => {
                    let item = state.begun.pop_front().flatten();
                    drop(state);
                    self.shared.room.notify_one();
                    return item;
                }
                _ => state = self.shared.made.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

impl<T> Drop for Ahead<T> {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.room.notify_all();
        for thread in self.threads.drain(..) {
            // It does not panic: see `work`.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use super::*;

    #[test]
    fn items_come_in_order_whoever_is_fastest() {
        for workers in [1, 2, 7] {
            let slow_first = |index: usize| {
                std::thread::sleep(Duration::from_micros(if index.is_multiple_of(3) { 900 } else { 10 }));
                index * index
            };
            let made: Vec<usize> = Ahead::start(5..40, workers, 4, slow_first).unwrap().map(Result::unwrap).collect();
            assert_eq!(made, (5..40).map(|index| index * index).collect::<Vec<_>>());
        }
    }

    #[test]
    fn no_more_than_the_limit_waits() {
        let begun = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&begun);
        let mut ahead = Ahead::start(0..100, 3, 5, move |_| count.fetch_add(1, Ordering::SeqCst)).unwrap();
        for taken in 1..=20 {
            ahead.next().unwrap().unwrap();
            std::thread::sleep(Duration::from_millis(2));
            assert!(begun.load(Ordering::SeqCst) <= taken + 5);
        }
    }

    #[test]
    fn dropping_it_ends_the_threads() {
        let begun = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&begun);
        let mut ahead = Ahead::start(0..usize::MAX, 3, 8, move |_| count.fetch_add(1, Ordering::SeqCst)).unwrap();
        ahead.next().unwrap().unwrap();
        drop(ahead);
        // The threads held clones of the counter; they are joined.
        assert_eq!(Arc::strong_count(&begun), 1);
        assert!(begun.load(Ordering::SeqCst) <= 9);
    }

    #[test]
    fn a_panic_is_an_item_like_any_other() {
        let make = |index: usize| if index == 3 { std::panic::resume_unwind(Box::new(())) } else { index };
        let made: Vec<_> = Ahead::start(0..6, 2, 3, make).unwrap().collect();
        assert_eq!(made, [Ok(0), Ok(1), Ok(2), Err(Panicked { index: 3 }), Ok(4), Ok(5)]);
    }

    #[test]
    fn an_empty_range_is_over_at_once() {
        assert_eq!(Ahead::start(7..7, 2, 3, |index| index).unwrap().next(), None);
    }
}
