//! Responding to one HTTP request: what it is answered with is decided, then written, and a small body
//! put behind it.

use std::os::fd::AsRawFd;

use super::response::{Body, Response};
use crate::files::{CachedFile, File, OpenError, OpenFile, Resolution, read_folder, seek};
use crate::http::listing::Query;
use crate::http::multipart::Multipart;
use crate::http::path::{self, Path};
use crate::http::response_head::{Extent, HeadOptions, Representation};
use crate::http::{
    Encoding, ErrorFormat, Field, FixedBuf, Method, OWN, Outcome, Output, Range, Ranges, Refusal,
    Reply, Request, Status, Validators, accepted, evaluate, range,
};
use crate::limits::CACHED_BODY_BYTES;
use crate::sys::{self, Errno};
use crate::worker::config::WorkerConfig;
use crate::worker::store::Store;

/// A file may change without a change of its time for so long, which is what FAT can tell apart.
const SETTLED_NS: i128 = 2_000_000_000;

/// When a request is answered.
#[derive(Clone, Copy)]
pub(crate) struct RequestTime {
    /// Milliseconds on the monotonic clock.
    pub(crate) now_ms: u64,
    /// Milliseconds since 1970, as far as the system knows.
    pub(crate) real_ms: u64,
}

/// What is needed to respond.
pub(crate) struct Responder<'a> {
    pub(crate) config: &'a WorkerConfig<'a>,
    pub(crate) store: &'a mut Store,
    pub(crate) time: RequestTime,
    /// The server is full or stops: nothing is said but that.
    pub(crate) is_busy: bool,
    /// The connection may be kept, as far as the server is concerned.
    pub(crate) keep_alive: bool,
}

/// A reply, and what is open for its body.
struct Decided<'a> {
    reply: Reply<'a>,
    source: Source,
}

/// What the body of a reply is made of, if it is not generated.
enum Source {
    None,
    File(CachedFile, Range),
    Ranges(CachedFile),
    Folder(crate::files::FileSlot),
}

impl<'a> From<Reply<'a>> for Decided<'a> {
    fn from(reply: Reply<'a>) -> Self {
        Self {
            reply,
            source: Source::None,
        }
    }
}

/// The ranges that a request asks for, of those that a file of `size` bytes has.
pub(crate) fn ranges(request: &Request, size: u64) -> Ranges {
    match request.value(Field::Range) {
        Some(value) => range::parse(value, size),
        None => Ranges::Whole,
    }
}

