//! Numbers as people read them.

/// Four significant digits, thousands separated: `0.9127`, `48,842`, `1.5e-7`.
pub fn number(value: f64) -> String {
    significant(value, 4)
}

/// `digits` significant digits, thousands separated; powers of ten beyond a million millions and below a ten-thousandth.
pub fn significant(value: f64, digits: i32) -> String {
    if value == 0.0 {
        return "0".into();
    }
    if !value.is_finite() {
        return if value.is_nan() {
            "–".into()
        } else {
            format!("{}∞", if value < 0.0 { "−" } else { "" })
        };
    }
    let exponent = value.abs().log10().floor() as i32;
    if !(-4..12).contains(&exponent) {
        let mantissa = format!("{value:.*e}", (digits - 1).max(0) as usize);
        let (head, tail) = mantissa.split_once('e').unwrap_or((&mantissa, "0"));
        return minus(&format!("{}e{tail}", trimmed(head)));
    }
    let decimals = (digits - 1 - exponent).max(0) as usize;
    let text = format!("{value:.decimals$}");
    // Rounding may add a digit before the point: 999.96 becomes 1000.0.
    let longer =
        text.trim_start_matches('-').split('.').next().map_or(0, str::len) as i32 > exponent.max(0) + 1;
    let text = if longer { format!("{value:.*}", decimals.saturating_sub(1)) } else { text };
    minus(&separated(trimmed(&text)))
}

/// A whole number, thousands separated.
pub fn count(value: u64) -> String {
    separated(&value.to_string())
}

/// A part of a whole: `12.5 %`.
pub fn percent(part: f64) -> String {
    let value = part * 100.0;
    let text = if value == 0.0 {
        "0".into()
    } else if value < 0.1 {
        "< 0.1".into()
    } else if value < 10.0 || (value > 99.0 && value < 100.0) {
        trimmed(&format!("{value:.1}")).to_owned()
    } else {
        format!("{value:.0}")
    };
    format!("{text} %")
}

/// A length of time: `48 ms`, `3.2 s`, `4 min 10 s`, `2 h 5 min`.
pub fn seconds(value: f64) -> String {
    if !value.is_finite() || value < 0.0 {
        return "–".into();
    }
    let whole = value.round() as u64;
    match value {
        _ if value < 0.9995 => format!("{} ms", significant(value * 1000.0, 3)),
        _ if value < 60.0 => format!("{} s", significant(value, 3)),
        _ if value < 3600.0 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", count(whole / 3600), whole % 3600 / 60),
    }
}

/// A size in memory or on disk: `812 B`, `3.4 MiB`.
pub fn bytes(value: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let power = (0..4).take_while(|power| value >> (10 * (power + 1)) > 0).count();
    let scaled = value as f64 / (1u64 << (10 * power)) as f64;
    format!("{} {}", significant(scaled, 3), units[power])
}

/// Shortens `text` to `limit` characters, the last being `…`.
pub fn shortened(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let kept: String = text.chars().take(limit.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// Drops zeros that end a fraction.
fn trimmed(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

fn minus(text: &str) -> String {
    text.replace('-', "−")
}

fn separated(text: &str) -> String {
    let (sign, text) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
    let mut out = sign.to_owned();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_four_digits_that_count() {
        let check = |value: f64, expected: &str| assert_eq!(number(value), expected);
        check(0.0, "0");
        check(0.912_749, "0.9127");
        check(48_842.0, "48,842");
        check(-1_234_567.8, "−1,234,568");
        check(999.96, "1,000");
        check(0.99999, "1");
        check(3.1, "3.1");
        check(1.5e-7, "1.5e−7");
        check(6.02e23, "6.02e23");
        check(f64::NAN, "–");
    }

    #[test]
    fn units_fit_the_size() {
        assert_eq!(seconds(0.0481), "48.1 ms");
        assert_eq!(seconds(3.21), "3.21 s");
        assert_eq!(seconds(250.0), "4 min 10 s");
        assert_eq!(seconds(7500.0), "2 h 5 min");
        assert_eq!(bytes(812), "812 B");
        assert_eq!(bytes(3_565_158), "3.4 MiB");
        assert_eq!(percent(0.125), "12 %");
        assert_eq!(percent(0.0625), "6.2 %");
        assert_eq!(shortened("健康状况良好", 4), "健康状…");
    }
}
