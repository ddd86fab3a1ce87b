//! A response over HTTP on its way: what of it is generated, and what follows.

use heapless::Vec;

use crate::files::FileSlot;
use crate::http::{Encoding, Range, Status};

/// Requests that are answered in one turn.
const BATCH_MAX: usize = 32;

/// What follows the bytes of a response that are generated.
pub(crate) enum Body {
    /// Nothing.
    None,
    /// A range of a file.
    File(FileSlot, Range),
    /// Several ranges of a file, as the request says.
    Multipart(FileSlot, Encoding),
    /// The entries of a folder, as the request says.
    Listing(FileSlot),
}

impl Body {
    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// The file or folder that it is made of, and that must be given back.
    pub(crate) fn file(&self) -> FileSlot {
        match self {
            Self::None => FileSlot::NONE,
            Self::File(file, _) | Self::Multipart(file, _) | Self::Listing(file) => *file,
        }
    }
}

/// A response, of which the first bytes are generated.
pub(crate) struct Response {
    pub(crate) status: Status,
    /// Bytes that are generated, and those of the body that are among them.
    pub(crate) len: usize,
    pub(crate) body_len: usize,
    pub(crate) body: Body,
    pub(crate) keep_alive: bool,
}

/// A response in a batch.
pub(crate) struct Answered {
    /// Where its request begins in the batch's requests.
    pub(crate) request: usize,
    /// Where it ends in the batch.
    pub(crate) end: usize,
    pub(crate) status: Status,
    /// Bytes of the body that are generated.
    pub(crate) body_len: u64,
    /// What it depended on beside its request: whether the server was full or about to stop, and
    /// whether the connection could be kept.
    pub(crate) is_busy: bool,
    pub(crate) keep_alive: bool,
}

/// The responses that are generated in one turn.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) answered: Vec<Answered, BATCH_MAX>,
    /// Bytes of the requests that are answered.
    pub(crate) requests_len: usize,
    /// Bytes of the responses.
    pub(crate) len: usize,
    pub(crate) last: Option<Response>,
    /// When they were generated, in milliseconds since 1970.
    pub(crate) generated_ms: u64,
    /// More of what the last request belongs to is on its way.
    pub(crate) is_cut: bool,
    /// More requests may be there than fit the batch.
    pub(crate) is_full: bool,
}

impl Batch {
    /// Adds a response to a request of `request_len` bytes, and what else it depended on.
    pub(crate) fn push(
        &mut self,
        response: Response,
        request_len: usize,
        is_busy: bool,
        keep_alive: bool,
    ) {
        let answered = Answered {
            request: self.requests_len,
            end: self.len + response.len,
            status: response.status,
            body_len: response.body_len as u64,
            is_busy,
            keep_alive,
        };
        self.requests_len += request_len;
        self.len = answered.end;
        let pushed = self.answered.push(answered);
        assert!(pushed.is_ok(), "the caller has asked whether there is room");
        self.last = Some(response);
    }
}
