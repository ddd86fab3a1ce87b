//! A course of the model: what the main thread and the workers do, as their real loops do it.

use std::collections::VecDeque;

use loom::sync::{Arc, Mutex};
use loom::thread;
use trainyard::link::{IdleMode, Order};
use trainyard::pool::handover::{Batch, Bells, Handover, State};

use super::parts::{Condition, Epolls, Faults};

/// Places of the queue's type; a course may use fewer.
const QUEUE_MAX: usize = 3;
const TICKETS: usize = 8;

type Floor = State<u32, QUEUE_MAX, TICKETS>;
type Shared = Handover<u32, Condition<Floor>, Epolls, QUEUE_MAX, TICKETS>;

/// What a client does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Job {
    /// Its job ends in the turn in which it is taken.
    Short,
    /// It stays until all short ones have ended: its worker waits in epoll meanwhile.
    Long,
    /// The same, but its worker is kept from everything else.
    Stuck,
}

/// What the callers do wrong.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    pub looks_before_it_waits: bool,
    pub resumes: bool,
    pub reports_once: bool,
}

impl Habits {
    /// Nothing.
    pub const RIGHT: Self = Self {
        looks_before_it_waits: true,
        resumes: true,
        reports_once: true,
    };
}

/// Jobs, in order, for so many workers.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    pub capacity: usize,
    pub workers: usize,
    pub per_worker: usize,
    pub jobs: &'static [Job],
    /// Jobs that are put at once, at most.
    pub batch: usize,
    /// All workers are called after the last job was put, and have to come round.
    pub calls_all: bool,
}

/// A client's socket.
#[derive(Default)]
struct Socket {
    holder: Option<usize>,
    is_over: bool,
}

struct World {
    course: Course,
    habits: Habits,
    shared: Shared,
    sockets: Vec<Mutex<Socket>>,
    /// Workers that came round because they were called.
    looked: Vec<Mutex<bool>>,
}

impl World {
    /// The client has what it wants: its worker's epoll tells it.
    fn finish(&self, job: u32) {
        let mut socket = self.sockets[job as usize].lock().unwrap();
        socket.is_over = true;
        let holder = socket.holder;
        drop(socket);
        if let Some(worker) = holder {
            self.shared.bells().workers[worker].add(|events| events.socket = true);
        }
    }

    fn is_over(&self, job: u32) -> bool {
        self.sockets[job as usize].lock().unwrap().is_over
    }

    fn is_taken(&self, job: u32) -> bool {
        let socket = self.sockets[job as usize].lock().unwrap();
        socket.holder.is_some()
    }
}

impl Course {
    /// Runs once, in the order of steps that loom is trying.
    pub fn run(self, faults: Faults, habits: Habits) {
        let epolls = Epolls::new(self.workers, faults);
        let world = Arc::new(World {
            course: self,
            habits,
            shared: Handover::new(Condition::new(State::new(), faults), epolls),
            sockets: self.jobs.iter().map(|_| Mutex::default()).collect(),
            looked: (0..self.workers).map(|_| Mutex::default()).collect(),
        });
        world
            .shared
            .init(self.capacity, self.workers, self.per_worker);
        let threads: Vec<_> = (0..self.workers)
            .map(|worker| {
                let world = Arc::clone(&world);
                thread::spawn(move || Worker::new(&world, worker).run())
            })
            .collect();
        Main::new(&world).run();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(world.shared.left(), self.workers);
    }
}

/// The main thread.
struct Main<'a> {
    world: &'a World,
    ring: VecDeque<u32>,
    held: usize,
    back: Vec<u32>,
}

impl<'a> Main<'a> {
    fn new(world: &'a World) -> Self {
        Self {
            world,
            ring: (0..world.course.jobs.len() as u32).collect(),
            held: 0,
            back: Vec::new(),
        }
    }

    fn run(&mut self) {
        let World { course, shared, .. } = self.world;
        while !self.ring.is_empty() {
            self.pass_on();
            if !self.ring.is_empty() {
                self.make_way();
                self.wait();
            }
        }
        if course.calls_all {
            shared.wake_all();
            let has_looked = |looked: &Mutex<bool>| *looked.lock().unwrap();
            while !self.world.looked.iter().all(has_looked) {
                self.wait();
            }
        }
        let count = |job| course.jobs.iter().filter(|other| **other == job).count();
        while self.back.len() < count(Job::Short) {
            self.wait();
        }
        // The long ones end by themselves or because they must.
        for (job, kind) in course.jobs.iter().enumerate() {
            if *kind == Job::Stuck {
                self.world.finish(job as u32);
            }
        }
        shared.drain();
        while self.held > 0 {
            self.wait();
        }
        shared.close();
        self.back.sort_unstable();
        let all: Vec<u32> = (0..course.jobs.len() as u32).collect();
        assert_eq!(self.back, all, "every ticket comes back once");
    }

