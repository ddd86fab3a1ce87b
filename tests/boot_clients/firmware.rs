//! Firmware that gets what it boots, byte by byte as it asks, with its small receive window.
//!
//! Of the Raspberry Pi's bootloader (boot mode 7) the source is not public. Its documentation names the two
//! files (boot-http.adoc in raspberrypi/documentation), the access log in issue 433 of
//! raspberrypi/rpi-eeprom shows method, version and User-Agent, and issue 475 that it follows no
//! redirect. Whether it says anything of the connection is not known, so all that it can say is tried.
//! The requests of the others are those of their sources: lwIP's apps/http/http_client.c, U-Boot's
//! net/wget.c, EDK2's NetworkPkg/HttpBootDxe.

use crate::common::assert_bytes;
use std::fs;
use std::path::Path;

use super::common::at_once;
use super::common::http::{Answer, Client, old_file};
use super::common::server::Server;

const PI: &str = "Host: 192.168.50.51\r\n\
                  User-Agent: rpiboot/1.0 (d03114; version:507b2360 timestamp:1656477201)\r\n";
const LWIP: &str = "User-Agent: lwIP/2.2.0 (http://savannah.nongnu.org/projects/lwip)\r\nAccept: */*\r\n\
                    Host: board.local\r\nConnection: Close\r\n";
const EDK2: &str = "Host: 192.168.50.51:8080\r\nAccept: */*\r\nUser-Agent: UefiHttpBoot/1.0\r\n";

struct Files {
    folder: tempfile::TempDir,
    image: Vec<u8>,
    signature: Vec<u8>,
}

/// What the bootloader's HTTP_PATH, as it is by default, leads to.
fn files(size: usize) -> Files {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net_install");
    fs::create_dir(&path).unwrap();
    Files {
        image: old_file(&path.join("boot.img"), 1, size),
        signature: old_file(&path.join("boot.sig"), 2, 600),
        folder,
    }
}

fn serve(root: &Path) -> Server {
    Server::http(root, &["--workers", "2", "--per-worker", "100"])
}

/// Firmware takes 200 with the size beforehand, and nothing else.
#[track_caller]
fn assert_plain(answer: &Answer, expected: &[u8]) {
    assert_eq!(answer.status, 200, "{}", answer.shown());
    let size = expected.len().to_string();
    assert_eq!(answer.field("content-length"), Some(size.as_str()));
    for field in ["transfer-encoding", "content-encoding", "location"] {
        assert_eq!(answer.field(field), None, "{field}");
    }
    assert_bytes(&answer.body, expected, "other bytes");
}

fn request(line: &str, fields: &str) -> Vec<u8> {
    format!("{line}\r\n{fields}\r\n").into_bytes()
}

/// Gets both files as the Pi's bootloader does, on a connection each.
fn boot_pi(server: &Server, files: &Files, connection: &str) {
    let fields = format!("{PI}{connection}");
    for (name, expected) in [("boot.sig", &files.signature), ("boot.img", &files.image)] {
        let line = format!("GET /net_install/{name} HTTP/1.1");
        let mut client = Client::narrow(server);
        let answer = client.ask(&request(&line, &fields));
        assert_plain(&answer, expected);
        assert_eq!(answer.is_kept(), !connection.contains("close"));
        if !answer.is_kept() {
            client.assert_end();
        }
    }
}

#[test]
fn a_raspberry_pi_gets_its_image_and_signature() {
    let files = files(8_000_000);
    let server = serve(files.folder.path());
    for connection in ["", "Connection: close\r\n", "Connection: keep-alive\r\n"] {
        boot_pi(&server, &files, connection);
    }
    // With HTTP_PATH ending in a slash; a redirect would be the end.
    let line = "GET //net_install//boot.img HTTP/1.1";
    let answer = Client::narrow(&server).ask(&request(line, PI));
    assert_plain(&answer, &files.image);
    // What is not there is told in few bytes, and nothing is made up.
    let answer = Client::narrow(&server).ask(&request("GET /net_install/boot.sig2 HTTP/1.1", PI));
    assert_eq!(answer.status, 404);
    server.stop();
}

/// The power comes back in a room full of boards.
#[test]
fn a_hundred_boards_boot_at_once() {
    let files = files(1_000_000);
    let server = serve(files.folder.path());
    at_once(100, |_| boot_pi(&server, &files, ""));
    server.stop();
}

#[test]
fn lwip_gets_its_image() {
    let files = files(3_000_000);
    let server = serve(files.folder.path());
    let mut client = Client::narrow(&server);
    let answer = client.ask(&request("GET /net_install/boot.img HTTP/1.1", LWIP));
    assert_plain(&answer, &files.image);
    client.assert_end();
    server.stop();
}

#[test]
fn u_boot_gets_its_image_without_a_single_field() {
    let files = files(3_000_000);
    let server = serve(files.folder.path());
    let mut client = Client::narrow(&server);
    let head = client.ask(&request("HEAD /net_install/boot.img HTTP/1.0", ""));
    assert_eq!(head.status, 200);
    assert_eq!(head.field("content-length"), Some("3000000"));
    client.assert_end();
    let mut client = Client::narrow(&server);
    let answer = client.ask(&request("GET /net_install/boot.img HTTP/1.0", ""));
    assert_plain(&answer, &files.image);
    client.assert_end();
    server.stop();
}

/// EDK2, the UEFI that there is for Raspberry Pis too, asks for the size first, and then on the same
/// connection for the file. It takes a program by its name or its type.
#[test]
fn uefi_gets_its_program() {
    let files = files(3_000_000);
    fs::rename(
        files.folder.path().join("net_install/boot.img"),
        files.folder.path().join("bootaa64.efi"),
    )
    .unwrap();
    let server = serve(files.folder.path());
    let mut client = Client::narrow(&server);
    let head = client.ask(&request("HEAD /bootaa64.efi HTTP/1.1", EDK2));
    assert_eq!(head.status, 200);
    assert_eq!(head.field("content-length"), Some("3000000"));
    assert!(head.is_kept());
    let answer = client.ask(&request("GET /bootaa64.efi HTTP/1.1", EDK2));
    assert_plain(&answer, &files.image);
    assert!(answer.is_kept());
    server.stop();
}
