//! How sure a metric is: 95 % intervals by drawing the rows again and again.
//!
//! A resample draws as many rows as there are, with replacement; the interval is from the 2.5th to the 97.5th percentile
//! of the metric over all resamples (Efron's percentile interval). Resample `i` has its own stream of random numbers,
//! so that the intervals do not depend on the number of threads.

use super::Score;
use indexmap::IndexMap;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// 95 % intervals of prepared metrics; resamples where a metric is undefined are skipped for it.
pub fn intervals(score: &dyn Score, resamples: usize, seed: u64) -> IndexMap<String, [f64; 2]> {
    let names = score.names();
    let values: Vec<f64> = draw(score.rows(), resamples, seed, |times| {
        let mut values = vec![f64::NAN; names.len()];
        score.values(Some(times), &mut values);
        values
    })
    .into_iter()
    .flatten()
    .collect();
    let mut intervals = IndexMap::new();
    for (i, name) in names.iter().enumerate() {
        let of_name = values.iter().skip(i).step_by(names.len()).copied().collect();
        intervals.extend(percentiles(of_name).map(|interval| ((*name).to_owned(), interval)));
    }
    intervals
}

/// 95 % intervals of anything that can be taken of rows that count several times or not at all.
///
/// `f` gets how often each row was drawn. Names that some resamples leave out are taken over the others.
pub fn bootstrap(
    rows: usize,
    resamples: usize,
    seed: u64,
    f: &(dyn Fn(&[u32]) -> IndexMap<String, f64> + Sync),
) -> IndexMap<String, [f64; 2]> {
    let mut values: IndexMap<String, Vec<f64>> = IndexMap::new();
    for resample in draw(rows, resamples, seed, f) {
        for (name, value) in resample {
            values.entry(name).or_default().push(value);
        }
    }
    values.into_iter().filter_map(|(name, values)| Some((name, percentiles(values)?))).collect()
}

/// A number of resamples, 1000 at best, that keeps the intervals of `rows` with `outputs` probabilities each quick.
pub fn suggested_resamples(rows: usize, outputs: usize) -> usize {
    const WORK: usize = 300_000_000;
    (WORK / (rows * outputs.max(1)).max(1)).clamp(100, 1000)
}

/// Draws the rows `resamples` times and hands each time how often every row was drawn.
fn draw<T: Send>(rows: usize, resamples: usize, seed: u64, f: impl Fn(&[u32]) -> T + Sync) -> Vec<T> {
    if rows == 0 {
        return Vec::new();
    }
    (0..resamples)
        .into_par_iter()
        .with_min_len(16)
        .map_init(
            || vec![0_u32; rows],
            |times, resample| {
                let mut generator = ChaCha8Rng::seed_from_u64(seed);
                generator.set_stream(resample as u64);
                times.fill(0);
                for _ in 0..rows {
                    // Takes a share of all 32-bit numbers for each row, unequal by one in 2³² / rows.
                    let row = (u64::from(generator.next_u32()) * rows as u64) >> 32;
                    times[row as usize] += 1;
                }
                f(times)
            },
        )
        .collect()
}

/// The 2.5th and 97.5th percentile of the defined values, between two where they fall between.
fn percentiles(mut values: Vec<f64>) -> Option<[f64; 2]> {
    values.retain(|value| value.is_finite());
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    Some([0.025, 0.975].map(|share| {
        let at = share * last as f64;
        let (below, above) = (values[at.floor() as usize], values[at.ceil() as usize]);
        below + (above - below) * at.fract()
    }))
}

#[cfg(test)]
mod tests {
    use super::super::{Category, Number};
    use super::*;

    fn of_mean(rows: usize, seed: u64) -> [f64; 2] {
        let mean = |times: &[u32]| {
            let sum: f64 = times.iter().enumerate().map(|(row, &times)| row as f64 * f64::from(times)).sum();
            IndexMap::from([("mean".to_owned(), sum / rows as f64)])
        };
        bootstrap(rows, 1000, seed, &mean)["mean"]
    }

    #[test]
    fn the_mean_has_the_interval_of_the_normal_distribution() {
        let rows = 1000;
        let [low, high] = of_mean(rows, 1);
        let deviation = (rows as f64 / 12.0_f64.sqrt()) / (rows as f64).sqrt();
        let middle = (rows as f64 - 1.0) / 2.0;
        assert!((low - (middle - 1.96 * deviation)).abs() < 0.2 * deviation, "{low} {high}");
        assert!((high - (middle + 1.96 * deviation)).abs() < 0.2 * deviation, "{low} {high}");
    }

    #[test]
    fn the_same_seed_gives_the_same_interval() {
        assert_eq!(of_mean(100, 7), of_mean(100, 7));
        assert_ne!(of_mean(100, 7), of_mean(100, 8));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(pool.install(|| of_mean(100, 7)), of_mean(100, 7));
    }

    #[test]
    fn both_ways_agree() {
        let (actual, predicted) = ([1.0, 2.0, 3.0, 5.0], [1.1, 1.9, 3.5, 4.0]);
        let score = Number::new(&actual, &predicted, None);
        let found = intervals(&score, 200, 3);
        let expected = bootstrap(4, 200, 3, &|times| {
            let mut values = [0.0; 5];
            score.values(Some(times), &mut values);
            score.names().iter().map(|name| (*name).to_owned()).zip(values).collect()
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn resamples_of_one_class_are_skipped() {
        let score = Category::new(&[0, 1, 1], &[0.8, 0.2, 0.3, 0.7, 0.6, 0.4], 2, Some(1), None);
        let found = intervals(&score, 300, 1);
        assert!(found["roc_auc"].iter().all(|value| value.is_finite()));
        let one = Category::new(&[1, 1], &[0.8, 0.2, 0.3, 0.7], 2, Some(1), None);
        assert!(!intervals(&one, 300, 1).contains_key("roc_auc"));
        assert!(intervals(&Number::new(&[], &[], None), 10, 1).is_empty());
    }
}
