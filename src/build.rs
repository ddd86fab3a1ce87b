//! Built and run by cargo before the rest: tells the program when it was built, which a clock that
//! shows less than that cannot be right about. SOURCE_DATE_EPOCH, if set, makes builds reproducible.

use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    for changed in ["src", "board", "Cargo.toml"] {
        println!("cargo::rerun-if-changed={changed}");
    }
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let now_s = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    };
    let date_s = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(given) => given
            .trim()
            .parse()
            .expect("SOURCE_DATE_EPOCH: must be seconds since 1970"),
        Err(_) => now_s(),
    };
    println!("cargo::rustc-env=BUILD_DATE_S={date_s}");
}
