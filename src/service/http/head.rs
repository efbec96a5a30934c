//! The head of a request: what is asked for, and where the request ends.

use super::status::{
    CONTENT_TOO_LARGE, EXPECTATION_FAILED, HEAD_TOO_LARGE, NOT_IMPLEMENTED, Refusal,
    VERSION_NOT_SUPPORTED,
};
use httparse::Header;

/// The most bytes that a head may have, its empty line included.
pub(super) const HEAD_LIMIT: usize = 16 * 1024;

/// The most bytes that a body may have.
pub(super) const BODY_LIMIT: usize = 1024 * 1024;

/// The most header fields that a head may have.
const FIELD_LIMIT: usize = 100;

/// What a head says, as far as anything here depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) method: String,
    /// Without scheme, authority and query.
    pub(super) path: String,
    pub(super) keep_alive: bool,
    pub(super) expects_continue: bool,
    pub(super) framing: Framing,
    /// All Accept fields together; empty where there is none.
    pub(super) accept: String,
    pub(super) content_type: Option<Vec<u8>>,
}

/// How the end of a body is known (RFC 9112, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// By its length in bytes, at most [`BODY_LIMIT`].
    Length(usize),
    /// By its last chunk.
    Chunked,
}

/// The head at the beginning of `bytes` and its length in bytes; `None` where its end has not arrived yet.
pub(super) fn parse_head(bytes: &[u8]) -> Result<Option<(Head, usize)>, Refusal> {
    let mut fields = [httparse::EMPTY_HEADER; FIELD_LIMIT];
    let mut request = httparse::Request::new(&mut fields);
    let parsed = match request.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => Some(len),
        Ok(httparse::Status::Partial) => None,
        Err(error) => refused(error, bytes)?,
    };
    match parsed {
        None if bytes.len() < HEAD_LIMIT => Ok(None),
        Some(len) if len <= HEAD_LIMIT => {
            let (Some(method), Some(target), Some(minor)) =
                (request.method, request.path, request.version)
            else {
                return Err(Refusal::malformed("no request line"));
            };
            let head = head(method, target, minor == 0, request.headers)?;
            Ok(Some((head, len)))
        }
        _ => Err(too_large("the head has more than 16 KiB")),
    }
}

/// `Ok(None)` where more bytes must come before it is clear which refusal it is.
fn refused(error: httparse::Error, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
    Err(match error {
        httparse::Error::TooManyHeaders => too_large("more than 100 header fields"),
        httparse::Error::Version => {
            let start = bytes.iter().position(|byte| !b"\r\n".contains(byte));
            let line = &bytes[start.unwrap_or(0)..];
            let Some(end) = line.iter().position(|&byte| byte == b'\n') else {
                return Ok(None);
            };
            version_refusal(line[..end].trim_ascii_end())
        }
        httparse::Error::HeaderName => Refusal::malformed("a header field has no valid name"),
        httparse::Error::HeaderValue => Refusal::malformed("a header field has no valid value"),
        _ => Refusal::malformed("not a request line"),
    })
}

/// Any version that is well-formed is none of ours where httparse does not know it. That takes in 1.2 and later, of
/// which none exists.
fn version_refusal(line: &[u8]) -> Refusal {
    match line.rsplit(|&byte| byte == b' ').next() {
        Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor])
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Refusal {
                status: VERSION_NOT_SUPPORTED,
                why: "only HTTP/1.1 and HTTP/1.0 are spoken here",
            }
        }
        _ => Refusal::malformed("no HTTP version"),
    }
}

fn too_large(why: &'static str) -> Refusal {
    Refusal {
        status: HEAD_TOO_LARGE,
        why,
    }
}

fn head(method: &str, target: &str, http_1_0: bool, fields: &[Header]) -> Result<Head, Refusal> {
    check_host(fields, http_1_0)?;
    let framing = framing(fields, http_1_0)?;
    // RFC 9112, section 9.3: `close` wins; 1.1 stays open and 1.0 doesn't, unless told otherwise.
    let connection = |option| has_token(fields, "Connection", option);
    let keep_alive = !connection("close") && (!http_1_0 || connection("keep-alive"));
    Ok(Head {
        method: method.to_owned(),
        path: path(target).to_owned(),
        keep_alive,
        expects_continue: expects_continue(fields, http_1_0)? && framing != Framing::Length(0),
        framing,
        accept: values(fields, "Accept")
            .map(String::from_utf8_lossy)
            .collect::<Vec<_>>()
            .join(","),
        content_type: values(fields, "Content-Type").next().map(Vec::from),
    })
}

