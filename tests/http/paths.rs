//! Paths: what is decoded, what is refused, what is hidden, and where clients are sent on to.

use crate::common::assert_bytes;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use super::*;

/// Each byte escaped.
fn escaped(name: &[u8]) -> String {
    name.iter().map(|byte| format!("%{byte:02x}")).collect()
}

#[test]
fn a_path_is_decoded_once_and_its_dots_and_slashes_count_for_nothing() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("a/b")).unwrap();
    let bytes = old_file(&root.path().join("a/b/file"), 1, 500);
    let percent = old_file(&root.path().join("a/%41"), 2, 20);
    let server = small_server(root.path());
    let mut client = Client::connect(&server);
    for target in [
        "/a/b/file",
        "/a/b/file?query",
        "/a/b/file?a=b?c/d",
        "/a//b///file",
        "//a/b/file",
        "////a/b/file",
        "/./a/./b/./file",
        "/a/../a/b/file",
        "/../../a/b/file",
        "/a/b/../../a/b/file",
        "/%61/%62/%66%69%6c%65",
        "/a/%2e/b/%2E%2e/b/file",
        "/x/y/../../a/b/file",
        "http://yard//a/b/file",
    ] {
        let answer = client.get(target, &[]);
        assert_eq!(answer.status, 200, "{target}");
        assert_bytes(&answer.body, &bytes, target);
    }
    assert_bytes(&client.get("/a/%2541", &[]).body, &percent, "the body");
    for (target, status) in [
        ("/a/%41", 404),
        ("/a/A", 404),
        ("/a%2fb/file", 400),
        ("/a%2Fb/file", 400),
        ("/a/b/file%00", 400),
        ("/a/b/%", 400),
        ("/a/b/%6", 400),
        ("/a/b/%6g", 400),
        ("/a/b/file/", 404),
        ("/a/b/file/.", 404),
        ("/a/b/file/..", 403),
        ("/a/b/file/x", 404),
        ("/a/b/missing", 404),
        ("/A/b/file", 404),
    ] {
        let server_answer = client.get(target, &["Accept: */*"]);
        let listing = status == 403 && server_answer.status == 200;
        assert!(
            listing || server_answer.status == status,
            "{target}: {}",
            server_answer.shown()
        );
        assert!(server_answer.is_kept(), "{target}");
    }
    server.stop();
}

#[test]
fn names_of_any_bytes_can_be_had() {
    let root = tempfile::tempdir().unwrap();
    let all: Vec<u8> = (1..=255).filter(|byte| *byte != b'/').collect();
    let mut names: Vec<Vec<u8>> = all.chunks(40).map(|chunk| [b"n", chunk].concat()).collect();
    names.extend([
        b"line\nbreak".to_vec(),
        b"quo\"te's <b>&amp;".to_vec(),
        b"\xff\xfe invalid".to_vec(),
        "\u{fc}ml\u{e4}ut \u{1f682}".into(),
        b"back\\slash".to_vec(),
        b"a?b#c%d".to_vec(),
        b" leading and trailing ".to_vec(),
        b"con:trol\x01\x7f".to_vec(),
        vec![b'x'; 255],
        vec![0xf0; 255],
    ]);
    let server = small_server(root.path());
    let mut client = Client::connect(&server);
    for (index, name) in names.iter().enumerate() {
        let size = 100 + index;
        let bytes = old_file(
            &root.path().join(OsStr::from_bytes(name)),
            index as u64,
            size,
        );
        for _ in 0..2 {
            let answer = client.get(&format!("/{}", escaped(name)), &[]);
            assert_eq!(answer.status, 200, "{}", name.escape_ascii());
            assert_bytes(
                &answer.body,
                &bytes,
                format_args!("{}", name.escape_ascii()),
            );
        }
    }
    // As they are, as old clients send them.
    let raw = b"GET /\xff\xfe%20invalid HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!(client.ask(raw).status, 200);
    // A folder of such a name sends on to itself.
    let name = b"\xff\n\"x y";
    fs::create_dir(root.path().join(OsStr::from_bytes(name))).unwrap();
    let answer = client.get(&format!("/{}", escaped(name)), &[]);
    assert_eq!(answer.status, 301);
    assert_eq!(answer.field("location"), Some("/%FF%0A%22x%20y/"));
    server.stop();
}

