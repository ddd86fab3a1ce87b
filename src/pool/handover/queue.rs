//! The bounded queue, by the words of the classic exercise.

use heapless::Deque;

/// The queue: a ring of `N` places, of which `capacity` are used. All zeroes is an empty one.
pub(super) struct Queue<J, const N: usize> {
    jobs: Deque<J, N>,
    pub(super) capacity: usize,
}

impl<J, const N: usize> Queue<J, N> {
    pub(super) const fn new() -> Self {
        Self {
            jobs: Deque::new(),
            capacity: 0,
        }
    }

    /// Puts a job at the end; gives it back when the queue is full.
    pub(super) fn set(&mut self, job: J) -> Result<(), J> {
        if self.full() {
            return Err(job);
        }
        self.jobs.push_back(job)
    }

    /// Takes the job that has waited longest.
    pub(super) fn get(&mut self) -> Option<J> {
        self.jobs.pop_front()
    }

    pub(super) fn full(&self) -> bool {
        self.size() >= self.capacity()
    }

    pub(super) fn empty(&self) -> bool {
        self.jobs.is_empty()
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn size(&self) -> usize {
        self.jobs.len()
    }
}
