//! The server's log: a line is made in a fixed buffer and leaves in one write to standard error.

use core::fmt::Write;

use log::{LevelFilter, Log, Metadata, Record};

use crate::sys;

const LINE_BYTES: usize = 512;

/// A line of text that drops what does not fit.
#[derive(Default)]
pub struct Line {
    text: heapless::Vec<u8, LINE_BYTES>,
}

impl Line {
    /// Writes the line, with a newline, to `descriptor`.
    ///
    /// # Errors
    /// What write(2) says.
    pub fn write_to(&mut self, descriptor: i32) -> Result<(), sys::Errno> {
        if self.text.is_full() {
            self.text.pop();
        }
        let _ = self.text.push(b'\n');
        sys::write(descriptor, &self.text).map(drop)
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for byte in text.bytes() {
            // A newline within a record would make a second, forged line.
            let byte = if byte == b'\n' { b' ' } else { byte };
            if self.text.push(byte).is_err() {
                break;
            }
        }
        Ok(())
    }
}

struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record) {
        if self.enabled(record.metadata()) {
            let mut line = Line::default();
            let level = match record.level() {
                log::Level::Error => "error",
                log::Level::Warn => "warn",
                log::Level::Info => "info",
                log::Level::Debug | log::Level::Trace => "debug",
            };
            let _ = write!(
                line,
                "trainyard[{}] {level}: {}",
                sys::process_id(),
                record.args()
            );
            // A failure to log has nobody to be told.
            let _ = line.write_to(2);
        }
    }

    fn flush(&self) {}
}

/// Sends `log`'s records of `level` and above to standard error.
pub fn start(level: LevelFilter) {
    static LOGGER: Logger = Logger;
    if log::set_logger(&LOGGER).is_ok() {
        log::set_max_level(level);
    }
}

/// Makes a panic a line of its own that ends the process: the default hook allocates.
pub fn catch_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let mut line = Line::default();
        let _ = write!(line, "trainyard[{}] bug: {panic}", sys::process_id());
        let _ = line.write_to(2);
        sys::abort();
    }));
}
