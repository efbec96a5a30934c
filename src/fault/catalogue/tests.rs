use super::*;
use std::collections::BTreeSet;

#[test]
fn every_rule_can_be_read_and_is_about_something() {
    for fault in faults() {
        assert!(!fault.rules.is_empty(), "{}", fault.name);
        for text in fault.rules {
            let rule: Result<Rule, _> = text.parse();
            let rule = rule.unwrap_or_else(|error| panic!("{}: {error}", fault.name));
            assert_eq!(
                (rule.text.as_str(), rule.to_string().as_str()),
                (*text, *text)
            );
            assert_eq!(rule.scope, Default::default(), "the address is the scope");
        }
        assert_eq!(fault.parsed().count(), fault.rules.len());
    }
}

#[test]
fn names_and_hosts_are_one_faults_alone() {
    assert!(faults().count() >= 40);
    let names: BTreeSet<_> = faults().map(|fault| fault.name).collect();
    assert_eq!(names.len(), faults().count());
    let hosts: Vec<_> = faults().map(|fault| fault.host).collect();
    assert!(hosts.is_sorted_by(|one, next| one < next), "{hosts:?}");
    assert!(hosts.iter().all(|host| (10..100).contains(host)));
    for group in Group::ALL {
        assert!(group.faults().iter().all(|fault| fault.group() == group));
    }
}

#[test]
fn every_fault_is_told_in_sentences() {
    for fault in faults() {
        let label = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
        assert!(fault.name.split('-').all(|part| part.chars().all(label)));
        assert!(fault.title.len() <= 50 && !fault.title.ends_with('.'));
        for sentences in [fault.happens, fault.client] {
            assert!(sentences.ends_with('.'), "{}", fault.name);
            assert!(!sentences.contains("  "), "{}: {sentences}", fault.name);
        }
    }
}

#[test]
fn addresses_lie_inside_the_network() {
    #[track_caller]
    fn check(network: &str, host: u8, expected: Option<&str>) {
        let fault = Fault {
            host,
            ..*find("blackhole").unwrap()
        };
        let found = fault.address_in(network.parse().unwrap());
        assert_eq!(
            found.map(|address| address.to_string()).as_deref(),
            expected
        );
    }
    check("192.0.2.2/24", 10, Some("192.0.2.10"));
    check("192.0.2.200/24", 79, Some("192.0.2.79"));
    check("192.0.2.129/25", 18, Some("192.0.2.146"));
    check("198.51.100.2/28", 14, Some("198.51.100.14"));
    check("198.51.100.2/28", 15, None);
    check("198.51.100.2/28", 16, None);
    check("192.0.2.2/31", 10, None);
    check("192.0.2.2/32", 10, None);
    check("10.1.2.3/8", 44, Some("10.0.0.44"));
    check("10.1.2.3/0", 44, Some("0.0.0.44"));
    check("2001:db8::2/64", 18, Some("2001:db8::18"));
    check("2001:db8::2/123", 19, Some("2001:db8::19"));
    check("2001:db8::2/123", 20, None);
    check("2001:db8::2/128", 10, None);
    check("::/0", 10, Some("::10"));
}

#[test]
fn our_own_address_is_no_faults() {
    let own = [
        "192.0.2.10/24".parse().unwrap(),
        "2001:db8::2/64".parse().unwrap(),
    ];
    let of = |name| {
        let (_, addresses) = addressed(&own)
            .find(|(fault, _)| fault.name == name)
            .unwrap();
        addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>()
    };
    assert_eq!(of("blackhole"), ["2001:db8::10"]);
    assert_eq!(of("refuse"), ["192.0.2.11", "2001:db8::11"]);
}

#[test]
fn every_address_has_its_rules() {
    let own = [
        "192.0.2.2/24".parse().unwrap(),
        "2001:db8::2/64".parse().unwrap(),
    ];
    let mut rules = RuleSet::new();
    add_to(&mut rules, &own);
    for (fault, addresses) in addressed(&own) {
        assert_eq!(addresses.len(), 2);
        for address in addresses {
            let asked = rules.asked(address);
            let texts: Vec<_> = asked.map(|(_, rule)| rule.text.as_str()).collect();
            assert_eq!(texts, fault.rules);
        }
    }
    assert_eq!(rules.asked("192.0.2.2".parse().unwrap()).count(), 0);
}

#[test]
fn a_name_that_is_none_has_neighbours() {
    #[track_caller]
    fn check(name: &str, expected: &[&str]) {
        assert_eq!(nearest(name), expected);
    }
    check("blackhle", &["blackhole"]);
    check(
        "synack-lost-4",
        &["synack-lost-1", "synack-lost-2", "synack-lost-3"],
    );
    check("window", &["tiny-window", "zero-window", "zero-window-3s"]);
    check("REFUSE", &["refuse"]);
    check(" rst_mid data", &["rst-mid-data"]);
    check("xyzzy", &[]);
}
