//! What a listing says: its entries, read strictly from the array or from the page.

use serde_json::Value;

use super::common::http::Answer;

/// One entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Entry {
    /// Its name's bytes, without the slash of a folder.
    pub(crate) name: Vec<u8>,
    pub(crate) is_folder: bool,
    pub(crate) size: u64,
    pub(crate) mtime: String,
}

/// The entries of an answer for programs.
#[track_caller]
pub(crate) fn of_json(answer: &Answer) -> Vec<Entry> {
    assert_eq!(answer.status, 200, "{}", answer.shown());
    assert_eq!(answer.field("content-type"), Some("application/json"));
    let text = std::str::from_utf8(&answer.body).unwrap();
    let rows = text
        .strip_prefix("[\n")
        .and_then(|rest| rest.strip_suffix("\n]\n"))
        .unwrap_or_else(|| panic!("{text:.200}"));
    if rows.is_empty() {
        return Vec::new();
    }
    rows.split(",\n").map(json_row).collect()
}

fn json_row(row: &str) -> Entry {
    let value: Value = serde_json::from_str(row).unwrap_or_else(|error| panic!("{error}: {row}"));
    let members = value.as_object().unwrap();
    let mut begins = vec![
        "{\"name\":\"",
        ",\"type\":\"",
        ",\"size\":",
        ",\"mtime\":\"",
    ];
    if members.contains_key("href") {
        begins.insert(1, ",\"href\":\"");
    }
    // Each once, in this order; in a string a quotation mark has a backslash before it.
    assert_eq!(members.len(), begins.len(), "{row}");
    let places = begins.iter().flat_map(|begin| row.match_indices(begin));
    let places: Vec<_> = places.map(|(place, _)| place).collect();
    assert!(places.len() == begins.len() && places.is_sorted(), "{row}");
    let text = |name: &str| value[name].as_str().unwrap();
    Entry {
        name: match members.get("href") {
            Some(href) => decoded(href.as_str().unwrap()),
            None => text("name").into(),
        },
        is_folder: match text("type") {
            "directory" => true,
            "file" => false,
            other => panic!("{other}"),
        },
        size: value["size"].as_u64().unwrap(),
        mtime: text("mtime").into(),
    }
}

/// What a percent-encoded text stands for.
pub(crate) fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        if *first == b'%' {
            let digits = std::str::from_utf8(&rest[..2]).unwrap();
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
            rest = &rest[2..];
        } else {
            assert!(
                first.is_ascii_alphanumeric() || b"-._~".contains(first),
                "{text}"
            );
            bytes.push(*first);
        }
    }
    bytes
}

/// What a text of HTML stands for.
pub(crate) fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

/// The links of a page's rows, as they stand there, without that to the folder above.
#[track_caller]
pub(crate) fn links(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.shown());
    assert_eq!(
        answer.field("content-type"),
        Some("text/html; charset=utf-8")
    );
    let page = std::str::from_utf8(&answer.body).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</body></html>\n"));
    let (_, rows) = page.split_once("<tbody>\n").unwrap();
    let (rows, _) = rows.split_once("</tbody>").unwrap();
    rows.lines()
        .map(|row| {
            let (_, link) = row.split_once("href=\"").unwrap_or_else(|| panic!("{row}"));
            link.split_once('"').unwrap().0.to_string()
        })
        .filter(|link| link != "../")
        .collect()
}

/// The link with this label behind the rows, such as `Next page`.
pub(crate) fn link_labelled(answer: &Answer, label: &str) -> Option<String> {
    let page = std::str::from_utf8(&answer.body).unwrap();
    let (before, _) = page.rsplit_once(&format!("\">{label}</a>"))?;
    let (_, link) = before.rsplit_once("href=\"").unwrap();
    Some(unescaped(link))
}
