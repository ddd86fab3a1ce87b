//! Fuzzes what tests/fuzz/bodies/request.rs holds to.

#![no_main]

#[path = "../bodies/request.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::check(bytes));
