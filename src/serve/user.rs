//! As whom the server runs, once its sockets are open.
//!
//! `/etc/passwd` and `/etc/group` are read here: C's getpwnam(3) would load libraries, which a program
//! that is linked statically cannot rely on.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;

use crate::command::UserName;
use crate::sys::{self, Errno, Ids};

const USERS: &str = "/etc/passwd";
const GROUPS: &str = "/etc/group";

/// As whom the server runs that root has started without saying more.
const NOBODY: &str = "nobody";
/// The same where no file names it: the kernel's own number for it (overflowuid of proc(5)).
const NOBODY_IDS: Ids = Ids {
    user: 65534,
    group: 65534,
};

/// Finds out as whom the server is to run; `None` to stay who started it. Nobody is root without
/// saying so.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub(super) fn find(name: Option<&UserName>) -> Result<Option<Ids>, String> {
    let now = sys::ids();
    let Some(name) = name else {
        if now.user != 0 {
            return Ok(None);
        }
        let known = look_up(USERS, NOBODY.as_bytes())?.map(|entry| Ids {
            user: entry.number,
            group: entry.rest,
        });
        let ids = known.filter(|ids| ids.user != 0).unwrap_or(NOBODY_IDS);
        log::info!(
            "started as root, runs as user {} ({NOBODY}); --user NAME for another one",
            ids.user
        );
        return Ok(Some(ids));
    };
    let wanted = ids_of(name)?;
    if wanted == now {
        return Ok(None);
    }
    if now.user != 0 {
        return Err(format!(
            "--user {name}: only root can run it as another user; leave it out"
        ));
    }
    Ok(Some(wanted))
}

/// Takes on the rights that were found, and renounces all others.
///
/// # Errors
/// One line that says what is wrong.
pub(super) fn become_found(found: Option<Ids>) -> Result<(), String> {
    if let Some(ids) = found {
        sys::become_user(ids).map_err(|errno| {
            format!(
                "--user: cannot become user {} of group {}: {}",
                ids.user,
                ids.group,
                errno.desc()
            )
        })?;
    }
    sys::renounce_new_privileges()
        .map_err(|errno| format!("new privileges cannot be renounced: {}", errno.desc()))
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
