//! Listings over HTTP: all that is there, in order, for people and for programs.

use crate::common;
#[path = "http_listing/entries.rs"]
mod entries;
#[path = "http_listing/large.rs"]
mod large;

use crate::common::assert_bytes;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use common::http::{Client, get, long_past, old_file, once, request, set_modified};
use common::server::Server;
use entries::{Entry, link_labelled, links, of_json, unescaped};

type Connection = Client<std::net::TcpStream>;

const JSON: &str = "Accept: application/json";
const HTML: &str = "Accept: text/html";

fn small_server(root: &Path, options: &[&str]) -> Server {
    let mut all = vec!["--workers", "1", "--per-worker", "40"];
    all.extend(options);
    Server::http(root, &all)
}

fn names(entries: &[Entry]) -> Vec<String> {
    let name = |entry: &Entry| String::from_utf8_lossy(&entry.name).into_owned();
    entries.iter().map(name).collect()
}

/// The names that programs are told.
#[track_caller]
fn list(client: &mut Connection, target: &str) -> Vec<String> {
    names(&of_json(&client.get(target, &[JSON])))
}

/// Two files, a folder, and a file of more than 4 GiB.
fn mixed_folder() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    old_file(&root.path().join("b.txt"), 1, 12_345);
    old_file(&root.path().join("a"), 2, 0);
    fs::create_dir(root.path().join("c")).unwrap();
    set_modified(
        &root.path().join("c"),
        long_past() + Duration::from_secs(61),
    );
    let big = fs::File::create(root.path().join("big")).unwrap();
    big.set_len(5 << 30).unwrap();
    big.set_modified(long_past()).unwrap();
    root
}

#[test]
fn a_listing_tells_names_types_sizes_and_times() {
    let root = mixed_folder();
    let server = small_server(root.path(), &[]);
    let mut client = Client::connect(&server);
    let entry = |name: &str, is_folder, size, mtime: &str| Entry {
        name: name.into(),
        is_folder,
        size,
        mtime: mtime.into(),
    };
    let expected = [
        entry("a", false, 0, "2001-09-09T01:46:40Z"),
        entry("b.txt", false, 12_345, "2001-09-09T01:46:40Z"),
        entry("big", false, 5 << 30, "2001-09-09T01:46:40Z"),
        entry("c", true, 0, "2001-09-09T01:47:41Z"),
    ];
    for (target, fields) in [
        ("/", &[JSON][..]),
        ("/?format=json", &[]),
        ("/?format=json", &[HTML]),
    ] {
        let answer = client.get(target, fields);
        assert_eq!(of_json(&answer), expected, "{target}");
        assert!(
            answer
                .field("vary")
                .is_some_and(|vary| vary.contains("Accept"))
        );
        assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
    }
    // Nobody says what is wanted: a page, which people can read.
    assert_eq!(links(&client.get("/", &[])).len(), 4);
    server.stop();
}

#[test]
fn a_page_is_for_people() {
    let root = mixed_folder();
    let server = small_server(root.path(), &[]);
    let mut client = Client::connect(&server);
    let page = client.get("/", &[HTML]);
    assert_eq!(links(&page), ["a", "b.txt", "big", "c/"]);
    assert!(
        page.field("content-security-policy")
            .unwrap()
            .contains("default-src 'none'")
    );
    let text = String::from_utf8(page.body).unwrap();
    for shown in [
        "12345 bytes",
        "2001-09-09",
        "</table>",
        "name=\"q\"",
        "viewport",
    ] {
        assert!(text.contains(shown), "{shown}");
    }
    assert!(!text.contains("<script"));
    assert_eq!(
        links(&client.get("/?format=html", &[JSON])),
        ["a", "b.txt", "big", "c/"]
    );
    // Empty.
    assert_eq!(list(&mut client, "/c/"), [""; 0]);
    let empty = client.get("/c/", &[HTML]);
    assert_eq!(links(&empty), [""; 0]);
    assert!(
        String::from_utf8(empty.body)
            .unwrap()
            .contains("href=\"../\"")
    );
    server.stop();
}

