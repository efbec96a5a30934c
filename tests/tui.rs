//! The live screen of the real program, driven by keys in tmux, with real clients of the kernel's TCP.
//!
//! Each test has a tmux server of its own, whose only window is 80 columns wide and 24 rows high.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// No screen takes that long to show what it is waited for.
const BOUND: Duration = Duration::from_secs(30);
/// The program, in a line for a shell: its folder may have any name.
const TCPLAB: &str = "\"$TCPLAB\"";

#[test]
fn a_command_is_watched_from_its_start_to_its_end() {
    let client = "printf '123\\n' | nc -w 5 lab.test 1111; sleep 1; exit 7";
    let tmux = Tmux::start("run", &format!("{TCPLAB} run --tui -- sh -c \"{client}\""));
    let screen = tmux.wait_for("进入成功");
    assert!(screen.contains("? help"), "{screen}");
    assert!(screen.contains("both ends"), "{screen}");

    // The first lines of the ladder, and all about the SYN.
    tmux.keys(&["Enter", "g"]);
    let screen = tmux.wait_for("── S 0:0(0)");
    assert!(screen.contains("[Ladder #1: password with"), "{screen}");
    let syn = line_with(&screen, "SYN-SENT     ── S 0:0(0)");
    assert!(syn.ends_with("▶ SYN-RECEIVED"), "{screen}");
    let established = line_with(&screen, "── . ack 1 ─");
    assert!(established.ends_with("▶ ESTABLISHED"), "{screen}");
    tmux.wait_for("LISTEN → SYN-RECEIVED, cause: segment 1");

    tmux.keys(&["?"]);
    tmux.wait_for("Help, any key closes it");
    tmux.keys(&["?"]);
    tmux.wait_until("help is gone", |screen| {
        !screen.contains("any key closes it")
    });

    tmux.keys(&["/", "nothing like it", "Enter"]);
    tmux.wait_for("Connections 0 of 1, filter: nothing like it");
    tmux.keys(&["/", "C-u", "password", "Enter"]);
    tmux.wait_for("Connections 1 of 1, filter: password");

    tmux.wait_for("command ended with code 7: press q to leave");
    tmux.keys(&["q"]);
    let screen = tmux.wait_for("CODE 7");
    assert!(
        screen.contains("connects to password"),
        "the summary: {screen}"
    );
    assert!(!screen.contains("Ladder"), "{screen}");
    tmux.expect_restored();
}

#[test]
fn keys_reach_the_command() {
    let tmux = Tmux::start("keys", &format!("{TCPLAB} run --tui -- nc lab.test 1111"));
    tmux.wait_for("请输入密码:");
    tmux.keys(&["Tab", "Tab"]);
    tmux.wait_for("it gets the keys");
    tmux.keys(&["124", "Enter"]);
    tmux.wait_for("密码错误");
    tmux.keys(&["C-c"]);
    tmux.wait_for("command ended with code 130");
    tmux.keys(&["q"]);
    tmux.wait_for("CODE 130");
    tmux.expect_restored();
}

#[test]
fn input_from_a_pipe_stays_the_commands() {
    let line = format!("printf '123\\n' | {TCPLAB} run --tui -- nc -w 5 lab.test 1111");
    let tmux = Tmux::start("pipe", &line);
    tmux.wait_for("进入成功");
    tmux.wait_for("command ended with code 0");
    tmux.keys(&["q"]);
    tmux.wait_for("CODE 0");
    tmux.expect_restored();
}

#[test]
fn a_signal_gives_the_terminal_back() {
    for (signal, code) in [("TERM", 143), ("INT", 130), ("HUP", 129)] {
        let pid = format!("PID=$$; (sleep 1; kill -{signal} $PID) & exec {TCPLAB}");
        let tmux = Tmux::start(signal, &format!("sh -c '{pid} run --tui -- sleep 60'"));
        tmux.wait_for(&format!("CODE {code}"));
        tmux.expect_restored();
    }
}

#[test]
fn nothing_runs_on_when_the_terminal_is_closed() {
    let line = format!("sh -c 'echo $$ >pid; exec {TCPLAB} run --tui -- nc lab.test 1111'");
    let tmux = Tmux::start("closed", &line);
    tmux.wait_for("请输入密码:");
    let pid = fs::read_to_string(tmux.dir.join("pid")).unwrap();
    let process = Path::new("/proc").join(pid.trim());
    assert!(process.exists());
    tmux.tmux(&["kill-server"]);
    wait_until("it has ended", || process.exists(), |runs| !runs);
}

