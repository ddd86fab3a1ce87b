//! The query of a listing: what its client wants to see of the folder.

use heapless::Vec;

use crate::entry::{By, Order};
use crate::http::media::prefers_json;
use crate::http::request::{Field, Request};
use crate::http::text::{Output, put_url};
use crate::limits::NAME_MAX;

/// How a listing is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// For people.
    Html,
    /// For programs.
    Json,
}

/// What a client wants to see of a folder: `?sort=name|size|date`, `&order=asc|desc`, `&q=FILTER`,
/// `&after=NAME`, `&limit=N`, `&format=html|json`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Query {
    /// `sort` and `order`; without them by name, the smallest first.
    pub order: Order,
    /// `q`: see [`Query::matches`]. A longer one than the longest name could match none.
    pub filter: Vec<u8, NAME_MAX>,
    /// `after`: the name behind which, in this order, the page starts; empty for the first page.
    pub after: Vec<u8, NAME_MAX>,
    /// `limit`: entries on a page at most.
    pub limit: Option<u32>,
    /// `format`; without it the `Accept` field decides.
    pub format: Option<Format>,
}

/// A parameter that is known has a value that it can't have: to be answered with 400.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BadQuery {
    /// What is wrong with it, for people.
    pub reason: &'static str,
}

impl Query {
    /// What a client wants that does not say.
    pub const NONE: Self = Self {
        order: Order::NAME,
        filter: Vec::new(),
        after: Vec::new(),
        limit: None,
        format: None,
    };

    /// Reads what follows the `?` of a URL, as a form sends it: percent-encoded, `+` for a space.
    ///
    /// A parameter with an empty value counts as absent and an unknown one is ignored; of a doubled
    /// one the last counts. A `%` that no two hex digits follow stands for itself.
    ///
    /// # Errors
    /// `BadQuery` for a `sort`, `order` or `format` that is none of its words, for a `limit` that is no
    /// number from 1 on, and for a `q` or `after` that is longer than a name or, of `after`, none.
    pub fn parse(text: &[u8]) -> Result<Self, BadQuery> {
        let mut query = Self::NONE;
        for parameter in text.split(|byte| *byte == b'&') {
            let mut parts = parameter.splitn(2, |byte| *byte == b'=');
            let name = parts.next().unwrap_or_default();
            let value = parts.next().unwrap_or_default();
            if !value.is_empty() {
                query.set(name, value)?;
            }
        }
        Ok(query)
    }

    fn set(&mut self, name: &[u8], value: &[u8]) -> Result<(), BadQuery> {
        let bad = |reason| Err(BadQuery { reason });
        match (name, value) {
            (b"sort", b"name") => self.order.by = By::Name,
            (b"sort", b"size") => self.order.by = By::Size,
            (b"sort", b"date") => self.order.by = By::Date,
            (b"sort", _) => return bad("sort is name, size or date"),
            (b"order", b"asc") => self.order.descending = false,
            (b"order", b"desc") => self.order.descending = true,
            (b"order", _) => return bad("order is asc or desc"),
            (b"format", b"html") => self.format = Some(Format::Html),
            (b"format", b"json") => self.format = Some(Format::Json),
            (b"format", _) => return bad("format is html or json"),
            (b"limit", digits) => match number(digits) {
                None | Some(0) => return bad("limit is a number from 1 on"),
                limit => self.limit = limit,
            },
            (b"q", filter) => match decoded(filter) {
                Some(filter) => self.filter = filter,
                None => return bad("q has at most 765 bytes"),
            },
            (b"after", after) => match decoded(after) {
                Some(after) if is_name(&after) => self.after = after,
                _ => return bad("after is the name of an entry, of at most 765 bytes"),
            },
            _ => {}
        }
        Ok(())
    }

    /// Whether the listing is wanted as an array for programs, not as a page for people.
    #[must_use]
    pub fn wants_json(&self, request: &Request) -> bool {
        match self.format {
            Some(format) => format == Format::Json,
            None => prefers_json(request.values(Field::Accept)),
        }
    }

    /// Whether an entry of this name is to be shown: whether it contains the filter. Of letters
    /// only those of ASCII are the same in upper and lower case; names are bytes.
    #[must_use]
    pub fn matches(&self, name: &[u8]) -> bool {
        self.filter.is_empty()
            || name
                .windows(self.filter.len())
                .any(|part| part.eq_ignore_ascii_case(&self.filter))
    }

