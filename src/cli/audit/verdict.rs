//! What a client did, and whether a good one does that.

use super::inside::Done;
use super::observe::Seen;
use std::fmt;

/// What a client is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// To end as it does without a fault, with the same answer.
    Answers,
    /// To say that it failed, in time.
    Fails,
    /// Either of the two.
    Either,
}

impl Expected {
    /// In one word.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Expected::Answers => "answers",
            Expected::Fails => "fails",
            Expected::Either => "either",
        }
    }
}

/// What it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It ended as it does without a fault, with what it got whole.
    Answered,
    /// It ended with another exit code.
    Failed(u8),
    /// The same, when a limit of its own was over that it promises to keep.
    GaveUp(u8),
    /// The same, later than it promises.
    Late(u8),
    /// It had to be killed when its time was over.
    Hung,
    /// It ended as if all were well, but with something else than what was sent.
    WrongBytes(&'static str),
}

impl Outcome {
    /// In one word, the same whatever the details are.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Outcome::Answered => "answered",
            Outcome::Failed(_) => "failed",
            Outcome::GaveUp(_) => "gave-up",
            Outcome::Late(_) => "late",
            Outcome::Hung => "hung",
            Outcome::WrongBytes(_) => "wrong-bytes",
        }
    }

    /// Whether a good client does that.
    pub(super) fn is_good(&self, expected: Expected) -> bool {
        match (self, expected) {
            (Outcome::Answered, Expected::Answers | Expected::Either)
            | (Outcome::Failed(_), Expected::Fails | Expected::Either) => true,
            (Outcome::GaveUp(_), _) => true,
            (Outcome::Answered | Outcome::Failed(_), _) => false,
            (Outcome::Hung | Outcome::Late(_) | Outcome::WrongBytes(_), _) => false,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Answered => f.write_str("answered"),
            Outcome::Failed(code) => write!(f, "failed, exit code {code}"),
            Outcome::GaveUp(code) => write!(f, "gave up at its own limit, exit code {code}"),
            Outcome::Late(code) => write!(f, "failed later than it promises, exit code {code}"),
            Outcome::Hung => f.write_str("hung until the limit"),
            Outcome::WrongBytes(why) => write!(f, "took what is not the answer: {why}"),
        }
    }
}

/// What the client's output is without any fault, so that it can be judged with one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Normal {
    /// The bodies of the HTTP responses that were sent to it.
    Bodies,
    /// All that was sent to it.
    Stream,
    /// The same each time.
    Same(Vec<u8>),
    /// Nothing that can be compared; only its exit code counts.
    Incomparable,
}

impl Normal {
    /// From two runs without faults.
    pub(super) fn of(runs: [(&[u8], &Seen); 2]) -> Normal {
        let all = |test: fn(&[u8], &[u8]) -> bool| {
            runs.iter().all(|(stdout, seen)| {
                !stdout.is_empty() && seen.streams.iter().any(|stream| test(stdout, stream))
            })
        };
        if all(|stdout, stream| stdout == stream) {
            Normal::Stream
        } else if all(|stdout, stream| bodies(stream) == Some((stdout.to_vec(), true))) {
            Normal::Bodies
        } else if runs[0].0 == runs[1].0 {
            Normal::Same(runs[0].0.to_vec())
        } else {
            Normal::Incomparable
        }
    }

    /// What is wrong with an output, if anything is.
    fn objection(&self, stdout: &[u8], seen: Option<&Seen>) -> Option<&'static str> {
        let streams = || seen.into_iter().flat_map(|seen| &seen.streams);
        match self {
            Normal::Stream if streams().any(|stream| stream == stdout) => None,
            Normal::Stream => Some("not all that was sent to it"),
            Normal::Bodies => {
                let mut bodies = streams().filter_map(|stream| bodies(stream));
                match bodies.find(|(body, _)| body == stdout) {
                    Some((_, true)) => None,
                    Some((_, false)) => Some("a body shorter than its Content-Length"),
                    None => Some("not the body that was sent to it"),
                }
            }
            Normal::Same(expected) if expected == stdout => None,
            Normal::Same(_) => Some("not what it prints without a fault"),
            Normal::Incomparable => None,
        }
    }
}

/// What a client promises: when it gives up, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Promise {
    /// A connection that is not established.
    pub(super) connect: Option<f64>,
    /// An answer that is not there, or not whole.
    pub(super) answer: Option<f64>,
}

/// A limit may be over that much later than was said: a timer is never early, and a machine may be busy.
const SLACK: f64 = 1.0;
/// What ends at this part of a limit has not failed for another reason.
const NEARLY: f64 = 0.9;

impl Promise {
    /// What a failure says, so many seconds after the first packet of `addresses` addresses that could be tried; `answer` is how long
    /// a connection was established.
    pub(super) fn judge(
        self,
        code: u8,
        took: f64,
        answer: Option<f64>,
        addresses: usize,
    ) -> Outcome {
        // A client's limit often counts for each address.
        let (limit, waited, most) = match answer {
            Some(waited) => (self.answer, waited, 1),
            None => (self.connect, took, addresses.max(1)),
        };
        match limit {
            Some(limit) if waited > limit * most as f64 + SLACK => Outcome::Late(code),
            Some(limit) if waited >= limit * NEARLY => Outcome::GaveUp(code),
            _ => Outcome::Failed(code),
        }
    }
}