/// The filter of system calls covers the thread that draws, and lets it draw, read keys and learn of a new size.
#[test]
fn a_screen_is_confined() {
    for (name, input) in [("typed", ""), ("piped", "true |")] {
        let line = format!(
            "sh -c '{input} exec {TCPLAB} run --tui -- sh -c \"echo pid=\\$PPID; sleep 60\"'"
        );
        let tmux = Tmux::start(&format!("confined-{name}"), &line);
        let screen = tmux.wait_for("pid=");
        let pid = line_with(&screen, "pid=").split_once("pid=").unwrap().1;
        let pid = pid.split(|c: char| !c.is_ascii_digit()).next().unwrap();
        tmux.tmux(&["resize-window", "-x", "100", "-y", "30"]);
        tmux.wait_until("it is wider", |screen| {
            screen.lines().count() > 24 && screen.lines().any(|line| line.chars().count() > 90)
        });
        // The screen is there a moment before the filter is.
        let statuses = || -> String {
            let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
            threads
                .map(|thread| fs::read_to_string(thread.unwrap().path().join("status")).unwrap())
                .collect()
        };
        wait_until("all threads are confined", statuses, |statuses| {
            let threads = statuses.matches("Name:\t").count();
            threads >= 2 && statuses.matches("\nSeccomp:\t2\n").count() == threads
        });
        tmux.keys(&["q", "q"]);
        tmux.wait_for("CODE 143");
    }
}

#[test]
fn leaving_a_command_that_runs_takes_two_keys() {
    let tmux = Tmux::start("leave", &format!("{TCPLAB} run --tui -- sleep 60"));
    tmux.wait_for("nothing has arrived yet");
    tmux.keys(&["q"]);
    tmux.wait_for("q again ends it");
    tmux.keys(&["q"]);
    tmux.wait_for("CODE 143");
    tmux.expect_restored();
}

#[test]
fn an_error_leaves_the_terminal_alone() {
    let tmux = Tmux::start("error", &format!("{TCPLAB} run --tui -- no-such-command"));
    let screen = tmux.wait_for("CODE 2");
    assert!(screen.contains("no-such-command"), "{screen}");
    tmux.expect_restored();
}

#[test]
fn the_demonstration_and_the_simulation_stay_until_they_are_left() {
    for (name, options) in [("demo", ""), ("simulated", "--simulate")] {
        let tmux = Tmux::start(name, &format!("{TCPLAB} demo --tui {options}"));
        tmux.wait_for("press q to leave");
        let screen = tmux.wait_for("Connections 2");
        assert!(screen.contains("TIME-WAIT    CLOSED"), "{screen}");
        tmux.keys(&["q"]);
        tmux.wait_for("CODE 0");
        tmux.expect_restored();
    }
}

#[test]
fn our_client_is_typed_to() {
    let server = "printf pw: | nc -N -l 192.0.2.1 1111";
    let line = format!("{TCPLAB} connect --tui password 192.0.2.1:1111 -- sh -c '{server}'");
    let tmux = Tmux::start("connect", &line);
    tmux.wait_for("pw:");
    tmux.keys(&["123", "BSpace", "Enter"]);
    tmux.wait_for("client ended: press q to leave");
    tmux.keys(&["Tab", "Tab", "Up", "Up", "Up", "Up", "Up"]);
    tmux.wait_for("\"12\"");
    tmux.keys(&["q"]);
    // The server has nothing to say to a password.
    tmux.wait_for("CODE 1");
    tmux.expect_restored();
}

