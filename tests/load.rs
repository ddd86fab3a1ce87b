//! Load: hundreds of clients at once, files of all sizes, every byte compared.

use crate::common;

use std::collections::BTreeMap;
use std::sync::Barrier;

use common::ask::ask;
use common::client::read_pushed;
use common::program::is_emulated;
use common::server::{Server, raise_open_files};
use common::{at_once, checksum, random_file};

const CLIENTS: usize = 500;
const LARGEST: usize = 50_000_000;

#[test]
fn five_hundred_clients_ask_for_files_of_all_sizes() {
    raise_open_files();
    let folder = tempfile::tempdir().unwrap();
    let sizes = [
        0, 1, 999, 1000, 1001, 4096, 65_536, 100_000, 257_024, 1_000_000, LARGEST,
    ];
    let files: BTreeMap<usize, (Vec<u8>, String)> = sizes
        .into_iter()
        .map(|size| {
            let path = folder.path().join(size.to_string());
            let bytes = random_file(&path, size as u64, size);
            let sum = checksum(&bytes);
            (size, (bytes, sum))
        })
        .collect();
    let server = Server::start(folder.path(), &[]);
    let go = Barrier::new(CLIENTS);
    let large = if is_emulated() { 1 } else { 4 };
    at_once(CLIENTS, |number| {
        let mut stream = server.connect();
        go.wait();
        // A few get the largest, each of the others three of the rest, one of them in part.
        let turns = if number < large { 1 } else { 3 };
        for turn in 0..turns {
            let index = if number < large {
                sizes.len() - 1
            } else {
                (number + turn * 3) % (sizes.len() - 1)
            };
            let size = sizes[index];
            let (bytes, sum) = &files[&size];
            let name = size.to_string();
            let offset = if turn == 1 {
                size * number / CLIENTS
            } else {
                0
            };
            let answer = ask(&mut stream, name.as_bytes(), &[offset as u64]).unwrap();
            assert_eq!((answer.name, answer.size), (name.into(), size as u64));
            if offset == 0 {
                assert_eq!(
                    &checksum(&answer.data),
                    sum,
                    "client {number}, {size} bytes"
                );
            } else {
                assert!(
                    answer.data == bytes[offset..],
                    "client {number}, from {offset}"
                );
            }
        }
    });
    server.stop();
}

#[test]
fn five_hundred_clients_are_pushed_files_of_all_sizes() {
    raise_open_files();
    let folder = tempfile::tempdir().unwrap();
    let (few, middle) = if is_emulated() {
        (1, 100_000)
    } else {
        (4, 300_000)
    };
    for (size, clients) in [(0, CLIENTS), (middle, CLIENTS), (LARGEST, few)] {
        let path = folder.path().join("file");
        let sum = checksum(&random_file(&path, size as u64 + 1, size));
        let server = Server::push(&path, "sized", &[]);
        let go = Barrier::new(clients);
        at_once(clients, |number| {
            go.wait();
            let data = read_pushed(&mut server.connect(), b"file").unwrap();
            assert_eq!(checksum(&data), sum, "client {number}, {size} bytes");
        });
        server.stop();
    }
}
