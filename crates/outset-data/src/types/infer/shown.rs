//! Values and quantities as reasons show them.

use crate::table::number_text;

/// `1 value`, `7 values`.
pub(super) fn quantity(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// `2 values, a or b` for a few, `7 values` for more.
pub(super) fn listed(values: Vec<String>) -> String {
    let count = quantity(values.len(), "value");
    if values.len() > 3 {
        return count;
    }
    let quoted: Vec<String> = values.iter().map(|value| format!("`{}`", shorten(value))).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{count}, {} or {last}", rest.join(", ")),
        _ => count,
    }
}

/// A number with at most six digits that count.
pub(super) fn shown(value: f64) -> String {
    let whole = value.fract() == 0.0 && value.abs() < 1e15;
    let rounded: f64 = if whole { value } else { format!("{value:.5e}").parse().unwrap_or(value) };
    let plain = rounded == 0.0 || (1e-4..1e15).contains(&rounded.abs());
    if plain { number_text(rounded) } else { format!("{rounded:e}") }
}

/// The first thirty characters.
pub(super) fn shorten(value: &str) -> String {
    match value.char_indices().nth(30) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_to_show() {
        for (value, expected) in [
            (0.0, "0"),
            (-4.079999923706056, "-4.08"),
            (1e20, "1e20"),
            (1.234e-7, "1.234e-7"),
            (500001.0, "500001"),
        ] {
            assert_eq!(shown(value), expected);
        }
    }
}
