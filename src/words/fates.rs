//! What it does to TCP that a packet is lost, late, doubled, changed or made up.

sentences! {
    lost(sender, receiver) {
        en: "lost on the way: {receiver} never sees it; if no acknowledgment arrives within its RTO, {sender} retransmits it",
        zh: "在途中丢失，{receiver}收不到它；{sender}在 RTO 之内得不到确认就会重传",
        see: "6298 5"
    }
    lost_ack() {
        en: "lost on the way: a pure ACK is never retransmitted; the next ACK covers it",
        zh: "在途中丢失：单独的 ACK 不会重传，后面的 ACK 会包含它的内容",
        see: "9293 3.4"
    }
    lost_reset() {
        en: "lost on the way: a RST is never retransmitted; its receiver learns of it only when it sends something itself",
        zh: "在途中丢失：RST 不会重传，接收方要到自己发送时才会得知",
        see: "9293 3.5.1"
    }
    lost_datagram() {
        en: "lost on the way: UDP does not notice and retransmits nothing",
        zh: "在途中丢失：UDP 不会察觉，也不会重传",
        see: "768"
    }
    dropped_and_reset(rule, sender, receiver) {
        en: "dropped: {receiver} never sees it; {rule} answers with a RST in its place, so {sender} does not retransmit it",
        zh: "在途中被丢弃，{receiver}收不到它；{rule}代替{receiver}回了一个 RST，{sender}不会重传",
        see: "9293 3.5.2"
    }
    dropped_and_other_reset(rule, sender, receiver) {
        en: "dropped; {rule} sends {receiver} a RST in the name of {sender}, which does not learn of it",
        zh: "在途中被丢弃；{rule}冒充{sender}向{receiver}发了一个 RST，{sender}对此一无所知",
        see: "9293 3.5.3"
    }
    dropped_with_resets(rule) {
        en: "dropped; {rule} sends both ends a RST, each in the name of the other",
        zh: "在途中被丢弃；{rule}以对方的名义向两端各发一个 RST",
        see: "9293 3.5.3"
    }
    dropped_with_icmp(rule, sender) {
        en: "dropped; {rule} answers {sender} with an ICMP error, as a router would",
        zh: "在途中被丢弃；{rule}像路由器一样向{sender}回了一个 ICMP 差错",
        see: "1122 4.2.3.9"
    }
    late(time) {
        en: "delayed by {time}: its sender retransmits it if no acknowledgment arrives within its RTO",
        zh: "延迟 {time} 到达：发送方在 RTO 之内得不到确认就会重传",
        see: "6298 5"
    }
    waits() {
        en: "held: its receiver has not seen it yet, and its sender may retransmit it",
        zh: "被扣留在途中：接收方还没有收到它，发送方可能会重传",
        see: "9293 3.8.1"
    }
    late_for_good(time) {
        en: "delayed by {time}; such a packet is never retransmitted",
        zh: "延迟 {time} 到达；这样的包不会重传",
        see: "9293 3.4"
    }
    waits_for_good() {
        en: "held: its receiver has not seen it yet",
        zh: "被扣留在途中：接收方还没有收到它",
        see: "9293 3.4"
    }
    doubled_ack(times) {
        en: "it arrives {times} times: what it says again changes nothing",
        zh: "它到达 {times} 次：重复的内容不改变什么",
        see: "9293 3.10.7.4"
    }
    doubled_datagram(times) {
        en: "it arrives {times} times: UDP hands every copy to the program",
        zh: "它到达 {times} 次：UDP 把每一份都交给应用程序",
        see: "768"
    }
    doubled(times) {
        en: "it arrives {times} times: its receiver ignores each duplicate and replies with an ACK",
        zh: "它到达 {times} 次：接收方忽略重复的报文段，并回答 ACK",
        see: "9293 3.10.7.4"
    }
    folded_here() {
        en: "time goes on for its sender, which has no answer yet and sends it again; it says nothing new, so it is counted and goes no further",
        zh: "发送方的时间仍在走，它没有得到回答，于是重传；重传没有新内容，所以只计数，不再前行",
        see: "9293 3.8.1"
    }
    rewritten_here() {
        en: "modified in transit: its receiver sees the modified segment, its sender does not know",
        zh: "在途中被改写：接收方看到的是改写后的报文段，发送方并不知道",
        see: "9293 3.1"
    }
    damaged_here() {
        en: "damaged in transit: the checksum is wrong, so its receiver discards it without an answer",
        zh: "在途中损坏：校验和不对，接收方丢弃它，不作回答",
        see: "9293 3.1"
    }
    made_up(rule, who) {
        en: "forged by {rule}: {who} did not send it, but its receiver cannot tell the difference",
        zh: "由{rule}伪造：{who}没有发送它，但接收方无法分辨",
        see: "5961 1"
    }
    made_up_by_no_router(rule) {
        en: "forged by {rule}: no router sent it, but its receiver cannot tell the difference",
        zh: "由{rule}伪造：没有路由器发送它，但接收方无法分辨",
        see: "1122 4.2.3.9"
    }
    goes_on(time) {
        en: "released after {time}: if it was retransmitted in the meantime, its receiver gets it twice",
        zh: "{time} 之后放行：如果其间已经重传，接收方会收到两次",
        see: "9293 3.4"
    }
    goes_on_alone(time) {
        en: "released after {time}",
        zh: "{time} 之后放行",
        see: "9293 3.4"
    }
    lost_late(time) {
        en: "lost after all, after {time}",
        zh: "{time} 之后还是丢失了",
        see: "6298 5"
    }
}
