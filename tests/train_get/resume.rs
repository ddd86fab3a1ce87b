//! Transfers that break off, and `-c`.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::fake::{Fake, Gate, Request, Step, bare_car, car, content, data_cars, file, size_car};
use super::program::{finish, run, start};
use super::{MTIME_NS, names_in};

const SIZE: usize = 1_234_567;
/// Where the first transfer breaks off.
const CUT: usize = 500_000;

/// The first answer stops after `CUT` bytes and goes on with `last`; later ones are what `then` says.
fn broken_once(
    last: impl Fn() -> Vec<Step> + Send + Sync + 'static,
    then: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static,
) -> Fake {
    let count = AtomicUsize::new(0);
    Fake::start(move |request| {
        if count.fetch_add(1, Ordering::SeqCst) > 0 {
            return vec![Step::Send(then(request))];
        }
        let head = [car(b"a"), size_car(SIZE as u64, MTIME_NS)].concat();
        let mut steps = vec![Step::Send(
            [head, data_cars(&content(1, SIZE)[..CUT])].concat(),
        )];
        steps.extend(last());
        steps
    })
}

fn same_file(request: &Request) -> Vec<u8> {
    file(b"a", &content(1, SIZE), MTIME_NS, request.offset)
}

fn assert_got(folder: &Path, expected: &[u8]) {
    assert!(fs::read(folder.join("a")).unwrap() == expected);
    assert_eq!(names_in(folder), ["a"], "neither part nor note is left");
}

/// How the first answer ends.
type Last = fn() -> Vec<Step>;

#[test]
fn a_short_transfer_keeps_its_part_and_is_continued() {
    let breaks: [(Last, &str); 5] = [
        (|| vec![Step::Close], "short transfer"),
        (
            || vec![Step::Send(vec![232, 3]), Step::Close],
            "short transfer",
        ),
        (
            || vec![Step::Send(car(&[7; 999])[..500].to_vec()), Step::Close],
            "short transfer",
        ),
        (|| vec![Step::Send(bare_car(-5)), Step::Close], "I/O error"),
        (
            || vec![Step::Send(bare_car(0))],
            "only 500000 of the 1234567 data bytes",
        ),
    ];
    for (last, words) in breaks {
        let server = broken_once(last, same_file);
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), &[server.url("a")]).assert_failure(&[words]);
        assert_eq!(names_in(folder.path()), [".a.train-id", ".a.train-part"]);
        assert!(fs::read(folder.path().join(".a.train-part")).unwrap() == content(1, CUT));
        let again = run(folder.path(), &["-c", &server.url("a")]);
        again.assert_whole();
        assert!(again.err.contains("continued from 500000"), "{again:?}");
        assert_eq!(server.offsets(), [0, CUT as u64]);
        assert_got(folder.path(), &content(1, SIZE));
    }
}

#[test]
fn a_broken_connection_keeps_the_part() {
    // A reset throws away what the client has not read yet, so how much is kept is not said.
    let server = broken_once(|| vec![Step::Reset], same_file);
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &[server.url("a")]).assert_failure(&["use -c"]);
    run(folder.path(), &["-c", &server.url("a")]).assert_whole();
    assert_got(folder.path(), &content(1, SIZE));
}

#[test]
fn without_c_a_part_is_begun_anew() {
    let server = broken_once(|| vec![Step::Close], same_file);
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &[server.url("a")]).assert_failure(&["short transfer"]);
    run(folder.path(), &[server.url("a")]).assert_whole();
    assert_eq!(server.offsets(), [0, 0]);
    assert_got(folder.path(), &content(1, SIZE));
}

#[test]
fn a_changed_file_is_begun_anew() {
    let changed: [fn(&Request) -> Vec<u8>; 3] = [
        |request| file(b"a", &content(2, SIZE), MTIME_NS + 1, request.offset),
        |request| file(b"a", &content(2, SIZE + 1), MTIME_NS, request.offset),
        |request| file(b"a", &content(2, 1000), MTIME_NS, request.offset), // answers -22 at first
    ];
    for (then, size) in changed.into_iter().zip([SIZE, SIZE + 1, 1000]) {
        let server = broken_once(|| vec![Step::Close], then);
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), &[server.url("a")]).assert_failure(&["short transfer"]);
        let again = run(folder.path(), &["-c", &server.url("a")]);
        again.assert_whole();
        assert!(again.err.contains("starting again"), "{again:?}");
        assert_eq!(server.offsets(), [0, CUT as u64, 0]);
        assert_got(folder.path(), &content(2, size));
    }
}

#[test]
fn a_part_of_another_path_is_begun_anew() {
    let server = broken_once(|| vec![Step::Close], same_file);
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &[server.url("x/a")]).assert_failure(&["short transfer"]);
    run(folder.path(), &["-c", &server.url("y/a")]).assert_whole();
    assert_eq!(server.offsets(), [0, CUT as u64, 0]);
    assert_got(folder.path(), &content(1, SIZE));
}

