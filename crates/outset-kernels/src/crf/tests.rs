use super::*;
use crate::testing::{check_gradient, close, same_bits_with_one_and_two_threads, values, wide};

/// Number of tags, steps of a row, and how many of them each row has.
type Sizes = (usize, usize, &'static [usize]);

const SIZES: [Sizes; 7] = [
    (3, 4, &[4, 1, 0, 3]),
    (1, 1, &[1]),
    (1, 5, &[5, 2]),
    (2, 7, &[7, 0, 6]),
    (5, 3, &[3, 3, 1, 2]),
    (4, 2, &[]),
    (3, 0, &[0, 0]),
];

/// What a batch is made of, and the true tags.
struct Made {
    emissions: Vec<f32>,
    chain: Vec<f32>,
    gold: Vec<i64>,
    tags: usize,
    time: usize,
    lengths: &'static [usize],
}

impl Made {
    fn new((tags, time, lengths): Sizes, seed: u64) -> Made {
        let steps = lengths.len() * time;
        let emissions = values(steps * tags, seed).iter().map(|v| 3.0 * v).collect();
        let chain = values((tags + 2) * tags, seed + 1).iter().map(|v| 2.0 * v).collect();
        let gold = (0..steps).map(|at| (at as i64 * 7 + 1) % tags as i64).collect();
        Made { emissions, chain, gold, tags, time, lengths }
    }

    fn batch(&self) -> Batch<'_> {
        let Made { emissions, chain, tags, time, lengths, .. } = self;
        Batch { emissions, chain, tags: *tags, time: *time, lengths }
    }

    /// The rows that have steps, and how many.
    fn rows(&self) -> impl Iterator<Item = (usize, usize)> {
        self.lengths.iter().copied().enumerate().filter(|(_, length)| *length > 0)
    }

    /// Every sequence of tags of a row with its score, by the definition.
    fn paths(&self, emissions: &[f64], chain: &[f64], row: usize) -> Vec<(Vec<usize>, f64)> {
        let (tags, length) = (self.tags, self.lengths[row]);
        let emissions = &emissions[row * self.time * tags..];
        (0..tags.pow(length as u32))
            .map(|code| {
                let path: Vec<usize> = (0..length).map(|step| code / tags.pow(step as u32) % tags).collect();
                let mut score = chain[tags * tags + path[0]] + chain[(tags + 1) * tags + path[length - 1]];
                score += path.iter().enumerate().map(|(step, tag)| emissions[step * tags + tag]).sum::<f64>();
                score += path.windows(2).map(|pair| chain[pair[0] * tags + pair[1]]).sum::<f64>();
                (path, score)
            })
            .collect()
    }

    /// The naive twin of the loss: a sum over all sequences of tags.
    fn twin(&self, emissions: &[f64], chain: &[f64], weights: &[f32]) -> f64 {
        let of_row = |(row, length): (usize, usize)| {
            let paths = self.paths(emissions, chain, row);
            let truth = self.gold[row * self.time..][..length].iter().map(|tag| *tag as usize);
            let truth: Vec<usize> = truth.collect();
            let total = paths.iter().map(|(_, score)| score.exp()).sum::<f64>().ln();
            let right = paths.iter().find(|(path, _)| *path == truth).unwrap().1;
            f64::from(weights[row]) * (total - right)
        };
        self.rows().map(of_row).sum()
    }
}

#[test]
fn the_loss_is_that_over_all_paths() {
    let weights = [0.5, 0.25, 1.0, 2.0];
    for (sizes, seed) in SIZES.into_iter().flat_map(|sizes| [1, 10, 100].map(|seed| (sizes, seed))) {
        let made = Made::new(sizes, seed);
        let weights = &weights[..made.lengths.len()];
        let (emissions, chain) = (wide(&made.emissions), wide(&made.chain));
        let expected = made.twin(&emissions, &chain, weights);
        let alone = loss(made.batch(), &made.gold, weights);
        let got = gradients(made.batch(), &made.gold, weights);
        if made.tags > 1 {
            close(&[alone, got.loss], &[expected; 2]);
        } else {
            // There is but one path, and what is lost is zero by cancellation.
            assert!(alone.abs() < 1e-6 && got.loss.abs() < 1e-6, "{alone}, {}", got.loss);
        }
        check_gradient(&chain, &wide(&got.dchain), |chain| made.twin(&emissions, chain, weights));
        check_gradient(&emissions, &wide(&got.demissions), |emissions| made.twin(emissions, &chain, weights));
    }
}

