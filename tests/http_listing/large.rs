//! Folders that are too large to be kept, many clients at once, and folders that change.

use crate::common::assert_bytes;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::socket::{setsockopt, sockopt};
use trainyard::limits::BOARD;

use super::common::{Over, at_once, program};
use super::*;
use crate::common::uninterrupted;

/// Twice what one pass can keep, of names that are no longer than these.
const MANY: usize = 40_000;

/// Empty files of names in no order.
fn fill(folder: &Path, count: usize) -> Vec<String> {
    let name = |index: usize| {
        let number = (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!("{number:016x} of many files{}", ".".repeat(index % 9))
    };
    let mut all: Vec<_> = (0..count).map(name).collect();
    for name in &all {
        fs::write(folder.join(name), b"").unwrap();
    }
    all.sort();
    all
}

#[test]
fn a_folder_of_any_size_is_listed_whole_and_in_order() {
    let root = tempfile::tempdir().unwrap();
    let count = if program::is_emulated() {
        MANY / 4
    } else {
        MANY
    };
    let all = fill(root.path(), count);
    let server = small_server(root.path(), &[]);
    let mut client = Client::connect(&server);
    assert!(list(&mut client, "/") == all);
    let page = client.get("/", &[HTML]);
    let shown = links(&page);
    assert_eq!(shown.len(), all.len());
    assert!(
        shown
            .iter()
            .zip(&all)
            .all(|(link, name)| entries::decoded(link) == name.as_bytes())
    );
    // In pages, of which each goes on behind the last name of the one before.
    let (mut paged, mut after) = (Vec::new(), String::new());
    loop {
        let target = format!("/?limit=7001&after={}", after.replace(' ', "%20"));
        let some = list(&mut client, &target);
        assert!(some.len() <= 7001);
        let Some(last) = some.last() else { break };
        after.clone_from(last);
        paged.extend(some);
    }
    assert!(paged == all);
    // With a filter, of the few that are left.
    let few = list(&mut client, "/?q=00");
    let expected: Vec<_> = all
        .iter()
        .filter(|name| name.contains("00"))
        .cloned()
        .collect();
    assert!(few == expected && !few.is_empty());
    server.stop();
}

/// Where too many are there to be sorted so, it is said, and they come by name.
#[test]
fn what_is_too_much_to_sort_comes_by_name_with_a_note() {
    let root = tempfile::tempdir().unwrap();
    let all = fill(root.path(), MANY);
    let server = small_server(root.path(), &[]);
    let mut client = Client::connect(&server);
    for query in ["sort=size", "sort=date&order=desc"] {
        let page = client.get(&format!("/?{query}"), &[HTML]);
        let text = String::from_utf8_lossy(&page.body).into_owned();
        assert!(text.contains("too many entries to sort"), "{query}");
        assert_eq!(links(&page).len(), all.len());
        assert!(list(&mut client, &format!("/?{query}")) == all, "{query}");
    }
    server.stop();
}

/// More entries that are not shown than one pass can keep, also where nothing else is there or follows: each
/// listing comes to its end, and others are not kept from theirs.
#[test]
fn entries_that_are_not_shown_hold_up_nobody() {
    let root = tempfile::tempdir().unwrap();
    let dangling = root.path().join("dangling");
    fs::create_dir(&dangling).unwrap();
    let count = 3 * BOARD.listing_bytes / 256;
    for index in 0..count {
        let name = format!("{index:06}{}", "-".repeat(240));
        symlink("nowhere", dangling.join(name)).unwrap();
    }
    let server = small_server(root.path(), &[]);
    let mut client = Client::connect(&server);
    assert_eq!(list(&mut client, "/dangling/"), [""; 0]);
    for query in ["order=desc", "limit=1", "sort=size", "q=-"] {
        assert_eq!(list(&mut client, &format!("/dangling/?{query}")), [""; 0]);
    }
    old_file(&dangling.join("000000"), 1, 10);
    old_file(&dangling.join("999999"), 2, 10);
    let both = ["000000", "999999"];
    assert_eq!(list(&mut client, "/dangling/"), both);
    assert_eq!(list(&mut client, "/dangling/?limit=1"), both[..1]);
    // Its client has gone.
    Client::connect(&server).send(&get("/dangling/", &[JSON]));
    assert_eq!(list(&mut client, "/"), ["dangling"]);
    // The last page says that no other follows it.
    let page = client.get("/dangling/?limit=2", &[HTML]);
    assert_eq!(links(&page), both);
    assert_eq!(link_labelled(&page, "Next page"), None);
    server.stop();
}

/// One listing is made at a time; all clients get theirs, and files are served meanwhile.
#[test]
fn many_clients_list_at_once() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("many");
    fs::create_dir(&folder).unwrap();
    let all = fill(&folder, 6000);
    let bytes = old_file(&root.path().join("file"), 1, 3000);
    let server = small_server(root.path(), &[]);
    at_once(16, |number| {
        let mut client = if number % 2 == 0 {
            Client::narrow(&server)
        } else {
            Client::connect(&server)
        };
        for round in 0..3 {
            if number < 12 {
                assert!(list(&mut client, "/many/") == all, "{number}, {round}");
                let page = client.get("/many/?sort=size&order=desc", &[HTML]);
                assert_eq!(links(&page).len(), all.len());
            } else {
                for _ in 0..100 {
                    assert_bytes(&client.get("/file", &[]).body, &bytes, "the body");
                }
            }
        }
    });
    server.stop();
}

