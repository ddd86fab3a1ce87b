//! Names, paths and links.

use proptest::prelude::*;
use trainyard::http::path;

proptest! {
    /// Any name that a file can have, in any folder, is found again by its link.
    #[test]
    fn a_link_leads_to_its_name(
        names in prop::collection::vec(prop::collection::vec(1_u8.., 1..40), 1..6),
    ) {
        let is_name = |name: &Vec<u8>| !name.contains(&b'/') && name != b"." && name != b"..";
        prop_assume!(names.iter().all(is_name));
        let mut link = Vec::new();
        for name in &names {
            link.push(b'/');
            path::encode(name, &mut |piece| link.extend_from_slice(piece));
        }
        let decoded = path::decode(&link).unwrap();
        prop_assert_eq!(&decoded.bytes[..], names.join(&b'/'));
        prop_assert_eq!(decoded.name(), &names[names.len() - 1][..]);
        prop_assert_eq!(decoded.is_hidden(), names.iter().any(|name| name[0] == b'.'));
    }

    /// Dots and escapes in any order: a plain reading on a stack comes to the same.
    #[test]
    fn dot_segments_are_removed_as_from_a_stack(
        segments in prop::collection::vec(
            prop::sample::select(vec!["", ".", "..", "%2e", "%2E.", ".%2e", "a", "%62", "...", "c.d"]),
            0..12,
        ),
    ) {
        let mut stack = Vec::new();
        for segment in &segments {
            match segment.to_lowercase().replace("%2e", ".").replace("%62", "b").as_str() {
                "" | "." => {}
                ".." => {
                    stack.pop();
                }
                name => stack.push(name.to_string()),
            }
        }
        let raw = ["/", &segments.join("/")].concat();
        let decoded = path::decode(raw.as_bytes()).unwrap();
        let expected = stack.join("/");
        prop_assert_eq!(&decoded.bytes[..], expected.as_bytes());
        let is_name = |segment: &&&str| segment.contains(['a', '6', 'c']) || **segment == "...";
        prop_assert_eq!(decoded.is_folder, segments.last().filter(is_name).is_none());
    }
}
