//! Scaling: numbers of any size to numbers near zero, by statistics of the train part.

use outset_spec::choices;
use serde::{Deserialize, Serialize};

choices! {
    /// How the numbers of a column are scaled.
    pub enum Scale {
        /// By median and quartiles, outliers drawn in smoothly.
        Robust = "robust",
        /// To a normal distribution by rank.
        Quantile = "quantile",
        /// By logarithm, then as standard; keeps the sign.
        Log = "log",
        /// To mean 0 and standard deviation 1.
        Standard = "standard",
        /// Not at all.
        None = "none",
    }
}

/// A fitted scaling.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Scaling {
    /// `z = (x − center) · factor`, then `z / √(1 + (z/3)²)`, which keeps any outlier within ±3: the preprocessing of
    /// RealMLP, <https://arxiv.org/abs/2407.04491>.
    Robust { center: f64, factor: f64 },
    /// `(x − center) · factor`.
    Standard { center: f64, factor: f64 },
    /// The same of `sign(x) · ln(1 + |x|)`.
    Log { center: f64, factor: f64 },
    /// Rising train values and the normal quantiles that belong to their ranks; values between two are interpolated.
    Quantile { values: Vec<f64>, normal: Vec<f64> },
    /// The number itself.
    None,
}

impl Scaling {
    /// Fits a scaling to train values, sorted and not empty; `spread`, where given, takes the place of theirs.
    pub fn fit(scale: Scale, spread: Option<f64>, sorted: &[f64]) -> Self {
        let inverse = |deviation: f64| inverse(spread.unwrap_or(deviation));
        match scale {
            Scale::Robust => {
                let quartiles = quantile(sorted, 0.75) - quantile(sorted, 0.25);
                let range = sorted[sorted.len() - 1] - sorted[0];
                let spread = spread.unwrap_or(quartiles);
                let factor = match (spread > 0.0, range > 0.0) {
                    (true, _) => 1.0 / spread,
                    (false, true) => 2.0 / range,
                    (false, false) => 0.0,
                };
                Self::Robust { center: quantile(sorted, 0.5), factor: finite(factor) }
            }
            Scale::Standard => {
                let (center, deviation) = moments(sorted.iter().copied());
                Self::Standard { center, factor: inverse(deviation) }
            }
            Scale::Log => {
                let (center, deviation) = moments(sorted.iter().map(|value| signed_log(*value)));
                Self::Log { center, factor: inverse(deviation) }
            }
            Scale::Quantile => fit_quantile(sorted),
            Scale::None => Self::None,
        }
    }

    /// Scales one number; always finite.
    pub fn apply(&self, value: f64) -> f32 {
        let scaled = match self {
            Self::Robust { center, factor } => {
                let z = ((value - center) * factor).clamp(-1e100, 1e100);
                z / (1.0 + (z / 3.0).powi(2)).sqrt()
            }
            Self::Standard { center, factor } => (value - center) * factor,
            Self::Log { center, factor } => (signed_log(value) - center) * factor,
            Self::Quantile { values, normal } => interpolate(values, normal, value),
            Self::None => value,
        };
        scaled.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
    }

    /// Distinct quantiles of the train values in scaled units, at most 65; none if there is only one.
    ///
    /// Where many rows share a value, quantiles of the rows would all fall on it: what is left of the 65 then goes to
    /// quantiles of the distinct values, so that a column of mostly zeros keeps its resolution elsewhere.
    pub fn knots(&self, sorted: &[f64]) -> Vec<f32> {
        const MOST: usize = 65;
        let mut distinct = sorted.to_vec();
        distinct.dedup();
        if distinct.len() > MOST {
            let spaced = |values: &[f64], count: usize| -> Vec<f64> {
                (0..count).map(|i| quantile(values, i as f64 / (count - 1).max(1) as f64)).collect()
            };
            let mut knots = spaced(sorted, MOST);
            knots.dedup();
            knots.extend(spaced(&distinct, MOST - knots.len()));
            knots.sort_by(f64::total_cmp);
            distinct = knots;
        }
        let mut knots: Vec<f32> = distinct.into_iter().map(|value| self.apply(value)).collect();
        knots.dedup();
        if knots.len() < 2 { Vec::new() } else { knots }
    }
}

/// The quantile of sorted values, interpolated between neighbours; 0 of none.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * sorted.len().saturating_sub(1) as f64;
    let (below, part) = (place as usize, place.fract());
    let low = sorted.get(below).copied().unwrap_or(0.0);
    match sorted.get(below + 1) {
        Some(high) if part > 0.0 => low * (1.0 - part) + high * part,
        _ => low,
    }
}

/// Mean and standard deviation (of the values themselves, not of a larger population); two passes, hence accurate.
pub fn moments(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.clone().count() as f64;
    let mean = values.clone().map(|value| value / count).sum::<f64>();
    let variance = values.map(|value| (value - mean).powi(2) / count).sum::<f64>();
    // What rounding leaves of a constant column is no spread.
    let deviation = variance.sqrt();
    (mean, if deviation > 1e-12 * mean.abs() { deviation } else { 0.0 })
}

fn inverse(deviation: f64) -> f64 {
    if deviation > 0.0 { finite(1.0 / deviation) } else { 0.0 }
}