impl<'a> Responder<'a> {
    fn options(&self, is_http10: bool, keep_alive: bool) -> HeadOptions<'a> {
        let real_s = self.time.real_ms / 1000;
        HeadOptions {
            date_s: (real_s >= self.config.clock_floor_s).then_some(real_s),
            is_http10,
            keep_alive: keep_alive && self.keep_alive && !self.is_busy,
            extra: &self.config.http_config.extra,
            extra_generated: &self.config.http_config.extra_generated,
        }
    }

    /// Responds to what is no request.
    pub(crate) fn refuse(&self, refusal: &Refusal, out: &mut [u8]) -> Response {
        let reply = Reply::Error(refusal.status);
        let out = &mut FixedBuf::new(out);
        let head_len = reply.write(out, &self.options(false, false), || {
            ErrorFormat::of_refused(refusal)
        });
        Response {
            status: refusal.status,
            len: out.used(),
            body_len: out.used() - head_len,
            body: Body::None,
            keep_alive: false,
        }
    }

    /// Responds to a request. It blocks while the card is asked for what the cache lacks.
    pub(crate) fn respond(&mut self, request: &Request, out: &mut [u8]) -> Response {
        let out = &mut FixedBuf::new(out);
        let path = path::decode(request.path);
        let options = self.options(request.is_http10, request.keep_alive);
        let Decided { reply, source } = self.decide(request, &path, &options);
        let head_len = reply.write(out, &options, || ErrorFormat::of(request));
        let body = self.body(source, request.method == Method::Head, out);
        Response {
            status: reply.status(),
            len: out.used(),
            body_len: out.used() - head_len,
            body,
            keep_alive: reply.keep_alive(&options),
        }
    }

    fn decide<'p>(
        &mut self,
        request: &Request<'p>,
        path: &'p Result<Path, Status>,
        options: &HeadOptions,
    ) -> Decided<'p> {
        if self.is_busy {
            return Reply::Busy.into();
        }
        match request.method {
            Method::Get | Method::Head => {}
            Method::Options => return Reply::Options.into(),
            Method::Known => return Reply::MethodNotAllowed.into(),
            Method::Unknown => return Reply::Error(Status::NOT_IMPLEMENTED).into(),
        }
        let path = match path {
            Ok(path) => path,
            // No file has such a name.
            Err(Status::NOT_FOUND) => return self.decide_missing(request, options),
            Err(status) => return Reply::Error(*status).into(),
        };
        if path.bytes.split(|byte| *byte == b'/').next() == Some(OWN) {
            return self.decide_own(path).into();
        }
        let located = if path.is_hidden() && !self.config.http_config.dotfiles {
            Err(OpenError::NotFound)
        } else {
            self.locate(&path.bytes, path.is_folder, request)
        };
        match located {
            Ok(Resolution::File(served)) => self.decide_file(request, served, Status::OK, options),
            Ok(Resolution::NeedsSlash) => Reply::Redirect(path, request.query).into(),
            Ok(Resolution::Folder(found)) => self.decide_folder(request, found),
            // No name on this file system is so long.
            Err(OpenError::NotFound | OpenError::TooLong) => self.decide_missing(request, options),
            Err(OpenError::Exhausted) => Reply::Busy.into(),
            Err(OpenError::Io) => self.unreadable(),
            Err(error) => Reply::Error(status_of(error)).into(),
        }
    }

    fn unreadable<'p>(&self) -> Decided<'p> {
        self.config.gauges.report_fault();
        Reply::Unreadable.into()
    }

    fn locate(
        &mut self,
        path: &[u8],
        is_folder: bool,
        request: &Request,
    ) -> Result<Resolution, OpenError> {
        let accepted = accepted(request.values(Field::AcceptEncoding));
        let (lookup, now_ms) = (self.config.lookup(), self.time.now_ms);
        let Store { files, cache, .. } = &mut *self.store;
        cache.locate(files, lookup, path, is_folder, accepted, now_ms)
    }

    /// For a path that is not there.
    fn decide_missing<'p>(&mut self, request: &Request, options: &HeadOptions) -> Decided<'p> {
        let fallback = self.config.http_config.fallback.as_ref();
        if let Some((file, is_error)) = fallback
            && let Ok(Resolution::File(served)) = self.locate(file.as_bytes(), false, request)
        {
            let status = if *is_error {
                Status::NOT_FOUND
            } else {
                Status::OK
            };
            return self.decide_file(request, served, status, options);
        }
        Reply::Error(Status::NOT_FOUND).into()
    }

    /// For the paths beneath `/-/`.
    fn decide_own(&self, path: &Path) -> Reply<'static> {
        if path.bytes != b"-/health" || path.is_folder {
            return Reply::Error(Status::NOT_FOUND);
        }
        if self.config.root.read().is_err() {
            self.config.gauges.report_fault();
            return Reply::Unreadable;
        }
        Reply::Healthy
    }

    fn decide_folder<'p>(&mut self, request: &Request, found: OpenFile) -> Decided<'p> {
        if !self.config.http_config.listing {
            return Reply::Error(Status::FORBIDDEN).into();
        }
        let query = match Query::parse(request.query.unwrap_or_default()) {
            Ok(query) => query,
            Err(bad) => {
                return Reply::BadQuery(bad.reason).into();
            }
        };
        if read_folder(found.descriptor.as_raw_fd()).is_err() {
            return self.unreadable();
        }
        let files = &mut self.store.files;
        let folder = files.insert(found);
        if let Err(errno) = seek(files.get(folder), &query.after, query.order) {
            files.release(folder);
            if matches!(errno, Errno::ENOENT | Errno::EACCES | Errno::EPERM) {
                return Reply::Error(Status::NOT_FOUND).into();
            }
            return self.unreadable();
        }
        Decided {
            reply: Reply::Listing {
                is_json: query.wants_json(request),
            },
            source: Source::Folder(folder),
        }
    }

    fn decide_file<'p>(
        &mut self,
        request: &Request,
        served: CachedFile,
        status: Status,
        options: &HeadOptions,
    ) -> Decided<'p> {
        let file = self.store.files.get(served.file);
        let size = file.size;
        let validators = validators(file, served.encoding, self.time.real_ms);
        let modified_s = validators.modified_s();
        let representation = Representation {
            tag: validators.tag(),
            // A client would take a date that is yet to come for a mistake (RFC 9110, 8.8.2.1).
            modified_s: options
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
        let unsent = match outcome {
            Outcome::Proceed { .. } => None,
            Outcome::NotModified => Some(Status::NOT_MODIFIED),
            Outcome::PreconditionFailed => Some(Status::PRECONDITION_FAILED),
        };
        if let Some(status) = unsent {
            self.store.files.release(served.file);
            return Reply::Unsent(status, representation).into();
        }
        let ranges = if outcome == (Outcome::Proceed { range: true }) {
            ranges(request, size)
        } else {
            Ranges::Whole
        };
        let whole = Range { first: 0, size };
        let (status, extent, source) = match &ranges {
            Ranges::Whole => (status, Extent::Whole(size), Source::File(served, whole)),
            Ranges::One(range) => {
                let extent = Extent::Part(*range, size);
                (Status::PARTIAL, extent, Source::File(served, *range))
            }
            Ranges::Several(ranges) => {
                let parts = Multipart {
                    ranges,
                    file_size: size,
                    content_type: served.content_type,
                    tag: &representation.tag,
                };
                let extent = Extent::Multipart(parts.size());
                (Status::PARTIAL, extent, Source::Ranges(served))
            }
            Ranges::Unsatisfiable => {
                self.store.files.release(served.file);
                return Reply::Unsatisfiable(size).into();
            }
        };
        Decided {
            reply: Reply::File(status, representation, extent),
            source,
        }
    }

    /// Puts a small body behind its head, or says where it comes from. What is open is given back where
    /// nothing more is sent of it.
    fn body(&mut self, source: Source, is_head: bool, out: &mut FixedBuf) -> Body {
        let file = match source {
            Source::None => return Body::None,
            Source::File(served, range) => {
                if !is_head && range.size > 0 && !self.put_small(&served, range, out) {
                    return Body::File(served.file, range);
                }
                served.file
            }
            Source::Ranges(served) if !is_head => {
                return Body::Multipart(served.file, served.encoding);
            }
            Source::Folder(folder) if !is_head => return Body::Listing(folder),
            Source::Ranges(CachedFile { file, .. }) | Source::Folder(file) => file,
        };
        self.store.files.release(file);
        Body::None
    }

    /// Puts bytes of a small file into `out`: from memory, or from the page cache; false if that
    /// cannot be done without waiting.
    fn put_small(&mut self, served: &CachedFile, range: Range, out: &mut FixedBuf) -> bool {
        if range.size > CACHED_BODY_BYTES as u64 {
            return false;
        }
        let size = range.size as usize;
        let Store { files, cache, .. } = &mut *self.store;
        if let Some(bytes) = cache.body(files, served) {
            out.put(&bytes[range.first as usize..][..size]);
            return true;
        }
        let file = files.get(served.file).descriptor.raw();
        out.fill(size, |room| {
            sys::read_at(file, room, range.first, true) == Ok(size)
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

fn status_of(error: OpenError) -> Status {
    match error {
        OpenError::NotFound => Status::NOT_FOUND,
        OpenError::NotAllowed => Status::FORBIDDEN,
        OpenError::TooLong => Status::URI_TOO_LONG,
        OpenError::Malformed => Status::BAD_REQUEST,
        OpenError::Exhausted | OpenError::Io => Status::UNAVAILABLE,
    }
}