/// Without the live screen: whoever sits at the terminal holds a SYN-ACK, sees the client repeat its SYN, lets that wait too, and
/// lets go.
#[test]
fn packets_wait_for_orders_in_a_plain_terminal() {
    let client = "curl -4 -s -o /dev/null http://lab.test/";
    let tmux = Tmux::start(
        "step",
        &format!("{TCPLAB} run --step --explain none -- {client}"),
    );
    tmux.wait_for("#1 packet 1 in: S 0:0(0)");
    tmux.keys(&["h", "Enter"]);
    tmux.wait_for("Ctrl-C ends the run");
    tmux.keys(&["Enter"]);
    tmux.wait_for("#1 packet 2 out: S. 0:0(0) ack 1");
    // The kernel's patience with SYNs is a second.
    tmux.wait_for("packet 1 is sent again: S 0:0(0) ×2");
    // What is typed stays while the line above is written anew.
    tmux.keys(&["copies hol"]);
    tmux.wait_for("packet 1 is sent again: S 0:0(0) ×3");
    tmux.wait_for("\n> copies hol");
    tmux.keys(&["d", "Enter"]);
    tmux.wait_for("held (by hand)\n");
    tmux.wait_for(", 1 more");
    tmux.keys(&["l", "Enter"]);
    tmux.wait_until("all are listed", |screen| {
        let retransmitted = screen.contains("retransmission");
        retransmitted && screen.contains("has gone on, its answer has not")
    });
    tmux.keys(&["copies fold", "Enter"]);
    tmux.keys(&["Enter"]);
    tmux.wait_for("in: S 0:0(0), retransmission");
    tmux.keys(&["d", "Enter"]);
    tmux.wait_for("dropped (by hand)");
    tmux.wait_for("in: . ack 1");
    tmux.keys(&["c", "Enter"]);
    let screen = tmux.wait_for("CODE 0");
    assert!(screen.contains("by hand"), "the summary: {screen}");
    tmux.expect_restored();
}

#[test]
fn packets_wait_for_keys_on_the_screen() {
    let client = "curl -4 -s -o /dev/null http://lab.test/";
    let tmux = Tmux::start(
        "keys-step",
        &format!("{TCPLAB} run --tui --step -- {client}"),
    );
    tmux.wait_for("held (by hand)");
    tmux.wait_for("1 waiting:  p pass");
    tmux.keys(&["p"]);
    tmux.wait_for("├─ S. 0:0(0) ack 1");
    tmux.keys(&["e"]);
    tmux.wait_for("order: e 2");
    tmux.keys(&["mss=536", "Enter"]);
    tmux.wait_until("it was edited", |screen| !screen.contains("order: "));
    tmux.keys(&["s"]);
    tmux.wait_for("command ended with code 0");
    // SYN, that again as it is released, SYN-ACK, that again.
    tmux.keys(&["Enter", "g", "Down", "Down", "Down"]);
    let screen = tmux.wait_for("meant S. 0:0(0) ack 1");
    assert!(screen.contains("rewritten (by hand)"), "{screen}");
    tmux.keys(&["q"]);
    tmux.wait_for("CODE 0");
    tmux.expect_restored();
}

#[test]
fn a_capture_is_looked_at_until_it_is_left() {
    let make = format!(
        "{TCPLAB} run --quiet -w capture.pcapng -- sh -c \"echo hello | nc -4 -N lab.test 7; echo hello | nc -4 -N lab.test 7\""
    );
    let tmux = Tmux::start(
        "explain",
        &format!("{make} && {TCPLAB} explain --tui capture.pcapng"),
    );
    let screen = tmux.wait_for("Connections 2: client, its state, server's");
    assert!(screen.contains("client (inferred)"), "{screen}");
    assert!(screen.contains("server (inferred)"), "{screen}");
    assert!(!screen.contains("lost"), "{screen}");
    tmux.keys(&["Enter", "g"]);
    tmux.wait_for("sent by the client; delivered");
    tmux.keys(&["f"]);
    tmux.wait_for("FROZEN, 0 newer");
    tmux.keys(&["/", "nothing like it", "Enter"]);
    tmux.wait_for("Connections 0 of 2");
    tmux.keys(&["q"]);
    let screen = tmux.wait_for("CODE 0");
    assert!(screen.contains("all: 2 connections"), "{screen}");
    tmux.expect_restored();
}

#[test]
fn a_capture_may_be_cut_or_never_end() {
    // More follows only when nobody looks any more.
    let make = format!("{TCPLAB} run --quiet -w - -- nc -z lab.test 7 >capture.pcapng");
    let tmux = Tmux::start(
        "endless",
        &format!("{make}; (cat capture.pcapng; sleep 60) | {TCPLAB} explain --tui -"),
    );
    tmux.wait_for("Connections 1: client");
    tmux.keys(&["q"]);
    tmux.wait_for("connects to");
    tmux.expect_alternate_off();

    let cut = format!("{make}; head -c -9 capture.pcapng >cut.pcapng");
    let tmux = Tmux::start("cut", &format!("{cut}; {TCPLAB} explain --tui cut.pcapng"));
    tmux.wait_for("read up to here: ");
    tmux.keys(&["q"]);
    tmux.wait_for("CODE 1");
    tmux.expect_restored();
}

