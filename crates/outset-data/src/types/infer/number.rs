//! What a column of numbers seems to hold.

use super::shown::shown;
use super::{FEW_ROWS, Guess, Inferred};
use crate::table::number_text;

/// What the numbers of a column are like.
pub(super) struct Numbers {
    present: usize,
    missing: usize,
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) whole: bool,
    /// Whether each is larger than the one before.
    rising: bool,
    /// The different values, sorted, as long as they are few; else as many as it took to see that.
    pub(super) distinct: Vec<f64>,
    all_different: bool,
}

impl Numbers {
    /// Looks at the cells; `None` if none holds a value.
    pub(super) fn of(values: &[f64], rows: &[u32]) -> Option<Self> {
        const FEW: usize = 60;
        let mut present: Vec<f64> =
            rows.iter().map(|row| values[*row as usize]).filter(|value| !value.is_nan()).collect();
        let rising = present.windows(2).all(|pair| pair[0] < pair[1]);
        let whole = present.iter().all(|value| value.fract() == 0.0);
        let count = present.len();
        if count == 0 {
            return None;
        }
        let low = present.iter().copied().fold(f64::INFINITY, f64::min);
        let high = present.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // Only whole numbers can be ids, so only they are sorted in full.
        if !whole {
            present.truncate(10_000);
        }
        present.sort_unstable_by(f64::total_cmp);
        let all_different = present.windows(2).all(|pair| pair[0] != pair[1]);
        present.dedup();
        present.truncate(FEW);
        Some(Self {
            present: count,
            missing: rows.len() - count,
            low,
            high,
            whole,
            rising,
            distinct: present,
            all_different,
        })
    }

    pub(super) fn used(&self) -> Guess {
        let (low, high) = (shown(self.low), shown(self.high));
        let reason = match self.distinct.len() {
            2 if self.present > 2 => format!("numbers, {low} or {high}"),
            _ if self.whole => format!("whole numbers from {low} to {high}"),
            _ => format!("numbers from {low} to {high}"),
        };
        Guess::Use(Inferred { kind: "number", reason })
    }
}

pub(super) fn infer_number(name: &str, values: &[f64], rows: &[u32]) -> Guess {
    let Some(numbers) = Numbers::of(values, rows) else {
        return Guess::LeaveOut("no row holds a value".to_owned());
    };
    if numbers.low == numbers.high {
        let value = number_text(numbers.low);
        return if numbers.missing == 0 {
            Guess::LeaveOut(format!("constant: every row holds `{value}`"))
        } else {
            Guess::Use(Inferred { kind: "category", reason: format!("`{value}` or nothing") })
        };
    }
    let (count, range) = (numbers.present as f64, numbers.high - numbers.low + 1.0);
    if numbers.whole && numbers.all_different && numbers.present >= FEW_ROWS {
        if range == count {
            let (low, high) = (number_text(numbers.low), number_text(numbers.high));
            return Guess::LeaveOut(format!("an id: it numbers the rows from {low} to {high}"));
        }
        if numbers.rising {
            return Guess::LeaveOut("an id: it counts up from row to row".to_owned());
        }
        // Drawn at random from such a range, some of so many numbers would be equal, save once in 20,000 times.
        if count * count / (2.0 * range) > 10.0 || is_id_name(name) {
            return Guess::LeaveOut("an id: every row has another whole number".to_owned());
        }
    }
    numbers.used()
}

/// Names that say that a column identifies rows.
fn is_id_name(name: &str) -> bool {
    let lower = name.to_lowercase();
    ["id", "uuid", "guid", "index", "row", "key"].contains(&lower.as_str())
        || lower.starts_with("unnamed")
        || lower.ends_with("_id")
        || lower.ends_with(" id")
        || (name.ends_with("Id") || name.ends_with("ID")) && name.len() > 2
}
