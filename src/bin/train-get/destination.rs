//! The chosen folder and those below it. Everything is opened relative to it and without following
//! a symbolic link, so no name that a server sends leads anywhere else.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};

use crate::command::OutputOption;
use crate::failure::{Failure, shown};
use crate::names::check_name;

/// A folder to write to. It is walked to anew for each file: that costs a few calls, and neither a
/// deep tree nor a wide one takes more descriptors than there are workers.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    base: Arc<File>,
    base_path: Arc<Path>,
    below: Vec<OsString>,
}

/// The destination that the command line chose, and the name if it says one.
pub(crate) fn chosen(output: &OutputOption) -> Result<(Destination, Option<OsString>), Failure> {
    match output {
        OutputOption::Here => Ok((Destination::open_base(Path::new("."))?, None)),
        OutputOption::Folder(folder) => {
            let doing = || format!("make the folder {}", shown(folder.as_os_str()));
            std::fs::create_dir_all(folder).map_err(Failure::local(doing()))?;
            Ok((Destination::open_base(folder)?, None))
        }
        OutputOption::File(folder, name) => {
            check_name(name.as_bytes())?;
            Ok((Destination::open_base(folder)?, Some(name.clone())))
        }
    }
}

impl Destination {
    fn open_base(folder: &Path) -> Result<Destination, Failure> {
        let doing = format!("open the folder {}", shown(folder.as_os_str()));
        // The user may well choose a folder by a link to it; only what is below is held fast.
        let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let base = OpenOptions::new()
            .read(true)
            .custom_flags(flags.bits())
            .open(folder);
        let base = Arc::new(base.map_err(Failure::local(doing))?);
        Ok(Destination {
            base,
            base_path: folder.into(),
            below: Vec::new(),
        })
    }

    /// The folder `name` in this one. `name` has passed `check_name`.
    pub(crate) fn below(&self, name: &OsStr) -> Destination {
        let mut destination = self.clone();
        destination.below.push(name.to_owned());
        destination
    }

    /// How a person finds `name`.
    pub(crate) fn shown(&self, name: &OsStr) -> String {
        let base = if &*self.base_path == Path::new(".") {
            Path::new("")
        } else {
            &*self.base_path
        };
        let mut path: PathBuf = base.join(self.below.iter().collect::<PathBuf>());
        path.push(name);
        shown(path.as_os_str())
    }

    /// Opens the folder, component by component.
    pub(crate) fn open(&self) -> Result<File, Failure> {
        self.walk(false)
    }

    /// Opens the folder and makes what is missing on the way.
    pub(crate) fn make(&self) -> Result<File, Failure> {
        self.walk(true)
    }

    fn walk(&self, make: bool) -> Result<File, Failure> {
        let again = || format!("open the folder {}", self.shown(OsStr::new("")));
        let mut folder = self.base.try_clone().map_err(Failure::local(again()))?;
        for name in &self.below {
            if make {
                match mkdirat(&folder, name.as_os_str(), Mode::from_bits_truncate(0o777)) {
                    Ok(()) | Err(Errno::EEXIST) => {}
                    Err(errno) => return Err(Failure::local(again())(errno)),
                }
            }
            folder = match open_in(&folder, name, OFlag::O_RDONLY | OFlag::O_DIRECTORY) {
                Ok(next) => next,
                Err(Errno::ENOTDIR | Errno::ELOOP) => {
                    let path = self.shown(OsStr::new(""));
                    let name = shown(name);
                    return Err(Failure::Refused(format!(
                        "cannot go into {path}: '{name}' is a symbolic link or no folder, move it away"
                    )));
                }
                Err(errno) => return Err(Failure::local(again())(errno)),
            };
        }
        Ok(folder)
    }
}

/// Opens `name` in `folder`, never through a symbolic link.
#[allow(clippy::disallowed_methods)] // banned for lack of O_LARGEFILE, which is added here
pub(crate) fn open_in(folder: &File, name: &OsStr, flags: OFlag) -> nix::Result<File> {
    // Without O_LARGEFILE a 32-bit system can neither open nor write past 2 GiB.
    let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_LARGEFILE;
    openat(folder, name, flags, Mode::from_bits_truncate(0o666)).map(File::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_way_through_a_link() {
        let outside = tempfile::tempdir().unwrap();
        let inside = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), inside.path().join("link")).unwrap();
        let (destination, _) = chosen(&OutputOption::Folder(inside.path().into())).unwrap();
        let through = destination.below(OsStr::new("link"));
        assert!(matches!(through.make(), Err(Failure::Refused(_))));
        assert!(matches!(
            through.below(OsStr::new("x")).make(),
            Err(Failure::Refused(_))
        ));
        destination
            .below(OsStr::new("a"))
            .below(OsStr::new("b"))
            .make()
            .unwrap();
        assert!(inside.path().join("a/b").is_dir());
        assert_eq!(outside.path().read_dir().unwrap().count(), 0);
    }
}
