//! Status codes (RFC 9110 section 15; 431 is of RFC 6585).

/// The number that an answer begins with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Status(pub u16);

/// Names the constants and their reason phrases in one place.
macro_rules! statuses {
    ($($name:ident = $number:literal, $reason:literal;)*) => {
        impl Status {
            $(#[doc = concat!("`", $number, " ", $reason, "`")]
            pub const $name: Self = Self($number);)*

            /// The reason phrase; empty for a number that the server does not use.
            #[must_use]
            pub fn reason(self) -> &'static str {
                match self {
                    $(Self::$name => $reason,)*
                    _ => "",
                }
            }
        }
    };
}

statuses! {
    OK = 200, "OK";
    NO_CONTENT = 204, "No Content";
    PARTIAL = 206, "Partial Content";
    MOVED = 301, "Moved Permanently";
    NOT_MODIFIED = 304, "Not Modified";
    BAD_REQUEST = 400, "Bad Request";
    FORBIDDEN = 403, "Forbidden";
    NOT_FOUND = 404, "Not Found";
    METHOD_NOT_ALLOWED = 405, "Method Not Allowed";
    TIMEOUT = 408, "Request Timeout";
    PRECONDITION_FAILED = 412, "Precondition Failed";
    CONTENT_TOO_LARGE = 413, "Content Too Large";
    URI_TOO_LONG = 414, "URI Too Long";
    RANGE_NOT_SATISFIABLE = 416, "Range Not Satisfiable";
    EXPECTATION_FAILED = 417, "Expectation Failed";
    FIELDS_TOO_LARGE = 431, "Request Header Fields Too Large";
    INTERNAL = 500, "Internal Server Error";
    NOT_IMPLEMENTED = 501, "Not Implemented";
    UNAVAILABLE = 503, "Service Unavailable";
    VERSION_NOT_SUPPORTED = 505, "HTTP Version Not Supported";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_its_reason() {
        assert_eq!(Status::OK.reason(), "OK");
        assert_eq!(Status(416).reason(), "Range Not Satisfiable");
        assert_eq!(Status(299).reason(), "");
    }
}
