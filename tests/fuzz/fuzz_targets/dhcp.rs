//! Fuzzes what tests/fuzz/bodies/dhcp.rs holds to.

#![no_main]

#[path = "../bodies/dhcp.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::check(bytes));
