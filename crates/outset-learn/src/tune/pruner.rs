//! Pruners: which trial goes on, from the checkpoint where it paused, and which stays behind.
//!
//! A trial pauses at rungs: after 1/27, 1/9, 1/3 of its epochs and at their end. Of all that reached a rung, the best third
//! goes on to the next as soon as it is clear that it belongs there, without waiting for the others: ASHA (Li et al. 2020,
//! <https://arxiv.org/abs/1810.05934>), with its trials continued, not begun again.

use outset_spec::choices;

choices! {
    /// Which trials are trained to their end.
    pub enum Pruner {
        /// The best third at each rung.
        Asha = "asha",
        /// Those not worse than the median at each rung.
        Median = "median",
        /// All of them.
        Off = "none",
    }
}

/// Of the trials at a rung, one in so many goes on.
const REDUCTION: usize = 3;
/// Rungs, the end being the last.
pub const RUNGS: usize = 4;
/// Trials at a rung before a median says something.
const ENOUGH: usize = 4;

/// Where a trial stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// A process is at it.
    Running,
    /// At a rung.
    Paused,
    /// Between two rungs, because its process was stopped.
    Interrupted,
    /// At its end.
    Done,
    /// It cannot go on.
    Failed,
}

/// What a pruner looks at.
#[derive(Clone, Debug)]
pub struct Standing {
    pub id: usize,
    pub stage: Stage,
    /// Values at the rungs that were reached, smaller being better.
    pub values: Vec<f64>,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Go on with a trial to its next rung.
    Continue(usize),
    /// Begin a new trial.
    Begin,
    /// Others are at work on what is to be known first.
    Wait,
    /// There is nothing left to do.
    Nothing,
}

/// The epochs after which a trial of so many epochs pauses at a rung.
pub fn epochs_at(rung: usize, epochs: usize) -> usize {
    epochs.div_ceil(REDUCTION.pow((RUNGS - 1 - rung.min(RUNGS - 1)) as u32)).max(1)
}

impl Pruner {
    /// Decides what is to be done next; the trial `whole` is trained to its end in any case.
    pub fn next(self, trials: &[Standing], may_begin: bool, whole: usize) -> Next {
        let stopped = trials.iter().find(|trial| trial.stage == Stage::Interrupted);
        let always = trials.iter().find(|trial| trial.stage == Stage::Paused && trial.id == whole);
        if let Some(trial) = stopped.or(always) {
            return Next::Continue(trial.id);
        }
        let rivals: Vec<&Standing> = trials.iter().filter(|trial| trial.id != whole).collect();
        let paused = |trial: &&&Standing| trial.stage == Stage::Paused;
        let promoted = rivals
            .iter()
            .filter(paused)
            .filter(|trial| self.promotes(trial, &rivals))
            // The farthest first, the better of two at one rung first.
            .min_by(|a, b| {
                b.values.len().cmp(&a.values.len()).then(last(a).total_cmp(&last(b))).then(a.id.cmp(&b.id))
            });
        if let Some(trial) = promoted {
            return Next::Continue(trial.id);
        }
        if may_begin {
            return Next::Begin;
        }
        if trials.iter().any(|trial| trial.stage == Stage::Running) {
            return Next::Wait;
        }
        // Few trials leave the upper rungs empty: what waits goes on while it may be the best of all, so that the winner is
        // always one that came to its end.
        let best_done = rivals
            .iter()
            .filter(|trial| trial.stage == Stage::Done)
            .map(|trial| last(trial))
            .reduce(f64::min);
        let waiting = rivals.iter().filter(paused);
        let next = match best_done {
            Some(best) => {
                waiting.filter(|trial| last(trial) < best).min_by(|a, b| last(a).total_cmp(&last(b)))
            }
            None => {
                waiting.min_by(|a, b| b.values.len().cmp(&a.values.len()).then(last(a).total_cmp(&last(b))))
            }
        };
        next.map_or(Next::Nothing, |trial| Next::Continue(trial.id))
    }

