//! What a client takes of the content codings (RFC 9110 section 12.5.3).

use super::list;
use crate::encoding::{Accepted, Encoding};

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
        let place = match Encoding::named(name) {
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
    Accepted::of(
        order
            .into_iter()
            .filter(|encoding| weight_of(*encoding) >= least),
    )
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
    use Encoding::{Brotli, Gzip, Zstandard};

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
