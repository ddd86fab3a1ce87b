//! Media types: what a file's name says of it, and what a client would rather see.

/// The `Content-Type` of a file of this name.
#[must_use]
pub fn content_type(_name: &[u8]) -> &'static str {
    todo!()
}

/// Whether the values of `Accept` ask for a page rather than for data. False without the field, and
/// for `*/*` alone.
pub fn prefers_html<'a>(_values: impl Iterator<Item = &'a [u8]>) -> bool {
    todo!()
}

/// Whether the values of `Accept` name JSON, and nothing that they would rather have than that.
pub fn prefers_json<'a>(_values: impl Iterator<Item = &'a [u8]>) -> bool {
    todo!()
}
