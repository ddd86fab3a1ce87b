//! What both pools are to the dispatcher.

use super::state::DispatcherState;
use crate::sys::Errno;

/// The workers of a pool, as the dispatcher deals with them. They are numbered from 0.
pub trait WorkerPool {
    /// Makes the workers that are made after the seal.
    ///
    /// # Errors
    /// `EAGAIN`, `ENOMEM` or `EMFILE` when the system has no room for another process.
    fn start(&mut self, _state: &mut DispatcherState) -> Result<(), Errno> {
        Ok(())
    }

    /// Comes first in every turn: replaces workers that have died, and finds those that are stuck.
    fn maintain(&mut self, state: &mut DispatcherState, now_ms: u64);

    /// When [`WorkerPool::maintain`] has to come without an event.
    fn maintain_ms(&self) -> Option<u64>;

    /// A child of this process has ended.
    fn reap(&mut self, _state: &mut DispatcherState) {}

    /// Tickets that the workers hold.
    fn held(&self) -> usize;

    /// Whether every worker that lives has all the clients that it may have.
    fn is_full(&self) -> bool;

    /// Passes on who waits, the oldest first, to workers that have a place; never blocks. False when a
    /// worker that has one takes nobody now: then it has to be tried again soon, since no event may tell.
    fn dispatch(&mut self, state: &mut DispatcherState) -> bool;

    /// Takes the reports that have come from a source that the pool has epoll watch.
    fn take_reports(&mut self, state: &mut DispatcherState, source: usize);

    /// How many workers there are.
    fn workers(&self) -> usize;

    /// Workers that were asked to end an idle connection and have yet to report.
    fn asked_to_give_way(&self) -> usize;

    /// Whether a worker can be asked for that.
    fn can_give_way(&self, worker: usize) -> bool;

    /// Asks it; false when it cannot be asked now.
    fn ask_to_give_way(&mut self, worker: usize) -> bool;

    /// Lets every worker have a round soon, also those that sleep.
    fn wake_all(&mut self);

    /// Tells every worker to drain.
    fn drain(&mut self);

    /// Lets the workers end; those that hold nothing have a moment for it, the others none.
    fn shut_down(&mut self);

    /// Ends the workers at once, if they do not end with this process.
    fn kill(&mut self) {}
}
