//! The quiz: questions, verdicts, and the score.

labels! {
    quiz_begins(help, leave) {
        en: "Before each segment and each change of state you are asked what it will be. Numbers count from the initial ones. Enter alone shows the answer, {help} tells what can be typed, {leave} leaves the quiz.",
        zh: "每个报文段、每次状态变化出现之前，请先预测。序号从初始序号数起。直接按 Enter 显示答案，{help} 查看写法，{leave} 退出测验。"
    }
    quiz_help_segment() {
        en: "flags as SYN-ACK, SA or S. ; then seq and ack: SA 0 1. PSH does not count.",
        zh: "标志位可写作 SYN-ACK、SA 或 S. ，后面是 seq 和 ack：SA 0 1。PSH 不计。"
    }
    quiz_help_state() {
        en: "a state as RFC 9293 names it, such as SYN-RECEIVED; SYN_RCVD and FIN_WAIT_1 are as good.",
        zh: "状态写作 RFC 9293 中的名称，如 SYN-RECEIVED；SYN_RCVD、FIN_WAIT_1 等写法同样可以。"
    }
    quiz_segment(id, from, to) { en: "Segment {id} from {from} to {to}", zh: "报文段 {id}，{from}发往{to}" }
    quiz_with_data(what, bytes) { en: "{what}, with {bytes} of data", zh: "{what}，含 {bytes}数据" }
    quiz_asks_all(what) { en: "{what}: flags, seq, ack? ", zh: "{what}：标志位、seq、ack？" }
    quiz_asks_flags() { en: "flags? ", zh: "标志位？" }
    quiz_asks_seq() { en: "seq? ", zh: "seq？" }
    quiz_asks_ack() { en: "ack? ", zh: "ack？" }
    quiz_asks_state(who, from, cause) {
        en: "{who} is in {from}. Cause: {cause}. Next state? ",
        zh: "{who}处于 {from}，原因：{cause}。下一个状态？"
    }
    quiz_right(what) { en: "right: {what}", zh: "对：{what}" }
    quiz_wrong(what) { en: "wrong: {what}", zh: "错：{what}" }
    quiz_instead(what, said) { en: "{what}, not {said}", zh: "应为 {what}，不是 {said}" }
    quiz_shown(what) { en: "answer: {what}", zh: "答案：{what}" }
    quiz_no_ack() { en: "no ack", zh: "没有 ack" }
    quiz_unclear(what) { en: "{what} can't be read here: ", zh: "这里读不懂 {what}：" }
    quiz_over() {
        en: "The quiz is over; what follows is only shown.",
        zh: "测验结束，以下只作显示。"
    }
    quiz_score(right, all) { en: "Quiz: {right} of {all} right", zh: "测验：{all} 题中答对 {right} 题" }
    quiz_score_shown(count) { en: "{count} shown", zh: "看答案 {count} 题" }
    quiz_score_none() { en: "Quiz: no question was answered", zh: "测验：没有回答任何问题" }
    quiz_of_segment(id, what) { en: "segment {id}: {what}", zh: "报文段 {id}：{what}" }
    quiz_of_state(from, what) { en: "after {from}: {what}", zh: "{from} 之后：{what}" }
}
