//! What a request gets.

use super::accept::prefers_html;
use super::page::Page;
use super::reader::Request;
use super::status::{METHOD_NOT_ALLOWED, NOT_FOUND, OK, Refusal, Status};
use jiff::Timestamp;

/// What a client that expects it gets before it sends a body.
pub(super) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

const SERVER: &str = concat!("tcplab/", env!("CARGO_PKG_VERSION"));
const PLAIN: &[u8] = b"text/plain; charset=utf-8";
const HTML: &[u8] = b"text/html; charset=utf-8";

/// A response before it is bytes.
#[derive(Debug)]
pub(super) struct Response {
    status: Status,
    content_type: Vec<u8>,
    /// Whole lines, without their line endings.
    fields: Vec<&'static str>,
    body: Vec<u8>,
    /// HEAD: everything but the body is sent.
    head_only: bool,
    /// Whether the connection stays open after it.
    pub(super) keep_alive: bool,
}

/// Answers a request; `page` is called only where it is asked for.
pub(super) fn answer(request: Request, page: impl FnOnce() -> Page) -> Response {
    let head = request.head;
    let response = match (head.path.as_str(), head.method.as_str()) {
        ("/", "GET" | "HEAD") => page_response(page(), prefers_html(&head.accept)),
        ("/", _) => not_allowed("Allow: GET, HEAD"),
        ("/echo", "POST" | "PUT") => echo(head.content_type, request.body),
        ("/echo", _) => not_allowed("Allow: POST, PUT"),
        _ => Response::plain(NOT_FOUND, "nothing has this name; there are / and /echo"),
    };
    Response {
        head_only: head.method == "HEAD",
        keep_alive: head.keep_alive,
        ..response
    }
}

fn page_response(page: Page, html: bool) -> Response {
    let (content_type, body) = if html {
        (HTML, page.html())
    } else {
        (PLAIN, page.text())
    };
    Response {
        content_type: content_type.to_vec(),
        // Every connection has a page of its own.
        fields: vec!["Vary: Accept", "Cache-Control: no-store"],
        body: body.into_bytes(),
        ..Response::plain(OK, "")
    }
}

fn echo(content_type: Option<Vec<u8>>, body: Vec<u8>) -> Response {
    Response {
        content_type: content_type.unwrap_or(b"application/octet-stream".to_vec()),
        body,
        ..Response::plain(OK, "")
    }
}

fn not_allowed(allow: &'static str) -> Response {
    Response {
        fields: vec![allow],
        ..Response::plain(METHOD_NOT_ALLOWED, "not with this method")
    }
}

impl Response {
    /// What a refused request gets.
    pub(super) fn refusal(refusal: &Refusal) -> Response {
        Response::plain(refusal.status, refusal.why)
    }

    fn plain(status: Status, why: &str) -> Response {
        let Status(code, reason) = status;
        Response {
            status,
            content_type: PLAIN.to_vec(),
            fields: Vec::new(),
            body: format!("{code} {reason}: {why}\n").into_bytes(),
            head_only: false,
            keep_alive: false,
        }
    }

    /// The bytes that carry it, sent at `now`.
    pub(super) fn encode(&self, now: Timestamp) -> Vec<u8> {
        let Status(code, reason) = self.status;
        // IMF-fixdate (RFC 9110, section 5.6.7).
        let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT");
        let len = self.body.len();
        let connection = if self.keep_alive {
            "keep-alive"
        } else {
            "close"
        };
        let mut bytes = format!(
            "HTTP/1.1 {code} {reason}\r\nServer: {SERVER}\r\nDate: {date}\r\nConnection: {connection}\r\n\
             Content-Length: {len}\r\nContent-Type: "
        )
        .into_bytes();
        bytes.extend_from_slice(&self.content_type);
        for field in &self.fields {
            bytes.extend_from_slice(b"\r\n");
            bytes.extend_from_slice(field.as_bytes());
        }
        bytes.extend_from_slice(b"\r\n\r\n");
        if !self.head_only {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}
