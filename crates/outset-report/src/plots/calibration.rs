//! Whether a probability can be taken at its word.

use super::axis::Axis;
use super::chart::Chart;
use super::{Plot, SIZE, Subject};
use crate::format;
use crate::predictions::{Answers, Class};
use crate::run::Run;
use crate::surface::Stroke;
use crate::surface::palette::{BLUE, MUTED};

/// Bins of equal width from 0 to 1.
const BINS: usize = 10;

pub fn plots(run: &Run) -> Vec<Plot<'_>> {
    let mut plots = Vec::new();
    for predicted in &run.predictions {
        let Answers::Classes(classes) = &predicted.answers else { continue };
        let details = run.record.details.get(&predicted.output);
        let is_set = details.is_some_and(|details| details.kind == "set");
        let positive = details.and_then(|details| details.positive.as_deref());
        let asked = classes.iter().find(|class| Some(class.name.as_str()) == positive).or(classes.get(1));
        let (bins, subject, label) = match asked {
            _ if is_set => (pooled(classes), "any class".to_owned(), "share that has it"),
            Some(class) if classes.len() == 2 => {
                (pooled(std::slice::from_ref(class)), format::shortened(&class.name, 60), "share that has it")
            }
            _ => (largest(classes), "the answer that the model gives".to_owned(), "share that is right"),
        };
        if bins.iter().all(|bin| bin.rows == 0.0) {
            continue;
        }
        let note = format!(
            "Whether 80 % means 80 %: test rows grouped by the probability of {subject}. Points on the dashed line keep their \
             word; below it the model is too sure. A larger point stands for more rows."
        );
        let output = Subject::Output(&predicted.output);
        plots.push(Plot::new(output, "calibration", "Calibration", note, move |surface| {
            let (x, y) = (Axis::new("probability given", 0.0, 1.0), Axis::new(label, 0.0, 1.0));
            let mut chart = Chart::new(surface, SIZE, x, y, &[]);
            chart.line([[0.0, 0.0], [1.0, 1.0]], Stroke::new(MUTED, 1.5).dashed());
            let filled = || bins.iter().filter(|bin| bin.rows > 0.0);
            chart.line(filled().map(Bin::point), Stroke::new(BLUE.alpha(0.5), 1.5));
            let most = filled().map(|bin| bin.rows).fold(1.0, f64::max);
            for bin in filled() {
                let [given, happened] = bin.point();
                chart.dot(given, happened, 2.5 + 4.5 * (bin.rows / most).sqrt() as f32, BLUE);
            }
        }));
    }
    plots
}

/// Sums over the rows whose probability falls into one bin.
#[derive(Clone, Copy, Default)]
struct Bin {
    rows: f64,
    given: f64,
    happened: f64,
}

impl Bin {
    /// Mean probability and share of rows where it came true.
    fn point(&self) -> [f64; 2] {
        [self.given / self.rows, self.happened / self.rows]
    }
}

fn add(bins: &mut [Bin; BINS], probability: f32, is: bool) {
    if probability.is_finite() {
        let bin = &mut bins[((probability * BINS as f32).max(0.0) as usize).min(BINS - 1)];
        bin.rows += 1.0;
        bin.given += f64::from(probability);
        bin.happened += f64::from(u8::from(is));
    }
}

/// Every probability of these classes.
fn pooled(classes: &[Class]) -> [Bin; BINS] {
    let mut bins = [Bin::default(); BINS];
    for class in classes {
        for (probability, is) in class.probabilities.iter().zip(&class.actual) {
            add(&mut bins, *probability, *is);
        }
    }
    bins
}

/// Each row's largest probability.
fn largest(classes: &[Class]) -> [Bin; BINS] {
    let mut bins = [Bin::default(); BINS];
    for row in 0..classes.first().map_or(0, |class| class.actual.len()) {
        let answer = classes.iter().max_by(|a, b| a.probabilities[row].total_cmp(&b.probabilities[row]));
        if let Some(class) = answer {
            add(&mut bins, class.probabilities[row], class.actual[row]);
        }
    }
    bins
}
