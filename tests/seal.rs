//! Proves that the seal bites: this test is a program of its own on the server's arena, starts
//! itself again, and sees that an allocation after the seal ends it.

#![allow(missing_docs)] // a test's name is its documentation

#[path = "common/program.rs"]
#[allow(dead_code, unreachable_pub)]
mod program;

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use trainyard::memory::Arena;

#[global_allocator]
static ARENA: Arena = Arena::new();

/// The variable that tells this program, started again, what to do.
const ACTION: &str = "TRAINYARD_TEST_ACTION";

/// What the program does when it is started with a word: seal, then what the word says.
fn act(word: &str) {
    let before = vec![1_u8; 1000];
    assert!(ARENA.used() >= 1000, "this program's heap is the arena");
    ARENA.seal();
    match word {
        "nothing" => drop(before),
        "vec" => drop(std::hint::black_box(vec![0_u8; 1])),
        "box" => drop(std::hint::black_box(Box::new(7_u64))),
        "grow" => {
            let mut before = before;
            before.reserve_exact(std::hint::black_box(2000));
        }
        "format" => drop(std::hint::black_box(format!("{}", ARENA.used()))),
        "thread" => drop(std::thread::spawn(|| {})),
        "too much" => unreachable!("handled before the seal"),
        other => panic!("no such action: {other}"),
    }
}

/// Starts this program again: the signal that ended it or its exit code, and what it said.
fn result_of(word: &str) -> (Option<i32>, Option<i32>, String) {
    // With TRAINYARD_PROGRAMS only those programs are emulated, and this one is not.
    let mut words = match std::env::var_os("TRAINYARD_PROGRAMS") {
        Some(_) => Vec::new(),
        None => program::runner(),
    };
    words.push(std::env::current_exe().unwrap().to_str().unwrap().into());
    // This program's own heap is the arena, too small for a copy of a large environment each time.
    let kept =
        ["PATH", "QEMU_LD_PREFIX"].map(|name| (name, std::env::var_os(name).unwrap_or_default()));
    let output = Command::new(&words[0])
        .args(&words[1..])
        .env_clear()
        .envs(kept.into_iter().filter(|(_, value)| !value.is_empty()))
        .env(ACTION, word)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    (output.status.signal(), output.status.code(), text)
}

fn main() {
    let word = std::env::var(ACTION).ok();
    match word.as_deref() {
        Some("too much") => {
            let size = trainyard::limits::BOARD.arena_bytes + 1;
            drop(std::hint::black_box(vec![0_u8; size]));
            return;
        }
        Some(word) => return act(word),
        None => {}
    }
    let (signal, code, text) = result_of("nothing");
    assert_eq!((signal, code, &text[..]), (None, Some(0), ""));
    for word in ["vec", "box", "grow", "format", "thread"] {
        let (signal, code, text) = result_of(word);
        assert_eq!((signal, code), (Some(6), None), "{word}: {text}");
        assert!(
            text == "trainyard: allocation after the arena was sealed; this is a bug, please report it\n",
            "{word}: {text:?}"
        );
        println!("seal: {word} after the seal aborts");
    }
    let (signal, _, text) = result_of("too much");
    assert_eq!(signal, Some(6), "{text}");
    assert!(text.contains("arena_bytes"), "{text:?}");
    println!("seal: more than the arena aborts");
}
