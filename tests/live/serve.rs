//! `tcplab serve`, in a network namespace made for it.

use std::io::{BufRead, BufReader};
use std::process::Command;

use nix::sys::signal::Signal;
use nix::unistd::User as Account;

use crate::helper::{self, OWNER, User};
use crate::rig::{Running, as_nobody, clean, command, in_order, start, unshared};

#[test]
fn a_tun_of_its_own() {
    helper::run("created", User::OwnNetwork);
}

#[test]
fn ready_is_said_even_when_quiet() {
    helper::run("quiet", User::OwnNetwork);
}

#[test]
fn a_prepared_tun_for_an_unprivileged_user() {
    helper::run("prepared", User::OwnNetwork);
}

#[test]
fn names_that_cannot_be_used() {
    helper::run("busy", User::OwnNetwork);
}

#[test]
fn privileges_are_given_up() {
    helper::run("privileges", User::OwnNetwork);
}

#[test]
fn what_is_missing_is_named() {
    let line = "mount -t tmpfs none /dev/net && exec \"$TCPLAB\" serve";
    let refused = start(&mut unshared(&["--mount", "--net"], line)).finish();
    refused
        .expect(2, "")
        .shows(&["tcplab: /dev/net/tun is missing", "modprobe tun"]);

    let refused = start(&mut as_nobody(&["serve"])).finish().expect(2, "");
    refused.shows(&["tcplab: ", "setup/tun.sh up"]);
}

pub(crate) fn created() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let (serve, ready) = serve(command(&["serve"]));
        assert_eq!(
            ready,
            "ready: created tcplab0, 192.0.2.2 and 2001:db8::2 can be reached"
        );
        let shown = shell("ip -o addr show dev tcplab0");
        in_order(&shown, &["192.0.2.1/24", "2001:db8::1/64"]);
        in_order(&shell("ip link show dev tcplab0"), &["qdisc noqueue"]);
        let page = shell("curl -s http://192.0.2.2/; curl -s 'http://[2001:db8::2]/'");
        in_order(
            &page,
            &["server      192.0.2.2:80", "server      [2001:db8::2]:80"],
        );

        serve.signal(signal);
        serve.finish().expect(0, "").shows(&[
            "connects to http on 192.0.2.2:80 (tcp)",
            "closed  by the peer first (FIN), then by tcplab (FIN)",
            "all: 2 connections",
        ]);
        assert!(!shell("ip -o link").contains("tcplab0"));
    }
}

pub(crate) fn quiet() {
    let options = [
        "--tun",
        "lab7",
        "--addr",
        "198.51.100.9/28",
        "--mtu",
        "1400",
    ];
    let (serve, ready) = serve(command(&[&["serve", "--quiet"][..], &options].concat()));
    assert_eq!(ready, "ready: created lab7, 198.51.100.9 can be reached");
    let shown = shell("ip addr show dev lab7");
    in_order(&shown, &["mtu 1400", "198.51.100.1/28"]);
    // Every address of the network answers, open connections are reset at the end.
    let line =
        "curl -s http://198.51.100.5/; exec bash -c 'exec 3<>/dev/tcp/198.51.100.9/7; cat <&3'";
    let client = start(&mut clean("sh", &["-c", line]));
    std::thread::sleep(std::time::Duration::from_millis(500));
    serve.signal(Signal::SIGTERM);
    assert_eq!(serve.finish().expect(0, "").stderr, "");
    let client = client.finish();
    in_order(client.text(), &["server      198.51.100.5:80"]);
    in_order(&client.stderr, &["Connection reset by peer"]);
}

pub(crate) fn prepared() {
    let user = std::env::var(OWNER).unwrap();
    let script = concat!("'", env!("CARGO_MANIFEST_DIR"), "/setup/tun.sh'");
    let up = format!("{script} up lab8 --user {user} --addr 192.0.2.77/24 --addr 2001:db8::77/64");
    in_order(&shell(&up), &["lab8 is up for"]);
    in_order(&shell("ip link show dev lab8"), &["qdisc noqueue"]);
    let before = shell("ip -o addr show dev lab8");

    let arguments = ["serve", "--tun", "lab8"];
    // An ordinary user is root of this namespace, and nobody else can be made there.
    let (serve, ready) = serve(match &user[..] {
        "root" => command(&arguments),
        _ => as_nobody(&arguments),
    });
    assert_eq!(
        ready,
        "ready: attached to lab8, 192.0.2.2 and 2001:db8::2 can be reached"
    );
    let page = shell("curl -s http://192.0.2.2/; curl -s 'http://[2001:db8::2]/'");
    in_order(
        &page,
        &["client      192.0.2.77:", "client      [2001:db8::77]:"],
    );
    serve.signal(Signal::SIGTERM);
    serve.finish().expect(0, "").shows(&["all: 2 connections"]);
    assert_eq!(shell("ip -o addr show dev lab8"), before);
    in_order(&shell(&format!("{script} down lab8")), &["lab8 is removed"]);
}

