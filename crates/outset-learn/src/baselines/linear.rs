//! The linear model.

use super::logistic::{Goal, unstandardise};
use super::rows::Rows;
use super::{Fitted, Link, Targets, constant, least_squares, logistic, rows_used};

/// Features up to which least squares are solved in closed form.
const CLOSED_FORM: usize = 512;
/// Multiplications that a search may take, within its bounds of steps.
const WORK: usize = 4_000_000_000;

/// Fits least squares to a number, logistic regression to classes, and one to each label of a set.
pub(super) fn fit(features: &[f32], width: usize, targets: Targets<'_>, weights: Option<&[f64]>) -> Fitted {
    let all = targets.rows();
    let used = rows_used(all, width, targets.outputs());
    if used == 0 || width == 0 {
        return constant::fit(targets, weights);
    }
    let rows = Rows::new(features, width, all, used, weights);
    let steps = (WORK / (used * width * targets.outputs())).clamp(50, 500);
    let mut fitted = match targets {
        Targets::Number(actual) => number(&rows, actual, steps),
        Targets::Category { actual, classes } => category(&rows, actual, classes, steps),
        Targets::Set { actual, labels } => set(&rows, actual, labels, steps),
    };
    if used < all {
        fitted.note = Some(format!("fitted on {used} of {all} rows, evenly spaced"));
    }
    fitted
}

fn number(rows: &Rows<'_>, actual: &[f64], steps: usize) -> Fitted {
    let target: Vec<f64> = (0..rows.used).map(|i| actual[rows.row(i)]).collect();
    let weighted = |value: &dyn Fn(usize) -> f64| {
        (0..rows.used).map(|i| rows.weight(i) * value(i)).sum::<f64>() / rows.used as f64
    };
    let mean = weighted(&|i| target[i]);
    let mut parameters = if rows.width <= CLOSED_FORM {
        least_squares::solve(rows, &target, mean)
    } else {
        // In units of the target's spread, so that the search knows when it is there.
        let spread = weighted(&|i| (target[i] - mean).powi(2)).sqrt();
        let spread = if spread > 0.0 { spread } else { 1.0 };
        let standard = target.iter().map(|target| (target - mean) / spread).collect();
        let found = logistic::solve(rows, &Goal::Number(standard), vec![0.0; rows.width + 1], steps);
        found[..rows.width].iter().map(|value| value * spread).collect()
    };
    parameters.push(mean);
    model(Link::Identity, rows, &parameters)
}

fn category(rows: &Rows<'_>, actual: &[u32], classes: usize, steps: usize) -> Fitted {
    let picked: Vec<u32> = (0..rows.used).map(|i| actual[rows.row(i)]).collect();
    let mut totals = vec![0.0; classes];
    for (i, &class) in picked.iter().enumerate() {
        totals[class as usize] += rows.weight(i);
    }
    // A class without rows would push its intercept towards minus infinity for ever.
    let present: Vec<usize> = (0..classes).filter(|&class| totals[class] > 0.0).collect();
    if classes == 2 && present.len() == 2 {
        let truth = picked.iter().map(|&class| class == 1).collect();
        return model(Link::Binary, rows, &yes(rows, truth, totals[1] / (totals[0] + totals[1]), steps));
    }
    let mut fitted = Fitted {
        link: Link::Softmax,
        width: rows.width,
        coefficients: vec![0.0; classes * rows.width],
        intercepts: vec![f64::NEG_INFINITY; classes],
        note: None,
    };
    if let [only] = present[..] {
        fitted.intercepts[only] = 0.0;
        return fitted;
    }
    // Rows of a class that only has rows of weight 0 may stand for any other.
    let place =
        |class: u32| present.partition_point(|&other| other < class as usize).min(present.len() - 1) as u32;
    let goal = Goal::Class(picked.iter().map(|&class| place(class)).collect(), present.len());
    let mut start = vec![0.0; present.len() * rows.width];
    start.extend(present.iter().map(|&class| (totals[class] / rows.used as f64).ln()));
    let found = model(Link::Softmax, rows, &logistic::solve(rows, &goal, start, steps));
    for (from, &to) in present.iter().enumerate() {
        let of = |k: usize| k * rows.width..(k + 1) * rows.width;
        fitted.coefficients[of(to)].copy_from_slice(&found.coefficients[of(from)]);
        fitted.intercepts[to] = found.intercepts[from];
    }
    fitted
}

