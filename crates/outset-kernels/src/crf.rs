//! Linear-chain conditional random fields: the loss of tagged sequences, its gradient, and the best tags.
//!
//! A sequence of `n` steps with emissions `e [n, tags]` scores the tags `t` as
//! `b[t₁] + Σ e[i, tᵢ] + Σ a[tᵢ₋₁, tᵢ] + c[tₙ]`, and its loss is the logarithm of the sum of `exp(score)` over all tags
//! minus the score of the true ones (Lafferty et al. 2001). `chain [tags + 2, tags]` holds `a` from row to column, then
//! `b`, then `c`. Emissions are `[rows, time, tags]`, of which each row has its own number of steps.
//!
//! Sums over paths are carried in `f64` as probabilities that are scaled to sum to 1 at each step (Rabiner 1989), so that
//! a step is a product with a small matrix and not a table of exponentials.

use crate::par::{self, Cut, Rows, add_partials};

/// What the loss of a batch is taken of.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// `[rows, time, tags]`.
    pub emissions: &'a [f32],
    /// `[tags + 2, tags]`.
    pub chain: &'a [f32],
    pub tags: usize,
    pub time: usize,
    /// Steps of each row, at most `time`; a row without any has no loss.
    pub lengths: &'a [usize],
}

/// The loss and its gradients.
pub struct Gradients {
    pub loss: f32,
    pub demissions: Vec<f32>,
    pub dchain: Vec<f32>,
}

/// The best tags of a sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct Best {
    pub tags: Vec<u32>,
    /// Its share among all sequences of tags.
    pub probability: f64,
}

impl Batch<'_> {
    fn check(&self) {
        let Batch { emissions, chain, tags, time, lengths } = self;
        assert_eq!(emissions.len(), lengths.len() * time * tags, "emissions and lengths differ in rows");
        assert_eq!(chain.len(), (tags + 2) * tags, "the chain is not of these tags");
        assert!(lengths.iter().all(|length| length <= time), "a row is longer than its emissions");
    }

    /// The emissions of a row's own steps.
    fn row(&self, row: usize) -> &[f32] {
        &self.emissions[row * self.time * self.tags..][..self.lengths[row] * self.tags]
    }

    /// What a row costs.
    fn cost(&self) -> usize {
        4 * self.time * self.tags * self.tags
    }
}

/// The exponentials of the chain, each group divided by its largest.
struct Factors {
    /// `[tags, tags]`, from row to column.
    steps: Vec<f64>,
    begin: Vec<f64>,
    end: Vec<f64>,
    /// Logarithms of what each group was divided by.
    largest: [f64; 3],
}

impl Factors {
    fn new(chain: &[f32], tags: usize) -> Self {
        let group = |values: &[f32]| {
            let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let factors: Vec<f64> = values.iter().map(|value| f64::from(value - largest).exp()).collect();
            (factors, f64::from(largest))
        };
        let (steps, a) = group(&chain[..tags * tags]);
        let (begin, b) = group(&chain[tags * tags..][..tags]);
        let (end, c) = group(&chain[(tags + 1) * tags..]);
        Self { steps, begin, end, largest: [a, b, c] }
    }
}

/// The forward pass over a row: scaled sums over the paths up to each step.
struct Forward {
    /// `[steps, tags]`, each step summing to 1.
    sums: Vec<f64>,
    /// `[steps, tags]`, exponentials of the emissions.
    emitted: Vec<f64>,
    /// What each step, and then the end, was divided by.
    scales: Vec<f64>,
    /// Logarithm of the sum of `exp(score)` over all paths.
    log_total: f64,
}

fn forward(emissions: &[f32], factors: &Factors, tags: usize) -> Forward {
    let steps = emissions.len() / tags;
    let mut pass = Forward {
        sums: vec![0.0; steps * tags],
        emitted: vec![0.0; steps * tags],
        scales: Vec::with_capacity(steps + 1),
        log_total: factors.largest[0] * (steps - 1) as f64 + factors.largest[1] + factors.largest[2],
    };
    for step in 0..steps {
        let here = step * tags..(step + 1) * tags;
        let (before, sums) = pass.sums.split_at_mut(here.start);
        let sums = &mut sums[..tags];
        if step == 0 {
            sums.copy_from_slice(&factors.begin);
        } else {
            for (from, weight) in before[here.start - tags..].iter().enumerate() {
                add_scaled(sums, *weight, &factors.steps[from * tags..][..tags]);
            }
        }
        let largest = emissions[here.clone()].iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let emitted = &mut pass.emitted[here.clone()];
        let mut scale = 0.0;
        for ((sum, emitted), emission) in sums.iter_mut().zip(emitted).zip(&emissions[here]) {
            *emitted = f64::from(emission - largest).exp();
            *sum *= *emitted;
            scale += *sum;
        }
        sums.iter_mut().for_each(|sum| *sum /= scale);
        pass.log_total += scale.ln() + f64::from(largest);
        pass.scales.push(scale);
    }
    let end: f64 = pass.sums[(steps - 1) * tags..].iter().zip(&factors.end).map(|(sum, end)| sum * end).sum();
    pass.log_total += end.ln();
    pass.scales.push(end);
    pass
}

