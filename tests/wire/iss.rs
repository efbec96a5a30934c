//! Initial sequence numbers as somebody sees them who tries to foresee the next one (RFC 6528; RFC 9293, section 3.4.1): a
//! thousand in a row, over IPv4 and IPv6, and a thousand more after a restart with the same options.

use std::collections::HashSet;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::besieged::{Attackers, TARGETS};
use crate::live::{Router, Running};
use crate::peer::{ECHO, Target};

const COUNT: usize = 1_000;
/// Chi-squared with 15 degrees of freedom is larger once in a hundred million times.
const UNLIKELY: f64 = 72.0;

/// With room for all handshakes, and with room for none, where the numbers are SYN cookies.
pub(crate) fn foresee() {
    let mut router = Some(Router::new(Target::Tcplab));
    for backlog in ["4000", "0"] {
        let [first, second] = [(); 2].map(|()| {
            let (numbers, back) = collect(router.take().unwrap(), backlog);
            router = Some(back);
            numbers
        });
        for (version, (first, second)) in first.iter().zip(&second).enumerate() {
            let what = format!("backlog {backlog}, to {}", TARGETS[version]);
            judge(&what, first);
            judge(&format!("{what} after a restart"), second);
            // The same endpoints meet other numbers, and what lies between the two says nothing.
            let moved: Vec<u32> = pairs(first, second)
                .map(|(a, b)| b.wrapping_sub(a))
                .collect();
            uniform(&format!("{what}: from one run to the next"), &moved);
        }
    }
}

/// What the target sends to peers whose ports follow each other, by version.
fn collect(router: Router, backlog: &str) -> ([Vec<u32>; 2], Router) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcplab"));
    command.args(["serve", "--quiet", "--tun", "t0", "--backlog", backlog]);
    for address in crate::TARGETS {
        command.args(["--addr", address]);
    }
    let _running = Running::start(&mut command);
    let mut attackers = Attackers::new(router);
    let mut missing: Vec<u32> = (0..2 * COUNT as u32).collect();
    let since = Instant::now();
    while !missing.is_empty() {
        assert!(since.elapsed() < Duration::from_secs(20), "{missing:?}");
        for number in missing.iter().take(40) {
            attackers.syn(*number, ECHO, 60_000);
        }
        attackers.listen(Duration::from_millis(30));
        missing.retain(|number| attackers.iss(*number, ECHO).is_none());
    }
    let numbers = [0, 1].map(|version| {
        let all = (0..COUNT as u32).map(|number| attackers.iss(2 * number + version, ECHO));
        all.map(Option::unwrap).collect()
    });
    (numbers, attackers.into_router())
}

fn judge(what: &str, numbers: &[u32]) {
    assert_eq!(numbers.len(), COUNT);
    let distinct: HashSet<u32> = numbers.iter().copied().collect();
    // One pair in ten thousand runs is chance.
    assert!(distinct.len() >= COUNT - 1, "{what}: numbers come again");
    uniform(what, numbers);
    let next = || pairs(numbers, &numbers[1..]);
    let steps: Vec<u32> = next().map(|(a, b)| b.wrapping_sub(a)).collect();
    uniform(&format!("{what}: steps"), &steps);
    let bits: Vec<u32> = next().map(|(a, b)| a ^ b).collect();
    uniform(&format!("{what}: bits that change"), &bits);
    let bends: Vec<u32> = pairs(&steps, &steps[1..])
        .map(|(a, b)| b.wrapping_sub(a))
        .collect();
    uniform(&format!("{what}: steps of steps"), &bends);
    // A straight line through the last two does not come near the next, nor does the last one.
    let near = |distance: &&u32| distance.wrapping_add(1 << 15) < 1 << 16;
    assert!(steps.iter().filter(near).count() <= 2, "{what}: near steps");
    assert!(bends.iter().filter(near).count() <= 2, "{what}: near lines");
}

fn pairs<'a>(one: &'a [u32], other: &'a [u32]) -> impl Iterator<Item = (u32, u32)> + 'a {
    one.iter().copied().zip(other.iter().copied())
}

/// Each four bits have each of their values about as often, and each bit is set about half the time.
fn uniform(what: &str, numbers: &[u32]) {
    let expected = numbers.len() as f64 / 16.0;
    for shift in (0..32).step_by(4) {
        let mut counts = [0_u32; 16];
        for number in numbers {
            counts[(number >> shift & 15) as usize] += 1;
        }
        let terms = counts.map(|count| (f64::from(count) - expected).powi(2) / expected);
        let chi: f64 = terms.iter().sum();
        assert!(
            chi < UNLIKELY,
            "{what}, bits from {shift} on: {chi} of {counts:?}"
        );
    }
}
