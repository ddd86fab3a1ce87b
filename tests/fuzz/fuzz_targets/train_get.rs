//! Fuzzes what tests/fuzz/bodies/train_get.rs holds to.

#![no_main]

#[path = "../bodies/train_get.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::check(bytes));
