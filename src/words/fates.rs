//! What it does to TCP that a packet is lost, late, doubled, changed or made up.

sentences! {
    lost_in() {
        en: "it is lost on the way: tcplab does not know of it and does not answer; the peer hears nothing and sends it again",
        zh: "它在途中丢失：tcplab 不知道它，也不会回答；对端得不到确认，将会重传",
        see: "6298 5"
    }
    lost_out() {
        en: "it is lost on the way: the peer does not know of it; without an acknowledgment tcplab sends it again when its RTO is over",
        zh: "它在途中丢失：对端不知道它；得不到确认，RTO 到期后 tcplab 将会重传",
        see: "6298 5.4"
    }
    lost_ack() {
        en: "it is lost on the way, and nobody sends an acknowledgment again by itself: the next one says as much and more",
        zh: "它在途中丢失，而单独的确认不会重传：下一个确认会包含它的内容",
        see: "9293 3.4"
    }
    lost_reset() {
        en: "it is lost on the way, and nobody sends a RST again: its receiver takes the connection for alive until it sends something",
        zh: "它在途中丢失，而 RST 不会重传：接收方以为连接仍在，直到它自己发送数据",
        see: "9293 3.5.1"
    }
    lost_datagram() {
        en: "it is lost on the way: UDP does not notice, and sends nothing again",
        zh: "它在途中丢失：UDP 不会察觉，也不会重传",
        see: "768"
    }
    late(time) {
        en: "it arrives {time} late: if no acknowledgment comes before the RTO of its sender is over, it is sent again",
        zh: "它将晚 {time} 到达：如果在发送方的 RTO 之内得不到确认，就会重传",
        see: "6298 5"
    }
    waits() {
        en: "it waits in the link: for its receiver nothing has happened yet, and its sender may send it again",
        zh: "它停在途中：接收方还不知道它，发送方可能会重传",
        see: "9293 3.8.1"
    }
    doubled(times) {
        en: "it arrives {times} times: its receiver takes it once and answers what it knows already with an ACK",
        zh: "它到达 {times} 次：接收方只取一次，对已有的内容回答 ACK",
        see: "9293 3.10.7.4"
    }
    folded_here() {
        en: "time goes on for its sender, which has no answer yet and sends it again; it says nothing new, so it is counted and goes no further",
        zh: "发送方的时间仍在走，它没有得到回答，于是重传；重传没有新内容，所以只计数，不再前行",
        see: "9293 3.8.1"
    }
    rewritten_here() {
        en: "it is changed on the way: its receiver judges what has come out, its sender knows only what it meant",
        zh: "它在途中被改写：接收方看到的是改写之后的，发送方只知道原本的",
        see: "9293 3.1"
    }
    made_up(who) {
        en: "{who} has not sent it: it was made on the way, and its receiver cannot tell the difference",
        zh: "{who}没有发送它：它是在途中伪造的，接收方无法分辨",
        see: "5961 1"
    }
    goes_on(time) {
        en: "it goes on after {time}: if it was sent again in the meantime, its receiver gets it twice",
        zh: "它在 {time} 之后继续前行：如果其间已经重传，接收方会收到两次",
        see: "9293 3.4"
    }
    lost_late(time) {
        en: "after {time} it is lost after all",
        zh: "{time} 之后它还是丢失了",
        see: "6298 5"
    }
}