/// Clients that leave in the midst of their listings, and those that stop reading, hold up nobody. All of
/// it takes less than `stall_ms`, after which those who stopped would be ended.
#[test]
fn who_leaves_or_stops_holds_up_nobody() {
    let root = tempfile::tempdir().unwrap();
    let all = fill(root.path(), 8_000);
    let server = small_server(root.path(), &[]);
    let mut stopped: Vec<_> = (0..3).map(|_| Client::narrow(&server)).collect();
    for client in &mut stopped {
        client.send(&get("/", &[JSON]).repeat(5));
    }
    for round in 0..10 {
        let mut leaving = Client::narrow(&server);
        leaving.send(&get("/", &[if round % 2 == 0 { JSON } else { HTML }]));
        uninterrupted(|| leaving.stream.peek(&mut [0])).unwrap();
    }
    assert!(list(&mut Client::connect(&server), "/") == all);
    // Those who stopped go on where they were.
    for client in &mut stopped {
        for _ in 0..5 {
            assert!(names(&of_json(&client.answer(false))) == all);
        }
    }
    server.stop();
}

/// A client that waits for another's listing, and leaves before it gets its own, is no reason for those behind
/// it to wait: they have no deadline meanwhile, so they would wait for ever.
#[test]
fn who_leaves_while_it_waits_for_the_listing_holds_up_nobody() {
    let root = tempfile::tempdir().unwrap();
    let count = if program::is_emulated() {
        MANY / 4
    } else {
        MANY
    };
    let all = fill(root.path(), count);
    let server = small_server(root.path(), &[]);
    // How long the first one reads the folder, during which the others come, depends on the machine.
    for pause_ms in [2, 4, 8, 16, 32] {
        let pause = || std::thread::sleep(Duration::from_millis(pause_ms));
        let ask = || {
            let mut client = Client::connect(&server);
            client.send(&get("/", &[JSON]));
            client
        };
        let mut lists = ask();
        pause();
        let leaving = [ask(), ask()];
        let mut waits = ask();
        pause();
        leaving.into_iter().for_each(reset);
        for client in [&mut waits, &mut lists] {
            assert!(names(&of_json(&client.answer(false))) == all, "{pause_ms}");
        }
    }
    server.stop();
}

/// Closes at once, and makes the server's socket an error.
fn reset(client: Connection) {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(&client.stream, sockopt::Linger, &linger).unwrap();
}

/// Names that come and go may be listed or not; those that stay are, once, in order. A listing that
/// cannot go on ends early, so that it does not look whole.
#[test]
fn a_folder_that_changes_while_it_is_listed() {
    let root = tempfile::tempdir().unwrap();
    let stay = fill(root.path(), 4000);
    let server = small_server(root.path(), &[]);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _over = Over(&is_over);
        let (is_over, folder) = (&is_over, root.path());
        scope.spawn(move || {
            let mut index = 0_u64;
            while !is_over.load(Ordering::Relaxed) {
                index += 1;
                let name = format!("{:016x} comes", index.wrapping_mul(0x1234_5678_9abc_def1));
                fs::write(folder.join(&name), b"x").unwrap();
                if !index.is_multiple_of(3) {
                    fs::remove_file(folder.join(&name)).unwrap();
                }
                std::thread::sleep(Duration::from_micros(300));
            }
        });
        let whole: usize = at_once(3, |_| {
            let mut whole = 0;
            for _ in 0..15 {
                let mut client = Client::narrow(&server);
                client.send(&get("/", &[JSON]));
                let Ok(answer) = client.try_answer(false) else {
                    continue;
                };
                let shown = names(&of_json(&answer));
                assert!(
                    shown.windows(2).all(|two| two[0] < two[1]),
                    "in order, once"
                );
                let staying = shown.iter().filter(|name| !name.ends_with("comes"));
                assert!(staying.eq(&stay));
                whole += 1;
            }
            whole
        })
        .into_iter()
        .sum();
        assert!(whole > 10, "{whole} of 45 were whole");
    });
    server.stop();
}
