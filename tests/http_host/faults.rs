//! Listings of a folder that a card can no longer read: an entry is left out only if it is gone or
//! forbidden; with any other error the listing breaks off, so that it does not look whole.

use std::fs;
use std::path::Path;

use super::calls::Traced;
use super::common::ask::{Failure, ask};
use super::common::http::{Client, get};
use super::common::program;
use super::is_left_out;

const ENTRIES: usize = 30;
/// The call that fails, of those that a worker makes: one for the folder, then one for each entry.
const FAILS: usize = 20;

fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for index in 0..ENTRIES {
        fs::write(root.path().join(format!("{index:02}")), b"bytes").unwrap();
    }
    root
}

/// A server of which one look at an entry fails with this error.
fn failing_with(error: &str, root: &Path, listener: &str) -> Traced {
    let inject = format!("inject=statx:error={error}:when={FAILS}");
    let other = if listener == "--http" {
        "--train"
    } else {
        "--http"
    };
    let options = ["--workers", "1", listener, "127.0.0.1:0", other, "none"];
    Traced::with(&["-e", &inject], root, &options)
}

/// The entries of a listing over HTTP, if it is whole.
fn list(traced: &Traced, target: &str) -> Option<usize> {
    let mut client = Client::connect(&traced.server);
    client.send(&get(target, &["Accept: application/json"]));
    let answer = client.try_answer(false).ok()?;
    assert_eq!(answer.status, 200);
    let text = String::from_utf8(answer.body).unwrap();
    Some(text.matches("\"name\"").count())
}

#[test]
fn a_listing_breaks_off_where_an_entry_cannot_be_read() {
    if is_left_out() {
        return;
    }
    let root = root();
    for target in ["/", "/?sort=size", "/?sort=date&order=desc"] {
        for error in ["EIO", "ENOMEM", "ESTALE"] {
            let traced = failing_with(error, root.path(), "--http");
            assert_eq!(list(&traced, target), None, "{target}, {error}");
            assert_eq!(list(&traced, target), Some(ENTRIES), "{target}, {error}");
            traced.finish();
        }
        for error in ["ENOENT", "EACCES", "EPERM"] {
            let traced = failing_with(error, root.path(), "--http");
            assert_eq!(
                list(&traced, target),
                Some(ENTRIES - 1),
                "{target}, {error}"
            );
            traced.finish();
        }
    }
}

#[test]
fn a_train_breaks_off_where_an_entry_cannot_be_read() {
    if is_left_out() {
        return;
    }
    let root = root();
    let traced = failing_with("EIO", root.path(), "--train");
    let mut stream = traced.server.connect();
    let answer = ask(&mut stream, b"/", &[]);
    assert!(matches!(answer, Err(Failure::Fault(5))), "{answer:?}");
    let entries = |data: &[u8]| data.iter().filter(|byte| **byte == 0).count();
    let whole = ask(&mut traced.server.connect(), b"/", &[]).unwrap();
    assert_eq!(entries(&whole.data), ENTRIES);
    traced.finish();
    let traced = failing_with("EACCES", root.path(), "--train");
    let rest = ask(&mut traced.server.connect(), b"/", &[]).unwrap();
    assert_eq!(entries(&rest.data), ENTRIES - 1);
    traced.finish();
}

/// Who gets a whole folder learns that it is not whole.
#[test]
fn train_get_fails_where_an_entry_cannot_be_read() {
    if is_left_out() {
        return;
    }
    let root = root();
    let traced = failing_with("EIO", root.path(), "--train");
    let folder = tempfile::tempdir().unwrap();
    let output = program::command("train-get")
        .arg("-r")
        .arg(format!("train://{}/", traced.server.address()))
        .current_dir(folder.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    traced.finish();
}

/// Behind which entry a page would begin cannot be told either.
#[test]
fn a_page_that_cannot_begin_is_no_page_that_is_missing() {
    if is_left_out() {
        return;
    }
    let root = root();
    for (error, status) in [("EIO", 503), ("ENOENT", 404)] {
        // The second call is the one for the entry.
        let inject = format!("inject=statx:error={error}:when=2");
        let options = ["--workers", "1", "--train", "none", "--http", "127.0.0.1:0"];
        let traced = Traced::with(&["-e", &inject], root.path(), &options);
        let mut client = Client::connect(&traced.server);
        assert_eq!(client.get("/?sort=size&after=07", &[]).status, status);
        traced.finish();
    }
}
