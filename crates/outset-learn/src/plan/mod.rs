//! What a run will take before it is begun: time, memory, arithmetic, energy, money.
//!
//! Nothing is modelled that can be measured: [`rehearse`] goes the whole way of a run in a scratch folder, with the real
//! data and the real network, but with a few steps of training only and with val and train rows in the place of the test
//! part. The time of the steps that are left out follows from those that were made.

pub mod prices;
pub mod scaling;

mod flops;
mod memory;
mod search;

use crate::device;
use crate::error::LearnError;
use crate::event::{Event, Observer};
use crate::keeper::Keeper;
use crate::machine;
use crate::network::Network;
use crate::prepare::prepare;
use crate::resume;
use crate::run::{Options, Way};
use crate::train::{Pause, Training};
use burn::module::Module as _;
use outset_spec::Experiment;
use outset_spec::record::{MetricLine, Money};
use outset_spec::state::RunState;
use prices::{Hardware, Prices};
use search::Search;
use serde::Serialize;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// Steps before the clock starts: caches and allocator settle in them.
const WARM_UP: usize = 3;
/// How long steps are timed.
const BUDGET: Duration = Duration::from_millis(2500);
/// Time that a graphics card takes for a step at least, however small: some hundred kernels are started one by one.
const LAUNCH_SECONDS: f64 = 0.003;

/// What was measured in a rehearsal.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Rehearsal {
    pub train_rows: usize,
    pub val_rows: usize,
    pub test_rows: usize,
    pub epochs: usize,
    pub steps: usize,
    pub batch_size: usize,
    pub parameters: usize,
    /// Floating-point operations of one row, forward.
    pub flops_per_row: f64,
    /// From the start of the program until the first step.
    pub prepare_seconds: f64,
    /// Of one row of train, forward, backward and update.
    pub row_seconds: f64,
    /// Steps that were timed.
    pub steps_timed: usize,
    /// Of an evaluation on val.
    pub evaluation_seconds: f64,
    /// Of saving a checkpoint.
    pub checkpoint_seconds: f64,
    /// Of everything after training, the report aside.
    pub conclude_seconds: f64,
    /// The search that the run makes, where the file asks for one.
    pub search: Option<Search>,
    /// Memory that the process held before there was a network: what trials of a search share.
    #[serde(skip)]
    pub prepared_bytes: u64,
    /// Seconds between two checkpoints, or steps.
    #[serde(skip)]
    pub checkpoint: outset_spec::Checkpoint,
    #[serde(skip)]
    pub time_limit: Option<f64>,
    /// Epochs without improvement after which training stops.
    pub patience: Option<usize>,
    #[serde(skip)]
    pub cost_limit: Option<f64>,
    pub threads: usize,
    /// Why not even the weights fit into memory, where they do not.
    pub too_large: Option<String>,
    /// The pass of a step, where it would take more memory than there is.
    pub micro_batch_size: Option<MicroBatch>,
    /// What the experiment says and what its rows are, to know the run again that was planned.
    #[serde(skip)]
    pub declared: serde_json::Value,
    #[serde(skip)]
    pub rows_sha256: String,
}

/// A pass that would take more memory than there is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MicroBatch {
    /// Rows of a pass, as they were asked for.
    pub asked: usize,
    /// Rows of a pass that fit; 0 if not even one does.
    pub fits: usize,
    /// Bytes that the pass would have taken.
    pub bytes: u64,
}

/// A forecast.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// The whole `outset run`, from the start to the report.
    pub seconds: f64,
    /// The same where training stops as early as it may; how well it learns cannot be foretold.
    pub least_seconds: f64,
    pub train_seconds: f64,
    pub peak_memory_bytes: u64,
    pub flops: f64,
    pub parameters: usize,
    pub energy_kwh: f64,
    pub cost: Money,
    /// `fits`, `fits if …` or `does not fit: …`.
    pub verdict: String,
    /// Day of the prices.
    pub prices: String,
    /// The same on other machines, roughly.
    pub hardware: Vec<Elsewhere>,
    /// What the forecast was made from.
    pub rehearsal: Rehearsal,
}

