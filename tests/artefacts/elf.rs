//! What the tests of the release programs need to know of an ELF file. Panics where a file is not
//! little-endian ELF.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use object::elf::{
    DT_NEEDED, FileHeader32, FileHeader64, Machine, ProgramFlags, ProgramType, SHT_ARM_ATTRIBUTES,
    SHT_SYMTAB, Tag_File,
};
use object::read::elf::{Dyn, FileHeader, ProgramHeader, SectionHeader};
use object::{Endianness, FileKind};

/// Tags of `.ARM.attributes` ("Addenda to the ABI for the Arm Architecture").
pub(crate) const TAG_CPU_ARCH: u64 = 6;
pub(crate) const TAG_ABI_VFP_ARGS: u64 = 28;
const TAG_COMPATIBILITY: u64 = 32;

/// A segment: what is mapped, or what the loader has to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) kind: ProgramType,
    pub(crate) flags: ProgramFlags,
    pub(crate) offset: u64,
    pub(crate) address: u64,
    memory_bytes: u64,
    pub(crate) alignment: u64,
}

impl Segment {
    /// The first address behind it.
    pub(crate) fn end(&self) -> u64 {
        self.address + self.memory_bytes
    }
}

/// A program's file.
pub(crate) struct Elf {
    pub(crate) path: PathBuf,
    /// Bytes of the file.
    pub(crate) bytes: usize,
    pub(crate) is_64_bit: bool,
    pub(crate) machine: Machine,
    pub(crate) segments: Vec<Segment>,
    /// How many shared libraries it asks the loader for.
    pub(crate) libraries: usize,
    /// Whether it has the symbols that only a debugger reads.
    pub(crate) has_symbols: bool,
    /// The numbers in `.ARM.attributes` that are for the whole file, by tag. Empty if there are none.
    pub(crate) arm_attributes: BTreeMap<u64, u64>,
}

impl Elf {
    pub(crate) fn read(path: &Path) -> Self {
        let data = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let elf = match FileKind::parse(&*data) {
            Ok(FileKind::Elf32) => Self::parse::<FileHeader32<Endianness>>(path, &data),
            Ok(FileKind::Elf64) => Self::parse::<FileHeader64<Endianness>>(path, &data),
            other => panic!("{}: {other:?}", path.display()),
        };
        elf.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn parse<Header: FileHeader<Endian = Endianness>>(
        path: &Path,
        data: &[u8],
    ) -> object::Result<Self> {
        let header = Header::parse(data)?;
        let endian = header.endian()?;
        assert_eq!(endian, Endianness::Little, "{}", path.display());
        let sections = header.sections(endian, data)?;
        assert!(!sections.is_empty(), "{}: no sections", path.display());
        let mut elf = Self {
            path: path.into(),
            bytes: data.len(),
            is_64_bit: header.is_class_64(),
            machine: header.e_machine(endian),
            segments: Vec::new(),
            libraries: 0,
            has_symbols: sections
                .iter()
                .any(|section| section.sh_type(endian) == SHT_SYMTAB),
            arm_attributes: BTreeMap::new(),
        };
        for segment in header.program_headers(endian, data)? {
            elf.segments.push(Segment {
                kind: segment.p_type(endian),
                flags: segment.p_flags(endian),
                offset: segment.p_offset(endian).into(),
                address: segment.p_vaddr(endian).into(),
                memory_bytes: segment.p_memsz(endian).into(),
                alignment: segment.p_align(endian).into(),
            });
            let tags = segment.dynamic(endian, data)?.unwrap_or_default();
            elf.libraries += tags
                .iter()
                .filter(|tag| tag.d_tag(endian) == DT_NEEDED)
                .count();
        }
        let of_arm =
            |section: &&Header::SectionHeader| section.sh_type(endian) == SHT_ARM_ATTRIBUTES;
        if let Some(section) = sections.iter().find(of_arm) {
            elf.arm_attributes = arm_attributes::<Header>(section, endian, data)?;
        }
        Ok(elf)
    }

    pub(crate) fn segments_of(&self, kind: ProgramType) -> impl Iterator<Item = &Segment> {
        self.segments
            .iter()
            .filter(move |segment| segment.kind == kind)
    }
}

/// Linkers write one vendor's part, of one file's part.
fn arm_attributes<Header: FileHeader<Endian = Endianness>>(
    section: &Header::SectionHeader,
    endian: Endianness,
    data: &[u8],
) -> object::Result<BTreeMap<u64, u64>> {
    let mut found = BTreeMap::new();
    for vendor in section.attributes(endian, data)?.subsections()? {
        let vendor = vendor?;
        assert_eq!(vendor.vendor(), b"aeabi");
        for part in vendor.subsubsections() {
            let part = part?;
            assert_eq!(part.tag(), Tag_File);
            let mut attributes = part.attributes();
            while let Some(tag) = attributes.read_tag()? {
                match tag {
                    // The names of the processor, and all odd tags above 32.
                    4 | 5 => drop(attributes.read_string()?),
                    TAG_COMPATIBILITY => {
                        attributes.read_integer()?;
                        attributes.read_string()?;
                    }
                    tag if tag > 32 && tag % 2 == 1 => drop(attributes.read_string()?),
                    tag => drop(found.insert(tag, attributes.read_integer()?)),
                }
            }
        }
    }
    Ok(found)
}
