//! QEMU's disks over HTTP (`file=http://…`): its driver asks for the size, then for ranges.
//!
//! One range at a time (`convert -m 1`): the driver of QEMU 7.2 loses the end of one of several requests now
//! and then, and waits for good, before nginx as before this server.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use super::common::http::old_file;
use super::common::program::{aside, module_folder};
use super::common::server::Server;
use super::common::{checksum, random_bytes};

const SIZE: usize = 20 << 20;

/// Runs one of the tools, which must be content; its standard output.
#[track_caller]
fn passes(name: &str, arguments: &[&str]) -> String {
    let output = Command::new("timeout")
        .arg("60")
        .arg(aside("disk-tools").join("usr/bin").join(name))
        .args(arguments)
        .env(
            "QEMU_MODULE_DIR",
            module_folder(&aside("disk-tools").join("usr")),
        )
        .env_remove("http_proxy")
        .env_remove("all_proxy")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (told, error) = (text(&output.stdout), text(&output.stderr));
    assert!(
        output.status.success(),
        "{name} {arguments:?}: {told}{error}"
    );
    told
}

/// A file's path as text.
fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_disk_is_copied_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("disk.img");
    let bytes = old_file(&raw, 1, SIZE);
    let packed = folder.path().join("disk.qcow2");
    passes(
        "qemu-img",
        &["convert", "-c", "-O", "qcow2", text(&raw), text(&packed)],
    );
    let server = Server::http(folder.path(), &["--workers", "2"]);
    let home = tempfile::tempdir().unwrap();
    for (name, format) in [("disk.img", "raw"), ("disk.qcow2", "qcow2")] {
        let url = format!("http://{}/{name}", server.address());
        let info = passes("qemu-img", &["info", "-f", format, &url]);
        let size = format!("virtual size: 20 MiB ({SIZE} bytes)");
        assert!(info.contains(&size), "{info}");
        let copy = home.path().join(name);
        let arguments = [
            "convert",
            "-m",
            "1",
            "-f",
            format,
            "-O",
            "raw",
            &url,
            text(&copy),
        ];
        passes("qemu-img", &arguments);
        assert_eq!(checksum(&fs::read(copy).unwrap()), checksum(&bytes));
    }
    server.stop();
}

/// As many machines are started from one disk: each writes to a file of its own.
#[test]
fn a_disk_lies_beneath_one_that_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = old_file(&folder.path().join("disk.img"), 2, SIZE);
    let server = Server::http(folder.path(), &["--workers", "2"]);
    let home = tempfile::tempdir().unwrap();
    let own = home.path().join("own.qcow2");
    let url = format!("http://{}/disk.img", server.address());
    let create = ["create", "-f", "qcow2", "-b", &url, "-F", "raw", text(&own)];
    passes("qemu-img", &create);
    passes(
        "qemu-io",
        &["-c", "write -P 0x5a 5M 64k", "-c", "flush", text(&own)],
    );
    let copy = home.path().join("copy");
    passes(
        "qemu-img",
        &["convert", "-m", "1", "-O", "raw", text(&own), text(&copy)],
    );
    let mut expected = bytes.clone();
    expected[5 << 20..(5 << 20) + (64 << 10)].fill(0x5a);
    assert_eq!(checksum(&fs::read(copy).unwrap()), checksum(&expected));
    let served = fs::read(folder.path().join("disk.img")).unwrap();
    assert!(served == bytes, "what is served stays as it is");
    server.stop();
}

#[test]
fn a_disk_is_read_beyond_four_gigabytes() {
    let folder = tempfile::tempdir().unwrap();
    let file = File::create(folder.path().join("disk.img")).unwrap();
    // Of the rest nothing is on the card.
    file.set_len(6 << 30).unwrap();
    file.write_all_at(&[0x5a; 64 << 10], 5 << 30).unwrap();
    file.write_all_at(&random_bytes(3, 4096), (5 << 30) + (1 << 20))
        .unwrap();
    drop(file);
    let server = Server::http(folder.path(), &["--workers", "2"]);
    let url = format!("http://{}/disk.img", server.address());
    // -P: the tool compares.
    let told = passes(
        "qemu-io",
        &[
            "-r",
            "-f",
            "raw",
            "-c",
            "read -P 0x5a 5G 64k",
            "-c",
            "read -P 0 4G 64k",
            &url,
        ],
    );
    assert!(!told.contains("failed"), "{told}");
    assert_eq!(told.matches("read 65536/65536 bytes").count(), 2, "{told}");
    server.stop();
}
