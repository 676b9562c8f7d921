//! Decision thresholds for two classes, chosen on val.

/// The threshold that gives the positive class the best F1; a row is called positive from the threshold on.
///
/// Of equally good ones it is the nearest to 0.5. Lies half way between two probabilities that occur.
pub fn best_f1_threshold(actual: &[bool], probability: &[f64], weights: Option<&[f64]>) -> f64 {
    let weight = |row: usize| weights.map_or(1.0, |weights| weights[row]);
    let positives: f64 = (0..actual.len()).filter(|row| actual[*row]).map(weight).sum();
    best(actual, probability, weights, |found, alarms| {
        // 2 found / (found + alarms + positives)
        if positives == 0.0 { 0.0 } else { 2.0 * found / (found + alarms + positives) }
    })
}

/// The threshold that makes misses and false alarms together cheapest; a row is called positive from the threshold on.
///
/// Of equally good ones it is the nearest to 0.5. Above 1 where nothing should be called positive.
pub fn cheapest_threshold(
    actual: &[bool],
    probability: &[f64],
    weights: Option<&[f64]>,
    cost_of_miss: f64,
    cost_of_false_alarm: f64,
) -> f64 {
    // A hit saves the cost of a miss.
    best(actual, probability, weights, |found, alarms| found * cost_of_miss - alarms * cost_of_false_alarm)
}

/// The threshold with the largest value of `value(positives found, false alarms)`, rows counting by their weights.
fn best(
    actual: &[bool],
    probability: &[f64],
    weights: Option<&[f64]>,
    value: impl Fn(f64, f64) -> f64,
) -> f64 {
    let of_row = |row: usize| (probability[row], actual[row], weights.map_or(1.0, |weights| weights[row]));
    let mut order: Vec<(f64, bool, f64)> = (0..actual.len()).map(of_row).collect();
    order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let first = order.first().map_or(0.5, |row| row.0);
    let above = if first < 1.0 { (first + 1.0) / 2.0 } else { 1.0 + f64::EPSILON };
    let (mut best, mut best_value) = (above, value(0.0, 0.0));
    let (mut found, mut alarms) = (0.0, 0.0);
    for (i, &(p, positive, weight)) in order.iter().enumerate() {
        if positive {
            found += weight;
        } else {
            alarms += weight;
        }
        let next = order.get(i + 1).map_or(0.0, |row| row.0);
        if next == p && i + 1 < order.len() {
            continue;
        }
        // Half way between neighbours may round up to the upper one, which is as good.
        let (threshold, reached) = (p.midpoint(next), value(found, alarms));
        let nearer = (threshold - 0.5).abs() < (best - 0.5_f64).abs();
        if reached > best_value || reached == best_value && nearer {
            (best, best_value) = (threshold, reached);
        }
    }
    if actual.is_empty() { 0.5 } else { best }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn f1(actual: &[bool], probability: &[f64], threshold: f64) -> f64 {
        let called = |p: &f64| *p >= threshold;
        let hits = actual.iter().zip(probability).filter(|(a, p)| **a && called(p)).count() as f64;
        let sum = actual.iter().filter(|a| **a).count() + probability.iter().filter(|p| called(p)).count();
        2.0 * hits / sum as f64
    }

    #[test]
    fn no_other_threshold_has_a_better_f1() {
        let probability: Vec<f64> = (0..50).map(|i| f64::from(i * 37 % 50 / 2) / 25.0).collect();
        let actual: Vec<bool> = (0..50).map(|i| (i * 37 % 50 + i * 11 % 30) > 45).collect();
        let best = f1(&actual, &probability, best_f1_threshold(&actual, &probability, None));
        assert!((0..=100).all(|t| f1(&actual, &probability, f64::from(t) / 100.0) <= best));
    }

    #[test]
    fn costs_move_the_threshold() {
        let (actual, probability) = ([false, false, true, false, true], [0.1, 0.2, 0.3, 0.6, 0.9]);
        assert_eq!(cheapest_threshold(&actual, &probability, None, 1.0, 10.0), 0.75);
        assert_eq!(cheapest_threshold(&actual, &probability, None, 10.0, 1.0), 0.25);
        assert!(cheapest_threshold(&[false, false], &[0.1, 1.0], None, 1.0, 1.0) > 1.0);
    }

    #[test]
    fn a_row_counts_by_its_weight() {
        let (actual, probability) = ([true, false, true, false], [0.2, 0.4, 0.6, 0.8]);
        // As if the first row stood there a hundred times.
        let weights = [100.0, 1.0, 1.0, 1.0];
        assert!(best_f1_threshold(&actual, &probability, Some(&weights)) <= 0.2);
        assert!(cheapest_threshold(&actual, &probability, Some(&weights), 1.0, 1.0) <= 0.2);
        let weights = [1.0, 100.0, 1.0, 1.0];
        assert!(cheapest_threshold(&actual, &probability, Some(&weights), 1.0, 1.0) > 0.4);
    }

    #[test]
    fn edges() {
        assert_eq!(best_f1_threshold(&[], &[], None), 0.5);
        assert!(best_f1_threshold(&[false], &[0.3], None).is_finite());
        assert!(best_f1_threshold(&[true], &[0.3], None) <= 0.3);
    }
}
