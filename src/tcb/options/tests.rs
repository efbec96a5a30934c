use super::*;
use crate::segment::{Checksum, TcpOption, describe_offloaded};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// However many blocks there are, what is written can be read, and is as many of them as fit.
    #[test]
    fn what_is_put_into_a_segment_stands_there(
        stamps in any::<Option<(u32, u32)>>(),
        blocks in prop::collection::vec(any::<(u32, u32)>(), 0..8),
        v6 in any::<bool>(),
        before in 0..11u8,
    ) {
        let src: IpAddr = if v6 { "2001:db8::2" } else { "192.0.2.2" }.parse().unwrap();
        let ip = ip_header_len(src);
        let mut packet = vec![0; ip + 60];
        packet[0] = if v6 { 0x60 } else { 0x45 };
        packet[if v6 { 6 } else { 9 }] = 6;
        // What smoltcp has put there.
        packet[ip + 12] = (5 + before) << 4;
        let mut options = Options::new();
        if let Some(stamps) = stamps {
            options.stamps(stamps);
        }
        let blocks: Vec<_> = blocks.into_iter().map(|(left, right)| (SeqNumber(left), SeqNumber(right))).collect();
        options.sack(blocks.iter().copied());
        let len = options.put(&mut packet, src);
        packet.truncate(len);
        if !v6 {
            smoltcp::wire::Ipv4Packet::new_unchecked(&mut packet[..]).fill_checksum();
        }
        let described = describe_offloaded(&packet, Checksum::Verified);
        let segment = described.tcp().expect("a segment");
        prop_assert!(segment.payload.is_empty() && segment.payload.end == len);
        prop_assert_eq!(segment.options.timestamps(), stamps);
        let told = segment.options.iter().find_map(|option| match option {
            TcpOption::Sack(blocks) => Some(blocks.as_slice().to_vec()),
            _ => None,
        });
        let most = if stamps.is_some() { 3 } else { 4 };
        let fit = &blocks[..blocks.len().min(most)];
        prop_assert_eq!(told.unwrap_or_default(), fit);
    }

    /// smoltcp's SYN has timestamps somewhere, or has not.
    #[test]
    fn only_the_stamps_of_a_syn_are_filled_in(
        options in prop::collection::vec(0..12u8, 0..40),
        stamps in any::<(u32, u32)>(),
    ) {
        let mut tcp = vec![0; 20];
        tcp.extend(&options);
        tcp.resize(20 + options.len().next_multiple_of(4), 0);
        tcp[12] = ((tcp.len() / 4) << 4) as u8;
        let before = tcp.clone();
        stamp_syn(&mut tcp, stamps);
        let changed: Vec<usize> = (0..tcp.len()).filter(|&at| tcp[at] != before[at]).collect();
        if let (Some(first), Some(last)) = (changed.first(), changed.last()) {
            prop_assert!(*first >= 22 && last - first < 8);
        }
    }
}