pub(crate) fn busy() {
    let refused = |arguments: &[&str], words: &[&str]| {
        let said = start(&mut command(arguments)).finish().expect(2, "");
        in_order(&said.stderr, words);
    };
    let (serve, _) = serve(command(&["serve", "-q"]));
    refused(
        &["serve"],
        &[
            "tcplab: the TUN tcplab0 is in use by another process\n",
            "choose another name",
        ],
    );
    refused(
        &["connect", "hello", "192.0.2.1:1111"],
        &["the TUN tcplab0 is in use"],
    );
    refused(
        &["serve", "--tun", "lo"],
        &[
            "tcplab: the interface lo exists and is not a TUN\n",
            "choose another name",
        ],
    );
    refused(
        &["serve", "--tun", "sixteen-octets-x"],
        &["no TUN can be named \"sixteen-octets-x\"", "15 octets"],
    );
    serve.signal(Signal::SIGTERM);
    serve.finish().expect(0, "");
}

/// It serves with no privilege left, in any of its threads; with `--user`, as that user.
pub(crate) fn privileges() {
    let nobody = Account::from_name("nobody").unwrap().unwrap();
    let (nobody, nobodys) = (nobody.uid.as_raw(), nobody.gid.as_raw());
    // Where we are root only by a mapping, there is nobody else to become.
    let others = std::fs::read_to_string("/proc/self/uid_map").unwrap();
    let others = others.split_whitespace().nth(2) != Some("1");
    for (user, owner) in [(None, (0, 0)), (Some("nobody"), (nobody, nobodys))] {
        let mut arguments = vec!["serve", "--metrics", "127.0.0.1:997"];
        arguments.extend(user.iter().flat_map(|user| ["--user", user]));
        if user.is_some() && !others {
            let refused = start(&mut command(&arguments)).finish().expect(2, "");
            refused.shows(&["tcplab: cannot change "]);
            continue;
        }
        shell("ip link set lo up");
        let (serve, _) = serve_after(command(&arguments), "metrics: ");
        // The thread that serves metrics is there once it has answered.
        in_order(&shell("curl -s http://127.0.0.1:997/metrics"), &["# EOF"]);
        let threads = std::fs::read_dir(format!("/proc/{}/task", serve.pid())).unwrap();
        let mut seen = 0;
        for thread in threads {
            let status = thread.unwrap().path().join("status");
            let status = std::fs::read_to_string(status).unwrap();
            let field = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name));
                line.unwrap_or_else(|| panic!("{name} in {status}")).trim()
            };
            for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
                assert_eq!(field(set), "0000000000000000", "{set}");
            }
            assert_eq!(field("NoNewPrivs:"), "1");
            if user.is_some() {
                // Not root's, of which there may be some.
                assert_eq!(field("Groups:"), groups(nobodys), "of nobody");
            }
            for (name, id) in [("Uid:", owner.0), ("Gid:", owner.1)] {
                let ids: Vec<u32> = field(name)
                    .split_whitespace()
                    .map(|id| id.parse().unwrap())
                    .collect();
                assert_eq!(ids, [id; 4], "{name}");
            }
            seen += 1;
        }
        assert!(seen >= 2, "{seen} threads");
        let page = shell("curl -s http://192.0.2.2/; curl -s 'http://[2001:db8::2]/'");
        in_order(&page, &["192.0.2.2:80", "[2001:db8::2]:80"]);
        serve.signal(Signal::SIGTERM);
        serve.finish().expect(0, "").shows(&["all: 2 connections"]);
        assert!(!shell("ip -o link").contains("tcplab0"));
    }
    for (user, words) in [
        ("root", "root is root"),
        ("no-such-user", "there is no user"),
    ] {
        let refused = start(&mut command(&["serve", "--user", user])).finish();
        refused.expect(2, "").shows(&["tcplab: ", words]);
    }
}

/// The groups of nobody, as proc_pid_status(5) lists them.
fn groups(primary: u32) -> String {
    let listed = nix::unistd::getgrouplist(c"nobody", nix::unistd::Gid::from_raw(primary));
    let mut listed: Vec<u32> = listed.unwrap().iter().map(|group| group.as_raw()).collect();
    listed.sort_unstable();
    let listed: Vec<String> = listed.iter().map(u32::to_string).collect();
    listed.join(" ")
}

/// A server that has said that it is ready, and how it said it. What it says later is still to come.
pub(crate) fn serve(command: Command) -> (Running, String) {
    serve_after(command, "")
}

/// The same for one that says something else before, in a line that begins like this.
pub(crate) fn serve_after(mut command: Command, before: &str) -> (Running, String) {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut running = start(command.stderr(writer));
    drop(command);
    let mut reader = BufReader::new(reader);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    if !before.is_empty() && line.starts_with(before) {
        line.clear();
        reader.read_line(&mut line).unwrap();
    }
    running.listen_to(reader);
    assert!(line.starts_with("ready"), "{line}");
    (running, line.trim_end().to_owned())
}

pub(crate) fn shell(line: &str) -> String {
    let said = start(&mut clean("sh", &["-c", &format!("({line}) 2>&1")])).finish();
    said.text().to_owned()
}
