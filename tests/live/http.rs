//! The page by curl: it tells of the very connection that asked.

use crate::rig::{Outcome, in_order, run};

#[test]
fn the_page_knows_its_own_connection() {
    for (version, client) in [("-4", "192.0.2.1:"), ("-6", "[2001:db8::1]:")] {
        let line = format!("curl {version} -s -w '%{{local_port}}' http://lab.test/");
        let said = run(&[], &line);
        assert_eq!(said.code, 0, "{}", said.stderr);
        let (page, port) = said.text().rsplit_once('\n').unwrap();
        in_order(page, &["client ", &format!("{client}{port}\n")]);

        // The ladder saw the same numbers on the wire.
        let [irs, iss] = initial_numbers(&said);
        in_order(
            page,
            &[
                &format!("IRS         {irs},"),
                &format!("ISS         {iss},"),
            ],
        );
        in_order(
            page,
            &[
                &format!("S {irs}:{irs}(0) win "),
                &format!("S. {iss}:{iss}(0) ack {} ", irs.wrapping_add(1)),
                &format!(
                    ". {0}:{0}(0) ack {1} ",
                    irs.wrapping_add(1),
                    iss.wrapping_add(1)
                ),
            ],
        );
    }
}

/// The peer's and ours, as the ladder of the first connection tells them.
fn initial_numbers(said: &Outcome) -> [u32; 2] {
    let told = "0 stands for the initial sequence number ";
    let mut numbers = said.stderr.split(told).skip(1).map(|rest| {
        let digits = rest.split_whitespace().next().unwrap();
        digits.parse().unwrap()
    });
    [numbers.next().unwrap(), numbers.next().unwrap()]
}

#[test]
fn html_for_those_who_prefer_it() {
    let plain = run(&["-q"], "curl -si http://lab.test/");
    in_order(
        plain.text(),
        &["HTTP/1.1 200 OK", "text/plain; charset=utf-8"],
    );
    let html = run(&["-q"], "curl -si -H 'Accept: text/html' http://lab.test/");
    in_order(
        html.text(),
        &[
            "HTTP/1.1 200 OK",
            "text/html; charset=utf-8",
            "<!DOCTYPE html>",
            "</html>",
        ],
    );
}

#[test]
fn answers() {
    for (request, answer) in [
        ("curl -s -d hallo http://lab.test/echo", "hallo"),
        (
            "curl -s -o /dev/null -w '%{http_code}' http://lab.test/nix",
            "404",
        ),
        (
            "curl -s -o /dev/null -w '%{http_code}' http://192.0.2.99/",
            "200",
        ),
        (
            "curl -s -o /dev/null -w '%{http_code}' -T - http://lab.test/echo < /dev/null",
            "200",
        ),
        // One connection for both.
        (
            "curl -s -o /dev/null -o /dev/null -w '%{num_connects}' http://lab.test/ http://lab.test/",
            "10",
        ),
        (
            "head -c 100000 /dev/zero | tr '\\0' x | curl -s --data-binary @- http://lab.test/echo | wc -c",
            "100000\n",
        ),
    ] {
        run(&["-q"], request).expect(0, answer);
    }
}

#[test]
fn raw_requests() {
    for (request, answers) in [
        (
            "GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\nGET /nix HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n",
            &["HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found"][..],
        ),
        ("BLA\\r\\n\\r\\n", &["HTTP/1.1 400 Bad Request"]),
        ("\\001\\002\\377\\r\\n\\r\\n", &["HTTP/1.1 400 Bad Request"]),
        ("GET / HTTP/1.1\\r\\n\\r\\n", &["HTTP/1.1 400 Bad Request"]),
        (
            "POST /echo HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: -1\\r\\n\\r\\n",
            &["HTTP/1.1 400 Bad Request"],
        ),
    ] {
        let said = run(&["-q"], &format!("printf '{request}' | nc -N lab.test 80"));
        assert_eq!(said.code, 0, "{}", said.stderr);
        in_order(said.text(), answers);
        let count = said.text().matches("HTTP/1.1 ").count();
        assert_eq!(count, answers.len(), "{}", said.text());
    }
}
