//! Words that come with an event, made where no language is known: why a packet can't be read, why a program failed.

use super::Lang;

/// What is told in English, and the same in Chinese; `{}` stands for any text, which keeps its place.
const TOLD: &[(&str, &str)] = &[
    // Why a program failed (io::ErrorKind, and the clients' own words).
    ("connection refused", "连接被拒绝"),
    ("connection reset", "连接被重置"),
    ("connection aborted", "连接被中止"),
    ("broken pipe", "对方已关闭连接，无法再写"),
    ("timed out", "超时"),
    ("unexpected end of file", "数据意外结束"),
    (
        "{} closed with {} bytes not sent back",
        "{} 关闭时还有 {} 字节没有送回",
    ),
    (
        "{} closed before it said anything",
        "{} 什么也没发送就关闭了",
    ),
    (
        "no answer from {} within {} seconds",
        "{} 在 {} 秒内没有回答",
    ),
    // Why a packet can't be read.
    ("empty packet", "空包"),
    ("version {} is neither 4 nor 6", "版本 {} 既不是 4 也不是 6"),
    ("second fragment header", "第二个分片首部"),
    (
        "header length {} exceeds the {} bytes present",
        "首部长度 {} 超过实有的 {} 字节",
    ),
    (
        "total length {} exceeds the {} bytes present",
        "总长度 {} 超过实有的 {} 字节",
    ),
    (
        "total length {} is less than the header length {}",
        "总长度 {} 小于首部长度 {}",
    ),
    ("header checksum {} should be {}", "首部校验和 {} 应为 {}"),
    (
        "hop-by-hop options length {} exceeds the {} bytes left",
        "逐跳选项长度 {} 超过剩余的 {} 字节",
    ),
    (
        "routing header length {} exceeds the {} bytes left",
        "路由首部长度 {} 超过剩余的 {} 字节",
    ),
    (
        "destination options length {} exceeds the {} bytes left",
        "目的选项长度 {} 超过剩余的 {} 字节",
    ),
    (
        "authentication header length {} exceeds the {} bytes left",
        "认证首部长度 {} 超过剩余的 {} 字节",
    ),
    (
        "fragment header length {} exceeds the {} bytes left",
        "分片首部长度 {} 超过剩余的 {} 字节",
    ),
    ("header length {} is less than {}", "首部长度 {} 小于 {}"),
    ("length {} is less than 8", "长度 {} 小于 8"),
    (
        "datagram length {} exceeds the {} bytes present",
        "数据报长度 {} 超过实有的 {} 字节",
    ),
    (
        "length {} exceeds the {} bytes present",
        "长度 {} 超过实有的 {} 字节",
    ),
    // What the engine notes.
    (
        "put together from fragments, then discarded: {}",
        "由分片重组，然后丢弃：{}",
    ),
    ("malformed", "无法解析"),
    ("not our address", "不是发给我们的地址"),
    ("no address for a connection", "不能用于连接的地址"),
    ("not a SYN alone", "不是单独的 SYN"),
    ("backlog full", "半连接队列已满"),
    ("refused IP header", "被拒绝的 IP 首部"),
    (
        "the path carries {} bytes: segments of {} from now on",
        "路径可承载 {} 字节：此后报文段数据为 {} 字节",
    ),
    (
        "R1: {} retransmissions, and nothing was acknowledged",
        "R1：已重传 {} 次而没有任何确认",
    ),
    ("unusable fragment", "无法使用的分片"),
    ("unsupported protocol", "不支持的协议"),
];

impl Lang {
    /// What an event tells in English, in this language; as it stands where it is nothing that we say ourselves.
    pub(crate) fn told(self, text: &str) -> String {
        if self == Lang::En {
            return text.into();
        }
        for (en, zh) in TOLD {
            if let Some(holes) = matched(en, text) {
                let mut holes = holes.into_iter();
                let mut parts = zh.split("{}");
                let mut said = parts.next().unwrap_or_default().to_owned();
                for part in parts {
                    // A reason may stand in a hole.
                    said += &self.told(holes.next().unwrap_or_default());
                    said += part;
                }
                return said;
            }
        }
        text.into()
    }
}