#[inline]
fn add_scaled(sums: &mut [f64], factor: f64, values: &[f64]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += factor * value;
    }
}

/// The score of the given tags.
fn score(emissions: &[f32], chain: &[f32], tags: usize, path: impl Iterator<Item = usize>) -> f64 {
    let (mut sum, mut before) = (0.0, None);
    for (step, tag) in path.enumerate() {
        let from = before.unwrap_or(tags);
        sum += f64::from(chain[from * tags + tag]) + f64::from(emissions[step * tags + tag]);
        before = Some(tag);
    }
    before.map_or(0.0, |tag| sum + f64::from(chain[(tags + 1) * tags + tag]))
}

fn checked<'a>(gold: &'a [i64], batch: &Batch<'_>, weights: &[f32]) -> impl Fn(usize) -> &'a [i64] {
    batch.check();
    let (time, rows) = (batch.time, batch.lengths.len());
    assert_eq!(gold.len(), rows * time, "tags and emissions differ in steps");
    assert_eq!(weights.len(), rows, "weights and lengths differ in rows");
    let inside =
        |row: usize| gold[row * time..][..batch.lengths[row]].iter().all(|tag| (*tag as usize) < batch.tags);
    assert!((0..rows).all(inside), "a tag is not below {} tags", batch.tags);
    let lengths = batch.lengths.to_vec();
    move |row| &gold[row * time..][..lengths[row]]
}

/// Returns the weighted sum of the rows' losses to the tags `gold [rows, time]`.
///
/// # Panics
/// If a tag is not below the number of tags, or sizes don't fit.
pub fn loss(batch: Batch<'_>, gold: &[i64], weights: &[f32]) -> f32 {
    let gold = checked(gold, &batch, weights);
    let factors = Factors::new(batch.chain, batch.tags);
    let sums = par::run((), Cut::new(weights.len(), batch.cost()), |range, ()| {
        let of_row = |row: usize| {
            let emissions = batch.row(row);
            if emissions.is_empty() {
                return 0.0;
            }
            let truth = gold(row).iter().map(|tag| *tag as usize);
            let total = forward(emissions, &factors, batch.tags).log_total;
            f64::from(weights[row]) * (total - score(emissions, batch.chain, batch.tags, truth))
        };
        range.map(of_row).sum::<f64>()
    });
    sums.into_iter().sum::<f64>() as f32
}

/// Returns the loss as [`loss`] does, and its gradients by emissions and chain.
///
/// # Panics
/// If a tag is not below the number of tags, or sizes don't fit.
pub fn gradients(batch: Batch<'_>, gold: &[i64], weights: &[f32]) -> Gradients {
    let gold = checked(gold, &batch, weights);
    let (tags, time) = (batch.tags, batch.time);
    let factors = Factors::new(batch.chain, tags);
    let mut demissions = vec![0.0f32; batch.emissions.len()];
    let cut = Cut::with_partials(weights.len(), batch.cost());
    let parts = par::run(Rows::new(&mut demissions, time * tags), cut, |range, rows| {
        let mut loss = 0.0;
        // Of the steps, still without their factors, of the beginnings and of the ends.
        let mut dchain = vec![0.0f64; (tags + 2) * tags];
        let mut counted = vec![0.0f64; (tags + 2) * tags];
        for (place, row) in range.enumerate() {
            let emissions = batch.row(row);
            if emissions.is_empty() {
                continue;
            }
            let weight = f64::from(weights[row]);
            let pass = forward(emissions, &factors, tags);
            let truth = gold(row);
            let path = truth.iter().map(|tag| *tag as usize);
            loss += weight * (pass.log_total - score(emissions, batch.chain, tags, path));
            let demissions = &mut rows.data[place * time * tags..][..emissions.len()];
            backward(&pass, &factors, tags, weight, demissions, &mut dchain);
            let mut before = tags;
            for (step, tag) in truth.iter().map(|tag| *tag as usize).enumerate() {
                demissions[step * tags + tag] -= weight as f32;
                counted[before * tags + tag] += weight;
                before = tag;
            }
            counted[(tags + 1) * tags + before] += weight;
        }
        let chain = dchain.iter().zip(&counted).enumerate().map(|(at, (slope, counted))| {
            let factor = factors.steps.get(at).copied().unwrap_or(1.0);
            (slope * factor - counted) as f32
        });
        (loss, chain.collect::<Vec<f32>>())
    });
    let (losses, partials): (Vec<f64>, Vec<Vec<f32>>) = parts.into_iter().unzip();
    Gradients {
        loss: losses.into_iter().sum::<f64>() as f32,
        demissions,
        dchain: add_partials(partials, batch.chain.len()),
    }
}

