//! What was true against what the model said, for numbers.

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
        let note = "One point a test row. Points on the dashed line are right; above it the model said too much, below it \
                    too little.";
        let subject = Subject::Output(&predicted.output);
        plots.push(Plot::new(subject, "actual-predicted", "Actual against predicted", note, |surface| {
            let axis = Axis::around("actual", pairs.iter().flatten().copied());
            let y = Axis { label: "predicted".into(), ..axis.clone() };
            let (min, max) = (axis.min, axis.max);
            let mut chart = Chart::new(surface, SIZE, axis, y, &[]);
            chart.line([[min, min], [max, max]], Stroke::new(MUTED, 1.5).dashed());
            chart.dots(pairs, BLUE);
        }));
    }
    plots
}
