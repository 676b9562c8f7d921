//! A few steps and an evaluation, to foresee what the whole will take.

use super::Training;
use crate::error::LearnError;
use crate::keeper::Keeper;
use std::cmp::Reverse;
use std::time::{Duration, Instant};

impl Training<'_> {
    /// Makes a step with the longest sequences, where there are any: no other takes as much memory.
    ///
    /// # Errors
    /// If the loss is not finite.
    pub fn probe_longest(&mut self) -> Result<(), LearnError> {
        if !self.has_sequences() {
            return Ok(());
        }
        let mut longest = self.examples.train.to_vec();
        longest.sort_by_key(|row| Reverse(self.length(*row)));
        longest.truncate(self.recipe.batch_size);
        self.open_epoch();
        self.step(&longest, None)?;
        self.progress.open = false;
        Ok(())
    }

    /// Makes steps without evaluation: `warm_up` of them, then more for about `budget`, at most `most`. Gives rows, steps and
    /// seconds after the warm-up. Between epochs memory goes back to the system as in the run: it grows from step to step.
    ///
    /// # Errors
    /// If the loss is not finite.
    pub fn probe(
        &mut self,
        warm_up: usize,
        most: usize,
        budget: Duration,
    ) -> Result<(usize, usize, f64), LearnError> {
        let (mut clock, mut rows, mut steps) = (Instant::now(), 0, 0);
        let mut made = 0;
        while made < warm_up.max(1) || (clock.elapsed() < budget && made < most) {
            if !self.progress.open {
                self.open_epoch();
            }
            let opened = Instant::now();
            let order = self.order();
            for batch in order.chunks(self.recipe.batch_size) {
                if made == warm_up {
                    (clock, rows, steps) = (Instant::now(), 0, 0);
                }
                self.step(batch, None)?;
                (made, rows, steps) = (made + 1, rows + batch.len(), steps + 1);
                if made > warm_up && (clock.elapsed() >= budget || made >= most) {
                    break;
                }
            }
            self.progress.open = false;
            // An evaluation finds what a whole epoch left.
            if clock.elapsed() + opened.elapsed() < budget && made < most {
                self.release_memory(opened.elapsed());
            }
        }
        Ok((rows, steps, clock.elapsed().as_secs_f64()))
    }

    /// Makes a step and evaluates on val as after an epoch whose state is the best so far or is not; gives the seconds that
    /// the evaluation took.
    ///
    /// A step after one that is not holds more states at once than any other: the best, the last and its own.
    ///
    /// # Errors
    /// If loss or objective are not finite, or the disk is full.
    pub fn probe_evaluation(&mut self, is_best: bool, keeper: &mut Keeper) -> Result<f64, LearnError> {
        self.probe(1, 1, Duration::ZERO)?;
        let before = self.progress.best.filter(|_| !is_best);
        // No value is better than one that is no number.
        self.progress.best = before.map(|(epoch, _)| (epoch, f64::NAN));
        let clock = Instant::now();
        self.close_epoch(Some(keeper), &mut |_| {})?;
        self.progress.best = before.filter(|_| self.recipe.keep_best).or(self.progress.best);
        Ok(clock.elapsed().as_secs_f64())
    }
}
