//! The card is taken out and put back while the server runs. What needs a real card to be mounted is in
//! `tests/board`; here another file system stands for another card.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::common::ask;
use super::common::client::{assert_cut, assert_refused, large_file, stopped_reader};
use super::common::http::{Client, old_file};
use super::common::server::{LIMIT, Server, run, while_all_answer};
use super::common::wait_until;

/// A folder on another file system than the other tests' folders are.
fn elsewhere() -> tempfile::TempDir {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let device = |path: &Path| fs::metadata(path).unwrap().dev();
    let usual = device(&std::env::temp_dir());
    assert_ne!(
        device(folder.path()),
        usual,
        "TMPDIR must not be on /dev/shm"
    );
    folder
}

fn lead(link: &Path, to: &Path) {
    let next = link.with_extension("next");
    symlink(to, &next).unwrap();
    fs::rename(&next, link).unwrap();
}

/// Starts a server for trains and HTTP: addresses in this order.
fn serve(root: &Path, options: &[&str]) -> Server {
    let mut command = super::common::program::command("trainyard");
    command.arg("serve").arg(root).args(options);
    command.args(["--train", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    command.args(["--workers", "2"]);
    Server::from_command(command)
}

fn http(server: &Server) -> Client<TcpStream> {
    let stream = TcpStream::connect(server.addresses[1]).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    Client::new(stream)
}

/// What the server's processes hold open beneath a folder.
fn held(server: &Server, folder: &Path) -> Vec<PathBuf> {
    let links = server.processes().into_iter().flat_map(|process| {
        let process = PathBuf::from(format!("/proc/{process}"));
        let open = fs::read_dir(process.join("fd")).unwrap();
        let open = open.map(|entry| entry.unwrap().path());
        open.chain([process.join("cwd")])
    });
    links
        .filter_map(|link| fs::read_link(link).ok())
        .filter(|path| path.starts_with(folder))
        .collect()
}

#[track_caller]
fn eject(root: &Path) {
    let _all_answer = while_all_answer();
    let (code, output, error) = run(&["eject", root.to_str().unwrap()]);
    assert_eq!(code, 0, "{error}");
    assert_eq!(output, format!("{}: let go\n", root.display()));
}

#[test]
fn an_ejected_card_is_held_by_nobody_and_another_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("card");
    let (first, second) = (tempfile::tempdir().unwrap(), elsewhere());
    symlink(first.path(), &root).unwrap();
    let bytes = old_file(&first.path().join("file"), 1, 3000);
    large_file(first.path(), 2);
    let mut command = super::common::program::command("trainyard");
    // Started on the card, as a person would.
    command.arg("serve").arg(&root).current_dir(first.path());
    command.args(["--train", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    let server = Server::from_command(command);

    let mut kept: Vec<_> = (0..6).map(|_| http(&server)).collect();
    for client in &mut kept {
        assert_eq!(client.get("/file", &[]).body, bytes);
    }
    let mut reader = stopped_reader(&server);
    let mut download = http(&server);
    download.send(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut begun = [0; 1000];
    download.stream.read_exact(&mut begun).unwrap();
    assert_ne!(held(&server, first.path()), Vec::<PathBuf>::new());

    eject(&root);
    assert_eq!(held(&server, first.path()), Vec::<PathBuf>::new());
    // Who was in the midst of it sees that it is not whole.
    let mut rest = Vec::new();
    let _ = download.stream.read_to_end(&mut rest);
    let size = fs::metadata(first.path().join("large")).unwrap().len();
    assert!(((begun.len() + rest.len()) as u64) < size);
    assert_cut(&mut reader);
    for client in &mut kept {
        let answer = client.get("/file", &[]);
        assert_eq!(answer.status, 503);
        assert!(answer.field("retry-after").is_some());
    }
    let mut train = server.connect();
    train.write_all(&ask::request(b"file", &[])).unwrap();
    assert_refused(&mut train, 5);
    // As long as the same one is there, it is left alone, to be unmounted.
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(http(&server).get("/file", &[]).status, 503);

    // Nothing is mounted: an empty folder is no card.
    lead(&root, second.path());
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(http(&server).get("/", &[]).status, 503);
    let others = old_file(&second.path().join("file"), 3, 4000);
    wait_until("the other card", LIMIT, || {
        http(&server).get("/file", &[]).body == others
    });
    // And the first one again, by itself.
    lead(&root, first.path());
    wait_until("the first card", LIMIT, || {
        http(&server).get("/file", &[]).body == bytes
    });
    wait_until("nothing of the other card is held", LIMIT, || {
        held(&server, second.path()).is_empty()
    });
    server.stop();
}

#[test]
fn workers_without_clients_let_go_too() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = old_file(&folder.path().join("file"), 4, 3000);
    let server = serve(folder.path(), &[]);
    for _ in 0..8 {
        let clients: Vec<_> = (0..4).map(|_| http(&server)).collect();
        for mut client in clients {
            assert_eq!(client.get("/file", &[]).body, bytes);
        }
    }
    eject(folder.path());
    assert_eq!(held(&server, folder.path()), Vec::<PathBuf>::new());
    // A hangup is a request to look again.
    server.signal(Signal::SIGHUP);
    wait_until("the same root", LIMIT, || {
        http(&server).get("/file", &[]).body == bytes
    });
    server.stop();
}

#[test]
fn a_pushed_file_is_let_go_and_pushed_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pushed");
    let bytes = old_file(&file, 5, 5000);
    for form in ["sized", "raw", "plain"] {
        let server = Server::push(&file, form, &["--workers", "2"]);
        let take = || {
            let mut received = Vec::new();
            let mut stream = server.connect();
            let _ = stream.read_to_end(&mut received);
            received
        };
        let whole = take();
        assert!(whole.len() > bytes.len(), "{form}");
        eject(folder.path());
        assert_eq!(held(&server, folder.path()), Vec::<PathBuf>::new());
        assert_refused(&mut server.connect(), 5);
        server.signal(Signal::SIGHUP);
        wait_until("the file", LIMIT, || take() == whole);
        server.stop();
    }
}

#[test]
fn an_empty_folder_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path(), &["--wait-root"]);
    assert_eq!(http(&server).get("/", &[]).status, 503);
    let bytes = old_file(&folder.path().join("file"), 6, 1000);
    wait_until("the files", LIMIT, || {
        http(&server).get("/file", &[]).body == bytes
    });
    server.stop();
    let empty = tempfile::tempdir().unwrap();
    let server = serve(empty.path(), &[]);
    assert_eq!(http(&server).get("/", &[]).status, 200);
    server.stop();
}