    /// Writes the URL of a page with this filter and limit, but another order and start. It is
    /// relative to any page of the folder, and fit for a quoted attribute.
    pub fn put_link(&self, out: &mut impl Output, order: Order, after: &[u8]) {
        out.text("./");
        let mut separator = "?";
        let mut parameter = |out: &mut _, name: &str| {
            put_parameter(out, separator, name);
            separator = "&amp;";
        };
        if order.by != By::Name {
            parameter(out, "sort");
            out.text(sort_name(order.by));
        }
        if order.descending {
            parameter(out, "order");
            out.text("desc");
        }
        if !self.filter.is_empty() {
            parameter(out, "q");
            put_url(out, &self.filter);
        }
        if let Some(limit) = self.limit {
            parameter(out, "limit");
            out.number(limit.into(), 1);
        }
        if !after.is_empty() {
            parameter(out, "after");
            put_url(out, after);
        }
    }
}

fn put_parameter(out: &mut impl Output, separator: &str, name: &str) {
    out.text(separator);
    out.text(name);
    out.text("=");
}

/// The value of `sort`.
pub(super) fn sort_name(by: By) -> &'static str {
    match by {
        By::Name => "name",
        By::Size => "size",
        By::Date => "date",
    }
}

/// Decimal digits only. What is greater than any folder counts as the greatest.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u32::from(digit - b'0'))?;
        Some(number.saturating_mul(10).saturating_add(digit))
    })
}

/// Whether a folder can have an entry of this name; `..` would tell of what is above.
fn is_name(name: &[u8]) -> bool {
    !matches!(name, b"." | b"..") && !name.contains(&b'/') && !name.contains(&0)
}

/// The value without its percent-encoding; `None` if it has more than `NAME_MAX` bytes.
fn decoded(value: &[u8]) -> Option<Vec<u8, NAME_MAX>> {
    let mut decoded = Vec::new();
    let mut rest = value;
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        let byte = match byte {
            b'+' => b' ',
            b'%' => match hex_pair(behind) {
                Some(byte) => {
                    rest = &behind[2..];
                    byte
                }
                None => b'%',
            },
            byte => *byte,
        };
        decoded.push(byte).ok()?;
    }
    Some(decoded)
}

fn hex_pair(text: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (high, low) = (digit(*text.first()?)?, digit(*text.get(1)?)?);
    Some((high * 16 + low) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Query {
        Query::parse(text.as_bytes()).expect(text)
    }

    #[test]
    fn parameters_are_read_and_others_ignored() {
        let query = parse("sort=size&order=desc&q=a+b%2b%C3%a4&after=%ff%26&limit=50&format=json");
        assert_eq!(query.order.by, By::Size);
        assert!(query.order.descending);
        assert_eq!(query.filter, "a b+ä".as_bytes());
        assert_eq!(query.after, b"\xff&");
        assert_eq!((query.limit, query.format), (Some(50), Some(Format::Json)));
        assert_eq!(parse(""), Query::NONE);
        assert_eq!(
            parse("q=&sort=&limit=&after=&order&utm=1&&=x&Q=y"),
            Query::NONE
        );
        assert_eq!(parse("q=a&q=b").filter, b"b");
        assert_eq!(parse("q=a=b%&limit=007").filter, b"a=b%");
        assert_eq!(parse("q=%4&q=%zz").filter, b"%zz");
        assert_eq!(parse("limit=99999999999999999999").limit, Some(u32::MAX));
    }

    #[test]
    fn a_value_that_cannot_be_is_an_error() {
        let long = format!("q={}", "x".repeat(NAME_MAX + 1));
        for text in [
            "limit=0",
            "limit=-1",
            "limit=%31",
            "limit=ten",
            "sort=colour",
            "order=up",
            "format=xml",
            "after=a/b",
            "after=%2e%2e",
            "after=a%00b",
            &long,
            &long.replace("q=", "after="),
        ] {
            assert!(Query::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(parse(&long[..long.len() - 1]).filter.len(), NAME_MAX);
    }

    #[test]
    fn a_filter_is_found_anywhere_in_a_name() {
        let query = parse("q=JPG");
        assert!(query.matches(b"a.jpg") && query.matches(b"xJpGx") && !query.matches(b"jp"));
        assert!(Query::NONE.matches(b"a") && !parse("q=%C3%84").matches("ä".as_bytes()));
    }

    #[test]
    fn a_link_asks_for_what_it_was_made_of() {
        let text = "sort=date&order=desc&q=a%26+%22%FF&limit=3&after=%3C%C3%A4";
        let query = parse(text);
        let mut link = Vec::<u8, 200>::new();
        struct Link<'a>(&'a mut Vec<u8, 200>);
        impl Output for Link<'_> {
            fn put(&mut self, bytes: &[u8]) {
                self.0.extend_from_slice(bytes).unwrap();
            }
        }
        query.put_link(&mut Link(&mut link), query.order, &query.after);
        let link = str::from_utf8(&link).unwrap().replace("&amp;", "&");
        assert_eq!(parse(link.strip_prefix("./?").unwrap()), query);
        let mut plain = Vec::new();
        Query::NONE.put_link(&mut Link(&mut plain), Order::NAME, b"");
        assert_eq!(plain, b"./");
    }
}
