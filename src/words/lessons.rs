//! What a newcomer should notice: the steps of a handshake and of a teardown, and what is said once.

sentences! {
    ack_bit() {
        en: "\".\" means the ACK flag is set, so the ack number is valid: it is the next byte the sender of this segment expects",
        zh: "“.” 是 ACK 标志位，ACK=1 表示确认序号 ack 有效；ack 本身是准备接收的下一个字节的序号，不要把两者搞混",
        see: "9293 3.1"
    }
    syn_counts(ack, seq) {
        en: "ack {ack} = seq {seq} + 1: the SYN counts as one sequence number",
        zh: "ack {ack} = seq {seq} + 1：一个 SYN 占用一个序号",
        see: "9293 3.4"
    }
    fin_counts(ack, seq, data) {
        en: "ack {ack} = seq {seq}{data} + 1: the FIN counts as one sequence number, like the SYN",
        zh: "ack {ack} = seq {seq}{data} + 1：与 SYN 相同，一个 FIN 占用一个序号",
        see: "9293 3.4"
    }
    push_bit() {
        en: "P is the PSH flag: the receiver should pass the data to the program at once",
        zh: "P 是 PSH 标志位：接收方应该尽快将数据交给应用层",
        see: "9293 3.9.1.2"
    }

    handshake_first(seq) {
        en: "handshake 1 of 3 (SYN): the client opens a connection and announces its initial sequence number, {seq}",
        zh: "第一次握手：客户端选取初始序号 seq={seq}，发送 SYN=1，请求建立新连接，进入 SYN-SENT 状态",
        see: "9293 3.5"
    }
    handshake_second(ack, theirs, seq) {
        en: "handshake 2 of 3 (SYN-ACK): the server acknowledges the client's SYN (ack {ack} = {theirs} + 1) and announces its own initial sequence number, {seq}",
        zh: "第二次握手：服务端收到 seq={theirs} 的 SYN，发送 SYN=1、ACK=1，确认序号 ack={theirs}+1={ack}，同时告知自己的初始序号 seq={seq}，处于 SYN-RECEIVED 状态",
        see: "9293 3.5"
    }
    handshake_third(seq, ack, theirs) {
        en: "handshake 3 of 3 (ACK): the client acknowledges the server's SYN (ack {ack} = {theirs} + 1); its own next byte will be {seq}",
        zh: "第三次握手：客户端发送 ACK=1，seq={seq}，ack={theirs}+1={ack}，准备接收服务端的第 {ack} 号字节；服务端收到后连接建立，双方都是 ESTABLISHED 状态",
        see: "9293 3.5"
    }
    handshake_crossed(seq) {
        en: "a SYN without ACK meets the other end's SYN (simultaneous open): its initial sequence number is {seq}, and still one connection results",
        zh: "这个 SYN 不带 ACK（初始序号 seq={seq}），与另一端的 SYN 相遇（交叉）：同时打开，仍然只建立一个连接",
        see: "9293 3.5"
    }
    handshake_offer_accepted(ack, theirs) {
        en: "ack {ack} acknowledges the other end's SYN ({theirs} + 1): in a simultaneous open each end acknowledges the other's SYN",
        zh: "确认序号 ack={theirs}+1={ack} 确认了另一端的 SYN：同时打开时双方各自确认另一端的 SYN",
        see: "9293 3.5"
    }
    initial_number_chosen(seq) {
        en: "{seq} comes from a clock and a keyed hash of both addresses and ports, so an attacker cannot predict it",
        zh: "{seq} 由时钟加上双方地址和端口的带密钥散列得出，攻击者无法预测",
        see: "6528 3"
    }

    teardown_first(who, other, fin) {
        en: "teardown 1 of 4 (FIN): the {who} closes first (active close); its FIN, number {fin}, ends the data from {who} to {other}",
        zh: "第一次挥手：{who}主动关闭，发送 FIN=1，序号 {fin}，用来关闭{who}到{other}的数据传送，进入 FIN-WAIT-1 状态",
        see: "9293 3.6"
    }
    teardown_second(who, fin, ack) {
        en: "teardown 2 of 4 (ACK): the {who} (passive close) acknowledges the FIN (ack {ack} = {fin} + 1); it may still send data",
        zh: "第二次挥手：{who}被动关闭，收到 FIN 后发送 ACK=1，确认序号 ack={fin}+1={ack}，进入 CLOSE-WAIT 状态；此时仍能发送数据",
        see: "9293 3.6"
    }
    teardown_third(who, other, fin) {
        en: "teardown 3 of 4 (FIN): the {who} closes too; its FIN, number {fin}, ends the data from {who} to {other}",
        zh: "第三次挥手：{who}发送 FIN=1，序号 {fin}，用来关闭{who}到{other}的数据传送，进入 LAST-ACK 状态",
        see: "9293 3.6"
    }
    teardown_second_and_third(who, other, theirs, ack, fin) {
        en: "teardown 2 and 3 of 4 in one segment: the {who} acknowledges the FIN (ack {ack} = {theirs} + 1), and its own FIN, number {fin}, ends the data from {who} to {other}",
        zh: "第二次挥手和第三次挥手合在一个报文段里：{who}用 ack={theirs}+1={ack} 确认 FIN，同时发送 FIN=1，序号 {fin}，关闭{who}到{other}的数据传送，进入 LAST-ACK 状态",
        see: "9293 3.6"
    }
    teardown_fourth(who, other, fin, ack) {
        en: "teardown 4 of 4 (ACK): the {who} acknowledges the FIN (ack {ack} = {fin} + 1) and waits in TIME-WAIT; once this arrives, the {other} is done",
        zh: "第四次挥手：{who}收到 FIN 后进入 TIME-WAIT 状态，发送 ACK=1，确认序号 ack={fin}+1={ack}；{other}收到后进入 CLOSED 状态，完成四次挥手",
        see: "9293 3.6"
    }
    teardown_crossed(who, fin) {
        en: "the FIN of the {who}, number {fin}, crosses the other one: both ends close at the same time",
        zh: "{who}的 FIN（序号 {fin}）与另一端的 FIN 在途中相遇（交叉）：双方同时关闭",
        see: "9293 3.6"
    }
    teardown_acknowledged(who, fin, ack) {
        en: "the {who} acknowledges the other FIN (ack {ack} = {fin} + 1)",
        zh: "{who}收到了另一端的 FIN（序号 {fin}），用 ack={fin}+1={ack} 确认",
        see: "9293 3.6"
    }
}
