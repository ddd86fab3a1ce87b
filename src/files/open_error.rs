//! Why something beneath the root cannot be opened.

use crate::sys::Errno;

/// Why something beneath the root cannot be opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OpenError {
    /// There is no such file (`ENOENT`, `ENOTDIR`).
    NotFound,
    /// The file system or its permissions forbid it, the path leaves the root, or it is neither file
    /// nor folder (`EACCES`, `EPERM`, `EXDEV`, `ELOOP`, `ENXIO`).
    NotAllowed,
    /// The path holds a NUL, which no name does.
    Malformed,
    /// The path or one of its names is longer than any file's (`ENAMETOOLONG`).
    TooLong,
    /// The system has no descriptor or memory for it now (`EMFILE`, `ENFILE`, `ENOMEM`, `EAGAIN`).
    Exhausted,
    /// The card does not answer, or the root is not there (`EIO` and all others).
    Io,
}

impl From<Errno> for OpenError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::ENOENT | Errno::ENOTDIR => Self::NotFound,
            Errno::EACCES | Errno::EPERM | Errno::EXDEV | Errno::ELOOP | Errno::ENXIO => {
                Self::NotAllowed
            }
            Errno::ENAMETOOLONG => Self::TooLong,
            Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::EAGAIN => Self::Exhausted,
            _ => Self::Io,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_tells_of_the_card_or_of_nothing_known_is_an_error_of_the_card() {
        for (errno, expected) in [
            (Errno::ENOENT, OpenError::NotFound),
            (Errno::ENOTDIR, OpenError::NotFound),
            (Errno::EACCES, OpenError::NotAllowed),
            (Errno::EXDEV, OpenError::NotAllowed),
            (Errno::ELOOP, OpenError::NotAllowed),
            (Errno::ENXIO, OpenError::NotAllowed),
            (Errno::ENAMETOOLONG, OpenError::TooLong),
            (Errno::EMFILE, OpenError::Exhausted),
            (Errno::ENOMEM, OpenError::Exhausted),
            (Errno::EIO, OpenError::Io),
            (Errno::ENODEV, OpenError::Io),
            (Errno::ESTALE, OpenError::Io),
        ] {
            assert_eq!(OpenError::from(errno), expected, "{errno}");
        }
    }
}