fn set(rows: &Rows<'_>, actual: &[bool], labels: usize, steps: usize) -> Fitted {
    let mut fitted = Fitted {
        link: Link::Sigmoid,
        width: rows.width,
        coefficients: vec![],
        intercepts: vec![],
        note: None,
    };
    let total: f64 = (0..rows.used).map(|i| rows.weight(i)).sum();
    for label in 0..labels {
        let truth: Vec<bool> = (0..rows.used).map(|i| actual[rows.row(i) * labels + label]).collect();
        let having: f64 =
            truth.iter().enumerate().map(|(i, &has)| if has { rows.weight(i) } else { 0.0 }).sum();
        let found = if having > 0.0 && having < total {
            model(Link::Sigmoid, rows, &yes(rows, truth, having / total, steps))
        } else {
            let sure = if having > 0.0 { f64::INFINITY } else { f64::NEG_INFINITY };
            Fitted { coefficients: vec![0.0; rows.width], intercepts: vec![sure], ..fitted.clone() }
        };
        fitted.coefficients.extend(found.coefficients);
        fitted.intercepts.extend(found.intercepts);
    }
    fitted
}

/// One logistic regression, starting from the share of rows that it is true for.
fn yes(rows: &Rows<'_>, truth: Vec<bool>, share: f64, steps: usize) -> Vec<f64> {
    let mut start = vec![0.0; rows.width];
    start.push((share / (1.0 - share)).ln());
    logistic::solve(rows, &Goal::Yes(truth), start, steps)
}

fn model(link: Link, rows: &Rows<'_>, parameters: &[f64]) -> Fitted {
    let (coefficients, intercepts) = unstandardise(rows, parameters);
    Fitted { link, width: rows.width, coefficients, intercepts, note: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Features of many scales, the third the sum of the first two, the fourth always the same.
    fn collinear(rows: usize) -> Vec<f32> {
        (0..rows)
            .flat_map(|i| {
                let (a, b) = ((i * 37 % 101) as f32 / 8.0, (i * 53 % 97) as f32 / 4.0);
                [a, b, a + b, 5.0]
            })
            .collect()
    }

    #[test]
    fn repeated_and_constant_columns_do_no_harm() {
        let features = collinear(200);
        let actual: Vec<f64> =
            features.chunks(4).map(|row| 2.0 * f64::from(row[0]) - f64::from(row[1]) + 3.0).collect();
        let fitted = fit(&features, 4, Targets::Number(&actual), None);
        assert_eq!(fitted.coefficients[3], 0.0);
        for (found, expected) in fitted.predict(&features).iter().zip(&actual) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
        let classes: Vec<u32> = actual.iter().map(|&value| u32::from(value > 3.0)).collect();
        let fitted = fit(&features, 4, Targets::Category { actual: &classes, classes: 2 }, None);
        assert!(fitted.predict(&features).iter().all(|value| value.is_finite()));
    }

    #[test]
    fn many_features_are_searched_for() {
        let (rows, width) = (60, CLOSED_FORM + 8);
        let features: Vec<f32> = (0..rows * width).map(|i| ((i * 7919) % 1013) as f32 / 1000.0).collect();
        let actual: Vec<f64> = features.chunks(width).map(|row| 10.0 * f64::from(row[0]) + 1e4).collect();
        let fitted = fit(&features, width, Targets::Number(&actual), None);
        let error =
            fitted.predict(&features).iter().zip(&actual).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(error < 0.5, "{error}");
    }

    #[test]
    fn classes_without_rows_are_never_predicted() {
        let features = collinear(100);
        let classes: Vec<u32> = (0..100).map(|i| [0, 2, 4][i * 37 % 101 % 3]).collect();
        let fitted = fit(&features, 4, Targets::Category { actual: &classes, classes: 5 }, None);
        for row in fitted.predict(&features).chunks(5) {
            assert_eq!((row[1], row[3]), (0.0, 0.0));
            assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
        let fitted = fit(&features, 4, Targets::Category { actual: &[1; 100], classes: 2 }, None);
        assert_eq!(fitted.predict(&features)[..2], [0.0, 1.0]);
    }

    #[test]
    fn large_data_is_fitted_on_a_part_and_says_so() {
        let rows = 300_000;
        let features: Vec<f32> = (0..rows).map(|i| (i % 1000) as f32).collect();
        let actual: Vec<f64> = features.iter().map(|&x| 3.0 * f64::from(x) + 2.0).collect();
        let fitted = fit(&features, 1, Targets::Number(&actual), None);
        assert_eq!(fitted.note.as_deref(), Some("fitted on 200000 of 300000 rows, evenly spaced"));
        assert!((fitted.coefficients[0] - 3.0).abs() < 1e-9 && (fitted.intercepts[0] - 2.0).abs() < 1e-6);
    }

    #[test]
    fn the_number_of_threads_does_not_change_the_fit() {
        let features = collinear(500);
        let classes: Vec<u32> = (0..500).map(|i| (i * 31 % 7 > 3) as u32).collect();
        let run = || fit(&features, 4, Targets::Category { actual: &classes, classes: 2 }, None);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(pool.install(run), run());
    }

    #[test]
    fn without_features_the_answer_is_constant() {
        let fitted = fit(&[], 0, Targets::Number(&[1.0, 3.0]), None);
        assert_eq!(fitted.predict_rows(1, &[]), [2.0]);
    }
}
