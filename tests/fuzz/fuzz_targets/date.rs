//! Fuzzes what tests/fuzz/bodies/date.rs holds to.

#![no_main]

#[path = "../bodies/date.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::check(bytes));
