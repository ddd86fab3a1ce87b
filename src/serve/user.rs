//! As whom the server runs, once its sockets are open.
//!
//! `/etc/passwd` and `/etc/group` are read here: C's getpwnam(3) would load libraries, which a program
//! that is linked statically cannot rely on.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};

use crate::command::UserName;
use crate::files::Root;
use crate::sys::{self, Errno, Ids};

const USERS: &str = "/etc/passwd";
const GROUPS: &str = "/etc/group";

/// As whom the server runs that root has started without saying more, if all can be read so.
const NOBODY: &str = "nobody";
/// The same where no file names it: the kernel's own number for it (overflowuid of proc(5)).
const NOBODY_IDS: Ids = Ids {
    user: 65534,
    group: 65534,
};

/// As whom the server is to run.
pub(super) enum User {
    /// As who started it.
    Own,
    /// As the user that was named.
    Named(Ids),
    /// As whoever can read what is served: nobody is root without saying so.
    Unprivileged,
}

/// What the user must be able to read.
pub(super) struct Needed<'a> {
    /// The root, opened by who started the server, and its path.
    pub(super) root: (&'a Root, &'a Path),
    /// Whether it will be opened anew by its path, once it is there.
    pub(super) waits: bool,
    /// The file that is pushed.
    pub(super) pushed: Option<&'a Path>,
}

/// Finds out as whom the server is to run.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub(super) fn find(name: Option<&UserName>) -> Result<User, String> {
    let now = sys::ids();
    let Some(name) = name else {
        return Ok(if now.user == 0 {
            User::Unprivileged
        } else {
            User::Own
        });
    };
    let wanted = ids_of(name)?;
    if wanted == now {
        return Ok(User::Own);
    }
    if now.user != 0 {
        return Err(format!(
            "--user {name}: only root can run it as another user; leave it out"
        ));
    }
    Ok(User::Named(wanted))
}

/// Takes on the rights that were found, and renounces all others.
///
/// # Errors
/// One line that says what is wrong.
pub(super) fn become_found(user: User, needed: &Needed) -> Result<(), String> {
    match user {
        User::Own => {}
        User::Named(ids) => become_user(ids)?,
        User::Unprivileged => match unprivileged(needed)? {
            Some(ids) => become_user(ids)?,
            None => stay_without_capabilities(needed.root.1)?,
        },
    }
    sys::renounce_new_privileges()
        .map_err(|errno| format!("new privileges cannot be renounced: {}", errno.desc()))
}

fn become_user(ids: Ids) -> Result<(), String> {
    sys::become_user(ids).map_err(|errno| {
        format!(
            "--user: cannot become user {} of group {}: {}",
            ids.user,
            ids.group,
            errno.desc()
        )
    })
}

/// The first of `nobody` and the folder's owner who can read what is served; `None` if neither can.
fn unprivileged(needed: &Needed) -> Result<Option<Ids>, String> {
    let known = look_up(USERS, NOBODY.as_bytes())?.map(|entry| Ids {
        user: entry.number,
        group: entry.rest,
    });
    let nobody = known.filter(|ids| ids.user != 0).unwrap_or(NOBODY_IDS);
    let can_read = |ids| sys::try_as(ids, || needed.is_readable()) == Ok(true);
    if can_read(nobody) {
        log::info!(
            "started as root, runs as user {} ({NOBODY}); --user NAME for another one",
            nobody.user
        );
        return Ok(Some(nobody));
    }
    let owner = owner_of(needed.root.1, nobody.group)?;
    if let Some(owner) = owner.filter(|owner| owner.user != 0 && can_read(*owner)) {
        log::info!(
            "started as root, runs as user {}, who owns the folder that user {NOBODY} cannot read; \
             --user NAME for another one",
            owner.user
        );
        return Ok(Some(owner));
    }
    Ok(None)
}

/// Keeps the user's number, by which root's own files can be read, and nothing else that root can.
fn stay_without_capabilities(root: &Path) -> Result<(), String> {
    log::warn!(
        "started as root, runs as user 0 without any capability, for user {NOBODY} cannot read {}; \
         --user NAME for another one",
        root.display()
    );
    sys::stay_user_alone()
        .map_err(|errno| format!("capabilities cannot be given up: {}", errno.desc()))
}

impl Needed<'_> {
    /// Whether all of it can be read by who this process is now.
    fn is_readable(&self) -> bool {
        let (root, path) = self.root;
        let is_closed = |path: &Path, access| {
            // As it will be opened: from another folder than the current one.
            let full = std::path::absolute(path).unwrap_or_else(|_| path.into());
            faccessat(AT_FDCWD, &full, access, AtFlags::AT_EACCESS) == Err(Errno::EACCES)
        };
        let is_root_closed = root.is_there() && root.read() == Err(Errno::EACCES);
        let is_way_closed = self.waits && is_closed(path, AccessFlags::R_OK | AccessFlags::X_OK);
        let is_pushed_closed = |path| is_closed(path, AccessFlags::R_OK);
        !(is_root_closed || is_way_closed || self.pushed.is_some_and(is_pushed_closed))
    }
}

