//! How fast photos come, and how long the training loop waits for them.

use std::{
    fmt,
    time::{Duration, Instant},
};

/// How an epoch goes so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed {
    /// Photos a second that went through the loop.
    pub photos_per_second: f64,
    /// Share of the time, from 0 to 1, that the loop waited for photos.
    pub waiting: f64,
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Small numbers need their decimal; for large ones it would flicker.
        let decimals = usize::from(self.photos_per_second < 10.0);
        write!(
            f,
            "{:.decimals$} img/s, {:.0} % of the time waiting for photos",
            self.photos_per_second,
            100.0 * self.waiting
        )
    }
}

/// Counts photos and waiting.
#[derive(Debug)]
pub(super) struct Meter {
    started: Instant,
    photos: usize,
    waited: Duration,
}

impl Meter {
    pub(super) fn start() -> Self {
        Self { started: Instant::now(), photos: 0, waited: Duration::ZERO }
    }

    /// So many photos came after a wait.
    pub(super) fn count(&mut self, photos: usize, waited: Duration) {
        self.photos += photos;
        self.waited += waited;
    }

    pub(super) fn speed(&self) -> Speed {
        let seconds = self.started.elapsed().as_secs_f64().max(1e-9);
        Speed {
            photos_per_second: self.photos as f64 / seconds,
            waiting: (self.waited.as_secs_f64() / seconds).min(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_a_share_of_the_time() {
        let mut meter = Meter::start();
        assert_eq!(meter.speed().waiting, 0.0);
        std::thread::sleep(Duration::from_millis(20));
        meter.count(4, Duration::from_millis(10));
        let speed = meter.speed();
        assert!(speed.waiting > 0.0 && speed.waiting <= 0.5, "{speed}");
        assert!(speed.photos_per_second > 0.0 && speed.photos_per_second <= 200.0, "{speed}");
    }

    #[test]
    fn it_reads_well() {
        let told = |photos_per_second, waiting| Speed { photos_per_second, waiting }.to_string();
        assert_eq!(told(3.12, 0.021), "3.1 img/s, 2 % of the time waiting for photos");
        assert_eq!(told(151.4, 1.0), "151 img/s, 100 % of the time waiting for photos");
    }
}
