use super::*;
use crate::limits::NAME_MAX;

/// Names that mean something else in HTML, in a URL or in JSON.
fn nasty() -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = [
        "plain.txt",
        "javascript:alert(1)",
        "c:",
        "a?b=c&d#e",
        "100%",
        "%2e%2e",
        "...",
        "</a><script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='x",
        "&amp;&lt",
        " leading  and trailing ",
        "tab\tline\nreturn\r\u{1b}[31m",
        "back\\slash",
        "\u{202e}gpj.exe",
        "\u{7f}\u{85}\u{2028}",
        "日本語 🚂",
        "~-_.",
        "+",
    ]
    .map(|name| name.as_bytes().to_vec())
    .into();
    names.extend([
        b"\xff\xfe".to_vec(),
        b"cut \xe6\x97".to_vec(),
        b"over\xc0\xaflong".to_vec(),
        (1..=255).filter(|byte| *byte != b'/').collect(),
        vec![b'"'; NAME_MAX],
    ]);
    names
}

fn entry(name: &[u8], is_folder: bool) -> Entry<'_> {
    Entry {
        name,
        is_folder,
        size: if is_folder { 0 } else { u64::MAX },
        mtime_ns: 1_795_525_500_000_000_000,
    }
}

fn page(path: &[u8], query: &Query, names: &[Vec<u8>], last: Option<&[u8]>) -> String {
    let mut out = Vec::new();
    head(&mut out, path, query, None);
    assert!(out.len() <= HEAD_BYTES_MAX);
    for name in names {
        row(&mut out, &entry(name, name.len() % 2 == 0));
    }
    foot(&mut out, query, names.len() as u32, last);
    String::from_utf8(out).expect("a page is UTF-8, whatever the names are")
}

fn query(text: &str) -> Query {
    Query::parse(text.as_bytes()).unwrap()
}

/// A start tag: its name and attributes, their references resolved.
struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.attributes.iter().find(|(own, _)| own == name)?;
        Some(value)
    }
}

