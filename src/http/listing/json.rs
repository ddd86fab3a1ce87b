//! The listing of a folder for programs: an array of JSON (RFC 8259).
//!
//! Its entries have the words of nginx's autoindex module, and times as RFC 3339 has them:
//!
//! ```json
//! [
//! {"name":"docs","type":"directory","size":0,"mtime":"2026-11-24T13:05:00Z"},
//! {"name":"a.txt","type":"file","size":1234,"mtime":"2026-11-24T13:05:00Z"}
//! ]
//! ```
//!
//! The `size` of a directory is 0. A name that is not UTF-8 is no string of JSON: `name` shows U+FFFD
//! for what it is not, and a member `href` has the name's bytes, percent-encoded, as the link to it in
//! the page for people has them. It goes on to `?after=` as it is.

use crate::entry::Entry;
use crate::http::civil_time::CivilTime;
use crate::http::text::{Output, put_json, put_url};

/// Writes the array's start.
pub fn json_head(out: &mut impl Output) {
    out.text("[\n");
}

/// Writes an entry, and the comma before it if it is not the page's first.
pub fn json_row(out: &mut impl Output, entry: &Entry<'_>, is_first: bool) {
    if !is_first {
        out.text(",\n");
    }
    out.text("{\"name\":\"");
    put_json(out, entry.name);
    if str::from_utf8(entry.name).is_err() {
        out.text("\",\"href\":\"");
        put_url(out, entry.name);
    }
    if entry.is_folder {
        out.text("\",\"type\":\"directory\",\"size\":0");
    } else {
        out.text("\",\"type\":\"file\",\"size\":");
        out.number(entry.size, 1);
    }
    out.text(",\"mtime\":\"");
    CivilTime::new(entry.mtime_ns).put_rfc_3339(out);
    out.text("\"}");
}

/// Writes the array's end.
pub fn json_foot(out: &mut impl Output) {
    out.text("\n]\n");
}