/// A forecast for a machine that was not measured.
#[derive(Clone, Debug, Serialize)]
pub struct Elsewhere {
    pub name: String,
    pub device: String,
    pub seconds: f64,
    pub energy_kwh: f64,
    pub cost: Money,
    pub fits_memory: bool,
    pub source: String,
}

/// Goes the way of a run with a few steps, in a scratch folder, without a look at the test part.
///
/// # Errors
/// Whatever would go wrong in the run itself.
pub fn rehearse(
    experiment: &Experiment,
    scratch: &Path,
    observe: Observer<'_>,
) -> Result<Rehearsal, LearnError> {
    let interrupt = &AtomicBool::new(false);
    let started = machine::started();
    let mut prepared = prepare(experiment, observe)?;
    let options = Options::new(scratch.to_owned(), interrupt);
    let state = resume::begin(experiment, &prepared, &options, scratch)?;
    let prepare_seconds = started.elapsed().as_secs_f64();
    let test_rows = prepared.test.len();
    // As many rows as test has, but none of its own.
    prepared.test = prepared.val.iter().chain(&prepared.train).copied().take(test_rows).collect();
    let device = device::chosen().autodiff();
    let steps_per_epoch = prepared.train.len().div_ceil(prepared.recipe.batch_size.max(1));
    let asked = prepared.recipe.steps.unwrap_or(usize::MAX);
    let steps = asked.min(prepared.recipe.epochs.saturating_mul(steps_per_epoch));
    let mut rehearsal = Rehearsal {
        train_rows: prepared.train.len(),
        val_rows: prepared.val.len(),
        test_rows,
        epochs: steps.div_ceil(steps_per_epoch.max(1)),
        steps,
        batch_size: prepared.recipe.batch_size,
        prepare_seconds,
        prepared_bytes: machine::resident_memory_bytes(),
        checkpoint: prepared.recipe.checkpoint.clone(),
        search: Search::of(experiment, steps.div_ceil(steps_per_epoch.max(1))),
        patience: prepared.recipe.patience,
        time_limit: prepared.recipe.time_limit.map(|limit| limit.as_secs_f64()),
        cost_limit: prepared.recipe.cost_limit,
        threads: rayon::current_num_threads(),
        declared: resume::declared(experiment),
        rows_sha256: prepared.data.rows_sha256.clone(),
        ..Rehearsal::default()
    };
    if let Err(error) = prepared.design.check_memory(&prepared.preprocessor) {
        let LearnError::TooLarge { parameters, .. } = error else { return Err(error) };
        (rehearsal.parameters, rehearsal.too_large) = (parameters as usize, Some(error.to_string()));
        return Ok(rehearsal);
    }
    let clock = Instant::now();
    let network = prepared.design.build(&prepared.preprocessor, prepared.recipe.seed, &device);
    rehearsal.prepare_seconds += clock.elapsed().as_secs_f64();
    rehearsal.parameters = network.parts().iter().map(|(_, _, count)| count).sum();
    observe(Event::Model {
        kind: prepared.experiment.model.kind.clone(),
        parameters: rehearsal.parameters,
        members: network.members(),
        device: device::name().to_owned(),
        words: prepared.design.words(&network),
    });
    rehearsal.flops_per_row = flops::forward(&network.clone().valid(), &prepared.features, &prepared.train);
    let too_large = memory::too_large(&network, &prepared, &device);
    if let Some(MicroBatch { fits, .. }) = too_large {
        prepared.recipe.micro_batch_size = fits.max(1);
    }
    rehearsal.micro_batch_size = too_large;
    if too_large.is_some_and(|micro| micro.fits == 0) {
        return Ok(rehearsal);
    }
    let way = Way {
        prepared,
        folder: scratch.to_owned(),
        checkpoint: None,
        price_per_second: 0.0,
        interrupt,
        started: Instant::now(),
    };
    measure(&way, network, state, &mut rehearsal)?;
    Ok(rehearsal)
}

