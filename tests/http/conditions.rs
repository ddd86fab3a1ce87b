//! Validators, conditions and the copies of a file in other encodings.

use crate::common::assert_bytes;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use super::common::http::{Answer, long_past, set_modified};
use super::*;

const MODIFIED: &str = "Sun, 09 Sep 2001 01:46:40 GMT";
const BEFORE: &str = "Sun, 09 Sep 2001 01:46:39 GMT";
const AFTER: &str = "Sun, 09 Sep 2001 01:46:41 GMT";

fn tag_of(server: &Server, target: &str) -> String {
    let answer = once(server, &get(target, &[]));
    answer.field("etag").unwrap().to_string()
}

#[test]
fn a_tag_is_made_of_size_and_time_alone() {
    let (root, bytes) = one_file(1000);
    let server = small_server(root.path());
    let tag = tag_of(&server, "/file");
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 10);
    server.stop();
    // The same after a restart, for a copy on another card, under another name.
    let other = tempfile::tempdir().unwrap();
    let copy = other.path().join("copy");
    fs::write(&copy, &bytes).unwrap();
    set_modified(&copy, long_past());
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    assert_ne!(inode(&copy), inode(&root.path().join("file")));
    let server = small_server(other.path());
    assert_eq!(tag_of(&server, "/copy"), tag);
    // Another one by a nanosecond, and by a byte.
    for (time, size) in [
        (long_past() + Duration::from_nanos(1), 1000),
        (long_past() - Duration::from_nanos(1), 1000),
        (long_past(), 999),
        (long_past(), 1001),
    ] {
        old_file(&copy, 4, size);
        set_modified(&copy, time);
        assert_ne!(tag_of(&server, "/copy"), tag, "{size}");
    }
    old_file(&copy, 4, 1000);
    assert_eq!(tag_of(&server, "/copy"), tag, "it cannot see the bytes");
    // Times that a card without a clock can have.
    for time in [
        SystemTime::UNIX_EPOCH,
        SystemTime::UNIX_EPOCH - Duration::from_millis(1500),
    ] {
        set_modified(&copy, time);
        let answer = once(&server, &get("/copy", &[]));
        assert_eq!(
            answer.field("last-modified"),
            Some("Thu, 01 Jan 1970 00:00:00 GMT")
        );
        assert!(answer.field("etag").unwrap().starts_with('"'));
    }
    server.stop();
}

#[test]
fn a_tag_is_weak_while_the_file_is_young() {
    let (root, bytes) = one_file(1000);
    let path = root.path().join("file");
    let server = small_server(root.path());
    set_modified(&path, SystemTime::now());
    let mut client = Client::connect(&server);
    let young = client.get("/file", &[]);
    let weak = young.field("etag").unwrap().to_string();
    assert!(weak.starts_with("W/\""), "{weak}");
    let strong = &weak[2..];
    let if_match = format!("If-Match: {strong}");
    let if_none_match = format!("If-None-Match: {strong}");
    let if_range = format!("If-Range: {strong}");
    assert_eq!(client.get("/file", &[&if_match]).status, 412);
    assert_eq!(client.get("/file", &[&if_none_match]).status, 304);
    assert_eq!(
        client.get("/file", &["Range: bytes=0-1", &if_range]).status,
        200
    );
    assert_eq!(client.get("/file", &["Range: bytes=0-1"]).status, 206);
    std::thread::sleep(Duration::from_millis(2100));
    let old = client.get("/file", &[]);
    assert_eq!(old.field("etag"), Some(strong), "the same but for W/");
    assert_eq!(client.get("/file", &[&if_match]).status, 200);
    let part = client.get("/file", &["Range: bytes=0-1", &if_range]);
    assert_eq!((part.status, &part.body[..]), (206, &bytes[..2]));
    server.stop();
}

#[test]
fn a_time_to_come_is_not_told() {
    let (root, bytes) = one_file(1000);
    let server = small_server(root.path());
    let time = SystemTime::now() + Duration::from_secs(86_400);
    set_modified(&root.path().join("file"), time);
    let answer = once(&server, &get("/file", &[]));
    assert!(answer.field("date").is_some());
    assert_eq!(answer.field("last-modified"), None);
    assert!(answer.field("etag").is_some(), "{}", answer.shown());
    assert_bytes(&answer.body, &bytes, "the body");
    server.stop();
}

