//! What encoders ask of combiner and training where the file says nothing.

/// An encoder's own defaults; `None` leaves the choice to the others, and to the defaults of tables in the end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wishes {
    /// Kind of the optimizer.
    pub optimizer: Option<&'static str>,
    pub learning_rate: Option<f64>,
    pub weight_decay: Option<f64>,
    /// Kind of the schedule.
    pub schedule: Option<&'static str>,
    /// Share of all steps that the learning rate rises.
    pub warmup: Option<f64>,
    pub epochs: Option<usize>,
    pub batch_size: Option<usize>,
    pub clip_norm: Option<f64>,
    /// Decay of the moving average of the weights.
    pub ema: Option<f64>,
    /// Share of a category's target that is spread over all classes.
    pub label_smoothing: Option<f64>,
    /// Rows that go through the network at a time, at most: keeps memory small where rows are large.
    pub rows_at_once: Option<usize>,
    /// Whether the vector is ready for the decoders, so that hidden layers and an ensemble after it bring nothing.
    pub ready: bool,
    /// Whether the products of a step may be rounded to bf16 where the processor multiplies that: shown by measuring to
    /// cost no accuracy (`docs/benchmarks.md`).
    pub rounded: bool,
}

impl Wishes {
    /// The wishes of several encoders: of each kind the first, of rows at a time the fewest; ready and rounded if all are.
    pub fn of_all(wishes: impl IntoIterator<Item = Self>) -> Self {
        let fewest = |a: Option<usize>, b: Option<usize>| a.into_iter().chain(b).min();
        let together = wishes.into_iter().reduce(|first, next| Self {
            optimizer: first.optimizer.or(next.optimizer),
            learning_rate: first.learning_rate.or(next.learning_rate),
            weight_decay: first.weight_decay.or(next.weight_decay),
            schedule: first.schedule.or(next.schedule),
            warmup: first.warmup.or(next.warmup),
            epochs: first.epochs.or(next.epochs),
            batch_size: first.batch_size.or(next.batch_size),
            clip_norm: first.clip_norm.or(next.clip_norm),
            ema: first.ema.or(next.ema),
            label_smoothing: first.label_smoothing.or(next.label_smoothing),
            rows_at_once: fewest(first.rows_at_once, next.rows_at_once),
            ready: first.ready && next.ready,
            rounded: first.rounded && next.rounded,
        });
        together.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_wish_counts() {
        let table = Wishes::default();
        let text = Wishes {
            learning_rate: Some(0.1),
            epochs: Some(3),
            rows_at_once: Some(64),
            ready: true,
            ..Wishes::default()
        };
        let image = Wishes {
            learning_rate: Some(0.2),
            ema: Some(0.9),
            rows_at_once: Some(32),
            ready: true,
            rounded: true,
            ..Wishes::default()
        };
        let both = Wishes::of_all([text.clone(), image]);
        assert_eq!((both.learning_rate, both.ema, both.rows_at_once), (Some(0.1), Some(0.9), Some(32)));
        assert!(both.ready && !both.rounded);
        assert!(!Wishes::of_all([table, text]).ready);
    }
}