/// Times steps, evaluation, checkpoint and what follows on training.
fn measure(
    way: &Way<'_>,
    network: Network,
    mut state: RunState,
    rehearsal: &mut Rehearsal,
) -> Result<(), LearnError> {
    let Way { prepared, folder: scratch, .. } = way;
    let examples = prepared.examples();
    let device = device::chosen().autodiff();
    let clock = Instant::now();
    let mut training = Training::new(&prepared.design, network, &prepared.recipe, &examples, &device);
    rehearsal.prepare_seconds += clock.elapsed().as_secs_f64();
    training.probe_longest()?;
    let (rows, timed, seconds) = training.probe(WARM_UP, rehearsal.steps.max(WARM_UP + 1), BUDGET)?;
    (rehearsal.row_seconds, rehearsal.steps_timed) = (seconds / rows.max(1) as f64, timed);
    let steps_seconds = rehearsal.row_seconds * rehearsal.train_rows as f64;
    let mut keeper = Keeper::new(scratch, &prepared.recipe.checkpoint, prepared.recipe.seed, &[], 0)?;
    let mut evaluate = |is_best| -> Result<f64, LearnError> {
        let seconds = training.probe_evaluation(is_best, &mut keeper)?;
        training.release_memory(Duration::from_secs_f64(steps_seconds + seconds));
        Ok(seconds)
    };
    // The first evaluation finds cold caches, as only one of the run's does.
    let first = evaluate(true)?;
    let repeats = if first > 2.0 { 1 } else { 2 };
    let mut evaluations: Vec<f64> = vec![first];
    for _ in 0..repeats {
        evaluations.push(evaluate(rehearsal.epochs < 3)?);
    }
    // Only then a step may follow on an epoch that was not the best.
    if rehearsal.epochs >= 3 {
        training.probe(1, 1, Duration::ZERO)?;
    }
    evaluations.sort_by(f64::total_cmp);
    rehearsal.evaluation_seconds = evaluations[evaluations.len() / 2];
    // The report draws a point of each epoch: here all are as the last one was.
    let lines = keeper.lines();
    let last = lines.last().map_or(0, |line| line.epoch);
    let mut keeper = Keeper::new(scratch, &prepared.recipe.checkpoint, prepared.recipe.seed, &[], 0)?;
    for epoch in 1..=rehearsal.epochs {
        let step = epoch * training.steps_per_epoch();
        for line in lines.iter().filter(|line| line.epoch == last) {
            keeper.line(&MetricLine { step, epoch, ..line.clone() })?;
        }
    }
    let clock = Instant::now();
    training.save(&mut keeper)?;
    rehearsal.checkpoint_seconds = clock.elapsed().as_secs_f64();
    let clock = Instant::now();
    let trained = training.finish(Pause::Reached);
    let record = way.conclude(trained, &examples, &mut state, &mut |_| {})?;
    crate::run::write_record(scratch, &record)?;
    resume::write_state(scratch, &state)?;
    rehearsal.conclude_seconds = clock.elapsed().as_secs_f64();
    Ok(())
}

