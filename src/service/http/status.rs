//! Status codes (RFC 9110, section 15), and why a request gets none of the good ones.

/// A status code and its reason phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Status(pub(super) u16, pub(super) &'static str);

pub(super) const OK: Status = Status(200, "OK");
pub(super) const BAD_REQUEST: Status = Status(400, "Bad Request");
pub(super) const NOT_FOUND: Status = Status(404, "Not Found");
pub(super) const METHOD_NOT_ALLOWED: Status = Status(405, "Method Not Allowed");
pub(super) const REQUEST_TIMEOUT: Status = Status(408, "Request Timeout");
pub(super) const CONTENT_TOO_LARGE: Status = Status(413, "Content Too Large");
pub(super) const EXPECTATION_FAILED: Status = Status(417, "Expectation Failed");
pub(super) const HEAD_TOO_LARGE: Status = Status(431, "Request Header Fields Too Large");
pub(super) const NOT_IMPLEMENTED: Status = Status(501, "Not Implemented");
pub(super) const VERSION_NOT_SUPPORTED: Status = Status(505, "HTTP Version Not Supported");

/// Why bytes are not taken as a request. The connection closes after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: Status,
    /// In a few words for people.
    pub(super) why: &'static str,
}

impl Refusal {
    pub(super) fn malformed(why: &'static str) -> Refusal {
        Refusal {
            status: BAD_REQUEST,
            why,
        }
    }
}
