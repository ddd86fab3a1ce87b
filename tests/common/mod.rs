//! What the tests of the server share: starting it, asking it, random files, checksums.
#![allow(dead_code, unreachable_pub)] // each test uses its part
#![allow(clippy::disallowed_types)] // std::io::Error is banned for the server only

pub mod ask;
pub mod client;
pub mod http;
pub mod program;
pub mod server;

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

/// Bytes that are the same for the same seed, and have no pattern (xorshift64*).
pub fn random_bytes(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend(state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// Writes a file of random bytes, and returns them.
pub fn random_file(path: &Path, seed: u64, size: usize) -> Vec<u8> {
    let bytes = random_bytes(seed, size);
    std::fs::File::create(path)
        .and_then(|mut file| file.write_all(&bytes))
        .unwrap();
    bytes
}

/// A checksum, for what is too large to show.
pub fn checksum(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Asserts that these are the same bytes, which may be too many to show; says where they begin to differ.
#[track_caller]
pub fn assert_bytes(got: &[u8], expected: &[u8], what: impl Display) {
    if got == expected {
        return;
    }
    let pairs = got.iter().zip(expected);
    let at = pairs.take_while(|(got, expected)| got == expected).count();
    let shown = |bytes: &[u8]| bytes[at..].iter().take(32).copied().collect::<Vec<_>>();
    panic!(
        "{what}: {} bytes instead of {}, from offset {at} on \"{}\" instead of \"{}\"",
        got.len(),
        expected.len(),
        shown(got).escape_ascii(),
        shown(expected).escape_ascii()
    );
}

/// Waits until `condition` holds; panics after `limit` with `what`.
#[track_caller]
pub fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Sets a flag when it is dropped, so that what waits for the flag ends also when the test fails.
pub struct Over<'a>(pub &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `client` so many times at once, each in a thread, and returns what they made.
pub fn at_once<T: Send>(count: usize, client: impl Fn(usize) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..count)
            .map(|number| {
                let client = &client;
                std::thread::Builder::new()
                    .stack_size(256 * 1024)
                    .spawn_scoped(scope, move || client(number))
                    .unwrap()
            })
            .collect();
        all.into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    })
}

/// Receives again where a signal has interrupted it: the kernel does not, of a socket that has a timeout
/// (signal(7)). Not every signal has a handler: who stops a process and continues it interrupts it, too.
pub fn uninterrupted<T>(mut receive: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match receive() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
