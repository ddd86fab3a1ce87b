//! As much of ELF (elf(5), and "Addenda to the ABI for the Arm Architecture" for `.ARM.attributes`) as
//! the tests of the release programs need. Panics where a file is not little-endian ELF.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// `e_machine`
pub(crate) const EM_ARM: u64 = 40;
pub(crate) const EM_X86_64: u64 = 62;
pub(crate) const EM_AARCH64: u64 = 183;
/// `p_type`
pub(crate) const PT_LOAD: u64 = 1;
pub(crate) const PT_DYNAMIC: u64 = 2;
pub(crate) const PT_INTERP: u64 = 3;
pub(crate) const PT_GNU_STACK: u64 = 0x6474_e551;
pub(crate) const PT_GNU_RELRO: u64 = 0x6474_e552;
/// `p_flags`
pub(crate) const PF_X: u64 = 1;
pub(crate) const PF_W: u64 = 2;
/// `sh_type`
const SHT_SYMTAB: u64 = 2;
const SHT_ARM_ATTRIBUTES: u64 = 0x7000_0003;
/// `d_tag`
const DT_NEEDED: u64 = 1;
/// Tags of `.ARM.attributes`.
pub(crate) const TAG_CPU_ARCH: u64 = 6;
pub(crate) const TAG_ABI_VFP_ARGS: u64 = 28;
const TAG_FILE: u64 = 1;
const TAG_COMPATIBILITY: u64 = 32;

/// A segment: what is mapped, or what the loader has to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) kind: u64,
    pub(crate) flags: u64,
    pub(crate) offset: u64,
    pub(crate) address: u64,
    file_bytes: u64,
    memory_bytes: u64,
    pub(crate) alignment: u64,
}

impl Segment {
    /// The first address behind it.
    pub(crate) fn end(&self) -> u64 {
        self.address + self.memory_bytes
    }
}

struct Section {
    kind: u64,
    offset: u64,
    bytes: u64,
}

/// A program's file.
pub(crate) struct Elf {
    pub(crate) path: PathBuf,
    bytes: Vec<u8>,
    is_64_bit: bool,
    pub(crate) segments: Vec<Segment>,
    sections: Vec<Section>,
}

impl Elf {
    pub(crate) fn read(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(bytes[..4], *b"\x7fELF", "{}", path.display());
        assert_eq!(bytes[5], 1, "{}: not little-endian", path.display());
        let mut elf = Self {
            path: path.into(),
            is_64_bit: bytes[4] == 2,
            bytes,
            segments: Vec::new(),
            sections: Vec::new(),
        };
        let (table, size, count) = match elf.is_64_bit {
            true => (elf.number(32, 8), elf.number(54, 2), elf.number(56, 2)),
            false => (elf.number(28, 4), elf.number(42, 2), elf.number(44, 2)),
        };
        elf.segments = (0..count).map(|i| elf.segment(table + i * size)).collect();
        let (table, size, count) = match elf.is_64_bit {
            true => (elf.number(40, 8), elf.number(58, 2), elf.number(60, 2)),
            false => (elf.number(32, 4), elf.number(46, 2), elf.number(48, 2)),
        };
        elf.sections = (0..count).map(|i| elf.section(table + i * size)).collect();
        elf
    }

    fn slice(&self, offset: u64, bytes: u64) -> &[u8] {
        &self.bytes[offset as usize..(offset + bytes) as usize]
    }

    /// The number of so many bytes at an offset.
    fn number(&self, offset: u64, bytes: u64) -> u64 {
        let digits = self.slice(offset, bytes).iter().rev();
        digits.fold(0, |number, digit| number << 8 | u64::from(*digit))
    }

    fn segment(&self, at: u64) -> Segment {
        let words = |places: [u64; 6], bytes| places.map(|place| self.number(at + place, bytes));
        let ([offset, address, file_bytes, memory_bytes, alignment, flags], kind) =
            match self.is_64_bit {
                true => (words([8, 16, 32, 40, 48, 0], 8), self.number(at, 4)),
                false => (words([4, 8, 16, 20, 28, 24], 4), self.number(at, 4)),
            };
        Segment {
            kind,
            // With 64 bits they share a word with the kind.
            flags: if self.is_64_bit { flags >> 32 } else { flags },
            offset,
            address,
            file_bytes,
            memory_bytes,
            alignment,
        }
    }

    fn section(&self, at: u64) -> Section {
        let (place, bytes) = if self.is_64_bit { (24, 8) } else { (16, 4) };
        Section {
            kind: self.number(at + 4, 4),
            offset: self.number(at + place, bytes),
            bytes: self.number(at + place + bytes, bytes),
        }
    }

    pub(crate) fn is_64_bit(&self) -> bool {
        self.is_64_bit
    }

    pub(crate) fn machine(&self) -> u64 {
        self.number(18, 2)
    }

    /// Bytes of the file.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn segments_of(&self, kind: u64) -> impl Iterator<Item = &Segment> {
        self.segments
            .iter()
            .filter(move |segment| segment.kind == kind)
    }

    /// How many shared libraries it asks the loader for.
    pub(crate) fn libraries(&self) -> usize {
        let word = if self.is_64_bit { 8 } else { 4 };
        let tags = self.segments_of(PT_DYNAMIC).flat_map(|segment| {
            let entries = segment.file_bytes / (2 * word);
            (0..entries).map(move |i| self.number(segment.offset + i * 2 * word, word))
        });
        tags.filter(|tag| *tag == DT_NEEDED).count()
    }

    /// Whether it has the symbols that only a debugger reads.
    pub(crate) fn has_symbols(&self) -> bool {
        assert!(
            !self.sections.is_empty(),
            "{}: no sections",
            self.path.display()
        );
        self.sections
            .iter()
            .any(|section| section.kind == SHT_SYMTAB)
    }

    /// The numbers in `.ARM.attributes` that are for the whole file, by tag. Empty if there are none.
    pub(crate) fn arm_attributes(&self) -> BTreeMap<u64, u64> {
        let mut found = BTreeMap::new();
        let is_it = |section: &&Section| section.kind == SHT_ARM_ATTRIBUTES;
        let Some(section) = self.sections.iter().find(is_it) else {
            return found;
        };
        let mut rest = self.slice(section.offset, section.bytes);
        assert_eq!(take(&mut rest, 1), b"A", "an unknown version");
        // One vendor's part, of one file's part: linkers write no other.
        take(&mut rest, 4);
        assert_eq!(take_text(&mut rest), b"aeabi");
        assert_eq!(take_number(&mut rest), TAG_FILE);
        take(&mut rest, 4);
        while !rest.is_empty() {
            match take_number(&mut rest) {
                // The names of the processor, and all odd tags above 32.
                4 | 5 => drop(take_text(&mut rest)),
                TAG_COMPATIBILITY => {
                    take_number(&mut rest);
                    take_text(&mut rest);
                }
                tag if tag > 32 && tag % 2 == 1 => drop(take_text(&mut rest)),
                tag => drop(found.insert(tag, take_number(&mut rest))),
            }
        }
        found
    }
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, after) = rest.split_at(count);
    *rest = after;
    taken
}

/// A text that ends with NUL.
fn take_text<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let length = rest.iter().position(|byte| *byte == 0).expect("NUL");
    let text = take(rest, length);
    take(rest, 1);
    text
}

/// A number in groups of seven bits, the least first (ULEB128).
fn take_number(rest: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let byte = take(rest, 1)[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return number;
        }
    }
    panic!("a number of more than 63 bits");
}
