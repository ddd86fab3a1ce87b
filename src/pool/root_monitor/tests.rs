use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::*;

const NOW_MS: u64 = 1_000_000;

struct Test {
    above: tempfile::TempDir,
    root: &'static Root,
    monitor: RootMonitor,
    gauges: Gauges,
    now_ms: u64,
}

impl Test {
    /// A root with a file in it, unless it `is_absent`.
    fn new(waits: bool, is_absent: bool) -> Self {
        let above = tempfile::tempdir().unwrap();
        let path = above.path().join("root");
        let c_path = CString::new(path.as_os_str().as_bytes()).unwrap();
        let c_path = Box::leak(c_path.into_boxed_c_str());
        let root = if is_absent {
            Root::absent(c_path)
        } else {
            fill(&path);
            Root::open(c_path)
        };
        let root: &'static Root = Box::leak(Box::new(root.unwrap()));
        Self {
            above,
            root,
            monitor: RootMonitor::new(root, waits),
            gauges: Gauges::new().unwrap(),
            now_ms: NOW_MS,
        }
    }

    fn path(&self) -> PathBuf {
        self.above.path().join("root")
    }

    /// Checks as soon as it is time; true when the workers have to follow.
    fn check(&mut self) -> bool {
        self.now_ms = self.now_ms.max(self.monitor.next_ms());
        self.monitor.check(self.gauges, self.now_ms)
    }

    /// Generation, releases, and whether the root is gone, as the workers see it.
    fn shown(&self) -> (u32, u16, bool) {
        let state = self.gauges.root();
        assert_eq!(state.is_gone, !self.root.is_there());
        assert_eq!(self.monitor.has_root(), self.root.is_there());
        assert_eq!(state.generation, self.monitor.generation());
        // This process has nothing left to follow.
        assert!(self.root.follow(state));
        (state.generation, state.releases, state.is_gone)
    }
}

fn fill(path: &Path) {
    fs::create_dir(path).unwrap();
    fs::write(path.join("file"), [7; 5000]).unwrap();
}

#[test]
fn a_root_that_stays_is_left_as_it_is() {
    let mut test = Test::new(true, false);
    assert!(test.monitor.path().ends_with(b"/root"));
    assert_eq!(test.monitor.next_ms(), 0);
    assert!(!test.check());
    assert_eq!(test.monitor.next_ms(), NOW_MS + ROOT_POLL_MS);
    // A fault may be the card's; this one answers.
    test.gauges.report_fault();
    assert!(!test.check());
    assert_eq!(test.shown(), (0, 0, false));
}

#[test]
fn it_is_checked_when_it_is_time() {
    let mut test = Test::new(true, false);
    assert!(!test.check());
    fs::rename(test.path(), test.above.path().join("other")).unwrap();
    let next_ms = test.monitor.next_ms();
    assert!(!test.monitor.check(test.gauges, next_ms - 1));
    assert!(test.monitor.has_root());
    test.monitor.check_soon();
    assert_eq!(test.monitor.next_ms(), 0);
    assert!(test.monitor.check(test.gauges, NOW_MS));
    assert_eq!(test.shown(), (1, 1, true));
}

#[test]
fn a_root_that_is_waited_for_goes_and_comes_back() {
    let mut test = Test::new(true, false);
    fs::rename(test.path(), test.above.path().join("other")).unwrap();
    assert!(test.check());
    assert_eq!(test.shown(), (1, 1, true));
    assert!(!test.check());
    fs::create_dir(test.path()).unwrap();
    assert!(!test.check(), "nothing is mounted there yet");
    fs::remove_dir(test.path()).unwrap();
    fill(&test.path());
    assert!(test.check());
    assert_eq!(test.shown(), (2, 1, false));
    assert!(!test.check());
}

#[test]
fn a_root_that_is_not_waited_for_stays_open_when_it_is_moved() {
    let mut test = Test::new(false, false);
    fs::rename(test.path(), test.above.path().join("other")).unwrap();
    assert!(!test.check());
    assert_eq!(test.shown(), (0, 0, false));
}

#[test]
fn a_root_is_awaited_from_the_start() {
    let mut test = Test::new(true, true);
    assert!(!test.monitor.has_root() && !test.check());
    fill(&test.path());
    assert!(test.check());
    assert_eq!(test.shown(), (1, 0, false));
}