#[test]
fn a_root_has_several_names() {
    let folder = tempfile::tempdir().unwrap();
    let card = folder.path().join("card");
    let root = card.join("sub");
    fs::create_dir_all(&root).unwrap();
    old_file(&root.join("file"), 7, 1000);
    let link = folder.path().join("link");
    symlink(&card, &link).unwrap();
    let server = serve(&link.join("sub"), &[]);
    for named in [
        card.clone(),
        link.clone(),
        card.join("../card/sub/"),
        link.join("sub"),
    ] {
        let _all_answer = while_all_answer();
        let (code, _, error) = run(&["eject", named.to_str().unwrap()]);
        assert_eq!(code, 0, "{named:?}: {error}");
        assert_eq!(http(&server).get("/file", &[]).status, 503, "{named:?}");
        server.signal(Signal::SIGHUP);
        wait_until("the root", LIMIT, || {
            http(&server).get("/file", &[]).status == 200
        });
    }
    for other in ["other", "car", "card/sub/file"] {
        let other = folder.path().join(other);
        let (code, ..) = run(&["eject", other.to_str().unwrap()]);
        assert_eq!(code, 1, "{other:?}");
    }
    assert_eq!(http(&server).get("/file", &[]).status, 200);
    server.stop();
}

/// Anybody can take a name, but must not get in the way of who asks.
#[test]
fn who_only_looks_like_a_server_is_not_heard() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener};

    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path(), &[]);
    // One process has the number of nobody, the other is this one, and floods.
    let _squatter =
        UnixListener::bind_addr(&SocketAddr::from_abstract_name("trainyard/eject/1/x").unwrap())
            .unwrap();
    let own = format!("trainyard/eject/{}", std::process::id());
    let flood = UnixListener::bind_addr(&SocketAddr::from_abstract_name(own).unwrap()).unwrap();
    std::thread::spawn(move || {
        for stream in flood.incoming() {
            let mut stream = stream.unwrap();
            while stream.write_all(b"gone \x1b[31m").is_ok() {}
        }
    });
    eject(folder.path());
    assert_eq!(http(&server).get("/", &[]).status, 503);
    server.stop();
}

/// However many names are taken, also that of a server to come.
#[test]
fn a_server_whose_name_is_taken_is_asked_by_another() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener};

    let folder = tempfile::tempdir().unwrap();
    let last: u32 = fs::read_to_string("/proc/loadavg")
        .unwrap()
        .split_ascii_whitespace()
        .last()
        .and_then(|number| number.parse().ok())
        .unwrap();
    let taken: Vec<_> = (last + 1..last + 500)
        .filter_map(|process| {
            let name = format!("trainyard/eject/{process}");
            UnixListener::bind_addr(&SocketAddr::from_abstract_name(name).unwrap()).ok()
        })
        .collect();
    assert!(taken.len() > 400, "{}", taken.len());
    let server = serve(folder.path(), &[]);
    eject(folder.path());
    assert_eq!(http(&server).get("/", &[]).status, 503);
    server.stop();
}

/// Over HTTP/1.0 nothing but the connection's end tells where a listing ends.
#[test]
fn a_listing_that_is_broken_off_does_not_look_whole() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..20_000 {
        let name = format!("{number:0>90}");
        fs::write(folder.path().join(name), b"").unwrap();
    }
    let server = serve(folder.path(), &[]);
    let mut stream = TcpStream::connect(server.addresses[1]).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    stream.read_exact(&mut [0; 1000]).unwrap();
    eject(folder.path());
    let ended = std::io::copy(&mut stream, &mut std::io::sink());
    assert_eq!(
        ended.map_err(|error| error.kind()).unwrap_err(),
        std::io::ErrorKind::ConnectionReset
    );
    server.stop();
}

#[test]
fn eject_says_what_is_wrong() {
    for (arguments, expected, words) in [
        (&["eject", "/x", "y"][..], 2, "unexpected argument"),
        (&["eject", "--force"], 2, "--force"),
        (&["eject", "/nowhere"], 1, "/nowhere: no server of it"),
    ] {
        let (code, _, error) = run(arguments);
        assert_eq!(code, expected, "{error}");
        assert!(error.contains(words), "{error}");
    }
}
