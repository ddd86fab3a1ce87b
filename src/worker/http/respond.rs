//! Answering one HTTP request: from what is asked to a head, and a body or where it comes from.

use std::os::fd::AsRawFd;

use super::generated::{
    ALLOW, ErrorFormat, busy, error, generated, options, page_of, redirect, unreadable,
    unsatisfiable,
};
use super::response::{Body, RequestTime, Response};
use crate::files::{Cache, File, Files, Found, Located, Served, read_folder, seek};
use crate::http::listing::Query;
use crate::http::multipart::Multipart;
use crate::http::path::{self, Path};
use crate::http::response_head::{self, Extent, HeadOptions, Representation};
use crate::http::{
    Encoding, Field, FixedBuf, HEALTHY, Method, OWN, Outcome, Output, Ranges, Refusal, Request,
    Status, Validators, accepted, evaluate, range,
};
use crate::http::{document, error_page};
use crate::limits::CACHED_BODY_BYTES;
use crate::sys::{self, Errno};
use crate::train::Fault;
use crate::worker::WorkerConfig;

/// A file may change without a change of its time for so long, which is what FAT can tell apart.
const SETTLED_NS: i128 = 2_000_000_000;
/// What is needed to answer.
pub(crate) struct Responder<'a> {
    pub(crate) setting: &'a WorkerConfig<'a>,
    pub(crate) cache: &'a mut Cache,
    pub(crate) files: &'a mut Files,
    pub(crate) time: RequestTime,
    /// The server is full or stops: nothing is answered but that.
    pub(crate) is_busy: bool,
    /// The connection may be kept, as far as the server is concerned.
    pub(crate) keeps: bool,
}

/// The ranges that a request asks for, of those that a file of `size` bytes has.
pub(crate) fn ranges(request: &Request, size: u64) -> Ranges {
    match request.value(Field::Range) {
        Some(value) => range::parse(value, size),
        None => Ranges::Whole,
    }
}

