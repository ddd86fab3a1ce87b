//! Fuzzes what tests/fuzz/bodies/path.rs holds to.

#![no_main]

#[path = "../bodies/path.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::check(bytes));
