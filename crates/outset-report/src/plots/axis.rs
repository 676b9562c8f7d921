//! An axis: its range, its ticks and their labels.

use crate::format;

/// The range of values along one side of a chart.
#[derive(Clone, Debug)]
pub struct Axis {
    pub label: String,
    pub min: f64,
    pub max: f64,
    /// Equal steps multiply instead of adding.
    pub is_log: bool,
    /// Values are counted, so that ticks between whole numbers make no sense.
    pub is_whole: bool,
}

impl Axis {
    /// An axis from `min` to `max`; a range without extent is widened.
    pub fn new(label: impl Into<String>, min: f64, max: f64) -> Self {
        let label = label.into();
        if max > min && (max - min).is_finite() {
            return Self { label, min, max, is_log: false, is_whole: false };
        }
        let center = if min.is_finite() { min } else { 0.0 };
        let half = if center == 0.0 { 1.0 } else { center.abs() * 0.1 };
        Self { label, min: center - half, max: center + half, is_log: false, is_whole: false }
    }

    /// An axis of counts from `min` to `max`.
    pub fn counted(label: impl Into<String>, min: f64, max: f64) -> Self {
        let (min, max) = if max > min { (min, max) } else { (min - 1.0, min + 1.0) };
        Self { is_whole: true, ..Self::new(label, min, max) }
    }

    /// An axis round all finite values, with a little air.
    pub fn around(label: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Self {
        let (min, max) = extent(values);
        let air = (max - min) * 0.04;
        Self::new(label, min - air, max + air)
    }

    /// An axis round all finite values; logarithmic if they are positive and spread over a factor of fifty.
    pub fn fitting(label: impl Into<String>, values: impl IntoIterator<Item = f64> + Clone) -> Self {
        let (min, max) = extent(values.clone());
        if min > 0.0 && max / min > 50.0 {
            let air = (max / min).powf(0.04);
            return Self {
                label: label.into(),
                min: min / air,
                max: max * air,
                is_log: true,
                is_whole: false,
            };
        }
        Self::around(label, values)
    }

    /// Place of a value, from 0 at `min` to 1 at `max`.
    pub fn place(&self, value: f64) -> f64 {
        let place = if self.is_log {
            (value.max(f64::MIN_POSITIVE) / self.min).ln() / (self.max / self.min).ln()
        } else {
            (value - self.min) / (self.max - self.min)
        };
        place.clamp(-0.5, 1.5)
    }

    /// At most about `limit` round values with their labels.
    pub fn ticks(&self, limit: usize) -> Vec<(f64, String)> {
        if self.is_log { self.powers(limit) } else { self.steps(limit) }
    }

    fn steps(&self, limit: usize) -> Vec<(f64, String)> {
        let rough = (self.max - self.min) / limit.max(1) as f64;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|&step| step >= rough);
        let step = step.unwrap_or(rough).max(if self.is_whole { 1.0 } else { 0.0 });
        let first = (self.min / step).ceil() as i64;
        let last = (self.max / step).floor() as i64;
        if !step.is_normal() || last.saturating_sub(first) > 100 {
            return Vec::new();
        }
        let largest = self.min.abs().max(self.max.abs());
        (first..=last)
            .map(|index| index as f64 * step)
            .map(|value| (value, label(value, step, largest)))
            .collect()
    }

    fn powers(&self, limit: usize) -> Vec<(f64, String)> {
        let (first, last) = (self.min.log10().floor() as i32, self.max.log10().ceil() as i32);
        let decades = (self.max / self.min).log10();
        let every = ((decades / limit as f64).ceil() as usize).max(1);
        let factors: &[f64] = if decades < limit as f64 / 3.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let values = (first..=last)
            .step_by(every)
            .flat_map(|exponent| factors.iter().map(move |factor| factor * 10f64.powi(exponent)));
        values
            .filter(|value| (self.min..=self.max).contains(value))
            .map(|value| (value, format::significant(value, 2)))
            .collect()
    }
}

/// A tick's label with as many digits as the step between ticks needs, in millions and more where the axis goes so far.
fn label(value: f64, step: f64, largest: f64) -> String {
    for (size, unit) in [(1e12, "T"), (1e9, "G"), (1e6, "M")] {
        if largest >= size && value != 0.0 {
            return format!("{}{unit}", format::significant(value / size, 5));
        }
    }
    if value == 0.0 || value.abs() < step / 2.0 {
        return "0".into();
    }
    let digits = (value.abs().log10().floor() - step.log10().floor()) as i32 + 1;
    format::significant(value, digits.clamp(1, 12))
}

/// Smallest and largest finite value; 0 and 1 if there is none.
fn extent(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let finite = values.into_iter().filter(|value| value.is_finite());
    let (min, max) =
        finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), value| (min.min(value), max.max(value)));
    if min <= max { (min, max) } else { (0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(axis: &Axis, expected: &[&str]) {
        let labels: Vec<String> = axis.ticks(5).into_iter().map(|(_, label)| label).collect();
        assert_eq!(labels, expected);
    }

    #[test]
    fn ticks_are_round() {
        check(&Axis::new("", 0.0, 1.0), &["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        check(&Axis::new("", -3.0, 11.0), &["0", "5", "10"]);
        check(&Axis::new("", 0.0, 500_000.0), &["0", "100,000", "200,000", "300,000", "400,000", "500,000"]);
        check(&Axis::new("", 0.0, 4e6), &["0", "1M", "2M", "3M", "4M"]);
        check(&Axis::counted("", 1.0, 1.0), &["0", "1", "2"]);
        check(&Axis::counted("", 1.0, 3.0), &["1", "2", "3"]);
        check(&Axis::new("", 7.0, 7.0), &["6.5", "7", "7.5"]);
        check(&Axis::fitting("", [0.9, 900.0]), &["1", "10", "100", "1,000"]);
    }

    #[test]
    fn ranges_without_extent_or_sense_do_no_harm() {
        check(&Axis::around("", []), &["0", "0.5", "1"]);
        check(&Axis::around("", [f64::NAN, f64::INFINITY]), &["0", "0.5", "1"]);
        assert!(Axis::new("", f64::MIN, f64::MAX).ticks(5).len() < 20);
        assert!(Axis::new("", 1e300, 1e300 + 1.0).ticks(5).len() < 20);
    }
}
