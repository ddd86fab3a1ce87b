//! The small pages that say what went wrong.

use super::document::put_start;
use super::text::{Output, put_html};

/// Bytes of the longest error page whose detail has at most [`DETAIL_BYTES_MAX`].
pub const PAGE_BYTES_MAX: usize = 4096;
/// Bytes of a detail, in a page of at most [`PAGE_BYTES_MAX`].
pub const DETAIL_BYTES_MAX: usize = 256;

/// Writes an error page: what the status means, in a sentence, and what can be done. `detail`, if it
/// is not empty, says it in place of what is known of the status. As HTML, or as plain text.
pub fn put(out: &mut impl Output, status: u16, reason: &str, html: bool, detail: &str) {
    let meaning = if detail.is_empty() {
        meaning(status)
    } else {
        detail
    };
    put_page(out, (status, reason, meaning), html, None);
}

/// Writes the page for a server with no place free (503), which asks again by itself. The answer
/// should say the same in its `Retry-After` field.
pub fn put_busy(out: &mut impl Output, html: bool, retry_s: u32) {
    let meaning = if html {
        "All places are taken. This page tries again by itself; there is nothing to do."
    } else {
        meaning(503)
    };
    put_page(
        out,
        (503, "Service Unavailable", meaning),
        html,
        Some(retry_s),
    );
}

fn put_page(
    out: &mut impl Output,
    (status, reason, meaning): (u16, &str, &str),
    html: bool,
    reload_s: Option<u32>,
) {
    if !html {
        out.number(status.into(), 3);
        out.text(" ");
        out.text(reason);
        out.text("\n");
        out.text(meaning);
        return out.text("\n");
    }
    put_start(out, reason.as_bytes(), reload_s);
    out.text("</head>\n<body><h1>");
    out.number(status.into(), 3);
    out.text(" ");
    put_html(out, reason.as_bytes());
    out.text("</h1>\n<p>");
    put_html(out, meaning.as_bytes());
    out.text("</p>\n</body></html>\n");
}

/// What a status means to who reads the page, and what can be done.
fn meaning(status: u16) -> &'static str {
    match status {
        301 => "This is a folder: its address ends in a slash.",
        400 => "The server does not understand this request. Check the address.",
        401 => "This needs a name and a password.",
        403 => "This is not to be had here. Ask the one who runs the server.",
        404 => "There is nothing at this address. Check its spelling, or look in the folder above.",
        405 => "Files can only be read here.",
        406 => "This is not to be had in the form that was asked for.",
        408 => "The request took too long to arrive. Try again.",
        410 => "This was here, and is gone.",
        411 => "The request does not say how long it is.",
        412 => "The file has changed since. Load it again.",
        413 | 431 => "The request is too large for this server. Try with a shorter one.",
        414 => "The address is too long for this server.",
        416 => "The file does not have this part. Load it from the start.",
        417 => "The server cannot do what the request expects.",
        429 => "There were too many requests. Try again in a while.",
        501 => "The server does not know this method. Files can only be read here.",
        503 => "All places are taken. Try again in a few seconds.",
        505 => "The server does not know this version of HTTP; it speaks HTTP/1.1.",
        500..=599 => {
            "The server could not read this. Try again; if it stays so, tell the one who runs it."
        }
        _ => "The server cannot answer this request.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(status: u16, html: bool, detail: &str) -> String {
        let mut bytes = Vec::new();
        put(&mut bytes, status, "Not <Found>", html, detail);
        assert!(bytes.len() <= PAGE_BYTES_MAX, "{}", bytes.len());
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn an_error_page_is_a_document_or_two_lines() {
        let html = page(404, true, "");
        assert!(html.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"));
        assert!(html.contains("<h1>404 Not &lt;Found&gt;</h1>"));
        assert!(html.contains("prefers-color-scheme:dark") && html.contains(meaning(404)));
        assert_eq!(
            page(404, false, ""),
            format!("404 Not <Found>\n{}\n", meaning(404))
        );
        assert_eq!(
            page(400, false, "limit is 1"),
            "400 Not <Found>\nlimit is 1\n"
        );
        assert!(page(400, true, "a<b").contains("<p>a&lt;b</p>"));
        let longest = "'".repeat(DETAIL_BYTES_MAX);
        assert!(page(400, true, &longest).contains(&"&#39;".repeat(DETAIL_BYTES_MAX)));
    }

    #[test]
    fn every_error_says_something() {
        for status in 400..600 {
            assert!(meaning(status).ends_with('.'), "{status}");
        }
    }

    #[test]
    fn the_page_of_a_full_server_reloads_by_itself() {
        let mut html = Vec::new();
        put_busy(&mut html, true, 7);
        let html = String::from_utf8(html).unwrap();
        assert!(html.contains("<meta http-equiv=\"refresh\" content=\"7\">"));
        assert!(html.contains("<h1>503 Service Unavailable</h1>"));
        let mut plain = Vec::new();
        put_busy(&mut plain, false, 7);
        assert_eq!(plain.iter().filter(|byte| **byte == b'\n').count(), 2);
    }
}
