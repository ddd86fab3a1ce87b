//! Fuzzes what src/worker/testing/exchange.rs holds to.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| trainyard::worker::check_exchange(bytes));