impl<'a> Responder<'a> {
    fn head_options(&self, is_http10: bool, keep_alive: bool) -> HeadOptions<'a> {
        let real_s = self.time.real_ms / 1000;
        HeadOptions {
            date_s: (real_s >= self.setting.clock_floor_s).then_some(real_s),
            is_http10,
            keep_alive,
            extra: &self.setting.http_config.extra,
            extra_generated: &self.setting.http_config.extra_generated,
        }
    }

    /// Answers what is no request.
    pub(crate) fn refuse(&mut self, refusal: Refusal, out: &mut [u8]) -> Response {
        let error_format = ErrorFormat {
            is_head: refusal.is_head,
            wants_html: refusal.accepts_html,
        };
        let head_options = self.head_options(false, false);
        error(
            refusal.status,
            &head_options,
            error_format,
            &mut FixedBuf::new(out),
            |_| {},
        )
    }

    /// Answers a request. It blocks while the card is asked for what the cache lacks.
    pub(crate) fn respond(&mut self, request: &Request, out: &mut [u8]) -> Response {
        let out = &mut FixedBuf::new(out);
        let keep_alive = request.keep_alive && self.keeps && !self.is_busy;
        let head_options = &self.head_options(request.is_http10, keep_alive);
        let error_format = || ErrorFormat::of(request);
        if self.is_busy {
            return busy(head_options, error_format(), out);
        }
        match request.method {
            Method::Get | Method::Head => {}
            Method::Options => return options(head_options, out),
            Method::Known => {
                let status = Status::METHOD_NOT_ALLOWED;
                return error(status, head_options, error_format(), out, |out| {
                    out.put(ALLOW)
                });
            }
            Method::Unknown => {
                return error(
                    Status::NOT_IMPLEMENTED,
                    head_options,
                    error_format(),
                    out,
                    |_| {},
                );
            }
        }
        let path = match path::decode(request.path) {
            Ok(path) => path,
            // No file has such a name.
            Err(Status::NOT_FOUND) => return self.respond_missing(request, head_options, out),
            Err(status) => return error(status, head_options, error_format(), out, |_| {}),
        };
        if path.bytes.split(|byte| *byte == b'/').next() == Some(OWN) {
            return self.respond_of_itself(&path, head_options, error_format(), out);
        }
        let located = if path.is_hidden() && !self.setting.http_config.dotfiles {
            Err(Fault::NotFound)
        } else {
            self.locate(&path.bytes, path.is_folder, request)
        };
        match located {
            Ok(Located::File(served)) => {
                self.respond_file(request, served, Status::OK, head_options, out)
            }
            Ok(Located::NeedsSlash) => {
                redirect(&path, request.query, head_options, error_format(), out)
            }
            Ok(Located::Folder(found)) => {
                if self.setting.http_config.listing {
                    return self.respond_folder(request, found, head_options, out);
                }
                error(Status::FORBIDDEN, head_options, error_format(), out, |_| {})
            }
            Err(Fault::NotFound) => self.respond_missing(request, head_options, out),
            Err(Fault::Full) => busy(head_options, error_format(), out),
            Err(Fault::Io) => {
                self.setting.gauges.report_fault();
                unreadable(head_options, error_format(), out)
            }
            Err(fault) => error(status_of(fault), head_options, error_format(), out, |_| {}),
        }
    }

    fn locate(
        &mut self,
        path: &[u8],
        is_folder: bool,
        request: &Request,
    ) -> Result<Located, Fault> {
        let accepted = accepted(request.values(Field::AcceptEncoding));
        let place = self.setting.place();
        let now_ms = self.time.now_ms;
        self.cache
            .locate(self.files, place, path, is_folder, accepted, now_ms)
    }

    /// Answers for a path that is not there.
    fn respond_missing(
        &mut self,
        request: &Request,
        head_options: &HeadOptions,
        out: &mut FixedBuf,
    ) -> Response {
        let fallback = self.setting.http_config.fallback.as_ref();
        if let Some((file, is_error)) = fallback
            && let Ok(Located::File(served)) = self.locate(file.as_bytes(), false, request)
        {
            let status = if *is_error {
                Status::NOT_FOUND
            } else {
                Status::OK
            };
            return self.respond_file(request, served, status, head_options, out);
        }
        error(
            Status::NOT_FOUND,
            head_options,
            ErrorFormat::of(request),
            out,
            |_| {},
        )
    }

    /// Answers for the paths beneath `/-/`.
    fn respond_of_itself(
        &mut self,
        path: &Path,
        head_options: &HeadOptions,
        error_format: ErrorFormat,
        out: &mut FixedBuf,
    ) -> Response {
        if path.bytes != b"-/health" || path.is_folder {
            return error(Status::NOT_FOUND, head_options, error_format, out, |_| {});
        }
        if self.setting.root.read().is_err() {
            self.setting.gauges.report_fault();
            return unreadable(head_options, error_format, out);
        }
        response_head::begin(out, Status::OK, head_options);
        out.put(b"Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n");
        response_head::number(out, "Content-Length", HEALTHY.len() as u64);
        response_head::end_generated(out, head_options);
        let head = out.used();
        if !error_format.is_head {
            out.text(HEALTHY);
        }
        generated(Status::OK, head_options, out, head)
    }

    /// Begins the listing of a folder.
    fn respond_folder(
        &mut self,
        request: &Request,
        found: Found,
        head_options: &HeadOptions,
        out: &mut FixedBuf,
    ) -> Response {
        let error_format = ErrorFormat::of(request);
        let query = match Query::parse(request.query.unwrap_or_default()) {
            Ok(query) => query,
            Err(bad) => {
                return page_of(
                    Status::BAD_REQUEST,
                    head_options,
                    error_format,
                    out,
                    |_| {},
                    |out| {
                        let (status, reason) = (400, Status::BAD_REQUEST.reason());
                        error_page::put(out, status, reason, error_format.wants_html, bad.reason);
                    },
                );
            }
        };
        if read_folder(found.descriptor.as_raw_fd()).is_err() {
            self.setting.gauges.report_fault();
            return unreadable(head_options, error_format, out);
        }
        let folder = self.files.insert(found);
        if let Err(errno) = seek(self.files.get(folder), &query.after, query.order) {
            self.files.release(folder);
            if matches!(errno, Errno::ENOENT | Errno::EACCES | Errno::EPERM) {
                return error(Status::NOT_FOUND, head_options, error_format, out, |_| {});
            }
            self.setting.gauges.report_fault();
            return unreadable(head_options, error_format, out);
        }
        // Where a body comes in chunks, nobody needs to know its size beforehand.
        let head_options = &HeadOptions {
            keep_alive: head_options.keep_alive && !head_options.is_http10,
            ..*head_options
        };
        response_head::begin(out, Status::OK, head_options);
        if query.wants_json(request) {
            out.put(b"Content-Type: application/json\r\n");
        } else {
            out.put(b"Content-Type: text/html; charset=utf-8\r\nContent-Security-Policy: ");
            out.text(document::CONTENT_SECURITY_POLICY);
            out.put(b"\r\n");
        }
        out.put(b"X-Content-Type-Options: nosniff\r\nCache-Control: no-cache\r\nVary: Accept\r\n");
        if !head_options.is_http10 {
            out.put(b"Transfer-Encoding: chunked\r\n");
        }
        response_head::end_generated(out, head_options);
        let head = out.used();
        let body = if error_format.is_head {
            self.files.release(folder);
            Body::None
        } else {
            Body::Listing(folder)
        };
        Response {
            body,
            ..generated(Status::OK, head_options, out, head)
        }
    }

    fn respond_file(
        &mut self,
        request: &Request,
        served: Served,
        status: Status,
        head_options: &HeadOptions,
        out: &mut FixedBuf,
    ) -> Response {
        let file = self.files.get(served.file);
        let size = file.size;
        let validators = validators(file, served.encoding, self.time.real_ms);
        let tag = validators.tag();
        let modified_s = validators.modified_s();
        let representation = Representation {
            tag: &tag,
            // A client would take a date that is yet to come for a mistake (RFC 9110, 8.8.2.1).
            modified_s: head_options
                .date_s
                .is_none_or(|date_s| modified_s <= date_s)
                .then_some(modified_s),
            content_type: served.content_type,
            encoding: served.encoding,
            varies: served.varies,
        };
        let outcome = if status == Status::OK {
            evaluate(request, &validators, representation.modified_s.is_some())
        } else {
            // What is sent in place of another file has no conditions.
            Outcome::Proceed { range: false }
        };
        let ranges = match outcome {
            Outcome::Proceed { range: true } => ranges(request, size),
            Outcome::Proceed { range: false } => Ranges::Whole,
            Outcome::NotModified | Outcome::PreconditionFailed => {
                self.files.release(served.file);
                let status = if outcome == Outcome::NotModified {
                    Status::NOT_MODIFIED
                } else {
                    Status::PRECONDITION_FAILED
                };
                response_head::file_unsent(out, status, head_options, &representation);
                return generated(status, head_options, out, out.used());
            }
        };
        let (status, extent) = match &ranges {
            Ranges::Whole => (status, Extent::Whole(size)),
            Ranges::One(range) => (Status::PARTIAL, Extent::Part(*range, size)),
            Ranges::Several(ranges) => {
                let parts = Multipart {
                    ranges,
                    file_size: size,
                    content_type: served.content_type,
                    tag: &tag,
                };
                (Status::PARTIAL, Extent::Multipart(parts.size()))
            }
            Ranges::Unsatisfiable => {
                self.files.release(served.file);
                return unsatisfiable(size, head_options, ErrorFormat::of(request), out);
            }
        };
        response_head::file(out, status, head_options, &representation, extent);
        let head = out.used();
        let is_head = request.method == Method::Head;
        let body = self.body(&served, extent, is_head, out);
        Response {
            body,
            ..generated(status, head_options, out, head)
        }
    }

    /// Puts a small body behind its head, or says where it comes from. The file is given back where
    /// nothing more is sent of it.
    fn body(&mut self, served: &Served, extent: Extent, is_head: bool, out: &mut FixedBuf) -> Body {
        let (offset, size) = match extent {
            Extent::Whole(size) => (0, size),
            Extent::Part(range, _) => (range.first, range.size),
            Extent::Multipart(_) if !is_head => {
                return Body::Multipart(served.file, served.encoding);
            }
            Extent::Multipart(_) => (0, 0),
        };
        if size > 0 && !is_head && !self.put_small(served, offset, size, out) {
            return Body::File(served.file, offset, size);
        }
        self.files.release(served.file);
        Body::None
    }

    /// Puts bytes of a small file into `out`: from memory, or from the page cache; false if that
    /// cannot be done without waiting.
    fn put_small(&mut self, served: &Served, offset: u64, size: u64, out: &mut FixedBuf) -> bool {
        if size > CACHED_BODY_BYTES as u64 {
            return false;
        }
        let size = size as usize;
        if let Some(bytes) = self.cache.body(self.files, served) {
            out.put(&bytes[offset as usize..][..size]);
            return true;
        }
        let file = self.files.get(served.file).descriptor.raw();
        out.fill(size, |room| {
            sys::read_at(file, room, offset, true) == Ok(size)
        })
    }
}

/// What tells this state of a file from others, at a time.
pub(crate) fn validators(file: &File, encoding: Encoding, real_ms: u64) -> Validators {
    Validators {
        size: file.size,
        mtime_ns: file.mtime_ns,
        encoding,
        is_weak: is_fresh(real_ms, file.mtime_ns),
    }
}

/// Whether a file can still change without its time telling.
fn is_fresh(real_ms: u64, mtime_ns: i64) -> bool {
    let age_ns = i128::from(real_ms) * 1_000_000 - i128::from(mtime_ns);
    // Half a millisecond of the clock may be cut off. A time that lies far ahead is that of a board
    // without a clock, not of a change.
    (-1_000_000..SETTLED_NS).contains(&age_ns)
}

fn status_of(fault: Fault) -> Status {
    match fault {
        Fault::NotFound => Status::NOT_FOUND,
        Fault::NotAllowed => Status::FORBIDDEN,
        Fault::TooLong => Status::URI_TOO_LONG,
        Fault::Malformed => Status::BAD_REQUEST,
        Fault::TooSlow => Status::TIMEOUT,
        Fault::Full | Fault::Io => Status::UNAVAILABLE,
    }
}
