//! What the live screen says, its keys and its help.

labels! {
    // The head of the screen.
    screen_too_small(columns, rows, width, height) {
        en: "The screen needs {columns} columns and {rows} rows; this one has {width} and {height}. It goes on when there is room; q leaves.",
        zh: "屏幕至少需要 {columns} 列、{rows} 行；现在是 {width} 列、{height} 行。放大后会继续显示；按 q 退出。"
    }
    events_lost(count) { en: "events lost: {count}", zh: "丢失事件 {count}" }
    head_flows(tcp, udp, open) { en: "{tcp} tcp {udp} udp {open} open", zh: "tcp {tcp} udp {udp} 未结束 {open}" }
    head_open(open) { en: "{open} open", zh: "未结束 {open}" }
    head_in(what) { en: "in {what}", zh: "收 {what}" }
    head_out(what) { en: "out {what}", zh: "发 {what}" }
    head_packet() { en: "1 packet", zh: "1 包" }
    head_packets(count) { en: "{count} packets", zh: "{count} 包" }
    head_rates(packets, bytes) { en: "{packets}pk/s {bytes}/s", zh: "{packets} 包/秒 {bytes}/秒" }
    head_rate(bytes) { en: "{bytes}/s", zh: "{bytes}/秒" }
    head_resent(count) { en: "{count} retrans", zh: "重传 {count}" }

    // Connections.
    connections_title(count) {
        en: "Connections {count}: peer, its state, ours, since, in/out",
        zh: "连接 {count}：对端，对端状态，我方状态，持续，收/发"
    }
    connections_of_capture(count) {
        en: "Connections {count}: client, its state, server's, since, in/out",
        zh: "连接 {count}：客户端，客户端状态，服务端状态，持续，收/发"
    }
    connections_filtered(count, all, filter) {
        en: "Connections {count} of {all}, filter: {filter}",
        zh: "连接 {count}/{all}，过滤：{filter}"
    }
    nothing_yet() { en: "nothing has arrived yet", zh: "还没有收到任何报文" }
    nothing_matches() {
        en: "no connection matches the filter; Esc takes it away",
        zh: "没有符合过滤条件的连接；按 Esc 取消过滤"
    }
    flow_over() { en: "over", zh: "结束" }

    // The ladder and the state diagram.
    ladder_empty() { en: "Ladder", zh: "梯形图" }
    ladder_title(id, service, peer) {
        en: "Ladder {id}: {service} with {peer}",
        zh: "梯形图 {id}：{service} 与 {peer}"
    }
    ladder_of_capture(id, client, server) {
        en: "Ladder {id}: {client} with {server}",
        zh: "梯形图 {id}：{client} 与 {server}"
    }
    frozen(count) { en: "FROZEN, {count} newer", zh: "已冻结，另有 {count} 行新的" }
    stays() { en: "stays here; G goes on", zh: "停在此处；按 G 继续" }
    lines_gone() {
        en: "the lines of this flow are no longer kept",
        zh: "这个流的内容已不再保留"
    }
    lines_above_left_out(count) {
        en: "lines left out above: {count}",
        zh: "上面省略 {count} 行"
    }
    seconds() { en: "seconds", zh: "秒" }
    over_how(how) { en: "over: {how}", zh: "结束，{how}" }
    states_then() { en: "States after the chosen line", zh: "所选一行之后的状态" }
    states_now() { en: "States now", zh: "现在的状态" }
    both_ends() { en: "both ends", zh: "双方" }
    states_of_ends(local_end, local, peer_end, peer, how) {
        en: "{local_end} {local}, {peer_end} {peer} ({how})",
        zh: "{local_end} {local}，{peer_end} {peer}（{how}）"
    }
    end_is(state, how) { en: "{state} ({how})", zh: "{state}（{how}）" }
    is_read() { en: "read", zh: "直接读取自协议栈" }
    kernel_aside(state) { en: "(kernel: {state})", zh: "（内核：{state}）" }
    kernel_says_otherwise(state) { en: "its kernel says {state}", zh: "其内核报告 {state}" }
    is_asked() { en: "reported by its kernel", zh: "由对端内核报告" }
    is_inferred() { en: "inferred", zh: "推断" }
    is_told() { en: "inferred from what it sent", zh: "根据它发送的报文段推断" }
    is_assumed() { en: "inferred, if what we sent arrived", zh: "推断，假设我方报文段已送达" }

    // All about one line.
    segment_title(id) { en: "Segment {id}", zh: "报文段 {id}" }
    datagram_title(id) { en: "Datagram {id}", zh: "数据报 {id}" }
    packet_title(id) { en: "Packet {id}", zh: "包 {id}" }
    event_title() { en: "Event", zh: "事件" }
    fact_meant() { en: "meant", zh: "原本" }
    fact_wire() { en: "wire", zh: "线路" }
    fact_why() { en: "why", zh: "原因" }
    fact_story() { en: "story", zh: "解说" }
    fact_after() { en: "after", zh: "之后" }
    fact_data() { en: "data", zh: "数据" }
    on_the_wire(seq, window) {
        en: "seq {seq}, window field {window}",
        zh: "seq {seq}，窗口字段 {window}"
    }
    on_the_wire_with_ack(seq, ack, window) {
        en: "seq {seq}, ack {ack}, window field {window}",
        zh: "seq {seq}，ack {ack}，窗口字段 {window}"
    }
    changed(change, cause) { en: "{change}, cause: {cause}", zh: "{change}，原因：{cause}" }
    peer_is_now(state) { en: "is now {state}, as this shows", zh: "现在是 {state}（由此推断）" }
    never_ended() { en: "never ran to its end", zh: "没有运行到结束" }
    is_content() { en: "is content", zh: "正常结束" }
    sent_by(who) { en: "sent by {who}", zh: "由{who}发送" }
    delivered() { en: "delivered", zh: "已送达" }
    a_retransmission() { en: "a retransmission", zh: "重传" }
    with_headers(size) { en: "{size} with its headers", zh: "含首部 {size}" }
    why_and_fate(why, fate, size) { en: "{why}; {fate}, {size}", zh: "{why}；{fate}，{size}" }
    in_flight(bytes, rto) { en: "{bytes} in flight, RTO {rto}", zh: "在途 {bytes}，RTO {rto}" }
    resent_and_duplicates(resent, duplicates) {
        en: "{resent} retransmitted, duplicate ACKs: {duplicates}",
        zh: "重传 {resent}，重复 ACK {duplicates}"
    }

    // Why our TCP sends a segment.
    reason_syn() { en: "opens the connection", zh: "打开连接" }
    reason_syn_ack() { en: "answers the SYN", zh: "回答 SYN" }
    reason_data() { en: "carries new data", zh: "携带新数据" }
    reason_fin() { en: "carries our FIN", zh: "携带我方的 FIN" }
    reason_ack() { en: "acknowledges what has just arrived", zh: "确认刚收到的内容" }
    reason_delayed_ack(time) {
        en: "acknowledges what arrived {time} ago; no data came to send with it",
        zh: "确认 {time} 之前收到的内容，其间没有数据可以捎带"
    }
    reason_duplicate_ack() {
        en: "repeats its ACK: something unexpected arrived",
        zh: "收到预料之外的报文段，重复 ACK"
    }
    reason_window_update() { en: "announces an open window", zh: "告知窗口已打开" }
    reason_window_probe() { en: "asks if the window is still 0", zh: "询问窗口是否仍为 0" }
    reason_keep_alive() { en: "asks if the peer is still there", zh: "询问对端是否还在" }
    reason_reset() { en: "ends the connection at once", zh: "立即终止连接" }
    reason_timeout() {
        en: "retransmission: no acknowledgment has arrived",
        zh: "重传：没有收到确认"
    }
    reason_duplicate_acks() {
        en: "retransmission: three duplicate ACKs arrived",
        zh: "重传：收到三个重复 ACK"
    }
    reason_gap() {
        en: "retransmission: an ACK showed that it is missing",
        zh: "重传：有 ACK 表明它已丢失"
    }

    // The pane of the command, and the row of keys.
    command_pane() { en: "Command", zh: "命令" }
    command_gets_keys() { en: "Command, it gets the keys; Tab goes on", zh: "命令，按键交给它；Tab 换窗格" }
    command_by_tab() { en: "Command; Tab leads here", zh: "命令；按 Tab 到这里" }
    client_pane() { en: "Client", zh: "客户端" }
    one_row_back() { en: "1 row back", zh: "回看 1 行" }
    rows_back(count) { en: "{count} rows back", zh: "回看 {count} 行" }
    filter_typed(filter) { en: "filter: {filter}", zh: "过滤：{filter}" }
    still_runs() {
        en: "the command still runs: q again ends it, any other key goes on",
        zh: "命令还在运行：再按 q 结束它，按其他键继续"
    }
    press_q(how) { en: "{how}: press q to leave, ? for help", zh: "{how}：按 q 退出，按 ? 看帮助" }
    command_ended(code) { en: "command ended with code {code}", zh: "命令已结束，退出码 {code}" }
    client_ended() { en: "client ended", zh: "客户端已结束" }
    simulation_ended() { en: "simulation ended", zh: "模拟已结束" }
    not_all_read(why) { en: "read up to here: {why}", zh: "只能读到这里：{why}" }
    order_typed(order) { en: "order: {order}", zh: "命令：{order}" }
    key_help() { en: "help", zh: "帮助" }
    key_quit() { en: "quit", zh: "退出" }
    key_pane() { en: "pane", zh: "换窗格" }
    key_connection() { en: "connection", zh: "选连接" }
    key_ladder() { en: "ladder", zh: "梯形图" }
    key_line() { en: "line", zh: "选行" }
    key_first() { en: "first", zh: "最前" }
    key_newest() { en: "newest", zh: "最新" }
    key_filter() { en: "filter", zh: "过滤" }
    key_freeze() { en: "freeze", zh: "冻结" }
    key_scroll() { en: "scroll", zh: "滚动" }
    key_send() { en: "sends the line", zh: "发送这一行" }
    key_end_input() { en: "ends the input", zh: "结束输入" }
    key_others() { en: "all other keys go to the command", zh: "其他按键都交给命令" }

    space_bar() { en: "Space", zh: "空格" }

    // Help.
    help_title() { en: "Help, any key closes it", zh: "帮助，按任意键关闭" }
    help_pane() { en: "go to the next pane, the one before", zh: "到下一个、上一个窗格" }
    help_choose() {
        en: "choose a connection, or a line of the ladder",
        zh: "选择连接，或梯形图中的一行"
    }
    help_far() { en: "ten lines at once; the first; the newest, and follow", zh: "翻十行；跳到开头；跳到最新并跟随" }
    help_enter() { en: "open the ladder of the chosen connection", zh: "打开所选连接的梯形图" }
    help_freeze() { en: "freeze the ladder, let it go on", zh: "冻结梯形图，再按则继续" }
    help_filter() {
        en: "show only connections with these words: address, port, state, service, number; Enter keeps it, Esc ends it",
        zh: "只显示含有这些词的连接：地址、端口、状态、服务、编号；Enter 保留，Esc 取消"
    }
    help_quit() { en: "leave", zh: "退出" }
    help_quit_command() {
        en: "leave; while a command runs, a second one ends the command, and a third one kills it",
        zh: "退出；命令还在运行时，第二次结束命令，第三次强制终止"
    }
    help_scroll() {
        en: "scroll the command's output when its pane is chosen",
        zh: "选中命令窗格时，滚动命令的输出"
    }
    in_the_client() { en: "in the client", zh: "在客户端中" }
    help_lines() { en: "Enter sends the line, Ctrl-D ends the input", zh: "Enter 发送这一行，Ctrl-D 结束输入" }
    in_the_command() { en: "in the command", zh: "在命令中" }
    help_terminal() {
        en: "all keys but Tab, PgUp, PgDn go to it, Ctrl-C too",
        zh: "除 Tab、PgUp、PgDn 外的按键都交给它，包括 Ctrl-C"
    }
    legend_sides() {
        en: "Left is the peer, right is tcplab; a state is printed when entered. Ours is read from the stack, the peer's inferred or from its kernel.",
        zh: "左边是对端，右边是 tcplab；只在进入某个状态的那一行标出该状态。我方状态读取自协议栈，对端状态由推断得出，或由对端内核报告。"
    }
    legend_sides_of_capture() {
        en: "Left is the client, right is the server; a state is printed when entered. Both are inferred from the segments.",
        zh: "左边是客户端，右边是服务端；只在进入某个状态的那一行标出该状态。两端的状态都根据报文段推断。"
    }
    legend_numbers() {
        en: "Numbers are relative; S F R P are SYN FIN RST PSH, the dot is ACK. In the diagram, states that the right end has been in are bold.",
        zh: "图中为相对序号（以初始序号为 0）；S F R P 是 SYN FIN RST PSH，点是 ACK。状态图中，粗体是右端经历过的状态。"
    }
}