/// What stands in the holes of `pattern`, where `text` is of that kind.
fn matched<'a>(pattern: &str, text: &'a str) -> Option<Vec<&'a str>> {
    let mut fixed = pattern.split("{}").peekable();
    let mut rest = text.strip_prefix(fixed.next()?)?;
    let mut holes = Vec::new();
    while let Some(part) = fixed.next() {
        let end = match part {
            "" => rest.len(),
            // The last part is the end of the text.
            _ if fixed.peek().is_none() => rest.len().checked_sub(part.len())?,
            _ => rest.find(part)?,
        };
        rest.get(end..)?.strip_prefix(part)?;
        holes.push(&rest[..end]);
        rest = &rest[end + part.len()..];
    }
    rest.is_empty().then_some(holes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::{Body, describe};
    use std::io::ErrorKind;

    #[test]
    fn what_is_told_is_translated() {
        for (told, expected) in [
            ("connection refused", "连接被拒绝"),
            ("header length 12 is less than 20", "首部长度 12 小于 20"),
            (
                "192.0.2.1:1111 closed with 7 bytes not sent back",
                "192.0.2.1:1111 关闭时还有 7 字节没有送回",
            ),
            (
                "put together from fragments, then discarded: backlog full",
                "由分片重组，然后丢弃：半连接队列已满",
            ),
            (
                "Received from ('192.0.2.1', 1)",
                "Received from ('192.0.2.1', 1)",
            ),
            ("empty", "empty"),
            ("empty packets", "empty packets"),
        ] {
            assert_eq!(Lang::Zh.told(told), expected);
            assert_eq!(Lang::En.told(told), told);
        }
    }

    #[test]
    fn translations_keep_the_holes() {
        for (en, zh) in TOLD {
            assert_eq!(
                en.matches("{}").count(),
                zh.matches("{}").count(),
                "{en}: {zh}"
            );
        }
    }

    #[test]
    fn every_error_of_the_engine_is_translated() {
        for kind in [
            ErrorKind::ConnectionRefused,
            ErrorKind::ConnectionReset,
            ErrorKind::ConnectionAborted,
            ErrorKind::BrokenPipe,
            ErrorKind::TimedOut,
            ErrorKind::UnexpectedEof,
        ] {
            let told = std::io::Error::from(kind).to_string();
            assert!(!Lang::Zh.told(&told).is_ascii(), "{told}");
        }
    }

    /// Whatever byte of a packet is wrong, and wherever it is cut.
    #[test]
    fn every_reason_of_a_malformed_packet_is_translated() {
        let mut script = crate::view::script::Script::new();
        script.passive().get("S", 0, None, b"");
        script.datagram(crate::event::Direction::In, b"hello");
        let mut v6 = vec![0; 60];
        v6[0] = 0x60;
        v6[5] = 20;
        let packets = script.events.iter().filter_map(|event| match &event.kind {
            crate::event::EventKind::Packet(packet) => Some(packet.bytes.clone()),
            _ => None,
        });
        for packet in packets.chain([v6]) {
            for len in 0..packet.len() {
                malformed_is_translated(&packet[..len]);
            }
            for at in 0..packet.len() {
                for value in [0, 6, 17, 43, 44, 51, 60, 255] {
                    let mut packet = packet.clone();
                    packet[at] = value;
                    malformed_is_translated(&packet);
                }
            }
        }
    }

    fn malformed_is_translated(packet: &[u8]) {
        if let Body::Malformed(malformed) = describe(packet).body {
            let said = Lang::Zh.told(&malformed.why);
            assert!(!said.is_ascii(), "{}", malformed.why);
        }
    }
}
