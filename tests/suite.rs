//! The tests that need nothing but cargo, as one program: one to build and link in place of twenty, and
//! what waits in one test passes beside what works in another.

#![allow(missing_docs)] // a test's name is its documentation

#[path = "fuzz/bodies/mod.rs"]
mod bodies;
mod common;

mod classic;
mod deadlines;
mod end_to_end;
mod full;
mod fuzz_corpus;
mod handover_model;
mod http;
mod http_cache;
mod http_full;
mod http_functions;
mod http_listing;
mod load;
mod manual;
mod operations;
mod package;
mod pool;
mod robustness;
mod stop;
mod threads;
mod tidy;
mod train_get;
mod usage;
mod wire;
