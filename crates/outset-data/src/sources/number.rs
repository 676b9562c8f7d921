//! Cell texts as numbers.

/// What a cell is, seen as a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Parsed {
    /// A number without a decimal mark.
    Whole(f64),
    /// A number with a decimal point.
    Point(f64),
    /// A number with a decimal comma; `sure` unless the comma could part thousands, as in `1,234`.
    Comma { value: f64, sure: bool },
    /// `inf` in any spelling, or a number too large for 64 bits.
    Infinite,
    /// Anything else, also an integer whose digits a number would not keep: `02139`, `9007199254740993`.
    Text,
}

/// Powers of ten that 64-bit floats hold exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// Largest integer below which 64-bit floats hold every one.
const EXACT: u64 = 1 << 53;

/// Removes spaces, tabs and line ends on both sides.
pub(super) fn trim(cell: &[u8]) -> &[u8] {
    match (cell.first(), cell.last()) {
        (Some(first), Some(last)) if *first > b' ' && *last > b' ' => cell,
        _ => cell.trim_ascii(),
    }
}

/// Reads a trimmed cell; a comma is a decimal mark only where `commas` says so.
pub(super) fn parse(cell: &[u8], commas: bool) -> Parsed {
    let (negative, digits) = match cell {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let mut mantissa = 0;
    let whole = take_digits(digits, &mut mantissa);
    let mark = match digits.get(whole) {
        Some(b'.') => Some(b'.'),
        Some(b',') if commas => Some(b','),
        _ => None,
    };
    let behind = &digits[whole + usize::from(mark.is_some())..];
    let fraction = if mark.is_some() { take_digits(behind, &mut mantissa) } else { 0 };
    let rest = &behind[fraction..];
    if whole + fraction == 0 {
        return if is_infinity(digits) { Parsed::Infinite } else { Parsed::Text };
    }
    let mut exponent = 0i32;
    let scientific = matches!(rest, [b'e' | b'E', ..]);
    if scientific {
        match std::str::from_utf8(&rest[1..]).ok().and_then(read_exponent) {
            Some(found) => exponent = found,
            None => return Parsed::Text,
        }
    } else if !rest.is_empty() {
        return Parsed::Text;
    }
    if mark.is_none() && whole > 1 && digits[0] == b'0' {
        return Parsed::Text;
    }
    let power = i64::from(exponent) - fraction as i64;
    let value = if whole + fraction <= 19 && mantissa <= EXACT && power.unsigned_abs() <= 22 {
        let power_of_ten = POWERS[power.unsigned_abs() as usize];
        if power < 0 { mantissa as f64 / power_of_ten } else { mantissa as f64 * power_of_ten }
    } else {
        let text: String =
            digits.iter().map(|byte| if *byte == b',' { '.' } else { *byte as char }).collect();
        let value: f64 = text.parse().unwrap_or(f64::INFINITY);
        if mark.is_none() && !scientific && value.is_finite() && value.to_string() != text {
            return Parsed::Text;
        }
        value
    };
    let value = if negative { -value } else { value };
    match mark {
        _ if !value.is_finite() => Parsed::Infinite,
        None => Parsed::Whole(value),
        Some(b',') => {
            let thousands = fraction == 3 && (1..=3).contains(&whole) && digits[0] != b'0' && !scientific;
            Parsed::Comma { value, sure: !thousands }
        }
        Some(_) => Parsed::Point(value),
    }
}

/// Appends the leading digits to a number and counts them; with twenty and more the number overflows.
#[inline]
fn take_digits(text: &[u8], number: &mut u64) -> usize {
    let mut count = 0;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        *number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
        count += 1;
    }
    count
}

/// Reads the digits behind `e`; more than a float can hold count as very large.
fn read_exponent(text: &str) -> Option<i32> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let size = digits.parse().unwrap_or(99_999).min(99_999);
    Some(if text.starts_with('-') { -size } else { size })
}

fn is_infinity(text: &[u8]) -> bool {
    text.eq_ignore_ascii_case(b"inf") || text.eq_ignore_ascii_case(b"infinity")
}

#[cfg(test)]
mod tests {
    use super::Parsed::{Comma, Infinite, Point, Text, Whole};
    use super::*;

    fn check(cell: &str, expected: Parsed) {
        assert_eq!(parse(cell.as_bytes(), true), expected, "{cell}");
    }

    #[test]
    fn numbers() {
        check("0", Whole(0.0));
        check("-17", Whole(-17.0));
        check("+17", Whole(17.0));
        check("3.25", Point(3.25));
        check(".5", Point(0.5));
        check("5.", Point(5.0));
        check("1e3", Whole(1000.0));
        check("1.5E-7", Point(1.5e-7));
        check("31.202319999999996", Point(31.202319999999996));
        check("0.1234567890123456789012345", Point(0.123_456_789_012_345_68));
        check("1e-400", Whole(0.0));
        check("100000000000000000000", Whole(1e20));
        check("3,25", Comma { value: 3.25, sure: true });
        check("0,125", Comma { value: 0.125, sure: true });
        check("1,234", Comma { value: 1.234, sure: false });
        assert_eq!(parse(b"3,14", false), Text);
    }

    #[test]
    fn texts() {
        for cell in [
            "", "-", ".", "e5", "1e", "1e+", "1 2", "1.2.3", "1,2,3", "1.234,5", "0x1F", "1_000", "NaN",
            "--1", "5%",
        ] {
            check(cell, Text);
        }
        for digits_lost in ["02139", "00", "-007", "9007199254740993", "12345678901234567890123"] {
            check(digits_lost, Text);
        }
    }

    #[test]
    fn infinities() {
        for cell in ["inf", "-Inf", "+INFINITY", "Infinity", "1e309", "-1e99999999999"] {
            check(cell, Infinite);
        }
    }

    #[test]
    fn the_fast_way_agrees_with_the_standard_library() {
        let mut state = 42u64;
        for _ in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let digits = state >> (8 + state % 50);
            let text = format!("{digits}.{}e{}", state % 1000, (state >> 20) as i64 % 40 - 20);
            check(&text, Point(text.parse().unwrap()));
        }
    }
}