/// What a run says about the client. `good_code` is its exit code without a fault, and `failed` says what another one means.
pub(super) fn outcome(
    done: &Done,
    seen: Option<&Seen>,
    normal: &Normal,
    good_code: u8,
    failed: impl Fn(u8) -> Outcome,
) -> Outcome {
    match done.code {
        None => Outcome::Hung,
        Some(code) if code != good_code => failed(code),
        Some(_) => match normal.objection(&done.stdout(), seen) {
            None => Outcome::Answered,
            Some(why) => Outcome::WrongBytes(why),
        },
    }
}

/// The bodies of the HTTP responses in a stream, one behind the other, and whether they are whole; `None` where the
/// stream is none of responses with a Content-Length.
fn bodies(mut stream: &[u8]) -> Option<(Vec<u8>, bool)> {
    let mut bodies = Vec::new();
    while !stream.is_empty() {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(head) = response.parse(stream).ok()? else {
            return Some((bodies, false));
        };
        let length = response
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case("content-length"))?;
        let length: usize = std::str::from_utf8(length.value).ok()?.parse().ok()?;
        let rest = &stream[head..];
        if rest.len() < length {
            bodies.extend_from_slice(rest);
            return Some((bodies, false));
        }
        bodies.extend_from_slice(&rest[..length]);
        stream = &rest[length..];
    }
    Some((bodies, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_of_streams() {
        #[track_caller]
        fn check(stream: &str, expected: Option<(&str, bool)>) {
            let expected = expected.map(|(body, whole)| (body.as_bytes().to_vec(), whole));
            assert_eq!(bodies(stream.as_bytes()), expected, "{stream}");
        }
        let one = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        check(one, Some(("abc", true)));
        check(&one.repeat(2), Some(("abcabc", true)));
        check(&one[..one.len() - 1], Some(("ab", false)));
        check(&one[..20], Some(("", false)));
        check("", Some(("", true)));
        check("HTTP/1.1 200 OK\r\n\r\nabc", None);
        check("请输入密码:", None);
    }

    #[test]
    fn what_is_good() {
        use Expected::{Answers, Either, Fails};
        #[track_caller]
        fn check(outcome: Outcome, good: &[Expected]) {
            for expected in [Answers, Fails, Either] {
                let is_good = outcome.is_good(expected);
                assert_eq!(
                    is_good,
                    good.contains(&expected),
                    "{outcome:?} {expected:?}"
                );
            }
        }
        check(Outcome::Answered, &[Answers, Either]);
        check(Outcome::Failed(28), &[Fails, Either]);
        check(Outcome::GaveUp(28), &[Answers, Fails, Either]);
        check(Outcome::Late(28), &[]);
        check(Outcome::Hung, &[]);
        check(Outcome::WrongBytes("cut off"), &[]);
    }

    #[test]
    fn promises_are_kept_or_not() {
        let promise = Promise {
            connect: Some(2.0),
            answer: Some(5.0),
        };
        for (took, answer, addresses, expected) in [
            (0.1, None, 1, Outcome::Failed(7)),
            (2.0, None, 1, Outcome::GaveUp(7)),
            (2.9, None, 1, Outcome::GaveUp(7)),
            (3.1, None, 1, Outcome::Late(7)),
            (4.1, None, 2, Outcome::GaveUp(7)),
            (5.1, None, 2, Outcome::Late(7)),
            // Connecting took its time, too.
            (8.0, Some(5.1), 2, Outcome::GaveUp(7)),
            (8.0, Some(1.0), 2, Outcome::Failed(7)),
            (8.0, Some(6.1), 2, Outcome::Late(7)),
        ] {
            let found = promise.judge(7, took, answer, addresses);
            assert_eq!(found, expected, "{took} {answer:?} {addresses}");
        }
        let none = Promise::default();
        assert_eq!(none.judge(7, 9.0, Some(9.0), 1), Outcome::Failed(7));
    }

    #[test]
    fn outputs_are_held_against_what_was_sent() {
        let seen = |streams: &[&str]| Seen {
            streams: streams
                .iter()
                .map(|stream| stream.as_bytes().to_vec())
                .collect(),
            ..Seen::default()
        };
        let response = |body: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{body}");
        let (first, second) = (seen(&[&response("11")]), seen(&[&response("22")]));
        let normal = Normal::of([(b"11", &first), (b"22", &second)]);
        assert_eq!(normal, Normal::Bodies);
        assert_eq!(
            normal.objection(b"33", Some(&seen(&[&response("33")]))),
            None
        );
        assert!(
            normal
                .objection(b"3", Some(&seen(&[&response("33")])))
                .is_some()
        );
        assert!(
            normal
                .objection(b"3", Some(&seen(&[&response("3")])))
                .is_some()
        );
        assert!(normal.objection(b"", None).is_some());

        let (first, second) = (seen(&["hello"]), seen(&["world"]));
        assert_eq!(
            Normal::of([(b"hello", &first), (b"world", &second)]),
            Normal::Stream
        );
        let normal = Normal::of([(b"ok", &first), (b"ok", &second)]);
        assert_eq!(normal, Normal::Same(b"ok".to_vec()));
        assert_eq!(normal.objection(b"ok", None), None);
        assert!(normal.objection(b"o", None).is_some());
        let normal = Normal::of([(b"1", &first), (b"2", &second)]);
        assert_eq!(normal, Normal::Incomparable);
        assert_eq!(normal.objection(b"", None), None);
    }
}
