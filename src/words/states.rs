//! Why a state is left for another, and the variables of a connection.

sentences! {
    open_called() {
        en: "the program called OPEN, so the state is SYN-SENT; the SYN has not been sent yet",
        zh: "程序调用 OPEN，状态变为 SYN-SENT；SYN 尚未发出",
        see: "9293 3.10.1"
    }
    other_names() {
        en: "other names of these states: SYN-RCVD or SYN_RECV for SYN-RECEIVED, FIN_WAIT_1 for FIN-WAIT-1",
        zh: "状态的其他写法：SYN-RCVD 或 SYN_RECV 即 SYN-RECEIVED，FIN_WAIT_1 即 FIN-WAIT-1",
        see: "9293 3.3.2"
    }
    syn_arrived(us) {
        en: "the SYN arrived in LISTEN, so the state is SYN-RECEIVED; the SYN-ACK of {us} has not been sent yet",
        zh: "在 LISTEN 收到 SYN，状态变为 SYN-RECEIVED；{us}的 SYN-ACK 尚未发出",
        see: "9293 3.10.7.2"
    }
    syns_crossed(our) {
        en: "both ends sent a SYN (simultaneous open): SYN-RECEIVED until {our} SYN is acknowledged",
        zh: "双方都发出了 SYN（同时打开）：进入 SYN-RECEIVED，等待{our} SYN 也被确认",
        see: "9293 3.10.7.3"
    }
    syn_answered(our, peer) {
        en: "{our} SYN is acknowledged and the SYN of {peer} has arrived: ESTABLISHED, data may flow both ways",
        zh: "{our} SYN 已被确认，{peer}的 SYN 也已收到：进入 ESTABLISHED，双向都可以传送数据",
        see: "9293 3.10.7.3"
    }
    syn_acknowledged(our) {
        en: "{our} SYN is acknowledged: ESTABLISHED, data may flow both ways",
        zh: "{our} SYN 已被确认：进入 ESTABLISHED，双向都可以传送数据",
        see: "9293 3.10.7.4"
    }
    back_to_listen() {
        en: "a RST arrived before the handshake was complete: back to LISTEN",
        zh: "握手完成之前收到 RST：回到 LISTEN",
        see: "9293 3.10.7.4"
    }
    close_called(state, wire) {
        en: "the program called CLOSE, so the state is {state}; the FIN has not been sent yet, so the other end still sees {wire}",
        zh: "程序调用 CLOSE，状态变为 {state}；FIN 尚未发出，因此另一端看来仍是 {wire}",
        see: "9293 3.10.4"
    }
    fin_arrived(peer) {
        en: "the FIN of {peer} has arrived: CLOSE-WAIT; the program reads the end of the data and may still send",
        zh: "收到{peer}的 FIN：进入 CLOSE-WAIT，程序读到数据末尾，仍能发送数据",
        see: "9293 3.10.7.4"
    }
    fin_acknowledged(our, peer) {
        en: "{our} FIN is acknowledged: FIN-WAIT-2; {peer} may still send until its own FIN",
        zh: "{our} FIN 已被确认：进入 FIN-WAIT-2，{peer}在发送自己的 FIN 之前仍能发送数据",
        see: "9293 3.10.7.4"
    }
    fins_crossed(our, peer) {
        en: "the FIN of {peer} arrived before {our} FIN was acknowledged: CLOSING",
        zh: "{our} FIN 被确认之前收到了{peer}的 FIN：进入 CLOSING",
        see: "9293 3.10.7.4"
    }
    time_wait_begins() {
        en: "both directions are closed: TIME-WAIT, so that a retransmitted FIN can be answered and old segments expire",
        zh: "两个方向都已关闭：进入 TIME-WAIT，以便回答重传的 FIN，并让旧报文段消失",
        see: "9293 3.6"
    }
    time_wait_lasts(left) {
        en: "TIME-WAIT: {left} left",
        zh: "TIME-WAIT 还剩 {left}",
        see: "9293 3.10.7.4"
    }
    time_wait_over(time) {
        en: "TIME-WAIT lasted {time}: this pair of addresses and ports can be used again",
        zh: "TIME-WAIT 持续了 {time}：这一对地址和端口可以再次使用",
        see: "9293 3.10.8"
    }
    time_wait_cut() {
        en: "this segment ends TIME-WAIT early",
        zh: "这个报文段提前结束了 TIME-WAIT",
        see: "9293 3.10.7.4"
    }
    last_ack_arrived(our) {
        en: "{our} FIN is acknowledged: both directions are closed; the end that closes second needs no TIME-WAIT",
        zh: "{our} FIN 已被确认：两个方向都已关闭；被动关闭的一方不需要 TIME-WAIT",
        see: "9293 3.10.7.4"
    }
    reset_arrived() {
        en: "the RST is accepted: CLOSED at once",
        zh: "接受 RST：立即进入 CLOSED",
        see: "9293 3.5.3"
    }
    abort_called() {
        en: "the program called ABORT: CLOSED; unsent data is discarded",
        zh: "程序调用 ABORT：进入 CLOSED，未发送的数据被丢弃",
        see: "9293 3.10.5"
    }
    closed_early() {
        en: "the program called CLOSE before the peer answered: CLOSED",
        zh: "对端回答之前程序调用 CLOSE：进入 CLOSED",
        see: "9293 3.10.4"
    }
    gave_up(us) {
        en: "nothing was acknowledged for too long: {us} gives up",
        zh: "长时间没有收到确认：{us}放弃连接",
        see: "9293 3.10.8"
    }
    fin_never_came(us, peer) {
        en: "no program reads any more, and the FIN of {peer} did not arrive in time: {us} stops waiting",
        zh: "已没有程序读取，而{peer}的 FIN 一直没有到来：{us}不再等待",
        see: "9293 3.10.8"
    }
    becomes(from, to) {
        en: "the state changes from {from} to {to}",
        zh: "从 {from} 进入 {to}",
        see: "9293 3.3.2"
    }

    // The variables.
    send_variables(una, nxt, wnd, flight) {
        en: "SND.UNA {una}, SND.NXT {nxt}, SND.WND {wnd}, in flight {flight}",
        zh: "SND.UNA {una}，SND.NXT {nxt}，SND.WND {wnd}，在途 {flight}",
        see: "9293 3.3.1"
    }
    receive_variables(nxt, wnd) {
        en: "RCV.NXT {nxt}, RCV.WND {wnd}",
        zh: "RCV.NXT {nxt}，RCV.WND {wnd}",
        see: "9293 3.3.1"
    }
    timer_variables(rto, srtt, resent) {
        en: "RTO {rto}, SRTT {srtt}, retransmissions so far: {resent}",
        zh: "RTO {rto}，SRTT {srtt}，至今重传 {resent}",
        see: "6298 2"
    }
}
