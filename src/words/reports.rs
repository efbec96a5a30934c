//! Headings, tables, legends and captions of reports.

labels! {
    report_title() { en: "tcplab report", zh: "tcplab 报告" }
    report_made_by(version) { en: "made by tcplab {version}", zh: "由 tcplab {version} 生成" }
    report_sums(connections, exchanges, received, sent) {
        en: "{connections} of TCP and {exchanges} of datagrams, {received} in, {sent} out",
        zh: "TCP {connections}，UDP {exchanges}；收到 {received}，发出 {sent}"
    }
    nothing_happened() { en: "Nothing happened.", zh: "什么也没有发生。" }
    first_told(count) { en: "The first {count} are shown in detail.", zh: "只详细说明前 {count} 个。" }
    more_not_listed(count) { en: "Not listed: {count} more.", zh: "另有 {count} 个没有列出。" }
    without_flow_discarded(packets, discarded) {
        en: "Without a flow: {packets}, {discarded} of them discarded.",
        zh: "不属于任何流：{packets}，其中丢弃 {discarded} 个。"
    }

    // Headings and columns.
    report_rules() { en: "Rules", zh: "规则" }
    decided_about(rule, count) { en: "{rule} ({count})", zh: "{rule}（{count}）" }
    overview() { en: "Overview", zh: "概览" }
    column_who() { en: "who", zh: "双方" }
    column_received() { en: "packets / bytes in", zh: "收到 包数 / 字节" }
    column_sent() { en: "packets / bytes out", zh: "发出 包数 / 字节" }
    column_sent_again() { en: "retransmitted", zh: "重传" }
    column_time() { en: "time", zh: "用时" }
    handshake() { en: "handshake", zh: "握手用时" }
    not_completed() { en: "not completed", zh: "没有完成" }
    ladder() { en: "Ladder", zh: "梯形图" }
    ladder_of(id) { en: "{id} ladder", zh: "{id} 梯形图" }
    part_of(title, part, parts) { en: "{title}, part {part} of {parts}", zh: "{title}，第 {part} 部分，共 {parts} 部分" }
    states_of_both_ends() { en: "States of both ends (RFC 9293, figure 5)", zh: "两端的状态（RFC 9293 图 5）" }
    states_drawn(id) { en: "{id} states of both ends", zh: "{id} 两端的状态" }
    sequence_caption(way) { en: "Time and sequence numbers: {way}", zh: "时间与序号：{way}" }
    data_from(who) { en: "data from {who}", zh: "{who}发送的数据" }
    figures() { en: "Figures", zh: "统计" }
    figures_in(who) { en: "in: from {who}", zh: "收到：来自{who}" }
    figures_out(who) { en: "out: from {who}", zh: "发出：来自{who}" }
    event_by_event() { en: "Event by event", zh: "逐个事件" }

    // Rows of a ladder.
    packet_in(id, notation) { en: "packet {id} in: {notation}", zh: "包 {id}，收到：{notation}" }
    packet_out(id, notation) { en: "packet {id} out: {notation}", zh: "包 {id}，发出：{notation}" }
    enters(who) { en: "{who} enters", zh: "{who}进入" }
    later(time) { en: "{time} later", zh: "{time} 之后" }
    rows_not_shown(count) { en: "rows not shown: {count}", zh: "省略 {count} 行" }
    lines_not_shown(count) { en: "lines not shown: {count}", zh: "省略 {count} 行" }
    noted_result(what, who, why) { en: "{what}; {who}: {why}", zh: "{what}；{who}：{why}" }

    // The state diagram; the names of calls and states stay as the RFC prints them.
    receives(what) { en: "rcv {what}", zh: "收 {what}" }
    sends(what) { en: "snd {what}", zh: "发 {what}" }
    ack_of(what) { en: "ACK of {what}", zh: "{what} 的 ACK" }
    makes_block() { en: "create TCB", zh: "创建 TCB" }
    makes_block_and_sends(what) { en: "create TCB, snd {what}", zh: "创建 TCB，发 {what}" }
    deletes_block() { en: "delete TCB", zh: "删除 TCB" }
    passive_call() { en: "passive OPEN", zh: "被动 OPEN" }
    active_call() { en: "active OPEN", zh: "主动 OPEN" }
    two_lifetimes() { en: "Timeout=2MSL", zh: "超时=2MSL" }
    step(change, cause) { en: "s  {change}: {cause}", zh: "秒 {change}：{cause}" }
    not_kept() { en: "among the rows not shown", zh: "在省略的行中" }
    by_reset(cause) { en: "{cause}, a RST", zh: "{cause}，是 RST" }
    not_in_figure(text) { en: "{text} (not in figure 5)", zh: "{text}（图 5 中没有）" }

    // The time-sequence graph.
    axis_sequence() { en: "sequence number (bytes from the initial one)", zh: "序号（从初始序号起的字节数）" }
    axis_time(unit) { en: "time since the first packet ({unit})", zh: "自第一个包起的时间（{unit}）" }
    one_of(every) { en: "one segment of {every} is shown", zh: "每 {every} 个报文段显示一个" }
    legend_segment() { en: "segment", zh: "报文段" }
    legend_again() { en: "retransmission", zh: "重传" }
    legend_acknowledged() { en: "acknowledged", zh: "已确认" }
    legend_blocks() { en: "SACK blocks", zh: "SACK 块" }
    legend_edge() { en: "window edge", zh: "窗口边缘" }
    legend_edge_outside(least, most) {
        en: "window edge outside: {least} to {most}",
        zh: "窗口边缘在图外：{least} 至 {most}"
    }

    // What is counted each way.
    line_segments() { en: "segments", zh: "报文段" }
    line_acks() { en: "with ACK", zh: "含 ACK" }
    line_pure_acks() { en: "pure ACKs", zh: "纯 ACK" }
    line_sacks() { en: "with SACK blocks", zh: "含 SACK 块" }
    line_pushes() { en: "with PSH", zh: "含 PSH" }
    line_discarded() { en: "discarded", zh: "丢弃" }
    line_dropped() { en: "dropped on the way", zh: "途中丢弃" }
    line_data_segments() { en: "data segments", zh: "数据报文段" }
    line_data_bytes() { en: "data bytes", zh: "数据字节" }
    line_unique_bytes() { en: "unique bytes", zh: "不重复的字节" }
    line_resent_segments() { en: "data segments retransmitted", zh: "重传的数据报文段" }
    line_resent_bytes() { en: "bytes retransmitted", zh: "重传的字节" }
    line_out_of_order() { en: "out of order or filling a hole", zh: "乱序或填补空缺" }
    line_probes() { en: "window probes", zh: "窗口探测" }
    line_segment_size() { en: "segment size, min / avg / max", zh: "报文段大小，最小 / 平均 / 最大" }
    line_mss() { en: "MSS option", zh: "MSS 选项" }
    line_scale() { en: "window scale option", zh: "窗口扩大选项" }
    line_sack_permitted() { en: "SACK permitted", zh: "允许 SACK" }
    line_timestamps() { en: "timestamps", zh: "时间戳" }
    line_window() { en: "window, min / avg / max", zh: "窗口，最小 / 平均 / 最大" }
    line_zero_windows() { en: "zero windows", zh: "零窗口" }
    line_samples() { en: "RTT samples", zh: "RTT 样本" }
    line_rtt() { en: "RTT, min / avg / max", zh: "RTT，最小 / 平均 / 最大" }
    line_first() { en: "first packet", zh: "第一个包" }
    line_last() { en: "last packet", zh: "最后一个包" }
    line_silence() { en: "longest silence", zh: "最长的静默" }
    line_sending() { en: "time of sending data", zh: "发送数据的时间" }
    line_throughput() { en: "throughput", zh: "吞吐量" }
    line_packets() { en: "packets", zh: "包" }
    line_bytes() { en: "bytes", zh: "字节" }
    line_size() { en: "size, min / avg / max", zh: "大小，最小 / 平均 / 最大" }
    three_sizes(least, average, most) { en: "{least} / {average} / {most} bytes", zh: "{least} / {average} / {most} 字节" }
    yes() { en: "yes", zh: "是" }
    no() { en: "no", zh: "否" }

    // How to read it.
    reading() { en: "How to read this", zh: "如何阅读" }
    reading_times() {
        en: "The times are those of tcplab's end. When a packet left the other end or arrived there is unknown: all arrows have the same slope and are dotted at that end. Our states are read from the stack. The peer's, paler, are inferred from the segments unless its kernel was asked. A cross is a packet that was lost on the way or discarded; a bar is one that waits on the way and continues further down.",
        zh: "时间是 tcplab 这一端的时间。包何时离开或到达另一端是未知的：所有箭头的倾斜程度相同，在那一端画成虚线。我方状态直接读取自 tcplab 协议栈；对端状态颜色较浅，根据报文段推断，除非询问过它的内核。叉号表示包在途中丢失或被丢弃，竖线表示包停在途中，稍后在下方继续。"
    }
    reading_times_of_capture() {
        en: "The times are those of the capture. When a packet left or arrived elsewhere is unknown: all arrows have the same slope and are dotted at the client. The states of both ends are inferred from the segments.",
        zh: "时间是捕获文件中的时间。包何时在别处离开或到达是未知的：所有箭头的倾斜程度相同，在客户端一侧画成虚线。两端的状态都根据报文段推断。"
    }
    reading_ruler() {
        en: "The time axis on the left is to scale where it is solid, stretched where it is dotted, and compressed at a zigzag.",
        zh: "左侧时间轴：实线按比例，点线为放大，锯齿为压缩。"
    }
    reading_numbers() {
        en: "Sequence numbers are relative: the initial number is 0. A round-trip time is measured from a segment that was sent only once to the ACK that ends exactly where it ends: for data going out, it is the round trip to the peer; for data coming in, the time that our answer takes. Throughput is the unique bytes divided by the time from the first packet in that direction to its last data.",
        zh: "图中为相对序号（以初始序号为 0）。往返时间从只发送过一次的报文段算起，到恰好确认到它末尾的 ACK 为止：对发出的数据，是到对端的往返时间；对收到的数据，是我方回答所用的时间。吞吐量是不重复的字节数除以从该方向第一个包到最后一次数据的时间。"
    }
}
