//! Conditional requests (RFC 9110 section 13): what a client has already, and what it asks only if.

use core::fmt::{self, Write};

use heapless::String;

use super::list::trim;
use super::{Encoding, Field, Method, Request, date};

const NS_PER_S: i64 = 1_000_000_000;
/// `W/"`, two numbers of 64 bits in hexadecimal with a dash, an encoding's suffix, `"`.
const TAG_BYTES: usize = 3 + 16 + 1 + 16 + 4 + 1;

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
        let mut text = String::new();
        let prefix = if self.is_weak { "W/" } else { "" };
        let suffix = self.encoding.suffix();
        // The time is written in two's complement, so that a time before 1970 has no sign.
        let mtime_ns = self.mtime_ns.cast_unsigned();
        write!(text, "{prefix}\"{:x}-{mtime_ns:x}{suffix}\"", self.size)
            .expect("TAG_BYTES is the sum of the longest parts");
        Tag { text }
    }

    /// When the file was modified, in whole seconds after 1970 began, for `Last-Modified`. A time
    /// before that, as of a card written without a clock, is 0.
    #[must_use]
    pub fn modified_s(&self) -> u64 {
        u64::try_from(self.mtime_ns.div_euclid(NS_PER_S)).unwrap_or(0)
    }
}

/// An entity tag as it is sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tag {
    text: String<TAG_BYTES>,
}

impl Tag {
    /// The bytes, quotes and all.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
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

/// Evaluates the conditions of a GET or HEAD in the order of RFC 9110 section 13.2.2; other methods
/// have none.
///
/// `dated` is false where no `Last-Modified` is sent: then conditions of time count for nothing.
/// A time that can't be read, or is there twice, counts for nothing either.
#[must_use]
pub fn evaluate(request: &Request<'_>, validators: &Validators, dated: bool) -> Outcome {
    if !matches!(request.method, Method::Get | Method::Head) {
        return Outcome::Proceed { range: false };
    }
    let tag = validators.tag();
    let is_later_than = |field| {
        let value = request.value(field).filter(|_| dated)?;
        Some(validators.modified_s() > date::parse(value)?)
    };
    let fails = match names(request, Field::IfMatch, &tag, strongly) {
        Some(is_named) => !is_named,
        None => is_later_than(Field::IfUnmodifiedSince) == Some(true),
    };
    if fails {
        return Outcome::PreconditionFailed;
    }
    let is_known = match names(request, Field::IfNoneMatch, &tag, weakly) {
        Some(is_named) => is_named,
        None => is_later_than(Field::IfModifiedSince) == Some(false),
    };
    if is_known {
        return Outcome::NotModified;
    }
    let range = request.method == Method::Get && if_range(request, validators, &tag, dated);
    Outcome::Proceed { range }
}

/// Whether a field names the tag, or any by `*`; `None` if it is absent. Reading stops at the first
/// element that is no tag, because nobody can tell where it ends.
fn names(
    request: &Request<'_>,
    field: Field,
    tag: &Tag,
    matches: fn(&[u8], &[u8]) -> bool,
) -> Option<bool> {
    let mut values = request.values(field).peekable();
    values.peek()?;
    Some(values.any(|value| {
        trim(value) == b"*" || tags(value).any(|named| matches(named, tag.as_bytes()))
    }))
}

/// Whether `If-Range` is absent or true. It takes a strong validator only.
fn if_range(request: &Request<'_>, validators: &Validators, tag: &Tag, dated: bool) -> bool {
    if request.values(Field::IfRange).next().is_none() {
        return true;
    }
    let Some(value) = request.value(Field::IfRange) else {
        return false;
    };
    match date::parse(value) {
        Some(seconds) => dated && !validators.is_weak && seconds == validators.modified_s(),
        None => strongly(value, tag.as_bytes()),
    }
}

/// RFC 9110 section 8.8.3.2: both are strong, and the same.
fn strongly(left: &[u8], right: &[u8]) -> bool {
    left == right && !left.starts_with(b"W/")
}

/// RFC 9110 section 8.8.3.2: the same but for their weakness.
fn weakly(left: &[u8], right: &[u8]) -> bool {
    opaque(left) == opaque(right)
}

fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// The entity tags of a list, up to the first element that is none. A tag may hold commas and
/// backslashes, so this is no other list (RFC 9110 section 8.8.3).
fn tags(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = value;
    core::iter::from_fn(move || {
        while let [b' ' | b'\t' | b',', behind @ ..] = rest {
            rest = behind;
        }
        let text = opaque(rest).strip_prefix(b"\"")?;
        let end = text.iter().position(|byte| *byte == b'"')?;
        let size = rest.len() - text.len() + end + 1;
        let (tag, behind) = rest.split_at(size);
        rest = behind;
        matches!(trim(behind), [] | [b',', ..]).then_some(tag)
    })
}

#[cfg(test)]
#[path = "condition/tests.rs"]
mod tests;