#[test]
fn a_listing_ends_as_its_version_of_http_can_tell() {
    let root = tempfile::tempdir().unwrap();
    for index in 0..300 {
        old_file(&root.path().join(format!("{index:03}")), index, 10);
    }
    let server = small_server(root.path(), &[]);
    let mut client = Client::connect(&server);
    let chunked = client.get("/", &[JSON]);
    assert_eq!(chunked.field("transfer-encoding"), Some("chunked"));
    assert_eq!(of_json(&chunked).len(), 300);
    assert!(chunked.is_kept());
    // No chunks for HTTP/1.0, so the end of the connection is that of the listing.
    for fields in ["", "Connection: keep-alive\r\n"] {
        let wire = format!("GET /?format=json HTTP/1.0\r\n{fields}\r\n");
        let mut old = Client::connect(&server);
        let answer = old.ask(wire.as_bytes());
        assert_eq!(answer.field("transfer-encoding"), None);
        assert!(!answer.is_kept(), "{fields}");
        assert_bytes(&answer.body, &chunked.body, "the body");
    }
    let head = client.ask(&request("HEAD", "/", &[JSON]));
    assert_eq!(head.status, 200);
    assert_eq!(
        head.field("transfer-encoding"),
        chunked.field("transfer-encoding")
    );
    // Between other answers, all asked at once.
    let listing = get("/?format=json", &[]);
    let wire = [
        &listing[..],
        &get("/007", &[]),
        &listing,
        &get("/none", &[]),
        &listing,
    ]
    .concat();
    for _ in 0..5 {
        client.send(&wire);
        assert_bytes(&client.answer(false).body, &chunked.body, "the body");
        assert_eq!(client.answer(false).body.len(), 10);
        assert_bytes(&client.answer(false).body, &chunked.body, "the body");
        assert_eq!(client.answer(false).status, 404);
        assert_bytes(&client.answer(false).body, &chunked.body, "the body");
    }
    let closed = once(&server, &get("/", &[JSON, "Connection: close"]));
    assert!(!closed.is_kept(), "{}", closed.shown());
    assert_bytes(&closed.body, &chunked.body, "the listing");
    server.stop();
}

/// Every link of the page, followed as a browser does, leads to the file.
#[test]
fn names_of_any_bytes_are_listed_and_their_links_lead_to_them() {
    let root = tempfile::tempdir().unwrap();
    let folder = b"fol\xffder \"'<&>%25?#;";
    let at = root.path().join(OsStr::from_bytes(folder));
    fs::create_dir(&at).unwrap();
    let all: Vec<u8> = (1..=255).filter(|byte| *byte != b'/').collect();
    let mut files: Vec<Vec<u8>> = all.chunks(30).map(|chunk| [b"n", chunk].concat()).collect();
    files.extend([
        b"<script>alert(1)<#script>".to_vec(),
        b"javascript:alert(1)".to_vec(),
        b"\" onmouseover=\"x".to_vec(),
        b"line\r\nbreak\t".to_vec(),
        b"\\u0041 \\\"".to_vec(),
        b"\xff\xfe\xf0\x9f".to_vec(),
        "\u{202e}gnp.exe \u{1f682}".into(),
        b"a%41".to_vec(),
        b"+ &amp; ;".to_vec(),
        vec![b'y'; 255],
        vec![0xfe; 255],
    ]);
    files.sort();
    let write = |name: &Vec<u8>| {
        old_file(
            &at.join(OsStr::from_bytes(name)),
            name.len() as u64,
            name.len(),
        )
    };
    let contents: Vec<_> = files.iter().map(write).collect();
    let server = small_server(root.path(), &[]);
    let mut client = Client::connect(&server);
    let above = links(&client.get("/", &[HTML]));
    assert_eq!(above.len(), 1);
    let folder_url = format!("/{}", above[0]);
    let page = client.get(&folder_url, &[HTML]);
    let text = String::from_utf8(page.body.clone()).unwrap();
    assert!(
        !text.contains("<script") && !text.contains(" onmouseover=\""),
        "{text}"
    );
    let rows = links(&page);
    assert_eq!(rows.len(), files.len());
    for ((link, name), content) in rows.iter().zip(&files).zip(&contents) {
        assert_eq!(entries::decoded(link), *name, "in order");
        assert!(
            client.get(&format!("{folder_url}{link}"), &[]).body == *content,
            "{link}"
        );
    }
    let told = of_json(&client.get(&folder_url, &[JSON]));
    for (entry, name) in told.iter().zip(&files) {
        assert_eq!(entry.name, *name, "{}", name.escape_ascii());
        assert_eq!(entry.size, name.len() as u64);
    }
    assert_eq!(told.len(), files.len());
    // One at a time, each by the link of the page before.
    let mut seen = Vec::new();
    let mut next = Some(format!("{folder_url}?limit=1"));
    while let Some(url) = next {
        let page = client.get(&url, &[HTML]);
        seen.extend(links(&page));
        let link = link_labelled(&page, "Next page");
        next = link.map(|link| format!("{folder_url}{}", link.strip_prefix("./").unwrap()));
    }
    assert_eq!(seen, rows);
    server.stop();
}

