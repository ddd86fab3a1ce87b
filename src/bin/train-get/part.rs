//! A file on its way: `.NAME.train-part` holds what has come, `.NAME.train-id` says of what. NAME
//! itself appears only when all of it is on the disk.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, renameat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::destination::{Destination, open_in};
use crate::failure::Failure;
use crate::names::{ID_END, PART_END, name_beside};

/// Bytes gathered for one write.
const WRITE_SIZE: usize = 256 << 10;
/// How often a part may vanish between our open and our lock before we give up.
const LOCK_TRIES_MAX: u32 = 10;

/// What makes two files the same: the path asked for, the size, the time of change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) size: u64,
    pub(crate) mtime_ns: i64,
    /// As asked for, without the host: boards change their addresses.
    pub(crate) path: Vec<u8>,
}

/// An open part that no other train-get touches meanwhile.
pub(crate) struct Part {
    folder: File,
    shown: String,
    target: OsString,
    part_name: OsString,
    id_name: OsString,
    writer: BufWriter<File>,
    /// Held until the part has its own name, or is left for `-c`.
    lock: Flock<File>,
}

impl Part {
    /// A new, empty part for `target`; an old one is overwritten.
    pub(crate) fn begin(
        destination: &Destination,
        target: &OsStr,
        identity: &Identity,
    ) -> Result<Part, Failure> {
        let opened = Part::open(destination, target, OFlag::O_CREAT)?;
        let part = opened.expect("O_CREAT leaves nothing missing");
        // In this order, so that an identity never stands beside bytes of another file.
        part.remove(&part.id_name)?;
        part.lock
            .set_len(0)
            .map_err(Failure::local(format!("empty {}", part.shown)))?;
        part.write_identity(identity)
            .map_err(Failure::local(format!("note what {} is", part.shown)))?;
        Ok(part)
    }

    /// The part of an earlier try, at its end, with what it is a part of. None if there is nothing
    /// in it, or nothing tells what it is.
    pub(crate) fn find(
        destination: &Destination,
        target: &OsStr,
    ) -> Result<Option<(Part, Identity, u64)>, Failure> {
        let Some(mut part) = Part::open(destination, target, OFlag::empty())? else {
            return Ok(None);
        };
        let Some(identity) = part.read_identity() else {
            return Ok(None);
        };
        let end = part.writer.seek(SeekFrom::End(0));
        let size = end.map_err(Failure::local(format!("read {}", part.shown)))?;
        let usable = size > 0 && size <= identity.size;
        Ok(usable.then_some((part, identity, size)))
    }

    fn open(
        destination: &Destination,
        target: &OsStr,
        create: OFlag,
    ) -> Result<Option<Part>, Failure> {
        let (part_name, id_name) = (name_beside(target, PART_END), name_beside(target, ID_END));
        let shown = destination.shown(&part_name);
        let local = |errno: Errno| Failure::local(format!("open {shown}"))(errno);
        let folder = destination.open()?;
        for _ in 0..LOCK_TRIES_MAX {
            let file = match open_in(&folder, &part_name, OFlag::O_RDWR | create) {
                Ok(file) => file,
                Err(Errno::ENOENT) if create.is_empty() => return Ok(None),
                Err(errno) => return Err(local(errno)),
            };
            if !file
                .metadata()
                .map_err(Failure::local(format!("open {shown}")))?
                .is_file()
            {
                return Err(Failure::Refused(format!(
                    "{shown} is no file: move it away"
                )));
            }
            let lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => lock,
                Err((_, Errno::EWOULDBLOCK)) => {
                    let name = destination.shown(target);
                    return Err(Failure::Refused(format!(
                        "{name} is being got by another download"
                    )));
                }
                Err((_, errno)) => return Err(local(errno)),
            };
            // Its owner may have renamed it to its target just before it let the lock go.
            if !still_named(&folder, &part_name, &lock) {
                continue;
            }
            let file = lock
                .try_clone()
                .map_err(Failure::local(format!("open {shown}")))?;
            let writer = BufWriter::with_capacity(WRITE_SIZE, file);
            let target = target.to_owned();
            return Ok(Some(Part {
                folder,
                shown,
                target,
                part_name,
                id_name,
                writer,
                lock,
            }));
        }
        Err(local(Errno::EBUSY))
    }

    pub(crate) fn write(&mut self, data: &[u8]) -> Result<(), Failure> {
        self.writer
            .write_all(data)
            .map_err(|error| Failure::local(format!("write to {}", self.shown))(error))
    }

    /// Leaves what has come for `-c`. This follows a failure already, and a part that lacks its
    /// last bytes is as good as any other, so errors here are only logged.
    pub(crate) fn keep(mut self) {
        let kept = self
            .writer
            .flush()
            .and_then(|()| self.lock.sync_data())
            .and_then(|()| self.lock.metadata());
        match kept {
            Ok(metadata) if metadata.len() == 0 => self.discard(),
            Ok(metadata) => log::debug!("{} keeps {} bytes", self.shown, metadata.len()),
            Err(error) => log::debug!("{} may lack its end: {error}", self.shown),
        }
    }

    /// Removes the part: what has come is not worth continuing.
    pub(crate) fn discard(self) {
        for name in [&self.id_name, &self.part_name] {
            if let Err(failure) = self.remove(name) {
                log::debug!("{failure}");
            }
        }
    }

    /// The part is whole: brings it to the disk and gives it its name.
    pub(crate) fn finish(mut self, mtime_ns: i64) -> Result<(), Failure> {
        let doing = || format!("bring {} to the disk", self.shown);
        self.writer.flush().map_err(Failure::local(doing()))?;
        if let Err(error) = self.lock.set_modified(time_from_ns(mtime_ns)) {
            // vfat, say, begins in 1980: the content is what counts.
            log::debug!("{} keeps its own time: {error}", self.shown);
        }
        self.lock.sync_all().map_err(Failure::local(doing()))?;
        let renamed = renameat(
            &self.folder,
            self.part_name.as_os_str(),
            &self.folder,
            self.target.as_os_str(),
        );
        renamed.map_err(Failure::local(format!("rename {}", self.shown)))?;
        self.remove(&self.id_name)?;
        match self.folder.sync_all() {
            // Some file systems have no fsync for folders.
            Err(error) if error.kind() != io::ErrorKind::InvalidInput => {
                Err(Failure::local(doing())(error))
            }
            _ => Ok(()),
        }
    }

    fn remove(&self, name: &OsStr) -> Result<(), Failure> {
        match unlinkat(&self.folder, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(Failure::local(format!(
                "remove what belongs to {}",
                self.shown
            ))(errno)),
        }
    }

    fn write_identity(&self, identity: &Identity) -> io::Result<()> {
        let mut file = open_in(
            &self.folder,
            &self.id_name,
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL,
        )?;
        file.write_all(&identity.to_bytes())
    }

    fn read_identity(&self) -> Option<Identity> {
        let file = open_in(
            &self.folder,
            &self.id_name,
            OFlag::O_RDONLY | OFlag::O_NONBLOCK,
        )
        .ok()?;
        let mut bytes = Vec::new();
        file.take(IDENTITY_LEN_MAX).read_to_end(&mut bytes).ok()?;
        Identity::from_bytes(&bytes)
    }
}

