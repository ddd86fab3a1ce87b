//! The fields that say where a request ends and what becomes of the connection.

use httparse::Header;

use super::body::Body;
use crate::http::Status;
use crate::http::list::{alphanumeric_and, elements, is_token};

pub(super) struct Framing {
    pub(super) body: Body,
    /// The connection can carry another request, if the body is read.
    pub(super) keep_alive: bool,
    /// The client sends the body after a `100 Continue`.
    pub(super) expects_continue: bool,
}

impl Framing {
    pub(super) fn of(headers: &[Header<'_>], is_http10: bool) -> Result<Self, Status> {
        let mut has_host = false;
        let mut content_length = None;
        let mut is_chunked = false;
        let mut expects_continue = false;
        let (mut asks_close, mut asks_keep_alive) = (false, false);
        for Header { name, value } in headers {
            let is = |known| name.eq_ignore_ascii_case(known);
            // The length is compared first, because most fields are none of these.
            match name.len() {
                4 if is("host") => {
                    let is_valid = value.is_empty() || is_authority(value);
                    check(is_valid && !has_host)?;
                    has_host = true;
                }
                6 if is("expect") && !is_http10 => {
                    check_expectation(value)?;
                    expects_continue = true;
                }
                10 if is("connection") => {
                    for option in elements(value) {
                        asks_close |= option.eq_ignore_ascii_case(b"close");
                        asks_keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                    }
                }
                14 if is("content-length") => {
                    check(content_length.is_none())?;
                    content_length = Some(length(value).ok_or(Status::BAD_REQUEST)?);
                }
                17 if is("transfer-encoding") => {
                    check(!is_chunked && !is_http10)?;
                    check_coding(value)?;
                    is_chunked = true;
                }
                _ => {}
            }
        }
        check(has_host || is_http10)?;
        let body = match (content_length, is_chunked) {
            (Some(_), true) => return Err(Status::BAD_REQUEST),
            (None, true) => Body::Chunked,
            (length, false) => Body::Sized(length.unwrap_or(0)),
        };
        Ok(Self {
            body,
            keep_alive: !asks_close && (asks_keep_alive || !is_http10),
            expects_continue,
        })
    }
}

fn check(is_valid: bool) -> Result<(), Status> {
    if is_valid {
        Ok(())
    } else {
        Err(Status::BAD_REQUEST)
    }
}

/// RFC 9110 section 10.1.1.
fn check_expectation(value: &[u8]) -> Result<(), Status> {
    if elements(value).all(|element| element.eq_ignore_ascii_case(b"100-continue")) {
        Ok(())
    } else {
        Err(Status::EXPECTATION_FAILED)
    }
}

/// RFC 9112 section 6.1, of which only `chunked` alone is known here.
fn check_coding(value: &[u8]) -> Result<(), Status> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    let mut others = elements(value).filter(|coding| !coding.eq_ignore_ascii_case(b"chunked"));
    if elements(value).all(is_token) && others.next().is_some() {
        Err(Status::NOT_IMPLEMENTED)
    } else {
        Err(Status::BAD_REQUEST)
    }
}

/// Digits only: no sign, no list, nothing beyond 64 bits (RFC 9110 section 8.6).
fn length(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0_u64, |length, digit| {
        let digit = char::from(*digit).to_digit(10)?;
        length.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// Whether `bytes` are a host, with a port or without (RFC 3986 section 3.2, RFC 9110 section 7.2).
/// A user's name before an `@` is none of these.
pub(super) fn is_authority(bytes: &[u8]) -> bool {
    let is_address_byte = |byte: &u8| byte.is_ascii_hexdigit() || b":.".contains(byte);
    let (is_host, port) = if let Some(address) = bytes.strip_prefix(b"[") {
        let Some(end) = address.iter().position(|byte| *byte == b']') else {
            return false;
        };
        let is_address = end > 0 && address[..end].iter().all(is_address_byte);
        (is_address, &address[end + 1..])
    } else {
        let end = bytes.iter().position(|byte| *byte == b':');
        let (name, port) = bytes.split_at(end.unwrap_or(bytes.len()));
        (is_registered_name(name), port)
    };
    let is_port = match port {
        [] => true,
        [b':', digits @ ..] => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    is_host && is_port
}

fn is_registered_name(name: &[u8]) -> bool {
    static PLAIN: [bool; 256] = alphanumeric_and(b"-._~!$&'()*+,;=");
    let mut rest = name;
    while let Some(odd) = rest.iter().position(|byte| !PLAIN[usize::from(*byte)]) {
        rest = match &rest[odd..] {
            [b'%', high, low, behind @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                behind
            }
            _ => return false,
        };
    }
    !name.is_empty()
}
