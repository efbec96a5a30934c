//! 127.0.0.1 in a lab: the lab's own, or tcplab's.

use crate::rig::{as_nobody, run, start, tcplab};

const HINT: &str = "Something tried 127.0.0.1, which is the lab's own.";

#[test]
fn a_port_of_it_leads_to_tcplab_and_others_do_not() {
    let line = "curl -4 -sS http://localhost/ | head -n 1; curl -s http://127.0.0.1:81/ || echo $?; \
                ping -c 1 -W 5 127.0.0.1 >/dev/null && echo pong";
    let said = run(&["--as-localhost", "80"], line);
    let said = said.expect(0, "The TCP handshake of this connection\n7\npong\n");
    said.shows(&["connects to http on 127.0.0.1:80 (tcp)", HINT]);
    assert!(!said.stderr.contains(":81"), "{}", said.stderr);
}

#[test]
fn all_of_it_leads_to_tcplab() {
    let line = "curl -4 -sS http://localhost/ | head -n 1; curl -s http://127.0.0.1:81/ || echo $?; \
                ping -c 1 -W 5 127.0.0.1 >/dev/null && echo pong";
    let said = run(&["-v", "--as-localhost", "all"], line);
    let said = said.expect(0, "The TCP handshake of this connection\n7\npong\n");
    // The refusal is ours, and so is the answer to the ping.
    said.shows(&["connects to http on 127.0.0.1:80 (tcp)", "127.0.0.1:81"]);
    said.shows(&["echo request"]);
    assert!(!said.stderr.contains(HINT), "{}", said.stderr);
}

#[test]
fn an_ordinary_user_can_do_it_too() {
    let line = "curl -4 -sS http://127.0.0.1/ | head -n 1";
    let mut tcplab = as_nobody(&["run", "--as-localhost", "80", "--", "sh", "-c", line]);
    let said = start(&mut tcplab).finish();
    said.expect(0, "The TCP handshake of this connection\n");
}

/// Servers of the lab's own on other ports, and several ports that lead to tcplab.
#[test]
fn servers_of_the_labs_own_stay_reachable() {
    let line = "python3 -m http.server --bind 127.0.0.1 8000 >/dev/null 2>&1 & \
                for i in $(seq 100); do curl -s 127.0.0.1:8000 >/dev/null && break; sleep 0.1; done; \
                curl -s 127.0.0.1:8000 | grep -c 'Directory listing for' | head -n 1; kill $!; \
                echo x | nc -w 5 -N 127.0.0.1 7; curl -4 -s localhost | head -n 1";
    let options = ["--as-localhost", "7", "--as-localhost", "80"];
    let said = run(&options, line);
    let said = said.expect(0, "2\nx\nThe TCP handshake of this connection\n");
    said.shows(&["echo on 127.0.0.1:7", "http on 127.0.0.1:80"]);
}

#[test]
fn a_try_in_vain_is_hinted_at() {
    for line in ["curl -s 127.0.0.1", "echo x | nc -u -w 1 127.0.0.1 1111"] {
        let said = run(&[], &format!("{line}; true")).expect(0, "");
        said.shows(&[
            "No packets reached tcplab.\n",
            "tcplab is lab.test (192.0.2.2)",
            HINT,
        ]);
    }
    let said = run(&[], "curl -s lab.test >/dev/null; curl -s 127.0.0.1; true").expect(0, "");
    said.shows(&[HINT]);
    for line in ["curl -s lab.test >/dev/null", "true"] {
        let said = run(&[], line).expect(0, "");
        assert!(!said.stderr.contains(HINT), "{}", said.stderr);
    }
    let said = run(&["--lang", "zh"], "curl -s 127.0.0.1; true").expect(0, "");
    said.shows(&["没有任何包到达 tcplab", "--as-localhost PORT"]);
}

#[test]
fn a_lab_can_have_one_ip_version_only() {
    let line = "getent ahosts lab.test | cut -d ' ' -f 1 | uniq; \
                getent ahosts blackhole.test | cut -d ' ' -f 1 | uniq; \
                curl -sS http://lab.test/ | head -n 1";
    let first = "The TCP handshake of this connection\n";
    let said = run(&["--net6", "none"], line);
    let said = said.expect(0, &format!("192.0.2.2\n192.0.2.10\n{first}"));
    said.shows(&["192.0.2.2:80"]);
    let said = run(&["--net", "none"], line);
    let said = said.expect(0, &format!("2001:db8::2\n2001:db8::10\n{first}"));
    said.shows(&["[2001:db8::2]:80"]);
}

#[test]
fn what_cannot_be_is_told() {
    for (arguments, words) in [
        (
            &["run", "--net", "none", "--net6", "none", "--", "true"][..],
            "--net none --net6 none leaves no network",
        ),
        (
            &["run", "--net", "none", "--as-localhost", "80", "--", "true"],
            "--as-localhost is about 127.0.0.1, which needs IPv4",
        ),
        (
            &["run", "--as-localhost", "0", "--", "true"],
            "expected a port from 1 to 65535, or all",
        ),
        (
            &["connect", "echo", "127.0.0.1:7"],
            "start the server in one (`-- CMD`)",
        ),
        (
            &["connect", "echo", "[::1]:7", "--", "true"],
            "bind it to another address",
        ),
    ] {
        let said = tcplab(arguments).expect(2, "");
        assert!(said.stderr.contains(words), "{}", said.stderr);
    }
}
