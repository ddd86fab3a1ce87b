//! Cards made by hand, without partitions as some cameras make them, that hold nothing but one file beyond
//! what 32 bits count. All but its last bytes is hole.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;

use crate::common::random_bytes;

/// The card's file system.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Fat,
    Exfat,
}

impl Kind {
    /// How the board says that it has mounted such a card without partitions.
    pub(crate) fn mounted(self) -> &'static str {
        match self {
            Self::Fat => "/dev/mmcblk0 mounted, vfat",
            Self::Exfat => "/dev/mmcblk0 mounted, exfat",
        }
    }
}

/// A card, and its file `LARGEST.BIN`.
pub(crate) struct Largest {
    pub(crate) image: PathBuf,
    pub(crate) size: u64,
    /// Its last bytes, the only ones that are not zero: a position that was cut would find others.
    pub(crate) tail: Vec<u8>,
    _folder: tempfile::TempDir,
}

/// When the file was written, 01:46:40 on 2001-09-09, as HTTP says it.
pub(crate) const MODIFIED: &str = "Sun, 09 Sep 2001 01:46:40 GMT";
const NAME: &[u8; 11] = b"LARGEST.BIN";
const CARD_BYTES: u64 = 8 << 30;
const CLUSTER_BYTES: u64 = 32 * 1024;
/// FAT's day: years since 1980, month, day.
const DAY: u16 = (21 << 9) | (9 << 5) | 9;

/// FAT's time of the day, in steps of two seconds.
const fn time(hour: u16, minute: u16, second: u16) -> u16 {
    (hour << 11) | (minute << 5) | (second / 2)
}

impl Largest {
    pub(crate) fn make(kind: Kind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("card.img");
        File::create(&image).unwrap().set_len(CARD_BYTES).unwrap();
        let (command, size) = match kind {
            Kind::Fat => ("mkfs.vfat -F 32 -s 64", (4 << 30) - 1),
            Kind::Exfat => ("mkfs.exfat -c 32K", (5 << 30) + 1),
        };
        let mut words = command.split(' ');
        let made = Command::new(format!("/sbin/{}", words.next().unwrap()))
            .args(words)
            .arg(&image)
            .output()
            .expect("the packages dosfstools and exfatprogs are there");
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        let largest = Self {
            image,
            size,
            tail: random_bytes(size, 5000),
            _folder: folder,
        };
        largest.fill(kind);
        largest
    }

    fn fill(&self, kind: Kind) {
        let card = File::options().read(true).write(true).open(&self.image);
        let card = card.unwrap();
        let heap = match kind {
            Kind::Fat => self.fill_fat(&card),
            Kind::Exfat => self.fill_exfat(&card),
        };
        let tail_at = heap + self.size - self.tail.len() as u64;
        card.write_all_at(&self.tail, tail_at).unwrap();
    }

    fn clusters(&self) -> u32 {
        self.size.div_ceil(CLUSTER_BYTES) as u32
    }

    /// Microsoft's FAT specification, sections 3 and 6; where the file's bytes begin.
    fn fill_fat(&self, card: &File) -> u64 {
        let sector = read(card, 0, 512);
        assert_eq!(u64::from(sector[13]) * 512, CLUSTER_BYTES);
        let (reserved, tables) = (number(&sector, 14, 2) * 512, number(&sector, 16, 1));
        let (table_bytes, root) = (number(&sector, 36, 4) * 512, number(&sector, 44, 4));
        let (first, end) = (root as u32 + 1, root as u32 + 1 + self.clusters());
        let next = |cluster| {
            if cluster + 1 < end {
                cluster + 1
            } else {
                0x0FFF_FFFF
            }
        };
        let chain: Vec<u8> = (first..end)
            .flat_map(|cluster| next(cluster).to_le_bytes())
            .collect();
        for table in 0..tables {
            let at = reserved + table * table_bytes + u64::from(first) * 4;
            card.write_all_at(&chain, at).unwrap();
        }
        let mut entry = [0; 32];
        entry[..12].copy_from_slice(b"LARGEST BIN\x20");
        entry[16..18].copy_from_slice(&DAY.to_le_bytes());
        entry[18..20].copy_from_slice(&DAY.to_le_bytes());
        entry[20..22].copy_from_slice(&((first >> 16) as u16).to_le_bytes());
        entry[22..24].copy_from_slice(&time(1, 46, 40).to_le_bytes());
        entry[24..26].copy_from_slice(&DAY.to_le_bytes());
        entry[26..28].copy_from_slice(&(first as u16).to_le_bytes());
        entry[28..32].copy_from_slice(&(self.size as u32).to_le_bytes());
        let heap = reserved + tables * table_bytes;
        let place = |cluster: u64| heap + (cluster - 2) * CLUSTER_BYTES;
        card.write_all_at(&entry, place(root)).unwrap();
        place(first.into())
    }