/// The path of an origin-form or absolute-form target (RFC 9112, section 3.2); other targets as they are.
fn path(target: &str) -> &str {
    let path = match target.split_once("://") {
        Some((_, rest)) if !target.starts_with('/') => {
            rest.find(['/', '?']).map_or("/", |at| &rest[at..])
        }
        _ => target,
    };
    match path.split_once('?') {
        Some(("", _)) => "/",
        Some((path, _)) => path,
        None => path,
    }
}

/// RFC 9112, section 3.2: 400 for "any HTTP/1.1 request message that lacks a Host header field and to any request
/// message that contains more than one Host header field line or a Host header field with an invalid field value".
fn check_host(fields: &[Header], http_1_0: bool) -> Result<(), Refusal> {
    let mut hosts = values(fields, "Host");
    match (hosts.next(), hosts.next()) {
        (None, _) if http_1_0 => Ok(()),
        (None, _) => Err(Refusal::malformed("the Host field is missing")),
        (Some(_), Some(_)) => Err(Refusal::malformed("more than one Host field")),
        (Some(host), None) if host.iter().all(is_host_byte) => Ok(()),
        (Some(_), None) => Err(Refusal::malformed("the Host field is no host")),
    }
}

/// The bytes of uri-host and port (RFC 3986, section 3.2.2).
fn is_host_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(byte)
}

/// RFC 9112, section 6.3. Whatever two readers could understand differently is refused, even where the RFC
/// would allow to go on.
fn framing(fields: &[Header], http_1_0: bool) -> Result<Framing, Refusal> {
    let mut lengths = values(fields, "Content-Length");
    let length = lengths.next();
    if lengths.next().is_some() {
        return Err(Refusal::malformed("more than one Content-Length field"));
    }
    let codings: Vec<&[u8]> = list(fields, "Transfer-Encoding").collect();
    match (length, codings.as_slice()) {
        (None, []) => Ok(Framing::Length(0)),
        (Some(length), []) => content_length(length),
        (Some(_), _) => Err(Refusal::malformed(
            "both Content-Length and Transfer-Encoding",
        )),
        (None, _) if http_1_0 => Err(Refusal::malformed("HTTP/1.0 has no Transfer-Encoding")),
        (None, [coding]) if is_chunked(coding) => Ok(Framing::Chunked),
        // "If […] the chunked transfer coding is not the final encoding, the message body length cannot be
        // determined reliably; the server MUST respond with the 400".
        (None, [others @ .., last])
            if is_chunked(last) && !others.iter().any(|coding| is_chunked(coding)) =>
        {
            Err(Refusal {
                status: NOT_IMPLEMENTED,
                why: "no transfer coding but chunked is understood",
            })
        }
        (None, _) => Err(Refusal::malformed(
            "chunked must be the last transfer coding, and only once",
        )),
    }
}

fn is_chunked(coding: &[u8]) -> bool {
    coding.eq_ignore_ascii_case(b"chunked")
}

fn content_length(value: &[u8]) -> Result<Framing, Refusal> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::malformed("Content-Length is no number"));
    }
    // Only digits, so what doesn't parse is too large for any number.
    let digits = std::str::from_utf8(value).unwrap_or_default();
    match digits.parse() {
        Ok(length) if length <= BODY_LIMIT => Ok(Framing::Length(length)),
        _ => Err(Refusal {
            status: CONTENT_TOO_LARGE,
            why: "the body has more than 1 MiB",
        }),
    }
}

/// RFC 9110, section 10.1.1; a client of HTTP/1.0 expects nothing.
fn expects_continue(fields: &[Header], http_1_0: bool) -> Result<bool, Refusal> {
    let mut expectations = list(fields, "Expect");
    match expectations.next() {
        _ if http_1_0 => Ok(false),
        None => Ok(false),
        Some(expectation)
            if expectation.eq_ignore_ascii_case(b"100-continue")
                && expectations.next().is_none() =>
        {
            Ok(true)
        }
        Some(_) => Err(Refusal {
            status: EXPECTATION_FAILED,
            why: "no expectation but 100-continue is met",
        }),
    }
}

/// The values of all fields of that name.
fn values<'a>(fields: &'a [Header<'a>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    fields
        .iter()
        .filter(move |field| field.name.eq_ignore_ascii_case(name))
        .map(|field| field.value.trim_ascii())
}

/// The members of the list that all fields of that name make together (RFC 9110, section 5.6.1).
fn list<'a>(fields: &'a [Header<'a>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    values(fields, name)
        .flat_map(|value| value.split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
}

fn has_token(fields: &[Header], name: &str, token: &str) -> bool {
    list(fields, name).any(|member| member.eq_ignore_ascii_case(token.as_bytes()))
}
