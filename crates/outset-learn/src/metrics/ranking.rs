//! Metrics of the order that scores put rows in.

use super::Weights;

/// Rows in falling order of a score, each with whether it is positive and whether the next has a lower score.
///
/// A place is one number, the row times four plus two bits, so that a pass reads little memory.
pub(super) struct Ranking(Vec<u32>);

const POSITIVE: u32 = 2;
const LAST_OF_TIE: u32 = 1;

impl Ranking {
    /// Sorts the rows.
    pub fn new(rows: usize, score: impl Fn(usize) -> f64, positive: impl Fn(usize) -> bool) -> Self {
        let mut keyed: Vec<(f64, u32)> = (0..rows).map(|row| (score(row), row as u32)).collect();
        keyed.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        Self(
            (0..rows)
                .map(|place| {
                    let (score, row) = keyed[place];
                    let last = keyed.get(place + 1).is_none_or(|next| next.0 != score);
                    row * 4
                        + if positive(row as usize) { POSITIVE } else { 0 }
                        + if last { LAST_OF_TIE } else { 0 }
                })
                .collect(),
        )
    }

    /// ROC AUC (rows that tie count half) and average precision (`Σ (recall − last recall) precision` over the
    /// different scores); NaN without positives, and for ROC AUC without negatives.
    pub fn areas(&self, weights: &Weights, times: Option<&[u32]>) -> [f64; 2] {
        let (mut found, mut alarms) = (0.0, 0.0);
        let (mut tied_found, mut tied_alarms) = (0.0, 0.0);
        let (mut above, mut precision) = (0.0, 0.0);
        for &place in &self.0 {
            let weight = weights.of((place / 4) as usize, times);
            if place & POSITIVE != 0 {
                tied_found += weight;
            } else {
                tied_alarms += weight;
            }
            if place & LAST_OF_TIE != 0 {
                above += tied_alarms * (found + tied_found / 2.0);
                found += tied_found;
                alarms += tied_alarms;
                if tied_found > 0.0 {
                    precision += tied_found * found / (found + alarms);
                }
                (tied_found, tied_alarms) = (0.0, 0.0);
            }
        }
        // 0 / 0 is NaN, which is what no positives or no negatives should give.
        [above / (found * alarms), precision / found]
    }
}

/// The mean of the areas of several rankings that are defined.
pub(super) fn mean_areas(rankings: &[Ranking], weights: &Weights, times: Option<&[u32]>) -> [f64; 2] {
    let (mut sums, mut counts) = ([0.0; 2], [0.0; 2]);
    for ranking in rankings {
        for (i, area) in ranking.areas(weights, times).into_iter().enumerate() {
            if area.is_finite() {
                sums[i] += area;
                counts[i] += 1.0;
            }
        }
    }
    [sums[0] / counts[0], sums[1] / counts[1]]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(scores: &[f64], positive: &[bool], expected: [f64; 2]) {
        let ranking = Ranking::new(scores.len(), |row| scores[row], |row| positive[row]);
        let found = ranking.areas(&Weights::new(None, scores.len()), None);
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() < 1e-12 || found.is_nan() && expected.is_nan(),
                "{found} {expected}"
            );
        }
    }

    #[test]
    fn by_hand() {
        check(&[0.9, 0.8, 0.3, 0.1], &[true, false, true, false], [0.75, (1.0 + 2.0 / 3.0) / 2.0]);
        check(&[0.5, 0.5, 0.5, 0.5], &[true, false, true, false], [0.5, 0.5]);
        check(&[0.1, 0.9], &[true, false], [0.0, 0.5]);
        check(&[0.1, 0.9], &[true, true], [f64::NAN, 1.0]);
        check(&[0.1, 0.9], &[false, false], [f64::NAN, f64::NAN]);
    }
}
