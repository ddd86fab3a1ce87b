//! The command line: what it refuses and how, what it tells, and where it listens.

use crate::common;

use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use common::ask::ask;
use common::client::buffer_max;
use common::program::{self, is_emulated, runner};
use common::random_file;
use common::server::{LIMIT, Server, add_user, pool, run};
use serde_json::Value;
use trainyard::limits::{BOARD, CONNECTIONS_MAX, RING_MAX};

/// Runs the program, which must end with this code and one line that has all these words.
#[track_caller]
fn assert_refused(arguments: &[&str], code: i32, words: &[&str]) {
    assert_one_line(run(arguments), code, words);
}

#[track_caller]
fn assert_one_line((got, out, err): (i32, String, String), code: i32, words: &[&str]) {
    assert_eq!(got, code, "{err}");
    assert_eq!(out, "", "nothing on standard output");
    assert_eq!(err.lines().count(), 1, "{err:?}");
    assert!(
        err.starts_with("trainyard: ") && err.ends_with('\n'),
        "{err:?}"
    );
    for word in words {
        assert!(err.contains(word), "{word:?} is not in {err:?}");
    }
}

/// `serve` with these options and no other; it is ready.
fn serve(root: &Path, options: &[&str]) -> Server {
    let mut command = program::command("trainyard");
    command
        .arg("serve")
        .arg(root)
        .args(["--http", "none"])
        .args(options);
    Server::from_command(command)
}

/// The program by a shell that first does something to its own limits.
fn limited(limits: &str, arguments: &[&str]) -> Command {
    let inner = program::command("trainyard");
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{limits} && exec \"$@\""), "sh"]);
    if nix::unistd::geteuid().is_root() {
        // Without this capability a hard limit is one for root too.
        command.args(["setpriv", "--bounding-set", "-sys_resource"]);
    }
    command
        .arg(inner.get_program())
        .args(inner.get_args())
        .args(arguments)
        .stdin(Stdio::null());
    command
}

#[test]
fn wrong_usage_is_named_in_one_line() {
    for (line, words) in [
        ("", &["serve", "--help"][..]),
        ("sreve", &["sreve", "--help"]),
        ("--nothing", &["--nothing", "--help"]),
        ("serve --nothing", &["--nothing", "--help"]),
        ("serve a b", &["\"b\""]),
        ("serve --workers", &["--workers"]),
        ("serve --workers 0", &["--workers 0", "1 to "]),
        ("serve --workers two", &["--workers two"]),
        ("serve --workers 1000", &["--workers 1000", "board "]),
        ("serve --per-worker 0", &["--per-worker 0"]),
        ("serve --per-worker 1000000", &["--per-worker 1000000"]),
        (
            "serve --workers 2 --per-worker 8192",
            &["--per-worker 8192", "connections"],
        ),
        ("serve --drain -1", &["--drain -1"]),
        ("serve --drain 1.5", &["--drain 1.5"]),
        ("serve --pool fibre", &["--pool fibre", "process", "thread"]),
        ("serve --push-form cars", &["--push-form cars", "raw-end"]),
        ("serve --log loud", &["--log loud", "debug"]),
        ("serve --http none --train none", &["none"]),
        ("serve --train example.org:80", &["example.org:80", "HOST"]),
        ("serve --train 65536", &["65536"]),
        ("serve --train ::1:80", &["::1:80"]),
        ("serve --json", &["--json"]),
        ("budget --workers 0", &["--workers 0"]),
    ] {
        let arguments: Vec<_> = line.split_whitespace().collect();
        assert_refused(&arguments, 2, words);
    }
    let too_many = ["--train", "0"].repeat(100);
    assert_refused(
        &[&["serve"], &too_many[..]].concat(),
        2,
        &["--train", "101"],
    );
}

#[test]
fn what_cannot_be_served_is_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir(at("folder")).unwrap();
    random_file(&folder.path().join("file"), 1, 10);
    nix::unistd::mkfifo(Path::new(&at("fifo")), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let (root, file, none) = (&at("folder"), &at("file"), &at("none"));
    let serve = |root: &str, options: &[&str], words: &[&str]| {
        let arguments = [
            &["serve", root, "--http", "none", "--train", "127.0.0.1:0"],
            options,
        ]
        .concat();
        assert_refused(&arguments, 1, words);
    };
    serve(none, &[], &[none, "no such folder"]);
    serve(file, &[], &[file, "not a folder"]);
    serve(&at("file/in"), &[], &[&at("file/in"), "not a folder"]);
    serve(root, &["--push", none], &["--push", none, "no such file"]);
    serve(root, &["--push", root], &["--push", root, "folder"]);
    serve(root, &["--push", &at("fifo")], &["--push", &at("fifo")]);

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    serve(root, &["--train", &address], &[&address, "in use", "port"]);
    // RFC 5737: an address of nobody.
    let foreign = ["--train", "192.0.2.1:0"];
    serve(root, &foreign, &["192.0.2.1:0", "no such address"]);
}