/// The owner of a folder, or of what it will lie in, with the owner's own group.
fn owner_of(path: &Path, unknown_group: u32) -> Result<Option<Ids>, String> {
    let full = std::path::absolute(path).unwrap_or_else(|_| path.into());
    let mut above = full.ancestors();
    let Some(user) = above.find_map(|path| Some(path.metadata().ok()?.uid())) else {
        return Ok(None);
    };
    let known = look_up(USERS, user.to_string().as_bytes())?;
    let group = known.map_or(unknown_group, |entry| entry.rest);
    Ok(Some(Ids { user, group }))
}

fn ids_of(name: &UserName) -> Result<Ids, String> {
    let known = look_up(USERS, name.user.as_bytes())?;
    let number = number_of(&name.user);
    let (user, own_group) = match (known, number) {
        (Some(entry), _) => (entry.number, Some(entry.rest)),
        (None, Some(number)) => (number, None),
        // A container may have no users at all, but it has root.
        (None, None) if name.user == "root" => (0, Some(0)),
        (None, None) => return Err(format!("--user {name}: no user {} in {USERS}", name.user)),
    };
    let group = match &name.group {
        None => own_group.ok_or_else(|| {
            format!(
                "--user {name}: not in {USERS}, so say which group, as in {}:{}",
                name.user, name.user
            )
        })?,
        Some(group) => look_up(GROUPS, group.as_bytes())?
            .map(|entry| entry.number)
            .or_else(|| number_of(group))
            .ok_or_else(|| format!("--user {name}: no group {group} in {GROUPS}"))?,
    };
    Ok(Ids { user, group })
}

/// A number of a user or group. To the kernel the highest one means: as it was (setresuid(2)).
fn number_of(name: &str) -> Option<u32> {
    name.parse().ok().filter(|number| *number != u32::MAX)
}

/// What a line of either file tells.
#[derive(Debug, Eq, PartialEq)]
struct Entry {
    /// The number of the user or group.
    number: u32,
    /// A user's group; 0 in the file of groups.
    rest: u32,
}

/// The entry of this name, or else of this number. A file that is not there has none.
fn look_up(file: &str, name: &[u8]) -> Result<Option<Entry>, String> {
    let shown = |error: Errno| format!("{file}: cannot be read: {}", error.desc());
    let opened = match File::open(OsStr::from_bytes(file.as_bytes())) {
        Ok(opened) => opened,
        Err(error) => {
            return match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
                Errno::ENOENT => Ok(None),
                errno => Err(shown(errno)),
            };
        }
    };
    find_in(BufReader::with_capacity(4096, opened), name)
        .map_err(|errno| shown(Errno::from_raw(errno)))
}

/// Reads line by line into one buffer, for a file may be longer than there is memory.
fn find_in(mut lines: impl BufRead, name: &[u8]) -> Result<Option<Entry>, i32> {
    let number = std::str::from_utf8(name)
        .ok()
        .and_then(|name| name.parse().ok());
    let mut by_number = None;
    let mut line = Vec::new();
    loop {
        line.clear();
        let size = lines
            .read_until(b'\n', &mut line)
            .map_err(|error| error.raw_os_error().unwrap_or(0))?;
        if size == 0 {
            return Ok(by_number);
        }
        let Some((own, entry)) = entry_of(line.trim_ascii_end()) else {
            continue;
        };
        if own == name {
            return Ok(Some(entry));
        }
        if by_number.is_none() && number == Some(entry.number) {
            by_number = Some(entry);
        }
    }
}

/// `name:password:number:…` of passwd(5) and group(5).
fn entry_of(line: &[u8]) -> Option<(&[u8], Entry)> {
    let mut fields = line.split(|byte| *byte == b':');
    let name = fields.next()?;
    let mut number = |skipped| -> Option<u32> {
        let field = fields.nth(skipped)?;
        std::str::from_utf8(field).ok()?.parse().ok()
    };
    let entry = Entry {
        number: number(1)?,
        rest: number(0).unwrap_or(0),
    };
    (!name.is_empty()).then_some((name, entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_name_or_else_by_number() {
        let file = b"# comment\nroot:x:0:0:root:/root:/bin/sh\n+::::::\nbroken:x\n7:x:500:501::/:\n\
                     seven:x:7:70:a name:/:/bin/false\nagain:x:7:71::/:\nlast:x:9:90"
            as &[u8];
        for (name, expected) in [
            ("root", Some((0, 0))),
            ("seven", Some((7, 70))),
            ("7", Some((500, 501))),
            ("500", Some((500, 501))),
            ("9", Some((9, 90))),
            ("last", Some((9, 90))),
            ("8", None),
            ("sev", None),
            ("", None),
        ] {
            let found = find_in(file, name.as_bytes()).unwrap();
            let found = found.map(|entry| (entry.number, entry.rest));
            assert_eq!(found, expected, "{name:?}");
        }
        let groups = b"root:x:0:\nmedia:x:44:a,b\n" as &[u8];
        let found = find_in(groups, b"media").unwrap().unwrap();
        assert_eq!(found.number, 44);
    }
}
