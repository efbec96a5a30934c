//! The demonstration: the main job with nothing to set up.

use crate::rig::{as_nobody, clean, start, tcplab, unshared};

const TALK: &str = "连接成功\n请输入密码:\n123\n进入成功\nHello\n";

/// Handshake, data and teardown, each with the states it leads to.
const LADDER: &[&str] = &[
    "#1 192.0.2.1:",
    " connects to password on 192.0.2.2:1111 (tcp)",
    "peer (inferred)",
    "LISTEN",
    "S 0:0(0) win ",
    "SYN-RECEIVED",
    "S. 0:0(0) ack 1 win ",
    "the SYN counts as one sequence number",
    ". ack 1 ─",
    "▶ ESTABLISHED",
    "P. 1:17(16) ack 1 \"请输入密码:\"",
    "P. 1:4(3) ack 17 \"123\"",
    "P. 17:29(12) ack 4 \"进入成功\"",
    "FIN-WAIT-1 ",
    "F. 4:4(0) ack 29 ─",
    "▶ CLOSE-WAIT",
    "◀─ . ack 5 ─",
    "CLOSE-WAIT → LAST-ACK (CLOSE)",
    "TIME-WAIT ",
    "◀─ F. 29:29(0) ack 5 ─",
    ". ack 30 ─",
    "▶ CLOSED",
    "closed  by the peer first (FIN), then by tcplab (FIN)",
];

const HELLO: &[&str] = &[
    "sends datagrams to hello on 192.0.2.2:1111 (udp)",
    "\"Hello Sever\"",
    "\"Hello\"",
    "1 datagram in (11 bytes), 1 out (5 bytes)",
];

#[test]
fn the_demonstration_shows_everything() {
    for arguments in [&[][..], &["demo"]] {
        let shown = tcplab(arguments).expect(0, TALK);
        shown.shows(LADDER);
        shown.shows(HELLO);
    }
}

#[test]
fn without_privileges_too() {
    let shown = start(&mut as_nobody(&["demo"])).finish().expect(0, TALK);
    shown.shows(LADDER);
    shown.shows(HELLO);
}

#[test]
fn a_wrong_password_is_told() {
    let shown = tcplab(&["demo", "--password", "456"]);
    let shown = shown.expect(0, "连接成功\n请输入密码:\n123\n密码错误\nHello\n");
    shown.shows(&["\"密码错误\""]);
}

#[test]
fn simulated_where_it_is_asked_for() {
    let shown = tcplab(&["demo", "--simulate"]).expect(0, TALK);
    shown.shows(LADDER);
    shown.shows(HELLO);
}

#[test]
fn without_a_tun_both_ends_are_simulated() {
    let line = "mount -t tmpfs none /dev/net && exec \"$TCPLAB\" demo";
    let shown = start(&mut unshared(&["--mount"], line))
        .finish()
        .expect(0, TALK);
    shown.shows(&["no private lab: /dev/net/tun is missing", "modprobe tun"]);
    shown.shows(&["So both ends are simulated", "connects to password"]);

    let line = "mount -t tmpfs none /dev/net && exec \"$TCPLAB\" run -- true";
    let refused = start(&mut unshared(&["--mount"], line))
        .finish()
        .expect(2, "");
    refused.shows(&["no private lab: /dev/net/tun is missing", "modprobe tun"]);
}

#[test]
fn without_user_namespaces_both_ends_are_simulated() {
    let forbidden = |command: &str| {
        let line = format!(
            "echo 0 > /proc/sys/user/max_user_namespaces &&
             exec setpriv --bounding-set -all --inh-caps -all \"$TCPLAB\" {command}"
        );
        let mut unshare = clean("unshare", &["--user", "--map-root-user", "sh", "-c", &line]);
        start(unshare.env("TCPLAB", crate::rig::TCPLAB)).finish()
    };
    let shown = forbidden("demo").expect(0, TALK);
    shown.shows(&["no private lab", "user.max_user_namespaces"]);
    shown.shows(&["So both ends are simulated", "connects to password"]);
    let refused = forbidden("run -- true").expect(2, "");
    refused.shows(&["no private lab", "sysctl -w user.max_user_namespaces="]);
}
