//! TLS and HTTP/2 by HAProxy in front, with the file that board/README.md names.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::clients::{SIZE, Yard};
use super::common::program::aside;
use super::common::server::{LIMIT, Server};
use super::common::wait_until;
use super::is_left_out;

/// A running HAProxy, which ends with the test.
struct Proxy {
    child: Child,
    address: SocketAddr,
    certificate: PathBuf,
    _folder: tempfile::TempDir,
}

impl Proxy {
    /// Starts it before a server, with a certificate that it signed itself.
    fn before(server: &Server) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certificate = folder.path().join("certificate");
        let key = folder.path().join("key");
        let made = Command::new("openssl")
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            ])
            .args([
                "-subj",
                "/CN=localhost",
                "-addext",
                "subjectAltName=IP:127.0.0.1",
            ])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let both = [&certificate, &key]
            .map(|path| fs::read(path).unwrap())
            .concat();
        let both_at = folder.path().join("both.pem");
        fs::write(&both_at, both).unwrap();

        let address = free_address();
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/board/haproxy.cfg");
        let mut text = fs::read_to_string(file).unwrap();
        for (given, used) in [
            ("bind :443 ", format!("bind {address} ")),
            ("/etc/haproxy/trainyard.pem", both_at.display().to_string()),
            (
                "server yard 127.0.0.1:80",
                format!("server yard {}", server.address()),
            ),
        ] {
            assert_eq!(text.matches(given).count(), 1, "{given} in {file}");
            text = text.replace(given, &used);
        }
        let config = folder.path().join("haproxy.cfg");
        fs::write(&config, text).unwrap();
        let child = Command::new(aside("haproxy").join("usr/sbin/haproxy"))
            .args(["-db", "-f"])
            .arg(&config)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let proxy = Self {
            child,
            address,
            certificate,
            _folder: folder,
        };
        wait_until("HAProxy", LIMIT, || TcpStream::connect(address).is_ok());
        proxy
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that is free now.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

#[test]
fn haproxy_in_front_speaks_tls_and_http_2() {
    if is_left_out() {
        return;
    }
    let yard = Yard::with(&["--access-log"]);
    let proxy = Proxy::before(&yard.server);
    let url = format!("https://{}/file.bin", proxy.address);
    let trust = ["-sSf", "--cacert", proxy.certificate.to_str().unwrap()];
    let passes = |arguments: &[&str]| yard.passes("curl", &[&trust[..], arguments].concat());
    let shown = ["-w", "%{http_version} %{http_code}"];

    for (version, told) in [("--http2", "2 200"), ("--http1.1", "1.1 200")] {
        let whole = [&[version, "-o", "got", &url], &shown[..]].concat();
        assert_eq!(passes(&whole), told);
        yard.assert_got("got");
    }
    let (begin, end) = (SIZE / 3, SIZE / 2);
    let range = format!("{begin}-{}", end - 1);
    let part = [&["-r", &range, "-o", "part", &url], &shown[..]].concat();
    assert_eq!(passes(&part), "2 206");
    let part = fs::read(yard.home.path().join("part")).unwrap();
    assert!(part == yard.bytes[begin..end]);
    // What is known already is not sent again.
    passes(&["--etag-save", "tag", "-o", "tagged", &url]);
    let known = [&["--etag-compare", "tag", "-o", "none", &url], &shown[..]].concat();
    assert_eq!(passes(&known), "2 304");
    // Many streams on one connection.
    let name = format!("https://{}/file.bin?[1-12]", proxy.address);
    passes(&["--parallel", "-o", "stream#1", &name]);
    for number in 1..=12 {
        yard.assert_got(&format!("stream{number}"));
    }
    drop(proxy);
    yard.server.stop();
}

/// Which client it was, only HAProxy knows: the server's log and its fair turns know HAProxy.
#[test]
fn behind_haproxy_every_client_is_haproxy() {
    if is_left_out() {
        return;
    }
    let yard = Yard::with(&["--access-log"]);
    let proxy = Proxy::before(&yard.server);
    let url = format!("https://{}/file.bin", proxy.address);
    let certificate = proxy.certificate.to_str().unwrap();
    let arguments = [
        "-sSf",
        "--cacert",
        certificate,
        "--interface",
        "127.0.0.9",
        "-o",
        "got",
        &url,
    ];
    yard.passes("curl", &arguments);
    wait_until("a line of the log", LIMIT, || {
        yard.server.output().contains("/file.bin")
    });
    let log = yard.server.output();
    assert!(log.starts_with("127.0.0.1 - - ["), "{log}");
    assert!(!log.contains("127.0.0.9"), "{log}");
    drop(proxy);
    yard.server.stop();
}
