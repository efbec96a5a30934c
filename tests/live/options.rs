//! Each option has its effect.

use crate::rig::{in_order, run, tcplab};

const ECHO: &str = "echo hi | nc -4 -N lab.test 7";

#[test]
fn the_same_seed_gives_the_same_isn_to_the_same_client() {
    let iss = |seed: &str| {
        // The client's port is part of what the number is made from (RFC 6528).
        let said =
            run(&["--seed", seed], "echo hi | nc -4 -N -p 4711 lab.test 7").expect(0, "hi\n");
        let told = "0 stands for the initial sequence number ";
        let number = said.stderr.split(told).nth(2).unwrap();
        number
            .split_whitespace()
            .next()
            .unwrap()
            .parse::<u32>()
            .unwrap()
    };
    let (first, second, other) = (iss("1"), iss("1"), iss("2"));
    // A clock is the other part: 250 to the millisecond.
    let between = |a: u32, b: u32| b.wrapping_sub(a).min(a.wrapping_sub(b));
    assert!(between(first, second) < 250 * 60_000, "{first} {second}");
    assert!(between(first, other) > 250 * 60_000, "{first} {other}");
}

#[test]
fn the_mtu_decides_the_mss() {
    for (mtu, v4, v6) in [("1280", 1240, 1220), ("9000", 8960, 8940)] {
        let line =
            "echo hi | nc -4 -N lab.test 7; echo hi | nc -6 -N lab.test 7; ip link show dev tun0";
        let said = run(&["--mtu", mtu], line);
        in_order(said.text(), &["hi\nhi\n", &format!("mtu {mtu} ")]);
        let both = [format!("<mss {v4},"), format!("<mss {v6},")];
        said.shows(&[&both[0], &both[0], &both[1], &both[1]]);
    }
}

#[test]
fn other_networks() {
    let options = ["--net", "198.51.100.16/28", "--net6", "2001:db8:7::/64"];
    let said = run(
        &options,
        "for v in 4 6; do echo $v | nc -$v -N lab.test 7; done",
    );
    said.expect(0, "4\n6\n").shows(&[
        "198.51.100.17:",
        "on 198.51.100.18:7 (tcp)",
        "[2001:db8:7::1]:",
        "on [2001:db8:7::2]:7 (tcp)",
    ]);
}

#[test]
fn the_buffer_is_the_window() {
    run(&["--buffer", "4K"], ECHO)
        .expect(0, "hi\n")
        .shows(&["S. 0:0(0) ack 1 win 4096 ", "<mss 1460,wscale 0,"]);
    run(&["--buffer", "1M"], ECHO)
        .expect(0, "hi\n")
        .shows(&["S. 0:0(0) ack 1 win 65535 ", "<mss 1460,wscale 5,"]);
}

#[test]
fn beyond_the_backlog_cookies_serve() {
    let said = run(&["--backlog", "0"], ECHO).expect(0, "hi\n");
    // Neither window scaling nor SACK fit a cookie.
    said.shows(&["out S. ", "win 65535 <mss 1460>", "ESTABLISHED"]);
}

#[test]
fn more_is_shown_when_asked_for() {
    let usual = run(&[], ECHO).expect(0, "hi\n");
    usual.shows(&["↳ ack ", "the SYN counts", "── . ack 1 ─"]);
    let explained = run(&["--explain", "none"], ECHO).expect(0, "hi\n");
    assert!(!explained.stderr.contains('↳'), "{}", explained.stderr);
    run(&["-vv"], ECHO)
        .expect(0, "hi\n")
        .shows(&["── . 1:1(0) ack 1 win "]);

    let two = "(echo a; sleep 0.2; echo b) | nc -4 -N lab.test 7 & (echo c; sleep 0.4) | nc -6 -N lab.test 7; wait";
    let whole = run(&["--whole"], two);
    assert_eq!(whole.code, 0);
    assert_eq!(
        whole.stderr.matches(" #1 192.0.2.1:").count()
            + whole.stderr.matches(" #2 192.0.2.1:").count(),
        2,
        "{}",
        whole.stderr
    );
}

#[test]
fn another_password() {
    let line = "printf 42 | nc -N lab.test 1111";
    run(&["-q", "--password", "42"], line).expect(0, "请输入密码:进入成功");
    run(&["-q", "--password", "43"], line).expect(0, "请输入密码:密码错误");
}

#[test]
fn the_doctor_is_content() {
    let said = tcplab(&["doctor"]);
    assert_eq!(said.code, 0, "{}", said.text());
    in_order(
        said.text(),
        &[
            "ok      /dev/net/tun ",
            "a private lab ",
            "`tcplab run` works here.\n",
        ],
    );
}