#[test]
fn a_root_that_was_ejected_is_left_alone_where_it_stays() {
    let mut test = Test::new(false, false);
    assert!(test.monitor.eject(test.gauges, NOW_MS));
    assert_eq!(test.shown(), (1, 1, true));
    assert!(!test.monitor.eject(test.gauges, NOW_MS + 1), "it is gone");
    assert_eq!(test.shown(), (1, 1, true));
    let until_ms = NOW_MS + 1 + EJECTED_REST_MS;
    assert!(!test.monitor.check(test.gauges, NOW_MS + 2));
    test.monitor.check_soon();
    assert!(!test.monitor.check(test.gauges, until_ms - 1));
    assert_eq!(test.monitor.next_ms(), until_ms - 1 + ROOT_POLL_MS);
    test.monitor.check_soon();
    assert!(test.monitor.check(test.gauges, until_ms));
    assert_eq!(test.shown(), (2, 1, false));
}

#[test]
fn what_takes_its_place_after_it_was_ejected_is_taken_at_once() {
    let mut test = Test::new(false, false);
    assert!(test.monitor.eject(test.gauges, NOW_MS));
    fs::rename(test.path(), test.above.path().join("other")).unwrap();
    assert!(!test.check(), "it is unmounted, as it were");
    fill(&test.path());
    assert!(test.check());
    assert_eq!(test.shown(), (2, 1, false));
}

#[test]
fn who_ejects_what_is_unmounted_already_does_not_wait_for_the_next() {
    let mut test = Test::new(false, false);
    fs::rename(test.path(), test.above.path().join("other")).unwrap();
    assert!(test.monitor.eject(test.gauges, NOW_MS));
    fill(&test.path());
    assert!(test.check());
    assert_eq!(test.shown(), (2, 1, false));
}

#[test]
fn a_root_is_opened_anew_on_request() {
    let mut test = Test::new(false, false);
    fs::rename(test.path(), test.above.path().join("other")).unwrap();
    assert!(
        !test.monitor.reopen(test.gauges, NOW_MS),
        "the old one is served on"
    );
    assert_eq!(test.shown(), (0, 0, false));
    fill(&test.path());
    assert!(test.monitor.reopen(test.gauges, NOW_MS));
    assert_eq!(test.shown(), (1, 0, false), "nothing has to be let go");
    // The request ends the rest of one that was ejected.
    assert!(test.monitor.eject(test.gauges, NOW_MS));
    assert!(test.monitor.reopen(test.gauges, NOW_MS + 1));
    assert_eq!(test.shown(), (3, 1, false));
}

#[test]
fn a_request_lets_go_of_a_root_that_is_waited_for() {
    let mut test = Test::new(true, false);
    fs::rename(test.path(), test.above.path().join("other")).unwrap();
    assert!(test.monitor.reopen(test.gauges, NOW_MS));
    assert_eq!(test.shown(), (1, 1, true));
    assert!(!test.monitor.reopen(test.gauges, NOW_MS), "still not there");
}

#[test]
fn another_mount_at_its_path_is_another_root() {
    let Ok(other) = tempfile::tempdir_in("/dev/shm") else {
        return;
    };
    let mut test = Test::new(false, true);
    let first = test.above.path().join("first");
    fill(&first);
    let second = other.path().join("second");
    fill(&second);
    let mount = |path: &Path| {
        let path = CString::new(path.as_os_str().as_bytes()).unwrap();
        Mount::at(&path).unwrap()
    };
    if mount(&first) == mount(&second) {
        return;
    }
    symlink(&first, test.path()).unwrap();
    assert!(test.check());
    assert_eq!(test.shown(), (1, 0, false));
    fs::remove_file(test.path()).unwrap();
    symlink(&second, test.path()).unwrap();
    assert!(test.check());
    assert_eq!(test.shown(), (2, 1, true));
    assert_eq!(
        test.monitor.next_ms(),
        test.now_ms,
        "the other one is there at once"
    );
    assert!(test.check());
    assert_eq!(test.shown(), (3, 1, false));
}

#[test]
fn a_root_that_cannot_be_read_is_let_go_once_something_could_not_be() {
    let mut test = Test::new(false, false);
    fs::remove_dir_all(test.path()).unwrap();
    assert!(!test.check(), "nobody has missed it");
    test.gauges.report_fault();
    assert!(test.check());
    assert_eq!(test.shown(), (1, 1, true));
    assert!(!test.check());
    fill(&test.path());
    assert!(test.check());
    assert_eq!(test.shown(), (2, 1, false));
}
