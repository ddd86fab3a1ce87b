//! Text of pages: where it goes, and how bytes of any kind are written in it.

/// Takes the bytes of a page.
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

/// Digits of a chunk's size: leading zeroes are allowed, so it can be filled in afterwards.
const CHUNK_SIZE_DIGITS: usize = 5;

/// A page, or a part of one, in a fixed buffer. The callers know how long each part can be, so text
/// that finds no room is a mistake of ours.
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

/// A moment, in UTC.
pub(super) struct Moment {
    year: u64,
    month: u64,
    day: u64,
    second_of_day: u64,
}

impl Moment {
    /// The second in which `ns` nanoseconds since 1970 lie; i64 reaches from 1677 to 2262.
    pub(super) fn new(ns: i64) -> Self {
        const DAY_S: i64 = 24 * 60 * 60;
        let seconds = ns.div_euclid(1_000_000_000);
        // In years that start in March, so that the day that some have more comes last, counted
        // from March of the year 0 in periods of 400 years.
        let days = (seconds.div_euclid(DAY_S) + 719_468) as u64;
        let (period, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day_of_year = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day_of_year + 2) / 153;
        let month_from_january = if month < 10 { month + 3 } else { month - 9 };
        Self {
            year: period * 400 + year + u64::from(month_from_january <= 2),
            month: month_from_january,
            day: day_of_year - (153 * month + 2) / 5 + 1,
            second_of_day: seconds.rem_euclid(DAY_S) as u64,
        }
    }

    fn put_date(&self, out: &mut impl Output) {
        out.number(self.year, 4);
        out.put(b"-");
        out.number(self.month, 2);
        out.put(b"-");
        out.number(self.day, 2);
    }

    fn put_minute(&self, out: &mut impl Output) {
        out.number(self.second_of_day / 3600, 2);
        out.put(b":");
        out.number(self.second_of_day / 60 % 60, 2);
    }

    /// Writes it for people: `2026-11-24 13:05`.
    pub(super) fn put(&self, out: &mut impl Output) {
        self.put_date(out);
        out.put(b" ");
        self.put_minute(out);
    }

    /// Writes it for programs, as RFC 3339 has it: `2026-11-24T13:05:00Z`.
    pub(super) fn put_rfc_3339(&self, out: &mut impl Output) {
        self.put_date(out);
        out.put(b"T");
        self.put_minute(out);
        out.put(b":");
        out.number(self.second_of_day % 60, 2);
        out.put(b"Z");
    }
}

#[cfg(test)]
impl Output for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
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
    fn moments_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_795_525_530, "2026-11-24T13:05:30Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            let ns = seconds * 1_000_000_000;
            assert_eq!(written(|out| Moment::new(ns).put_rfc_3339(out)), expected);
        }
        assert_eq!(
            written(|out| Moment::new(1_795_525_530_999_999_999).put(out)),
            "2026-11-24 13:05"
        );
        assert!(written(|out| Moment::new(i64::MIN).put(out)).starts_with("1677-09-21"));
        assert!(written(|out| Moment::new(i64::MAX).put(out)).starts_with("2262-04-11"));
    }

    #[test]
    fn every_day_of_many_years_follows_the_one_before() {
        let mut before = written(|out| Moment::new(0).put_date(out));
        for day in 1..100_000_i64 {
            let date = written(|out| Moment::new(day * 86_400_000_000_000).put_date(out));
            let expected = after(&before);
            assert_eq!(date, expected);
            before = date;
        }
    }

    fn after(date: &str) -> String {
        let mut parts = date.split('-').map(|part| part.parse::<u32>().unwrap());
        let (year, month, day) = (
            parts.next().unwrap(),
            parts.next().unwrap(),
            parts.next().unwrap(),
        );
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 => 28 + u32::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let (year, month, day) = match (month, day) {
            (12, 31) => (year + 1, 1, 1),
            (_, day) if day == days => (year, month + 1, 1),
            _ => (year, month, day + 1),
        };
        format!("{year:04}-{month:02}-{day:02}")
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