    fn pass_on(&mut self) {
        let World { course, shared, .. } = self.world;
        loop {
            let places = course.workers * course.per_worker - self.held;
            let room = shared.room().min(places).min(course.batch);
            let mut batch = Batch::new();
            while batch.len() < room
                && let Some(job) = self.ring.pop_front()
            {
                batch.push(job).unwrap();
            }
            if batch.is_empty() {
                return;
            }
            self.held += batch.len();
            let stuck: Vec<u32> = batch
                .iter()
                .copied()
                .filter(|job| course.jobs[*job as usize] == Job::Stuck)
                .collect();
            shared.put(batch);
            // What a stuck worker has in hand besides must wait, so it gets nothing besides.
            while stuck.iter().any(|job| !self.world.is_taken(*job)) {
                self.wait();
            }
        }
    }

    fn make_way(&mut self) {
        let World { course, shared, .. } = self.world;
        if self.held == course.workers * course.per_worker {
            for worker in 0..course.workers {
                if !shared.is_asked(worker) && shared.ask(worker) {
                    return;
                }
            }
        }
    }

    fn wait(&mut self) {
        let shared = &self.world.shared;
        shared.bells().main.wait();
        let tickets = shared.take_done();
        self.held -= tickets.len();
        self.back.extend(tickets);
    }
}

/// A worker.
struct Worker<'a> {
    world: &'a World,
    index: usize,
    held: Vec<u32>,
    ended: Vec<u32>,
    must_report: bool,
}

impl<'a> Worker<'a> {
    fn new(world: &'a World, index: usize) -> Self {
        Self {
            world,
            index,
            held: Vec::new(),
            ended: Vec::new(),
            must_report: false,
        }
    }

    fn run(&mut self) {
        let World { shared, habits, .. } = self.world;
        let epoll = &shared.bells().workers[self.index];
        loop {
            let rest = if self.held.is_empty() {
                IdleMode::Sleep
            } else {
                IdleMode::Wait
            };
            let has_order = (rest == IdleMode::Sleep || habits.looks_before_it_waits)
                && shared.before_wait(self.index, rest);
            let events = if has_order {
                epoll.look()
            } else {
                let events = epoll.wait();
                if habits.resumes {
                    shared.after_wait(self.index);
                }
                events
            };
            if (has_order || events.bell) && !self.take_orders() {
                shared.leave(self.index);
                return;
            }
            if events.socket {
                self.end(|world, job| world.is_over(job));
            }
            self.report();
        }
    }

    fn take_orders(&mut self) -> bool {
        loop {
            match self.world.shared.receive(self.index) {
                Order::Jobs(jobs) => jobs.into_iter().for_each(|job| self.start(job)),
                Order::GiveWay => {
                    self.must_report = true;
                    let oldest = self.held.first().copied();
                    self.end(|_, job| Some(job) == oldest);
                }
                Order::Drain => self.end(|_, _| true),
                Order::Wake => {
                    *self.world.looked[self.index].lock().unwrap() = true;
                    self.world.shared.bells().ring_main();
                }
                Order::Nothing => return true,
                Order::Closed => return false,
            }
        }
    }

    fn start(&mut self, job: u32) {
        let World {
            shared,
            course,
            sockets,
            ..
        } = self.world;
        let mut socket = sockets[job as usize].lock().unwrap();
        assert_eq!(socket.holder, None, "a job is taken once");
        socket.holder = Some(self.index);
        drop(socket);
        self.held.push(job);
        assert!(self.held.len() + self.ended.len() <= course.per_worker);
        match course.jobs[job as usize] {
            Job::Short => self.end(|_, other| other == job),
            Job::Long => {}
            Job::Stuck => {
                shared.bells().main.add(|events| events.socket = true);
                while !self.world.is_over(job) {
                    shared.bells().workers[self.index].wait();
                }
                self.end(|_, other| other == job);
            }
        }
    }

    fn end(&mut self, is_over: impl Fn(&World, u32) -> bool) {
        let (ended, held) = self.held.iter().partition(|job| is_over(self.world, **job));
        self.held = held;
        let ended: Vec<u32> = ended;
        self.ended.extend(ended);
    }

    fn report(&mut self) {
        if self.ended.is_empty() && !self.must_report {
            return;
        }
        self.world.shared.report(self.index, &self.ended);
        if self.world.habits.reports_once {
            self.ended.clear();
        }
        self.must_report = false;
    }
}
