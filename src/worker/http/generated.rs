//! Answers over HTTP that are generated, not read from a file: errors, redirects, and the like.

use super::response::{Body, Response};
use crate::http::path::{self, Path};
use crate::http::response_head::{self, HeadOptions};
use crate::http::{
    self, Field, FixedBuf, HttpConfig, Method, Output, Request, Status, prefers_html,
};
use crate::http::{document, error_page};
use crate::limits::RETRY_AFTER_S;
use crate::sys;

/// The methods that files allow.
pub(crate) const ALLOW: &[u8] = b"Allow: GET, HEAD, OPTIONS\r\n";

/// How a client is told of an error: without a body after HEAD, as HTML or as plain text.
#[derive(Clone, Copy)]
pub(crate) struct ErrorFormat {
    pub(crate) is_head: bool,
    pub(crate) wants_html: bool,
}

impl ErrorFormat {
    const UNKNOWN: Self = Self {
        is_head: false,
        wants_html: false,
    };

    pub(crate) fn of(request: &Request) -> Self {
        Self {
            is_head: request.method == Method::Head,
            wants_html: prefers_html(request.values(Field::Accept)),
        }
    }
}

/// Makes the answer to a client that no worker has a place for, into `room`: how many bytes.
#[must_use]
pub fn turn_away(
    received: &[u8],
    http_config: &HttpConfig,
    clock_floor_s: u64,
    room: &mut [u8],
) -> usize {
    let (error_format, is_http10) = match http::parse(received) {
        Ok(Some(request)) => (ErrorFormat::of(&request), request.is_http10),
        _ => (ErrorFormat::UNKNOWN, false),
    };
    let real_s = sys::real_ms() / 1000;
    let head_options = HeadOptions {
        date_s: (real_s >= clock_floor_s).then_some(real_s),
        is_http10,
        keep_alive: false,
        extra: &http_config.extra,
        extra_generated: &http_config.extra_generated,
    };
    busy(&head_options, error_format, &mut FixedBuf::new(room)).generated_len
}

/// The response that `out` holds, whose head has so many bytes.
pub(crate) fn generated(
    status: Status,
    head_options: &HeadOptions,
    out: &FixedBuf,
    head: usize,
) -> Response {
    Response {
        status,
        generated_len: out.used(),
        generated_body_len: out.used() - head,
        body: Body::None,
        keep_alive: head_options.keep_alive,
    }
}

/// An error's page, with fields of its own.
pub(crate) fn error(
    status: Status,
    head_options: &HeadOptions,
    error_format: ErrorFormat,
    out: &mut FixedBuf,
    fields: impl FnOnce(&mut FixedBuf),
) -> Response {
    page_of(status, head_options, error_format, out, fields, |out| {
        error_page::put(out, status.0, status.reason(), error_format.wants_html, "");
    })
}

/// The answer of a server that is full, or stops, or has no card.
pub(crate) fn busy(
    head_options: &HeadOptions,
    error_format: ErrorFormat,
    out: &mut FixedBuf,
) -> Response {
    let retry =
        |out: &mut FixedBuf| response_head::number(out, "Retry-After", RETRY_AFTER_S.into());
    page_of(
        Status::UNAVAILABLE,
        head_options,
        error_format,
        out,
        retry,
        |out| {
            error_page::put_busy(out, error_format.wants_html, RETRY_AFTER_S);
        },
    )
}

pub(crate) fn page_of(
    status: Status,
    head_options: &HeadOptions,
    error_format: ErrorFormat,
    out: &mut FixedBuf,
    fields: impl FnOnce(&mut FixedBuf),
    write: impl FnOnce(&mut FixedBuf),
) -> Response {
    let mut bytes = [0; error_page::PAGE_BYTES_MAX];
    let mut text = FixedBuf::new(&mut bytes);
    write(&mut text);
    let size = text.used();
    response_head::begin(out, status, head_options);
    if error_format.wants_html {
        out.put(b"Content-Type: text/html; charset=utf-8\r\nContent-Security-Policy: ");
        out.text(document::CONTENT_SECURITY_POLICY);
    } else {
        out.put(b"Content-Type: text/plain; charset=utf-8");
    }
    out.put(b"\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n");
    fields(out);
    response_head::number(out, "Content-Length", size as u64);
    response_head::end_generated(out, head_options);
    let head = out.used();
    if !error_format.is_head {
        out.put(&bytes[..size]);
    }
    generated(status, head_options, out, head)
}

pub(crate) fn options(head_options: &HeadOptions, out: &mut FixedBuf) -> Response {
    response_head::begin(out, Status::NO_CONTENT, head_options);
    out.put(ALLOW);
    response_head::end(out, head_options);
    generated(Status::NO_CONTENT, head_options, out, out.used())
}

/// The answer while the root, or a folder, cannot be read.
pub(crate) fn unreadable(
    head_options: &HeadOptions,
    error_format: ErrorFormat,
    out: &mut FixedBuf,
) -> Response {
    let retry =
        |out: &mut FixedBuf| response_head::number(out, "Retry-After", RETRY_AFTER_S.into());
    page_of(
        Status::UNAVAILABLE,
        head_options,
        error_format,
        out,
        retry,
        |out| {
            let (status, reason) = (Status::UNAVAILABLE.0, Status::UNAVAILABLE.reason());
            let detail = "The folder cannot be read now. Try again in a while.";
            error_page::put(out, status, reason, error_format.wants_html, detail);
        },
    )
}

/// The answer to ranges that all lie behind the end of a file of `size` bytes.
pub(crate) fn unsatisfiable(
    size: u64,
    head_options: &HeadOptions,
    error_format: ErrorFormat,
    out: &mut FixedBuf,
) -> Response {
    error(
        Status::RANGE_NOT_SATISFIABLE,
        head_options,
        error_format,
        out,
        |out| {
            out.put(b"Content-Range: bytes */");
            out.number(size, 1);
            out.put(b"\r\n");
        },
    )
}

/// Sends a client to the folder's path with a slash. It is made of the decoded path, so that two
/// slashes at its start, which would name another host, are one.
pub(crate) fn redirect(
    path: &Path,
    query: Option<&[u8]>,
    head_options: &HeadOptions,
    error_format: ErrorFormat,
    out: &mut FixedBuf,
) -> Response {
    error(Status::MOVED, head_options, error_format, out, |out| {
        out.put(b"Location: ");
        for component in path.bytes.split(|byte| *byte == b'/') {
            out.put(b"/");
            path::encode(component, &mut |piece| out.put(piece));
        }
        out.put(b"/");
        if let Some(query) = query {
            out.put(b"?");
            out.put(query);
        }
        out.put(b"\r\n");
    })
}
