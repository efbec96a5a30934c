use super::*;
use crate::event::{FlowId, Handshake, Opening};
use crate::segment::SeqNumber;
use jiff::Timestamp;
use proptest::prelude::*;

/// Feeds `input` in pieces of several sizes, which must make no difference, and compares the answers.
///
/// Of each answer the fields that are always the same are left out, and those that depend on them alone.
#[track_caller]
fn check(input: &str, expected: &str) {
    // Byte by byte takes too long where there are many.
    let smallest = input.len().div_ceil(2000);
    for step in [smallest, 3 * smallest, 1000, input.len()] {
        let answers = answers(input.as_bytes(), step);
        let brief = answers
            .replace("Server: ", "\0")
            .split("\r\n")
            .filter(|line| !line.starts_with('\0') && !line.starts_with("Date: "))
            .collect::<Vec<_>>()
            .join("\n");
        let start: String = input.chars().take(200).collect();
        assert_eq!(brief, expected, "{start:?} in steps of {step}");
    }
}

/// As [`check`], for what is answered with one refusal: its status and reason.
#[track_caller]
fn refused(input: &str, expected: &str) {
    let len = expected.len() + 1;
    check(
        input,
        &format!(
            "HTTP/1.1 {status}\nConnection: close\nContent-Length: {len}\n\
             Content-Type: text/plain; charset=utf-8\n\n{expected}\n",
            status = expected.split(": ").next().unwrap(),
        ),
    );
}

const ECHOED: &str = "HTTP/1.1 200 OK\nConnection: keep-alive\nContent-Length: 3\n\
                      Content-Type: application/octet-stream\n\nabc";

