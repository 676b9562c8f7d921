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
mod tests;
