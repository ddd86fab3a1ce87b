//! Folders, with `-r`.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};

use super::fake::{Fake, Request, Step, bare_car, car, data_cars, file, folder, size_car};
use super::program::run;
use super::{MTIME_NS, names_in};

/// `top/` with a sub-folder, an empty one, names of odd bytes; also as the root.
fn tree(request: &Request) -> Vec<u8> {
    let path = request.path.as_slice();
    match path.strip_prefix(b"top").unwrap_or(path) {
        b"" | b"/" => {
            let name: &[u8] = if path == b"/" { b"/" } else { b"top/" };
            let entries: [&[u8]; 5] = [
                b"f 5 1600000000000000001 a b",
                b"d 0 0 empty",
                b"d 0 0 sub\n",
                b"f 6 -1 \xff\xfe",
                b"f 0 7 zero",
            ];
            folder(name, &entries)
        }
        b"/empty/" | b"empty/" => folder(b"empty/", &[]),
        b"/sub\n/" | b"sub\n/" => folder(b"sub\n/", &[b"f 4 9 deep"]),
        b"/a b" | b"a b" => file(b"a b", b"first", 1_600_000_000_000_000_001, request.offset),
        b"/\xff\xfe" | b"\xff\xfe" => file(b"\xff\xfe", b"second", -1, request.offset),
        b"/zero" | b"zero" => file(b"zero", b"", 7, request.offset),
        b"/sub\n/deep" | b"sub\n/deep" => file(b"deep", b"down", 9, request.offset),
        _ => bare_car(-2),
    }
}

fn assert_tree(top: &std::path::Path) {
    let read = |name: &[u8]| fs::read(top.join(OsStr::from_bytes(name))).unwrap();
    assert_eq!(read(b"a b"), b"first");
    assert_eq!(read(b"\xff\xfe"), b"second");
    assert_eq!(read(b"zero"), b"");
    assert_eq!(read(b"sub\n/deep"), b"down");
    assert_eq!(names_in(&top.join("empty")).len(), 0);
    assert_eq!(names_in(top).len(), 5);
    let metadata = top.join(OsStr::from_bytes(b"\xff\xfe")).metadata().unwrap();
    assert_eq!((metadata.mtime(), metadata.mtime_nsec()), (-1, 999_999_999));
}

#[test]
fn a_folder_needs_r() {
    let server = Fake::start(|request| vec![Step::Send(tree(request))]);
    let here = tempfile::tempdir().unwrap();
    for path in ["top", "top/", ""] {
        run(here.path(), &[server.url(path)]).assert_failure(&["is a folder", "use -r"]);
    }
    assert_eq!(names_in(here.path()).len(), 0);
}

#[test]
fn a_tree_by_each_of_its_names() {
    let server = Fake::start(|request| vec![Step::Send(tree(request))]);
    for (path, at_once) in [("top", "1"), ("top/", "4")] {
        let here = tempfile::tempdir().unwrap();
        run(here.path(), &["-r", "-j", at_once, &server.url(path)]).assert_whole();
        assert_eq!(names_in(here.path()), ["top"]);
        assert_tree(&here.path().join("top"));
    }
    let here = tempfile::tempdir().unwrap();
    run(here.path(), &["-r", "-O", "all", &server.url("")]).assert_whole();
    assert_tree(&here.path().join("all"));
    run(here.path(), &["-r", "-o", "named", &server.url("top")]).assert_whole();
    assert_tree(&here.path().join("named"));
}

#[test]
fn a_tree_is_continued_without_asking_for_what_is_there() {
    let server = Fake::start(|request| vec![Step::Send(tree(request))]);
    let here = tempfile::tempdir().unwrap();
    run(here.path(), &["-r", &server.url("top")]).assert_whole();
    let count = server.requests().len();
    fs::remove_file(here.path().join("top/sub\n/deep")).unwrap();
    run(here.path(), &["-rc", &server.url("top")]).assert_whole();
    let asked: Vec<_> = server.requests()[count..]
        .iter()
        .map(|request| request.path.clone())
        .collect();
    assert_eq!(
        asked,
        [&b"top"[..], b"top/sub\n/", b"top/sub\n/deep", b"top/empty/"]
    );
    assert_tree(&here.path().join("top"));
}

