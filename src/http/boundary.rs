//! The boundary between the parts of a body of several ranges (RFC 2046, section 5.1.1).

use super::{Output, Tag};

/// Writes the boundary for a file's parts. It is made of its tag, so it is the same for the same file.
pub(super) fn put_boundary(out: &mut impl Output, tag: &Tag) {
    out.put(b"part-of-");
    for byte in tag.as_bytes() {
        if byte.is_ascii_alphanumeric() || *byte == b'-' {
            out.put(&[*byte]);
        }
    }
}