#[test]
fn a_part_that_nothing_vouches_for_is_begun_anew() {
    let server = Fake::start(|request| vec![Step::Send(same_file(request))]);
    for note in [None, Some(&b""[..]), Some(b"1234567 1600000000123456789 a")] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".a.train-part"), vec![b'x'; CUT]).unwrap();
        if let Some(note) = note {
            fs::write(folder.path().join(".a.train-id"), note).unwrap();
        }
        run(folder.path(), &["-c", &server.url("a")]).assert_whole();
        assert_got(folder.path(), &content(1, SIZE));
    }
    assert_eq!(server.offsets(), [0; 3]);
}

#[test]
fn all_bytes_without_an_end_car_are_no_whole_file() {
    let count = AtomicUsize::new(0);
    let server = Fake::start(move |request| {
        let mut answer = same_file(request);
        if count.fetch_add(1, Ordering::SeqCst) == 0 {
            answer.truncate(answer.len() - 4);
        }
        vec![Step::Send(answer), Step::Close]
    });
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &[server.url("a")]).assert_failure(&["short transfer"]);
    assert_eq!(names_in(folder.path()), [".a.train-id", ".a.train-part"]);
    run(folder.path(), &["-c", &server.url("a")]).assert_whole();
    assert_eq!(server.offsets(), [0, SIZE as u64]);
    assert_got(folder.path(), &content(1, SIZE));
}

#[test]
fn the_end_of_a_file_past_4_gib() {
    const HUGE: u64 = 5 << 30;
    let tail = content(3, 2500);
    let in_server = tail.clone();
    let server = Fake::start(move |request| {
        let rest = &in_server[in_server.len() - (HUGE - request.offset) as usize..];
        let head = [car(b"a"), size_car(HUGE, MTIME_NS)].concat();
        vec![Step::Send([head, data_cars(rest), bare_car(0)].concat())]
    });
    let folder = tempfile::tempdir().unwrap();
    let part = fs::File::create(folder.path().join(".a.train-part")).unwrap();
    part.set_len(HUGE - tail.len() as u64).unwrap(); // a hole: it takes no room
    fs::write(
        folder.path().join(".a.train-id"),
        format!("{HUGE} {MTIME_NS} a\0"),
    )
    .unwrap();
    run(folder.path(), &["-c", &server.url("a")]).assert_whole();
    assert_eq!(server.offsets(), [HUGE - tail.len() as u64]);
    let file = fs::File::open(folder.path().join("a")).unwrap();
    assert_eq!(file.metadata().unwrap().len(), HUGE);
    let mut end = vec![7; tail.len() + 1];
    let offset = HUGE - end.len() as u64;
    file.read_exact_at(&mut end, offset).unwrap();
    assert!(end[0] == 0 && end[1..] == tail);
}

#[test]
fn what_is_whole_already_is_not_got_again() {
    let server = Fake::start(|request| vec![Step::Send(same_file(request))]);
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["-c", &server.url("a")]).assert_whole();
    let again = run(folder.path(), &["-c", &server.url("a")]);
    again.assert_whole();
    assert!(again.err.contains("there already"), "{again:?}");
    assert_eq!(server.offsets(), [0, SIZE as u64]);
    // Of the same size, but not of the same time: no one can tell.
    fs::write(folder.path().join("a"), vec![b'x'; SIZE]).unwrap();
    run(folder.path(), &["-c", &server.url("a")]).assert_whole();
    assert_got(folder.path(), &content(1, SIZE));
}

#[test]
fn a_killed_client_is_continued() {
    let gate = Arc::new(Gate::default());
    let in_server = Arc::clone(&gate);
    let server = broken_once(
        move || vec![Step::Wait(Arc::clone(&in_server)), Step::Close],
        same_file,
    );
    let folder = tempfile::tempdir().unwrap();
    let mut child = start(folder.path(), &[server.url("a")]);
    let part = folder.path().join(".a.train-part");
    let deadline = Instant::now() + Duration::from_secs(30);
    while !part.metadata().is_ok_and(|metadata| metadata.len() > 0) {
        assert!(Instant::now() < deadline, "no part grows");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    gate.open();
    run(folder.path(), &["-c", &server.url("a")]).assert_whole();
    let offset = server.offsets()[1];
    assert!(offset > 0 && offset <= CUT as u64, "{offset}");
    assert_got(folder.path(), &content(1, SIZE));
}

#[test]
fn two_downloads_of_one_name_do_not_meet() {
    let gate = Arc::new(Gate::default());
    let in_server = Arc::clone(&gate);
    let rest = || [data_cars(&content(1, SIZE)[CUT..]), bare_car(0)].concat();
    let server = broken_once(
        move || vec![Step::Wait(Arc::clone(&in_server)), Step::Send(rest())],
        same_file,
    );
    let folder = tempfile::tempdir().unwrap();
    let first = start(folder.path(), &[server.url("a")]);
    let deadline = Instant::now() + Duration::from_secs(30);
    while !folder.path().join(".a.train-id").exists() {
        assert!(Instant::now() < deadline, "no part begins");
        std::thread::sleep(Duration::from_millis(5));
    }
    for arguments in [&["-c"][..], &[]] {
        let url = server.url("a");
        let second = run(folder.path(), &[arguments, &[&url]].concat());
        second.assert_failure(&["another download"]);
    }
    gate.open();
    finish(first).assert_whole();
    assert_got(folder.path(), &content(1, SIZE));
}
