//! The longest names that a card can have: exFAT, FAT and NTFS count 255 units of UTF-16, which are up to
//! 765 bytes of UTF-8. Most file systems of Linux stop at 255 bytes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::common::ask::ask;
use super::common::http::Client;
use super::common::program;
use super::common::server::Server;
use super::is_left_out;

/// An exFAT card, mounted by its driver in user space, which every kernel can do that has FUSE.
struct Card {
    folder: tempfile::TempDir,
    device: String,
}

/// What a command says, if it succeeds.
fn told(program: &str, arguments: &[&Path]) -> Option<String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    if !output.status.success() {
        eprintln!("{program}: {}", String::from_utf8_lossy(&output.stderr));
        return None;
    }
    Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

impl Card {
    /// None, and said so, where nobody may mount one.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("card.img");
        fs::File::create(&image).unwrap().set_len(8 << 20).unwrap();
        told("/sbin/mkfs.exfat", &[&image]).expect("exfatprogs makes a card");
        let attach = [Path::new("--find"), Path::new("--show"), &image];
        let Some(device) = told("/sbin/losetup", &attach) else {
            eprintln!("LEFT OUT: nobody may attach a loop device here");
            return None;
        };
        let card = Self { folder, device };
        fs::create_dir(card.path()).unwrap();
        let mounted = told(
            "/sbin/mount.exfat-fuse",
            &[Path::new(&card.device), &card.path()],
        );
        if mounted.is_none() {
            eprintln!("LEFT OUT: nobody may mount here");
            return None;
        }
        Some(card)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("card")
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        let _ = told("umount", &[&self.path()]);
        let _ = told(
            "/sbin/losetup",
            &[Path::new("--detach"), Path::new(&self.device)],
        );
    }
}

/// Names by their sizes in bytes, in order: the longest of any file system, one more, and the longest of all.
fn names() -> [String; 6] {
    [
        "a".repeat(255),
        "b".repeat(254) + "ä",
        "c".repeat(243) + &"ä".repeat(12),
        "д".repeat(128),
        "д".repeat(255),
        "中".repeat(255),
    ]
}

#[test]
fn names_of_up_to_765_bytes_are_listed_and_served() {
    if is_left_out() {
        return;
    }
    let Some(card) = Card::mount() else { return };
    let names = names();
    for name in &names {
        fs::write(card.path().join(name), name).unwrap();
    }
    let folder = "列".repeat(255);
    fs::create_dir(card.path().join(&folder)).unwrap();
    let inner = "я".repeat(100);
    fs::write(card.path().join(&folder).join(&inner), "inner").unwrap();
    let mut command = program::command("trainyard");
    command.arg("serve").arg(card.path());
    command.args([
        "--http",
        "127.0.0.1:0",
        "--train",
        "127.0.0.1:0",
        "--workers",
        "1",
    ]);
    let server = Server::from_command(command);
    let children = server.children();
    check_http(&server, &names, &folder);
    check_trains(&server, &names, &folder, &inner);
    check_train_get(&server, &card, &names);
    assert_eq!(server.children(), children, "{}", server.log());
    server.stop();
}

/// Every byte escaped.
fn escaped(name: &str) -> String {
    name.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

fn check_http(server: &Server, names: &[String], folder: &str) {
    let stream = std::net::TcpStream::connect(server.addresses[1]).unwrap();
    stream
        .set_read_timeout(Some(super::common::server::LIMIT))
        .unwrap();
    let mut client = Client::new(stream);
    for query in ["", "?sort=size", "?sort=date&order=desc", "?order=desc"] {
        let json = client.get(&format!("/{query}"), &["Accept: application/json"]);
        assert_eq!(json.status, 200);
        let text = String::from_utf8(json.body).unwrap();
        let page = client.get(&format!("/{query}"), &["Accept: text/html"]);
        let html = String::from_utf8(page.body).unwrap();
        for name in names {
            assert!(text.contains(&format!("\"name\":\"{name}\"")), "{query}");
            assert!(html.contains(&format!("<bdi>{name}</bdi>")), "{query}");
        }
        assert!(text.contains(folder) && html.contains(folder), "{query}");
    }
    for name in names {
        let answer = client.get(&format!("/{}", escaped(name)), &[]);
        assert_eq!((answer.status, &answer.body[..]), (200, name.as_bytes()));
        let missing = client.get(&format!("/{}x", escaped(name)), &[]);
        assert_eq!(missing.status, 404, "{} bytes", name.len() + 1);
    }
    // From page to page, each behind the last one of the one before, and by a filter.
    let after = escaped(&names[4]);
    for sort in ["name", "size"] {
        let target = format!("/?sort={sort}&after={after}&format=json");
        let rest = String::from_utf8(client.get(&target, &[]).body).unwrap();
        assert!(
            rest.contains(&names[5]) && !rest.contains(&names[4]),
            "{sort}"
        );
    }
    let target = format!("/?q={}&format=json", escaped(&names[5]));
    let found = String::from_utf8(client.get(&target, &[]).body).unwrap();
    assert_eq!(found.matches("\"name\"").count(), 1);
    let answer = client.get(&format!("/{}", escaped(folder)), &[]);
    assert_eq!(answer.status, 301);
    assert_eq!(answer.field("location").unwrap().len(), 1 + 3 * 765 + 1);
    let answer = client.get(&format!("/{}/", escaped(folder)), &["Accept: text/html"]);
    assert_eq!(answer.status, 200);
}

fn check_trains(server: &Server, names: &[String], folder: &str, inner: &str) {
    let mut stream = server.connect();
    let listing = ask(&mut stream, b"/", &[]).unwrap().data;
    let entries: Vec<_> = listing.split(|byte| *byte == 0).collect();
    for name in names {
        let is_told = |entry: &&[u8]| entry.ends_with(format!(" {name}").as_bytes());
        assert_eq!(entries.iter().filter(|entry| is_told(entry)).count(), 1);
        let answer = ask(&mut stream, name.as_bytes(), &[]).unwrap();
        assert_eq!(
            (&answer.name[..], &answer.data[..]),
            (name.as_bytes(), name.as_bytes())
        );
    }
    let answer = ask(&mut stream, folder.as_bytes(), &[]).unwrap();
    assert_eq!(answer.name, [folder.as_bytes(), b"/"].concat());
    let answer = ask(&mut stream, format!("{folder}/{inner}").as_bytes(), &[]).unwrap();
    assert_eq!(answer.data, b"inner");
}

/// All of it is got where such names can be, and what cannot be is told elsewhere.
fn check_train_get(server: &Server, card: &Card, names: &[String]) {
    let get = |output: &Path| {
        program::command("train-get")
            .arg("-r")
            .arg(format!("train://{}/", server.addresses[0]))
            .arg("-O")
            .arg(output)
            .output()
            .unwrap()
    };
    let Some(other) = Card::mount() else { return };
    let output = get(&other.path().join("copy"));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{error}");
    let copied = |name: &String| fs::read(other.path().join("copy").join(name));
    assert!(
        names
            .iter()
            .all(|name| copied(name).unwrap() == name.as_bytes())
    );
    assert_eq!(
        fs::read_dir(other.path().join("copy")).unwrap().count(),
        names.len() + 1
    );
    let here = card.folder.path().join("here");
    let output = get(&here);
    assert_eq!(
        output.status.code(),
        Some(1),
        "too long for this file system"
    );
    assert_eq!(fs::read(here.join(&names[0])).unwrap(), names[0].as_bytes());
}
