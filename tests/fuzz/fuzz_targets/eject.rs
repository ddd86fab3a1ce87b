//! Fuzzes what tests/fuzz/bodies/eject.rs holds to.

#![no_main]

#[path = "../bodies/eject.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::check(bytes));
