//! Files that another program puts beside the server: rsync, which writes to a temporary name that begins
//! with a dot, and renames.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::clients::{SIZE, Yard};
use super::common::Over;
use super::common::http::{Client, old_file};
use super::common::server::LIMIT;
use super::common::{checksum, wait_until};
use super::is_left_out;

#[test]
fn what_rsync_replaces_is_served_old_or_new_and_never_mixed() {
    if is_left_out() {
        return;
    }
    let yard = Yard::new();
    // Of one size, and each with a time of its own.
    let versions = [2, 3].map(|seed| {
        let path = yard.home.path().join(seed.to_string());
        let bytes = old_file(&path, seed, SIZE);
        let file = fs::File::open(&path).unwrap();
        let time = super::common::http::long_past() + std::time::Duration::from_secs(seed);
        file.set_modified(time).unwrap();
        (path, checksum(&bytes))
    });
    let first = checksum(&yard.bytes);
    let target = yard.root.path().join("file.bin");
    let is_over = AtomicBool::new(false);
    let counts = [const { AtomicUsize::new(0) }; 2];
    std::thread::scope(|scope| {
        let over = Over(&is_over);
        for _ in 0..3 {
            scope.spawn(|| {
                let mut tags = [None, None];
                while !is_over.load(Ordering::Relaxed) {
                    let answer = Client::connect(&yard.server).get("/file.bin", &[]);
                    assert_eq!(answer.status, 200);
                    let sum = checksum(&answer.body);
                    let version = versions.iter().position(|(_, known)| *known == sum);
                    let Some(version) = version else {
                        assert_eq!(sum, first, "one of the versions, whole");
                        continue;
                    };
                    counts[version].fetch_add(1, Ordering::Relaxed);
                    // The time comes with the file, so the tag says which it is.
                    let tag = answer.field("etag").map(String::from);
                    let known = tags[version].get_or_insert(tag.clone());
                    assert_eq!(*known, tag);
                }
            });
        }
        for round in 0..12 {
            let (from, _) = &versions[(round + 1) % 2];
            let from = from.to_str().unwrap();
            let to = target.to_str().unwrap();
            yard.passes("rsync", &["--times", "--whole-file", from, to]);
            let listing = Client::connect(&yard.server).get("/?format=json", &[]);
            let listing = String::from_utf8(listing.body).unwrap();
            assert_eq!(listing.matches("\"name\"").count(), 1, "{listing}");
            let before = counts.each_ref().map(|count| count.load(Ordering::Relaxed));
            wait_until("the new version", LIMIT, || {
                counts[(round + 1) % 2].load(Ordering::Relaxed) > before[(round + 1) % 2]
            });
        }
        drop(over);
    });
    yard.server.stop();
}
