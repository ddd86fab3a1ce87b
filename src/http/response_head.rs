//! The head of an answer (RFC 9110 and 9112): the status line and the fields.

use super::boundary::put_boundary;
use super::range::Range;
use super::{Encoding, Output, Status, Tag, date};

/// What every head says.
#[derive(Clone, Copy)]
pub struct HeadOptions<'a> {
    /// Now, in seconds since 1970; `None` while the clock cannot be right.
    pub date_s: Option<u64>,
    /// The request was of HTTP/1.0.
    pub is_http10: bool,
    /// Another request may follow on the connection.
    pub keep_alive: bool,
    /// The header lines that the command line adds.
    pub extra: &'a [u8],
    /// The same for answers that say themselves how long they may be kept.
    pub extra_generated: &'a [u8],
}

/// What the head of a file says of it.
pub struct Representation {
    /// Its entity tag.
    pub tag: Tag,
    /// When it was modified, in seconds since 1970; `None` where that is not to be told.
    pub modified_s: Option<u64>,
    /// Its media type.
    pub content_type: &'static str,
    /// How its bytes are encoded.
    pub encoding: Encoding,
    /// Others may be sent another encoding.
    pub varies: bool,
}

/// Which part of a file an answer holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Extent {
    /// All of its bytes, so many.
    Whole(u64),
    /// One range of so many bytes.
    Part(Range, u64),
    /// Several ranges, as a body of so many bytes.
    Multipart(u64),
}

/// Writes the status line and the fields that every answer begins with.
pub fn begin(out: &mut impl Output, status: Status, head_options: &HeadOptions) {
    out.put(b"HTTP/1.1 ");
    out.number(status.0.into(), 3);
    out.put(b" ");
    out.text(status.reason());
    if let Some(date_s) = head_options.date_s {
        out.put(b"\r\nDate: ");
        out.put(&date::write(date_s));
    }
    out.put(b"\r\n");
}

/// Writes the fields that every answer ends with, and the empty line.
pub fn end(out: &mut impl Output, head_options: &HeadOptions) {
    end_with(out, head_options, head_options.extra);
}

/// The same for an answer that has a `Cache-Control` of its own.
pub fn end_generated(out: &mut impl Output, head_options: &HeadOptions) {
    end_with(out, head_options, head_options.extra_generated);
}

fn end_with(out: &mut impl Output, head_options: &HeadOptions, extra: &[u8]) {
    if !head_options.keep_alive {
        out.put(b"Connection: close\r\n");
    } else if head_options.is_http10 {
        out.put(b"Connection: keep-alive\r\n");
    }
    out.put(extra);
    out.put(b"\r\n");
}

/// Writes a field whose value is a number.
pub fn number(out: &mut impl Output, name: &str, value: u64) {
    out.text(name);
    out.put(b": ");
    out.number(value, 1);
    out.put(b"\r\n");
}

/// Writes the head of an answer with a file, or a part of one.
pub fn file(
    out: &mut impl Output,
    status: Status,
    head_options: &HeadOptions,
    file: &Representation,
    extent: Extent,
) {
    begin(out, status, head_options);
    validators(out, file);
    if let Extent::Multipart(_) = extent {
        out.put(b"Content-Type: multipart/byteranges; boundary=");
        put_boundary(out, &file.tag);
    } else {
        out.put(b"Content-Type: ");
        out.text(file.content_type);
    }
    out.put(b"\r\nX-Content-Type-Options: nosniff\r\n");
    if file.encoding != Encoding::Identity {
        out.put(b"Content-Encoding: ");
        out.text(file.encoding.name());
        out.put(b"\r\n");
    }
    match extent {
        Extent::Whole(size) => {
            out.put(b"Accept-Ranges: bytes\r\n");
            number(out, "Content-Length", size);
        }
        Extent::Part(range, size) => {
            content_range(out, &range, size);
            number(out, "Content-Length", range.size);
        }
        Extent::Multipart(size) => number(out, "Content-Length", size),
    }
    end(out, head_options);
}

/// Writes the head of an answer that sends nothing of a file, because of its state: 304 or 412.
pub fn file_unsent(
    out: &mut impl Output,
    status: Status,
    head_options: &HeadOptions,
    file: &Representation,
) {
    begin(out, status, head_options);
    validators(out, file);
    if status == Status::PRECONDITION_FAILED {
        number(out, "Content-Length", 0);
    }
    end(out, head_options);
}

fn validators(out: &mut impl Output, file: &Representation) {
    if let Some(modified_s) = file.modified_s {
        out.put(b"Last-Modified: ");
        out.put(&date::write(modified_s));
        out.put(b"\r\n");
    }
    out.put(b"ETag: ");
    out.put(file.tag.as_bytes());
    out.put(b"\r\n");
    if file.varies {
        out.put(b"Vary: Accept-Encoding\r\n");
    }
}

/// Writes which bytes of a file of `size` bytes follow.
pub fn content_range(out: &mut impl Output, range: &Range, size: u64) {
    out.put(b"Content-Range: bytes ");
    out.number(range.first, 1);
    out.put(b"-");
    out.number(range.end() - 1, 1);
    out.put(b"/");
    out.number(size, 1);
    out.put(b"\r\n");
}
