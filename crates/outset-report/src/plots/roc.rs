//! Hits against false alarms at every threshold.

use super::axis::Axis;
use super::chart::Chart;
use super::questions::{Counts, questions, shown};
use super::{Plot, SIZE, Subject};
use crate::run::Run;
use crate::surface::Stroke;
use crate::surface::palette::MUTED;

pub fn plots(run: &Run) -> Vec<Plot<'_>> {
    let mut plots = Vec::new();
    for predicted in &run.predictions {
        let questions = questions(run, predicted);
        if questions.is_empty() {
            continue;
        }
        let note = format!(
            "How many false alarms a share of hits costs. The nearer the curve comes to the upper left corner, the better; the \
             dashed line is a coin.{}",
            shown(predicted, &questions)
        );
        let subject = Subject::Output(&predicted.output);
        plots.push(Plot::new(subject, "roc", "ROC curve", note, move |surface| {
            let x = Axis::new("false alarms, share of the rows without the class", 0.0, 1.0);
            let y = Axis::new("hits, share of the rows with the class", 0.0, 1.0);
            let named = if questions.len() > 1 { questions.as_slice() } else { &[] };
            let legend: Vec<_> =
                named.iter().map(|question| (question.color, question.name.to_owned())).collect();
            let mut chart = Chart::new(surface, SIZE, x, y, &legend);
            chart.line([[0.0, 0.0], [1.0, 1.0]], Stroke::new(MUTED, 1.5).dashed());
            for question in &questions {
                let Counts { steps, positives, negatives } = question.counts();
                let points = steps.iter().map(|(right, wrong)| [wrong / negatives, right / positives]);
                chart.line(points, Stroke::new(question.color, 2.0));
            }
        }));
    }
    plots
}
