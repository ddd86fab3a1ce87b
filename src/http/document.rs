//! What all pages have in common: the document's start, the styles, and the policy that names them.

use super::text::{Output, put_html};

/// The `Content-Security-Policy` that all pages keep: no script, the two styles by their hashes, and
/// nothing from elsewhere. The empty icon is a `data:` URL, so that browsers don't ask for one.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; img-src data:; form-action 'self'; \
     base-uri 'none'; frame-ancestors 'none'; \
     style-src 'sha256-aGhy206voX6xkzfzrItPti+fcYvtZ1fW+Ods4GJbdOQ=' \
     'sha256-Z6obCOuEUvJ1+ijKgbRtiEYVZ6HbxjQuq1R9K8fd4MI='";

/// Colours and letters of all pages.
const STYLE: &str = include_str!("document.css");

/// What a listing adds to it.
pub(super) const LISTING_STYLE: &str = include_str!("listing/listing.css");

/// Writes a document up to its style, behind which another can follow.
pub(super) fn put_start(out: &mut impl Output, title: &[u8], reload_s: Option<u32>) {
    out.text("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n");
    out.text("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    out.text("<meta name=\"color-scheme\" content=\"light dark\">\n");
    if let Some(reload_s) = reload_s {
        out.text("<meta http-equiv=\"refresh\" content=\"");
        out.number(reload_s.into(), 1);
        out.text("\">\n");
    }
    out.text("<title>");
    put_html(out, title);
    out.text("</title><link rel=\"icon\" href=\"data:,\">\n");
    put_style(out, STYLE);
}

/// Writes a style just as it is: its hash is in the policy.
pub(super) fn put_style(out: &mut impl Output, style: &str) {
    out.text("<style>");
    out.text(style);
    out.text("</style>");
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_policy_is_one_line_and_has_the_hashes_of_the_styles() {
        assert!(!CONTENT_SECURITY_POLICY.contains(['\n', '\t']));
        assert!(!CONTENT_SECURITY_POLICY.contains("  "));
        for style in [STYLE, LISTING_STYLE] {
            assert!(!style.contains('<'), "it would end the element");
            let source = format!("'sha256-{}'", base64(&Sha256::digest(style.as_bytes())));
            assert!(CONTENT_SECURITY_POLICY.contains(&source), "{source}");
        }
    }

    fn base64(bytes: &[u8]) -> String {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for group in bytes.chunks(3) {
            let mut bits = [0; 4];
            bits[1..=group.len()].copy_from_slice(group);
            let bits = u32::from_be_bytes(bits);
            for digit in 0..=group.len() {
                text.push(DIGITS[(bits >> (18 - 6 * digit)) as usize & 63].into());
            }
        }
        while !text.len().is_multiple_of(4) {
            text.push('=');
        }
        text
    }
}
