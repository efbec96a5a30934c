//! The report of a defect: what happened, what led to it, and that its makers would like to know.

use super::text;
use crate::event::{Activity, Defect, FlowId};
use crate::words::{Lang, Thing};
use std::fmt::Write;

/// So many bytes of a packet stand on a line.
const ROW: usize = 16;

/// The report, several lines long. The packets are as text2pcap(1) reads them.
pub fn report(lang: Lang, flow: Option<FlowId>, defect: &Defect, unicode: bool) -> String {
    let number = defect.number;
    let cost = match (flow, defect.ends, defect.during) {
        (Some(flow), Some(ends), _) => {
            let (local, peer) = (ends.local, ends.peer);
            let ends = format!("{} {local} <> {peer}", ends.transport.name());
            lang.defect_cost_flow(number, flow, ends)
        }
        (_, _, Activity::Open) => lang.defect_cost_open(number),
        (_, _, Activity::Packet) => lang.defect_cost_packet(number),
        _ => lang.defect_cost_work(number),
    };
    let message = text::escape(&defect.message, unicode);
    let what = match &defect.site {
        Some(site) => lang.defect_at(text::escape(&site.location, unicode), message),
        None => lang.defect_somewhere(message),
    };
    let mut report = format!("{cost}\n  {what}\n  {}\n", during(lang, defect.during));
    if let Some(backtrace) = defect
        .site
        .as_ref()
        .and_then(|site| site.backtrace.as_ref())
    {
        for line in backtrace.lines() {
            let _ = writeln!(report, "  {}", text::escape(line, unicode));
        }
    }
    if !defect.packets.is_empty() {
        let count = lang.count(defect.packets.len() as u64, Thing::Packet);
        let _ = writeln!(report, "  {}", lang.defect_packets(count));
    }
    for packet in &defect.packets {
        let time = format!("{:.6}", packet.at.total_micros() as f64 / 1e6);
        let size = lang.count(packet.len as u64, Thing::Byte);
        let head = lang.defect_packet(time, packet.direction.name(), size);
        let _ = writeln!(report, "{head}");
        for (row, bytes) in packet.bytes.chunks(ROW).enumerate() {
            let _ = write!(report, "{:04x} ", row * ROW);
            for byte in bytes {
                let _ = write!(report, " {byte:02x}");
            }
            report.push('\n');
        }
    }
    let _ = writeln!(
        report,
        "{}",
        lang.defect_report_it(env!("CARGO_PKG_VERSION"))
    );
    report
}

fn during(lang: Lang, activity: Activity) -> String {
    match activity {
        Activity::Packet => lang.during_packet(),
        Activity::Turn => lang.during_turn(),
        Activity::Timer => lang.during_timer(),
        Activity::Command => lang.during_command(),
        Activity::Open => lang.during_open(),
        Activity::Upkeep => lang.during_upkeep(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Direction, Ends, PacketHead, PanicSite, Transport};
    use smoltcp::time::Instant;

    #[test]
    fn a_report_says_what_was_lost_and_what_led_to_it() {
        let mut defect = Defect {
            number: 3,
            during: Activity::Turn,
            ends: Some(Ends {
                transport: Transport::Tcp,
                local: "192.0.2.2:7".parse().unwrap(),
                peer: "192.0.2.1:40000".parse().unwrap(),
            }),
            message: "no \u{1b}[2J".into(),
            site: Some(PanicSite {
                location: "src/engine.rs:1:2".into(),
                backtrace: Some("0: main".into()),
            }),
            packets: vec![PacketHead {
                at: Instant::from_micros(1_500_000),
                direction: Direction::In,
                len: 1500,
                bytes: (0..20).collect(),
            }],
        };
        let mut said = String::new();
        for lang in [Lang::En, Lang::Zh] {
            said += &report(lang, Some(FlowId(7)), &defect, true);
        }
        (defect.ends, defect.site, defect.packets) = (None, None, Vec::new());
        for during in [Activity::Packet, Activity::Open, Activity::Upkeep] {
            defect.during = during;
            said += &report(Lang::En, None, &defect, true);
        }
        insta::assert_snapshot!(said);
    }
}
