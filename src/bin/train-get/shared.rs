//! What all workers share: the options they need, the progress that is shown, the count of failures.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::command::Options;
use crate::failure::{Failure, shown};
use crate::progress::Progress;

/// What all workers look at.
pub(crate) struct Shared {
    pub(crate) progress: Progress,
    pub(crate) resume: bool,
    pub(crate) recurse: bool,
    pub(crate) timeout: Duration,
    failures: AtomicUsize,
    /// Names in the chosen folder that a URL of this run has had.
    claimed: Mutex<HashSet<OsString>>,
}

impl Shared {
    pub(crate) fn new(options: &Options) -> Shared {
        Shared {
            progress: Progress::new(options.quiet, options.verbose),
            resume: options.resume,
            recurse: options.recurse,
            timeout: options.timeout,
            failures: AtomicUsize::new(0),
            claimed: Mutex::default(),
        }
    }

    /// Tells and counts one failure; the rest still gets done.
    pub(crate) fn fail(&self, url: &str, failure: &Failure) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.progress.complain(&format!("{url}: {failure}"));
    }

    /// How many failures were told.
    pub(crate) fn failures(&self) -> usize {
        self.failures.load(Ordering::Relaxed)
    }

    /// Lets one URL alone write `name`: two files of one name would leave only the later one.
    pub(crate) fn claim(&self, name: &OsStr) -> Result<(), Failure> {
        if self
            .claimed
            .lock()
            .expect("no panic under the lock")
            .insert(name.to_owned())
        {
            return Ok(());
        }
        let name = shown(name);
        Err(Failure::Refused(format!(
            "another URL has the name '{name}' too: get it by itself, with -o or -O"
        )))
    }
}
