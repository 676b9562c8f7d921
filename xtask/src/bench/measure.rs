//! Numbers of several rounds, and how they compare with a goal and a twin.

use super::document;

/// A figure of Outset beside its twin's.
pub struct Comparison {
    pub what: String,
    pub outset: f64,
    /// The same figure of the twin, where there is one.
    pub twin: Option<f64>,
    pub unit: Unit,
    pub goal: Goal,
}

/// How a figure is written; whether more is better follows from it.
#[derive(Clone, Copy, PartialEq)]
pub enum Unit {
    Seconds,
    Milliseconds,
    Mebibytes,
    PerSecond,
}

/// What a figure has to reach.
#[derive(Clone, Copy)]
pub enum Goal {
    /// So many times better than the twin.
    Times(f64),
    /// At most so much, in the figure's unit.
    AtMost(f64),
    None,
}

impl Unit {
    fn write(self, value: f64) -> String {
        let digits = match value.abs() {
            100.0.. => 0,
            10.0.. => 1,
            1.0.. => 2,
            _ => 3,
        };
        let unit = match self {
            Self::Seconds => "s",
            Self::Milliseconds => "ms",
            Self::Mebibytes => "MiB",
            Self::PerSecond => "/s",
        };
        format!("{value:.digits$} {unit}")
    }
}

impl Comparison {
    /// How many times better Outset is than its twin.
    fn times(&self) -> Option<f64> {
        let twin = self.twin?;
        Some(if self.unit == Unit::PerSecond { self.outset / twin } else { twin / self.outset })
    }

    fn row(&self) -> Vec<String> {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        let (goal, reached) = match self.goal {
            Goal::Times(times) => {
                (Some(format!("{times} times")), self.times().map(|reached| reached >= times))
            }
            Goal::AtMost(most) => {
                (Some(format!("at most {}", self.unit.write(most))), Some(self.outset <= most))
            }
            Goal::None => (None, None),
        };
        vec![
            self.what.clone(),
            self.unit.write(self.outset),
            or_dash(self.twin.map(|twin| self.unit.write(twin))),
            or_dash(self.times().map(|times| format!("{times:.1} times"))),
            or_dash(goal),
            or_dash(reached.map(|reached| if reached { "yes" } else { "no" }.to_owned())),
        ]
    }
}

/// All comparisons as a table.
pub fn table(comparisons: &[Comparison]) -> String {
    let rows: Vec<Vec<String>> = comparisons.iter().map(Comparison::row).collect();
    document::table(&["what", "Outset", "twin", "better by", "goal", "reached"], &rows)
}

/// The middle value, or the mean of the two in the middle; NaN of none.
pub fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    match sorted.len() {
        0 => f64::NAN,
        count => f64::midpoint(sorted[(count - 1) / 2], sorted[count / 2]),
    }
}

/// The smallest value that is not below the share `q` of all values; NaN of none.
pub fn quantile(values: &[f64], q: f64) -> f64 {
    let rank = (q * values.len() as f64).ceil() as usize;
    sorted(values).get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// Numbers with commas between them.
pub fn listed(numbers: impl Iterator<Item = u64>) -> String {
    numbers.map(|number| number.to_string()).collect::<Vec<_>>().join(", ")
}

/// Mean and standard deviation (of a sample; 0 of a single value).
pub fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, if values.len() > 1 { (squares / (count - 1.0)).sqrt() } else { 0.0 })
}

/// Bytes in MiB.
pub fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_quantiles() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(quantile(&hundred, 0.99), 99.0);
        assert_eq!(quantile(&[5.0], 0.99), 5.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn deviation_of_a_sample() {
        assert_eq!(mean_and_deviation(&[1.0, 3.0]), (2.0, 2.0f64.sqrt()));
        assert_eq!(mean_and_deviation(&[7.0]), (7.0, 0.0));
    }

    #[test]
    fn more_requests_and_fewer_seconds_are_better() {
        let comparison =
            |unit, goal| Comparison { what: "x".to_owned(), outset: 2.0, twin: Some(4.0), unit, goal };
        assert_eq!(comparison(Unit::Seconds, Goal::Times(2.0)).row()[3..], ["2.0 times", "2 times", "yes"]);
        assert_eq!(comparison(Unit::PerSecond, Goal::Times(2.0)).row()[3..], ["0.5 times", "2 times", "no"]);
        assert_eq!(comparison(Unit::Seconds, Goal::AtMost(1.0)).row()[4..], ["at most 1.00 s", "no"]);
    }
}
