//! What a person sees on standard error: bars on a terminal, plain lines elsewhere, or nothing.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use indicatif::{BinaryBytes, MultiProgress, ProgressBar, ProgressStyle};

/// Bytes between two updates of a bar: cars are too small and too many to show each.
const UPDATE_SIZE: u64 = 64 << 10;
/// Between two plain lines about one file.
const LINE_INTERVAL: Duration = Duration::from_secs(5);
const BAR: &str = "{prefix:24!} {bar:24} {percent:>3}% {binary_bytes:>11}/{binary_total_bytes} {binary_bytes_per_sec:>13} {eta:>4}";

/// Where progress is shown; shared by all workers.
pub(crate) struct Progress {
    bars: Option<MultiProgress>,
    quiet: bool,
}

impl Progress {
    /// A log would tear bars apart, so `verbose` has plain lines too.
    pub(crate) fn new(quiet: bool, verbose: bool) -> Progress {
        let bars = (!quiet && !verbose && stderr().is_terminal()).then(MultiProgress::new);
        Progress { bars, quiet }
    }

    /// Tells something that is good to know.
    pub(crate) fn say(&self, line: &str) {
        if !self.quiet {
            self.print(line);
        }
    }

    /// Tells a failure.
    pub(crate) fn complain(&self, line: &str) {
        self.print(&format!("train-get: {line}"));
    }

    fn print(&self, line: &str) {
        let print = || {
            // With standard error gone there is nobody left to tell. One write keeps lines whole.
            let _ = stderr().write_all(format!("{line}\n").as_bytes());
        };
        match &self.bars {
            Some(bars) => bars.suspend(print),
            None => print(),
        }
    }

    /// Shows one file, of which `offset` bytes of `size` are there already.
    pub(crate) fn meter(&self, name: String, offset: u64, size: u64) -> Meter<'_> {
        let bar = self.bars.as_ref().map(|bars| {
            let style = ProgressStyle::with_template(BAR).expect("the template is a constant");
            let bar = ProgressBar::new(size)
                .with_style(style)
                .with_prefix(name.clone());
            let bar = bars.add(bar.with_position(offset));
            bar.reset_eta(); // the rate is that of this run
            bar
        });
        let start = Instant::now();
        Meter {
            progress: self,
            bar,
            name,
            offset,
            position: offset,
            shown: offset,
            size,
            start,
            line: start,
        }
    }
}

/// The progress of one file. Dropped before `finish`, it just goes away.
pub(crate) struct Meter<'a> {
    progress: &'a Progress,
    bar: Option<ProgressBar>,
    name: String,
    offset: u64,
    position: u64,
    /// The position that the person knows of.
    shown: u64,
    size: u64,
    start: Instant,
    /// When the last line was printed.
    line: Instant,
}

impl Meter<'_> {
    pub(crate) fn advance(&mut self, count: usize) {
        self.position += count as u64;
        if self.position - self.shown < UPDATE_SIZE {
            return;
        }
        self.shown = self.position;
        if let Some(bar) = &self.bar {
            bar.set_position(self.position);
        } else if self.line.elapsed() >= LINE_INTERVAL {
            self.line = Instant::now();
            let percent = self.position as f64 * 100.0 / self.size as f64;
            let rate = self.rate();
            let left = (self.size - self.position) as f64 / rate;
            let (size, rate) = (BinaryBytes(self.size), BinaryBytes(rate as u64));
            self.progress.say(&format!(
                "{}: {percent:.0}% of {size}, {rate}/s, {left:.0} s left",
                self.name
            ));
        }
    }

    /// The file is whole.
    pub(crate) fn finish(self) {
        let (rate, seconds) = (
            BinaryBytes(self.rate() as u64),
            self.start.elapsed().as_secs_f64(),
        );
        let continued = match self.offset {
            0 => String::new(),
            offset => format!(", continued from {offset}"),
        };
        let line = format!(
            "{}: {} bytes{continued}, {seconds:.1} s, {rate}/s",
            self.name, self.size
        );
        let progress = self.progress;
        drop(self); // the bar makes room first
        progress.say(&line);
    }

    /// Bytes a second.
    fn rate(&self) -> f64 {
        (self.position - self.offset) as f64 / self.start.elapsed().as_secs_f64().max(1e-6)
    }
}

impl Drop for Meter<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
