//! Conditional requests (RFC 9110 section 13): what a client has already, and what it asks only if.

use super::{Encoding, Request};

/// An entity tag as it is sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tag;

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Validators {
    /// Bytes of the file.
    pub size: u64,
    /// When it was modified, in nanoseconds after 1970 began.
    pub mtime_ns: i64,
    /// How the body is coded: each coding is a body of its own.
    pub encoding: Encoding,
    /// The file may have changed without a change of size or time.
    pub is_weak: bool,
}

impl Validators {
    /// The entity tag: the same for the same validators, in any run and on any board.
    #[must_use]
    pub fn tag(&self) -> Tag {
        todo!()
    }

    /// When the file was modified, in whole seconds after 1970 began, for `Last-Modified`.
    #[must_use]
    pub fn modified_s(&self) -> u64 {
        todo!()
    }
}

impl Tag {
    /// The bytes, quotes and all.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        todo!()
    }
}

/// What the conditions come to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The request is to be answered.
    Proceed {
        /// `Range` counts: the method is GET, and `If-Range` is absent or true.
        range: bool,
    },
    /// The client has it already: 304.
    NotModified,
    /// It is not what the client thinks: 412.
    PreconditionFailed,
}

/// Evaluates the conditions of a GET or HEAD in the order of RFC 9110 section 13.2.2.
///
/// `dated` is false where no `Last-Modified` is sent: then conditions of time count for nothing.
#[must_use]
pub fn evaluate(_request: &Request<'_>, _validators: &Validators, _dated: bool) -> Outcome {
    todo!()
}
