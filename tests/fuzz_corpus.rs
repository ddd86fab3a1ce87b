//! Replays the fixed corpus of the fuzz targets, on any compiler.

use crate::bodies;

use std::fs;
use std::path::Path;

#[test]
fn the_corpus_holds() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    for (name, check) in bodies::ALL {
        let mut count = 0;
        for entry in fs::read_dir(corpus.join(name)).unwrap() {
            let path = entry.unwrap().path();
            println!("{}", path.display()); // shown if it fails
            check(&fs::read(&path).unwrap());
            count += 1;
        }
        assert!(count >= 5, "{name} has a corpus");
    }
}

/// The target whose body and replay stand in `src/worker/testing`, where a socket can be scripted.
const IN_WORKER: &str = "exchange";

#[test]
fn every_target_has_a_body_and_a_corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    let names = |folder: &Path| {
        let entries = fs::read_dir(folder).unwrap();
        let stem = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_string();
        let mut names: Vec<_> = entries.map(|entry| stem(&entry.unwrap().path())).collect();
        names.sort();
        names
    };
    let bodies = bodies::ALL.iter().map(|(name, _)| *name);
    let mut expected: Vec<&str> = bodies.chain([IN_WORKER]).collect();
    expected.sort_unstable();
    assert_eq!(names(&folder.join("fuzz_targets")), expected);
    assert_eq!(names(&folder.join("corpus")), expected);
}
