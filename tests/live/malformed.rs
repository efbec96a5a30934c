//! What no kernel would send, put into the TUN by hand.

use nix::sys::signal::Signal;

use crate::helper::{self, User};
use crate::rig::{clean, command, in_order, python, start};
use crate::serve::{serve, shell};

const PACKETS: &str = include_str!("programs/malformed.py");

#[test]
fn malformed_packets_of_every_kind() {
    helper::run("malformed", User::OwnNetwork);
}

pub(crate) fn every_kind() {
    let mut logged = command(&["serve", "--no-explain"]);
    logged.env("RUST_LOG", "tcplab=debug");
    let (serve, _) = serve(logged);
    let mut sender = clean(python(), &["-c", PACKETS, "tcplab0"]);
    let sent = start(&mut sender).finish();
    assert_eq!(sent.code, 0, "{}", sent.stderr);
    assert!(sent.text().contains("packets sent"), "{}", sent.text());

    // The service goes on, in both versions, and nothing is amiss with a connection.
    let page = shell("curl -s -m 5 http://192.0.2.2/; curl -s -m 5 'http://[2001:db8::2]/'");
    in_order(
        &page,
        &["server      192.0.2.2:80", "server      [2001:db8::2]:80"],
    );
    serve.signal(Signal::SIGTERM);
    let said = serve.finish().expect(0, "");
    assert!(!said.stderr.contains("panicked"), "{}", said.stderr);

    // Each kind is in the log, in words.
    for words in include_str!("programs/malformed.txt").lines() {
        assert!(
            said.stderr.contains(words),
            "{words:?} is not in\n{}",
            said.stderr
        );
    }
}
