//! Stepping by hand: what waits, and what can be said.

labels! {
    step_begins(key) {
        en: "every packet waits until you let it go on: Enter lets it pass, {key} tells what else there is",
        zh: "每个包都会停下等待：按 Enter 放行，{key} 查看其他操作"
    }
    step_waits(id, direction, what) { en: "packet {id} {direction}: {what}", zh: "第 {id} 个包（{direction}）：{what}" }
    step_more(count) { en: "{count} more", zh: "另有 {count} 个" }
    step_copied(times, age) { en: "{times}, the last {age} ago", zh: "{times}，最近一次在 {age} 前" }
    step_repeated(id, what) { en: "packet {id} is sent again: {what}", zh: "第 {id} 个包在重传：{what}" }
    step_unanswered() { en: "has gone on, its answer has not", zh: "已放行，它的回答尚未放行" }
    step_gave_up(flow) {
        en: "{flow}: the peer has given up: its kernel knows nothing of this connection any more, and answers with a RST to whatever is passed to it",
        zh: "{flow}：对端已经放弃：它的内核不再知道这个连接，放行给它的包会得到 RST"
    }
    step_nothing() { en: "nothing waits", zh: "没有等待的包" }
    step_pass() { en: "let it go on (the oldest, or the one with this number)", zh: "放行（最早的一个，或指定编号的包）" }
    step_drop() { en: "drop it", zh: "丢弃" }
    step_twice() { en: "let it go on twice", zh: "发送两次" }
    step_copies() { en: "let it go on, and N copies behind it", zh: "放行，并在其后发送 N 个副本" }
    step_edit() { en: "change it and let it go on, as rules edit", zh: "按规则的写法改写后放行" }
    step_next() { en: "let N packets go on", zh: "放行 N 个包" }
    step_all() { en: "let everything go on", zh: "全部放行" }
    step_until() {
        en: "let everything go on until a state, a kind of packet or a connection",
        zh: "全部放行，直到某个状态、某种包或某个连接"
    }
    step_again() { en: "let every packet wait again", zh: "重新让每个包等待" }
    step_copies_fold() {
        en: "count copies of what waits, or is not answered yet, and let them go no further: so it begins",
        zh: "等待放行或尚未得到回答的包，其副本只计数，不放行（默认）"
    }
    step_copies_pass() {
        en: "let copies go on by themselves once their packet has",
        zh: "包放行之后，它的副本自动放行"
    }
    step_copies_hold() { en: "let each copy wait as every packet does", zh: "每个副本也像其他包一样等待" }
    step_list() { en: "list what waits", zh: "列出等待的包" }
    step_end(keys) {
        en: "{keys} ends the run; what waits then goes on",
        zh: "{keys} 结束运行，等待的包随之放行"
    }

    // On the live screen.
    key_waiting(count) { en: "{count} waiting:", zh: "等待 {count} 个：" }
    key_pass() { en: "pass", zh: "放行" }
    key_drop() { en: "drop", zh: "丢弃" }
    key_twice() { en: "twice", zh: "两次" }
    key_edit() { en: "edit", zh: "改写" }
    key_next() { en: "next", zh: "下一个" }
    key_all() { en: "all", zh: "全部" }
    key_order() { en: "order", zh: "命令" }
    help_step() { en: "let every packet wait for you, or let all go on", zh: "让每个包等待，或全部放行" }
    help_waiting() {
        en: "pass the waiting packet (chosen or oldest), drop it, pass it twice, edit it; pass one more",
        zh: "对等待的包（所选的或最早的）：放行、丢弃、发两次、改写；再放行一个"
    }
    help_order(orders) { en: "type an order, such as {orders}", zh: "输入命令，如 {orders}" }
}
