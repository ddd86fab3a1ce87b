//! What is at a path: a file, a folder's index file or a folder, and which of the copies beside a file a client
//! is served.

use heapless::Vec;

use super::{FileSlot, Files, OpenError, OpenFile, Root};
use crate::encoding::{Accepted, Encoding};
use crate::limits::{NAME_BYTES, PATH_MAX};

/// A folder's index file, unless others are named.
const INDEX_DEFAULT: &str = "index.html";

/// Where files are looked for, and how.
#[derive(Clone, Copy)]
pub struct Lookup<'a> {
    /// The root.
    pub root: &'a Root,
    /// The names of a folder's index files, in order; none for `index.html`.
    pub index: &'a [String],
    /// The media type of a file of this name.
    pub content_type: fn(&[u8]) -> &'static str,
}

/// A file that is to be sent, as it was found for a request. Its user gives the file back by
/// [`FileTable::release`](super::FileTable::release).
#[derive(Clone, Copy)]
pub struct CachedFile {
    /// The open file.
    pub file: FileSlot,
    /// How its bytes are encoded.
    pub encoding: Encoding,
    /// Whether other requests for the same path may get another encoding.
    pub varies: bool,
    /// Its media type.
    pub content_type: &'static str,
    /// A symbolic link led to it, or to what was looked at on the way.
    pub(super) is_via_symlink: bool,
    /// Where it is in the cache, 0 for nowhere, else entry + 1.
    pub(super) entry: u16,
}

/// What is at a path.
#[expect(
    clippy::large_enum_variant,
    reason = "there is no heap to put a name on"
)]
pub enum Resolution {
    /// A file, or a folder's index file.
    File(CachedFile),
    /// A folder without an index file.
    Folder(OpenFile),
    /// A folder, whose path should have ended in a slash.
    NeedsSlash,
}

/// Finds what is at a path: the file or index file, in the best of the encodings that are there.
pub(super) fn resolve(
    files: &mut Files,
    lookup: Lookup,
    path: &[u8],
    is_folder: bool,
    accepted: Accepted,
) -> Result<Resolution, OpenError> {
    let root = lookup.root;
    let mut found = root.find(path)?;
    let mut full: Vec<u8, PATH_MAX> = Vec::from_slice(path).map_err(|_| OpenError::TooLong)?;
    if found.metadata.is_folder {
        if !is_folder {
            return Ok(Resolution::NeedsSlash);
        }
        match find_index(&lookup, &mut full)? {
            Some(mut index) => {
                index.is_via_symlink |= found.is_via_symlink;
                found = index;
            }
            None => return Ok(Resolution::Folder(found)),
        }
    } else if is_folder {
        return Err(OpenError::NotFound);
    }
    let content_type = (lookup.content_type)(&found.name);
    let mut is_via_symlink = found.is_via_symlink;
    let (mut encoding, mut varies) = (Encoding::Identity, false);
    // Those that the client accepts, the best one first; then the others, which only tell that
    // another client would get something else.
    let others = Encoding::CODED
        .into_iter()
        .filter(|other| !accepted.order().any(|known| known == *other));
    for candidate in accepted.order().chain(others) {
        let Some(variant) = find_variant(root, &mut full, candidate) else {
            continue;
        };
        varies = true;
        is_via_symlink |= variant.is_via_symlink;
        if encoding == Encoding::Identity && accepted.order().any(|known| known == candidate) {
            (found, encoding) = (variant, candidate);
        }
    }
    Ok(Resolution::File(CachedFile {
        file: files.insert(found),
        encoding,
        varies,
        content_type,
        is_via_symlink,
        entry: 0,
    }))
}

/// Opens the first index file of a folder that is there, and makes `full` its path.
fn find_index(
    lookup: &Lookup,
    full: &mut Vec<u8, PATH_MAX>,
) -> Result<Option<OpenFile>, OpenError> {
    let size = full.len();
    let default = lookup.index.is_empty().then_some(INDEX_DEFAULT);
    for name in lookup.index.iter().map(String::as_str).chain(default) {
        full.truncate(size);
        if size > 0 && full.push(b'/').is_err() {
            continue;
        }
        if full.extend_from_slice(name.as_bytes()).is_err() {
            continue;
        }
        match lookup.root.find(full) {
            Ok(found) if !found.metadata.is_folder => return Ok(Some(found)),
            Ok(_) | Err(OpenError::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    full.truncate(size);
    Ok(None)
}

/// Opens the file that has the same content in another encoding.
fn find_variant(root: &Root, full: &mut Vec<u8, PATH_MAX>, encoding: Encoding) -> Option<OpenFile> {
    let size = full.len();
    let name = full.rsplit(|byte| *byte == b'/').next().unwrap_or(full);
    if name.len() + encoding.suffix().len() >= NAME_BYTES {
        return None;
    }
    full.extend_from_slice(encoding.suffix().as_bytes()).ok()?;
    let found = root.find(full).ok();
    full.truncate(size);
    found.filter(|found| !found.metadata.is_folder)
}
