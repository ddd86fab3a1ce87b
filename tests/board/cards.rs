//! Cards: made by `board/image`, and one by hand for a file as large as FAT takes.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::http::old_file;
use crate::machine::round_up;

/// Names and sizes of the files on each card, around the sizes at which the server changes its ways.
pub(crate) const FILES: [(&str, usize); 9] = [
    ("empty", 0),
    ("one", 1),
    ("999", 999),
    ("1000", 1000),
    ("page", 4096),
    ("cached", 16_384),
    ("folder/Bücher & Züge.txt", 70_001),
    ("folder/deep/million", 1_000_000),
    ("large", 12_000_000),
];

/// The bytes of a card's file.
pub(crate) struct Held {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
}

impl Held {
    /// How HTTP asks for it.
    pub(crate) fn target(&self) -> String {
        let escaped = |byte: u8| match byte {
            b'/' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' => (byte as char).to_string(),
            _ => format!("%{byte:02X}"),
        };
        format!("/{}", self.name.bytes().map(escaped).collect::<String>())
    }
}

/// A card's image, and what is on it.
pub(crate) struct Card {
    pub(crate) image: PathBuf,
    pub(crate) files: Vec<Held>,
    _folder: tempfile::TempDir,
}

impl Card {
    /// By `board/image`, with these options.
    pub(crate) fn make(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("files");
        fs::create_dir_all(root.join("folder/deep")).unwrap();
        let files = FILES
            .iter()
            .enumerate()
            .map(|(index, &(name, size))| Held {
                name,
                bytes: old_file(&root.join(name), index as u64 + 1, size),
            })
            .collect();
        let image = folder.path().join("card.img");
        let made = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("board/image"))
            .arg("-o")
            .arg(&image)
            .args(options)
            .arg(&root)
            .status()
            .unwrap();
        assert!(made.success(), "board/image failed");
        round_up(&image);
        Self {
            image,
            files,
            _folder: folder,
        }
    }

    /// A checksum of the whole image, for changes.
    pub(crate) fn checksum(&self) -> String {
        crate::common::checksum(&fs::read(&self.image).unwrap())
    }
}

/// The largest file that FAT takes.
pub(crate) const LARGEST_BYTES: u64 = (4 << 30) - 1;
/// Its last bytes, the only ones that are not zero: a position that was cut would find others.
pub(crate) const TAIL_BYTES: usize = 5000;

/// A card without partitions, as some cameras make them, that holds nothing but `LARGEST.BIN`. All but
/// its last bytes is hole.
pub(crate) fn make_largest(image: &Path, tail: &[u8]) {
    File::create(image).unwrap().set_len(8 << 30).unwrap();
    let made = Command::new("/sbin/mkfs.vfat")
        .args(["-F", "32", "-s", "64"])
        .arg(image)
        .output()
        .expect("mkfs.vfat is part of dosfstools");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let card = File::options().read(true).write(true).open(image).unwrap();
    // The first sector's fields: Microsoft's FAT specification, section 3.
    let mut sector = [0; 512];
    card.read_exact_at(&mut sector, 0).unwrap();
    let number = |at: usize, size: usize| {
        let bytes = sector[at..at + size].iter().rev();
        bytes.fold(0, |number, byte| number << 8 | u64::from(*byte))
    };
    let (cluster_bytes, reserved) = (number(13, 1) * 512, number(14, 2) * 512);
    let (tables, table_bytes, root) = (number(16, 1), number(36, 4) * 512, number(44, 4) as u32);
    let clusters = LARGEST_BYTES.div_ceil(cluster_bytes) as u32;
    let first = root + 1;
    let chain: Vec<u8> = (first..first + clusters)
        .map(|cluster| {
            if cluster + 1 < first + clusters {
                cluster + 1
            } else {
                0x0FFF_FFFF
            }
        })
        .flat_map(u32::to_le_bytes)
        .collect();
    for table in 0..tables {
        let at = reserved + table * table_bytes + u64::from(first) * 4;
        card.write_all_at(&chain, at).unwrap();
    }
    let place =
        |cluster: u32| reserved + tables * table_bytes + u64::from(cluster - 2) * cluster_bytes;
    card.write_all_at(&largest_entry(first), place(root))
        .unwrap();
    let tail_at = place(first) + LARGEST_BYTES - tail.len() as u64;
    card.write_all_at(tail, tail_at).unwrap();
}

/// The entry of its folder: section 6.
fn largest_entry(cluster: u32) -> Vec<u8> {
    let mut entry = b"LARGEST BIN\x20\0\0".to_vec();
    let (low, high) = (cluster as u16, (cluster >> 16) as u16);
    // Made and read on 2001-09-09, and written at 01:46:40 that day.
    entry.write_all(&[0, 0, 0x29, 0x2B, 0x29, 0x2B]).unwrap();
    entry.extend(high.to_le_bytes());
    entry.extend((1_u16 << 11 | 46 << 5 | 20).to_le_bytes());
    entry.extend(0x2B29_u16.to_le_bytes());
    entry.extend(low.to_le_bytes());
    entry.extend((LARGEST_BYTES as u32).to_le_bytes());
    assert_eq!(entry.len(), 32);
    entry
}
