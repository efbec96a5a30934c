use super::*;
use crate::segment::{Body, Options};
use std::net::SocketAddr;

const FLOW: FlowId = FlowId(1);

/// A link in which a person steps: what comes is folded, or waits.
struct Link {
    originals: Originals,
    now: Instant,
    crossed: u64,
}

/// The kinds of crossing that the cases below are made of.
const SYN: &str = "in S 0:0";
const SYN_ACK: &str = "out S 0:0 ack 1";
const ACK: &str = "in . 1:1 ack 1";
const GET: &str = "in . 1:73 ack 1";
const ANSWER: &str = "out . 1:101 ack 73";

impl Link {
    fn new() -> Link {
        let mut originals = Originals::default();
        originals.watch();
        Link {
            originals,
            now: Instant::ZERO,
            crossed: 0,
        }
    }

    /// A segment comes: the packet into which it is folded, or its own number, under which it waits.
    fn comes(&mut self, text: &str) -> Result<u64, u64> {
        let (direction, described) = read(text);
        let any = SocketAddr::from(([0, 0, 0, 0], 0));
        let crossing = Crossing {
            now: self.now,
            flow: Some(FLOW),
            local: any,
            peer: any,
            direction,
            described: &described,
            len: 0,
        };
        self.crossed += 1;
        let id = PacketId(self.crossed);
        match self.originals.copy_of(Some(FLOW), &crossing) {
            Some(copy) => Ok(copy.original.0),
            None => {
                self.originals.waits(Some(FLOW), direction, id, &described);
                Err(id.0)
            }
        }
    }

    /// It waits: its number.
    #[track_caller]
    fn waits(&mut self, text: &str) -> u64 {
        self.comes(text)
            .expect_err("a packet that waits, not a copy")
    }

    #[track_caller]
    fn is_folded(&mut self, text: &str, into: u64) {
        assert_eq!(self.comes(text), Ok(into), "{text}");
    }

    fn pass(&mut self, id: u64) {
        self.release(id, true);
    }

    fn drop(&mut self, id: u64) {
        self.release(id, false);
    }

    fn release(&mut self, id: u64, goes_on: bool) {
        for direction in [Direction::In, Direction::Out] {
            self.originals
                .released(self.now, Some(FLOW), direction, PacketId(id), goes_on);
        }
    }

    /// The stack's clock goes on for longer than any answer takes.
    fn time_goes_on(&mut self) {
        self.now += ANSWER_TIME;
    }

    /// Up to a connection that is established.
    fn established() -> Link {
        let mut link = Link::new();
        for text in [SYN, SYN_ACK, ACK] {
            let id = link.waits(text);
            link.pass(id);
        }
        link
    }
}

/// `in F 1:73 ack 1`: direction, flags as packetdrill writes them, sequence numbers, acknowledgment number.
fn read(text: &str) -> (Direction, Described) {
    let words: Vec<&str> = text.split(' ').collect();
    let direction = match words[0] {
        "in" => Direction::In,
        _ => Direction::Out,
    };
    let (seq, end) = words[2].split_once(':').unwrap();
    let (seq, end): (u32, u32) = (seq.parse().unwrap(), end.parse().unwrap());
    let ack: Option<u32> = words.get(4).map(|ack| ack.parse().unwrap());
    let mut flags = 0;
    for (letter, flag) in [('S', Flags::SYN), ('F', Flags::FIN), ('R', Flags::RST)] {
        if words[1].contains(letter) {
            flags |= flag.0;
        }
    }
    flags |= ack.map_or(0, |_| Flags::ACK.0);
    let segment = Segment {
        src_port: 1,
        dst_port: 1,
        seq: SeqNumber(seq.wrapping_sub(70)),
        ack: SeqNumber(ack.unwrap_or(70).wrapping_sub(70)),
        flags: Flags(flags),
        window: 1000,
        urgent: 0,
        options: Options::default(),
        payload: 0..(end - seq) as usize,
        checksum_ok: true,
    };
    let body = Body::Tcp(segment);
    (direction, Described { ip: None, body })
}

#[test]
fn copies_of_what_waits_are_folded() {
    let mut link = Link::new();
    let syn = link.waits(SYN);
    for _ in 0..20 {
        link.is_folded(SYN, syn);
        link.time_goes_on();
    }
    // Another connection between the same ends is none of them, nor is what has the number of the SYN and is none.
    link.waits("in S 9:9");
    link.waits("in . 0:1");
}

#[test]
fn copies_are_folded_until_the_answer_goes_on() {
    let mut link = Link::new();
    let syn = link.waits(SYN);
    link.pass(syn);
    link.is_folded(SYN, syn);
    let syn_ack = link.waits(SYN_ACK);
    for _ in 0..20 {
        link.is_folded(SYN, syn);
        link.is_folded(SYN_ACK, syn_ack);
        link.time_goes_on();
    }
    link.pass(syn_ack);
    // One may have been under way.
    link.is_folded(SYN, syn);
    link.waits(SYN);
}

#[test]
fn the_next_copy_of_what_was_dropped_waits() {
    let mut link = Link::new();
    let syn = link.waits(SYN);
    link.is_folded(SYN, syn);
    link.drop(syn);
    let again = link.waits(SYN);
    link.is_folded(SYN, again);
}

#[test]
fn the_next_copy_waits_once_its_answer_was_dropped() {
    let mut link = Link::established();
    let get = link.waits(GET);
    link.pass(get);
    let ack = link.waits("out . 1:1 ack 73");
    let answer = link.waits(ANSWER);
    link.drop(ack);
    // The other answers as well.
    link.is_folded(GET, get);
    link.drop(answer);
    let again = link.waits(GET);
    link.is_folded(GET, again);
    link.drop(again);
    link.waits(GET);
}

