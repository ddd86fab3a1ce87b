//! Several ranges in one answer, as `multipart/byteranges` (RFC 9110 section 14.6): the body as a
//! function of position, so that its sending can stop and go on anywhere.

use super::boundary::put_boundary;
use super::range::Range;
use super::response_head;
use super::{FixedBuf, Output, Tag};

/// Bytes of the longest text between two parts.
const TEXT_BYTES: usize = 384;

/// A body of several parts.
pub struct Multipart<'a> {
    /// The ranges, two or more.
    pub ranges: &'a [Range],
    /// Bytes of the file.
    pub file_size: u64,
    /// The file's media type.
    pub content_type: &'static str,
    /// The file's tag, of which the boundary is made.
    pub tag: &'a Tag,
}

/// Text that is generated, not read from the file.
pub struct Text {
    bytes: [u8; TEXT_BYTES],
    size: usize,
}

/// What lies at a position.
#[expect(
    clippy::large_enum_variant,
    reason = "there is no heap to put a text on"
)]
pub enum Segment {
    /// Text, from its byte with this number on.
    Text(Text, usize),
    /// Bytes of the file: the first one's offset, and how many follow in this part.
    Data(u64, u64),
    /// The end.
    Done,
}

impl Text {
    /// The text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.size]
    }

    fn new(write: impl FnOnce(&mut FixedBuf)) -> Self {
        let mut bytes = [0; TEXT_BYTES];
        let mut out = FixedBuf::new(&mut bytes);
        write(&mut out);
        let size = out.used();
        Self { bytes, size }
    }
}

impl Multipart<'_> {
    fn head(&self, range: &Range) -> Text {
        Text::new(|out| {
            out.put(b"\r\n--");
            put_boundary(out, self.tag);
            out.put(b"\r\nContent-Type: ");
            out.text(self.content_type);
            out.put(b"\r\n");
            response_head::content_range(out, range, self.file_size);
            out.put(b"\r\n");
        })
    }

    fn end(&self) -> Text {
        Text::new(|out| {
            out.put(b"\r\n--");
            put_boundary(out, self.tag);
            out.put(b"--\r\n");
        })
    }

    /// Bytes of the body.
    #[must_use]
    pub fn size(&self) -> u64 {
        let part = |range: &Range| self.head(range).size as u64 + range.size;
        self.ranges.iter().map(part).sum::<u64>() + self.end().size as u64
    }

    /// What lies at `position` of the body.
    #[must_use]
    pub fn at(&self, position: u64) -> Segment {
        let mut start = 0;
        for range in self.ranges {
            let head = self.head(range);
            let data = start + head.size as u64;
            if position < data {
                return Segment::Text(head, (position - start) as usize);
            }
            if position < data + range.size {
                let within = position - data;
                return Segment::Data(range.first + within, range.size - within);
            }
            start = data + range.size;
        }
        let end = self.end();
        let within = (position - start) as usize;
        if within < end.size {
            Segment::Text(end, within)
        } else {
            assert_eq!(within, end.size, "nothing lies behind the end");
            Segment::Done
        }
    }
}