#[test]
fn the_best_path_is_the_best_of_all() {
    for (sizes, seed) in SIZES.into_iter().flat_map(|sizes| (1..20).map(move |seed| (sizes, seed))) {
        let made = Made::new(sizes, seed);
        let tags = made.tags;
        let mut allowed = vec![true; made.chain.len()];
        if tags > 1 {
            // Nothing begins with the last tag, and 1 does not follow 0.
            (allowed[tags * tags + tags - 1], allowed[1]) = (false, false);
        }
        for limits in [vec![true; made.chain.len()], allowed] {
            let found = best(made.batch(), &limits);
            assert_eq!(found.len(), made.lengths.len());
            for (row, _) in made.rows() {
                let paths = made.paths(&wide(&made.emissions), &wide(&made.chain), row);
                let total: f64 = paths.iter().map(|(_, score)| score.exp()).sum();
                let fits = |path: &[usize]| {
                    limits[tags * tags + path[0]]
                        && path.windows(2).all(|pair| limits[pair[0] * tags + pair[1]])
                };
                let (path, score) = paths
                    .into_iter()
                    .filter(|(path, _)| fits(path))
                    .max_by(|a, b| a.1.total_cmp(&b.1))
                    .unwrap();
                let path: Vec<u32> = path.into_iter().map(|tag| tag as u32).collect();
                assert_eq!(found[row].tags, path);
                assert!((found[row].probability - score.exp() / total).abs() < 1e-6);
            }
            let empty = found.iter().zip(made.lengths).filter(|(_, length)| **length == 0);
            let nothing = Best { tags: vec![], probability: 1.0 };
            assert!(empty.map(|(best, _)| best).all(|best| *best == nothing));
        }
    }
}

#[test]
fn what_is_not_finite_stays_so() {
    for value in [f32::NAN, f32::INFINITY] {
        let mut made = Made::new(SIZES[0], 1);
        let (tags, time) = (made.tags, made.time);
        made.emissions[tags + 1] = value;
        let got = gradients(made.batch(), &made.gold, &[1.0; 4]);
        assert!(!got.loss.is_finite() && got.dchain.iter().any(|v| v.is_nan()));
        assert!(got.demissions[..time * tags].iter().any(|v| v.is_nan()));
        assert!(got.demissions[time * tags..].iter().all(|v| v.is_finite()));
        let found = best(made.batch(), &vec![true; made.chain.len()]);
        assert!(found[0].probability.is_nan(), "{value} gives {}", found[0].probability);
        assert!(found[1..].iter().all(|row| row.probability.is_finite()));
    }
}

#[test]
fn long_sequences_neither_vanish_nor_overflow() {
    let (tags, time) = (5, 3000);
    let emissions: Vec<f32> = values(time * tags, 3).iter().map(|v| 40.0 * v).collect();
    let chain: Vec<f32> = values((tags + 2) * tags, 4).iter().map(|v| 20.0 * v).collect();
    let batch = Batch { emissions: &emissions, chain: &chain, tags, time, lengths: &[time] };
    let got = gradients(batch, &vec![0; time], &[1.0]);
    assert!(got.loss.is_finite() && got.loss > 0.0);
    // At each step the probabilities sum to 1, from which the true tag is taken.
    for step in got.demissions.chunks(tags) {
        assert!(step.iter().sum::<f32>().abs() < 1e-5);
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    let (tags, time, rows) = (9, 30, 64);
    let (emissions, chain) = (values(rows * time * tags, 5), values((tags + 2) * tags, 6));
    let lengths: Vec<usize> = (0..rows).map(|row| row % (time + 1)).collect();
    let gold: Vec<i64> = (0..rows * time).map(|at| (at % tags) as i64).collect();
    let batch = Batch { emissions: &emissions, chain: &chain, tags, time, lengths: &lengths };
    let weights = values(rows, 7);
    same_bits_with_one_and_two_threads(|| {
        let got = gradients(batch, &gold, &weights);
        vec![vec![got.loss, loss(batch, &gold, &weights)], got.demissions, got.dchain]
    });
}
