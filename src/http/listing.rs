//! The listing of a folder as a page for people: a head, a row for each entry, a foot.
//!
//! The parts are written one by one, as entries come, and each is the same whenever it is made of
//! the same: so a listing can be sent in pieces of any size.

mod json;
mod query;

pub use json::{json_foot, json_head, json_row};
pub use query::{BadQuery, Format, Query};

use super::civil_time::CivilTime;
use super::document::{LISTING_STYLE, put_start, put_style};
use super::text::{FixedBuf, Output, put_html, put_size, put_url};
use crate::entry::{By, Entry, Order};
use crate::limits::CAR_BUFFER_BYTES;

/// Bytes of the longest head, of a path of at most 1000 bytes.
pub const HEAD_BYTES_MAX: usize = 36 * 1024;
/// Bytes of the longest row, as HTML or JSON.
pub const ROW_BYTES_MAX: usize = 8 * 1024;
/// Bytes of the longest foot.
pub const FOOT_BYTES_MAX: usize = 10 * 1024;

const _: () = assert!(
    HEAD_BYTES_MAX + ROW_BYTES_MAX + FOOT_BYTES_MAX + 3 * FixedBuf::CHUNK_BYTES <= CAR_BUFFER_BYTES,
    "the longest parts can be made one behind the other"
);

/// Folders that are links above the title: of a deeper path the uppermost one and the last ones.
const CRUMBS_MAX: usize = 16;

/// What a page says above its entries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Note {
    /// The folder has too many entries to sort them by this; [`Query::order`] is by name instead.
    TooManyToSort(By),
}

/// Writes the page's head, for the folder at `path`: decoded, with no slash at its ends, empty for
/// the root. The page's links are relative, and hold at a URL that ends with a slash.
pub fn head(out: &mut impl Output, path: &[u8], query: &Query, note: Option<Note>) {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    let (title, name) = if path.is_empty() {
        (&b"Files"[..], &b"Files"[..])
    } else {
        (path, name)
    };
    put_start(out, title, None);
    put_style(out, LISTING_STYLE);
    out.text("</head>\n<body>\n");
    put_crumbs(out, path);
    out.text("<h1><bdi>");
    put_html(out, name);
    out.text("</bdi></h1>\n");
    put_form(out, query);
    if let Some(Note::TooManyToSort(by)) = note {
        out.text("<p class=\"note\">This folder has too many entries to sort them by ");
        out.text(query::sort_name(by));
        out.text(". They are sorted by name.</p>\n");
    }
    out.text("<table>\n<thead><tr>");
    for (by, label) in [
        (By::Name, "Name"),
        (By::Size, "Size"),
        (By::Date, "Modified"),
    ] {
        put_column(out, query, by, label);
    }
    out.text("</tr></thead>\n<tbody>\n");
    if !path.is_empty() {
        out.text("<tr><td><a class=\"d\" href=\"../\" aria-label=\"Folder above\">..</a></td>");
        out.text("<td></td><td></td></tr>\n");
    }
}

/// The way from the root to the folder above.
fn put_crumbs(out: &mut impl Output, path: &[u8]) {
    if path.is_empty() {
        return;
    }
    let depth = path.split(|byte| *byte == b'/').count();
    out.text("<nav aria-label=\"Folders above\"><ol>");
    put_crumb(out, depth, b"Files");
    if depth > CRUMBS_MAX {
        out.text("<li>\u{2026}</li>");
    }
    for (index, name) in path.split(|byte| *byte == b'/').enumerate() {
        let above = depth - 1 - index;
        if (1..CRUMBS_MAX).contains(&above) {
            put_crumb(out, above, name);
        }
    }
    out.text("</ol></nav>\n");
}

fn put_crumb(out: &mut impl Output, above: usize, name: &[u8]) {
    out.text("<li><a href=\"");
    (0..above).for_each(|_| out.text("../"));
    out.text("\"><bdi>");
    put_html(out, name);
    out.text("</bdi></a></li>");
}