#[test]
fn a_folder_sends_on_to_its_slash_and_never_to_another_host() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("evil.example/b")).unwrap();
    fs::create_dir_all(root.path().join("c:d")).unwrap();
    let page = old_file(&root.path().join("evil.example/index.html"), 1, 40);
    let server = small_server(root.path());
    let mut client = Client::connect(&server);
    for (target, location) in [
        ("/evil.example", "/evil.example/"),
        ("//evil.example", "/evil.example/"),
        ("///evil.example", "/evil.example/"),
        ("/.//evil.example", "/evil.example/"),
        ("//evil.example/b", "/evil.example/b/"),
        ("/evil.example//b", "/evil.example/b/"),
        ("/x/..//evil.example", "/evil.example/"),
        ("/evil.example?a=b&c", "/evil.example/?a=b&c"),
        ("//evil.example?//x/?y", "/evil.example/?//x/?y"),
        ("/evil.example?", "/evil.example/?"),
        ("/c:d", "/c%3Ad/"),
        ("http://yard//evil.example?q", "/evil.example/?q"),
    ] {
        let answer = client.get(target, &[]);
        assert_eq!(answer.status, 301, "{target}");
        assert_eq!(answer.field("location"), Some(location), "{target}");
        assert!(answer.is_kept());
    }
    for target in [
        "/evil.example/",
        "//evil.example//",
        "/evil.example/.",
        "/evil.example/b/..",
    ] {
        let answer = client.get(target, &[]);
        assert_eq!(answer.status, 200, "{target}: repeated slashes are served");
        assert_bytes(&answer.body, &page, target);
    }
    server.stop();
}

#[test]
fn names_that_begin_with_a_dot_are_hidden() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join(".git/a")).unwrap();
    fs::create_dir_all(root.path().join("plain")).unwrap();
    let files = [".hidden", ".git/config", ".git/a/b", "plain/.hidden", "..."];
    for (index, name) in files.iter().enumerate() {
        old_file(&root.path().join(name), index as u64, 300);
    }
    let paths = files.map(|name| format!("/{name}"));
    let folders = ["/.git", "/.git/", "/.git/a", "/.git/a/"];
    let hidden = small_server(root.path());
    let mut client = Client::connect(&hidden);
    let missing = client.get("/missing", &[]);
    for path in paths.iter().map(String::as_str).chain(folders) {
        for target in [
            path.to_string(),
            path.replace('.', "%2e"),
            format!("/plain/../{path}"),
        ] {
            let answer = client.get(&target, &[]);
            assert_eq!(answer.status, 404, "{target}");
            assert_eq!(
                answer.body, missing.body,
                "{target}: as if it were not there"
            );
        }
    }
    hidden.stop();
    let shown = server_with(root.path(), &["--dotfiles"]);
    let mut client = Client::connect(&shown);
    for path in &paths {
        let answer = client.get(path, &[]);
        assert_eq!((answer.status, answer.body.len()), (200, 300), "{path}");
    }
    assert_eq!(client.get("/.git", &[]).status, 301);
    shown.stop();
}

#[test]
fn nothing_outside_the_root_is_opened() {
    let outside = tempfile::tempdir().unwrap();
    old_file(&outside.path().join("secret"), 1, 50);
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    fs::create_dir(at("folder")).unwrap();
    old_file(&at("folder/file"), 2, 60);
    symlink(outside.path().join("secret"), at("absolute")).unwrap();
    symlink(outside.path(), at("out")).unwrap();
    symlink("..", at("up")).unwrap();
    symlink("loop", at("loop")).unwrap();
    symlink(at("folder/file"), at("through-the-outside")).unwrap();
    symlink("/proc/self/root", at("magic")).unwrap();
    nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    let server = small_server(root.path());
    let mut client = Client::connect(&server);
    for target in [
        "/absolute",
        "/out",
        "/out/",
        "/out/secret",
        "/up",
        "/up/",
        "/up/etc/passwd",
        "/loop",
        "/through-the-outside",
        "/magic/etc/passwd",
        "/pipe",
        "/socket",
    ] {
        let answer = client.get(target, &[]);
        assert!(
            [403, 404].contains(&answer.status),
            "{target}: {}",
            answer.shown()
        );
        assert!(answer.body.len() < 400, "{target}");
    }
    for target in [
        "/../../../etc/passwd",
        "/folder/../../etc/passwd",
        "/%2e%2e/etc/passwd",
    ] {
        assert_eq!(client.get(target, &[]).status, 404, "{target}");
    }
    assert_eq!(client.get("/folder/file", &[]).body.len(), 60);
    server.stop();
}