fn finite(factor: f64) -> f64 {
    factor.min(f64::MAX)
}

fn signed_log(value: f64) -> f64 {
    value.abs().ln_1p().copysign(value)
}

fn fit_quantile(sorted: &[f64]) -> Scaling {
    const STEPS: usize = 256;
    let last = sorted.len() - 1;
    let (mut values, mut normal) = (Vec::new(), Vec::new());
    for step in 0..=STEPS {
        let value = sorted[(step * last + STEPS / 2) / STEPS];
        if values.last() != Some(&value) {
            // Equal values share the middle of their ranks.
            let below = sorted.partition_point(|other| *other < value);
            let upto = sorted.partition_point(|other| *other <= value);
            values.push(value);
            normal.push(normal_quantile((below + upto) as f64 / (2 * sorted.len()) as f64));
        }
    }
    Scaling::Quantile { values, normal }
}

fn interpolate(values: &[f64], normal: &[f64], value: f64) -> f64 {
    let upper = values.partition_point(|other| *other < value);
    let at = |place: usize| values.get(place).copied().zip(normal.get(place).copied());
    match (upper.checked_sub(1).and_then(at), at(upper)) {
        (None, None) => 0.0,
        (None, Some((_, normal))) | (Some((_, normal)), None) => normal,
        (Some((low, from)), Some((high, to))) => from + (value - low) / (high - low) * (to - from),
    }
}

/// The value below which a standard normal variable stays with the given probability; Acklam's rational
/// approximation, accurate to 1e-9 relative.
fn normal_quantile(probability: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969683028665376e1,
        2.209460984245205e2,
        -2.759285104469687e2,
        1.38357751867269e2,
        -3.066479806614716e1,
        2.506628277459239,
    ];
    const B: [f64; 5] = [
        -5.447609879822406e1,
        1.615858368580409e2,
        -1.556989798598866e2,
        6.680131188771972e1,
        -1.328068155288572e1,
    ];
    const C: [f64; 6] = [
        -7.784894002430293e-3,
        -3.223964580411365e-1,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ];
    const D: [f64; 4] = [7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416];
    let polynomial = |terms: &[f64], x: f64| terms.iter().fold(0.0, |sum, term| sum * x + term);
    let tail = |q: f64| polynomial(&C, q) / (polynomial(&D, q) * q + 1.0);
    if probability < 0.02425 {
        tail((-2.0 * probability.ln()).sqrt())
    } else if probability > 1.0 - 0.02425 {
        -tail((-2.0 * (1.0 - probability).ln()).sqrt())
    } else {
        let q = probability - 0.5;
        let r = q * q;
        polynomial(&A, r) * q / (polynomial(&B, r) * r + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(scale: Scale, sorted: &[f64], value: f64, expected: f32) {
        check_spread(scale, None, sorted, value, expected);
    }

    fn check_spread(scale: Scale, spread: Option<f64>, sorted: &[f64], value: f64, expected: f32) {
        let scaled = Scaling::fit(scale, spread, sorted).apply(value);
        assert!((scaled - expected).abs() < 1e-5, "{scale:?} of {value}: {scaled}, expected {expected}");
    }

    #[test]
    fn scaled_by_hand() {
        let values = [0.0, 1.0, 2.0, 3.0, 4.0];
        check(Scale::Robust, &values, 2.0, 0.0);
        check(Scale::Robust, &values, 4.0, 1.0 / (1.0f32 + 1.0 / 9.0).sqrt());
        check(Scale::Robust, &values, 1e300, 3.0);
        check(Scale::Robust, &[0.0, 0.0, 0.0, 0.0, 8.0], 8.0, 2.0 / (1.0f32 + 4.0 / 9.0).sqrt());
        check(Scale::Robust, &[7.0, 7.0], 7.0, 0.0);
        check(Scale::Standard, &values, 4.0, 2.0f32.sqrt());
        check(Scale::Standard, &[0.1, 0.1, 0.1], 0.5, 0.0);
        check(Scale::Quantile, &values, 2.0, 0.0);
        check(Scale::Quantile, &values, 99.0, 1.281_551_6);
        check(Scale::Log, &[0.0, 1f64.exp() - 1.0], 0.0, -1.0);
        check(Scale::None, &values, 1e300, f32::MAX);
        check_spread(Scale::Standard, Some(4.0), &values, 4.0, 0.5);
        check_spread(Scale::Robust, Some(2.0), &[7.0, 7.0], 9.0, 1.0 / (1.0f32 + 1.0 / 9.0).sqrt());
        check_spread(Scale::Log, Some(2.0), &[0.0], 2f64.exp() - 1.0, 1.0);
    }

    #[test]
    fn knots_rise_and_are_few() {
        let values: Vec<f64> = (0..1000).map(f64::from).collect();
        let knots = Scaling::fit(Scale::Robust, None, &values).knots(&values);
        assert_eq!(knots.len(), 65);
        assert!(knots.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(Scaling::None.knots(&[1.0, 1.0, 2.0, 5.0]), [1.0, 2.0, 5.0]);
        assert!(Scaling::None.knots(&[1.0, 1.0]).is_empty());
    }
}