    /// Microsoft's exFAT specification, sections 3 and 7; where the file's bytes begin.
    fn fill_exfat(&self, card: &File) -> u64 {
        let sector = read(card, 0, 512);
        assert_eq!(512_u64 << sector[109], CLUSTER_BYTES);
        let (heap, root) = (number(&sector, 88, 4) * 512, number(&sector, 96, 4));
        let place = |cluster: u64| heap + (cluster - 2) * CLUSTER_BYTES;
        let folder = read(card, place(root), CLUSTER_BYTES as usize);
        let entries: Vec<&[u8]> = folder.chunks(32).collect();
        let bitmap = entries.iter().find(|entry| entry[0] == 0x81).unwrap();
        let free = entries.iter().position(|entry| entry[0] == 0).unwrap() as u64;
        let first = root as u32 + 1;
        let bits_at = place(number(bitmap, 20, 4));
        let mut bits = read(card, bits_at, number(bitmap, 24, 8) as usize);
        for cluster in first..first + self.clusters() {
            bits[(cluster as usize - 2) / 8] |= 1 << ((cluster - 2) % 8);
        }
        card.write_all_at(&bits, bits_at).unwrap();
        let set = self.exfat_entries(first);
        card.write_all_at(&set, place(root) + free * 32).unwrap();
        place(first.into())
    }

    /// The file's entry, that of its bytes, and that of its name. Its clusters follow each other, so that
    /// there is no chain.
    fn exfat_entries(&self, first: u32) -> Vec<u8> {
        let name: Vec<u8> = NAME.iter().flat_map(|byte| [*byte, 0]).collect();
        let mut set = vec![0; 96];
        set[..2].copy_from_slice(&[0x85, 2]);
        set[4] = 0x20;
        // Two hours east of Greenwich, in quarters.
        let written = [time(3, 46, 40).to_le_bytes(), DAY.to_le_bytes()].concat();
        for stamp in 0..3 {
            set[8 + stamp * 4..][..4].copy_from_slice(&written);
            set[22 + stamp] = 0x80 | 8;
        }
        set[32..34].copy_from_slice(&[0xC0, 3]);
        set[35] = NAME.len() as u8;
        set[36..38].copy_from_slice(&rotated_sum(name.iter()).to_le_bytes());
        set[40..48].copy_from_slice(&self.size.to_le_bytes());
        set[52..56].copy_from_slice(&first.to_le_bytes());
        set[56..64].copy_from_slice(&self.size.to_le_bytes());
        set[64] = 0xC1;
        set[66..66 + name.len()].copy_from_slice(&name);
        let sum = rotated_sum(set[..2].iter().chain(&set[4..]));
        set[2..4].copy_from_slice(&sum.to_le_bytes());
        set
    }
}

fn rotated_sum<'a>(bytes: impl Iterator<Item = &'a u8>) -> u16 {
    bytes.fold(0_u16, |sum, byte| {
        sum.rotate_right(1).wrapping_add((*byte).into())
    })
}

fn read(card: &File, at: u64, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    card.read_exact_at(&mut bytes, at).unwrap();
    bytes
}

fn number(bytes: &[u8], at: usize, size: usize) -> u64 {
    let digits = bytes[at..at + size].iter().rev();
    digits.fold(0, |number, byte| number << 8 | u64::from(*byte))
}
