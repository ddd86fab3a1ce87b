//! Dates in a field (RFC 9110 section 5.6.7).

use core::fmt::Write;
use core::str;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use httpdate::HttpDate;

/// Bytes of a date as it is sent.
const DATE_BYTES: usize = 29;
/// The last second of the year 9999, beyond which no date can be written.
const SECONDS_MAX: u64 = 253_402_300_799;

/// Writes a date, `seconds` after 1970 began, as `Sun, 06 Nov 1994 08:49:37 GMT`.
///
/// What lies behind the year 9999 is shown as its last second.
#[must_use]
pub fn write(seconds: u64) -> [u8; DATE_BYTES] {
    let time = UNIX_EPOCH + Duration::from_secs(seconds.min(SECONDS_MAX));
    let mut text: heapless::String<DATE_BYTES> = heapless::String::new();
    write!(text, "{}", HttpDate::from(time)).expect("a date has 29 bytes");
    text.as_bytes().try_into().expect("a date has 29 bytes")
}

/// Writes a date as access logs have it: `06/Nov/1994:08:49:37 +0000`.
#[must_use]
pub fn write_log(seconds: u64) -> [u8; 26] {
    let date = write(seconds);
    let mut text = *b"DD/Mon/YYYY:HH:MM:SS +0000";
    text[..2].copy_from_slice(&date[5..7]);
    text[3..6].copy_from_slice(&date[8..11]);
    text[7..11].copy_from_slice(&date[12..16]);
    text[12..20].copy_from_slice(&date[17..25]);
    text
}

/// Reads a date in any of the three forms that RFC 9110 asks a recipient to know, as seconds after
/// 1970 began. `None` for what is no date, or lies before.
#[must_use]
pub fn parse(value: &[u8]) -> Option<u64> {
    let date: HttpDate = str::from_utf8(value).ok()?.parse().ok()?;
    let since = SystemTime::from(date).duration_since(UNIX_EPOCH).ok()?;
    Some(since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_of_a_date_are_one() {
        for text in [
            &b"Sun, 06 Nov 1994 08:49:37 GMT"[..],
            b"Sunday, 06-Nov-94 08:49:37 GMT",
            b"Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse(text), Some(784_111_777));
        }
        assert_eq!(&write(784_111_777), b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(&write_log(784_111_777), b"06/Nov/1994:08:49:37 +0000");
    }

    #[test]
    fn the_ends_of_time_can_be_written() {
        assert_eq!(&write(0), b"Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(&write(u64::MAX), b"Fri, 31 Dec 9999 23:59:59 GMT");
        assert_eq!(parse(&write(u64::MAX)), Some(SECONDS_MAX));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            &b""[..],
            b"0",
            b"Mon, 06 Nov 1994 08:49:37 GMT",
            b"Sun, 06 Nov 1994 08:49:37 CET",
            b"Tue, 30 Feb 2010 00:00:00 GMT",
            b"Sun, 06 Nov 1994 24:49:37 GMT",
            b"Wed, 31 Dec 1969 23:59:59 GMT",
            b"\xff\xff",
        ] {
            assert_eq!(parse(text), None, "{}", text.escape_ascii());
        }
    }
}