#[test]
fn the_server_has_paths_of_its_own() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("-")).unwrap();
    old_file(&root.path().join("-/file"), 1, 50);
    old_file(&root.path().join("-/health"), 1, 50);
    old_file(&root.path().join("-x"), 1, 50);
    fs::create_dir(root.path().join("folder")).unwrap();
    fs::create_dir(root.path().join("folder/-")).unwrap();
    old_file(&root.path().join("folder/-/file"), 1, 50);
    let server = server_with(root.path(), &["--fallback", "-x"]);
    let mut client = Client::connect(&server);
    for target in ["/-/health", "//-/health", "/%2d/health?x", "/a/../-/health"] {
        let answer = client.get(target, &[]);
        assert_eq!(
            (answer.status, &answer.body[..]),
            (200, &b"ok\n"[..]),
            "{target}"
        );
        assert_eq!(answer.field("cache-control"), Some("no-store"));
        assert!(answer.is_kept());
    }
    for target in [
        "/-",
        "/-/",
        "/-/file",
        "/-/health/",
        "/-/health/x",
        "/-/missing",
    ] {
        assert_eq!(client.get(target, &[]).status, 404, "{target}");
    }
    for target in ["/-x", "/folder/-/file"] {
        assert_eq!(client.get(target, &[]).body.len(), 50, "{target}");
    }
    assert!(
        server.log().contains("/-/"),
        "told at the start: {}",
        server.log()
    );
    fs::remove_dir_all(root.path()).unwrap();
    let answer = client.get("/-/health", &[]);
    assert_eq!(answer.status, 503, "a root that is gone");
    assert!(answer.field("retry-after").is_some());
    server.stop();
}

/// Descriptors that all processes of a server hold.
fn descriptors(server: &Server) -> usize {
    let of = |process| fs::read_dir(format!("/proc/{process}/fd")).unwrap().count();
    server.processes().into_iter().map(of).sum()
}

/// What cannot be served leaves nothing open, whatever it is that is wrong with it.
#[test]
fn what_is_refused_leaves_no_descriptor_open() {
    let root = tempfile::tempdir().unwrap();
    for folder in ["out", "pipe", "socket", "folder", "circle", "plain"] {
        fs::create_dir(root.path().join(folder)).unwrap();
    }
    let index = |folder: &str| root.path().join(folder).join("index.html");
    symlink("/etc/passwd", index("out")).unwrap();
    symlink("index.html", index("circle")).unwrap();
    nix::unistd::mkfifo(&index("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(index("socket")).unwrap();
    fs::create_dir(index("folder")).unwrap();
    symlink("/etc/passwd", root.path().join("link")).unwrap();
    nix::unistd::mkfifo(&root.path().join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    old_file(&root.path().join("file"), 1, 10);
    // A variant that is none.
    fs::create_dir(root.path().join("file.gz")).unwrap();
    let server = small_server(root.path());
    let mut client = Client::connect(&server);
    let targets = [
        ("/out/", 403),
        ("/circle/", 403),
        ("/pipe/", 403),
        ("/socket/", 403),
        ("/folder/", 200),
        ("/folder/?limit=x", 400),
        ("/folder/?sort=size&after=none", 404),
        ("/plain", 301),
        ("/link", 403),
        ("/fifo", 403),
        ("/file/", 404),
        ("/file", 200),
        ("/missing", 404),
    ];
    let mut ask = || {
        for (target, status) in targets {
            let answer = client.get(target, &["Accept-Encoding: gzip"]);
            assert_eq!(answer.status, status, "{target}");
        }
    };
    ask();
    let before = descriptors(&server);
    (0..40).for_each(|_| ask());
    let after = descriptors(&server);
    // A worker's probe of the card may be under way.
    assert!(after < before + 10, "{before} descriptors, then {after}");
    server.stop();
}