#[test]
fn a_response_has_date_server_and_length() {
    assert_eq!(
        answers(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: text/x\r\nContent-Length: 2\r\n\r\nhi", 1000),
        format!(
            "HTTP/1.1 200 OK\r\nServer: tcplab/{}\r\nDate: Sun, 22 Nov 2026 14:50:16 GMT\r\n\
             Connection: keep-alive\r\nContent-Length: 2\r\nContent-Type: text/x\r\n\r\nhi",
            env!("CARGO_PKG_VERSION")
        )
    );
}

#[test]
fn bodies_are_echoed() {
    check(
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        ECHOED,
    );
    check(
        "PUT /echo?x HTTP/1.1\r\nhost:a\r\ncontent-length:3\r\n\r\nabc",
        ECHOED,
    );
    check(
        "POST http://a/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 003\r\n\r\nabc",
        ECHOED,
    );
    check(
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\na\r\n2;x\r\nbc\r\n0\r\nT: u\r\n\r\n",
        ECHOED,
    );
    check(
        "POST /echo HTTP/1.1\r\nHost: a\r\n\r\n",
        "HTTP/1.1 200 OK\nConnection: keep-alive\nContent-Length: 0\nContent-Type: application/octet-stream\n\n",
    );
}

#[test]
fn a_client_that_waits_for_it_is_told_to_continue() {
    check(
        "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\nabc",
        &format!("HTTP/1.1 100 Continue\n\n{ECHOED}"),
    );
    // Nothing to wait for; and 1.0 does not know it.
    check(
        "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
        "HTTP/1.1 200 OK\nConnection: keep-alive\nContent-Length: 0\nContent-Type: application/octet-stream\n\n",
    );
    check(
        "POST /echo HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
        ECHOED,
    );
    refused(
        "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nContent-Length: 3\r\n\r\n",
        "417 Expectation Failed: no expectation but 100-continue is met",
    );
    refused(
        "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1048577\r\n\r\n",
        "413 Content Too Large: the body has more than 1 MiB",
    );
}

#[test]
fn requests_are_answered_one_after_the_other_until_one_closes() {
    let echo = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    check(&format!("{echo}\r\n{echo}{echo}"), &ECHOED.repeat(3));

    let closed = ECHOED.replace("keep-alive", "close");
    let last = echo.replace("Host", "Connection: x, Close\r\nHost");
    check(&format!("{echo}{last}{echo}"), &format!("{ECHOED}{closed}"));

    let old = "POST /echo HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc";
    check(&format!("{old}{echo}"), &closed);
    let kept = old.replace("\r\nC", "\r\nConnection: Keep-Alive\r\nC");
    check(
        &format!("{kept}{kept}{old}"),
        &format!("{ECHOED}{ECHOED}{closed}"),
    );
}

#[test]
fn a_request_that_is_not_whole_is_waited_for() {
    for input in [
        "G",
        "GET / HTTP/1.1\r\nHost: a\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
    ] {
        check(input, "");
        let mut reader = Reader::default();
        assert!(reader.is_idle());
        reader.handle_input(input.as_bytes());
        assert_eq!(reader.poll_item(), Ok(None));
        assert!(!reader.is_idle(), "{input:?}");
    }
}

#[test]
fn the_page_is_text_or_html_and_head_gets_no_body() {
    let get = |fields: &str| {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        answers(request.as_bytes(), 1000)
    };
    let text = get("Accept: */*\r\n");
    assert!(text.contains("Content-Type: text/plain; charset=utf-8\r\nVary: Accept\r\nCache-Control: no-store\r\n\r\nThe TCP"));
    assert!(text.contains("\nrequest     1 on this connection\n"));
    let html = get("Accept: text/html\r\nAccept: */*;q=0.1\r\n");
    assert!(html.contains("Content-Type: text/html; charset=utf-8\r\n"));
    assert!(html.contains("\r\n\r\n<!DOCTYPE html>"));

    let head = answers(b"HEAD / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n", 1000);
    assert!(head.ends_with("\r\n\r\n"));
    assert_eq!(text.split_inclusive("\r\n\r\n").next(), Some(head.as_str()));

    let twice = answers(
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n",
        1000,
    );
    assert!(twice.contains("\nrequest     2 on this connection\n"));
}

#[test]
fn other_paths_and_methods_are_told_so() {
    #[track_caller]
    fn check_head(input: &str, expected: &str) {
        let answer = answers(format!("{input}\r\nHost: a\r\n\r\n").as_bytes(), 1000);
        let lines: Vec<&str> = answer
            .split("\r\n")
            .filter(|line| line.starts_with("HTTP") || line.starts_with("Allow"))
            .collect();
        assert_eq!(lines.join(" "), expected);
        assert!(answer.contains("Connection: keep-alive"));
    }
    check_head("GET /favicon.ico HTTP/1.1", "HTTP/1.1 404 Not Found");
    check_head("OPTIONS * HTTP/1.1", "HTTP/1.1 404 Not Found");
    check_head("GET //://x/ HTTP/1.1", "HTTP/1.1 404 Not Found");
    check_head("GET ?q HTTP/1.1", "HTTP/1.1 200 OK");
    check_head("GET http://a?q HTTP/1.1", "HTTP/1.1 200 OK");
    check_head("GET http://a HTTP/1.1", "HTTP/1.1 200 OK");
    check_head(
        "POST / HTTP/1.1",
        "HTTP/1.1 405 Method Not Allowed Allow: GET, HEAD",
    );
    check_head(
        "BREW / HTTP/1.1",
        "HTTP/1.1 405 Method Not Allowed Allow: GET, HEAD",
    );
    check_head(
        "GET /echo HTTP/1.1",
        "HTTP/1.1 405 Method Not Allowed Allow: POST, PUT",
    );
}

#[test]
fn what_is_no_request_is_refused() {
    let line = "400 Bad Request: not a request line";
    refused("\x16\x03\x01\x02\0\x01", line);
    refused("GET\r\n\r\n", line);
    refused("GET /\r\n\r\n", line);
    refused("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", line);
    refused("GET / FTP/1.1\r\n\r\n", "400 Bad Request: no HTTP version");
    refused("GET / HTTP/11\r\n\r\n", "400 Bad Request: no HTTP version");
    let version = "505 HTTP Version Not Supported: only HTTP/1.1 and HTTP/1.0 are spoken here";
    refused("GET / HTTP/2.0\r\n\r\n", version);
    refused("\r\nGET / HTTP/0.9\r\nHost: a\r\n\r\n", version);
    refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", version);
    let name = "400 Bad Request: a header field has no valid name";
    refused("GET / HTTP/1.1\r\nHost : a\r\n\r\n", name);
    refused("GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n", name);
    refused(
        "GET / HTTP/1.1\r\nHost: a\r\nA: \0\r\n\r\n",
        "400 Bad Request: a header field has no valid value",
    );
    refused(
        "GET / HTTP/1.1\r\n\r\n",
        "400 Bad Request: the Host field is missing",
    );
    refused(
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "400 Bad Request: more than one Host field",
    );
    let host = "400 Bad Request: the Host field is no host";
    refused("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", host);
    refused("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", host);
    refused("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", host);
}

#[test]
fn what_could_be_cut_in_two_ways_is_refused() {
    #[track_caller]
    fn check_fields(fields: &str, expected: &str) {
        refused(
            &format!("POST /echo HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n"),
            expected,
        );
    }
    check_fields(
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "400 Bad Request: both Content-Length and Transfer-Encoding",
    );
    let twice = "400 Bad Request: more than one Content-Length field";
    check_fields("Content-Length: 3\r\nContent-Length: 3", twice);
    check_fields("Content-Length: 3\r\nContent-Length: 4", twice);
    for length in ["", "+3", "-3", "3, 3", "0x3", "3 3", "3a"] {
        check_fields(
            &format!("Content-Length: {length}"),
            "400 Bad Request: Content-Length is no number",
        );
    }
    for length in ["1048577", "18446744073709551616"] {
        check_fields(
            &format!("Content-Length: {length}"),
            "413 Content Too Large: the body has more than 1 MiB",
        );
    }
    for coding in [
        "identity",
        "gzip",
        "chunked, gzip",
        "chunked, chunked",
        "",
        "chunked;a=b",
        "xchunked",
    ] {
        check_fields(
            &format!("Transfer-Encoding: {coding}"),
            "400 Bad Request: chunked must be the last transfer coding, and only once",
        );
    }
    check_fields(
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
        "501 Not Implemented: no transfer coding but chunked is understood",
    );
    refused(
        "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "400 Bad Request: HTTP/1.0 has no Transfer-Encoding",
    );
    check_fields(
        "Transfer-Encoding: chunked\r\n\r\n\r\n",
        "400 Bad Request: a chunk has no valid size",
    );
    // Nothing after a refusal is read as a request.
    refused(
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "400 Bad Request: Content-Length is no number",
    );
}

#[test]
fn heads_have_a_limit() {
    let start = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nA: ";
    let filled = |len: usize| {
        let filling = len - start.len() - "\r\n\r\n".len();
        format!("{start}{}\r\n\r\nabc", "b".repeat(filling))
    };
    let large = "431 Request Header Fields Too Large: the head has more than 16 KiB";
    check(&filled(16 * 1024), ECHOED);
    refused(&filled(16 * 1024 + 1), large);
    refused(&"\r\n".repeat(10_000), large);
    refused(&format!("GET /{}", "x".repeat(20_000)), large);
    let fields = "A: b\r\n".repeat(101);
    refused(
        &format!("GET / HTTP/1.1\r\n{fields}\r\n"),
        "431 Request Header Fields Too Large: more than 100 header fields",
    );
}

proptest! {
    #[test]
    fn no_input_panics_and_no_cut_matters(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 0..30),
        noise in prop::collection::vec(any::<(prop::sample::Index, u8)>(), 0..3),
        step in 1usize..50,
    ) {
        let mut input = pieces.concat().into_bytes();
        for (at, byte) in noise {
            if !input.is_empty() {
                let at = at.index(input.len());
                input[at] = byte;
            }
        }
        prop_assert_eq!(answers(&input, step), answers(&input, input.len()));
    }
}

