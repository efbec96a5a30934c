//! The catalogue of faults in words.

mod zh;

use super::Lang;
use crate::fault::catalogue::{Fault, Group, Outcome};

labels! {
    faults_head(count) { en: "{count} faults, each with its own name and addresses: connect there and you get that fault.", zh: "共 {count} 种故障，每种都有自己的名字和地址：连接到那里，就会遇到它。" }
    faults_foot(command) { en: "`{command}` shows one of them in full.", zh: "“{command}”详细说明其中一种。" }
    no_room(count, networks, options) { en: "{count} of them have no address of one family or the other, as these networks are too small: {networks}. Choose others with {options}.", zh: "其中 {count} 种缺少某一类地址，因为网络太小（{networks}）。可用 {options} 另选网络。" }
    left_out() { en: "none: the networks are too small", zh: "无：网络太小" }
    connecting() { en: "connecting", zh: "建立连接" }
    talking() { en: "talking", zh: "传送数据" }
    closing() { en: "closing", zh: "关闭连接" }
    fault_host() { en: "where", zh: "地址" }
    fault_rules() { en: "rules", zh: "规则" }
    fault_happens() { en: "what happens", zh: "发生什么" }
    fault_client() { en: "a good client", zh: "正确的客户端应当" }
    fault_http() { en: "over HTTP", zh: "HTTP 请求" }
    fault_source() { en: "see", zh: "参见" }
    fault_try() { en: "try", zh: "试一试" }
    fault_anywhere() { en: "anywhere", zh: "用于任何地址" }
    http_answers(seconds) { en: "answered, within {seconds} s", zh: "得到应答，最迟 {seconds} 秒之后" }
    http_fails(seconds) { en: "fails, within {seconds} s", zh: "失败，最迟 {seconds} 秒之后" }
    http_either(seconds) { en: "answered or failed, within {seconds} s", zh: "得到应答或失败都对，最迟 {seconds} 秒之后" }
    http_own_limit() { en: "fails, when the client's own timeout expires", zh: "在客户端自己的超时时间到期后失败" }
}

/// What is said of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) title: &'static str,
    pub(crate) happens: &'static str,
    pub(crate) client: &'static str,
}

impl Lang {
    /// What a fault is, what happens, what a good client does.
    pub(crate) fn fault(self, fault: &Fault) -> Told {
        let english = Told {
            title: fault.title,
            happens: fault.happens,
            client: fault.client,
        };
        match self {
            Lang::En => english,
            Lang::Zh => zh::told(fault.name).unwrap_or(english),
        }
    }

    /// When faults strike.
    pub(crate) fn group(self, group: Group) -> String {
        match group {
            Group::Connecting => self.connecting(),
            Group::Talking => self.talking(),
            Group::Closing => self.closing(),
        }
    }

    /// What comes of a request over HTTP.
    pub(crate) fn expectation(self, fault: &Fault) -> String {
        let Some(within) = fault.expected.within else {
            return self.http_own_limit();
        };
        let seconds = within.secs();
        match fault.expected.outcome {
            Outcome::Answers => self.http_answers(seconds),
            Outcome::Fails => self.http_fails(seconds),
            Outcome::Either => self.http_either(seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::catalogue::faults;

    #[test]
    fn every_fault_is_told_in_chinese() {
        let names: Vec<_> = faults().map(|fault| fault.name).collect();
        let told: Vec<_> = zh::FAULTS.iter().map(|(name, ..)| *name).collect();
        assert_eq!(told, names);
        for fault in faults() {
            let Told {
                title,
                happens,
                client,
            } = Lang::Zh.fault(fault);
            for text in [happens, client] {
                assert!(text.ends_with('。'), "{text}");
            }
            let chinese = |text: &str| text.chars().any(|letter| letter > '\u{4e00}');
            assert!(chinese(title) && !title.ends_with('。'), "{title}");
        }
    }
}
