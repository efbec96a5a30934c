//! How well two colours can be told apart, for tests of what is drawn in them.

/// The least for text, WCAG 2.2, success criterion 1.4.3.
pub(crate) const LEAST: f64 = 4.5;

/// The contrast ratio of two colours, each as `#rrggbb`, after WCAG 2.2, "contrast ratio".
pub(crate) fn contrast(one: &str, other: &str) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// WCAG 2.2, "relative luminance".
fn luminance(colour: &str) -> f64 {
    let part = |at: usize| {
        let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
        match value <= 0.04045 {
            true => value / 12.92,
            false => ((value + 0.055) / 1.055).powf(2.4),
        }
    };
    0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
}

/// The first value of `property` in a rule of `selector`, as `#rrggbb`, where `style` is CSS without nesting.
pub(crate) fn colour<'a>(style: &'a str, selector: &str, property: &str) -> &'a str {
    let rules = style.split('}').filter_map(|rule| rule.rsplit_once('{'));
    let values: Vec<&str> = rules
        .filter(|(selectors, _)| selectors.split(',').any(|one| one.trim() == selector))
        .flat_map(|(_, body)| body.split(';'))
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, _)| name.trim() == property)
        .map(|(_, value)| value.trim())
        .collect();
    values
        .first()
        .unwrap_or_else(|| panic!("no {property} of {selector} in {style}"))
}

#[test]
fn black_on_white_is_21_to_1() {
    assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 0.001);
    // WCAG 2.2, understanding 1.4.3: the lightest grey that is enough on white.
    assert!(contrast("#767676", "#ffffff") >= LEAST);
    assert!(contrast("#777777", "#ffffff") < LEAST);
}
