//! As much of JSON (RFC 8259) as the budget needs, read strictly.

/// A value.
#[derive(Debug)]
pub(crate) enum Json {
    Number(u64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads a whole text; panics where it is not JSON.
    pub(crate) fn parse(text: &str) -> Self {
        let mut rest = text.trim();
        let value = Self::value(&mut rest);
        assert_eq!(rest, "", "after the end");
        value
    }

    fn value(rest: &mut &str) -> Self {
        match rest.bytes().next() {
            Some(b'{') => Self::Object(items(rest, '{', '}', |rest| {
                let name = string(rest);
                expect(rest, ':');
                (name, Self::value(rest))
            })),
            Some(b'[') => Self::List(items(rest, '[', ']', Self::value)),
            Some(b'"') => Self::Text(string(rest)),
            _ => {
                let end = rest
                    .find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(rest.len());
                let (number, after) = rest.split_at(end);
                *rest = after.trim_start();
                Self::Number(number.parse().unwrap())
            }
        }
    }

    #[track_caller]
    pub(crate) fn get(&self, name: &str) -> &Self {
        match self {
            Self::Object(members) => {
                let mut found = members.iter().filter(|member| member.0 == name);
                let (_, value) = found.next().unwrap_or_else(|| panic!("no {name}"));
                assert!(found.next().is_none(), "{name} is there twice");
                value
            }
            other => panic!("{other:?} is no object"),
        }
    }

    #[track_caller]
    pub(crate) fn number(&self) -> u64 {
        match self {
            Self::Number(number) => *number,
            other => panic!("{other:?} is no number"),
        }
    }

    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            other => panic!("{other:?} is no text"),
        }
    }

    #[track_caller]
    pub(crate) fn list(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            other => panic!("{other:?} is no list"),
        }
    }
}

fn expect(rest: &mut &str, sign: char) {
    *rest = rest
        .strip_prefix(sign)
        .unwrap_or_else(|| panic!("{sign} expected: {rest}"))
        .trim_start();
}

fn string(rest: &mut &str) -> String {
    let inner = rest.strip_prefix('"').unwrap();
    let (text, after) = inner.split_once('"').unwrap();
    assert!(!text.contains('\\'), "no escapes are needed: {text}");
    *rest = after.trim_start();
    text.to_owned()
}

fn items<T>(rest: &mut &str, open: char, close: char, read: impl Fn(&mut &str) -> T) -> Vec<T> {
    expect(rest, open);
    let mut items = Vec::new();
    while !rest.starts_with(close) {
        if !items.is_empty() {
            expect(rest, ',');
        }
        items.push(read(rest));
    }
    expect(rest, close);
    items
}
