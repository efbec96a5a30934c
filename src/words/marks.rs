//! What the link has done to a packet, in a few words: marks on ladders, and the list of rules.

labels! {
    by_rule(number) { en: "rule {number}", zh: "规则 {number}" }
    by_hand() { en: "by hand", zh: "手动" }
    which_packet(id, what) { en: "packet {id}: {what}", zh: "第 {id} 个包：{what}" }
    dropped_by(who) { en: "dropped ({who})", zh: "途中丢弃（{who}）" }
    held_back(time, who) { en: "held back {time} ({who})", zh: "推迟 {time}（{who}）" }
    held_by(who) { en: "held ({who})", zh: "扣住（{who}）" }
    crosses(times, who) { en: "{times} ({who})", zh: "{times}（{who}）" }
    rewritten_by(who) { en: "rewritten ({who})", zh: "被改写（{who}）" }
    made_by_rule(number) { en: "made by rule {number}", zh: "由规则 {number} 伪造" }
    made_by_hand() { en: "made by hand", zh: "手动伪造" }
    folded_into(id) { en: "a copy of packet {id}, folded into it", zh: "第 {id} 个包的副本，已并入" }
    all_folded_into(id) { en: "copies of packet {id}, folded into it", zh: "都是第 {id} 个包的副本，已并入" }
    meant(what) { en: "meant: {what}", zh: "原本是：{what}" }
    waited(time) { en: "after {time}", zh: "等待 {time} 之后" }

    // The list of rules.
    rules() { en: "rules", zh: "规则" }
    rule_text(number, text) { en: "rule {number}: {text}", zh: "规则 {number}：{text}" }
    some_forged(count) { en: "{count} made by rules", zh: "由规则伪造 {count} 个" }
    some_dropped(count) { en: "{count} dropped", zh: "途中丢弃 {count} 个" }
}
