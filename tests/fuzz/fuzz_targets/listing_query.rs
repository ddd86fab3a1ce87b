//! Fuzzes what tests/fuzz/bodies/listing_query.rs holds to.

#![no_main]

#[path = "../bodies/listing_query.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::check(bytes));
