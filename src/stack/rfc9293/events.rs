//! What RFC 9293 has a connection do with each call, segment and timeout (section 3.10), and what this stack does.
//!
//! One row for each step, in the order of the RFC, as *met*, *not met* or *not applicable*; see the table of
//! [requirements](super). `wire/arrives` and `wire/opening` play each step in every state that a peer can bring about.
//!
//! A passive OPEN is a service, which every SYN gives a connection of its own: what LISTEN stands for here has no calls but
//! those of [`Engine`](crate::engine::Engine). A program has its connection from ESTABLISHED on, so that in SYN-SENT and
//! SYN-RECEIVED there is nobody to call SEND or RECEIVE. There is one user, and no security or compartment (appendix A.1).
//!
//! | step | in short | here | tests, or why |
//! |---|---|---|---|
//! | 3.10.1 CLOSED, passive | enter LISTEN | met | wire/handshake::a_listening_port_answers_only_what_it_must |
//! | 3.10.1 CLOSED, active | SYN, SND.UNA = ISS, SND.NXT = ISS+1, SYN-SENT | met | wire/calls::an_open_that_is_closed_is_forgotten wire/opening::an_ack_of_something_else_is_reset |
//! | 3.10.1 CLOSED, errors | nobody named, nobody's address, no room | met | wire/patience::opens_to_nobody_are_refused wire/service::opens_come_from_the_address_that_is_named |
//! | 3.10.1 LISTEN | becomes active | not applicable | an active OPEN is a connection of its own beside the service |
//! | 3.10.1 others | error: exists already | met | wire/service::opens_come_from_the_address_that_is_named |
//! | 3.10.2 CLOSED | error | met | wire/calls::a_reset_ends_all_calls wire/calls::the_user_timeout_ends_all_calls |
//! | 3.10.2 LISTEN | becomes active | not applicable | as OPEN |
//! | 3.10.2 SYN-SENT, SYN-RECEIVED | queue | not applicable | the program begins in ESTABLISHED |
//! | 3.10.2 ESTABLISHED, CLOSE-WAIT | send, acknowledging | met | wire/calls::in_close_wait_what_is_there_is_received wire/data::bulk_crosses_the_end_of_the_circle |
//! | 3.10.2 ESTABLISHED, no space | error | met | bulk::a_mebibyte_is_echoed_intact (the call waits for room) |
//! | 3.10.2 ESTABLISHED, urgent | SND.UP, and the pointer | met | wire/service::urgent_data_is_sent |
//! | 3.10.2 others | error: closing | met | wire/calls::after_close_only_receive_goes_on wire/calls::in_close_wait_what_is_there_is_received |
//! | 3.10.3 CLOSED | error | met | wire/calls::a_reset_ends_all_calls wire/calls::abort_flushes_and_resets |
//! | 3.10.3 LISTEN, SYN-SENT, SYN-RECEIVED | queue | not applicable | the program begins in ESTABLISHED |
//! | 3.10.3 ESTABLISHED, FIN-WAIT-1, FIN-WAIT-2 | what has come in order, or wait | met | wire/calls::after_close_only_receive_goes_on wire/closing::a_fin_before_its_data_counts_once_the_data_is_there |
//! | 3.10.3 ESTABLISHED, urgent | tell of it | met | wire/service::urgent_data_is_told |
//! | 3.10.3 CLOSE-WAIT | what is there, then the end | met | wire/calls::in_close_wait_what_is_there_is_received |
//! | 3.10.3 CLOSING, LAST-ACK, TIME-WAIT | error: closing | met | wire/calls::in_close_wait_what_is_there_is_received wire/calls::after_close_only_receive_goes_on (the end, again) |
//! | 3.10.4 CLOSED | error | met | wire/calls::a_reset_ends_all_calls |
//! | 3.10.4 LISTEN | delete | not applicable | a service stays for as long as the engine |
//! | 3.10.4 SYN-SENT | delete | met | wire/calls::an_open_that_is_closed_is_forgotten ladders/main::close_in_each_state |
//! | 3.10.4 SYN-RECEIVED | FIN, or queue until ESTABLISHED | met | ladders/main::close_in_each_state (it is queued) |
//! | 3.10.4 ESTABLISHED | FIN behind what was sent, FIN-WAIT-1 | met | wire/calls::close_comes_after_all_that_was_sent |
//! | 3.10.4 FIN-WAIT-1, FIN-WAIT-2 | no second FIN | met | wire/calls::after_close_only_receive_goes_on |
//! | 3.10.4 CLOSE-WAIT | FIN behind what was sent, LAST-ACK | met | wire/calls::close_waits_for_a_window_in_close_wait (LAST-ACK at once where the window is open) |
//! | 3.10.4 CLOSING, LAST-ACK, TIME-WAIT | error: closing | met | ladders/main::close_in_each_state (nothing happens) |
//! | 3.10.5 CLOSED | error | met | wire/calls::abort_flushes_and_resets |
//! | 3.10.5 LISTEN | delete | not applicable | as CLOSE |
//! | 3.10.5 SYN-SENT | delete | met | wire/calls::an_open_that_is_closed_is_forgotten ladders/main::abort_in_each_state |
//! | 3.10.5 SYN-RECEIVED to CLOSE-WAIT | RST with SND.NXT, flush, delete | met | wire/calls::abort_flushes_and_resets ladders/main::abort_in_each_state |
//! | 3.10.5 CLOSING, LAST-ACK, TIME-WAIT | delete | met | ladders/main::abort_in_each_state |
//! | 3.10.6 all | the state | met | wire/calls::after_close_only_receive_goes_on (and the variables, in each packet event: jsonl::schema_documentation_and_output_have_the_same_fields) |
//! | 3.10.7.1 text | discard | met | wire/handshake::a_closed_port_answers_with_resets |
//! | 3.10.7.1 RST | discard | met | wire/handshake::a_closed_port_answers_with_resets |
//! | 3.10.7.1 others | RST with their numbers | met | wire/handshake::a_closed_port_answers_with_resets engine::a_closed_connection_answers_with_resets |
//! | 3.10.7.2 first, RST | ignore | met | wire/handshake::a_listening_port_answers_only_what_it_must |
//! | 3.10.7.2 second, ACK | RST with SEG.ACK | met | wire/handshake::a_listening_port_answers_only_what_it_must |
//! | 3.10.7.2 third, SYN | SYN-ACK, SYN-RECEIVED | met | wire/handshake::the_syn_again_draws_the_syn_ack_again |
//! | 3.10.7.2 third, text or FIN | queue | not met | what a SYN brings is not acknowledged, and comes again, as with Linux: a forged address is to fill no buffers. wire/arrives::text_in_a_syn_comes_again |
//! | 3.10.7.2 fourth, others | drop | met | wire/handshake::a_listening_port_answers_only_what_it_must |
//! | 3.10.7.3 first, ACK | of something else: RST with SEG.ACK, unless RST | met | wire/opening::an_ack_of_something_else_is_reset |
//! | 3.10.7.3 second, RST | with our ACK: refused; otherwise drop | met | wire/opening::a_reset_with_the_ack_of_the_syn_refuses wire/opening::other_resets_count_for_nothing |
//! | 3.10.7.3 fourth, SYN and ACK | ESTABLISHED, ACK | met | wire/opening::other_resets_count_for_nothing engine::only_a_syn_ack_that_counts_tells_the_peers_initial_number |
//! | 3.10.7.3 fourth, SYN alone | SYN-RECEIVED, SYN-ACK | met | wire/opening::a_syn_that_crosses_ours_is_acknowledged wire/patience::a_syn_that_crosses_ours_opens |
//! | 3.10.7.3 fourth, text or FIN | go on with it, or queue it | not met | it is not acknowledged, and comes again, as with Linux. wire/opening::text_in_a_syn_ack_comes_again |
//! | 3.10.7.3 fifth, others | drop | met | wire/opening::without_syn_and_rst_nothing_counts |
//! | 3.10.7.4 first, sequence number | not acceptable: ACK, unless RST | met | wire/arrives::what_is_not_acceptable_is_acknowledged_in_every_state wire/blind::a_reset_outside_of_the_window_is_ignored |
//! | 3.10.7.4 first, our window is shut | ACKs, URGs and RSTs count | met | wire/data::with_our_window_shut_acks_and_resets_count wire/patience::a_reset_counts_with_the_window_shut wire/service::urgent_data_is_told engine::an_acknowledgment_from_the_edge_of_a_used_up_window_counts |
//! | 3.10.7.4 first, trimming | only what is new and in the window | met | wire/data::overlapping_segments_are_trimmed wire/closing::a_fin_beyond_the_window_does_not_count |
//! | 3.10.7.4 first, before their turn | hold | met | wire/data::sack_tells_four_gaps_the_newest_first wire/closing::a_fin_before_its_data_counts_once_the_data_is_there |
//! | 3.10.7.4 first, timestamps | PAWS (RFC 7323), TIME-WAIT (RFC 6191) | met | wire/stamps::paws_drops_what_is_from_long_ago wire/stamps::timestamps_tell_a_new_syn_in_time_wait |
//! | 3.10.7.4 second, RST and its number | exact: reset; in the window: challenge; otherwise drop (RFC 5961) | met | wire/closing::a_reset_needs_the_exact_number_in_every_state wire/blind::a_reset_needs_the_exact_number wire/blind::challenges_are_limited_for_each_connection |
//! | 3.10.7.4 second, SYN-RECEIVED, passive | back to LISTEN | met | wire/handshake::a_reset_in_syn_received_ends_the_handshake |
//! | 3.10.7.4 second, SYN-RECEIVED, active | refused | met | wire/opening::a_reset_refuses_also_once_the_syns_have_crossed |
//! | 3.10.7.4 second, ESTABLISHED to CLOSE-WAIT | calls fail, CLOSED | met | wire/calls::a_reset_ends_all_calls ladders/main::reset_in_each_state |
//! | 3.10.7.4 second, CLOSING to TIME-WAIT | CLOSED | met | wire/closing::a_reset_needs_the_exact_number_in_every_state |
//! | 3.10.7.4 third, security | RST | not applicable | there is none |
//! | 3.10.7.4 fourth, SYN, SYN-RECEIVED | passive: back to LISTEN; active: as below | met | wire/arrives::a_syn_in_the_window_starts_a_handshake_over wire/opening::a_reset_refuses_also_once_the_syns_have_crossed |
//! | 3.10.7.4 fourth, SYN, others | challenge (RFC 5961) | met | wire/closing::a_syn_is_challenged_in_every_state wire/blind::a_syn_is_challenged wire/blind::a_syn_ack_is_challenged |
//! | 3.10.7.4 fourth, SYN, TIME-WAIT | may reopen | met | wire/closing::a_newer_syn_in_time_wait_reopens wire/closing::an_old_syn_in_time_wait_is_acknowledged |
//! | 3.10.7.4 fifth, no ACK | drop | met | wire/arrives::without_ack_nothing_counts_in_any_state |
//! | 3.10.7.4 fifth, very old ACK | challenge (RFC 5961) | met | wire/blind::a_very_old_ack_is_challenged_and_its_data_dropped |
//! | 3.10.7.4 fifth, SYN-RECEIVED | ESTABLISHED, or RST with SEG.ACK | met | wire/handshake::the_ack_may_bring_data_and_a_fin wire/handshake::an_ack_of_something_else_in_syn_received_is_reset |
//! | 3.10.7.4 fifth, new ACK | SND.UNA, the retransmission queue | met | wire/recovery::an_ack_of_a_part_brings_the_next_segment wire/data::bulk_crosses_the_end_of_the_circle |
//! | 3.10.7.4 fifth, duplicate ACK | ignore | met | wire/arrives::a_duplicate_ack_draws_nothing_in_any_state |
//! | 3.10.7.4 fifth, ACK of the future | ACK, drop | met | wire/arrives::an_ack_of_the_future_is_challenged_in_every_state wire/blind::an_ack_of_what_was_never_sent_is_challenged |
//! | 3.10.7.4 fifth, window | SND.WL1, SND.WL2 | met | wire/data::an_older_window_does_not_replace_a_newer_one wire/recovery::a_window_opens_in_last_ack |
//! | 3.10.7.4 fifth, FIN-WAIT-1 | our FIN acknowledged: FIN-WAIT-2 | met | wire/calls::after_close_only_receive_goes_on |
//! | 3.10.7.4 fifth, FIN-WAIT-2 | CLOSE is "ok" | met | wire/calls::after_close_only_receive_goes_on |
//! | 3.10.7.4 fifth, CLOSING | our FIN acknowledged: TIME-WAIT | met | wire/closing::both_close_at_once |
//! | 3.10.7.4 fifth, LAST-ACK | our FIN acknowledged: CLOSED | met | wire/arrives::the_ack_of_our_fin_ends_last_ack |
//! | 3.10.7.4 fifth, TIME-WAIT | acknowledge the FIN, wait anew | met | wire/closing::time_wait_acknowledges_the_fin_again ladders/main::time_wait_answers_a_second_fin |
//! | 3.10.7.4 sixth, URG | RCV.UP, tell | met | wire/service::urgent_data_is_told |
//! | 3.10.7.4 sixth, behind the FIN | ignore | met | wire/calls::nothing_is_urgent_behind_the_fin |
//! | 3.10.7.4 seventh, text | take, acknowledge | met | wire/arrives::text_counts_until_the_fin wire/data::a_lone_segment_is_acknowledged_soon |
//! | 3.10.7.4 seventh, PUSH | tell | not met | services read at once (MAY-17) |
//! | 3.10.7.4 seventh, behind the FIN | ignore | met | wire/arrives::text_behind_the_fin_is_ignored |
//! | 3.10.7.4 eighth, CLOSED, LISTEN, SYN-SENT | no FIN | met | wire/handshake::a_listening_port_answers_only_what_it_must wire/opening::without_syn_and_rst_nothing_counts |
//! | 3.10.7.4 eighth, FIN | tell the end, acknowledge | met | wire/calls::in_close_wait_what_is_there_is_received wire/closing::a_fin_behind_data_received_before_counts |
//! | 3.10.7.4 eighth, SYN-RECEIVED, ESTABLISHED | CLOSE-WAIT | met | wire/handshake::the_ack_may_bring_data_and_a_fin wire/calls::in_close_wait_what_is_there_is_received |
//! | 3.10.7.4 eighth, FIN-WAIT-1 | TIME-WAIT, or CLOSING | met | wire/closing::both_close_at_once wire/closing::time_wait_acknowledges_the_fin_again |
//! | 3.10.7.4 eighth, FIN-WAIT-2 | TIME-WAIT | met | wire/arrives::a_fin_in_fin_wait_2_leads_to_time_wait |
//! | 3.10.7.4 eighth, behind the FIN | remain | met | wire/arrives::the_fin_again_is_acknowledged_in_every_state |
//! | 3.10.8 user timeout | flush, calls fail, CLOSED | met | wire/calls::the_user_timeout_ends_all_calls ladders/main::user_timeout |
//! | 3.10.8 retransmission timeout | the first segment again | met | wire/data::after_a_timeout_one_segment_is_sent_again wire/closing::a_fin_is_sent_again |
//! | 3.10.8 retransmission timeout, of a SYN | 3 seconds from then on (RFC 6298, section 5.7) | not met | smoltcp's timer can't be set: after one lost SYN it has 2 seconds, after two 4 |
//! | 3.10.8 TIME-WAIT timeout | delete | met | engine::a_long_sleep_does_not_cut_time_wait_short |
