//! Labs against the real kernel: opened, used and killed, as this user and as one without privileges.
//!
//! Each test runs this program again, as a process of its own that can drop its privileges and be killed:
//! [`scene`] is its entry, `scenes.rs` has what it can be told to do. A scene that fails panics, and the test
//! shows what it said.
//!
//! A lab needs a /dev/net/tun that its user may open. Run by root, the tests without privileges see one of
//! their own, in a mount namespace made for them; run by another user, all use the machine's.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::time::Duration;

use nix::unistd::geteuid;

mod helper;
mod scenes;

use helper::{
    MARK, SCENE, USER, User, drop_privileges, eventually, helper, host_is_untouched, processes,
    run, somebody_is_in,
};
use scenes::{LABS, OTHERS};

#[test]
fn scenes_as_this_user() {
    run_all(User::This);
}

#[test]
fn scenes_without_privileges() {
    run_all(User::Unprivileged);
}

#[test]
fn a_tun_in_the_current_namespace() {
    run("forbidden", User::Unprivileged);
    run("made", User::OwnNetwork);
    run("prepared", User::OwnNetwork);
}

#[test]
fn nothing_is_left_when_the_owner_is_killed() {
    for user in [User::This, User::Unprivileged] {
        let mut owner = helper("open", user).spawn().unwrap();
        let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines();
        let (net, mnt) = lines
            .find_map(|line| {
                let line = line.unwrap();
                let spaces = line.split_once("namespaces ")?.1.split_once(' ')?;
                Some((spaces.0.to_string(), spaces.1.to_string()))
            })
            .expect("the helper must open a lab");
        assert!(somebody_is_in(&net, &mnt));

        owner.kill().unwrap();
        owner.wait().unwrap();
        eventually("the lab's namespaces are empty", || {
            !somebody_is_in(&net, &mnt)
        });
    }
    host_is_untouched();
}

#[test]
fn nothing_is_left_whenever_the_owner_is_killed() {
    for delay in (0..40).step_by(2) {
        let mark = format!("{} ms by {}", delay, std::process::id());
        let mut owner = helper("open", User::Unprivileged)
            .env(MARK, &mark)
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        owner.kill().unwrap();
        owner.wait().unwrap();
        // The forked child and the command carry the mark that only this helper was given.
        eventually("no process of the lab is left", || !somebody_has(&mark));
    }
    host_is_untouched();
}

#[test]
#[ignore = "the other tests start it, in a process of its own"]
fn scene() {
    let name = env::var(SCENE).expect("only the other tests start this one");
    if env::var(USER).unwrap() == format!("{:?}", User::Unprivileged) && geteuid().is_root() {
        drop_privileges();
    }
    let mut scenes = LABS.iter().chain(OTHERS);
    let (_, play) = scenes.find(|scene| scene.0 == name).unwrap();
    play();
}

fn run_all(user: User) {
    for (name, _) in LABS {
        run(name, user);
    }
}

fn somebody_has(mark: &str) -> bool {
    processes().any(|process| {
        let environment = fs::read(process.join("environ")).unwrap_or_default();
        environment
            .split(|&byte| byte == 0)
            .any(|variable| variable == format!("{MARK}={mark}").as_bytes())
    })
}
