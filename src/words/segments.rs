//! Why a segment is as it is: its numbers, its window, its options, and what made its sender send it.

sentences! {
    // Data and acknowledgments.
    carries(who, bytes, first, last) {
        en: "{who} sends {bytes}: seq {first} is the first byte, {last} the last",
        zh: "{who}发送 {bytes}：seq {first} 是第一个字节的序号，最后一个字节的序号是 {last}",
        see: "9293 3.4"
    }
    acknowledges(who, bytes, ack) {
        en: "ack {ack}: {who} has received {bytes} more and expects byte {ack} next",
        zh: "确认序号 ack {ack}：{who}又收到了 {bytes}，准备接收序号为 {ack} 的字节",
        see: "9293 3.4"
    }
    acknowledges_late(time) {
        en: "delayed ACK: tcplab waited {time} for data to send with it",
        zh: "延迟确认：tcplab 等待了 {time}，看有没有数据可以一起发送",
        see: "9293 3.8.6.3"
    }
    says_again(who, ack) {
        en: "{who} repeats ack {ack}: what arrived is not what it expects next",
        zh: "{who}重复 ack {ack}：刚收到的不是它准备接收的下一个字节",
        see: "5681 4.2"
    }
    duplicate(ack, count) {
        en: "duplicate ACK number {count}: ack {ack} acknowledges nothing new although data is in flight; the third one triggers a fast retransmit",
        zh: "第 {count} 个重复确认：ack {ack} 没有确认新数据，而仍有数据在途；第三个重复确认触发快速重传",
        see: "5681 3.2"
    }
    bare(who, ack) {
        en: "{who} sends a bare ACK that repeats ack {ack}",
        zh: "{who}发送单独的 ACK，重复 ack {ack}",
        see: "9293 3.4"
    }
    acknowledges_blocks(who, blocks, ack) {
        en: "SACK: {who} already holds {blocks}; the data between {ack} and that is missing",
        zh: "SACK：{who}已经有 {blocks}，从 {ack} 到那里之间的数据缺失",
        see: "2018 3"
    }
    acknowledges_twice(who, block) {
        en: "D-SACK: {who} has received {block} twice",
        zh: "D-SACK：{who}收到了两次 {block}",
        see: "2883 4"
    }
    acknowledges_other_syn(ack) {
        en: "ack {ack} acknowledges a SYN that the peer has not sent: the peer answers with a RST and waits on",
        zh: "ack {ack} 确认的不是对端发过的 SYN：对端用 RST 回答，并继续等待",
        see: "9293 3.10.7.3"
    }
    out_of_order(seq, expected) {
        en: "out of order: seq {seq} is beyond {expected}, the byte expected next; something before it is lost or late",
        zh: "乱序：seq {seq} 在准备接收的 {expected} 之后；前面的数据丢失或迟到",
        see: "9293 3.10.7.4"
    }

    // Windows.
    window_shut(who) {
        en: "window 0: the other end may send no data until {who} opens the window again",
        zh: "窗口为 0：在{who}重新打开窗口之前，另一端不能发送数据",
        see: "9293 3.8.6"
    }
    window_still_shut(who, ack) {
        en: "the window is still 0: byte {ack} may not be sent to {who} yet",
        zh: "窗口仍为 0：还不能向{who}发送序号为 {ack} 的字节",
        see: "9293 3.8.6"
    }
    window_open(who, bytes) {
        en: "the window is open again: {bytes} may be sent to {who}",
        zh: "窗口重新打开：可以向{who}发送 {bytes}",
        see: "9293 3.8.6"
    }
    window_update(who, bytes) {
        en: "window update, no new acknowledgment: {bytes} may now be sent to {who}",
        zh: "没有确认新数据，只更新窗口：现在可以向{who}发送 {bytes}",
        see: "9293 3.8.6"
    }
    window_probe(seq) {
        en: "window probe (persist timer): one byte, {seq}, sent although the window is 0; its acknowledgment shows whether the window is open again",
        zh: "窗口探测（持续计时器）：窗口为 0 时仍发送一个字节 {seq}，从它的确认可知窗口是否已重新打开",
        see: "9293 3.8.6.1"
    }
    peer_probes(peer) {
        en: "window probe: the last window that reached {peer} was 0, and {peer} asks whether it still is",
        zh: "窗口探测：{peer}收到的最新窗口为 0，{peer}询问窗口是否仍为 0",
        see: "9293 3.8.6.1"
    }
    window_scaled(field, unit, bytes) {
        en: "the window field {field} counts units of {unit}: {bytes}",
        zh: "窗口字段 {field}，单位 {unit}：{bytes}",
        see: "7323 2.3"
    }
    window_of_syn(bytes) {
        en: "the window of a SYN is never scaled: {bytes}",
        zh: "SYN 中的窗口不使用窗口扩大：{bytes}",
        see: "7323 2.2"
    }

    // Options of a SYN.
    option_mss(bytes) {
        en: "segments with up to {bytes} of data (MSS)",
        zh: "报文段最多携带 {bytes}数据（MSS）",
        see: "9293 3.7.1"
    }
    option_scale(unit) {
        en: "later windows count in units of {unit} (window scale)",
        zh: "以后的窗口以 {unit}为单位（窗口扩大）",
        see: "7323 2.2"
    }
    option_sack() {
        en: "out-of-order data may be acknowledged (SACK)",
        zh: "可以确认乱序到达的数据（SACK）",
        see: "2018 2"
    }
    option_timestamps() {
        en: "timestamps (to measure the round trip and to recognise old segments)",
        zh: "时间戳（用来测量往返时间并识别旧报文段）",
        see: "7323 3.2"
    }

    // Sent again, and sent to a silent peer.
    resent_after_timeout(seq, rto) {
        en: "retransmission timeout: no acknowledgment arrived, so tcplab retransmits from {seq} on; the RTO is now {rto}",
        zh: "重传超时：没有及时收到确认，tcplab 从 {seq} 开始重传；RTO 现在是 {rto}",
        see: "6298 5"
    }
    nothing_is_acknowledged(count) {
        en: "{count} retransmissions without an acknowledgment: the path or the peer is in trouble (R1), and the program is notified; the user timeout (R2) decides when to give up",
        zh: "已重传 {count} 次而没有任何确认：路径或对端有问题（R1），通知应用程序；何时放弃连接由用户超时（R2）决定",
        see: "9293 3.8.3"
    }
    resent_for_syn() {
        en: "the SYN arrived again, so the SYN-ACK is retransmitted",
        zh: "SYN 再次到达，因此重传 SYN-ACK",
        see: "9293 3.10.7.4"
    }
    resent_after_duplicates(seq) {
        en: "three duplicate ACKs show that {seq} is missing: it is retransmitted without waiting for the timeout (fast retransmit)",
        zh: "三个重复确认说明 {seq} 丢失：不等超时就重传（快速重传）",
        see: "5681 3.2"
    }
    resent_into_gap(seq) {
        en: "this ACK shows that {seq} is missing: it is retransmitted without waiting for the timeout (fast retransmit)",
        zh: "该确认说明 {seq} 丢失：不等超时就重传（快速重传）",
        see: "6675 5"
    }
    resent_by_peer(who, seq) {
        en: "{who} retransmits from {seq} on: the segment or its acknowledgment was lost or is late",
        zh: "{who}从 {seq} 开始重传：该报文段或对它的确认丢失或迟到",
        see: "6298 5"
    }
    keep_alive(who, seq) {
        en: "keep-alive probe: {who} repeats sequence number {seq}, which is already acknowledged, to make the other end answer",
        zh: "保活探测：{who}重发早已确认的 seq {seq}，用来确认另一端是否还在线",
        see: "9293 3.8.4"
    }

    answers_probe(who, ack) {
        en: "{who} answers the probe: it expects byte {ack} next",
        zh: "{who}回答探测：准备接收序号为 {ack} 的字节",
        see: "9293 3.10.7.4"
    }

    // Resets.
    refused(ack) {
        en: "RST in answer to the SYN, with ack {ack}: connection refused; usually no program listens on that port",
        zh: "用 RST 回答 SYN，ack {ack}：拒绝连接；通常是该端口没有程序监听",
        see: "9293 3.5.2"
    }
    refuses(who) {
        en: "RST in answer to the SYN: {who} refuses the connection",
        zh: "用 RST 回答 SYN：{who}拒绝连接",
        see: "9293 3.5.2"
    }
    rejects_ack(who, seq) {
        en: "RST with seq {seq}: {who} rejects the SYN-ACK with ack {seq} and goes on with its own SYN",
        zh: "seq 为 {seq} 的 RST：{who}拒绝 ack 为 {seq} 的 SYN-ACK，但它自己的 SYN 仍然有效",
        see: "9293 3.10.7.3"
    }
    resets(who, seq) {
        en: "{who} resets the connection with seq {seq}: it ends at once, and undelivered data is lost",
        zh: "{who}用 seq {seq} 的 RST 重置连接：连接立即结束，未交付的数据丢失",
        see: "9293 3.5.3"
    }
    aborts(seq) {
        en: "the program called ABORT: tcplab sends a RST with seq {seq}, and the connection ends at once",
        zh: "程序调用 ABORT：tcplab 发送 seq {seq} 的 RST，连接立即结束",
        see: "9293 3.10.5"
    }
    reset_not_exact(seq, expected) {
        en: "RST with seq {seq}, but {expected} is expected: ignored, because an attacker could have guessed it",
        zh: "RST 的 seq 是 {seq}，而准备接收的是 {expected}：忽略，因为可能是攻击者猜测的",
        see: "5961 3.2"
    }
    syn_inside(ack) {
        en: "a SYN inside a connection is ignored: the challenge ACK with ack {ack} lets its sender confirm a reset",
        zh: "连接中出现的 SYN 被忽略：回送挑战 ACK（ack {ack}），由发送方确认是否真的要重置",
        see: "5961 4.2"
    }
    reset_for_nobody(seq) {
        en: "that segment belongs to no connection or service: RST with seq {seq}",
        zh: "该报文段不属于任何连接或服务：回答 seq {seq} 的 RST",
        see: "9293 3.5.2"
    }
    segment_for_nobody() {
        en: "this segment belongs to no connection",
        zh: "该报文段不属于任何连接",
        see: "9293 3.10.7.1"
    }

    // Discarded by the stack.
    thrown_away_malformed() {
        en: "unreadable, or a wrong checksum: treated as lost",
        zh: "无法解析或校验和错误：按丢失处理",
        see: "9293 3.1"
    }
    thrown_away_not_for_us() {
        en: "its destination is not an address of tcplab",
        zh: "目的地址不是 tcplab 的地址",
        see: "1122 3.2.1.3"
    }
    thrown_away_bad_address() {
        en: "no connection can have such an address",
        zh: "连接不允许使用这样的地址",
        see: "1122 3.2.1.3"
    }
    thrown_away_bad_flags() {
        en: "neither a lone SYN nor an ACK: no connection begins like that",
        zh: "既不是单独的 SYN，也不是 ACK：连接不会这样开始",
        see: "9293 3.10.7.2"
    }
    thrown_away_backlog() {
        en: "backlog full: tcplab takes no further half-open connection and discards the SYN",
        zh: "半连接队列已满：tcplab 不再接受半连接，丢弃这个 SYN",
        see: "4987 3.2"
    }
    thrown_away_fragment() {
        en: "a fragment that overlaps others, is too late or too large",
        zh: "与其他分片重叠、太迟或太大的分片",
        see: "1122 3.3.2"
    }
    thrown_away_header() {
        en: "an IP option or extension header that tcplab rejects",
        zh: "tcplab 拒绝的 IP 选项或扩展首部",
        see: "8200 4.2"
    }
    thrown_away_unsupported() {
        en: "a protocol that tcplab does not support",
        zh: "tcplab 不支持的协议",
        see: "1122 3.2.2.1"
    }

    // Everything that is no segment.
    datagram(who, bytes) {
        en: "{who} sends one datagram of {bytes}",
        zh: "{who}发送一个 {bytes}的数据报",
        see: "768"
    }
    datagrams_promise_nothing() {
        en: "UDP has no connection: no sequence numbers, no acknowledgments, and losses go unnoticed",
        zh: "UDP 没有连接：没有序号，没有确认，丢失也不会被察觉",
        see: "768"
    }
    port_unreachable() {
        en: "ICMP: no program is bound to the port that the datagram was sent to",
        zh: "ICMP：数据报所发往的端口没有程序绑定",
        see: "1122 4.1.3.1"
    }
    ping(who, bytes) {
        en: "{who} sends {bytes} to find out if the other end is reachable (echo request)",
        zh: "{who}发送 {bytes}，询问另一端是否可达（回显请求）",
        see: "1122 3.2.2.6"
    }
    pong(who, bytes) {
        en: "{who} returns the {bytes} (echo reply)",
        zh: "{who}把 {bytes}送回（回显应答）",
        see: "1122 3.2.2.6"
    }
    fragment(id, first, last) {
        en: "a fragment: bytes {first} to {last} of packet {id}, which is processed once it is complete",
        zh: "分片：包 {id} 的第 {first} 到 {last} 字节，到齐之后才处理",
        see: "1122 3.3.2"
    }
}
