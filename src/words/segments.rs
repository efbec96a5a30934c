//! Why a segment is as it is: its numbers, its window, its options, and what made its sender send it.

sentences! {
    // Data and acknowledgments.
    carries(who, bytes, first, last) {
        en: "{who} sends {bytes}: seq {first} is the number of the first, {last} that of the last",
        zh: "{who}发送 {bytes}：seq {first} 是第一个字节的序号，最后一个字节的序号是 {last}",
        see: "9293 3.4"
    }
    acknowledges(who, bytes, ack) {
        en: "ack {ack}: {who} has received {bytes} more and awaits number {ack} next",
        zh: "确认序号 ack {ack}：{who}又收到了 {bytes}，准备接收序号为 {ack} 的字节",
        see: "9293 3.4"
    }
    acknowledges_late(time) {
        en: "it comes {time} after what it acknowledges: tcplab waited for data to send along (delayed ACK)",
        zh: "这个确认晚了 {time}：tcplab 等待可以一起发送的数据（延迟确认）",
        see: "9293 3.8.6.3"
    }
    says_again(who, ack) {
        en: "{who} says again that it awaits {ack}: something arrived that is not what comes next",
        zh: "{who}再次说明准备接收 {ack}：刚收到的不是接下来应到的数据",
        see: "5681 4.2"
    }
    duplicate(ack, count) {
        en: "ack {ack} acknowledges nothing new while data is under way: duplicate ACK number {count}; at the third, what is missing is sent again",
        zh: "ack {ack} 没有确认新数据，而仍有数据在途：第 {count} 个重复确认；到第三个就重传缺失的数据",
        see: "5681 3.2"
    }
    bare(who, ack) {
        en: "{who} carries no data and no news: ack {ack} is said again",
        zh: "{who}没有数据也没有新内容：重复 ack {ack}",
        see: "9293 3.4"
    }
    acknowledges_blocks(who, blocks, ack) {
        en: "SACK: {who} holds {blocks} already; what lies between {ack} and there is missing",
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
        en: "seq {seq} lies beyond {expected}, which is awaited: something before it is lost or late",
        zh: "seq {seq} 超过了正在等待的 {expected}：前面的数据丢失或迟到",
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
        en: "the window field says {field} in units of {unit}: {bytes}",
        zh: "窗口字段 {field}，单位 {unit}：{bytes}",
        see: "7323 2.3"
    }
    window_of_syn(bytes) {
        en: "the window of a SYN is never scaled: {bytes}",
        zh: "SYN 的窗口从不缩放：{bytes}",
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
        zh: "以后的窗口以 {unit}为单位（窗口缩放）",
        see: "7323 2.2"
    }
    option_sack() {
        en: "what arrives out of order may be acknowledged (SACK)",
        zh: "可以确认乱序到达的数据（SACK）",
        see: "2018 2"
    }
    option_timestamps() {
        en: "timestamps, which measure the round trip and tell old segments",
        zh: "时间戳，用来测量往返时间并识别旧报文段",
        see: "7323 3.2"
    }

    // Sent again, and sent to a silent peer.
    resent_after_timeout(seq, rto) {
        en: "no acknowledgment came in time: what begins at {seq} is sent again; the retransmission timeout in force is now {rto}",
        zh: "没有及时收到确认：重传从 {seq} 开始的数据；重传超时（RTO）现在是 {rto}",
        see: "6298 5"
    }
    nothing_is_acknowledged(count) {
        en: "sent again {count} times, and nothing was acknowledged: the path or the peer is in trouble (R1), and the program is told; the user timeout (R2) decides when the connection is given up",
        zh: "已重传 {count} 次而没有任何确认：路径或对方有问题（R1），程序得到通知；何时放弃连接由用户超时（R2）决定",
        see: "9293 3.8.3"
    }
    resent_for_syn() {
        en: "the SYN has come again, so the SYN-ACK is retransmitted",
        zh: "SYN 再次到达，因此重传 SYN-ACK",
        see: "9293 3.10.7.4"
    }
    resent_after_duplicates(seq) {
        en: "three duplicate ACKs say that {seq} is missing: it is sent again without waiting for the timeout (fast retransmit)",
        zh: "三个重复确认说明 {seq} 丢失：不等超时就重传（快速重传）",
        see: "5681 3.2"
    }
    resent_into_gap(seq) {
        en: "that acknowledgment shows that {seq} is missing: it is sent again without waiting for the timeout (fast retransmit)",
        zh: "该确认说明 {seq} 丢失：不等超时就重传（快速重传）",
        see: "6675 5"
    }
    resent_by_peer(who, seq) {
        en: "{who} sends again what begins at {seq}: it was lost, or its acknowledgment was, or is late",
        zh: "{who}重传从 {seq} 开始的内容：它或它的确认丢失或迟到",
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
        en: "{who} resets the connection with seq {seq}: it is over at once, and what was not delivered is lost",
        zh: "{who}用 seq {seq} 的 RST 重置连接：连接立即结束，未交付的数据丢失",
        see: "9293 3.5.3"
    }
    aborts(seq) {
        en: "the program has aborted: tcplab sends a RST with seq {seq}, the connection is over at once",
        zh: "程序中止了连接：tcplab 发送 seq {seq} 的 RST，连接立即结束",
        see: "9293 3.10.5"
    }
    reset_not_exact(seq, expected) {
        en: "RST with seq {seq}, but exactly {expected} is awaited: it is not obeyed, as a stranger may have guessed it",
        zh: "RST 的 seq 是 {seq}，而准备接收的正好是 {expected}：不予理会，因为可能是外人猜测的",
        see: "5961 3.2"
    }
    syn_inside(ack) {
        en: "a SYN inside a connection is not obeyed: the sender is asked with ack {ack} whether it means it (challenge ACK)",
        zh: "连接中出现的 SYN 不予理会：用 ack {ack} 询问发送方是否当真（挑战 ACK）",
        see: "5961 4.2"
    }
    reset_for_nobody(seq) {
        en: "no connection and no service is meant by that segment: RST with seq {seq}",
        zh: "那个报文段不属于任何连接或服务：回答 seq {seq} 的 RST",
        see: "9293 3.5.2"
    }
    segment_for_nobody() {
        en: "this segment belongs to no connection",
        zh: "这个报文段不属于任何连接",
        see: "9293 3.10.7.1"
    }

    // Discarded by the stack.
    thrown_away_malformed() {
        en: "it can't be read, or its checksum is wrong: as if it had been lost",
        zh: "无法解析或校验和错误：等于已经丢失",
        see: "9293 3.1"
    }
    thrown_away_not_for_us() {
        en: "its destination is none of tcplab's addresses",
        zh: "目的地址不是 tcplab 的地址",
        see: "1122 3.2.1.3"
    }
    thrown_away_bad_address() {
        en: "no connection may have such an address",
        zh: "连接不允许使用这样的地址",
        see: "1122 3.2.1.3"
    }
    thrown_away_bad_flags() {
        en: "neither a SYN alone nor an ACK: no connection begins like that",
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
        en: "an option or extension header of IP that tcplab refuses",
        zh: "tcplab 拒绝的 IP 选项或扩展首部",
        see: "8200 4.2"
    }
    thrown_away_unsupported() {
        en: "a protocol that tcplab does not speak",
        zh: "tcplab 不使用的协议",
        see: "1122 3.2.2.1"
    }

    // Everything that is no segment.
    datagram(who, bytes) {
        en: "{who} sends one datagram of {bytes}",
        zh: "{who}发送一个 {bytes}的数据报",
        see: "768"
    }
    datagrams_promise_nothing() {
        en: "UDP has no connection: no sequence number, no acknowledgment, and nobody notices if it is lost",
        zh: "UDP 没有连接：没有序号，没有确认，丢失了也没有人知道",
        see: "768"
    }
    port_unreachable() {
        en: "ICMP says that nobody has bound the port that the datagram was sent to",
        zh: "ICMP 说明没有程序绑定数据报所发往的端口",
        see: "1122 4.1.3.1"
    }
    ping(who, bytes) {
        en: "{who} asks with {bytes} whether the other end can be reached (echo request)",
        zh: "{who}用 {bytes}询问对方是否可达（回显请求）",
        see: "1122 3.2.2.6"
    }
    pong(who, bytes) {
        en: "{who} sends the {bytes} back (echo reply)",
        zh: "{who}把 {bytes}送回（回显应答）",
        see: "1122 3.2.2.6"
    }
    fragment(id, first, last) {
        en: "a fragment: bytes {first} to {last} of packet {id}, which is read when all of it is there",
        zh: "分片：包 {id} 的第 {first} 到 {last} 字节，到齐之后才处理",
        see: "1122 3.3.2"
    }
}
