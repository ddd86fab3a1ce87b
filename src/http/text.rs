//! Text of heads and pages: where it is written to, and how names of any bytes are escaped in it.

/// Takes what is written: a buffer on the serving path, a vector in tests.
pub trait Output {
    /// Takes the next bytes.
    fn put(&mut self, bytes: &[u8]);

    /// Takes the next text.
    fn text(&mut self, text: &str) {
        self.put(text.as_bytes());
    }

    /// Takes a number in decimal digits, at least `digits` of them.
    fn number(&mut self, mut number: u64, digits: usize) {
        let mut text = [b'0'; 20];
        let mut start = text.len();
        while number > 0 || text.len() - start < digits.max(1) {
            start -= 1;
            text[start] = b'0' + (number % 10) as u8;
            number /= 10;
        }
        self.put(&text[start..]);
    }
}

/// Digits of a chunk's size. They are as many for every size, because the size is filled in after the data is
/// written; leading zeroes are allowed (RFC 9112 section 7.1).
const CHUNK_SIZE_DIGITS: usize = 5;

/// Text in a fixed buffer. Every caller knows how long its text can be, so running out of the buffer is a bug
/// and panics.
pub struct FixedBuf<'a> {
    bytes: &'a mut [u8],
    used: usize,
}

impl<'a> FixedBuf<'a> {
    /// Bytes that a chunk has besides its data.
    pub const CHUNK_BYTES: usize = CHUNK_SIZE_DIGITS + 2 + 2;

    /// An empty page in `bytes`.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, used: 0 }
    }

    /// Bytes that are written.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used
    }

    /// Lets `write` fill the next `size` bytes, which are none if it returns false, as does this.
    pub fn fill(&mut self, size: usize, write: impl FnOnce(&mut [u8]) -> bool) -> bool {
        let is_filled = write(&mut self.bytes[self.used..][..size]);
        if is_filled {
            self.used += size;
        }
        is_filled
    }

    /// Writes one chunk of the chunked coding (RFC 9112, section 7.1) with what `write` writes, which
    /// must not be nothing: that would end the body.
    pub fn chunk(&mut self, write: impl FnOnce(&mut Self)) {
        let head = self.used;
        self.put(&[b'0'; CHUNK_SIZE_DIGITS]);
        self.put(b"\r\n");
        let start = self.used;
        write(self);
        let mut size = self.used - start;
        assert!(size > 0 && size < 1 << (4 * CHUNK_SIZE_DIGITS));
        for digit in self.bytes[head..][..CHUNK_SIZE_DIGITS].iter_mut().rev() {
            *digit = hex(size as u8);
            size >>= 4;
        }
        self.put(b"\r\n");
    }
}

impl Output for FixedBuf<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.used..][..bytes.len()].copy_from_slice(bytes);
        self.used += bytes.len();
    }
}

/// The digit for the lower four bits, upper case as RFC 3986, section 2.1 wants it.
fn hex(number: u8) -> u8 {
    b"0123456789ABCDEF"[usize::from(number & 15)]
}

/// Writes bytes as text in HTML, in an element or in a quoted attribute.
///
/// What is not UTF-8 is shown as U+FFFD, and so are the controls that turn the direction of text, by
/// which a name can pretend another ending. Other controls are shown by their pictures.
pub(super) fn put_html(out: &mut impl Output, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '&' => out.put(b"&amp;"),
                '<' => out.put(b"&lt;"),
                '>' => out.put(b"&gt;"),
                '"' => out.put(b"&quot;"),
                '\'' => out.put(b"&#39;"),
                '\0'..' ' => put_char(out, picture(letter as u32)),
                '\x7f' => put_char(out, '\u{2421}'),
                '\u{80}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                    put_char(out, char::REPLACEMENT_CHARACTER)
                }
                _ => put_char(out, letter),
            }
        }
        if !chunk.invalid().is_empty() {
            put_char(out, char::REPLACEMENT_CHARACTER);
        }
    }
}