/// The filter, which works by the browser alone. It keeps order and limit.
fn put_form(out: &mut impl Output, query: &Query) {
    out.text("<form method=\"get\" role=\"search\"><label for=\"q\">Filter by name</label>");
    out.text("<input id=\"q\" name=\"q\" type=\"search\" maxlength=\"255\" autocomplete=\"off\"");
    out.text(" autocapitalize=\"off\" spellcheck=\"false\" value=\"");
    put_html(out, &query.filter);
    out.text("\">");
    if query.order.by != By::Name {
        put_hidden(out, "sort", |out| {
            out.text(query::sort_name(query.order.by))
        });
    }
    if query.order.descending {
        put_hidden(out, "order", |out| out.text("desc"));
    }
    if let Some(limit) = query.limit {
        put_hidden(out, "limit", |out| out.number(limit.into(), 1));
    }
    out.text("<button>Filter</button></form>\n");
}

fn put_hidden<S: Output>(out: &mut S, name: &str, put_value: impl FnOnce(&mut S)) {
    out.text("<input type=\"hidden\" name=\"");
    out.text(name);
    out.text("\" value=\"");
    put_value(out);
    out.text("\">");
}

/// The head of a column: a link that sorts by it, and the other way round if that is so already.
/// The largest and the newest come first, unless asked for again.
fn put_column(out: &mut impl Output, query: &Query, by: By, label: &str) {
    let is_sorted = query.order.by == by;
    out.text(match (is_sorted, query.order.descending) {
        (false, _) => "<th scope=\"col\"><a href=\"",
        (true, false) => "<th scope=\"col\" aria-sort=\"ascending\"><a href=\"",
        (true, true) => "<th scope=\"col\" aria-sort=\"descending\"><a href=\"",
    });
    let descending = if is_sorted {
        !query.order.descending
    } else {
        by != By::Name
    };
    query.put_link(out, Order { by, descending }, b"");
    out.text("\">");
    out.text(label);
    out.text("</a></th>");
}

/// Writes the row of an entry.
pub fn row(out: &mut impl Output, entry: &Entry<'_>) {
    let slash = if entry.is_folder { "/" } else { "" };
    out.text(if entry.is_folder {
        "<tr><td><a class=\"d\" href=\""
    } else {
        "<tr><td><a href=\""
    });
    put_url(out, entry.name);
    out.text(slash);
    out.text("\"><bdi>");
    put_html(out, entry.name);
    out.text(slash);
    out.text("</bdi></a></td>");
    if entry.is_folder {
        out.text("<td></td>");
    } else {
        out.text("<td title=\"");
        out.number(entry.size, 1);
        out.text(" bytes\">");
        put_size(out, entry.size);
        out.text("</td>");
    }
    let time = CivilTime::new(entry.mtime_ns);
    out.text("<td><time datetime=\"");
    time.put_rfc_3339(out);
    out.text("\">");
    time.put(out);
    out.text("</time></td></tr>\n");
}

/// Writes the page's foot, after `rows` rows. `last` is the name of the last one's entry where more
/// follow that the limit left out.
pub fn foot(out: &mut impl Output, query: &Query, rows: u32, last: Option<&[u8]>) {
    out.text("</tbody></table>\n<footer>");
    let is_first = query.after.is_empty();
    match (rows, is_first, query.filter.is_empty()) {
        (0, false, _) => out.text("<p>No entries follow.</p>"),
        (0, true, true) => out.text("<p>This folder is empty.</p>"),
        (0, true, false) => {
            out.text("<p>No name here contains \u{201c}<bdi>");
            put_html(out, &query.filter);
            out.text("</bdi>\u{201d}.</p>");
        }
        _ => {
            out.text("<p>");
            out.number(rows.into(), 1);
            out.text(if rows == 1 { " entry" } else { " entries" });
            out.text(if is_first && last.is_none() {
                "</p>"
            } else {
                " on this page</p>"
            });
        }
    }
    if !query.filter.is_empty() {
        let all = Query {
            filter: heapless::Vec::new(),
            ..query.clone()
        };
        put_more(out, |out| all.put_link(out, all.order, b""), "Show all");
    }
    if !is_first {
        put_more(
            out,
            |out| query.put_link(out, query.order, b""),
            "First page",
        );
    }
    if let Some(last) = last {
        put_more(
            out,
            |out| query.put_link(out, query.order, last),
            "Next page",
        );
    }
    out.text("</footer>\n</body></html>\n");
}

fn put_more<S: Output>(out: &mut S, put_link: impl FnOnce(&mut S), label: &str) {
    out.text("<span class=\"more\"><a href=\"");
    put_link(out);
    out.text("\">");
    out.text(label);
    out.text("</a></span>");
}

#[cfg(test)]
mod tests;
