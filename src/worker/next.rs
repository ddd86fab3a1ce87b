//! What a connection says it needs, when it was polled.

/// What a connection needs next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub(crate) enum Next {
    /// To be polled again at once: it does something else now.
    Now,
    /// Another turn, after the others have had theirs.
    Again,
    /// An event of its socket, or its deadline.
    Wait,
    /// The listing that another connection has.
    ForListing,
    /// Nothing; it is over.
    Close,
}
