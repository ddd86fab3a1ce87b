//! Cards that `board/image` makes.

use std::fs;
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

    /// Writes the owner's settings to its boot partition.
    pub(crate) fn set_settings(&self, text: &str) {
        let file = self.image.with_file_name("trainyard.txt");
        fs::write(&file, text).unwrap();
        let copied = Command::new("mcopy")
            .args(["-o", "-i"])
            .arg(format!("{}@@4M", self.image.display()))
            .arg(&file)
            .arg("::trainyard.txt")
            .status()
            .expect("mcopy is part of mtools");
        assert!(copied.success());
    }

    /// A checksum of the whole image, for changes.
    pub(crate) fn checksum(&self) -> String {
        crate::common::checksum(&fs::read(&self.image).unwrap())
    }
}
