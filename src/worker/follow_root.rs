//! Following the root: when it was opened anew, and when it has to be let go.

use super::conn::state::{Phase, Queue};
use super::{Step, Turns, Worker, WorkerConfig};
use crate::files::FileSlot;

impl Worker {
    /// Does what the root's keeper has done, if it has done anything.
    pub(crate) fn follow_root(&mut self, turns: &Turns) {
        let WorkerConfig {
            gauges,
            root,
            index,
            ..
        } = turns.setting;
        let state = gauges.root();
        if state == self.root || !root.follow(state) {
            return;
        }
        self.cache.clear(&mut self.files);
        if state.let_goes != self.root.let_goes {
            self.let_go_of_files(turns);
        }
        if !state.is_gone {
            self.take_pushed(turns.setting);
        }
        self.root = state;
        gauges.ack_root_generation(*index, state.changes);
    }

    /// Takes the file that is pushed, if it is there and was not taken.
    pub(crate) fn take_pushed(&mut self, setting: &WorkerConfig) {
        if let Some(pushed) = setting.root.pushed()
            && !self.pushed.is_some()
            && let Ok(found) = pushed.find()
        {
            self.pushed = self.files.insert(found);
        }
    }

    /// Closes every file, so that the card can be unmounted: what is being sent of one ends early.
    fn let_go_of_files(&mut self, turns: &Turns) {
        let mut ended = 0;
        for slot in self.connections.slots() {
            let connection = self.connections.get(slot);
            if matches!(connection.phase, Phase::Free | Phase::Ended) || !connection.file.is_some()
            {
                continue;
            }
            ended += 1;
            match self.break_off(turns, slot) {
                Step::Again if self.connections.get(slot).queued == Queue::None => {
                    self.make_ready(slot);
                }
                Step::Again | Step::Wait => {}
                Step::End => self.end(turns, slot),
            }
        }
        let pushed = core::mem::replace(&mut self.pushed, FileSlot::NONE);
        if pushed.is_some() {
            self.files.release(pushed);
        }
        if ended > 0 {
            log::warn!("the root is gone; {ended} transfers end early");
        }
    }
}
