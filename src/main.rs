//! trainyard: the server's command line.
fn main() {}