#[test]
fn without_a_terminal_it_says_what_is_missing() {
    let output = Command::new(env!("CARGO_BIN_EXE_tcplab"))
        .args(["run", "--tui", "--", "true"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert_eq!(
        error,
        "tcplab: --tui needs a terminal, but standard output is redirected: leave out --tui or the redirection\n"
    );
}

/// A terminal with a shell command in it. Dropping it ends all of it.
struct Tmux {
    dir: PathBuf,
}

impl Tmux {
    /// Runs `line`, and says `CODE` and its exit code afterwards.
    fn start(name: &str, line: &str) -> Tmux {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tui-{name}"));
        fs::create_dir_all(&dir).unwrap();
        let tmux = Tmux { dir };
        for stale in ["before", "after"] {
            let _ = fs::remove_file(tmux.dir.join(stale));
        }
        let script = tmux.dir.join("script");
        let dir = tmux.dir.display();
        let text = format!(
            "cd '{dir}'\nstty -a >'{dir}/before'\n{line}\ncode=$?\nstty -a >'{dir}/after'\necho CODE $code\nsleep 60\n"
        );
        fs::write(&script, text).unwrap();
        let shell = format!("LC_ALL=C.UTF-8 sh '{}'", script.display());
        let output = tmux.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "80",
            "-y",
            "24",
            &shell,
        ]);
        assert!(
            output.status.success(),
            "tmux is needed (setup/test.sh installs it): {output:?}"
        );
        tmux
    }

    fn tmux(&self, arguments: &[&str]) -> Output {
        // A path relative to the directory stays short enough for a socket (unix(7)).
        Command::new("tmux")
            .current_dir(&self.dir)
            .env_remove("TMUX")
            .env("LC_ALL", "C.UTF-8")
            .env("TCPLAB", env!("CARGO_BIN_EXE_tcplab"))
            .args(["-u", "-S", "socket"])
            .args(arguments)
            .output()
            .expect("tmux is needed: setup/test.sh installs it")
    }

    fn keys(&self, keys: &[&str]) {
        for key in keys {
            let output = self.tmux(&["send-keys", key]);
            assert!(output.status.success(), "{output:?}");
        }
    }

    fn screen(&self) -> String {
        let output = self.tmux(&["capture-pane", "-p"]);
        String::from_utf8(output.stdout).unwrap()
    }

    /// Waits until `text` is on the screen.
    #[track_caller]
    fn wait_for(&self, text: &str) -> String {
        self.wait_until(text, |screen| screen.contains(text))
    }

    #[track_caller]
    fn wait_until(&self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        wait_until(what, || self.screen(), |screen| holds(screen))
    }

    /// What was there before the live screen is there again.
    #[track_caller]
    fn expect_alternate_off(&self) {
        let flags = self.tmux(&["display-message", "-p", "#{alternate_on}"]);
        assert_eq!(String::from_utf8(flags.stdout).unwrap().trim(), "0");
    }

    /// The terminal is set as it was, and its cursor can be seen.
    #[track_caller]
    fn expect_restored(&self) {
        let read = |name| fs::read_to_string(self.dir.join(name)).unwrap();
        assert_eq!(read("after"), read("before"));
        let flags = self.tmux(&["display-message", "-p", "#{cursor_flag} #{alternate_on}"]);
        assert_eq!(String::from_utf8(flags.stdout).unwrap().trim(), "1 0");
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

/// Looks again and again, until what is seen is as it should be.
#[track_caller]
fn wait_until<T: Display>(what: &str, look: impl Fn() -> T, holds: impl Fn(&T) -> bool) -> T {
    let start = Instant::now();
    loop {
        let seen = look();
        if holds(&seen) {
            return seen;
        }
        assert!(start.elapsed() < BOUND, "not seen: {what}\n{seen}");
        sleep(Duration::from_millis(50));
    }
}

#[track_caller]
fn line_with<'a>(screen: &'a str, text: &str) -> &'a str {
    screen
        .lines()
        .find(|line| line.contains(text))
        .unwrap_or_else(|| panic!("no line with {text}:\n{screen}"))
        .trim_end()
}
