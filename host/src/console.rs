//! The one place that prints: results on standard output, remarks and progress on standard error.
//!
//! Results never panic: a reader that goes away (`wseg eval | head`) ends the printing, not the process, and any other
//! trouble with standard output is kept and reported by [`Console::finish`].

use std::{
    borrow::Cow,
    fmt::Display,
    io::{self, IsTerminal, Write},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use clap::builder::styling::{AnsiColor, Style};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{Error, Result, args::ColorWhen};

/// Where progress is not drawn, a line of it is printed at first this often,
const PLAIN_OFTEN: Duration = Duration::from_secs(10);
/// and at last this often, so that a training overnight does not fill a log with thousands of lines.
const PLAIN_SELDOM: Duration = Duration::from_secs(300);

/// The time from one plain line to the next, of a task that has run for so long.
fn plain_pause(running: Duration) -> Duration {
    (running / 20).clamp(PLAIN_OFTEN, PLAIN_SELDOM)
}

/// What becomes of standard output.
#[derive(Debug, Default)]
enum Output {
    #[default]
    Open,
    /// The reader is gone: nobody is interested any more.
    Closed,
    Broken(io::Error),
}

/// Prints what a person sees.
#[derive(Debug)]
pub struct Console {
    quiet: bool,
    out: Paint,
    err: Paint,
    output: Mutex<Output>,
    /// Draws the progress bars; prints above them.
    bars: MultiProgress,
    /// Whether bars are drawn at all.
    drawn: bool,
}

impl Console {
    /// A console as the flags say.
    #[must_use]
    pub fn new(quiet: bool, color: ColorWhen) -> Self {
        let drawn = !quiet && io::stderr().is_terminal();
        let target = if drawn { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self {
            quiet,
            out: Paint(colored(color, io::stdout().is_terminal())),
            err: Paint(colored(color, io::stderr().is_terminal())),
            output: Mutex::default(),
            bars: MultiProgress::with_draw_target(target),
            drawn,
        }
    }

    /// Prints a result, with a newline, on standard output. Quiet consoles print it too.
    pub fn print(&self, text: impl Display) {
        let mut output = self.output();
        if matches!(*output, Output::Open) {
            let line = format!("{text}\n");
            let written = self.bars.suspend(|| {
                let mut out = io::stdout().lock();
                out.write_all(line.as_bytes()).and_then(|()| out.flush())
            });
            match written {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => *output = Output::Closed,
                Err(error) => *output = Output::Broken(error),
            }
        }
    }

    /// Prints a remark on standard error, unless quiet.
    pub fn note(&self, text: impl Display) {
        if !self.quiet {
            self.stderr(&text.to_string());
        }
    }

    /// Prints a warning on standard error, quiet or not.
    pub fn warn(&self, text: impl Display) {
        self.stderr(&format!("{} {text}", self.err.warning("warning:")));
    }

    /// Prints an error on standard error.
    pub fn error(&self, text: impl Display) {
        self.stderr(&format!("{} {text}", self.err.bad("error:")));
    }

    /// Colours for [`Console::print`].
    #[must_use]
    pub const fn paint(&self) -> Paint {
        self.out
    }

    /// Whether remarks and progress are left out.
    #[must_use]
    pub const fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Starts the progress of `total` steps of something: a bar on a terminal, elsewhere a line now and then.
    #[must_use]
    pub fn progress(&self, what: impl Into<Cow<'static, str>>, total: u64) -> Progress<'_> {
        let what = what.into();
        // Without a terminal the bar is hidden, but still counts and measures.
        let bar = self.bars.add(ProgressBar::new(total));
        if let Ok(style) =
            ProgressStyle::with_template("{prefix:<12} [{bar:28}] {pos}/{len} {per_sec} {elapsed}<{eta} {msg}")
        {
            bar.set_style(style.progress_chars("=> ").with_key(
                "per_sec",
                |state: &indicatif::ProgressState, line: &mut dyn std::fmt::Write| {
                    // A line that cannot be written to is a bar that is not seen.
                    let _ = write!(line, "{:.1}/s", state.per_sec());
                },
            ));
        }
        bar.set_prefix(what.clone());
        let started = Instant::now();
        Progress { console: self, bar, what, started, printed: Mutex::new(started) }
    }

    /// Ends the printing.
    ///
    /// # Errors
    /// Standard output could not be written, for another reason than a reader that went away.
    pub fn finish(&self) -> Result<()> {
        match std::mem::take(&mut *self.output()) {
            Output::Open | Output::Closed => Ok(()),
            Output::Broken(error) => Err(Error::Failed(format!("standard output: {error}"))),
        }
    }

    fn output(&self) -> MutexGuard<'_, Output> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stderr(&self, text: &str) {
        // There is nowhere left to complain about standard error.
        let _ = self.bars.suspend(|| writeln!(io::stderr().lock(), "{text}"));
    }
}

/// Progress of one task. It ends when dropped.
#[derive(Debug)]
pub struct Progress<'a> {
    console: &'a Console,
    bar: ProgressBar,
    what: Cow<'static, str>,
    started: Instant,
    printed: Mutex<Instant>,
}

impl Progress<'_> {
    /// So many steps more are done. Safe to call from several threads.
    pub fn advance(&self, steps: u64) {
        self.bar.inc(steps);
        if self.console.drawn || self.console.quiet {
            return;
        }
        let mut printed = self.printed.lock().unwrap_or_else(PoisonError::into_inner);
        if printed.elapsed() >= plain_pause(self.started.elapsed()) {
            *printed = Instant::now();
            self.console.note(self.line());
        }
    }

    /// What stands behind the bar: losses, a file name.
    pub fn message(&self, text: impl Into<Cow<'static, str>>) {
        self.bar.set_message(text);
    }

    /// The state as one plain line.
    fn line(&self) -> String {
        let (done, total) = (self.bar.position(), self.bar.length().unwrap_or(0));
        let seconds = self.started.elapsed().as_secs_f64();
        let rate = done as f64 / seconds.max(1e-9);
        let left = if done == 0 { 0.0 } else { total.saturating_sub(done) as f64 / rate };
        let message = self.bar.message();
        format!("{} {done}/{total}  {rate:.1}/s  {} left  {message}", self.what, clock(left)).trim_end().to_owned()
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Seconds as `m:ss` or `h:mm:ss`.
#[must_use]
pub fn clock(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// Colours, or none.
#[derive(Debug, Clone, Copy)]
pub struct Paint(bool);

impl Paint {
    /// No colours.
    pub const PLAIN: Self = Self(false);

    /// Something that went well.
    #[must_use]
    pub fn good(self, text: impl Display) -> String {
        self.dress(AnsiColor::Green.on_default(), text)
    }

    /// Something that failed.
    #[must_use]
    pub fn bad(self, text: impl Display) -> String {
        self.dress(AnsiColor::Red.on_default().bold(), text)
    }

    /// Something to look at.
    #[must_use]
    pub fn warning(self, text: impl Display) -> String {
        self.dress(AnsiColor::Yellow.on_default().bold(), text)
    }

    /// A heading, or the number that counts.
    #[must_use]
    pub fn strong(self, text: impl Display) -> String {
        self.dress(Style::new().bold(), text)
    }

    /// Something of less weight.
    #[must_use]
    pub fn faint(self, text: impl Display) -> String {
        self.dress(Style::new().dimmed(), text)
    }

    fn dress(self, style: Style, text: impl Display) -> String {
        if self.0 { format!("{style}{text}{style:#}") } else { text.to_string() }
    }
}

/// Whether to colour, as the flag, the environment and the stream say.
fn colored(when: ColorWhen, terminal: bool) -> bool {
    match when {
        ColorWhen::Always => true,
        ColorWhen::Never => false,
        ColorWhen::Auto => {
            let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
            terminal && !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_those_who_want_them() {
        assert!(colored(ColorWhen::Always, false));
        assert!(!colored(ColorWhen::Never, true));
        assert!(!colored(ColorWhen::Auto, false));
        assert_eq!(Paint::PLAIN.bad("x"), "x");
        assert_eq!(Paint(true).good("ok"), "\u{1b}[32mok\u{1b}[0m");
    }

    #[test]
    fn a_clock_grows_an_hour_hand() {
        assert_eq!(clock(9.6), "0:10");
        assert_eq!(clock(3661.0), "1:01:01");
        assert_eq!(clock(-1.0), "0:00");
    }

    #[test]
    fn plain_lines_become_rarer() {
        let pause = |minutes: u64| plain_pause(Duration::from_secs(60 * minutes)).as_secs();
        assert_eq!([pause(0), pause(3), pause(20), pause(100), pause(600)], [10, 10, 60, 300, 300]);
    }

    #[test]
    fn a_plain_line_says_how_far_and_how_long() {
        let console = Console::new(true, ColorWhen::Never);
        let progress = console.progress("masks", 10);
        progress.advance(5);
        progress.message("loss 0.5");
        let line = progress.line();
        assert!(line.starts_with("masks 5/10") && line.ends_with("left  loss 0.5"), "{line}");
    }
}