/// The picture of a control, of the block "Control Pictures".
fn picture(control: u32) -> char {
    char::from_u32(0x2400 + control).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Writes bytes as one component of a URL's path, or as a value in its query: all that is not
/// unreserved in RFC 3986, section 2.3 is percent-encoded, so a colon makes no scheme.
pub(super) fn put_url(out: &mut impl Output, bytes: &[u8]) {
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.put(&[*byte]);
            }
            _ => out.put(&[b'%', hex(byte >> 4), hex(*byte)]),
        }
    }
}

/// Writes bytes as a string of JSON (RFC 8259, section 7) without its quotes. What is not UTF-8 is
/// written as U+FFFD.
pub(super) fn put_json(out: &mut impl Output, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '"' => out.put(b"\\\""),
                '\\' => out.put(b"\\\\"),
                '\0'..' ' => {
                    let control = letter as u8;
                    out.put(&[b'\\', b'u', b'0', b'0', hex(control >> 4), hex(control)]);
                }
                _ => put_char(out, letter),
            }
        }
        if !chunk.invalid().is_empty() {
            put_char(out, char::REPLACEMENT_CHARACTER);
        }
    }
}

fn put_char(out: &mut impl Output, letter: char) {
    out.text(letter.encode_utf8(&mut [0; 4]));
}

/// Writes a size for people, with two or three digits that count: `1.2 MB`.
pub(super) fn put_size(out: &mut impl Output, size: u64) {
    if size < 1000 {
        out.number(size, 1);
        return out.text(" B");
    }
    let mut unit = 1000_u64;
    for name in [" kB", " MB", " GB", " TB", " PB", " EB"] {
        let tenths = size / (unit / 10) + u64::from(size % (unit / 10) >= unit / 20);
        if tenths < 1000 {
            out.number(tenths / 10, 1);
            out.put(b".");
            out.number(tenths % 10, 1);
            return out.text(name);
        }
        let whole = size / unit + u64::from(size % unit >= unit / 2);
        if whole < 1000 {
            out.number(whole, 1);
            return out.text(name);
        }
        unit = unit.saturating_mul(1000);
    }
    unreachable!("18.4 EB is the greatest size")
}

#[cfg(test)]
impl Output for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::http) fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut bytes = Vec::new();
        write(&mut bytes);
        String::from_utf8(bytes).expect("pages are UTF-8")
    }

    #[test]
    fn sizes_are_rounded_and_never_show_a_thousand_of_a_unit() {
        for (size, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1049, "1.0 kB"),
            (1050, "1.1 kB"),
            (99_949, "99.9 kB"),
            (99_950, "100 kB"),
            (999_499, "999 kB"),
            (999_500, "1.0 MB"),
            (1_234_567, "1.2 MB"),
            (4_294_967_296, "4.3 GB"),
            (999_500_000_000_000_000, "1.0 EB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(written(|out| put_size(out, size)), expected);
        }
    }

    #[test]
    fn bytes_of_any_kind_can_be_shown() {
        let shown = written(|out| put_html(out, b"a<b>&\"'\x01\x7f\xff\xc3\xa4\xc2\x85"));
        assert_eq!(
            shown,
            "a&lt;b&gt;&amp;&quot;&#39;\u{2401}\u{2421}\u{fffd}ä\u{fffd}"
        );
        assert_eq!(
            written(|out| put_html(out, "a\u{202e}gpj.exe".as_bytes())),
            "a\u{fffd}gpj.exe"
        );
        assert_eq!(
            written(|out| put_url(out, b"a:b?#%/ \xff~")),
            "a%3Ab%3F%23%25%2F%20%FF~"
        );
        assert_eq!(
            written(|out| put_json(out, b"\"\\\n\x1f\xff/")),
            "\\\"\\\\\\u000A\\u001F\u{fffd}/"
        );
    }

    #[test]
    fn a_chunk_says_its_size() {
        let mut bytes = [0; 400];
        let mut out = FixedBuf::new(&mut bytes);
        out.chunk(|out| out.put(&[b'x'; 300]));
        let used = out.used();
        assert_eq!(&bytes[..8], b"0012C\r\nx");
        assert_eq!(&bytes[used - 3..used], b"x\r\n");
        assert_eq!(used, 7 + 300 + 2);
    }
}
