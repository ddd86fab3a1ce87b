//! Ranges: one, several, none.

use crate::common::assert_bytes;
use std::fs::File;
use std::os::unix::fs::FileExt;

use super::common::http::{content_range, long_past, parts_of, set_modified};
use super::common::random_bytes;
use super::*;

#[track_caller]
fn assert_range(
    client: &mut Client<std::net::TcpStream>,
    asked: &str,
    bytes: &[u8],
    first: usize,
    size: usize,
) {
    let answer = client.get("/file", &[&format!("Range: {asked}")]);
    assert_eq!(answer.status, 206, "{asked}: {}", answer.shown());
    let range = content_range(answer.field("content-range").unwrap());
    let expected = (first as u64, (first + size - 1) as u64, bytes.len() as u64);
    assert_eq!(range, expected, "{asked}");
    assert_bytes(&answer.body, &bytes[first..first + size], asked);
    assert!(answer.field("etag").is_some() && answer.field("last-modified").is_some());
    let content_type = Some("application/octet-stream");
    assert_eq!(answer.field("content-type"), content_type);
}

#[test]
fn one_range_gives_its_bytes() {
    for size in [1000, 200_000] {
        let (root, bytes) = one_file(size);
        let server = small_server(root.path());
        let client = &mut Client::connect(&server);
        // As Safari asks first, to see whether ranges are known.
        assert_range(client, "bytes=0-1", &bytes, 0, 2);
        assert_range(client, "bytes=0-0", &bytes, 0, 1);
        assert_range(client, "bytes=0-", &bytes, 0, size);
        assert_range(client, "bytes=10-", &bytes, 10, size - 10);
        assert_range(client, "bytes=-7", &bytes, size - 7, 7);
        assert_range(client, "bytes=-999999999", &bytes, 0, size);
        assert_range(client, "bytes=100-399", &bytes, 100, 300);
        assert_range(
            client,
            "bytes=100-99999999999999999999999",
            &bytes,
            100,
            size - 100,
        );
        assert_range(client, "bytes=100-199,200-300", &bytes, 100, 201);
        assert_range(client, "bytes=200-300,50-250", &bytes, 50, 251);
        assert_range(client, "bytes=5-9,99999999-", &bytes, 5, 5);
        for _ in 0..2 {
            let first = size / 3;
            assert_range(
                client,
                &format!("bytes={first}-{}", size - 2),
                &bytes,
                first,
                size - 1 - first,
            );
        }
        server.stop();
    }
}

#[test]
fn a_range_that_counts_for_nothing_gives_the_whole_file() {
    let (root, bytes) = one_file(1000);
    let server = small_server(root.path());
    let mut client = Client::connect(&server);
    let many = format!("Range: bytes={}0-0", "4-4,0-0,".repeat(8));
    for field in [
        "Range: lines=0-1",
        "Range: bytes=",
        "Range: bytes=2-1",
        "Range: bytes=a-b",
        "Range: bytes 0-1",
        "Range: bytes=0-1\r\nRange: bytes=0-1",
        &many,
    ] {
        let answer = client.get("/file", &[field]);
        assert_eq!(answer.status, 200, "{field}");
        assert_bytes(&answer.body, &bytes, field);
    }
    let head = client.ask(&request("HEAD", "/file", &["Range: bytes=0-1"]));
    assert_eq!(head.status, 200, "a range is for GET alone");
    assert_eq!(head.field("content-length"), Some("1000"));
    server.stop();
}

#[test]
fn a_range_behind_the_end_is_told_the_size() {
    let (root, _) = one_file(1000);
    old_file(&root.path().join("empty"), 1, 0);
    let server = small_server(root.path());
    let mut client = Client::connect(&server);
    for (target, range, size) in [
        ("/file", "bytes=1000-", "1000"),
        ("/file", "bytes=1000-1001", "1000"),
        ("/file", "bytes=-0", "1000"),
        ("/file", "bytes=99999999999999999999999-", "1000"),
        ("/file", "bytes=5000-,6000-7000", "1000"),
        ("/empty", "bytes=0-", "0"),
        ("/empty", "bytes=0-1", "0"),
    ] {
        let answer = client.get(target, &[&format!("Range: {range}")]);
        assert_eq!(answer.status, 416, "{target} {range}");
        let expected = format!("bytes */{size}");
        assert_eq!(answer.field("content-range"), Some(expected.as_str()));
        assert!(answer.is_kept());
    }
    assert_eq!(client.get("/empty", &[]).status, 200);
    server.stop();
}

