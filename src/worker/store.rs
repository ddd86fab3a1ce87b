//! The files that a worker has open: for its connections, for its cache, and the one that is pushed.

use super::config::WorkerConfig;
use crate::files::{Cache, FileSlot, Files};
use crate::gauge::RootState;

/// A worker's files. All zeroes is none.
pub(crate) struct Store {
    pub(crate) files: Files,
    pub(crate) cache: Cache,
    /// The file that is pushed; none while its card is not there.
    pub(crate) pushed: FileSlot,
    /// What had become of the root when this worker followed it last.
    root: RootState,
}

/// What became of the root since a worker followed it last.
pub(crate) struct RootChange {
    /// Nothing of the old one may stay open.
    pub(crate) is_released: bool,
    state: RootState,
}

impl Store {
    pub(crate) const fn new() -> Self {
        Self {
            files: Files::new(),
            cache: Cache::new(),
            pushed: FileSlot::NONE,
            root: RootState::START,
        }
    }

    /// Gives back the file of a connection, if it has one.
    pub(crate) fn release(&mut self, file: &mut FileSlot) {
        let file = core::mem::replace(file, FileSlot::NONE);
        if file.is_some() && file != self.pushed {
            self.files.release(file);
        }
    }

    /// Forgets what has changed, if the last look is some time ago: a request that has just been read may
    /// be younger than the event for which its connection is polled, and so than that look. It may have
    /// been begun before a change, and its worker may not have run meanwhile, or have served others.
    pub(crate) fn look_again(&mut self) {
        if self.cache.needs_look() {
            self.forget_changed();
        }
    }

    /// Forgets what is cached of files that have changed.
    pub(crate) fn forget_changed(&mut self) {
        self.cache.forget_changed(&mut self.files);
    }

    /// Takes the file that is pushed, if it is there and was not taken.
    pub(crate) fn take_pushed(&mut self, config: &WorkerConfig) {
        if let Some(pushed) = config.root.pushed()
            && !self.pushed.is_some()
            && let Ok(found) = pushed.find()
        {
            self.pushed = self.files.insert(found);
        }
    }

    /// Begins to follow what the root monitor has done, if it has done anything: nothing is cached any
    /// more.
    pub(crate) fn begin_following(&mut self, config: &WorkerConfig) -> Option<RootChange> {
        let state = config.gauges.root();
        if state == self.root || !config.root.follow(state) {
            return None;
        }
        self.cache.clear(&mut self.files);
        Some(RootChange {
            is_released: state.releases != self.root.releases,
            state,
        })
    }

    /// Ends what [`Store::begin_following`] has begun, once no connection sends of what is let go.
    pub(crate) fn end_following(&mut self, config: &WorkerConfig, change: &RootChange) {
        if change.is_released {
            let pushed = core::mem::replace(&mut self.pushed, FileSlot::NONE);
            if pushed.is_some() {
                self.files.release(pushed);
            }
        }
        if !change.state.is_gone {
            self.take_pushed(config);
        }
        self.root = change.state;
        config
            .gauges
            .ack_root_generation(config.index, change.state.generation);
    }
}
