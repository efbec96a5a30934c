//! Probes: small scripts that play a TCP peer by hand, segment by segment, and say what must come back.
//!
//! Each runs against the engine in memory, in virtual time; and, in a network namespace, against the program itself and
//! against the kernel's TCP. A probe that the kernel fails is wrong, or its difference is explained where the probe asks
//! for the [`Target`](peer::Target).

#[allow(
    dead_code,
    reason = "each of the test programs that share it uses a part"
)]
#[path = "../lab/helper.rs"]
mod helper;
#[path = "../support/mod.rs"]
mod support;

mod peer;

mod memory;

mod live;

mod blind;

use peer::Peer;

/// The addresses of what is probed, with their prefixes.
const TARGETS: [&str; 2] = ["192.0.2.2/24", "2001:db8::2/64"];

/// The peer and the target.
const PAIRS: [(&str, &str); 2] = [
    ("198.51.100.7", "192.0.2.2"),
    ("2001:db8:1::7", "2001:db8::2"),
];

/// A probe and its name.
type Probe = (&'static str, fn(&mut Peer<'_>));

/// Makes a test of each probe, and a list of all.
macro_rules! probes {
    ($($module:ident { $($probe:ident)* })*) => {
        mod in_memory {
            $(mod $module {
                $(#[test]
                fn $probe() {
                    crate::memory::in_memory(crate::$module::$probe);
                })*
            })*
        }

        const PROBES: &[Probe] = &[
            $($((concat!(stringify!($module), "::", stringify!($probe)), $module::$probe),)*)*
        ];
    };
}

probes! {
    blind {
        a_reset_needs_the_exact_number
        a_reset_outside_of_the_window_is_ignored
        a_reset_with_the_exact_number_counts_whatever_it_carries
        a_syn_is_challenged
        a_syn_ack_is_challenged
        an_ack_of_what_was_never_sent_is_challenged
        a_very_old_ack_is_challenged_and_its_data_dropped
        a_somewhat_old_ack_brings_its_data
        challenges_are_limited_for_each_connection
    }
}

/// What runs in a process of its own, in a namespace of its own.
const SCENES: &[(&str, fn())] = &[
    ("wire-tcplab", live::tcplab),
    ("wire-linux", live::linux),
    ("wire-kernel-server", live::kernel_server),
];

#[test]
#[ignore = "the other tests start it, in a process of its own"]
fn scene() {
    let name = std::env::var(helper::SCENE).expect("only the other tests start this one");
    let (_, play) = SCENES.iter().find(|scene| scene.0 == name).unwrap();
    play();
}

#[test]
fn tcplab_passes_live() {
    helper::run("wire-tcplab", helper::User::OwnNetwork);
}

#[test]
fn linux_passes() {
    helper::run("wire-linux", helper::User::OwnNetwork);
}
