//! Headings, names and short phrases of ladders and summaries.

labels! {
    // Who talks to whom.
    who_connects_to_us(peer, service, local) {
        en: "{peer} connects to {service} on {local} (tcp)",
        zh: "{peer} 连接 {local} 上的 {service} 服务（tcp）"
    }
    who_sends_to_us(peer, service, local) {
        en: "{peer} sends datagrams to {service} on {local} (udp)",
        zh: "{peer} 向 {local} 上的 {service} 服务发送数据报（udp）"
    }
    who_connects(peer, local) {
        en: "{peer} connects to {local} (tcp)",
        zh: "{peer} 连接 {local}（tcp）"
    }
    who_sends(peer, local) {
        en: "{peer} sends datagrams to {local} (udp)",
        zh: "{peer} 向 {local} 发送数据报（udp）"
    }
    we_connect(service, local, peer) {
        en: "{service} on {local} connects to {peer} (tcp)",
        zh: "{local} 上的 {service} 客户端连接 {peer}（tcp）"
    }
    we_send(service, local, peer) {
        en: "{service} on {local} sends datagrams to {peer} (udp)",
        zh: "{local} 上的 {service} 客户端向 {peer} 发送数据报（udp）"
    }

    // Columns and marks of the ladder.
    peer_column() { en: "peer", zh: "对端" }
    inferred_column() { en: "peer (inferred)", zh: "对端（推断）" }
    inferred_of(address) { en: "{address} (inferred)", zh: "{address}（推断）" }
    inferred_client() { en: "client (inferred)", zh: "客户端（推断）" }
    inferred_server() { en: "server (inferred)", zh: "服务端（推断）" }
    captured(kept, whole) { en: "captured {kept} of {whole}", zh: "捕获 {whole}中的 {kept}" }
    asked_column() { en: "peer (asked)", zh: "对端（询问内核）" }
    zero_stands_for(number) {
        en: "0 stands for the initial sequence number {number}",
        zh: "相对序号 0 = 实际初始序号 {number}"
    }
    retransmission() { en: "retransmission", zh: "重传" }
    discarded() { en: "discarded", zh: "丢弃" }
    discarded_because(why) { en: "discarded: {why}", zh: "丢弃：{why}" }
    binary(size) { en: "{size} of binary data", zh: "{size}二进制数据" }
    noted(who, text) { en: "{who}: {text}", zh: "{who}：{text}" }
    lines_left_out(count) { en: "{count} lines left out", zh: "省略 {count} 行" }
    changes(change, cause) { en: "{change} ({cause})", zh: "{change}（{cause}）" }
    malformed(layer, why) { en: "malformed {layer}: {why}", zh: "{layer} 无法解析：{why}" }

    // Parts of sentences.
    offers(what) { en: "its options: {what}", zh: "它的选项：{what}" }
    not_measured() { en: "not measured yet", zh: "尚未测得" }

    // The end of a flow.
    over(received, sent) {
        en: "over: {received} in, {sent} out",
        zh: "结束：收到 {received}，发出 {sent}"
    }
    was_closed(how) { en: "closed {how}", zh: "关闭方式：{how}" }
    refused_by(who, means) { en: "refused by {who} ({means})", zh: "被{who}拒绝（{means}）" }
    never_opened(state) { en: "never opened, still {state}", zh: "从未建立，仍是 {state}" }
    without_end() { en: "without FIN or RST", zh: "没有 FIN 或 RST" }
    not_yet(state) { en: "not yet, {state}", zh: "尚未关闭，{state}" }
    by_both(means) { en: "by both at once ({means})", zh: "双方同时关闭（{means}）" }
    by_one(who, means) { en: "by {who} ({means})", zh: "由{who}关闭（{means}）" }
    by_one_first(who, means) { en: "by {who} first ({means})", zh: "{who}先关闭（{means}）" }
    then_by(who, means) { en: "then by {who} ({means})", zh: "然后是{who}（{means}）" }
    now_in(state) { en: "now {state}", zh: "现在是 {state}" }
    both_first(means) { en: "both {means}", zh: "双方 {means}" }
    one_first(who, means) { en: "{who} {means}", zh: "{who} {means}" }

    // Ends, causes and timers.
    the_client() { en: "the client", zh: "客户端" }
    the_server() { en: "the server", zh: "服务端" }
    opened_before() { en: "before the capture began", zh: "在捕获开始之前" }
    client_opened() { en: "by the client", zh: "由客户端发起" }
    our() { en: "our", zh: "我方的" }
    of_the_server() { en: "the server's", zh: "服务端的" }
    the_peer() { en: "the peer", zh: "对端" }
    peer() { en: "peer", zh: "对端" }
    tcplab() { en: "tcplab", zh: "tcplab" }
    client() { en: "client", zh: "客户端" }
    server() { en: "server", zh: "服务端" }
    by_segment(id) { en: "segment {id}", zh: "报文段 {id}" }
    user_timeout() { en: "user timeout", zh: "用户超时" }
    time_wait_timeout() { en: "TIME-WAIT timeout", zh: "TIME-WAIT 超时" }
    fin_wait_2_timeout() { en: "FIN-WAIT-2 timeout", zh: "FIN-WAIT-2 超时" }

    // Why the stack discards a packet.
    discard_malformed() { en: "malformed", zh: "无法解析" }
    discard_not_for_us() { en: "not our address", zh: "不是发给我们的地址" }
    discard_bad_address() { en: "no address for a connection", zh: "不能用于连接的地址" }
    discard_bad_flags() { en: "not a SYN alone", zh: "不是单独的 SYN" }
    discard_backlog_full() { en: "backlog full", zh: "半连接队列已满" }
    discard_fragment() { en: "unusable fragment", zh: "无法使用的分片" }
    discard_header() { en: "refused IP header", zh: "被拒绝的 IP 首部" }
    discard_unsupported() { en: "unsupported protocol", zh: "不支持的协议" }

    // The summary.
    opened() { en: "opened", zh: "建立" }
    closed() { en: "closed", zh: "关闭" }
    received() { en: "in", zh: "收到" }
    sent() { en: "out", zh: "发出" }
    states() { en: "states", zh: "状态" }
    passive_open() { en: "by the peer (passive open of tcplab)", zh: "由对端发起（tcplab 被动打开）" }
    active_open() { en: "by tcplab (active open)", zh: "由 tcplab 发起（主动打开）" }
    simultaneous_open() {
        en: "by both at once (simultaneous open)",
        zh: "双方同时发起（同时打开）"
    }
    handshake_took(time) { en: "handshake {time}", zh: "握手用时 {time}" }
    no_handshake() { en: "handshake not completed", zh: "握手没有完成" }
    exchange(peer, service) { en: "{peer} with {service} (udp)", zh: "{peer} 与 {service}（udp）" }
    exchanged(received, received_bytes, sent, sent_bytes) {
        en: ": {received} in ({received_bytes}), {sent} out ({sent_bytes})",
        zh: "：收到 {received}（{received_bytes}），发出 {sent} 个（{sent_bytes}）"
    }
    kernel() { en: "kernel", zh: "内核" }
    kernel_says(rtt, rto, cwnd, resent) {
        en: "the peer's: RTT {rtt}, RTO {rto}, cwnd {cwnd}, {resent}",
        zh: "对端内核：RTT {rtt}，RTO {rto}，拥塞窗口 {cwnd}，{resent}"
    }
    rtt_with_variation(rtt, rttvar) { en: "{rtt} (varies by {rttvar})", zh: "{rtt}（波动 {rttvar}）" }
    bytes_in_segments(bytes, segments) { en: "{bytes} in {segments}", zh: "{segments}，共 {bytes}" }
    some_discarded(count) { en: "{count} discarded", zh: "丢弃 {count} 个" }
    column_flow() { en: "flow", zh: "流" }
    column_service() { en: "service", zh: "服务" }
    column_handshake() { en: "handshake", zh: "握手用时" }
    column_closed_first() { en: "closed first", zh: "先关闭" }
    column_bytes_in() { en: "bytes in", zh: "收到字节" }
    column_bytes_out() { en: "bytes out", zh: "发出字节" }
    column_resent() { en: "retransmitted", zh: "重传" }
    all(connections, exchanges, received, sent) {
        en: "all: {connections}, {exchanges} of UDP; {received} in, {sent} out",
        zh: "合计：{connections}，UDP {exchanges}；收到 {received}，发出 {sent}"
    }
    not_listed(flows) { en: "{flows} not listed", zh: "{flows}未列出" }
    both_ways(received, sent) { en: "{received} in, {sent} out", zh: "收到 {received}，发出 {sent}" }
    discarded_for(count, why) { en: "{count} discarded ({why})", zh: "丢弃 {count}（{why}）" }
    without_flow(what) { en: "packets without flow: {what}", zh: "不属于任何流的包：{what}" }

    limits_reached(what) { en: "limits reached: {what}", zh: "达到的上限：{what}" }
    limit_count(limit, count) { en: "{limit} {count}", zh: "{limit} {count} 次" }
    limit_backlog() { en: "backlog", zh: "半连接队列" }
    limit_connections() { en: "connections", zh: "连接" }
    limit_exchanges() { en: "exchanges", zh: "数据报交互" }
    limit_time_wait() { en: "TIME-WAIT", zh: "TIME-WAIT" }
    limit_fragments() { en: "fragments", zh: "分片" }
    limit_gaps() { en: "gaps", zh: "数据空缺" }
    limit_waiting() { en: "waiting packets", zh: "等待中的包" }
    limit_icmp_errors() { en: "ICMP errors", zh: "ICMP 差错" }
    limit_events() { en: "events", zh: "事件" }

    // The commands.
    and() { en: " and ", zh: "、" }
    nobody_came() { en: "No packets reached tcplab.", zh: "没有任何包到达 tcplab。" }
    hint_name(name, address) {
        en: "Inside the lab, tcplab is {name} ({address}).",
        zh: "在实验环境中，tcplab 的名字是 {name}（{address}）。"
    }
    hint_localhost(option, example) {
        en: "Something tried 127.0.0.1, which is the lab's own. With {option}, {example} leads to tcplab.",
        zh: "有程序尝试连接 127.0.0.1，那是实验环境自己的地址。使用 {option} 可让 {example} 通向 tcplab。"
    }
    ready_attached(tun, addresses) {
        en: "ready: attached to {tun}, {addresses} can be reached",
        zh: "ready: 已附加到 TUN 设备 {tun}，可以访问 {addresses}"
    }
    ready_created(tun, addresses) {
        en: "ready: created {tun}, {addresses} can be reached",
        zh: "ready: 已创建 TUN 设备 {tun}，可以访问 {addresses}"
    }
    simulated_instead(why) {
        en: "{why}\nSo both ends are simulated, in virtual time:\n\n",
        zh: "{why}\n因此两端都在虚拟时间中模拟：\n\n"
    }
}
