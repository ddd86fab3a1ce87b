//! What a load costs a server, and the ratios of rounds.

use std::time::{Duration, Instant};

use nix::time::ClockId;
use nix::unistd::Pid;

/// What one server did in its turn of a round.
pub struct Cost {
    /// Bytes or connections.
    pub work: f64,
    /// How long it took.
    pub seconds: f64,
    /// Processor time of all of the server's processes.
    pub cpu_seconds: f64,
}

impl Cost {
    /// Puts a load on a server of these processes; `load` returns the work that was done.
    pub fn of(processes: &[i32], load: impl FnOnce() -> u64) -> Self {
        let (cpu_before, start) = (cpu_time(processes), Instant::now());
        let work = load() as f64;
        let seconds = start.elapsed().as_secs_f64();
        // What the server has yet to notice, such as the end of the last connection, counts too.
        std::thread::sleep(Duration::from_millis(5));
        Self {
            work,
            seconds,
            cpu_seconds: (cpu_time(processes) - cpu_before).as_secs_f64(),
        }
    }

    /// Work per second.
    pub fn rate(&self) -> f64 {
        self.work / self.seconds
    }

    /// Processor seconds per piece of work.
    pub fn cpu(&self) -> f64 {
        self.cpu_seconds / self.work
    }
}

/// The clocks that getrusage(2) reads, to the nanosecond, and of processes not our own.
fn cpu_time(processes: &[i32]) -> Duration {
    let clock = |pid: &i32| {
        let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(*pid)).unwrap();
        Duration::from(clock.now().unwrap())
    };
    processes.iter().map(clock).sum()
}

/// The memory of these processes, each page's share counted (proc(5), Pss).
pub fn memory_kib(processes: &[i32]) -> u64 {
    let of = |pid: &i32| -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
        let line = text.lines().find(|line| line.starts_with("Pss:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    processes.iter().map(of).sum()
}

/// What several servers cost, round by round.
pub struct Rounds(Vec<Vec<Cost>>);

/// Lets each of `servers` take its turn, `rounds` times over, after one round that does not count.
pub fn interleave(servers: usize, rounds: usize, mut turn: impl FnMut(usize) -> Cost) -> Rounds {
    let mut round = || (0..servers).map(&mut turn).collect();
    let _warm: Vec<Cost> = round();
    Rounds((0..rounds).map(|_| round()).collect())
}

impl Rounds {
    /// The median of a figure of one server.
    pub fn median(&self, server: usize, figure: fn(&Cost) -> f64) -> f64 {
        median(self.0.iter().map(|round| figure(&round[server])))
    }

    /// The median of the rounds' ratios of a figure: of `server` to that of `other`.
    pub fn ratio(&self, server: usize, other: usize, figure: fn(&Cost) -> f64) -> f64 {
        median(
            self.0
                .iter()
                .map(|round| figure(&round[server]) / figure(&round[other])),
        )
    }
}

pub fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    if figures.len() % 2 == 1 {
        figures[middle]
    } else {
        (figures[middle - 1] + figures[middle]) / 2.0
    }
}
