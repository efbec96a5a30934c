//! What is said of a defect that was contained.

labels! {
    defect() { en: "defect", zh: "缺陷" }
    defect_told(message) { en: "a defect in tcplab ends it: {message}", zh: "因 tcplab 的缺陷而终止：{message}" }
    defects_contained(count) { en: "defects in tcplab: {count}", zh: "tcplab 的缺陷：{count} 处" }
    defect_cost_flow(number, flow, ends) {
        en: "tcplab: defect {number}: a panic has cost the flow {flow}, {ends}; everything else goes on",
        zh: "tcplab：第 {number} 处缺陷：异常中止使流 {flow} 终止（{ends}）；其余一切照常"
    }
    defect_cost_open(number) {
        en: "tcplab: defect {number}: a panic has kept a flow from beginning; everything else goes on",
        zh: "tcplab：第 {number} 处缺陷：异常中止使一个流未能开始；其余一切照常"
    }
    defect_cost_packet(number) {
        en: "tcplab: defect {number}: a panic has cost a packet; everything else goes on",
        zh: "tcplab：第 {number} 处缺陷：异常中止使一个包丢失；其余一切照常"
    }
    defect_cost_work(number) {
        en: "tcplab: defect {number}: a panic has cut some work short; everything else goes on",
        zh: "tcplab：第 {number} 处缺陷：异常中止中断了一项工作；其余一切照常"
    }
    defect_at(location, message) { en: "at {location}: {message}", zh: "位于 {location}：{message}" }
    defect_somewhere(message) { en: "the message: {message}", zh: "消息：{message}" }
    during_packet() { en: "while a packet was being processed", zh: "当时正在处理一个包" }
    during_turn() { en: "while the flow was being driven", zh: "当时正在推进该流" }
    during_timer() { en: "while a timer was handled", zh: "当时正在处理定时器" }
    during_command() { en: "while a command was being carried out", zh: "当时正在执行命令" }
    during_open() { en: "while a flow was being opened", zh: "当时正在打开一个流" }
    during_upkeep() { en: "while resources were being released", zh: "当时正在释放资源" }
    defect_packets(count) {
        en: "the last packets before it (text2pcap reads these lines), {count}:",
        zh: "此前最后的包（可由 TEXT2PCAP 读取），{count}："
    }
    defect_packet(time, direction, size) { en: "# {time} {direction}, {size}", zh: "# {time} {direction}，{size}" }
    defect_report_it(version) {
        en: "Please report this to the makers of tcplab, with these lines and the version, {version}.",
        zh: "请把以上各行连同版本号 {version} 报告给 tcplab 的作者。"
    }
    more_defects(count) {
        en: "tcplab: {count} defects in all; of each place the first is printed above",
        zh: "tcplab：共 {count} 处缺陷；每个位置的第一处见上文"
    }
}