#[test]
fn what_cannot_be_had_is_not_listed() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    old_file(&at("file"), 1, 10);
    old_file(&at(".hidden"), 1, 10);
    fs::create_dir(at(".git")).unwrap();
    fs::create_dir(at("-")).unwrap();
    fs::create_dir(at("folder")).unwrap();
    fs::create_dir(at("folder/-")).unwrap();
    symlink("/etc/passwd", at("absolute")).unwrap();
    symlink("../..", at("up")).unwrap();
    symlink("nowhere", at("broken")).unwrap();
    symlink("file", at("inside")).unwrap();
    nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let server = small_server(root.path(), &[]);
    let mut client = Client::connect(&server);
    let follows = client.get("/inside", &[]).status == 200;
    let mut expected = vec!["file", "folder"];
    expected.extend(follows.then_some("inside"));
    assert_eq!(list(&mut client, "/"), expected);
    assert_eq!(
        list(&mut client, "/folder/"),
        ["-"],
        "only that of the root is the server's"
    );
    for target in ["/-/", "/.git/"] {
        assert_eq!(client.get(target, &[JSON]).status, 404, "{target}");
    }
    server.stop();
    let server = small_server(root.path(), &["--dotfiles"]);
    let shown = list(&mut Client::connect(&server), "/");
    assert_eq!(shown[..3], [".git", ".hidden", "file"]);
    server.stop();
    let server = small_server(root.path(), &["--no-listing"]);
    let mut client = Client::connect(&server);
    for fields in [&[][..], &[JSON], &[HTML]] {
        assert_eq!(client.get("/", fields).status, 403);
        assert_eq!(client.get("/folder/?format=json", fields).status, 403);
    }
    assert_eq!(client.get("/folder", &[]).status, 301);
    server.stop();
}

const BY_NAME: &[&str] = &["Alpha.txt", "beta.TXT", "delta & co", "gamma+1.md", "zeta%"];
const BEGIN: &[&str] = &["Alpha.txt", "beta.TXT"];
const REST: &[&str] = &["delta & co", "gamma+1.md", "zeta%"];
/// What a query shows of the files of the test below.
const SHOWN: &[(&str, &[&str])] = &[
    ("", BY_NAME),
    ("sort=name", BY_NAME),
    (
        "order=desc",
        &["zeta%", "gamma+1.md", "delta & co", "beta.TXT", "Alpha.txt"],
    ),
    (
        "sort=size",
        &["zeta%", "beta.TXT", "gamma+1.md", "Alpha.txt", "delta & co"],
    ),
    (
        "sort=size&order=desc",
        &["delta & co", "Alpha.txt", "gamma+1.md", "beta.TXT", "zeta%"],
    ),
    (
        "sort=date",
        &["gamma+1.md", "zeta%", "Alpha.txt", "delta & co", "beta.TXT"],
    ),
    ("sort=date&order=desc&limit=2", &["beta.TXT", "delta & co"]),
    ("q=txt", &["Alpha.txt", "beta.TXT"]),
    ("q=TxT&order=desc", &["beta.TXT", "Alpha.txt"]),
    ("q=a%2B1", &["gamma+1.md"]),
    ("q=delta+%26+co", &["delta & co"]),
    ("q=%25", &["zeta%"]),
    ("q=nothing", &[]),
    ("limit=2", BEGIN),
    ("limit=99", BY_NAME),
    ("after=beta.TXT", REST),
    ("after=between", REST),
    ("after=zeta%25", &[]),
    ("after=beta.TXT&limit=1", &["delta & co"]),
    ("after=beta.TXT&order=desc", &["Alpha.txt"]),
    (
        "after=beta.TXT&sort=size",
        &["gamma+1.md", "Alpha.txt", "delta & co"],
    ),
    ("unknown=x&q=&limit=", BY_NAME),
];

#[test]
fn the_query_says_what_is_shown() {
    let root = tempfile::tempdir().unwrap();
    let files = [
        ("Alpha.txt", 30, 5),
        ("beta.TXT", 10, 9),
        ("gamma+1.md", 20, 1),
        ("delta & co", 40, 7),
        ("zeta%", 5, 3),
    ];
    for (name, size, age) in files {
        let path = root.path().join(name);
        old_file(&path, 1, size);
        set_modified(&path, long_past() + Duration::from_secs(age * 100));
    }
    let server = small_server(root.path(), &[]);
    let mut client = Client::connect(&server);
    for (query, expected) in SHOWN {
        let shown = list(&mut client, &format!("/?{query}"));
        assert_eq!(shown, *expected, "{query}");
        let page = client.get(&format!("/?{query}"), &[HTML]);
        assert_eq!(links(&page).len(), expected.len(), "{query}");
    }
    for query in [
        "limit=0",
        "limit=x",
        "sort=color",
        "order=up",
        "format=xml",
        "after=a%2Fb",
    ] {
        let answer = client.get(&format!("/?{query}"), &[JSON]);
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.is_kept(), "{query}");
    }
    // What was looked for is shown again, as text.
    let page = client.get("/?q=%22%3E%3Cb%3E", &[HTML]);
    let text = String::from_utf8(page.body).unwrap();
    assert!(!text.contains("<b>") && unescaped(&text).contains("\"><b>"));
    server.stop();
}
