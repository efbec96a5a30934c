//! Why a state is left for another, and the variables of a connection.

sentences! {
    open_called() {
        en: "the program calls OPEN: SYN-SENT, although the SYN has not left yet (on the wire still CLOSED)",
        zh: "程序调用 OPEN：已是 SYN-SENT，但 SYN 还没有发出（线路上仍是 CLOSED）",
        see: "9293 3.10.1"
    }
    syn_arrived(us) {
        en: "LISTEN meets a SYN: SYN-RECEIVED, although the SYN and ACK of {us} have not left yet",
        zh: "LISTEN 收到 SYN：进入 SYN-RECEIVED，此时{us}自己的 SYN 和 ACK 还没有发出",
        see: "9293 3.10.7.2"
    }
    syns_crossed(our) {
        en: "a SYN without ACK answers {our} SYN: SYN-RECEIVED until that is acknowledged too",
        zh: "收到的回答是没有 ACK 的 SYN：进入 SYN-RECEIVED，直到{our} SYN 也被确认",
        see: "9293 3.10.7.3"
    }
    syn_answered(our, peer) {
        en: "{our} SYN is acknowledged and the one of {peer} is here: ESTABLISHED, data may flow both ways",
        zh: "{our} SYN 已被确认，{peer}的 SYN 也已收到：进入 ESTABLISHED，双向都可以传送数据",
        see: "9293 3.10.7.3"
    }
    syn_acknowledged(our) {
        en: "{our} SYN is acknowledged: ESTABLISHED, data may flow both ways",
        zh: "{our} SYN 已被确认：进入 ESTABLISHED，双向都可以传送数据",
        see: "9293 3.10.7.4"
    }
    back_to_listen() {
        en: "a RST before the end of the handshake: back to LISTEN",
        zh: "握手完成之前收到 RST：回到 LISTEN",
        see: "9293 3.10.7.4"
    }
    close_called(state, wire) {
        en: "the program calls CLOSE: {state} already, but the FIN has not left yet: on the wire it is still {wire}",
        zh: "程序调用 CLOSE：已是 {state}，但 FIN 还没有发出：线路上仍是 {wire}",
        see: "9293 3.10.4"
    }
    fin_arrived(peer) {
        en: "the FIN of {peer} is here: CLOSE-WAIT, the program reads the end of the data and may still send",
        zh: "收到{peer}的 FIN：进入 CLOSE-WAIT，程序读到数据末尾，仍能发送数据",
        see: "9293 3.10.7.4"
    }
    fin_acknowledged(our, peer) {
        en: "{our} FIN is acknowledged: FIN-WAIT-2, {peer} may still send until its own FIN",
        zh: "{our} FIN 已被确认：进入 FIN-WAIT-2，{peer}在发送自己的 FIN 之前仍能发送数据",
        see: "9293 3.10.7.4"
    }
    fins_crossed(our, peer) {
        en: "the FIN of {peer} is here before {our} FIN is acknowledged: CLOSING",
        zh: "{our} FIN 被确认之前收到了{peer}的 FIN：进入 CLOSING",
        see: "9293 3.10.7.4"
    }
    time_wait_begins() {
        en: "both directions are closed: TIME-WAIT, so that the last ACK can be sent again and old segments die out",
        zh: "两个方向都已关闭：进入 TIME-WAIT，以便重发最后的 ACK，并让旧报文段消失",
        see: "9293 3.6"
    }
    time_wait_lasts(left) {
        en: "TIME-WAIT: {left} left",
        zh: "TIME-WAIT 还剩 {left}",
        see: "9293 3.10.7.4"
    }
    time_wait_over(time) {
        en: "TIME-WAIT has lasted {time}: the pair of addresses and ports may be used anew",
        zh: "TIME-WAIT 持续了 {time}：这一对地址和端口可以再次使用",
        see: "9293 3.10.8"
    }
    time_wait_cut() {
        en: "this segment ends TIME-WAIT early",
        zh: "这个报文段提前结束了 TIME-WAIT",
        see: "9293 3.10.7.4"
    }
    last_ack_arrived(our) {
        en: "{our} FIN is acknowledged: both directions are closed, nothing is left to wait for",
        zh: "{our} FIN 已被确认：两个方向都已关闭，不必再等待",
        see: "9293 3.10.7.4"
    }
    reset_arrived() {
        en: "the RST is obeyed: CLOSED at once",
        zh: "接受 RST：立即进入 CLOSED",
        see: "9293 3.5.3"
    }
    abort_called() {
        en: "the program calls ABORT: CLOSED, what was not sent is thrown away",
        zh: "程序调用 ABORT：进入 CLOSED，未发送的数据被丢弃",
        see: "9293 3.10.5"
    }
    closed_early() {
        en: "the program calls CLOSE before anything was answered: CLOSED",
        zh: "在得到任何回答之前程序调用 CLOSE：进入 CLOSED",
        see: "9293 3.10.4"
    }
    gave_up(us) {
        en: "nothing was acknowledged for too long: {us} gives up",
        zh: "太久没有收到确认：{us}放弃连接",
        see: "9293 3.10.8"
    }
    fin_never_came(us, peer) {
        en: "nobody reads any more and the FIN of {peer} did not come: {us} gives up waiting",
        zh: "已没有程序读取，而{peer}的 FIN 一直没有到来：{us}不再等待",
        see: "9293 3.10.8"
    }
    becomes(from, to) {
        en: "{from} is left for {to}",
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
        en: "RTO {rto}, SRTT {srtt}, sent again so far {resent}",
        zh: "RTO {rto}，SRTT {srtt}，至今重传 {resent}",
        see: "6298 2"
    }
}
