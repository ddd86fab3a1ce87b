//! What a person sees: a browser opens listings and error pages, clicks, types, looks at a picture,
//! and seeks in a film.
//!
//! Needs Debian's package chromium. Screenshots are left in `target/tmp/http_browser`, to look at.
//! The pages are the same whatever the machine and the pool, so that one run of this is enough.

#[path = "http_browser/browser.rs"]
mod browser;
use crate::common;
#[path = "http_browser/errors.rs"]
mod errors;
#[path = "http_browser/looks.rs"]
mod looks;
#[path = "http_browser/media.rs"]
mod media;
#[path = "http_browser/show.rs"]
mod show;
#[path = "http_browser/ways.rs"]
mod ways;

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use serde_json::Value;

use browser::Browser;
use common::http::old_file;
use common::server::{self, Pool, Server};
use common::{program, random_file};

/// True, and said so, where the test is made elsewhere.
fn is_left_out() -> bool {
    if program::is_emulated() {
        eprintln!("emulated: left out");
    }
    program::is_emulated() || !server::is_for(Pool::Process, "a browser looks at pages once")
}

/// A served folder, and the browser that looks at it.
struct Yard {
    root: tempfile::TempDir,
    server: Server,
    browser: Browser,
}

impl Yard {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fill(root.path());
        let server = Server::http(root.path(), &["--workers", "2", "--access-log"]);
        let browser = Browser::start();
        Self {
            root,
            server,
            browser,
        }
    }

    /// Goes to a path.
    #[track_caller]
    fn go(&mut self, path: &str) {
        let url = format!("http://{}{path}", self.server.address());
        self.browser.go(&url);
    }

    /// Ends both; the browser must have had nothing to complain about.
    #[track_caller]
    fn finish(mut self) {
        assert_eq!(complaints(&mut self.browser), [""; 0]);
        self.browser.close();
        self.server.stop();
    }
}

/// What the browser's console shows of the last events, one text each.
fn complaints(browser: &mut Browser) -> Vec<String> {
    let shown = |event: Value| match event["method"].as_str().unwrap() {
        "Log.entryAdded" => Some(event["params"]["entry"]["text"].to_string()),
        "Runtime.exceptionThrown" | "Runtime.consoleAPICalled" => Some(event.to_string()),
        _ => None,
    };
    browser.events().into_iter().filter_map(shown).collect()
}

/// Names that a page must neither take for its own words nor change.
fn nasty_names() -> Vec<OsString> {
    let mut names: Vec<Vec<u8>> = [
        "<img src=x onerror=alert(1)>",
        "a&lt;b&amp;c",
        "\"double\" and 'single'",
        " blanks  within and around ",
        "line\nfeed\tand tab",
        "100% sure?",
        "%41%2f",
        "#fragment;x=y",
        "a+b=c&d",
        "back\\slash",
        "javascript:alert(1)",
        "http:",
        "C:|[x]^{y}`~",
        "\u{1f686} \u{65e5}\u{672c}\u{8a9e}",
        "\u{5e9}\u{5dc}\u{5d5}\u{5dd}.txt",
        "right\u{202e}gpj.exe",
    ]
    .iter()
    .map(|name| name.as_bytes().to_vec())
    .collect();
    names.push(b"not utf-8 \xff\xc3.bin".to_vec());
    names.push([&b"long-"[..], &[b'x'; 250]].concat());
    names.into_iter().map(OsString::from_vec).collect()
}

/// `docs` with folders in folders, `nasty`, and some files.
fn fill(root: &Path) {
    for (index, name) in ["docs", "docs/guides/old", "music", "nasty"]
        .iter()
        .enumerate()
    {
        fs::create_dir_all(root.join(name)).unwrap();
        old_file(&root.join(name).join("readme.txt"), index as u64, 100);
    }
    for (name, size) in [
        ("archive.tar.gz", 3_456_789),
        ("boat.jpg", 120_000),
        ("Boat trip.jpg", 90_000),
        ("empty", 0),
        // Browsers ask for it where a file cannot tell of another one.
        ("favicon.ico", 0),
        ("notes.txt", 1500),
        (
            "a long name that does not fit in one line of a telephone's screen.txt",
            42,
        ),
    ] {
        random_file(&root.join(name), 1, size);
    }
    old_file(&root.join("zoo.txt"), 1, 7);
    for (index, name) in nasty_names().into_iter().enumerate() {
        old_file(&root.join("nasty").join(name), index as u64, 50 + index);
    }
}
