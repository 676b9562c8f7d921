//! How far off a number's predictions are, and which way.

use super::axis::Axis;
use super::chart::Chart;
use super::{Plot, SIZE, Subject};
use crate::predictions::Answers;
use crate::run::Run;
use crate::surface::Stroke;
use crate::surface::palette::{BLUE, MUTED};

pub fn plots(run: &Run) -> Vec<Plot<'_>> {
    let mut plots = Vec::new();
    for predicted in &run.predictions {
        let Answers::Numbers(pairs) = &predicted.answers else { continue };
        if pairs.is_empty() {
            continue;
        }
        let subject = Subject::Output(&predicted.output);
        let residuals: Vec<[f64; 2]> = pairs.iter().map(|[actual, said]| [*said, actual - said]).collect();
        let errors: Vec<f64> = residuals.iter().map(|point| point[1]).collect();

        let note = "What was true less what the model said. A cloud round the dashed line with no shape to it is good; a bend \
                    or a funnel is something that the model has not learnt.";
        plots.push(Plot::new(subject, "residuals", "Residuals", note, move |surface| {
            let x = Axis::around("predicted", residuals.iter().map(|point| point[0]));
            let y = Axis::around("actual − predicted", residuals.iter().map(|point| point[1]).chain([0.0]));
            let (min, max) = (x.min, x.max);
            let mut chart = Chart::new(surface, SIZE, x, y, &[]);
            chart.line([[min, 0.0], [max, 0.0]], Stroke::new(MUTED, 1.5).dashed());
            chart.dots(&residuals, BLUE);
        }));

        let note = "How often the model is off by how much. A narrow heap at zero is good; a heap beside zero means that it \
                    is off in one direction.";
        plots.push(Plot::new(subject, "errors", "Sizes of the errors", note, move |surface| {
            let (x, counts) = histogram(&errors);
            let width = (x.max - x.min) / counts.len() as f64;
            let most = counts.iter().copied().max().unwrap_or(1);
            let y = Axis::counted("test rows", 0.0, most as f64 * 1.05);
            let from = x.min;
            let mut chart = Chart::new(surface, SIZE, x, y, &[]);
            for (index, &count) in counts.iter().enumerate() {
                let left = from + index as f64 * width;
                chart.bar(left, left + width, count as f64, BLUE);
            }
            if (from..from + width * counts.len() as f64).contains(&0.0) {
                chart.mark(0.0, "");
            }
        }));
    }
    plots
}

/// Counts errors in bins of equal width between the hundredth and the ninety-ninth percentile; those beyond are counted
/// in the outermost bins, so that one wild row does not squeeze the others into one bar.
fn histogram(errors: &[f64]) -> (Axis, Vec<usize>) {
    let mut sorted = errors.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share).round() as usize];
    let axis = Axis::new("actual − predicted", at(0.01), at(0.99));
    let bins = ((errors.len() as f64).sqrt() * 1.5).clamp(5.0, 40.0) as usize;
    let mut counts = vec![0; bins];
    for error in errors {
        counts[((axis.place(*error) * bins as f64).max(0.0) as usize).min(bins - 1)] += 1;
    }
    (axis, counts)
}
