//! The reply to a client that no worker has room for.

use crate::http::response_head::HeadOptions;
use crate::http::{self, ErrorFormat, FixedBuf, HttpConfig, Reply};
use crate::sys;

/// Writes the reply to a client that no worker has room for into `room`. Returns its bytes.
#[must_use]
pub fn turn_away(
    received: &[u8],
    http_config: &HttpConfig,
    clock_floor_s: u64,
    room: &mut [u8],
) -> usize {
    let (format, is_http10) = match http::parse(received) {
        Ok(Some(request)) => (ErrorFormat::of(&request), request.is_http10),
        _ => (ErrorFormat::PLAIN, false),
    };
    let real_s = sys::real_ms() / 1000;
    let options = HeadOptions {
        date_s: (real_s >= clock_floor_s).then_some(real_s),
        is_http10,
        keep_alive: false,
        extra: &http_config.extra,
        extra_generated: &http_config.extra_generated,
    };
    let out = &mut FixedBuf::new(room);
    Reply::Busy.write(out, &options, || format);
    out.used()
}
