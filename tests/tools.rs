//! The tests that need programs which tests/run installs, or programs that it builds. A plain `cargo test`
//! leaves them out, as does `cross test`.

#![allow(missing_docs)] // a test's name is its documentation

mod common;

mod allocation; // strace
mod artefacts; // the release programs of a target
mod boot_clients; // QEMU's tools for disks
mod http_browser; // chromium
mod http_host; // strace, libfaketime, curl, wget, aria2, rsync, openssl, HAProxy, exfat-fuse
mod memory; // a static program
mod readme; // curl, rsync, openssl, mandoc, QEMU's tools for disks