#[test]
fn two_servers_on_one_port_are_one_too_many() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--workers", "1"]);
    let (root, address) = (
        folder.path().to_str().unwrap(),
        server.address().to_string(),
    );
    let second = ["serve", root, "--http", "none", "--train", &address];
    assert_refused(&second, 1, &[&address, "in use"]);
    server.stop();
}

#[test]
fn a_low_limit_of_open_files_is_raised_or_told() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = random_file(&folder.path().join("file"), 2, 3000);
    let root = folder.path().to_str().unwrap();
    let arguments = [
        "serve",
        root,
        "--http",
        "none",
        "--train",
        "127.0.0.1:0",
        "--workers",
        "2",
    ];
    // A qemu of its own needs some, so not too low.
    let mut command = limited("ulimit -n 64", &arguments);
    add_user(&mut command);
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap_or(-1);
    assert_one_line(
        (code, text(output.stdout), text(output.stderr)),
        1,
        &["open files", "64", "ulimit -n", "--per-worker"],
    );
    let fewer = [&arguments[..], &["--per-worker", "4"]].concat();
    let server = Server::from_command(limited("ulimit -S -n 64", &fewer));
    let answer = ask(&mut server.connect(), b"file", &[]).unwrap();
    assert_eq!(answer.data, bytes);
    server.stop();
}

#[test]
fn help_and_version_tell() {
    for arguments in [&["--help"][..], &["-h"], &["help"], &["serve", "--help"]] {
        let (code, out, err) = run(arguments);
        assert_eq!((code, err.as_str()), (0, ""));
        for word in [
            "serve",
            "budget",
            "--train",
            "--push",
            "--push-form",
            "--pool",
            "--workers",
            "--per-worker",
            "--drain",
            "--wait-root",
            "--user",
            "--log",
            "--config",
            "--json",
            "Exit code",
        ] {
            assert!(out.contains(word), "{word} is not in {out}");
        }
        assert!(out.lines().all(|line| line.len() <= 100), "{out}");
    }
    let (code, out, err) = run(&["--version"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let runner = runner().join(" ");
    let target = match runner.as_str() {
        "" => std::env::consts::ARCH,
        words if words.contains("aarch64") => "aarch64-linux",
        _ => "arm-linux",
    };
    let version = format!("trainyard {}\n", env!("CARGO_PKG_VERSION"));
    assert!(out.starts_with(&version), "{out}");
    for word in ["board ", target, "connections", "workers", "waiting"] {
        assert!(out.contains(word), "{word} is not in {out}");
    }
}

/// The same for programs. Every member is there once, and no blank between them.
#[track_caller]
fn budget_json(options: &[&str]) -> Value {
    let text = budget(&[options, &["--json"]].concat());
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value.to_string().len() + 1, text.len(), "{text}");
    value
}

/// A member that is a number.
#[track_caller]
fn number(value: &Value, name: &str) -> u64 {
    let member = value.get(name).and_then(Value::as_u64);
    member.unwrap_or_else(|| panic!("{name} is no number in {value}"))
}

/// `budget` with these options for the pool under test: what it prints.
#[track_caller]
fn budget(options: &[&str]) -> String {
    let (code, out, err) = run(&[&["budget"], options, &pool().options()].concat());
    assert_eq!((code, err.as_str()), (0, ""));
    out
}

#[test]
fn the_budget_adds_up() {
    for (options, places) in [
        (&["--workers", "2", "--per-worker", "5"][..], 10),
        (&["--workers", "1", "--per-worker", "100"], 100),
        (
            &["--workers", "3"],
            CONNECTIONS_MAX.next_multiple_of(3) as u64,
        ),
    ] {
        let text = budget(options);
        let budget = budget_json(options);
        let connections = number(&budget, "connections");
        assert_eq!(connections, places);
        assert_eq!(number(&budget, "waiting"), RING_MAX as u64);
        assert_eq!(budget["board"], BOARD.name);
        let page = number(&budget, "page_bytes");
        assert!([4096, 16_384, 65_536].contains(&page), "{page}");
        // tcp(7): what one connection's buffers may grow to, and the pages of all.
        let each = buffer_max("tcp_wmem") + buffer_max("tcp_rmem");
        let most = buffer_max("tcp_mem") as u64 * page;
        let socket_bytes = (connections * each as u64).min(most);
        assert_eq!(number(&budget, "socket_bytes"), socket_bytes);
        // An emulator may have pages of its own.
        if !is_emulated() {
            assert_eq!(page, trainyard::sys::page_bytes() as u64);
        }
        assert!(text.contains(&format!("pages of {page} bytes")), "{text}");
        let rows = budget["rows"].as_array().unwrap();
        assert!(rows.len() > 5);
        let sum = |name: &str| -> u64 { rows.iter().map(|row| number(row, name)).sum() };
        for name in ["reserved_bytes", "resident_bytes"] {
            assert_eq!(number(&budget, name), sum(name), "{name}");
        }
        // For people it is the same.
        let shown = |row: &Value| {
            let numbers = ["reserved_bytes", "resident_bytes"].map(|name| number(row, name));
            let is_it = |line: &str| {
                let mut words = line.split_whitespace().rev();
                line.starts_with(row["name"].as_str().unwrap())
                    && words.next() == Some(&numbers[1].to_string())
                    && words.next() == Some(&numbers[0].to_string())
            };
            assert!(text.lines().any(is_it), "{numbers:?} is not in {text}");
        };
        rows.iter().for_each(shown);
        let total: Vec<_> = text
            .lines()
            .find(|line| line.starts_with("total"))
            .unwrap()
            .split_whitespace()
            .skip(1)
            .map(|word| word.parse::<u64>().unwrap())
            .collect();
        assert_eq!(total, [sum("reserved_bytes"), sum("resident_bytes")]);
    }
}

#[test]
fn all_places_of_the_board_are_there_at_any_number_of_workers() {
    for workers in ["1", "2", "3", "5", "7", "16"] {
        let connections = number(&budget_json(&["--workers", workers]), "connections");
        let least = CONNECTIONS_MAX as u64;
        let most = least + workers.parse::<u64>().unwrap();
        assert!(
            (least..most).contains(&connections),
            "{workers}: {connections}"
        );
    }
}

#[test]
fn more_places_cost_more() {
    let resident = |per_worker: &str| {
        let options = ["--workers", "2", "--per-worker", per_worker];
        number(&budget_json(&options), "resident_bytes")
    };
    let (few, many) = (resident("100"), resident("1100"));
    assert!(many > few, "{few}, {many}");
    // Under 1 KiB for one more connection of 2000, but for the pages at the tables' ends: its file's name alone
    // can have 765 bytes.
    assert!((many - few) / 2000 < 1024, "{few}, {many}");
}

fn has_ipv6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}

