//! The query of a listing: a link that is made of it asks for the same, and can stand in a page.

use trainyard::http::Output;
use trainyard::http::listing::Query;

/// The bytes are a query; after the first NUL, the name of an entry.
pub(crate) fn check(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let text = parts.next().unwrap_or_default();
    let name = parts.next().unwrap_or_default();
    let parsed = Query::parse(text);
    let twice = Query::parse(&[text, b"&", text].concat());
    assert_eq!(parsed, twice, "of a doubled parameter the last counts");
    let Ok(query) = parsed else {
        let more = [text, b"&sort=name&order=asc&limit=1"].concat();
        assert_eq!(Query::parse(&more), parsed, "nothing mends what is wrong");
        return;
    };
    is_sound(&query);
    assert_eq!(query.filter[..], read_plainly(text, b"q=")[..]);
    assert_eq!(query.after[..], read_plainly(text, b"after=")[..]);
    let link = link_of(&query);
    let asked = link.strip_prefix("./").expect("it is relative");
    let asked = Query::parse(asked.strip_prefix('?').unwrap_or(asked).as_bytes());
    let same = Query {
        format: None, // each page has its own
        ..query.clone()
    };
    assert_eq!(asked, Ok(same), "{link}");
    let lower = |bytes: &[u8]| bytes.to_ascii_lowercase();
    let (wanted, own) = (lower(&query.filter), lower(name));
    let contains = |start| own[start..].starts_with(&wanted);
    assert_eq!(query.matches(name), (0..=own.len()).any(contains));
    assert!(query.matches(&[name, &query.filter, name].concat()));
}

fn is_sound(query: &Query) {
    assert!(query.limit.is_none_or(|limit| limit > 0));
    assert!(!query.after.contains(&b'/') && !query.after.contains(&0));
    assert!(!matches!(&query.after[..], b"." | b".."));
}

/// The last value of a parameter that is not empty, decoded as a form's is (`+` is a space).
fn read_plainly(text: &[u8], name: &[u8]) -> Vec<u8> {
    let parameters = text.split(|byte| *byte == b'&');
    let mut values = parameters.filter_map(|parameter| parameter.strip_prefix(name));
    let value = values.rfind(|value| !value.is_empty());
    let mut rest = value.unwrap_or_default();
    let mut decoded = Vec::new();
    while let Some((&byte, behind)) = rest.split_first() {
        let digits = behind
            .get(..2)
            .and_then(|digits| str::from_utf8(digits).ok());
        let escaped = digits
            .filter(|digits| byte == b'%' && digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(match byte {
            b'+' => b' ',
            byte => escaped.unwrap_or(byte),
        });
        rest = &behind[if escaped.is_some() { 2 } else { 0 }..];
    }
    decoded
}

struct Link(Vec<u8>);

impl Output for Link {
    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

/// The link to the page that the query asks for, as it is after an attribute's quotes are taken off.
fn link_of(query: &Query) -> String {
    let mut link = Link(Vec::new());
    query.put_link(&mut link, query.order, &query.after);
    let longest = 3 * (query.filter.len() + query.after.len()) + 80;
    assert!(link.0.len() <= longest);
    let text = String::from_utf8(link.0).expect("a link is ASCII");
    let plain = text.replace("&amp;", "&");
    assert_eq!(plain.matches('&').count(), text.matches("&amp;").count());
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%/?&=".contains(&byte);
    assert!(plain.bytes().all(is_plain), "{plain}");
    plain
}