/// Reads a document strictly: every element is closed in its turn but those that have no end,
/// attributes are quoted, and no `<` or `&` stands for itself. Gives its start tags and its text.
fn parse(document: &str) -> (Vec<Tag>, String) {
    const VOID: [&str; 4] = ["meta", "link", "input", "br"];
    let mut rest = document.strip_prefix("<!DOCTYPE html>").unwrap();
    let (mut open, mut tags, mut text) = (Vec::<String>::new(), Vec::new(), String::new());
    while let Some(at) = rest.find('<') {
        text += &resolved(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(end) = rest.strip_prefix('/') {
            let (name, behind) = end.split_once('>').unwrap();
            assert_eq!(open.pop().as_deref(), Some(name), "before {behind:.80}");
            rest = behind;
            continue;
        }
        let size = rest.find([' ', '>']).unwrap();
        let mut tag = Tag {
            name: rest[..size].into(),
            attributes: Vec::new(),
        };
        rest = &rest[size..];
        while let Some(attribute) = rest.strip_prefix(' ') {
            let (name, value) = attribute.split_once("=\"").unwrap();
            assert!(
                name.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
            );
            let (value, behind) = value.split_once('"').unwrap();
            assert!(!value.contains(['<', '>']) && tag.get(name).is_none());
            tag.attributes.push((name.into(), resolved(value)));
            rest = behind;
        }
        rest = rest.strip_prefix('>').expect(rest);
        if !VOID.contains(&tag.name.as_str()) {
            open.push(tag.name.clone());
        }
        tags.push(tag);
    }
    assert!(open.is_empty() && rest == "\n");
    (tags, text)
}

fn resolved(text: &str) -> String {
    let mut parts = text.split('&');
    let mut resolved = parts.next().unwrap().to_string();
    for part in parts {
        let (reference, behind) = part.split_once(';').expect(part);
        resolved += match reference {
            "amp" => "&",
            "lt" => "<",
            "gt" => ">",
            "quot" => "\"",
            "#39" => "'",
            other => panic!("&{other};"),
        };
        resolved += behind;
    }
    resolved
}

/// The bytes that a relative URL of one component names.
fn decoded(href: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = href.as_bytes();
    while let [byte, behind @ ..] = rest {
        let harmless = byte.is_ascii_alphanumeric() || b"-._~%".contains(byte);
        assert!(harmless, "{href}");
        rest = behind;
        if *byte == b'%' {
            let digits = str::from_utf8(&behind[..2]).unwrap();
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
            rest = &behind[2..];
        } else {
            bytes.push(*byte);
        }
    }
    bytes
}

#[test]
fn a_page_of_nasty_names_is_a_document_whose_links_lead_to_them() {
    let names = nasty();
    for path in [&b""[..], b"a", b"m\"<&\xff/b c/d:e"] {
        let (tags, text) = parse(&page(path, &query("q=%22%3e%ff"), &names, Some(b"\"<\xff")));
        let rows: Vec<&Tag> = tags
            .iter()
            .skip_while(|tag| tag.name != "tbody")
            .take_while(|tag| tag.name != "footer")
            .filter(|tag| tag.name == "a" && tag.get("href") != Some("../"))
            .collect();
        assert_eq!(rows.len(), names.len());
        for (tag, name) in rows.iter().zip(&names) {
            let href = tag.get("href").unwrap();
            let (component, is_folder) = match href.strip_suffix('/') {
                Some(component) => (component, true),
                None => (href, false),
            };
            assert_eq!(decoded(component), *name);
            assert_eq!(is_folder, name.len() % 2 == 0);
            assert_eq!(tag.get("class"), is_folder.then_some("d"));
        }
        let known = [
            "a", "bdi", "body", "button", "footer", "form", "h1", "head", "html",
        ];
        let known = [
            &known[..],
            &["input", "label", "li", "link", "meta", "nav", "ol"],
        ]
        .concat();
        let known = [
            &known[..],
            &["p", "span", "style", "table", "tbody", "td", "th"],
        ]
        .concat();
        let known = [&known[..], &["thead", "time", "title", "tr"]].concat();
        for tag in &tags {
            assert!(known.contains(&tag.name.as_str()), "{}", tag.name);
            assert!(
                tag.attributes
                    .iter()
                    .all(|(name, _)| !name.starts_with("on"))
            );
        }
        assert!(text.contains("</a><script>alert(1)</script>") && text.contains("日本語 🚂"));
        let control = |letter: char| letter.is_control() && letter != '\n';
        assert!(!text.contains(control) && !text.contains('\u{202e}'));
        assert!(text.contains("\u{fffd}gpj.exe") && text.contains("line\u{240a}return\u{240d}"));
    }
}

#[test]
fn links_keep_what_the_page_was_asked_for() {
    let asked = query("sort=size&order=desc&q=a%26&limit=2&after=x");
    let (tags, text) = parse(&page(b"", &asked, &nasty()[..2], Some(b"c:")));
    let links: Vec<Query> = tags
        .iter()
        .filter_map(|tag| tag.get("href")?.strip_prefix("./?"))
        .map(query)
        .collect();
    let expected = [
        "q=a%26&limit=2",
        "sort=size&q=a%26&limit=2",
        "sort=date&order=desc&q=a%26&limit=2",
        "sort=size&order=desc&limit=2",
        "sort=size&order=desc&q=a%26&limit=2",
        "sort=size&order=desc&q=a%26&limit=2&after=c:",
    ];
    assert_eq!(links, expected.map(query));
    assert!(text.contains("2 entries on this page"));
    let fields: Vec<_> = tags
        .iter()
        .filter(|tag| tag.name == "input")
        .map(|tag| (tag.get("name").unwrap(), tag.get("value").unwrap()))
        .collect();
    assert_eq!(
        fields,
        [
            ("q", "a&"),
            ("sort", "size"),
            ("order", "desc"),
            ("limit", "2")
        ]
    );
    let sorted: Vec<_> = tags.iter().map(|tag| tag.get("aria-sort")).collect();
    assert_eq!(sorted.iter().flatten().count(), 1);
    let label = tags.iter().find(|tag| tag.name == "label").unwrap();
    assert_eq!(label.get("for"), Some("q"));
}

#[test]
fn a_row_shows_size_and_date_for_people_and_for_programs() {
    let mut file = Vec::new();
    row(
        &mut file,
        &Entry {
            size: 1_234_567,
            ..entry(b"a b", false)
        },
    );
    assert_eq!(
        str::from_utf8(&file).unwrap(),
        "<tr><td><a href=\"a%20b\"><bdi>a b</bdi></a></td><td title=\"1234567 bytes\">1.2 MB</td>\
         <td><time datetime=\"2026-11-24T13:05:00Z\">2026-11-24 13:05</time></td></tr>\n"
    );
    let mut folder = Vec::new();
    row(&mut folder, &entry(b"f", true));
    assert!(
        folder.starts_with(b"<tr><td><a class=\"d\" href=\"f/\"><bdi>f/</bdi></a></td><td></td>")
    );
}

#[test]
fn a_page_without_entries_says_why() {
    let text = |asked: &str| parse(&page(b"", &query(asked), &[], None)).1;
    assert!(text("").contains("This folder is empty."));
    assert!(text("q=x%3C").contains("No name here contains \u{201c}x<\u{201d}.Show all"));
    assert!(text("after=x").contains("No entries follow.First page"));
}

#[test]
fn a_note_says_that_the_order_is_another() {
    let mut out = Vec::new();
    head(
        &mut out,
        b"",
        &Query::NONE,
        Some(Note::TooManyToSort(By::Size)),
    );
    foot(&mut out, &Query::NONE, 0, None);
    let (_, text) = parse(str::from_utf8(&out).unwrap());
    assert!(text.contains("too many entries to sort them by size. They are sorted by name."));
}

#[test]
fn crumbs_lead_to_the_folders_above() {
    let crumbs = |path: &[u8]| {
        let (tags, _) = parse(&page(path, &Query::NONE, &[], None));
        tags.iter()
            .skip_while(|tag| tag.name != "nav")
            .take_while(|tag| tag.name != "h1")
            .filter_map(|tag| Some(tag.get("href")?.len() / "../".len()))
            .collect::<Vec<usize>>()
    };
    assert_eq!(crumbs(b""), [0; 0]);
    assert_eq!(crumbs(b"a"), [1]);
    assert_eq!(crumbs(b"a/b/c"), [3, 2, 1]);
    let deep = crumbs(&b"x/".repeat(40)[..79]);
    assert_eq!(deep[..2], [40, 15]);
    assert_eq!(deep.len(), CRUMBS_MAX);
}

#[test]
fn the_longest_parts_are_within_their_bounds() {
    let longest = format!(
        "q={}&limit=4294967295&sort=date&order=desc",
        "%27".repeat(NAME_MAX)
    );
    let mut asked = query(&longest);
    asked.after = heapless::Vec::from_slice(&[b'\''; NAME_MAX]).unwrap();
    let mut room = vec![0; HEAD_BYTES_MAX];
    for path in [
        [b'\''; 1000].to_vec(),
        b"\"/".repeat(500)[..999].to_vec(),
        [[b'\''; NAME_MAX].as_slice(); 4].join(&b'/')[..1000].to_vec(),
    ] {
        let mut out = FixedBuf::new(&mut room);
        head(&mut out, &path, &asked, Some(Note::TooManyToSort(By::Name)));
        assert!(out.used() > 7000);
    }
    for byte in 1..=255 {
        let name = [byte; NAME_MAX];
        let longest = Entry {
            mtime_ns: i64::MIN,
            ..entry(&name, byte % 2 == 0)
        };
        row(&mut FixedBuf::new(&mut room[..ROW_BYTES_MAX]), &longest);
        let mut out = FixedBuf::new(&mut room[..ROW_BYTES_MAX]);
        json_row(&mut out, &longest, false);
        let mut out = FixedBuf::new(&mut room[..FOOT_BYTES_MAX]);
        asked.filter = heapless::Vec::from_slice(&name).unwrap();
        foot(&mut out, &asked, 0, Some(&name));
    }
}

#[test]
fn json_is_read_back_and_every_name_can_be_fetched() {
    let names = nasty();
    let mut out = Vec::new();
    json_head(&mut out);
    for (index, name) in names.iter().enumerate() {
        json_row(&mut out, &entry(name, index % 2 == 0), index == 0);
    }
    json_foot(&mut out);
    let array: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let array = array.as_array().unwrap();
    assert_eq!(array.len(), names.len());
    for (index, (value, name)) in array.iter().zip(&names).enumerate() {
        let shown = value["name"].as_str().unwrap();
        match value.get("href") {
            Some(href) => {
                assert!(shown.contains('\u{fffd}'));
                assert_eq!(decoded(href.as_str().unwrap()), *name);
            }
            None => assert_eq!(shown.as_bytes(), name),
        }
        assert_eq!(value["mtime"], "2026-11-24T13:05:00Z");
        if index % 2 == 0 {
            assert_eq!(value["type"], "directory");
            assert_eq!(value["size"], 0);
        } else {
            assert_eq!(value["type"], "file");
            assert_eq!(value["size"], u64::MAX);
        }
    }
    let mut empty = Vec::new();
    json_head(&mut empty);
    json_foot(&mut empty);
    let empty: serde_json::Value = serde_json::from_slice(&empty).unwrap();
    assert_eq!(empty, serde_json::json!([]));
}
