//! train-get: the client of the train protocol.
fn main() {}
