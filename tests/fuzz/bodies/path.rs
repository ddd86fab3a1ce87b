//! A decoded path never leaves the root, and its link leads back to it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use trainyard::http::path;
use trainyard::limits::NAME_MAX;

/// The bytes are the path of a request, and a name.
pub(crate) fn check(bytes: &[u8]) {
    if let Ok(decoded) = path::decode(bytes) {
        assert!(bytes.starts_with(b"/"));
        assert!(!decoded.bytes.contains(&0));
        let components = || decoded.bytes.split(|byte| *byte == b'/');
        let mut link = Vec::new();
        for component in components().filter(|_| !decoded.bytes.is_empty()) {
            assert!(!matches!(component, b"" | b"." | b".."));
            assert!(component.len() <= NAME_MAX);
            link.push(b'/');
            path::encode(component, &mut |piece| link.extend_from_slice(piece));
        }
        let path = Path::new(OsStr::from_bytes(&decoded.bytes));
        assert!(
            path.components()
                .all(|component| matches!(component, Component::Normal(_)))
        );
        assert_eq!(
            path.file_name().unwrap_or_default().as_bytes(),
            decoded.name()
        );
        if decoded.is_folder {
            link.push(b'/');
        }
        assert_eq!(path::decode(&link), Ok(decoded));
    }
    let mut link = b"/".to_vec();
    path::encode(bytes, &mut |piece| link.extend_from_slice(piece));
    assert!(
        link[1..]
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(byte))
    );
    let is_name =
        (1..=NAME_MAX).contains(&bytes.len()) && !bytes.contains(&b'/') && !bytes.contains(&0);
    if is_name && bytes != b"." && bytes != b".." {
        let decoded = path::decode(&link).expect("a name's link leads to it");
        assert_eq!((&decoded.bytes[..], decoded.is_folder), (bytes, false));
    }
}