/// Two numbers of at most 20 digits, two blanks, a path of at most 1000 bytes, NUL.
const IDENTITY_LEN_MAX: u64 = 1043;

impl Identity {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} ", self.size, self.mtime_ns).into_bytes();
        bytes.extend_from_slice(&self.path);
        bytes.push(0); // a path has none, so a note that was cut off is known by its lack
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Identity> {
        let mut fields = bytes.strip_suffix(b"\0")?.splitn(3, |&byte| byte == b' ');
        let mut number = || std::str::from_utf8(fields.next()?).ok();
        let (size, mtime_ns) = (number()?.parse().ok()?, number()?.parse().ok()?);
        Some(Identity {
            size,
            mtime_ns,
            path: fields.next()?.to_vec(),
        })
    }
}

fn still_named(folder: &File, name: &OsStr, file: &File) -> bool {
    let named = open_in(folder, name, OFlag::O_RDONLY | OFlag::O_NONBLOCK).map_err(io::Error::from);
    match (named.and_then(|named| named.metadata()), file.metadata()) {
        (Ok(named), Ok(ours)) => (named.dev(), named.ino()) == (ours.dev(), ours.ino()),
        _ => false,
    }
}

fn time_from_ns(mtime_ns: i64) -> SystemTime {
    let distance = Duration::from_nanos(mtime_ns.unsigned_abs());
    if mtime_ns < 0 {
        SystemTime::UNIX_EPOCH - distance
    } else {
        SystemTime::UNIX_EPOCH + distance
    }
}

/// Whether a file that we gave the time `server_ns` may show `local_ns` now: file systems cut a
/// time down to microseconds, 10 ms (exFAT), seconds or 2 s (vfat).
pub(crate) fn is_same_time(local_ns: i128, server_ns: i64) -> bool {
    let server_ns = i128::from(server_ns);
    let steps_ns: [i128; 6] = [1, 100, 1000, 10_000_000, 1_000_000_000, 2_000_000_000];
    steps_ns
        .iter()
        .any(|step| local_ns == server_ns - server_ns.rem_euclid(*step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_survive_their_file() {
        for path in [&b"a"[..], b"a b/c", b"\xff\n", &[b'x'; 1000]] {
            let identity = Identity {
                size: u64::MAX - 1,
                mtime_ns: i64::MIN,
                path: path.to_vec(),
            };
            let bytes = identity.to_bytes();
            assert!(bytes.len() as u64 <= IDENTITY_LEN_MAX);
            assert_eq!(Identity::from_bytes(&bytes), Some(identity));
            for len in 0..bytes.len() {
                assert_eq!(Identity::from_bytes(&bytes[..len]), None, "cut to {len}");
            }
        }
    }

    #[test]
    fn times() {
        assert_eq!(
            time_from_ns(-1),
            SystemTime::UNIX_EPOCH - Duration::from_nanos(1)
        );
        let _extremes = (time_from_ns(i64::MIN), time_from_ns(i64::MAX));
        assert!(is_same_time(3_123_456_789, 3_123_456_789));
        assert!(
            is_same_time(3_000_000_000, 3_123_456_789)
                && is_same_time(2_000_000_000, 3_123_456_789)
        );
        assert!(
            !is_same_time(3_123_456_788, 3_123_456_789)
                && !is_same_time(4_000_000_000, 3_123_456_789)
        );
    }
}
