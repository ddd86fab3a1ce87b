//! What a connection is doing, and what only that needs: the state machine's states as plain data.

use super::cursor::FileCursor;
use crate::http::{Encoding, Range};
use crate::train::ResponseLayout;

/// What a connection is doing.
#[repr(u8)]
pub(crate) enum Activity {
    /// The slot is free. It is the variant of number 0 and without fields, so that the slab stays in
    /// `.bss`.
    Free = 0,
    /// Waits until a request is whole. Over HTTP also sends what is generated, of which a part may be
    /// sent already.
    Receiving(Option<PartialResponse>),
    /// Sends a train.
    SendingTrain(SendingTrain),
    /// Has sent everything, and waits until the client has acknowledged it (`raw-end`).
    Acknowledging {
        /// When the client last acknowledged something.
        progress_ms: u64,
    },
    /// Sends the listing of a folder as a train whose head is sent.
    TrainListing(TrainListing),
    /// Sends a range of a file as the body of a response over HTTP.
    SendingFile(SendingFile),
    /// Sends several ranges of a file, as the request says that is stashed.
    Multipart(Multipart),
    /// Sends the listing of a folder over HTTP, as the request says that is stashed.
    HttpListing(HttpListing),
    /// Has sent everything, and reads what the client still sends, so that no reset discards the
    /// response on its way.
    Lingering(Lingering),
    /// Its socket is closed; the pool is yet to be told.
    Closed,
}

impl Activity {
    /// Waits for a request of which nothing is known.
    pub(crate) const RECEIVING: Self = Self::Receiving(None);

    /// Bytes that are sent of a body over HTTP that is not generated with its head.
    pub(crate) fn body_sent(&self) -> u64 {
        match self {
            Self::SendingFile(file) => file.position,
            Self::Multipart(multipart) => multipart.position,
            Self::HttpListing(listing) => listing.position,
            _ => 0,
        }
    }

    /// The request that stays stashed, if one does.
    pub(crate) fn request(&self) -> StashedRequest {
        match self {
            Self::SendingFile(file) => file.request,
            Self::Multipart(multipart) => multipart.request,
            Self::HttpListing(listing) => listing.request,
            _ => StashedRequest::default(),
        }
    }
}

/// A response over HTTP that the socket took in part. It is generated again from its request, with
/// what else it depended on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct PartialResponse {
    /// When it was generated, in milliseconds since 1970.
    pub(crate) generated_ms: u64,
    /// Bytes that are sent.
    pub(crate) position: u32,
    /// Checksum of all its bytes, to be met again when the rest is sent.
    pub(crate) resend_checksum: u32,
    /// The server was full, or about to stop.
    pub(crate) is_busy: bool,
    /// The connection could be kept.
    pub(crate) keep_alive: bool,
}

/// The request that stays stashed while its response is sent, because that depends on it or will be
/// logged.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct StashedRequest {
    /// Its bytes; 0 where none stays.
    pub(crate) len: u16,
    /// The response's status.
    pub(crate) status: u16,
}

/// A train on its way.
pub(crate) struct SendingTrain {
    pub(crate) layout: ResponseLayout,
    /// Bytes that are sent, counted from the train's first one.
    pub(crate) position: u64,
    pub(crate) cursor: FileCursor,
}

/// The listing of a folder as a train. The entry at which the next car begins is in the connection's
/// file.
#[derive(Default)]
pub(crate) struct TrainListing {
    /// Checksum of the car that is sent in part, to be met again when the rest is sent.
    pub(crate) resend_checksum: u32,
    /// Where in that entry's text the next car begins.
    pub(crate) entry_offset: u16,
    /// Bytes that are sent of that car.
    pub(crate) car_offset: u16,
}

/// A range of a file as a body over HTTP.
pub(crate) struct SendingFile {
    pub(crate) range: Range,
    /// Bytes of the range that are sent.
    pub(crate) position: u64,
    pub(crate) cursor: FileCursor,
    pub(crate) request: StashedRequest,
    /// The socket keeps back segments that are not full.
    pub(crate) is_corked: bool,
}

/// Several ranges of a file as a body over HTTP.
pub(crate) struct Multipart {
    /// Bytes of the body that are sent.
    pub(crate) position: u64,
    /// When the head was generated, in milliseconds since 1970: the boundary depends on it.
    pub(crate) generated_ms: u64,
    pub(crate) cursor: FileCursor,
    pub(crate) request: StashedRequest,
    /// How the file's bytes are encoded.
    pub(crate) encoding: Encoding,
}

/// Which part of a listing over HTTP is sent next.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Stage {
    /// What stands above the entries.
    #[default]
    Head,
    /// The entries, a row each.
    Rows,
    /// What stands below them.
    Foot,
}

/// The listing of a folder as a body over HTTP. The entry of the last row sent is in the connection's
/// file.
#[derive(Default)]
pub(crate) struct HttpListing {
    /// Bytes of the body that are sent.
    pub(crate) position: u64,
    pub(crate) rows_sent: u32,
    pub(crate) request: StashedRequest,
    /// Bytes that are sent of the head, of the next row, or of the foot.
    pub(crate) offset: u16,
    pub(crate) stage: Stage,
    /// The order that was wanted cannot be had; the entries come by name.
    pub(crate) is_by_name: bool,
    /// The limit of the query has ended it.
    pub(crate) is_limited: bool,
}

/// A connection that has sent its last response.
pub(crate) struct Lingering {
    /// When the client last acknowledged something.
    pub(crate) progress_ms: u64,
    /// Bytes that were read and thrown away.
    pub(crate) discarded: u32,
}
