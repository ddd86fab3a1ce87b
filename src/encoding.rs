//! Content codings: how a file's copies beside it are coded, and which of them a client takes.

/// How a body is coded.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(u8)]
pub enum Encoding {
    /// Not at all.
    #[default]
    Identity = 0,
    /// RFC 7932.
    Brotli,
    /// RFC 8878.
    Zstandard,
    /// RFC 1952.
    Gzip,
}

impl Encoding {
    /// The codings proper, the densest first.
    pub const CODED: [Self; 3] = [Self::Brotli, Self::Zstandard, Self::Gzip];

    /// The name in `Content-Encoding`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Brotli => "br",
            Self::Zstandard => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// What follows a file's name in the name of its coded copy; empty for `Identity`.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Identity => "",
            Self::Brotli => ".br",
            Self::Zstandard => ".zst",
            Self::Gzip => ".gz",
        }
    }

    /// The one that `Accept-Encoding` calls so, in any case.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        if name.eq_ignore_ascii_case(b"x-gzip") {
            return Some(Self::Gzip);
        }
        [Self::Identity, Self::Brotli, Self::Zstandard, Self::Gzip]
            .into_iter()
            .find(|encoding| name.eq_ignore_ascii_case(encoding.name().as_bytes()))
    }
}

/// The codings that a client takes, best first. All zeroes is a client that takes none.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Accepted(
    /// Two bits for each coding to try, the first one lowest; 0 ends them.
    u8,
);

impl Accepted {
    /// A client that takes none.
    pub const NONE: Self = Self(0);

    /// A client that takes these, best first, each once.
    pub fn of(order: impl Iterator<Item = Encoding>) -> Self {
        let bits = order.enumerate().fold(0, |bits, (place, encoding)| {
            bits | (encoding as u8) << (2 * place)
        });
        Self(bits)
    }

    /// The codings to try, best first, each once. `Identity` is never among them: it is what
    /// remains when the file has no copy in any of these.
    pub fn order(self) -> impl Iterator<Item = Encoding> {
        (0..Encoding::CODED.len()).map_while(move |place| match self.0 >> (2 * place) & 3 {
            1 => Some(Encoding::Brotli),
            2 => Some(Encoding::Zstandard),
            3 => Some(Encoding::Gzip),
            _ => None,
        })
    }

    /// A number that is the same for clients that are served the same.
    #[must_use]
    pub fn key(self) -> u16 {
        u16::from(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_comes_back_as_it_was_given() {
        let [first, second, third] = Encoding::CODED;
        for order in [
            &[][..],
            &[third],
            &[second, first],
            &[third, first, second],
            &Encoding::CODED,
        ] {
            let accepted = Accepted::of(order.iter().copied());
            assert!(accepted.order().eq(order.iter().copied()), "{order:?}");
            assert_eq!(accepted.key() == 0, order.is_empty());
        }
    }
}
