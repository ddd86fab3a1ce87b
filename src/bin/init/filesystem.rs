//! Which file system a partition holds, and how it is mounted so that nothing is ever written to it.

use std::fs::File;
use std::io::{self, Read};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};

/// Enough of a partition to see what it holds.
const HEAD_BYTES: usize = 2048;

/// A file system that cards have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// ext2, ext3 and ext4: one driver mounts them all.
    Ext4,
    /// FAT12, FAT16 and FAT32, with long names.
    Vfat,
    /// exFAT, as large cards are sold with.
    Exfat,
}

impl Kind {
    /// The kernel's word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Vfat => "vfat",
            Self::Exfat => "exfat",
        }
    }

    /// Where the card knows no owners, everybody may read. Times are UTC, so that they, and the ETags
    /// made of them, are the same on every board.
    fn options(self) -> &'static str {
        match self {
            // Even a read-only mount would write the journal back.
            Self::Ext4 => "noload",
            Self::Vfat => "utf8,tz=UTC,fmask=0133,dmask=0022",
            Self::Exfat => "iocharset=utf8,time_offset=0,fmask=0133,dmask=0022",
        }
    }

    /// What begins with `head`.
    fn of(head: &[u8; HEAD_BYTES]) -> Option<Self> {
        if head[1080..1082] == [0x53, 0xEF] {
            return Some(Self::Ext4);
        }
        if head[3..11] == *b"EXFAT   " {
            return Some(Self::Exfat);
        }
        let is_fat = head[54..57] == *b"FAT" || head[82..87] == *b"FAT32";
        (is_fat && head[510..512] == [0x55, 0xAA]).then_some(Self::Vfat)
    }
}

/// Looks at the first bytes of a device; `None` if it holds no file system that is known here.
pub(crate) fn kind_of(device: &str) -> io::Result<Option<Kind>> {
    let mut head = [0; HEAD_BYTES];
    File::open(device)?.read_exact(&mut head)?;
    Ok(Kind::of(&head))
}

/// Mounts a device, to be read only.
pub(crate) fn mount_device(device: &str, folder: &str, kind: Kind) -> Result<(), Errno> {
    let flags = MsFlags::MS_RDONLY
        | MsFlags::MS_NOATIME
        | MsFlags::MS_NODEV
        | MsFlags::MS_NOSUID
        | MsFlags::MS_NOEXEC;
    mount(
        Some(device),
        folder,
        Some(kind.name()),
        flags,
        Some(kind.options()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(parts: &[(usize, &[u8])]) -> [u8; HEAD_BYTES] {
        let mut head = [0; HEAD_BYTES];
        for (at, bytes) in parts {
            head[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        head
    }

    #[test]
    fn each_file_system_is_known_by_its_marks() {
        let ext = head(&[(1080, &[0x53, 0xEF])]);
        assert_eq!(Kind::of(&ext), Some(Kind::Ext4));
        let end: (usize, &[u8]) = (510, &[0x55, 0xAA]);
        assert_eq!(Kind::of(&head(&[(3, b"EXFAT   "), end])), Some(Kind::Exfat));
        assert_eq!(Kind::of(&head(&[(82, b"FAT32   "), end])), Some(Kind::Vfat));
        assert_eq!(Kind::of(&head(&[(54, b"FAT16   "), end])), Some(Kind::Vfat));
    }

    #[test]
    fn a_partition_table_or_nothing_is_no_file_system() {
        assert_eq!(Kind::of(&head(&[])), None);
        assert_eq!(Kind::of(&head(&[(510, &[0x55, 0xAA])])), None);
        assert_eq!(Kind::of(&head(&[(82, b"FAT32   ")])), None);
    }
}