#[test]
fn a_copy_waits_if_nothing_answers() {
    let mut link = Link::established();
    let get = link.waits(GET);
    link.pass(get);
    link.is_folded(GET, get);
    link.time_goes_on();
    let again = link.waits(GET);
    link.is_folded(GET, again);
    link.time_goes_on();
    link.is_folded(GET, again);
}

#[test]
fn both_ends_have_copies() {
    let mut link = Link::established();
    let get = link.waits(GET);
    link.pass(get);
    let answer = link.waits(ANSWER);
    link.is_folded(ANSWER, answer);
    link.pass(answer);
    let ack = link.waits("in . 73:73 ack 101");
    link.is_folded(ANSWER, answer);
    link.drop(ack);
    link.waits(ANSWER);
}

#[test]
fn what_is_cut_anew_is_a_copy() {
    let mut link = Link::established();
    let first = link.waits("in . 1:11 ack 1");
    let second = link.waits("in . 11:21 ack 1");
    let fin = link.waits("in F 21:31 ack 1");
    link.is_folded("in . 1:21 ack 1", first);
    link.is_folded("in . 5:8 ack 1", first);
    link.is_folded("in . 8:15 ack 1", first);
    link.is_folded("in . 15:25 ack 1", second);
    link.is_folded("in F 1:31 ack 1", first);
    link.is_folded("in F 31:31 ack 1", fin);
    // More than what was sent before, and less than the FIN says.
    link.waits("in . 25:40 ack 1");
    link.drop(second);
    link.waits("in . 1:21 ack 1");
}

#[test]
fn a_fin_where_there_was_none_is_no_copy() {
    let mut link = Link::established();
    link.waits("in . 1:11 ack 1");
    let both = link.waits("in F 1:11 ack 1");
    link.is_folded("in . 1:11 ack 1", both);
    link.is_folded("in F 1:11 ack 1", both);
}

#[test]
fn a_copy_that_acknowledges_more_is_news() {
    let mut link = Link::established();
    let get = link.waits(GET);
    let ours = link.waits("out . 1:11 ack 1");
    link.pass(ours);
    let news = link.waits("in . 1:73 ack 11");
    link.is_folded("in . 1:73 ack 11", news);
    link.is_folded(GET, news);
    link.drop(news);
    link.is_folded(GET, get);
}

#[test]
fn acknowledgments_and_resets_are_never_folded() {
    let mut link = Link::established();
    link.waits(ACK);
    link.waits(ACK);
    let get = link.waits(GET);
    link.waits("in R 1:1");
    link.waits("in R 1:1 ack 1");
    link.pass(get);
    let reset = link.waits("out R 1:1");
    link.time_goes_on();
    link.is_folded(GET, get);
    link.drop(reset);
    link.waits(GET);
}

#[test]
fn probes_are_folded_until_they_are_answered() {
    let mut link = Link::established();
    let probe = link.waits("in . 0:0 ack 1");
    link.is_folded("in . 0:0 ack 1", probe);
    link.pass(probe);
    let answer = link.waits("out . 1:1 ack 1");
    link.time_goes_on();
    link.is_folded("in . 0:0 ack 1", probe);
    link.pass(answer);
    // The next one asks anew, and none was under way.
    let next = link.waits("in . 0:0 ack 1");
    link.pass(next);
    let answer = link.waits("out . 1:1 ack 1");
    link.drop(answer);
    link.waits("in . 0:0 ack 1");
}

#[test]
fn probes_are_folded_into_what_waits_and_says_as_much() {
    let mut link = Link::established();
    let data = link.waits("out . 1:11 ack 1");
    link.pass(data);
    let ack = link.waits("in . 1:1 ack 11");
    link.is_folded("in . 0:0 ack 11", ack);
    link.pass(ack);
    let probe = link.waits("in . 0:0 ack 11");
    link.is_folded("in . 0:0 ack 11", probe);
}

#[test]
fn of_bulk_data_only_so_much_is_remembered() {
    let mut link = Link::established();
    let first = link.waits("in . 1:11 ack 1");
    let mut newest = first;
    for at in 1..3 * REMEMBERED {
        newest = link.waits(&format!("in . {}:{} ack 1", 10 * at + 1, 10 * at + 11));
    }
    let at = 3 * REMEMBERED - 1;
    link.is_folded(
        &format!("in . {}:{} ack 1", 10 * at + 1, 10 * at + 11),
        newest,
    );
    link.waits("in . 1:11 ack 1");
    let ways = &link.originals.flows[&FLOW];
    assert!(ways.iter().all(|way| way.sent.len() <= REMEMBERED));
}

#[test]
fn a_syn_that_ends_a_time_wait_has_copies_too() {
    let mut link = Link::established();
    let syn = link.waits("in S 900:900");
    link.pass(syn);
    link.originals.forget(FLOW);
    let syn_ack = link.waits("out S 0:0 ack 901");
    link.is_folded("in S 900:900", syn);
    link.time_goes_on();
    link.is_folded("in S 900:900", syn);
    link.drop(syn_ack);
    link.waits("in S 900:900");
}

#[test]
fn nothing_is_kept_of_a_flow_that_is_over_or_not_watched() {
    let mut link = Link::established();
    link.originals.forget(FLOW);
    assert!(link.originals.flows.is_empty());
    link.waits(GET);
    let mut blind = Originals::default();
    let (direction, described) = read(GET);
    blind.waits(Some(FLOW), direction, PacketId(1), &described);
    blind.passes(
        Instant::ZERO,
        Some(FLOW),
        direction,
        PacketId(1),
        &described,
    );
    assert!(blind.flows.is_empty());
}
