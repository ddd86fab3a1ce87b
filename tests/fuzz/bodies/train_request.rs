//! Requests of the train protocol: what is said of a beginning is said of the whole, and what was read is
//! what was sent.

use trainyard::train::{CAR_DATA_MAX, Fault, REQUEST_SIZE_MAX, Request, parse};

/// The bytes are what came over a connection.
pub(crate) fn check(bytes: &[u8]) {
    let whole = parse(bytes);
    if let Ok(Some(request)) = &whole {
        assert_eq!(sent(request), bytes[..request.size]);
        assert!(request.size <= REQUEST_SIZE_MAX);
        assert!((1..=CAR_DATA_MAX).contains(&request.path.len()));
        assert!(!request.path.contains(&0));
    }
    if let Err(fault) = whole {
        assert!(matches!(fault, Fault::Malformed | Fault::TooLong));
    }
    // A buffer of REQUEST_SIZE_MAX bytes never is full of a request that is not whole.
    assert!(whole != Ok(None) || bytes.len() < REQUEST_SIZE_MAX);
    for end in 0..bytes.len().min(REQUEST_SIZE_MAX + 1) {
        let cut = parse(&bytes[..end]);
        let is_whole = |request: &Request<'_>| request.size <= end;
        match &whole {
            Ok(Some(request)) if !is_whole(request) => assert_eq!(cut, Ok(None), "at {end}"),
            _ => assert!(cut == Ok(None) || cut == whole, "at {end}"),
        }
    }
}

/// The request's bytes, as they are sent.
fn sent(request: &Request<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut car = |data: &[u8]| {
        bytes.extend((data.len() as i32).to_le_bytes());
        bytes.extend(data);
    };
    car(request.path);
    let offset = request.offset.to_le_bytes();
    // An offset of 0 may stand there, or not.
    let rest = request.size - 4 - request.path.len();
    match (request.length, rest) {
        (None, 4) => assert_eq!(request.offset, 0),
        (None, _) => car(&offset),
        (Some(length), _) => car(&[offset, length.to_le_bytes()].concat()),
    }
    car(b"");
    bytes
}