/// RFC 9110 section 13.2.2.
#[test]
fn conditions_are_evaluated_in_their_order() {
    let (root, bytes) = one_file(1000);
    let server = small_server(root.path());
    let tag = tag_of(&server, "/file");
    let mut client = Client::connect(&server);
    let im = |value: &str| format!("If-Match: {value}");
    let inm = |value: &str| format!("If-None-Match: {value}");
    let ims = |value: &str| format!("If-Modified-Since: {value}");
    let ius = |value: &str| format!("If-Unmodified-Since: {value}");
    let other = "\"other\"";
    let weak = format!("W/{tag}");
    let list = format!("{other}, \"a,b\" ,{tag}");
    for (fields, status) in [
        (vec![im(&tag)], 200),
        (vec![im("*")], 200),
        (vec![im(&list)], 200),
        (vec![im(other)], 412),
        (vec![im(&weak)], 412),
        (vec![im(other), im(&tag)], 200),
        (vec![ius(MODIFIED)], 200),
        (vec![ius(AFTER)], 200),
        (vec![ius(BEFORE)], 412),
        (vec![ius("nonsense")], 200),
        (vec![im(&tag), ius(BEFORE)], 200),
        (vec![im(other), ius(AFTER)], 412),
        (vec![inm(&tag)], 304),
        (vec![inm(&weak)], 304),
        (vec![inm("*")], 304),
        (vec![inm(&list)], 304),
        (vec![inm(other)], 200),
        (vec![inm(tag.trim_matches('"'))], 200),
        (vec![ims(MODIFIED)], 304),
        (vec![ims(AFTER)], 304),
        (vec![ims("Sunday, 09-Sep-01 01:46:40 GMT")], 304),
        (vec![ims("Sun Sep  9 01:46:40 2001")], 304),
        (vec![ims(BEFORE)], 200),
        (vec![ims("nonsense")], 200),
        (vec![inm(other), ims(AFTER)], 200),
        (vec![inm(&tag), ims(BEFORE)], 304),
        (vec![im(other), inm(&tag)], 412),
        (vec![im(&tag), inm(&tag)], 304),
        (vec![ius(BEFORE), inm(&tag)], 412),
        (vec![im(&tag), ius(BEFORE), inm(other), ims(AFTER)], 200),
    ] {
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        for method in ["GET", "HEAD"] {
            let answer = client.ask(&request(method, "/file", &fields));
            assert_eq!(answer.status, status, "{method} {fields:?}");
            assert_unsent(&answer, &tag);
            if status == 200 && method != "HEAD" {
                assert_bytes(&answer.body, &bytes, "the body");
            }
        }
        let answer = client.ask(&request("OPTIONS", "/file", &fields));
        assert_eq!(answer.status, 204, "{fields:?}");
        // A range comes last.
        let with_range = [&fields[..], &["Range: bytes=1-2"]].concat();
        let answer = client.get("/file", &with_range);
        assert_eq!(answer.status, if status == 200 { 206 } else { status });
        // What is not there has no state.
        let answer = client.get("/missing", &fields);
        assert_eq!(answer.status, 404, "{fields:?}");
    }
    server.stop();
}

/// 304 and 412 have the fields that a cache needs, and no body.
#[track_caller]
fn assert_unsent(answer: &Answer, tag: &str) {
    if answer.status == 200 {
        return;
    }
    assert_eq!(answer.field("etag"), Some(tag), "{}", answer.shown());
    assert_eq!(answer.field("last-modified"), Some(MODIFIED));
    assert!(answer.field("date").is_some() && answer.is_kept());
    assert_eq!(answer.field("content-type"), None);
    let length = answer.field("content-length");
    assert_eq!(length, (answer.status == 412).then_some("0"));
}

/// The file and its copies; each copy has bytes of its own.
fn with_copies(encodings: &[&str]) -> (tempfile::TempDir, Vec<Vec<u8>>) {
    let root = tempfile::tempdir().unwrap();
    let names = [""].iter().chain(encodings).enumerate();
    let all = names.map(|(index, suffix)| {
        let path = root.path().join(format!("page.html{suffix}"));
        old_file(&path, index as u64, 1000 * (index + 1))
    });
    let all = all.collect();
    (root, all)
}