/// What requests are made of, and what is almost that.
const PIECES: &[&str] = &[
    "POST /echo HTTP/1.1\r\nHost: a\r\n",
    "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
    "PUT /echo HTTP/2.0\r\n",
    "Content-Length: 3\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Expect: 100-continue\r\n",
    "Connection: close\r\n",
    "3\r\nabc\r\n",
    "0\r\n",
    "abc",
    "\r\n",
    "\n",
    "\r",
    " ",
    ":",
    ";",
];

/// All that is sent back, as the program does it, with a clock that stands still.
fn answers(input: &[u8], step: usize) -> String {
    let now = Timestamp::from_second(1_795_359_016).unwrap();
    let mut reader = Reader::default();
    let mut sent = Vec::new();
    let mut requests = 0;
    'connection: for piece in input.chunks(step.max(1)) {
        reader.handle_input(piece);
        loop {
            let response = match reader.poll_item() {
                Ok(None) => break,
                Ok(Some(Item::Continue)) => {
                    sent.extend_from_slice(answer::CONTINUE);
                    continue;
                }
                Ok(Some(Item::Request(request))) => {
                    requests += 1;
                    answer(request, || Page::new(&handshake(), requests))
                }
                Err(refusal) => Response::refusal(&refusal),
            };
            sent.extend(response.encode(now));
            if !response.keep_alive {
                break 'connection;
            }
        }
    }
    String::from_utf8_lossy(&sent).into_owned()
}

fn handshake() -> Handshake {
    Handshake {
        flow: FlowId(1),
        local: "[2001:db8::2]:80".parse().unwrap(),
        peer: "[2001:db8::1]:40000".parse().unwrap(),
        opening: Opening::Passive,
        iss: SeqNumber(1),
        irs: SeqNumber(2),
        steps: Vec::new(),
    }
}