#[test]
fn every_form_of_address_listens_where_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = random_file(&folder.path().join("file"), 3, 2500);
    let (four, six) = ("127.0.0.1".parse().unwrap(), "::1".parse().unwrap());
    let both: &[IpAddr] = if has_ipv6() { &[four, six] } else { &[four] };
    // What is given, how many lines it makes, and by which addresses it is reached.
    let mut cases = vec![
        ("0", 1, both),
        (":0", 1, both),
        ("localhost:0", both.len(), both),
        ("127.0.0.1:0", 1, &both[..1]),
    ];
    if has_ipv6() {
        cases.push(("[::1]:0", 1, &both[1..]));
    }
    for (given, lines, reached) in cases {
        let server = serve(folder.path(), &["--workers", "1", "--train", given]);
        assert_eq!(server.addresses.len(), lines, "{given}");
        let port = server.address().port();
        assert!(
            port > 0
                && server
                    .addresses
                    .iter()
                    .all(|address| address.port() == port)
        );
        for ip in both {
            let stream = TcpStream::connect(SocketAddr::new(*ip, port));
            if reached.contains(ip) {
                let mut stream = stream.unwrap();
                stream.set_read_timeout(Some(LIMIT)).unwrap();
                assert_eq!(ask(&mut stream, b"file", &[]).unwrap().data, bytes);
            } else {
                let error = stream.expect_err(given).kind();
                assert_eq!(error, ErrorKind::ConnectionRefused, "{given} by {ip}");
            }
        }
        server.stop();
    }
}

#[test]
fn several_listeners_serve_in_the_order_given() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = random_file(&folder.path().join("file"), 4, 2500);
    let hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.1", "127.0.0.3"];
    let given: Vec<_> = hosts.iter().map(|host| format!("{host}:0")).collect();
    let mut options = vec!["--workers", "2", "--train", "none"];
    for address in &given {
        options.extend(["--train", address]);
    }
    let server = serve(folder.path(), &options);
    let ips: Vec<_> = server
        .addresses
        .iter()
        .map(|address| address.ip().to_string())
        .collect();
    assert_eq!(ips, hosts);
    for address in &server.addresses {
        let mut stream = TcpStream::connect(address).unwrap();
        assert_eq!(ask(&mut stream, b"file", &[]).unwrap().data, bytes);
    }
    server.stop();
}

#[test]
fn the_root_is_the_current_folder_by_default() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = random_file(&folder.path().join("file"), 5, 2500);
    let mut words = runner();
    let path = fs::canonicalize(program::path("trainyard")).unwrap();
    words.push(path.into_os_string().into_string().unwrap());
    // A runner may be named from this folder, which is about to be another one.
    let first = fs::canonicalize(&words[0]).unwrap_or_else(|_| words[0].clone().into());
    let mut command = Command::new(first);
    command.args(&words[1..]);
    command
        .args([
            "serve",
            "--http",
            "none",
            "--train",
            "127.0.0.1:0",
            "--workers",
            "1",
        ])
        .current_dir(folder.path());
    let server = Server::from_command(command);
    let answer = ask(&mut server.connect(), b"file", &[]).unwrap();
    assert_eq!(answer.data, bytes);
    server.stop();
}

#[test]
fn a_full_standard_output_is_an_error_and_no_crash() {
    for command in ["--version", "--help", "budget"] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = program::command("trainyard")
            .arg(command)
            .stdout(full)
            .output()
            .unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{err}");
        assert!(
            err.starts_with("trainyard: standard output") && err.lines().count() == 1,
            "{err}"
        );
    }
}
