//! The monitor of the root: lets go of it when its card is gone or is to be taken out, opens it anew when
//! one is there again, or on request. The workers follow by the gauge.

use crate::files::Root;
use crate::gauge::{Gauges, RootState};
use crate::limits::{EJECTED_REST_MS, FAILED_REST_MS, ROOT_POLL_MS};
use crate::sys::{self, Descriptor, Errno, Mount};

/// Keeps the root for the dispatcher.
pub struct RootMonitor {
    root: &'static Root,
    /// Whether a root that is not there is waited for.
    waits: bool,
    /// What the workers follow. This is where it is decided; the gauges only show it.
    state: RootState,
    /// Where the root is mounted, or was when it was let go. `None` once something else is seen there.
    mount: Option<Mount>,
    /// Whether that was on a device of which the system tells when it is gone.
    has_device: bool,
    /// Until when the same mount is not looked into, so that it can be unmounted.
    rests_until_ms: u64,
    faults: u64,
    next_ms: u64,
    /// Tells of mounts and unmounts; none where the system does not.
    mount_changes: Descriptor,
}

impl RootMonitor {
    /// Keeps this root.
    #[must_use]
    pub fn new(root: &'static Root, waits: bool) -> Self {
        let mut root_monitor = Self {
            root,
            waits,
            state: RootState::START,
            mount: None,
            has_device: false,
            rests_until_ms: 0,
            faults: 0,
            next_ms: 0,
            mount_changes: sys::mount_changes().unwrap_or(Descriptor::NONE),
        };
        if root.is_there() {
            root_monitor.remember_mount();
        }
        root_monitor
    }

    /// Its event, `EPOLLPRI` and edge-triggered, means [`RootMonitor::check_soon`].
    pub(super) fn mount_changes(&self) -> &Descriptor {
        &self.mount_changes
    }

    /// Something was mounted or unmounted: looks at once, before the next mount can be taken for the
    /// one before.
    pub(super) fn check_soon(&mut self) {
        self.next_ms = 0;
    }

    /// The root's path.
    pub(super) fn path(&self) -> &'static [u8] {
        self.root.path().to_bytes()
    }

    /// Whether the root is there.
    pub(super) fn has_root(&self) -> bool {
        self.root.is_there()
    }

    /// The root's generation: what the workers follow.
    pub(super) fn generation(&self) -> u32 {
        self.state.generation
    }

    /// Opens the root anew; true when the workers have to follow. One that cannot be opened is let go
    /// if it is waited for, and otherwise stays what it was.
    pub(super) fn reopen(&mut self, gauges: Gauges, now_ms: u64) -> bool {
        if !self.root.is_there() {
            self.rests_until_ms = 0;
            return self.check_absent(gauges, now_ms);
        }
        match self.root.reopen() {
            Ok(()) => {
                log::info!("the root is opened anew");
                self.remember_mount();
                self.publish(gauges);
            }
            Err(errno) if self.waits => {
                log::warn!("the root is not there ({errno}); waiting for it");
                self.release(gauges);
            }
            Err(errno) => {
                log::error!("the root cannot be opened anew: {errno}; the old one is served on");
                return false;
            }
        }
        true
    }

    /// Lets go of the root, so that it can be unmounted, and leaves it alone for a while. True when the
    /// workers have to follow.
    pub(super) fn eject(&mut self, gauges: Gauges, now_ms: u64) -> bool {
        self.rests_until_ms = now_ms + EJECTED_REST_MS;
        if self.root.mount_now().ok() != self.mount {
            // Unmounted already: what is mounted next may look the same, and is another one.
            self.mount = None;
        }
        let was_there = self.root.is_there();
        if was_there {
            log::info!("the root is let go, as asked");
            self.release(gauges);
        }
        was_there
    }

    /// Comes in every turn: when it is time, looks whether the root is still there, or there again. True
    /// when the workers have to follow. It blocks while a card that may have failed is asked.
    pub(super) fn check(&mut self, gauges: Gauges, now_ms: u64) -> bool {
        if now_ms < self.next_ms {
            return false;
        }
        self.next_ms = now_ms + ROOT_POLL_MS;
        if self.root.is_there() {
            self.check_present(gauges, now_ms)
        } else {
            self.check_absent(gauges, now_ms)
        }
    }

    /// When [`RootMonitor::check`] should come by itself.
    pub(super) fn next_ms(&self) -> u64 {
        self.next_ms
    }

    fn check_present(&mut self, gauges: Gauges, now_ms: u64) -> bool {
        let faults = gauges.faults();
        let has_faults = core::mem::replace(&mut self.faults, faults) != faults;
        let now = self.root.mount_now();
        let is_elsewhere = match (self.mount, now) {
            (Some(mount), Ok(now)) => mount != now,
            _ => false,
        };
        if self.waits && now == Err(Errno::ENOENT) {
            log::warn!("the root is not there any more; waiting for it");
        } else if is_elsewhere {
            log::warn!("something was mounted or unmounted where the root is; it is let go");
            self.next_ms = now_ms;
        } else if self.has_device && self.mount.is_some_and(|mount| !mount.has_device()) {
            log::warn!("the root's device is gone; it is let go");
        } else if has_faults && let Err(errno) = self.root.probe() {
            log::warn!("the root's device does not answer ({errno}); it is let go");
            self.rests_until_ms = now_ms + FAILED_REST_MS;
        } else {
            return false;
        }
        self.release(gauges);
        true
    }

    fn check_absent(&mut self, gauges: Gauges, now_ms: u64) -> bool {
        let Ok(mount) = self.root.mount_now() else {
            self.mount = None;
            return false;
        };
        let is_same = self.mount == Some(mount);
        if is_same && (now_ms < self.rests_until_ms || (self.has_device && !mount.has_device())) {
            return false;
        }
        if !is_same {
            self.mount = None;
        }
        match self.root.reopen_if_filled() {
            Ok(()) => {}
            // An empty folder: nothing is mounted there yet.
            Err(Errno::ENODATA) => return false,
            Err(_) => {
                // It is not asked all the time, which could keep it from being unmounted.
                self.mount = Some(mount);
                self.has_device = mount.has_device();
                self.rests_until_ms = now_ms + FAILED_REST_MS;
                return false;
            }
        }
        log::info!("the root is there");
        self.remember_mount();
        self.publish(gauges);
        true
    }

    fn remember_mount(&mut self) {
        self.mount = Mount::of(self.root.descriptor().raw()).ok();
        self.has_device = self.mount.is_some_and(|mount| mount.has_device());
    }

    /// Lets go of the root; nothing of it may stay open with the workers.
    fn release(&mut self, gauges: Gauges) {
        if let Err(errno) = self.root.release() {
            log::error!("the root cannot be let go: {errno}");
        }
        self.state.releases = self.state.releases.wrapping_add(1);
        self.publish(gauges);
    }

    /// Begins the root's next generation, which the workers follow.
    fn publish(&mut self, gauges: Gauges) {
        self.state.generation = self.state.generation.wrapping_add(1);
        self.state.is_gone = !self.root.is_there();
        self.root.mark_generation(self.state.generation);
        gauges.publish_root(self.state);
    }
}

#[cfg(test)]
mod tests;
