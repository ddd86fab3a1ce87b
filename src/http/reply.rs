//! Replies: what a request is answered with is decided first, and written here, once.

use super::response_head::{self, Extent, HeadOptions, Representation};
use super::{Field, FixedBuf, Method, Output, Path, Refusal, Request, Status};
use super::{HEALTHY, document, error_page, path, prefers_html};
use crate::limits::RETRY_AFTER_S;

/// The methods that files allow.
const ALLOW: &[u8] = b"Allow: GET, HEAD, OPTIONS\r\n";

/// How a page that is not a file is shown to the client that asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ErrorFormat {
    /// The client wants no body.
    pub is_head: bool,
    /// The client shows HTML; others read plain text.
    pub wants_html: bool,
}

impl ErrorFormat {
    /// Plain text, for a client of which nothing is known.
    pub const PLAIN: Self = Self {
        is_head: false,
        wants_html: false,
    };

    /// As a request wants it.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        Self {
            is_head: request.method == Method::Head,
            wants_html: prefers_html(request.values(Field::Accept)),
        }
    }

    /// As far as what was refused had come.
    #[must_use]
    pub fn of_refused(refusal: &Refusal) -> Self {
        Self {
            is_head: refusal.is_head,
            wants_html: refusal.accepts_html,
        }
    }
}

/// What a request is answered with.
pub enum Reply<'a> {
    /// An error's page.
    Error(Status),
    /// The query of a listing that makes no sense, and why.
    BadQuery(&'static str),
    /// A method that files don't allow.
    MethodNotAllowed,
    /// The server is full, or stops, and the client should come again.
    Busy,
    /// The root, or a folder, cannot be read now.
    Unreadable,
    /// The ranges all lie behind the end of a file of so many bytes.
    Unsatisfiable(u64),
    /// The folder's path with a slash, and the query.
    Redirect(&'a Path, Option<&'a [u8]>),
    /// What can be done with files.
    Options,
    /// The server is alive and can read its root.
    Healthy,
    /// Nothing of a file, because of its state: 304 or 412.
    Unsent(Status, Representation),
    /// A file or a part of it, whose bytes follow the head.
    File(Status, Representation, Extent),
    /// A listing, which follows the head: as an array for programs, or as a page.
    Listing {
        /// It is an array.
        is_json: bool,
    },
}

impl Reply<'_> {
    /// The status.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Error(status) | Self::Unsent(status, _) | Self::File(status, ..) => *status,
            Self::BadQuery(_) => Status::BAD_REQUEST,
            Self::MethodNotAllowed => Status::METHOD_NOT_ALLOWED,
            Self::Busy | Self::Unreadable => Status::UNAVAILABLE,
            Self::Unsatisfiable(_) => Status::RANGE_NOT_SATISFIABLE,
            Self::Redirect(..) => Status::MOVED,
            Self::Options => Status::NO_CONTENT,
            Self::Healthy | Self::Listing { .. } => Status::OK,
        }
    }

    /// Whether the connection can be kept after it, if the options allow that: a body whose size
    /// nobody knows beforehand ends with the connection where it cannot come in chunks.
    #[must_use]
    pub fn keep_alive(&self, options: &HeadOptions) -> bool {
        options.keep_alive && !(matches!(self, Self::Listing { .. }) && options.is_http10)
    }

    /// Writes the head, and the body if it is a page of its own. Returns the bytes of the head.
    pub fn write(
        &self,
        out: &mut FixedBuf,
        options: &HeadOptions,
        format: impl FnOnce() -> ErrorFormat,
    ) -> usize {
        let options = &HeadOptions {
            keep_alive: self.keep_alive(options),
            ..*options
        };
        match self {
            Self::Unsent(status, representation) => {
                response_head::file_unsent(out, *status, options, representation);
            }
            Self::File(status, representation, extent) => {
                response_head::file(out, *status, options, representation, *extent);
            }
            Self::Listing { is_json } => write_listing_head(out, options, *is_json),
            Self::Options => {
                response_head::begin(out, self.status(), options);
                out.put(ALLOW);
                response_head::end(out, options);
            }
            Self::Healthy => return write_health(out, options, format().is_head),
            _ => return self.write_page(out, options, format()),
        }
        out.used()
    }

    fn write_page(&self, out: &mut FixedBuf, options: &HeadOptions, format: ErrorFormat) -> usize {
        let mut bytes = [0; error_page::PAGE_BYTES_MAX];
        let mut page = FixedBuf::new(&mut bytes);
        self.put_page(&mut page, format.wants_html);
        let size = page.used();
        response_head::begin(out, self.status(), options);
        if format.wants_html {
            put_html_type(out);
        } else {
            out.put(b"Content-Type: text/plain; charset=utf-8\r\n");
        }
        out.put(b"X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n");
        self.put_fields(out);
        response_head::number(out, "Content-Length", size as u64);
        response_head::end_generated(out, options);
        let head_len = out.used();
        if !format.is_head {
            out.put(&bytes[..size]);
        }
        head_len
    }

    fn put_page(&self, page: &mut FixedBuf, html: bool) {
        let status = self.status();
        let detail = match self {
            Self::Busy => return error_page::put_busy(page, html, RETRY_AFTER_S),
            Self::Unreadable => "The folder cannot be read now. Try again in a while.",
            Self::BadQuery(reason) => reason,
            _ => "",
        };
        error_page::put(page, status.0, status.reason(), html, detail);
    }

    /// The fields that only this reply has.
    fn put_fields(&self, out: &mut FixedBuf) {
        match self {
            Self::Busy | Self::Unreadable => {
                response_head::number(out, "Retry-After", RETRY_AFTER_S.into());
            }
            Self::MethodNotAllowed => out.put(ALLOW),
            Self::Unsatisfiable(size) => {
                out.put(b"Content-Range: bytes */");
                out.number(*size, 1);
                out.put(b"\r\n");
            }
            Self::Redirect(path, query) => put_location(out, path, *query),
            _ => {}
        }
    }
}

fn put_html_type(out: &mut FixedBuf) {
    out.put(b"Content-Type: text/html; charset=utf-8\r\nContent-Security-Policy: ");
    out.text(document::CONTENT_SECURITY_POLICY);
    out.put(b"\r\n");
}

/// Writes where a folder is. It is made of the decoded path, so that two slashes at its start, which
/// would name another host, are one.
fn put_location(out: &mut FixedBuf, path: &Path, query: Option<&[u8]>) {
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
}

fn write_listing_head(out: &mut FixedBuf, options: &HeadOptions, is_json: bool) {
    response_head::begin(out, Status::OK, options);
    if is_json {
        out.put(b"Content-Type: application/json\r\n");
    } else {
        put_html_type(out);
    }
    out.put(b"X-Content-Type-Options: nosniff\r\nCache-Control: no-cache\r\nVary: Accept\r\n");
    if !options.is_http10 {
        out.put(b"Transfer-Encoding: chunked\r\n");
    }
    response_head::end_generated(out, options);
}

fn write_health(out: &mut FixedBuf, options: &HeadOptions, is_head: bool) -> usize {
    response_head::begin(out, Status::OK, options);
    out.put(b"Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n");
    response_head::number(out, "Content-Length", HEALTHY.len() as u64);
    response_head::end_generated(out, options);
    let head_len = out.used();
    if !is_head {
        out.text(HEALTHY);
    }
    head_len
}
