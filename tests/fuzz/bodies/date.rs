//! A date that can be read can be written, and is the same then.

use trainyard::http::date;

/// The bytes are a date, and the first eight a time as well.
pub(crate) fn check(bytes: &[u8]) {
    if let Some(seconds) = date::parse(bytes) {
        assert_eq!(date::parse(&date::write(seconds)), Some(seconds));
    }
    if let Some((seconds, _)) = bytes.split_first_chunk() {
        let seconds = u64::from_le_bytes(*seconds);
        let read = date::parse(&date::write(seconds)).expect("what is written can be read");
        assert!(read == seconds || read < seconds && read == 253_402_300_799);
    }
}
