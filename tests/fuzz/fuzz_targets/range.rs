//! Fuzzes what tests/fuzz/bodies/range.rs holds to.

#![no_main]

#[path = "../bodies/range.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::check(bytes));
