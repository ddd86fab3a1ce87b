//! Opening the files that are to be served, at start-up.

use core::ffi::CStr;
use std::ffi::CString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use crate::files::{Pushed, Root};
use crate::sys::{Errno, Metadata};

/// A path that means the same from anywhere: what is found by it is opened anew when the card has been
/// changed, and the server's own folder is `/` by then.
fn full_path(path: &Path) -> Result<&'static CStr, String> {
    let full = std::path::absolute(path).unwrap_or_else(|_| path.into());
    let full = CString::new(full.into_os_string().into_vec())
        .map_err(|_| format!("{}: a path cannot hold NUL", path.display()))?;
    Ok(Box::leak(full.into_boxed_c_str()))
}

/// Opens the root.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub(super) fn open_root(path: &Path, waits: bool) -> Result<Root, String> {
    let shown = path.display();
    let full = full_path(path)?;
    let opened = match Root::open(full) {
        Err(Errno::ENOENT | Errno::ENODEV | Errno::EIO) if waits => {
            log::warn!("{shown} is not there; waiting for it");
            Root::absent(full)
        }
        Ok(root) if waits && root.is_filled() == Ok(false) => {
            log::warn!("{shown} is empty; waiting for what is to be mounted there");
            Root::absent(full)
        }
        opened => opened,
    };
    opened.map_err(|errno| match errno {
        Errno::ENOENT => format!(
            "{shown}: no such folder; name the folder to serve, as in `trainyard serve FOLDER`"
        ),
        Errno::ENOTDIR => format!(
            "{shown}: not a folder; name the folder to serve, or push this file with --push"
        ),
        Errno::EACCES => unreadable(path),
        other => format!("{shown}: cannot be metadata: {}", other.desc()),
    })
}

/// Whether the user that the server runs as may read the root.
///
/// # Errors
/// One line that says that it may not.
pub(super) fn check_root(root: &Root, path: &Path, waits: bool) -> Result<(), String> {
    if !root.is_there() || root.read() != Err(Errno::EACCES) {
        return Ok(());
    }
    let reason = unreadable(path);
    if !waits {
        return Err(reason);
    }
    log::warn!("{reason}; waiting for what is to be mounted there");
    root.release()
        .map_err(|errno| format!("{}: cannot be let go: {}", path.display(), errno.desc()))
}

fn unreadable(root: &Path) -> String {
    format!(
        "{}: permission denied; the folder must be readable for user {} (root can choose another \
         one with --user NAME)",
        root.display(),
        nix::unistd::geteuid()
    )
}

/// Over HTTP a folder of this name is out of reach.
pub(super) fn warn_of_own_paths(root: &Root) {
    if root.find(b"-").is_ok() {
        log::warn!(
            "ROOT holds the name `-`, which HTTP clients cannot ask for: /-/ is the server's own"
        );
    }
}

/// The clock cannot be right while it shows a time before this program was built, or before the
/// root was last changed.
pub(super) fn clock_floor_s(root: &Root) -> u64 {
    let built_s = env!("BUILD_DATE_S")
        .parse()
        .expect("the build script writes a number");
    if !root.is_there() {
        return built_s;
    }
    let changed_s = Metadata::of(root.descriptor().raw()).map_or(0, |opened| {
        u64::try_from(opened.mtime_ns / 1_000_000_000).unwrap_or(0)
    });
    changed_s.max(built_s)
}

/// Opens the file that is to be pushed.
///
/// # Errors
/// One line that says what is wrong.
pub(super) fn open_pushed(path: &Path, waits: bool) -> Result<Pushed, String> {
    let shown = path.display();
    let full = full_path(path)?;
    let opened = match Pushed::open(full) {
        Err(Errno::ENOENT) if waits => Pushed::absent(full),
        opened => opened,
    };
    opened.map_err(|errno| match errno {
        Errno::ENOENT => format!("--push {shown}: no such file"),
        Errno::EISDIR => format!("--push {shown}: is a folder; it takes one file"),
        Errno::EACCES => format!(
            "--push {shown}: must be a regular file, readable for user {}",
            nix::unistd::geteuid()
        ),
        other => format!("--push {shown}: cannot be metadata: {}", other.desc()),
    })
}
