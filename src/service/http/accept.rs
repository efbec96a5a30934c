//! Which form of a page a client prefers (RFC 9110, section 12.5.1).

/// Whether a client with this Accept field prefers HTML to plain text.
///
/// Where it values both the same, as curl's `*/*` does, or does not say, it gets plain text.
pub(super) fn prefers_html(accept: &str) -> bool {
    quality(accept, "html") > quality(accept, "plain")
}

/// The weight of `text/SUBTYPE` in thousandths, as the most specific range that matches gives it; 0 where none does.
fn quality(accept: &str, subtype: &str) -> u16 {
    let mut best = (0, 0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let Some((kind, sub)) = parts.next().and_then(|range| range.split_once('/')) else {
            continue;
        };
        let specificity = match (kind, sub) {
            ("*", "*") => 1,
            (kind, "*") if kind.eq_ignore_ascii_case("text") => 2,
            (kind, sub)
                if kind.eq_ignore_ascii_case("text") && sub.eq_ignore_ascii_case(subtype) =>
            {
                3
            }
            _ => continue,
        };
        let weight = parts
            .find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")))
            .map_or(Some(1000), thousandths);
        if let Some(weight) = weight {
            best = best.max((specificity, weight));
        }
    }
    best.1
}

/// A weight as RFC 9110, section 12.4.2, writes it: 0 to 1, at most three digits after the point.
fn thousandths(weight: &str) -> Option<u16> {
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction: u16 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_only_for_those_who_prefer_it() {
        #[track_caller]
        fn check(accept: &str, expected: bool) {
            assert_eq!(prefers_html(accept), expected, "{accept:?}");
        }
        check("", false);
        check("*/*", false);
        check("text/*", false);
        check("text/html", true);
        check("TEXT/HTML", true);
        check("text/plain", false);
        check("text/html,text/plain", false);
        check("text/html;q=0.9, text/plain;q=0.8", true);
        check("text/html;q=0.8, text/plain", false);
        check("text/html;q=0", false);
        check("text/html;q=0, */*", false);
        check("text/html;q=0.3, */*;q=0.2", true);
        check("text/html;q=0.001, text/plain;q=0", true);
        check("text/*;q=0.5, text/plain;q=0.1", true);
        check("text/plain;q=0.5, */*", true);
        check("text/html;level=1;q=0.7, */*;q=0.5", true);
        check("application/json", false);
        // What Firefox and Chrome send.
        check(
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            true,
        );
        check(
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
            true,
        );
    }

    #[test]
    fn ranges_that_are_none_count_for_nothing() {
        for accept in [
            "text",
            ",,;;",
            "text/html;q=2",
            "text/html;q=0.1234",
            "text/html;q=",
            "text/html;q=é",
        ] {
            assert!(!prefers_html(accept), "{accept:?}");
        }
    }
}