/// The sooner of a limit in seconds and one of what they cost, in seconds, with its key.
fn soonest(
    time_limit: Option<f64>,
    cost_limit: Option<f64>,
    price_per_second: f64,
    [time_key, cost_key]: [&'static str; 2],
) -> Option<(f64, &'static str)> {
    let by_cost = cost_limit.map(|cost| cost / price_per_second.max(f64::MIN_POSITIVE));
    let limits = [(time_limit, time_key), (by_cost, cost_key)];
    let given = limits.into_iter().filter_map(|(seconds, key)| Some((seconds?, key)));
    given.min_by(|a, b| a.0.total_cmp(&b.0))
}

impl Rehearsal {
    /// The forecast: `report_seconds` is what writing the report took, `peak_memory_bytes` the most memory until then.
    pub fn plan(self, report_seconds: f64, peak_memory_bytes: u64, prices: &Prices) -> Plan {
        let peak_memory_bytes = self.search.map_or(peak_memory_bytes, |search| {
            search.peak_memory_bytes(peak_memory_bytes, self.prepared_bytes)
        });
        let rest = self.prepare_seconds + self.conclude_seconds + report_seconds;
        let rows = self.train_rows as f64 * self.steps as f64 * self.batch_size as f64
            / (self.train_rows.div_ceil(self.batch_size.max(1)) * self.batch_size).max(1) as f64;
        let all_epochs = self.train_seconds(rows);
        let per_second = prices.per_second(self.threads);
        let keys = ["train.time_limit", "train.cost_limit"];
        let limit = soonest(self.time_limit, self.cost_limit, per_second, keys)
            .filter(|(seconds, _)| *seconds < all_epochs);
        let train_seconds = match limit {
            // The epoch in work is evaluated before training ends.
            Some((seconds, _)) => seconds + self.evaluation_seconds,
            None => all_epochs,
        };
        let of_search =
            |seconds: f64| self.search.map_or(seconds, |search| search.seconds(seconds, per_second));
        let ends_early = self.search.and_then(|search| search.ends_early(train_seconds, per_second));
        // The first epoch is the best at least, and then there is none for a while.
        let first = self.patience.map_or(1.0, |patience| (1 + patience) as f64 / self.epochs.max(1) as f64);
        let least = of_search(train_seconds.min(all_epochs * first));
        let train_seconds = of_search(train_seconds);
        let share = train_seconds / all_epochs.max(f64::MIN_POSITIVE);
        let seconds = rest + train_seconds;
        let evaluated = (self.epochs * self.val_rows) as f64;
        let flops = self.flops_per_row * (3.0 * rows + evaluated) * share;
        Plan {
            seconds,
            least_seconds: rest + least,
            train_seconds,
            peak_memory_bytes,
            flops,
            parameters: self.parameters,
            energy_kwh: prices.watts(self.threads) / 1000.0 * seconds / 3600.0,
            cost: prices.cost(seconds, self.threads),
            verdict: self.verdict(limit, all_epochs, ends_early, peak_memory_bytes),
            prices: prices.date.clone(),
            hardware: prices
                .hardware
                .iter()
                .filter(|_| self.was_timed())
                .map(|hardware| {
                    self.elsewhere(hardware, prices, rest, train_seconds, flops, peak_memory_bytes)
                })
                .collect(),
            rehearsal: self,
        }
    }

    /// Whether steps were made at all: a network that does not fit gives nothing to go by.
    pub fn was_timed(&self) -> bool {
        self.steps_timed > 0
    }

    /// Seconds of training with evaluations and checkpoints.
    fn train_seconds(&self, rows: f64) -> f64 {
        let steps = rows * self.row_seconds + self.epochs as f64 * self.evaluation_seconds;
        let saves = match self.checkpoint.every {
            outset_spec::Every::Steps(every) => (self.steps / every.max(1)) as f64,
            outset_spec::Every::Time(every) => steps / every.0.as_secs_f64().max(1.0),
        };
        steps + (saves.floor() + 1.0) * self.checkpoint_seconds
    }

    fn verdict(
        &self,
        limit: Option<(f64, &str)>,
        all_epochs: f64,
        ends_early: Option<(usize, &str)>,
        peak: u64,
    ) -> String {
        if let Some(why) = &self.too_large {
            return format!("does not fit: {why}");
        }
        if let Some(MicroBatch { asked, fits, bytes }) = self.micro_batch_size {
            let gib = bytes as f64 / (1u64 << 30) as f64;
            return match fits {
                0 => format!(
                    "does not fit: a pass of {asked} rows takes {gib:.1} GiB, and one row is too much"
                ),
                fits => format!(
                    "fits if `train.micro_batch_size={fits}`: a pass of {asked} rows takes {gib:.1} GiB"
                ),
            };
        }
        let available = machine::available_memory_bytes();
        if available.is_some_and(|available| peak > available + machine::resident_memory_bytes()) {
            return "does not fit: there is not enough free memory".to_owned();
        }
        if let Some((seconds, key)) = limit {
            let epochs = ((seconds / all_epochs * self.epochs as f64).floor() as usize).max(1);
            return format!(
                "fits if `train.epochs={epochs}`: `{key}` ends training after about {epochs} of {} epochs",
                self.epochs
            );
        }
        if let (Some(search), Some((trials, key))) = (self.search, ends_early) {
            return format!(
                "fits if `tune.trials={trials}`: `{key}` ends the search after about {trials} of {} trials",
                search.trials
            );
        }
        "fits".to_owned()
    }

    fn elsewhere(
        &self,
        hardware: &Hardware,
        prices: &Prices,
        rest: f64,
        train_seconds: f64,
        flops: f64,
        peak: u64,
    ) -> Elsewhere {
        let train = if hardware.gflops > 0.0 {
            (flops / (hardware.gflops * 1e9)).max(self.steps as f64 * LAUNCH_SECONDS)
        } else {
            train_seconds * self.threads as f64 / hardware.threads as f64
        };
        let seconds = rest + train;
        let hours = seconds / 3600.0;
        Elsewhere {
            name: hardware.name.clone(),
            device: hardware.device.clone(),
            seconds,
            energy_kwh: hardware.watts / 1000.0 * hours,
            cost: Money { amount: hardware.price_per_hour * hours, currency: prices.currency.clone() },
            fits_memory: peak as f64 <= hardware.memory_gib * (1u64 << 30) as f64,
            source: hardware.source.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_says_what_stands_in_the_way_most() {
        let mut rehearsal = Rehearsal { epochs: 100, ..Rehearsal::default() };
        // All epochs take 10 seconds.
        let verdict = |rehearsal: &Rehearsal, limit, peak| rehearsal.verdict(limit, 10.0, None, peak);
        assert_eq!(verdict(&rehearsal, None, 0), "fits");
        let limit = Some((5.0, "train.time_limit"));
        if machine::available_memory_bytes().is_some() {
            let words = "does not fit: there is not enough free memory";
            assert_eq!(verdict(&rehearsal, None, u64::MAX), words);
            assert_eq!(verdict(&rehearsal, limit, u64::MAX), words);
        }

        assert_eq!(
            verdict(&rehearsal, limit, 0),
            "fits if `train.epochs=50`: `train.time_limit` ends training after about 50 of 100 epochs"
        );
        // The epoch in work is evaluated before training ends, so there is one at least.
        assert_eq!(
            verdict(&rehearsal, Some((0.01, "train.cost_limit")), 0),
            "fits if `train.epochs=1`: `train.cost_limit` ends training after about 1 of 100 epochs"
        );

        rehearsal.micro_batch_size = Some(MicroBatch { asked: 1024, fits: 256, bytes: 3 << 30 });
        let fewer = "fits if `train.micro_batch_size=256`: a pass of 1024 rows takes 3.0 GiB";
        assert_eq!(verdict(&rehearsal, limit, u64::MAX), fewer);
        rehearsal.micro_batch_size = Some(MicroBatch { asked: 1024, fits: 0, bytes: 5 << 29 });
        let none = "does not fit: a pass of 1024 rows takes 2.5 GiB, and one row is too much";
        assert_eq!(verdict(&rehearsal, limit, u64::MAX), none);

        rehearsal.too_large = Some("there are too many weights".to_owned());
        assert_eq!(verdict(&rehearsal, limit, u64::MAX), "does not fit: there are too many weights");
    }
}
