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

mod handshake;

mod closing;

mod opening;

mod arrives;

mod data;

mod recovery;

mod lies;

mod stamps;

mod siege;

mod besieged;

mod iss;

mod patience;

mod service;

mod calls;

mod ip;

mod limits;

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
    handshake {
        the_syn_again_draws_the_syn_ack_again
        a_syn_of_somebody_else_in_syn_received_is_acknowledged
        an_ack_of_something_else_in_syn_received_is_reset
        a_reset_in_syn_received_ends_the_handshake
        the_ack_may_bring_data_and_a_fin
        without_mss_the_default_counts
        segments_are_no_larger_than_the_mss
        options_are_those_of_this_handshake
        mss_stands_in_syns_only
        padding_is_zero
        windows_are_scaled_only_where_both_offer_it
        a_closed_port_answers_with_resets
        a_listening_port_answers_only_what_it_must
        a_client_that_forgot_its_handshake_gets_through
    }
    closing {
        a_fin_behind_data_received_before_counts
        a_fin_before_its_data_counts_once_the_data_is_there
        a_fin_beyond_the_window_does_not_count
        both_close_at_once
        a_fin_is_sent_again
        time_wait_acknowledges_the_fin_again
        an_old_syn_in_time_wait_is_acknowledged
        a_newer_syn_in_time_wait_reopens
        a_reset_needs_the_exact_number_in_every_state
        a_syn_is_challenged_in_every_state
    }
    opening {
        an_ack_of_something_else_is_reset
        a_reset_with_the_ack_of_the_syn_refuses
        other_resets_count_for_nothing
        without_syn_and_rst_nothing_counts
        text_in_a_syn_ack_comes_again
        a_syn_that_crosses_ours_is_acknowledged
        a_reset_refuses_also_once_the_syns_have_crossed
    }
    arrives {
        what_is_not_acceptable_is_acknowledged_in_every_state
        without_ack_nothing_counts_in_any_state
        a_duplicate_ack_draws_nothing_in_any_state
        an_ack_of_the_future_is_challenged_in_every_state
        text_counts_until_the_fin
        text_behind_the_fin_is_ignored
        the_fin_again_is_acknowledged_in_every_state
        a_fin_in_fin_wait_2_leads_to_time_wait
        the_ack_of_our_fin_ends_last_ack
        a_syn_in_the_window_starts_a_handshake_over
        text_in_a_syn_comes_again
    }
    data {
        the_last_segment_is_pushed
        every_second_full_segment_is_acknowledged
        a_lone_segment_is_acknowledged_soon
        gaps_are_told_at_once
        sack_tells_four_gaps_the_newest_first
        without_permission_there_is_no_sack
        overlapping_segments_are_trimmed
        nothing_beyond_the_window_is_taken
        an_older_window_does_not_replace_a_newer_one
        a_shut_window_is_probed
        probes_without_data_are_answered
        a_window_may_shrink
        the_sender_avoids_silly_windows
        small_segments_wait_for_acknowledgments
        after_a_timeout_one_segment_is_sent_again
        three_duplicate_acks_bring_the_segment_again
        with_our_window_shut_acks_and_resets_count
        odd_options_are_survived
        a_wrong_checksum_is_ignored
        urgent_data_hurts_nobody
        without_ack_nothing_counts
        bulk_crosses_the_end_of_the_circle
    }
    recovery {
        duplicate_acks_bring_the_holes_only
        holes_are_filled_within_a_round_trip
        holes_are_filled_no_faster_than_the_pipe_allows
        one_ack_may_show_a_loss
        a_timeout_brings_the_holes_only
        an_ack_of_a_part_brings_the_next_segment
        an_ack_beyond_what_was_sent_again_is_passed_to
        segments_that_came_twice_are_no_loss
        data_that_was_thrown_away_comes_again
        lies_about_what_arrived_hurt_nobody
        duplicate_acks_count_in_last_ack
        a_window_opens_in_last_ack
        acknowledgments_after_a_timeout_have_snd_nxt
        what_is_lost_behind_a_shut_window_comes_again
        a_window_shuts_before_last_ack
        a_window_shuts_in_last_ack
        a_window_shuts_in_fin_wait_1
        a_window_shuts_over_the_last_of_all
    }
    lies {
        sack_blocks_around_the_circle
        a_window_shuts_over_nothing
        a_small_window_is_forgotten
        nothing_counts_beyond_the_window_of_the_syn_ack
        numbers_far_from_the_window
        a_fin_alone_behind_a_gap
        a_fin_alone_behind_a_gap_when_we_have_closed
        the_window_never_shrinks
    }
    stamps {
        timestamps_are_echoed
        timestamps_are_not_forced_upon_anybody
        paws_drops_what_is_from_long_ago
        segments_with_timestamps_are_not_too_long
        three_gaps_are_told_beside_timestamps
        timestamps_tell_a_new_syn_in_time_wait
    }
    // Last: Linux remembers the path MTU that it is told.
    ip {
        a_segment_in_fragments_counts
        overlapping_fragments_count_for_nothing
        an_atomic_fragment_is_whole
        a_first_fragment_without_ports_is_refused
        options_say_what_becomes_of_the_packet
        unknown_protocols_are_refused
        routing_headers_are_refused
        a_ping_in_fragments_is_answered
        a_datagram_needs_a_checksum_over_ipv6
        errors_are_not_answered
        forged_path_mtus_are_ignored
        a_plausible_path_mtu_counts
    }
}

/// What runs in a process of its own, in a namespace of its own.
const SCENES: &[(&str, fn())] = &[
    ("wire-tcplab", live::tcplab),
    ("wire-linux", live::linux),
    ("wire-iss", iss::foresee),
    ("wire-syns", besieged::syns),
    ("wire-half-open", besieged::half_open),
    ("wire-shut-windows", besieged::shut_windows),
    ("wire-mutated", besieged::mutated),
    ("wire-inexact", besieged::inexact),
    ("wire-unfinished", besieged::unfinished),
    ("wire-islands", besieged::islands),
    ("wire-lies", besieged::lies),
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
fn a_thousand_initial_sequence_numbers_tell_nothing_about_the_next() {
    helper::run("wire-iss", helper::User::OwnNetwork);
}

/// Makes a test of each attack on the program.
macro_rules! attacks {
    ($($test:ident $scene:literal)*) => {
        mod kernel_clients_are_served_during {
            $(#[test]
            fn $test() {
                crate::helper::run($scene, crate::helper::User::OwnNetwork);
            })*
        }
    };
}

attacks! {
    twenty_thousand_forged_syns "wire-syns"
    five_thousand_half_open_connections "wire-half-open"
    five_hundred_shut_windows_with_data_pending "wire-shut-windows"
    fifty_thousand_mutated_packets "wire-mutated"
    twenty_thousand_inexact_resets_and_syns "wire-inexact"
    a_thousand_unfinished_fragments "wire-unfinished"
    sixty_islands_on_each_of_a_hundred_connections "wire-islands"
    numbers_that_are_not_true_on_twenty_connections "wire-lies"
}

#[test]
fn linux_passes() {
    helper::run("wire-linux", helper::User::OwnNetwork);
}
