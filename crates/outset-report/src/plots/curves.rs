//! The course of training: loss, objective and learning rate.

use super::axis::Axis;
use super::chart::Chart;
use super::{Plot, SIZE, Subject};
use crate::format;
use crate::run::Run;
use crate::surface::palette::{BLUE, SERIES};
use crate::surface::{Color, Stroke};

/// One value's way through training.
type Curve = Vec<[f64; 2]>;

pub fn plots(run: &Run) -> Vec<Plot<'_>> {
    let time = Time::of(run);
    let mut plots = Vec::new();
    let (train, val) = (time.curve(run, "train", "loss"), time.curve(run, "val", "loss"));
    if !train.is_empty() || !val.is_empty() {
        let note = match (train.is_empty(), val.is_empty()) {
            (_, true) => "The loss is how far the answers are off; it should fall and then level out.",
            (true, _) => {
                "The loss on rows that the model did not learn from; it should fall and then level out."
            }
            _ => {
                "The loss is how far the answers are off; it should fall. Where the curve of val, rows that the model did \
                 not learn from, rises again while that of train falls, the model has begun to learn by heart."
            }
        };
        let curves = vec![("train".to_owned(), BLUE, train), ("val".to_owned(), SERIES[1], val)];
        plots.push(time.plot("loss", "Loss", note.into(), "loss", curves));
    }
    let (output, metric) = run.objective();
    if let Some(output) = output {
        let curve = time.curve(run, "val", &format!("{output}/{metric}"));
        if !curve.is_empty() && metric != "loss" {
            let note = format!(
                "{metric} of {} on val, by which the best epoch was picked.",
                format::shortened(output, 60)
            );
            let name = format!("val {metric}");
            plots.push(time.plot("objective", "Objective", note, metric, vec![(name, SERIES[1], curve)]));
        }
    }
    let rate = time.curve(run, "train", "learning_rate");
    if rate.iter().any(|point| point[1] != rate[0][1]) {
        let note = "How large a step the model took at a time.".to_owned();
        let curves = vec![("learning rate".to_owned(), BLUE, rate)];
        plots.push(time.plot("learning-rate", "Learning rate", note, "learning rate", curves));
    }
    plots
}

/// What the curves run along: epochs if there is a value an epoch, else steps.
struct Time {
    in_epochs: bool,
    /// Where the best state lies.
    best: Option<f64>,
}

impl Time {
    fn of(run: &Run) -> Self {
        let train: Vec<usize> =
            run.lines.iter().filter(|line| line.part == "train").map(|line| line.epoch).collect();
        let in_epochs = train.windows(2).all(|pair| pair[0] < pair[1]);
        let best = run.record.training.best_epoch;
        let step = run.lines.iter().rfind(|line| line.epoch == best).map(|line| line.step);
        let best = if in_epochs { Some(best) } else { step };
        let best = best.filter(|&best| best > 0).map(|best| best as f64);
        Self { in_epochs, best }
    }

    fn curve(&self, run: &Run, part: &str, value: &str) -> Curve {
        let lines = run.lines.iter().filter(|line| line.part == part);
        let along = |epoch: usize, step: usize| if self.in_epochs { epoch } else { step } as f64;
        let points = lines.filter_map(|line| Some([along(line.epoch, line.step), *line.values.get(value)?]));
        let points: Curve = points.filter(|point| point[1].is_finite()).collect();
        thinned(points)
    }

    fn plot(
        &self,
        kind: &'static str,
        title: &str,
        note: String,
        label: &str,
        curves: Vec<(String, Color, Curve)>,
    ) -> Plot<'static> {
        let curves: Vec<_> = curves.into_iter().filter(|(_, _, curve)| !curve.is_empty()).collect();
        let along = if self.in_epochs { "epoch" } else { "step" };
        let points = || curves.iter().flat_map(|(_, _, curve)| curve.iter());
        let times: Vec<f64> = points().map(|point| point[0]).collect();
        let (first, last) =
            times.iter().fold((f64::MAX, f64::MIN), |(low, high), &time| (low.min(time), high.max(time)));
        let x = Axis::counted(along, first, last);
        let values: Vec<f64> = points().map(|point| point[1]).collect();
        let y = Axis::fitting(label, values);
        let label = if y.is_log { format!("{label} (each line a multiple)") } else { label.to_owned() };
        let y = Axis { label, ..y };
        let legend: Vec<_> = if curves.len() > 1 {
            curves.iter().map(|(name, color, _)| (*color, name.clone())).collect()
        } else {
            Vec::new()
        };
        let best = self.best.filter(|_| kind != "learning-rate" && first < last);
        Plot::new(Subject::Training, kind, title, note, move |surface| {
            let mut chart = Chart::new(surface, SIZE, x.clone(), y.clone(), &legend);
            for (_, color, curve) in &curves {
                chart.line(curve.iter().copied(), Stroke::new(*color, 2.0));
            }
            if let Some(best) = best {
                chart.mark(best, &format!("dashed: best {along} {}", format::count(best as u64)));
            }
        })
    }
}

/// At most a thousand points of a curve, each the mean of its neighbourhood.
fn thinned(curve: Curve) -> Curve {
    let width = curve.len().div_ceil(1000).max(1);
    if width == 1 {
        return curve;
    }
    let mean =
        |chunk: &[[f64; 2]], at: usize| chunk.iter().map(|point| point[at]).sum::<f64>() / chunk.len() as f64;
    curve.chunks(width).map(|chunk| [mean(chunk, 0), mean(chunk, 1)]).collect()
}
