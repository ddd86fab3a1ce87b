//! Fuzzes what tests/fuzz/bodies/train_request.rs holds to.

#![no_main]

#[path = "../bodies/train_request.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::check(bytes));
