//! Media types: what a file's name says of it, and what a client would rather see.

use core::str;

use mime_guess::MimeGuess;

use super::list;

/// The `Content-Type` of a file whose name says nothing.
const UNKNOWN: &str = "application/octet-stream";

/// Where the list of mime_guess is behind IANA's, says nothing, or means another kind of file.
const OURS: [(&str, &str); 13] = [
    ("apng", "image/apng"),
    ("deb", "application/vnd.debian.binary-package"),
    ("dtb", UNKNOWN),
    ("ico", "image/vnd.microsoft.icon"),
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("m4a", "audio/mp4"),
    ("m4v", "video/mp4"),
    ("mjs", "text/javascript"),
    ("rpm", "application/x-rpm"),
    ("ts", "video/mp2t"),
    ("woff", "font/woff"),
    ("zst", "application/zstd"),
    ("zstd", "application/zstd"),
];

/// The text types that are worth telling apart, each with the encoding that text has here.
macro_rules! with_charset {
    ($media:expr, $($text:literal)*) => {
        match $media {
            $($text => concat!($text, "; charset=utf-8"),)*
            // An XML file names its own encoding, and a parameter here would overrule it.
            "text/xml" => "application/xml",
            media if media.starts_with("text/") => "text/plain; charset=utf-8",
            media => media,
        }
    };
}

/// The `Content-Type` of a file of this name: by its extension, in any case.
///
/// Text is said to be UTF-8. Kinds of text that no browser shows are plain text.
#[must_use]
pub fn content_type(name: &[u8]) -> &'static str {
    let dot = name.iter().rposition(|byte| *byte == b'.');
    let extension = match dot {
        None | Some(0) => return UNKNOWN,
        Some(dot) => str::from_utf8(&name[dot + 1..]).unwrap_or_default(),
    };
    let ours = OURS
        .iter()
        .find(|(ours, _)| ours.eq_ignore_ascii_case(extension));
    let media = match ours {
        Some((_, media)) => media,
        None => MimeGuess::from_ext(extension)
            .first_raw()
            .unwrap_or(UNKNOWN),
    };
    with_charset!(
        media,
        "text/cache-manifest" "text/calendar" "text/css" "text/csv" "text/html" "text/javascript"
        "text/markdown" "text/tab-separated-values" "text/vcard" "text/vtt"
    )
}

/// Whether the values of `Accept` ask for a page, and for nothing rather than that. False without
/// the field, and for `*/*` alone: who has no wish is no browser.
pub fn prefers_html<'a>(values: impl Iterator<Item = &'a [u8]>) -> bool {
    let wish = Wish::of(values);
    wish.html > 0 && wish.html >= wish.json
}

/// Whether the values of `Accept` name JSON, and would have it rather than a page.
pub fn prefers_json<'a>(values: impl Iterator<Item = &'a [u8]>) -> bool {
    let wish = Wish::of(values);
    wish.json > 0 && wish.json > wish.html
}

/// The weights of what is named, 0 for what is not.
#[derive(Default)]
struct Wish {
    html: u16,
    json: u16,
}

impl Wish {
    fn of<'a>(values: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut wish = Self::default();
        for element in values.flat_map(list::elements) {
            let (media, weight) = list::weighted(element);
            let is = |name: &str| media.eq_ignore_ascii_case(name.as_bytes());
            let weight = weight.unwrap_or(0);
            if is("text/html") || is("application/xhtml+xml") {
                wish.html = wish.html.max(weight);
            } else if is("application/json") {
                wish.json = wish.json.max(weight);
            }
        }
        wish
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_a_file_is() {
        for (name, expected) in [
            ("a.txt", "text/plain; charset=utf-8"),
            ("INDEX.HTML", "text/html; charset=utf-8"),
            ("a.css", "text/css; charset=utf-8"),
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.mjs", "text/javascript; charset=utf-8"),
            ("a.rs", "text/plain; charset=utf-8"),
            ("a.toml", "text/plain; charset=utf-8"),
            ("a.json", "application/json"),
            ("a.svg", "image/svg+xml"),
            ("a.xml", "application/xml"),
            ("a.m3u8", "application/vnd.apple.mpegurl"),
            ("a.ts", "video/mp2t"),
            ("a.mkv", "video/x-matroska"),
            ("a.mp4", "video/mp4"),
            ("a.webm", "video/webm"),
            ("a.webp", "image/webp"),
            ("a.avif", "image/avif"),
            ("a.woff2", "font/woff2"),
            ("a.wasm", "application/wasm"),
            ("a.pdf", "application/pdf"),
            ("a.tar.gz", "application/gzip"),
            ("a.zst", "application/zstd"),
            ("a.img", UNKNOWN),
            ("a.DEB", "application/vnd.debian.binary-package"),
            ("a.no-such-extension", UNKNOWN),
            ("html", UNKNOWN),
            (".html", UNKNOWN),
            ("a.", UNKNOWN),
            ("", UNKNOWN),
        ] {
            assert_eq!(content_type(name.as_bytes()), expected, "{name}");
        }
        assert_eq!(content_type(b"a.\xff"), UNKNOWN);
    }

    #[test]
    fn a_browser_has_a_page_and_a_program_data() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
        for (value, html, json) in [
            (browser, true, false),
            ("*/*", false, false),
            ("", false, false),
            ("application/json", false, true),
            ("application/json, text/html;q=0.5", false, true),
            ("application/json;q=0.5, text/html", true, false),
            ("application/json, text/html", true, false),
            ("text/html;q=0", false, false),
            ("application/json, text/plain, */*", false, true),
            ("TEXT/HTML;level=1", true, false),
        ] {
            let values = || [value.as_bytes()].into_iter();
            assert_eq!(prefers_html(values()), html, "{value}");
            assert_eq!(prefers_json(values()), json, "{value}");
        }
        assert!(!prefers_html([].into_iter()));
    }
}
