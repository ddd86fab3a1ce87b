//! The board's system: its own file systems, the kernel's modules, its name, and its end.

use std::fs::File;
use std::io::ErrorKind;

use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot, set_cad_enabled};
use nix::unistd::{sethostname, sync};

use crate::console::say;

/// The paths of the modules to load, one a line, in the order of their needs.
const MODULES: &str = "/modules/order";

/// What is mounted where, in this order.
const OWN: [(&str, &str, &str); 4] = [
    ("devtmpfs", "/dev", ""),
    ("proc", "/proc", ""),
    ("sysfs", "/sys", ""),
    ("tmpfs", "/run", "mode=0755,size=1M"),
];

/// Mounts the kernel's own file systems. What fails is told; whatever needs it fails later.
pub(crate) fn mount_own() {
    for (kind, folder, options) in OWN {
        make_folder(folder);
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
        match mount(Some(kind), folder, Some(kind), flags, Some(options)) {
            // The kernel may have mounted /dev itself.
            Ok(()) | Err(Errno::EBUSY) => {}
            Err(errno) => say!("{folder}: cannot be mounted: {}", errno.desc()),
        }
    }
}

/// Makes a folder of the initial file system, if it is not there.
pub(crate) fn make_folder(path: &str) {
    match std::fs::create_dir(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            say!("{path}: cannot be made: {error}");
        }
        _ => {}
    }
}

/// Loads the kernel's modules; one that fails is told, and the rest still loaded.
pub(crate) fn load_modules() {
    let order = match std::fs::read_to_string(MODULES) {
        Ok(order) => order,
        Err(error) => {
            say!("{MODULES}: cannot be read, so no module is loaded: {error}");
            return;
        }
    };
    for path in order.lines() {
        let loaded = File::open(path)
            .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))
            .and_then(|module| finit_module(&module, c"", ModuleInitFlags::empty()));
        match loaded {
            // ENODEV: a driver whose board this is not.
            Ok(()) | Err(Errno::EEXIST | Errno::ENODEV) => {}
            Err(errno) => say!("{path}: cannot be loaded: {}", errno.desc()),
        }
    }
}

/// Gives the board its name.
pub(crate) fn set_name(name: &str) {
    if let Err(errno) = sethostname(name) {
        say!("the board cannot be called {name}: {}", errno.desc());
    }
}

/// Has Ctrl-Alt-Del tell this process, instead of restarting at once.
pub(crate) fn take_restart_key() {
    if let Err(errno) = set_cad_enabled(false) {
        say!("Ctrl-Alt-Del restarts without a word: {}", errno.desc());
    }
}

/// Ends the system. Never returns, as the first process must not end.
pub(crate) fn end(mode: RebootMode) -> ! {
    sync();
    loop {
        let Err(errno) = reboot(mode);
        say!("reboot(2): {}; switch the board off", errno.desc());
        std::thread::sleep(core::time::Duration::from_secs(60));
    }
}