#[test]
fn several_ranges_come_as_parts() {
    for size in [2000, 900_000] {
        let (root, bytes) = one_file(size);
        std::fs::rename(root.path().join("file"), root.path().join("page.html")).unwrap();
        let server = small_server(root.path());
        let mut client = Client::connect(&server);
        for (asked, expected) in [
            ("0-0,2-2", vec![(0, 1), (2, 1)]),
            ("500-599,0-99", vec![(500, 100), (0, 100)]),
            ("-1,0-0", vec![(size - 1, 1), (0, 1)]),
            ("0-9,20-29,5-25,1000-", vec![(0, 30), (1000, size - 1000)]),
            ("1-2, 4-5 ,,7-8", vec![(1, 2), (4, 2), (7, 2)]),
            ("0-9,99999999-,20-", vec![(0, 10), (20, size - 20)]),
        ] {
            let answer = client.get("/page.html", &[&format!("Range: bytes={asked}")]);
            assert_eq!(answer.status, 206, "{asked}");
            let parts = parts_of(&answer).unwrap_or_else(|| panic!("{}", answer.shown()));
            assert_eq!(parts.len(), expected.len(), "{asked}");
            for (part, (first, length)) in parts.iter().zip(expected) {
                assert_eq!(part.first, first as u64, "{asked}");
                assert_eq!(part.last, (first + length - 1) as u64, "{asked}");
                assert_eq!(part.size, size as u64);
                assert_eq!(part.content_type, "text/html; charset=utf-8");
                assert_bytes(&part.data, &bytes[first..first + length], asked);
            }
        }
        // The most that are answered so.
        let most: Vec<_> = (0..16).map(|index| format!("{0}-{0}", index * 3)).collect();
        let answer = client.get("/page.html", &[&format!("Range: bytes={}", most.join(","))]);
        let parts = parts_of(&answer).unwrap();
        assert_eq!(parts.len(), 16);
        assert!(
            parts
                .iter()
                .all(|part| part.data == [bytes[part.first as usize]])
        );
        server.stop();
    }
}

#[test]
fn a_range_can_depend_on_the_file_being_the_same() {
    let (root, bytes) = one_file(1000);
    let server = small_server(root.path());
    let mut client = Client::connect(&server);
    let tag = client.get("/file", &[]).field("etag").unwrap().to_string();
    assert!(tag.starts_with('"'), "{tag}");
    for (value, status) in [
        (tag.as_str(), 206),
        ("\"other\"", 200),
        (&format!("W/{tag}"), 200),
        (tag.trim_matches('"'), 200),
        ("Sun, 09 Sep 2001 01:46:40 GMT", 206),
        ("Sunday, 09-Sep-01 01:46:40 GMT", 206),
        ("Sun, 09 Sep 2001 01:46:41 GMT", 200),
        ("Sun, 09 Sep 2001 01:46:39 GMT", 200),
        ("nonsense", 200),
        ("*", 200),
    ] {
        let if_range = format!("If-Range: {value}");
        let answer = client.get("/file", &["Range: bytes=10-19", &if_range]);
        assert_eq!(answer.status, status, "{value}");
        let expected = if status == 206 {
            &bytes[10..20]
        } else {
            &bytes
        };
        assert_bytes(&answer.body, expected, value);
        // Where the condition fails, a range behind the end is no fault.
        let answer = client.get("/file", &["Range: bytes=5000-", &if_range]);
        assert_eq!(answer.status, if status == 206 { 416 } else { 200 });
    }
    server.stop();
}

#[test]
fn a_file_of_more_than_four_gibibytes_has_ranges_everywhere() {
    const SIZE: u64 = (4 << 30) + 3_000_000;
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("file");
    let file = File::options()
        .create_new(true)
        .write(true)
        .open(&path)
        .unwrap();
    file.set_len(SIZE).unwrap();
    let places = [
        0,
        (2 << 30) - 50,
        (4 << 30) - 50,
        (4 << 30) + 1_000_000,
        SIZE - 100,
    ];
    let bytes = |place: u64| random_bytes(place, 100);
    for place in places {
        file.write_all_at(&bytes(place), place).unwrap();
    }
    drop(file);
    set_modified(&path, long_past());
    let server = small_server(root.path());
    let mut client = Client::connect(&server);
    for place in places {
        let last = place + 99;
        let answer = client.get("/file", &[&format!("Range: bytes={place}-{last}")]);
        let expected = format!("bytes {place}-{last}/{SIZE}");
        assert_eq!(answer.field("content-range"), Some(expected.as_str()));
        assert_bytes(&answer.body, &bytes(place), place);
    }
    let answer = client.get("/file", &["Range: bytes=-100"]);
    assert_bytes(&answer.body, &bytes(SIZE - 100), "the body");
    let head = client.ask(&request("HEAD", "/file", &[]));
    let size = SIZE.to_string();
    assert_eq!(head.field("content-length"), Some(size.as_str()));
    // Two parts whose sum is beyond 32 bits too, as lengths.
    let (first, second) = (places[2], places[3]);
    let asked = format!(
        "Range: bytes={first}-{},{second}-{}",
        first + 99,
        second + 99
    );
    let parts = parts_of(&client.get("/file", &[&asked])).unwrap();
    assert_bytes(&parts[0].data, &bytes(first), "the first part");
    assert_bytes(&parts[1].data, &bytes(second), "the second part");
    // A long range across the boundary.
    let from = (4_u64 << 30) - 1_000_000;
    let answer = client.get("/file", &[&format!("Range: bytes={from}-")]);
    assert_eq!(answer.body.len() as u64, SIZE - from);
    for place in &places[2..] {
        let at = (place - from) as usize;
        assert!(answer.body[at..at + 100] == bytes(*place), "{place}");
    }
    let known: u64 = places[2..]
        .iter()
        .flat_map(|place| bytes(*place))
        .map(u64::from)
        .sum();
    assert_eq!(
        answer.body.iter().map(|byte| u64::from(*byte)).sum::<u64>(),
        known
    );
    server.stop();
}