#[test]
fn hostile_entries_are_refused_one_by_one() {
    let server = Fake::start(|request| {
        let entries: [&[u8]; 8] = [
            b"f 1 0 ../x",
            b"f 1 0 ..",
            b"d 0 0 .",
            b"f 1 0 /etc/x",
            b"d 0 0 ../up",
            b"f 1 0 ",
            b"f 1 0 .a.train-part",
            b"f 4 0 good",
        ];
        let answer = match request.path.as_slice() {
            b"top" => folder(b"top/", &entries),
            b"top/good" => file(b"../evil", b"good", MTIME_NS, 0), // the listing's name counts
            other => panic!("asked for {other:?}"),
        };
        vec![Step::Send(answer)]
    });
    let here = tempfile::tempdir().unwrap();
    let run = run(here.path(), &["-r", &server.url("top")]);
    assert_eq!((run.code, run.failures().len()), (1, 7), "{run:?}");
    assert!(
        run.failures()
            .iter()
            .all(|line| line.contains("is refused")),
        "{run:?}"
    );
    assert_eq!(names_in(here.path()), ["top"]);
    assert_eq!(names_in(&here.path().join("top")), ["good"]);
}

#[test]
fn folder_names_that_lead_elsewhere() {
    for name in [&b"../"[..], b"./", b"/", b"a/b/", b"/etc/", b"..//"] {
        let server = Fake::start(move |_| vec![Step::Send(folder(name, &[b"f 1 0 x"]))]);
        let here = tempfile::tempdir().unwrap();
        run(here.path(), &["-r", &server.url("top")]).assert_failure(&["is refused"]);
        assert_eq!(names_in(here.path()).len(), 0, "{name:?}");
    }
}

#[test]
fn a_link_on_the_way_is_not_followed() {
    let server = Fake::start(|request| vec![Step::Send(tree(request))]);
    let (here, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir(here.path().join("top")).unwrap();
    symlink(elsewhere.path(), here.path().join("top/sub\n")).unwrap();
    run(here.path(), &["-r", &server.url("top")])
        .assert_failure(&["symbolic link", "move it away"]);
    assert_eq!(names_in(elsewhere.path()).len(), 0);
    assert_eq!(
        names_in(&here.path().join("top")).len(),
        5,
        "the rest is got"
    );
}

#[test]
fn a_listing_that_breaks_off_fails_but_what_came_is_got() {
    let server = Fake::start(|request| {
        let head = || [car(b"top/"), size_car(u64::MAX, 0)].concat();
        match request.path.as_slice() {
            b"top" => vec![
                Step::Send([head(), data_cars(b"f 1 0 a\0f 1 0 b")].concat()),
                Step::Close,
            ],
            b"bad" => vec![Step::Send(
                [head(), data_cars(b"f 1 0 a\0what"), bare_car(0)].concat(),
            )],
            _ => vec![Step::Send(file(b"a", b"1", 0, request.offset))],
        }
    });
    for (path, words) in [("top", "short transfer"), ("bad", "ends within an entry")] {
        let here = tempfile::tempdir().unwrap();
        run(here.path(), &["-r", &server.url(path)]).assert_failure(&[words]);
        assert_eq!(names_in(&here.path().join("top")), ["a"]);
    }
}

#[test]
fn thousands_of_entries_cross_all_cars() {
    const COUNT: usize = 3000;
    let server = Fake::start(|request| {
        let answer = match request.path.as_slice() {
            b"many" => {
                let lines: Vec<_> = (0..COUNT)
                    .map(|number| format!("f 4 1 {number:04}").into_bytes())
                    .collect();
                folder(
                    b"many/",
                    &lines.iter().map(Vec::as_slice).collect::<Vec<_>>(),
                )
            }
            path => file(&path[5..], &path[5..], 1, 0),
        };
        vec![Step::Send(answer)]
    });
    let here = tempfile::tempdir().unwrap();
    run(here.path(), &["-qrj", "3", &server.url("many")]).assert_whole();
    let names = names_in(&here.path().join("many"));
    assert_eq!(names.len(), COUNT);
    for name in names {
        assert_eq!(
            fs::read(here.path().join("many").join(&name)).unwrap(),
            name.as_bytes()
        );
    }
}
