//! Servers that lie: about names, about counts, about the protocol.

use std::fs;

use super::fake::{Fake, Step, bare_car, car, content, data_cars, file, size_car};
use super::program::run;
use super::{MTIME_NS, names_in};

#[test]
fn names_that_lead_elsewhere() {
    let names: [&[u8]; 10] = [
        b"../../x",
        b"/etc/x",
        b"..",
        b".",
        b"a/b",
        b"a\0b",
        b"/",
        b"../",
        b".a.train-part",
        &[b'x'; 256],
    ];
    for name in names {
        let server = Fake::start(move |_| vec![Step::Send(file(name, b"content", MTIME_NS, 0))]);
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("a/b");
        fs::create_dir_all(&folder).unwrap();
        let run = run(&folder, &[server.url("x")]);
        assert_eq!((run.code, run.failures().len()), (1, 1), "{run:?}");
        let words = if name.ends_with(b"/") {
            "name and size differ"
        } else {
            "is refused"
        };
        assert!(run.failures()[0].contains(words), "{run:?}");
        assert!(!run.err.contains('\0'));
        assert_eq!(
            (names_in(&folder).len(), names_in(outer.path()).len()),
            (0, 1),
            "{name:?}"
        );
    }
    assert!(!std::path::Path::new("/etc/x").exists());
}

#[test]
fn an_empty_name_is_an_end_car() {
    let server = Fake::start(|_| vec![Step::Send(car(b"")), Step::Close]);
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &[server.url("x")]).assert_failure(&["in place of the name"]);
}

#[test]
fn a_chosen_name_makes_the_servers_name_idle() {
    let server = Fake::start(|_| vec![Step::Send(file(b"../x", b"content", MTIME_NS, 0))]);
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["-o", "mine", &server.url("x")]).assert_whole();
    assert_eq!(names_in(folder.path()), ["mine"]);
}

#[test]
fn names_that_would_move_the_cursor() {
    let server = Fake::start(|_| vec![Step::Send(file(b"\x1b[2J\xff", b"content", MTIME_NS, 0))]);
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path(), &[server.url("x")]);
    run.assert_whole();
    assert!(
        !run.err.contains('\x1b') && run.err.contains("[2J"),
        "{run:?}"
    );
}

#[test]
fn trains_that_are_none() {
    let head = || [car(b"a"), size_car(2500, MTIME_NS)].concat();
    let data = content(1, 3000);
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (bare_car(1001), "a car of 1001 bytes"),
        (
            b"HTTP/1.0 400 Bad Request\r\n\r\n".to_vec(),
            "not the train protocol",
        ),
        (
            [car(b"a"), car(&[0; 8]), data_cars(&data[..8]), bare_car(0)].concat(),
            "push listener",
        ),
        ([car(b"a"), car(&[0; 17])].concat(), "17 bytes, not 16"),
        ([car(b"a"), bare_car(0)].concat(), "in place of the size"),
        (
            [head(), data_cars(&data[..1000]), car(&[1; 1001])].concat(),
            "a car of 1001 bytes",
        ),
        (
            [head(), data_cars(&data[..2500]), car(b"x"), bare_car(0)].concat(),
            "more than the 2500",
        ),
        (
            [head(), data_cars(&data), bare_car(0)].concat(),
            "more than the 2500",
        ),
        (
            [car(b"a"), size_car(0, 0), car(b"x"), bare_car(0)].concat(),
            "more than the 0",
        ),
    ];
    for (answer, words) in cases {
        let server = Fake::start(move |_| vec![Step::Send(answer.clone()), Step::Close]);
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), &[server.url("a")]).assert_failure(&[words]);
        assert_eq!(
            names_in(folder.path()).len(),
            0,
            "nothing of it is to be trusted"
        );
        assert_eq!(server.requests().len(), 1, "nor asked for again");
    }
}

#[test]
fn bytes_after_an_end_car_do_not_reach_the_next_file() {
    let server = Fake::start(|request| {
        let answer = file(&request.path, &request.path, MTIME_NS, 0);
        vec![Step::Send(
            [answer, car(b"evil"), size_car(0, 0), bare_car(0)].concat(),
        )]
    });
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &[server.url("a"), server.url("b")]).assert_whole();
    assert_eq!(names_in(folder.path()), ["a", "b"]);
    assert_eq!(fs::read(folder.path().join("b")).unwrap(), b"b");
}

#[test]
fn a_link_at_the_name_or_at_the_part_is_not_followed() {
    let server = Fake::start(|_| vec![Step::Send(file(b"a", b"content", MTIME_NS, 0))]);
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let victim = elsewhere.path().join("victim");
    fs::write(&victim, "untouched").unwrap();
    std::os::unix::fs::symlink(&victim, folder.path().join("a")).unwrap();
    let link = folder.path().join("a");
    run(folder.path(), &[server.url("a")]).assert_failure(&["a is no regular file"]);
    assert!(
        link.symlink_metadata().unwrap().is_symlink(),
        "nor replaced"
    );
    fs::remove_file(link).unwrap();
    std::os::unix::fs::symlink(&victim, folder.path().join(".a.train-part")).unwrap();
    run(folder.path(), &[server.url("a")]).assert_failure(&["cannot open .a.train-part"]);
    assert_eq!(fs::read(&victim).unwrap(), b"untouched");
}

#[test]
fn two_urls_of_one_name_do_not_overwrite_each_other() {
    let server = Fake::start(|request| vec![Step::Send(file(b"a", &request.path, MTIME_NS, 0))]);
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path(), &[server.url("x/a"), server.url("y/a")]);
    run.assert_failure(&["another URL has the name 'a' too"]);
    assert_eq!(fs::read(folder.path().join("a")).unwrap(), b"x/a");
}