#[test]
fn a_copy_in_an_accepted_encoding_is_sent() {
    let (root, files) = with_copies(&[".br", ".zst", ".gz"]);
    let server = small_server(root.path());
    let mut client = Client::connect(&server);
    let mut tags = std::collections::BTreeSet::new();
    for (accept, expected, name) in [
        (None, 0, None),
        (Some("identity"), 0, None),
        (Some("deflate"), 0, None),
        (Some("gzip"), 3, Some("gzip")),
        (Some("gzip, deflate, br, zstd"), 1, Some("br")),
        (Some("gzip, zstd"), 2, Some("zstd")),
        (Some("br;q=0.1, gzip;q=0.9"), 3, Some("gzip")),
        (Some("br;q=0, *"), 2, Some("zstd")),
        (Some("*;q=0"), 0, None),
    ] {
        let fields: Vec<String> = accept
            .map(|value| format!("Accept-Encoding: {value}"))
            .into_iter()
            .collect();
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let answer = client.get("/page.html", &fields);
        assert_eq!(answer.status, 200);
        assert_bytes(&answer.body, &files[expected], format_args!("{accept:?}"));
        assert_eq!(answer.field("content-encoding"), name, "{accept:?}");
        let vary = Some("Accept-Encoding");
        assert_eq!(answer.field("vary"), vary, "{accept:?}");
        let html = Some("text/html; charset=utf-8");
        assert_eq!(answer.field("content-type"), html);
        let tag = answer.field("etag").unwrap().to_string();
        // Ranges and conditions are those of the copy.
        let range = [&fields[..], &["Range: bytes=-5,0-0"]].concat();
        let parts = common::http::parts_of(&client.get("/page.html", &range)).unwrap();
        let bytes = &files[expected];
        assert_bytes(&parts[0].data, &bytes[bytes.len() - 5..], "the first part");
        assert_bytes(&parts[1].data, &bytes[..1], "the second part");
        let if_range = format!("If-Range: {tag}");
        let range = [&fields[..], &["Range: bytes=7-8", &if_range]].concat();
        let part = client.get("/page.html", &range);
        assert_eq!((part.status, &part.body[..]), (206, &bytes[7..9]));
        assert_eq!(part.field("content-encoding"), name);
        let known = format!("If-None-Match: {tag}");
        let known = client.get("/page.html", &[&fields[..], &[&known]].concat());
        assert_eq!(known.status, 304);
        assert_eq!(known.field("vary"), vary);
        tags.insert(tag);
    }
    assert_eq!(
        tags.len(),
        4,
        "each encoding has a tag of its own: {tags:?}"
    );
    // A copy that is asked for by its own name is a file like any other.
    let copy = client.get("/page.html.gz", &["Accept-Encoding: gzip"]);
    assert_bytes(&copy.body, &files[3], "the body");
    assert_eq!(copy.field("content-encoding"), None);
    assert_eq!(copy.field("content-type"), Some("application/gzip"));
    assert_eq!(copy.field("vary"), None);
    server.stop();
}

#[test]
fn copies_of_the_same_size_have_tags_of_their_own() {
    let root = tempfile::tempdir().unwrap();
    for suffix in ["", ".br", ".gz", ".zst"] {
        old_file(&root.path().join(format!("page{suffix}")), 3, 500);
    }
    let server = small_server(root.path());
    let mut client = Client::connect(&server);
    let plain = client.get("/page", &[]);
    let tag = plain.field("etag").unwrap();
    for accept in ["br", "gzip", "zstd"] {
        let accept = format!("Accept-Encoding: {accept}");
        let known = format!("If-None-Match: {tag}");
        let answer = client.get("/page", &[&accept, &known]);
        assert_eq!(answer.status, 200, "{accept}");
        assert_ne!(answer.field("etag"), Some(tag), "{accept}");
    }
    server.stop();
}

#[test]
fn an_index_file_has_copies_too() {
    let root = tempfile::tempdir().unwrap();
    let page = old_file(&root.path().join("index.html"), 1, 900);
    let packed = old_file(&root.path().join("index.html.gz"), 2, 300);
    fs::create_dir(root.path().join("page.gz")).unwrap();
    old_file(&root.path().join("page"), 3, 50);
    let server = small_server(root.path());
    let mut client = Client::connect(&server);
    assert_bytes(&client.get("/", &[]).body, &page, "the body");
    let answer = client.get("/", &["Accept-Encoding: gzip"]);
    assert_bytes(&answer.body, &packed, "the body");
    assert_eq!(answer.field("content-encoding"), Some("gzip"));
    // A folder is no copy.
    let answer = client.get("/page", &["Accept-Encoding: gzip"]);
    assert_eq!(answer.field("vary"), None);
    assert_eq!(answer.body.len(), 50);
    server.stop();
}