    /// Whether a trial at a rung goes on.
    fn promotes(self, trial: &Standing, rivals: &[&Standing]) -> bool {
        let Some(rung) = trial.values.len().checked_sub(1) else { return true };
        let mut there: Vec<f64> = rivals.iter().filter_map(|rival| rival.values.get(rung).copied()).collect();
        there.sort_by(f64::total_cmp);
        let place = there.iter().filter(|value| **value < trial.values[rung]).count();
        match self {
            Self::Off => true,
            Self::Asha => place < there.len() / REDUCTION,
            Self::Median => there.len() < ENOUGH || place < there.len().div_ceil(2),
        }
    }
}

fn last(trial: &Standing) -> f64 {
    trial.values.last().copied().unwrap_or(f64::INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(id: usize, stage: Stage, values: &[f64]) -> Standing {
        Standing { id, stage, values: values.to_vec() }
    }

    #[test]
    fn rungs_triple() {
        let at = |epochs| (0..RUNGS).map(|rung| epochs_at(rung, epochs)).collect::<Vec<_>>();
        assert_eq!(at(54), [2, 6, 18, 54]);
        assert_eq!(at(16), [1, 2, 6, 16]);
        assert_eq!(at(1), [1, 1, 1, 1]);
    }

    #[test]
    fn the_best_third_goes_on_at_once() {
        let paused: Vec<Standing> = (1..=6).map(|id| standing(id, Stage::Paused, &[id as f64])).collect();
        assert_eq!(Pruner::Asha.next(&paused[..2], true, 0), Next::Begin);
        assert_eq!(Pruner::Asha.next(&paused, true, 0), Next::Continue(1));
        let mut later = paused.clone();
        later[0] = standing(1, Stage::Running, &[1.0]);
        assert_eq!(Pruner::Asha.next(&later, true, 0), Next::Continue(2));
        later[1] = standing(2, Stage::Running, &[2.0]);
        assert_eq!(Pruner::Asha.next(&later, true, 0), Next::Begin);
        assert_eq!(Pruner::Asha.next(&later, false, 0), Next::Wait);
    }

    #[test]
    fn a_study_ends_with_a_whole_trial() {
        let mut trials = vec![standing(1, Stage::Paused, &[2.0]), standing(2, Stage::Paused, &[1.0])];
        for values in [&[1.0, 0.9][..], &[1.0, 0.9, 0.8], &[1.0, 0.9, 0.8, 0.7]] {
            assert_eq!(Pruner::Asha.next(&trials, false, 0), Next::Continue(2));
            trials[1] = standing(2, if values.len() < 4 { Stage::Paused } else { Stage::Done }, values);
        }
        assert_eq!(Pruner::Asha.next(&trials, false, 0), Next::Nothing);
    }

    #[test]
    fn what_was_stopped_and_the_default_come_first() {
        let trials = [
            standing(0, Stage::Paused, &[9.0]),
            standing(1, Stage::Interrupted, &[]),
            standing(2, Stage::Paused, &[1.0]),
        ];
        assert_eq!(Pruner::Asha.next(&trials, true, 0), Next::Continue(1));
        assert_eq!(Pruner::Asha.next(&[trials[0].clone(), trials[2].clone()], true, 0), Next::Continue(0));
    }

    #[test]
    fn the_worse_half_stays_behind() {
        let trials: Vec<Standing> = (1..=5).map(|id| standing(id, Stage::Paused, &[id as f64])).collect();
        let go = |id: usize| Pruner::Median.promotes(&trials[id - 1], &trials.iter().collect::<Vec<_>>());
        assert_eq!([1, 2, 3, 4, 5].map(go), [true, true, true, false, false]);
        assert_eq!(Pruner::Off.next(&trials, true, 0), Next::Continue(1));
    }
}
