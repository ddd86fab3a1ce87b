//! Content codings (RFC 9110 section 12.5.3): which a client takes, and in what order to try them.

use super::list;

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

    fn of(name: &[u8]) -> Option<Self> {
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

/// Reads the values of `Accept-Encoding`.
///
/// A coding comes before others of a lower weight; of the same weight, the denser comes first. A
/// coding of weight 0, or of a lower one than `identity` is given, is not to be tried. Where
/// `identity` is not named, it comes last. A client without the field takes no coding: most that
/// leave it out cannot decode any.
pub fn accepted<'a>(values: impl Iterator<Item = &'a [u8]>) -> Accepted {
    let mut weights = [None; 4];
    let mut others = None;
    for element in values.flat_map(list::elements) {
        let (name, Some(weight)) = list::weighted(element) else {
            continue;
        };
        let place = match Encoding::of(name) {
            Some(encoding) => &mut weights[encoding as usize],
            None if name == b"*" => &mut others,
            None => continue,
        };
        // What is named twice has the lower weight, so that a refusal stands.
        *place = Some(place.map_or(weight, |other: u16| other.min(weight)));
    }
    let weight_of = |encoding: Encoding| weights[encoding as usize].or(others).unwrap_or(0);
    let least = weight_of(Encoding::Identity).max(1);
    let mut order = Encoding::CODED;
    // Stable, so the denser stays before what is wanted as much.
    insertion_sort(&mut order, weight_of);
    let mut bits = 0;
    for (place, encoding) in order.into_iter().enumerate() {
        if weight_of(encoding) >= least {
            bits |= (encoding as u8) << (2 * place);
        }
    }
    Accepted(bits)
}

/// Sorts by falling weight. The standard library's stable sort may allocate.
fn insertion_sort(order: &mut [Encoding], weight_of: impl Fn(Encoding) -> u16) {
    for end in 1..order.len() {
        let mut place = end;
        while place > 0 && weight_of(order[place - 1]) < weight_of(order[place]) {
            order.swap(place - 1, place);
            place -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Encoding::{Brotli, Gzip, Zstandard};
    use super::*;

    fn order(values: &[&str]) -> Vec<Encoding> {
        accepted(values.iter().map(|value| value.as_bytes()))
            .order()
            .collect()
    }

    #[test]
    fn what_a_client_takes_comes_in_its_order() {
        for (value, expected) in [
            ("gzip, deflate, br, zstd", &[Brotli, Zstandard, Gzip][..]),
            ("gzip, deflate", &[Gzip]),
            ("X-GZip", &[Gzip]),
            ("br;q=0.5, gzip;q=0.8", &[Gzip, Brotli]),
            (
                "br;q=0.5, zstd;q=0.9, gzip;q=0.7",
                &[Zstandard, Gzip, Brotli],
            ),
            ("gzip;q=0", &[]),
            ("*", &[Brotli, Zstandard, Gzip]),
            ("*, br;q=0", &[Zstandard, Gzip]),
            ("*;q=0, gzip", &[Gzip]),
            ("*;q=0", &[]),
            ("identity", &[]),
            ("identity, gzip", &[Gzip]),
            ("identity;q=0.5, gzip;q=0.4, br;q=0.6", &[Brotli]),
            ("identity;q=0, gzip;q=0.001", &[Gzip]),
            ("gzip, gzip;q=0", &[]),
            ("gzip;q=nonsense", &[]),
            ("deflate", &[]),
            ("", &[]),
        ] {
            assert_eq!(order(&[value]), expected, "{value}");
        }
        assert_eq!(order(&[]), []);
        assert_eq!(order(&["gzip", "br"]), [Brotli, Gzip]);
    }

    #[test]
    fn clients_that_are_served_the_same_have_the_same_key() {
        let key = |value: &str| accepted([value.as_bytes()].into_iter()).key();
        assert_eq!(key("gzip, deflate, br"), key("br, gzip;q=1.0"));
        assert_ne!(key("gzip, br"), key("gzip, br;q=0.5"));
        assert_eq!(key("identity"), Accepted::default().key());
    }
}
