//! What a listing says: its entries, read strictly from the array or from the page.

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
    let mut rest = row;
    let mut member = |before: &str| {
        rest = rest
            .strip_prefix(before)
            .unwrap_or_else(|| panic!("{before} in {row}"));
        string(&mut rest)
    };
    let shown = member("{\"name\":");
    let href = row.contains("\",\"href\":").then(|| member(",\"href\":"));
    let is_folder = match member(",\"type\":").as_str() {
        "directory" => true,
        "file" => false,
        other => panic!("{other}"),
    };
    let number = rest.strip_prefix(",\"size\":").unwrap();
    let (size, behind) = number.split_once(',').unwrap();
    let mut behind = behind.strip_prefix("\"mtime\":").unwrap();
    let mtime = string(&mut behind);
    assert_eq!(behind, "}");
    Entry {
        name: href.map_or(shown.into_bytes(), |href| decoded(&href)),
        is_folder,
        size: size.parse().unwrap(),
        mtime,
    }
}

/// A string of RFC 8259.
fn string(rest: &mut &str) -> String {
    let mut text = String::new();
    let mut letters = rest.strip_prefix('"').expect("a string").char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => {
                *rest = &rest[at + 2..];
                return text;
            }
            '\\' => match letters.next().unwrap().1 {
                'u' => {
                    let digits: String = letters.by_ref().take(4).map(|(_, digit)| digit).collect();
                    let code = u32::from_str_radix(&digits, 16).unwrap();
                    text.push(char::from_u32(code).unwrap());
                }
                plain @ ('"' | '\\') => text.push(plain),
                other => panic!("\\{other}"),
            },
            '\0'..' ' => panic!("a control character in a string"),
            plain => text.push(plain),
        }
    }
    panic!("a string without an end")
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