/// Adds the probabilities of tags and of pairs of tags to the gradients.
fn backward(
    pass: &Forward,
    factors: &Factors,
    tags: usize,
    weight: f64,
    demissions: &mut [f32],
    dchain: &mut [f64],
) {
    let steps = pass.sums.len() / tags;
    let (of_steps, of_ends) = dchain.split_at_mut(tags * tags);
    let (of_begin, of_end) = of_ends.split_at_mut(tags);
    let mut later: Vec<f64> = factors.end.iter().map(|end| end / pass.scales[steps]).collect();
    for step in (0..steps).rev() {
        let here = step * tags..(step + 1) * tags;
        let sums = &pass.sums[here.clone()];
        for (tag, ((sum, later), slope)) in
            sums.iter().zip(&later).zip(&mut demissions[here.clone()]).enumerate()
        {
            let probability = weight * sum * later;
            *slope += probability as f32;
            if step == 0 {
                of_begin[tag] += probability;
            }
            if step + 1 == steps {
                of_end[tag] += probability;
            }
        }
        if step == 0 {
            break;
        }
        // What follows a step, its own emission included, in units of the sums before it.
        let mut next = later.clone();
        for (next, emitted) in next.iter_mut().zip(&pass.emitted[here.clone()]) {
            *next *= emitted / pass.scales[step];
        }
        let before = &pass.sums[here.start - tags..here.start];
        for (from, (sum, later)) in before.iter().zip(&mut later).enumerate() {
            let row = from * tags..(from + 1) * tags;
            add_scaled(&mut of_steps[row.clone()], weight * sum, &next);
            *later = factors.steps[row].iter().zip(&next).map(|(factor, next)| factor * next).sum();
        }
    }
}

/// Returns the best tags of each row (Viterbi 1967): an empty list for a row without steps.
///
/// `allowed [tags + 2, tags]` says which steps, beginnings and ends may be taken at all; if none of the paths is allowed,
/// the best of all is given.
///
/// # Panics
/// If sizes don't fit.
pub fn best(batch: Batch<'_>, allowed: &[bool]) -> Vec<Best> {
    batch.check();
    assert_eq!(allowed.len(), batch.chain.len(), "the chain and what is allowed of it differ in size");
    let factors = Factors::new(batch.chain, batch.tags);
    let parts = par::run((), Cut::new(batch.lengths.len(), batch.cost()), |range, ()| {
        range.map(|row| best_of_row(&batch, row, &factors, allowed)).collect::<Vec<_>>()
    });
    parts.into_iter().flatten().collect()
}

fn best_of_row(batch: &Batch<'_>, row: usize, factors: &Factors, allowed: &[bool]) -> Best {
    let (tags, emissions) = (batch.tags, batch.row(row));
    let steps = emissions.len() / tags.max(1);
    if steps == 0 {
        return Best { tags: Vec::new(), probability: 1.0 };
    }
    // Far below every score, yet above another of its kind by the scores of the rest.
    const FORBIDDEN: f64 = -1e9;
    let link = |from: usize, to: usize| {
        let at = from * tags + to;
        f64::from(batch.chain[at]) + if allowed[at] { 0.0 } else { FORBIDDEN }
    };
    let emission = |step: usize, tag: usize| f64::from(emissions[step * tags + tag]);
    let mut scores: Vec<f64> = (0..tags).map(|tag| link(tags, tag) + emission(0, tag)).collect();
    let mut came_from = vec![0u32; steps * tags];
    for step in 1..steps {
        let reach = |to: usize| {
            let mut found = (f64::NEG_INFINITY, 0);
            for (from, score) in scores.iter().enumerate() {
                let score = score + link(from, to);
                if score > found.0 {
                    found = (score, from);
                }
            }
            found
        };
        let reached: Vec<(f64, usize)> = (0..tags).map(reach).collect();
        for (tag, (score, from)) in reached.into_iter().enumerate() {
            scores[tag] = score + emission(step, tag);
            came_from[step * tags + tag] = from as u32;
        }
    }
    let mut last = (f64::NEG_INFINITY, 0);
    for (tag, score) in scores.iter().enumerate() {
        let score = score + link(tags + 1, tag);
        if score > last.0 {
            last = (score, tag);
        }
    }
    let mut path = vec![last.1 as u32; steps];
    for step in (1..steps).rev() {
        path[step - 1] = came_from[step * tags + path[step] as usize];
    }
    let score = score(emissions, batch.chain, tags, path.iter().map(|tag| *tag as usize));
    let total = forward(emissions, factors, tags).log_total;
    let share = (score - total).exp();
    // Written as a selection that keeps a NaN.
    Best { tags: path, probability: if share > 1.0 { 1.0 } else { share } }
}

#[cfg(test)]
mod tests {
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
                    let path: Vec<usize> =
                        (0..length).map(|step| code / tags.pow(step as u32) % tags).collect();
                    let mut score =
                        chain[tags * tags + path[0]] + chain[(tags + 1) * tags + path[length - 1]];
                    score +=
                        path.iter().enumerate().map(|(step, tag)| emissions[step * tags + tag]).sum::<f64>();
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
            check_gradient(&emissions, &wide(&got.demissions), |emissions| {
                made.twin(emissions, &chain, weights)
            });
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
}
