//! What RFC 9293 requires (appendix B), and what this stack makes of it. What it has happen at each event is in [`events`].
//!
//! Each requirement is *met*, with the tests that say so; *not met*, with the reason; or *not applicable*. A test checks that
//! none is missing and that the tests exist. `wire` are the probes of `tests/wire`, which the kernel's TCP passes too.
//!
//! | requirement | in short | here | tests, or why |
//! |---|---|---|---|
//! | MUST-1 | the window is unsigned | met | wire/data::bulk_crosses_the_end_of_the_circle |
//! | MUST-2 | the sender computes the checksum | met | wire/data::bulk_crosses_the_end_of_the_circle (each segment that comes is checked) |
//! | MUST-3 | the receiver checks it | met | wire/data::a_wrong_checksum_is_ignored |
//! | MUST-4 | end of list, no-operation, MSS | met | wire/data::odd_options_are_survived wire/handshake::segments_are_no_larger_than_the_mss |
//! | MUST-5 | options in any segment | met | wire/data::odd_options_are_survived |
//! | MUST-6 | unknown options are ignored | met | wire/data::odd_options_are_survived |
//! | MUST-7 | illegal option lengths are survived | met | wire/data::odd_options_are_survived |
//! | MUST-8 | a clock drives initial sequence numbers | met | wire/patience::initial_numbers_tell_nothing |
//! | MUST-9 | nobody else can compute them | met | wire/patience::initial_numbers_tell_nothing |
//! | MUST-10 | simultaneous open | met | wire/patience::a_syn_that_crosses_ours_opens ladders/main::opened_by_both_at_once |
//! | MUST-11 | SYN-RECEIVED knows how it was reached | met | wire/patience::a_syn_that_crosses_ours_opens wire/handshake::a_reset_in_syn_received_ends_the_handshake |
//! | MUST-12 | the application learns whether it was closed or aborted | met | ladders/main::reset_in_each_state |
//! | MUST-13 | TIME-WAIT lasts 2 MSL | met | engine::a_long_sleep_does_not_cut_time_wait_short (a minute, as Linux; `--time-wait` sets it) |
//! | MUST-14 | MSS option sent and received | met | wire/handshake::options_are_those_of_this_handshake wire/handshake::segments_are_no_larger_than_the_mss |
//! | MUST-15 | default MSS 536, over IPv6 1220 | met | wire/handshake::without_mss_the_default_counts |
//! | MUST-16 | effective send MSS | met | wire/handshake::segments_are_no_larger_than_the_mss wire/stamps::segments_with_timestamps_are_not_too_long |
//! | MUST-17 | Nagle's algorithm can be disabled | met | faults/knobs::small_segments_wait_unless_nagle_is_off |
//! | MUST-18 | RTO by RFC 6298, Karn's algorithm | met | src/tcb/rtt::the_timeout_is_smoltcps_whatever_gets_lost (without its section 5.7) |
//! | MUST-19 | slow start, congestion avoidance, exponential backoff | met | wire/data::after_a_timeout_one_segment_is_sent_again wire/recovery::duplicate_acks_bring_the_holes_only wire/recovery::holes_are_filled_within_a_round_trip wire/recovery::holes_are_filled_no_faster_than_the_pipe_allows wire/recovery::a_timeout_brings_the_holes_only wire/patience::unacknowledged_data_is_given_up |
//! | MUST-20 | R1 and R2 | met | wire/patience::the_application_learns_of_a_delivery_problem wire/patience::unacknowledged_data_is_given_up (R1 is told; a TUN has no other route that IP could look for. R2 is the user timeout) |
//! | MUST-21 | the application sets R2 | met | wire/patience::unacknowledged_data_is_given_up |
//! | MUST-22 | the same for SYNs | met | wire/patience::a_syn_is_given_up_after_three_minutes wire/patience::half_open_connections_expire |
//! | MUST-23 | R2 of a SYN is 3 minutes at least | met | wire/patience::a_syn_is_given_up_after_three_minutes |
//! | MUST-24 | keep-alives can be turned on | met | engine::keep_alive_probes_leave_when_the_connection_is_idle |
//! | MUST-25 | they are off unless asked for | met | wire/patience::unanswered_keep_alives_end_a_connection |
//! | MUST-26 | only when idle | met | engine::keep_alive_probes_leave_when_the_connection_is_idle |
//! | MUST-27 | their interval is configurable | met | engine::keep_alive_probes_leave_when_the_connection_is_idle |
//! | MUST-28 | its default is two hours at least | not applicable | there is no default: whoever asks for keep-alives says how often |
//! | MUST-29 | no one probe that is lost ends a connection | met | wire/patience::unanswered_keep_alives_end_a_connection |
//! | MUST-30 | urgent pointer | met | wire/service::urgent_data_is_told wire/service::urgent_data_is_sent wire/data::urgent_data_hurts_nobody |
//! | MUST-31 | urgent data of any length | met | wire/service::urgent_data_is_told wire/service::urgent_data_is_sent wire/service::urgent_data_is_not_left_to_a_device_to_cut |
//! | MUST-32 | the application is told of it | met | wire/service::urgent_data_is_told |
//! | MUST-33 | and how much there is | met | wire/service::urgent_data_is_told |
//! | MUST-34 | windows may shrink | met | wire/data::a_window_may_shrink |
//! | MUST-35 | zero windows are probed | met | wire/data::a_shut_window_is_probed |
//! | MUST-36 | zero windows are probed | met | wire/data::a_shut_window_is_probed wire/recovery::what_is_lost_behind_a_shut_window_comes_again wire/recovery::a_window_shuts_over_the_last_of_all |
//! | MUST-37 | as long as probes are answered | met | ladders/main::window_shut_for_longer_than_the_user_timeout wire/recovery::a_window_shuts_before_last_ack wire/recovery::a_window_shuts_in_last_ack wire/recovery::a_window_shuts_in_fin_wait_1 wire/patience::the_end_waits_for_a_window_for_longer_than_the_user_timeout |
//! | MUST-38 | the sender avoids silly windows | met | wire/data::the_sender_avoids_silly_windows src/tcb/silly::small_windows_wait |
//! | MUST-39 | the receiver avoids them | met | wire/patience::a_shut_window_opens_when_it_is_worth_it |
//! | MUST-40 | ACKs are delayed less than 0.5 s | met | wire/data::a_lone_segment_is_acknowledged_soon |
//! | MUST-41 | one passive OPEN leaves others alone | met | wire/siege::five_thousand_half_open_connections |
//! | MUST-42 | LISTEN beside connections of the same port | met | wire/siege::five_hundred_shut_windows_with_data_pending |
//! | MUST-43 | OPEN may name the local address | met | wire/service::opens_come_from_the_address_that_is_named |
//! | MUST-44 | otherwise IP chooses it | met | wire/patience::a_syn_that_crosses_ours_opens |
//! | MUST-45 | it is that of the connection from then on | met | wire/patience::a_syn_that_crosses_ours_opens |
//! | MUST-46 | no OPEN to broadcast or multicast addresses | met | wire/patience::opens_to_nobody_are_refused |
//! | MUST-47 | soft errors can be reported | met | wire/patience::icmp_errors_end_what_they_may (kept, and the reason once patience is over) |
//! | MUST-48 | the application sets the Diffserv field | met | wire/service::packets_are_marked_as_they_are_to_be |
//! | MUST-49 | TTL is configurable | met | wire/service::packets_are_marked_as_they_are_to_be |
//! | MUST-50 | IP options that TCP does not know are ignored | met | internet::a_segment_behind_extension_headers_opens_a_connection |
//! | MUST-51 | the application sets a source route | not applicable | RFC 7126 and RFC 5095 have packets with source routes dropped |
//! | MUST-52 | it overrides that of the datagram | not applicable | as MUST-51 |
//! | MUST-53 | the return route is built from it | not applicable | as MUST-51 |
//! | MUST-54 | ICMP errors are acted upon | met | wire/patience::icmp_errors_end_what_they_may |
//! | MUST-55 | source quench is discarded | met | wire/patience::icmp_errors_end_what_they_may |
//! | MUST-56 | soft errors abort nothing | met | wire/patience::icmp_errors_end_what_they_may wire/patience::icmp_errors_end_no_established_connection |
//! | MUST-57 | SYNs to broadcast or multicast addresses are discarded | met | internet::packets_that_are_refused |
//! | MUST-58 | ACKs are aggregated where possible | met | wire/data::every_second_full_segment_is_acknowledged |
//! | MUST-59 | what is queued is processed before an ACK | met | wire/data::gaps_are_told_at_once |
//! | MUST-60 | without PUSH calls nothing is held back for ever | met | wire/data::the_last_segment_is_pushed |
//! | MUST-61 | and the last segment has PSH | met | wire/data::the_last_segment_is_pushed |
//! | MUST-62 | the urgent pointer points behind the urgent data | met | wire/service::urgent_data_is_told wire/service::urgent_data_is_sent |
//! | MUST-63 | SYNs from impossible addresses are ignored | met | internet::packets_that_are_refused |
//! | MUST-64 | options need no alignment | met | wire/data::odd_options_are_survived |
//! | MUST-65 | MSS in SYNs only | met | wire/handshake::mss_stands_in_syns_only |
//! | MUST-66 | RST and URG count with a window of zero | met | wire/patience::a_reset_counts_with_the_window_shut wire/service::urgent_data_is_told |
//! | MUST-67 | the MSS that is sent follows from the MTU | met | wire/handshake::options_are_those_of_this_handshake |
//! | MUST-68 | options have lengths | met | wire/data::odd_options_are_survived |
//! | MUST-69 | padding is zero | met | wire/handshake::padding_is_zero |
//! | SHLD-1 | RFC 6528 | met | wire/patience::initial_numbers_tell_nothing |
//! | SHLD-2 | a RST may have data | met | wire/blind::a_reset_with_the_exact_number_counts_whatever_it_carries |
//! | SHLD-3 | RST where data was lost after CLOSE | not applicable | CLOSE leaves the receiving direction open (MAY-1 is not taken); whoever drops a connection has its data read and thrown away |
//! | SHLD-4 | timestamps in TIME-WAIT | met | wire/stamps::timestamps_tell_a_new_syn_in_time_wait |
//! | SHLD-5 | MSS in each SYN that needs one | met | wire/handshake::options_are_those_of_this_handshake |
//! | SHLD-6 | MSS follows a varying MTU | met | wire/ip::a_plausible_path_mtu_counts (that of the path: the MTU of a TUN is fixed while it is used) |
//! | SHLD-7 | Nagle's algorithm | met | wire/data::small_segments_wait_for_acknowledgments |
//! | SHLD-8 | ECN | not met | smoltcp knows no ECE and no CWR, and its congestion control would have to hear of them |
//! | SHLD-9 | the application learns of R1 | met | wire/patience::the_application_learns_of_a_delivery_problem |
//! | SHLD-10 | R1 is 3 retransmissions at least | met | wire/patience::the_application_learns_of_a_delivery_problem |
//! | SHLD-11 | R2 is 100 seconds at least | met | wire/patience::unacknowledged_data_is_given_up (15 minutes unless told otherwise) |
//! | SHLD-12 | keep-alives without data | met | wire/patience::unanswered_keep_alives_end_a_connection |
//! | SHLD-13 | applications leave urgent data alone | met | wire/data::urgent_data_hurts_nobody (no service of ours sends any, and to all it is data like any other) |
//! | SHLD-14 | the receiver does not shrink its window | met | wire/lies::the_window_never_shrinks engine::an_acknowledgment_from_the_edge_of_a_used_up_window_counts |
//! | SHLD-15 | no new data into a window that shrank | met | wire/data::a_window_may_shrink |
//! | SHLD-16 | old data within it is sent again | met | wire/data::a_window_may_shrink |
//! | SHLD-17 | data beyond it times nothing out | met | ladders/main::window_shut_for_longer_than_the_user_timeout |
//! | SHLD-18 | delayed ACKs | met | wire/data::a_lone_segment_is_acknowledged_soon |
//! | SHLD-19 | each second full segment is acknowledged | met | wire/data::every_second_full_segment_is_acknowledged |
//! | SHLD-20 | error reports can be disabled | not applicable | they are the errors of the calls that fail |
//! | SHLD-21 | Diffserv can change | met | wire/service::packets_are_marked_as_they_are_to_be |
//! | SHLD-22 | Diffserv passes unchanged | met | wire/service::packets_are_marked_as_they_are_to_be |
//! | SHLD-23 | each direction has its own | met | wire/service::packets_are_marked_as_they_are_to_be wire/service::the_field_of_the_peer_is_told |
//! | SHLD-24 | later source routes override | not applicable | as MUST-51 |
//! | SHLD-25 | soft errors are told to the application | met | wire/patience::icmp_errors_end_what_they_may (they stand in the ladder) |
//! | SHLD-26 | hard errors abort | met | wire/patience::icmp_errors_end_what_they_may (before the connection is established, as RFC 5927 has it) |
//! | SHLD-27 | successive PSH bits collapse | met | wire/data::the_last_segment_is_pushed |
//! | SHLD-28 | segments of the largest size | met | wire/data::the_sender_avoids_silly_windows |
//! | SHLD-29 | the first probe after the RTO | met | wire/data::a_shut_window_is_probed |
//! | SHLD-30 | probes back off | met | ladders/main::window_shut_for_longer_than_the_user_timeout |
//! | SHLD-31 | segments before their turn are kept | met | wire/data::sack_tells_four_gaps_the_newest_first wire/closing::a_fin_before_its_data_counts_once_the_data_is_there |
//! | REC-1 | windows in 32 bits | met | bulk::a_mebibyte_is_echoed_intact |
//! | MAY-1 | half-duplex close | not met | our close is full-duplex |
//! | MAY-2 | a SYN in TIME-WAIT reopens | met | wire/closing::a_newer_syn_in_time_wait_reopens |
//! | MAY-3 | MSS in each SYN | met | wire/handshake::options_are_those_of_this_handshake |
//! | MAY-4 | retransmissions keep the IP identification | not met | it is zero in all (RFC 6864, section 4.1: the packets are not to be fragmented) |
//! | MAY-5 | keep-alives | met | engine::keep_alive_probes_leave_when_the_connection_is_idle |
//! | MAY-6 | keep-alives with a byte | not met | they have none (SHLD-12) |
//! | MAY-7 | data beyond the window is sent again | not met | it waits for the window, except in LAST-ACK, where smoltcp does not hear that it is shut |
//! | MAY-8 | our window may stay shut | met | ladders/main::window_shut_for_longer_than_the_user_timeout |
//! | MAY-9 | the application sees the Diffserv field | met | wire/service::the_field_of_the_peer_is_told |
//! | MAY-10 | IP timestamps | not met | IP options are passed over |
//! | MAY-11 | record route | not met | IP options are passed over |
//! | MAY-12 | protection from injected data | met | wire/blind::a_very_old_ack_is_challenged_and_its_data_dropped |
//! | MAY-13 | ACKs for segments before their turn | met | wire/data::gaps_are_told_at_once |
//! | MAY-14 | FLUSH | not met | no service needs it |
//! | MAY-15 | SEND may push | not met | everything is pushed (MUST-61) |
//! | MAY-16 | data without PSH may wait | not met | services read at once |
//! | MAY-17 | PSH is told to the application | not met | services read at once |
//! | MAY-18 | other congestion control | met | wire/data::after_a_timeout_one_segment_is_sent_again (CUBIC, RFC 9438) |

pub(crate) mod events;
