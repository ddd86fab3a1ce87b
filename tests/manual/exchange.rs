//! What client and server say to each other, as train(7) shows it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::common::server::Server;

/// One example of the page.
pub(super) struct Exchange {
    /// The heading above it; of a pushed file that is its form.
    pub(super) title: String,
    /// What the client sends; nothing where the file is pushed.
    pub(super) client: Vec<u8>,
    /// What the server sends.
    server: Vec<u8>,
}

/// All examples of a page. A line is who speaks, then bytes in hexadecimal; a comment follows a `;`.
pub(super) fn exchanges(page: &str) -> Vec<Exchange> {
    let mut exchanges: Vec<Exchange> = Vec::new();
    let (mut title, mut is_open) = ("", false);
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix(".Ss ") {
            title = heading;
        } else if line.starts_with(".Bd -literal") {
            is_open = true;
            exchanges.push(Exchange {
                title: title.into(),
                client: Vec::new(),
                server: Vec::new(),
            });
        } else if line.starts_with(".Ed") {
            is_open = false;
        } else if is_open {
            let mut words = line.split(';').next().unwrap().split_whitespace();
            let exchange = exchanges.last_mut().unwrap();
            let bytes = match words.next() {
                Some("client") => &mut exchange.client,
                Some("server") => &mut exchange.server,
                other => panic!("{other:?} speaks in {line:?}"),
            };
            bytes.extend(words.map(|word| u8::from_str_radix(word, 16).expect(line)));
        }
    }
    exchanges
}

/// The folder of the page's examples.
pub(super) fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("a");
    fs::create_dir(&inner).unwrap();
    fs::write(inner.join("hello.txt"), "Hello, train!\n").unwrap();
    let beginning_of_2026 = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    for path in [inner.join("hello.txt"), inner] {
        File::open(path)
            .unwrap()
            .set_modified(beginning_of_2026)
            .unwrap();
    }
    folder
}

impl Exchange {
    /// Has it with a real server.
    #[track_caller]
    pub(super) fn play(&self, folder: &Path) {
        let server = if self.client.is_empty() {
            Server::push(
                &folder.join("a/hello.txt"),
                &self.title,
                &["--workers", "1"],
            )
        } else {
            Server::start(folder, &["--workers", "1"])
        };
        let mut stream = server.connect();
        stream.write_all(&self.client).unwrap();
        if !self.client.is_empty() {
            stream.shutdown(Shutdown::Write).unwrap();
        }
        let mut said = Vec::new();
        stream.read_to_end(&mut said).unwrap();
        assert_eq!(
            show(&said),
            show(&self.server),
            "{}: what the server says, and what the page shows",
            self.title
        );
        server.stop();
    }
}

fn show(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x} ")).collect()
}
