//! HTTP/1.1: bytes in, what is asked out. No system calls here, and no allocation.
//!
//! RFC 9110 says what requests mean, RFC 9112 how they look on the wire, RFC 3986 what a path is.

mod boundary;
mod civil_time;
pub mod condition;
mod config;
pub mod date;
pub mod document;
pub mod encoding;
pub mod error_page;
mod list;
pub mod listing;
pub mod media;
pub mod multipart;
pub mod path;
pub mod range;
pub mod reply;
pub mod request;
pub mod response_head;
mod status;
mod text;

pub use condition::{Outcome, Tag, Validators, evaluate};
pub use config::{HttpConfig, PORT_DEFAULT};
pub use encoding::accepted;
pub use media::{content_type, prefers_html, prefers_json};
pub use path::{OWN, Path};
pub use range::{Range, Ranges};
pub use reply::{ErrorFormat, Reply};
pub use request::{Field, Method, Refusal, Request, parse};
pub use status::Status;
pub use text::{FixedBuf, Output};

pub use crate::encoding::{Accepted, Encoding};
pub use crate::limits::{HTTP_HEAD_BYTES_MAX as HEAD_BYTES_MAX, RANGES_MAX};

/// The answer to a question for the server's health.
pub const HEALTHY: &str = "ok\n";
