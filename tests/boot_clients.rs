//! What boots over HTTP: the firmware of boards, and machines of QEMU.
//!
//! Needs qemu-img and qemu-io with QEMU's driver for HTTP, which tests/setup/aside.sh unpacks.

use crate::common;
#[path = "boot_clients/disks.rs"]
mod disks;
#[path = "boot_clients/firmware.rs"]
mod firmware;
