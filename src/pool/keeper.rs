//! The keeper of the root: opens it anew on request, and looks for one that is not there.

use crate::files::Root;
use crate::gauge::Gauges;
use crate::limits::ROOT_POLL_MS;

/// Keeps the root for the dispatcher. The workers follow by the gauge.
pub struct Keeper {
    root: &'static Root,
    /// Whether a root that is not there is waited for.
    waits: bool,
    next_ms: u64,
}

impl Keeper {
    /// Keeps this root.
    #[must_use]
    pub fn new(root: &'static Root, waits: bool) -> Self {
        Self {
            root,
            waits,
            next_ms: 0,
        }
    }

    /// Opens the root anew; true when the workers have to follow. One that cannot be opened is let go
    /// if it is waited for, and otherwise stays what it was.
    pub(super) fn reopen_root(&self, gauges: Gauges) -> bool {
        match self.root.reopen() {
            Ok(()) => log::info!("the root is opened anew"),
            Err(errno) if self.waits => {
                log::warn!("the root is not there ({errno}); waiting for it");
                if let Err(errno) = self.root.let_go() {
                    log::error!("the old root cannot be let go: {errno}");
                }
            }
            Err(errno) => {
                log::error!("the root cannot be opened anew: {errno}; the old one is served on");
                return false;
            }
        }
        self.root.note(gauges.change_root());
        true
    }

    /// Comes in every turn: looks for a root that is waited for. True when it has come.
    pub(super) fn look_for_root(&mut self, gauges: Gauges, now_ms: u64) -> bool {
        if self.root.is_there() || now_ms < self.next_ms {
            return false;
        }
        self.next_ms = now_ms + ROOT_POLL_MS;
        let has_come = self.root.reopen().is_ok();
        if has_come {
            log::info!("the root has come");
            self.root.note(gauges.change_root());
        }
        has_come
    }

    /// When [`Keeper::look_for_root`] should come by itself.
    pub(super) fn next_ms(&self) -> Option<u64> {
        (!self.root.is_there()).then_some(self.next_ms)
    }
}
