//! What the release programs are, read from their files: for which machine, of one piece, for pages of
//! every size, small.
//!
//! TRAINYARD_RELEASE names the folder that holds them, TRAINYARD_TARGET what they are for: aarch64,
//! armv7, armv6 or host. tests/run builds them and sets both.

#[path = "artefacts/elf.rs"]
mod elf;

use std::path::Path;

use elf::{Elf, TAG_ABI_VFP_ARGS, TAG_CPU_ARCH};
use object::elf::{
    EM_AARCH64, EM_ARM, EM_X86_64, Machine, PF_W, PF_X, PT_GNU_RELRO, PT_GNU_STACK, PT_INTERP,
    PT_LOAD,
};

const MIB: usize = 1024 * 1024;

/// What a target's programs have to be.
struct Expected {
    is_64_bit: bool,
    machine: Machine,
    /// Bytes of the largest page that a kernel may have there.
    page: u64,
    /// What each program's file has to be less than.
    bytes: usize,
    /// Tag_CPU_arch, and whether numbers are passed in the registers for them.
    arm: Option<(u64, bool)>,
}

const ARMV6: u64 = 6;
const ARMV7: u64 = 10;

fn variable(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: tests/run builds the programs and sets it"))
}

fn expected() -> Expected {
    let target = variable("TRAINYARD_TARGET");
    let target = match (target.as_str(), std::env::consts::ARCH) {
        ("host", "arm") => "armv7",
        ("host", here) => here,
        (given, _) => given,
    };
    let arm = |bytes, arm| Expected {
        is_64_bit: false,
        machine: EM_ARM,
        page: 64 * 1024,
        bytes,
        arm: Some(arm),
    };
    match target {
        "x86_64" => Expected {
            is_64_bit: true,
            machine: EM_X86_64,
            page: 4096,
            bytes: 2 * MIB,
            arm: None,
        },
        "aarch64" => Expected {
            is_64_bit: true,
            machine: EM_AARCH64,
            page: 64 * 1024,
            bytes: 3 * MIB / 2,
            arm: None,
        },
        "armv7" => arm(6 * MIB / 5, (ARMV7, true)),
        "armv6" => arm(6 * MIB / 5, (ARMV6, false)),
        other => panic!("TRAINYARD_TARGET: {other} is not known"),
    }
}

fn programs() -> [Elf; 2] {
    let folder = variable("TRAINYARD_RELEASE");
    ["trainyard", "train-get"].map(|name| Elf::read(&Path::new(&folder).join(name)))
}

#[test]
fn they_are_for_the_machine() {
    let expected = expected();
    for program in programs() {
        let shown = program.path.display();
        assert_eq!(program.machine, expected.machine, "{shown}");
        assert_eq!(program.is_64_bit, expected.is_64_bit, "{shown}");
    }
}

#[test]
fn arm_code_is_for_the_oldest_processor() {
    let expected = expected();
    for program in programs() {
        let attributes = &program.arm_attributes;
        let found = attributes.get(&TAG_CPU_ARCH).map(|architecture| {
            let in_registers = attributes.get(&TAG_ABI_VFP_ARGS) == Some(&1);
            (*architecture, in_registers)
        });
        assert_eq!(found, expected.arm, "{}", program.path.display());
    }
}

#[test]
fn they_need_no_library() {
    for program in programs() {
        let shown = program.path.display();
        assert_eq!(program.segments_of(PT_INTERP).count(), 0, "{shown}");
        assert_eq!(program.libraries, 0, "{shown}");
    }
    // One that does is seen.
    let shell = Elf::read(Path::new("/bin/sh"));
    assert_eq!(shell.segments_of(PT_INTERP).count(), 1);
    assert!(shell.libraries >= 1, "at least the C library");
}

#[test]
fn every_page_has_one_use_whatever_its_size() {
    let page = expected().page;
    for program in programs() {
        let shown = program.path.display();
        let loaded: Vec<_> = program.segments_of(PT_LOAD).collect();
        assert!(loaded.len() > 1, "{shown}: code and variables");
        for segment in &loaded {
            let alignment = segment.alignment;
            assert!(alignment >= page, "{shown}: {segment:x?}");
            assert!(alignment.is_power_of_two(), "{shown}: {segment:x?}");
            assert_eq!(
                segment.address % alignment,
                segment.offset % alignment,
                "{shown}: {segment:x?}"
            );
        }
        for pair in loaded.windows(2) {
            let (last, first) = ((pair[0].end() - 1) / page, pair[1].address / page);
            assert!(last < first, "{shown}: {pair:x?} share a page");
        }
        // The loader protects whole pages only: what ends within one would stay writable there.
        let protected: Vec<_> = program.segments_of(PT_GNU_RELRO).collect();
        assert_eq!(protected.len(), 1, "{shown}");
        assert_eq!(protected[0].end() % page, 0, "{shown}: {protected:x?}");
    }
}

#[test]
fn nothing_writable_is_executable() {
    for program in programs() {
        let shown = program.path.display();
        assert_eq!(program.segments_of(PT_GNU_STACK).count(), 1, "{shown}");
        for segment in &program.segments {
            let both = PF_W | PF_X;
            assert_ne!(segment.flags & both, both, "{shown}: {segment:x?}");
        }
        let is_code = |segment: &&elf::Segment| segment.flags & PF_X == PF_X;
        assert!(program.segments_of(PT_LOAD).any(|s| is_code(&s)), "{shown}");
    }
}

#[test]
fn they_are_small_and_without_symbols() {
    let most = expected().bytes;
    for program in programs() {
        let shown = program.path.display();
        println!("{shown}: {} of {most} bytes", program.bytes);
        assert!(program.bytes < most, "{shown}: {} bytes", program.bytes);
        assert!(!program.has_symbols, "{shown}");
    }
}
