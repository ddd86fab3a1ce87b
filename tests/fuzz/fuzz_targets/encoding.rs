//! Fuzzes what tests/fuzz/bodies/encoding.rs holds to.

#![no_main]

#[path = "../bodies/encoding.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::check(bytes));
