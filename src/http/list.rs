//! The comma lists that many fields hold, and their weights (RFC 9110 sections 5.6.1 and 12.4.2).

/// The weight of what is wanted most, in thousandths.
pub(super) const WEIGHT_MAX: u16 = 1000;

/// The elements of a list, without the blanks around them; empty ones count for nothing. A comma
/// between quotes belongs to its element.
pub(super) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    split(value, b',').filter(|element| !element.is_empty())
}

/// An element's name, and its weight in thousandths: 1000 if none is given, `None` if it is not
/// one of `0` to `1` with at most three places.
pub(super) fn weighted(element: &[u8]) -> (&[u8], Option<u16>) {
    let mut parts = split(element, b';');
    let name = parts.next().unwrap_or_default();
    let given = parts.find_map(|part| match part {
        [b'q' | b'Q', b'=', number @ ..] => Some(weight(number)),
        _ => None,
    });
    (name, given.unwrap_or(Some(WEIGHT_MAX)))
}

fn weight(number: &[u8]) -> Option<u16> {
    let (whole, places) = match number {
        [whole @ (b'0' | b'1')] => (*whole, &[][..]),
        [whole @ (b'0' | b'1'), b'.', places @ ..] => (*whole, places),
        _ => return None,
    };
    if places.len() > 3 || !places.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut thousandths = u16::from(whole - b'0');
    for place in 0..3 {
        let digit = places.get(place).copied().unwrap_or(b'0');
        thousandths = thousandths * 10 + u16::from(digit - b'0');
    }
    (thousandths <= WEIGHT_MAX).then_some(thousandths)
}

/// The parts of `value` between separators that are not between quotes, without blanks around.
fn split(value: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(value);
    core::iter::from_fn(move || {
        let bytes = rest?;
        let mut is_quoted = false;
        let mut is_escaped = false;
        let end = bytes.iter().position(|byte| {
            let was_escaped = core::mem::take(&mut is_escaped);
            match byte {
                b'"' if !was_escaped => is_quoted = !is_quoted,
                b'\\' if is_quoted && !was_escaped => is_escaped = true,
                _ => {}
            }
            *byte == separator && !is_quoted
        });
        rest = end.map(|end| &bytes[end + 1..]);
        Some(trim(&bytes[..end.unwrap_or(bytes.len())]))
    })
}

/// `bytes` without the blanks and tabs around.
pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Whether all of `bytes`, at least one, may stand in a token (RFC 9110 section 5.6.2).
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| is_token_byte(*byte))
}

/// Whether `byte` may stand in a token.
pub(super) fn is_token_byte(byte: u8) -> bool {
    static TOKEN: [bool; 256] = alphanumeric_and(b"!#$%&'*+-.^_`|~");
    TOKEN[usize::from(byte)]
}

/// A table of letters, digits and `others`, to look bytes up in.
pub(super) const fn alphanumeric_and(others: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut other = 0;
    while other < others.len() {
        table[others[other] as usize] = true;
        other += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_no_empty_elements() {
        let all: Vec<&[u8]> = elements(b" , a,,\tb c ;q=1 ,\"x,\\\",y\",").collect();
        assert_eq!(all, [&b"a"[..], b"b c ;q=1", b"\"x,\\\",y\""]);
        assert_eq!(elements(b"").count(), 0);
        assert_eq!(elements(b"\"open, quote").count(), 1);
    }

    #[test]
    fn a_weight_has_three_places_at_most() {
        for (element, expected) in [
            (&b"a"[..], Some(1000)),
            (b"a;q=1", Some(1000)),
            (b"a ; Q=0.5", Some(500)),
            (b"a;v=b3;q=0.025", Some(25)),
            (b"a;q=1.000", Some(1000)),
            (b"a;q=0.", Some(0)),
            (b"a;q=0", Some(0)),
            (b"a;q=1.001", None),
            (b"a;q=0.1234", None),
            (b"a;q=2", None),
            (b"a;q=", None),
            (b"a;q=-1", None),
            (b"a;q=.5", None),
        ] {
            assert_eq!(weighted(element), (&b"a"[..], expected));
        }
    }
}
