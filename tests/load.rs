//! Many clients at once, files of all sizes, every byte checked.

mod common;

use std::io::Read;
use std::thread;

use common::ask::{ask, read_car};
use common::program;
use common::server::Server;
use common::{checksum, random_file};

const SIZES: [usize; 8] = [
    0, 1, 1000, 12_345, 100_000, 1_000_000, 5_000_000, 50_000_000,
];

/// How many clients ask for a file of each size: most for the small ones.
fn clients() -> Vec<usize> {
    let counts = if program::is_emulated() {
        [90, 90, 90, 90, 90, 40, 8, 2]
    } else {
        [90, 90, 90, 80, 80, 50, 14, 6]
    };
    let mut sizes: Vec<usize> = SIZES
        .iter()
        .zip(counts)
        .flat_map(|(size, count)| vec![*size; count])
        .collect();
    // Mixed, so that small and large ones share the workers.
    for i in 0..sizes.len() {
        let other = (i * 7919) % sizes.len();
        sizes.swap(i, other);
    }
    sizes
}

#[test]
fn five_hundred_clients_at_once_get_every_byte() {
    let root = tempfile::tempdir().unwrap();
    let sums: Vec<(usize, String)> = SIZES
        .iter()
        .map(|size| {
            (
                *size,
                checksum(&random_file(
                    &root.path().join(format!("f{size}")),
                    *size as u64,
                    *size,
                )),
            )
        })
        .collect();
    let server = Server::start(root.path(), &["--workers", "2", "--per-worker", "300"]);
    let sizes = clients();
    assert_eq!(sizes.len(), 500);
    let streams: Vec<_> = sizes.iter().map(|size| (*size, server.connect())).collect();
    let threads: Vec<_> = streams
        .into_iter()
        .map(|(size, mut stream)| {
            thread::Builder::new()
                .stack_size(128 * 1024)
                .spawn(move || {
                    let answer = ask(&mut stream, format!("f{size}").as_bytes(), &[]).unwrap();
                    (size, answer.size, checksum(&answer.data))
                })
                .unwrap()
        })
        .collect();
    for client in threads {
        let (size, said, sum) = client.join().unwrap();
        assert_eq!(said, size as u64);
        assert!(sums.contains(&(size, sum)), "{size} bytes");
    }
    server.stop();
}

#[test]
fn two_hundred_mute_clients_at_once_all_finish() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("file");
    let sum = checksum(&random_file(&path, 3, 1_000_001));
    let server = Server::push(&path, "sized", &["--workers", "2", "--per-worker", "50"]);
    let streams: Vec<_> = (0..200).map(|_| server.connect()).collect();
    let threads: Vec<_> = streams
        .into_iter()
        .map(|mut stream| {
            thread::spawn(move || {
                assert_eq!(read_car(&mut stream).unwrap(), b"file");
                assert_eq!(read_car(&mut stream).unwrap(), 1_000_001_u64.to_le_bytes());
                let mut data = Vec::new();
                loop {
                    let car = read_car(&mut stream).unwrap();
                    if car.is_empty() {
                        break;
                    }
                    data.extend(car);
                }
                assert_eq!(stream.read(&mut [0]).unwrap(), 0, "the server closes");
                checksum(&data)
            })
        })
        .collect();
    for client in threads {
        assert_eq!(client.join().unwrap(), sum);
    }
    server.stop();
}
