//! How pure the hits are against how many are found, at every threshold.

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
        let single = questions.len() == 1;
        let coin = if single { "; the dashed line is a coin" } else { "" };
        let note = format!(
            "What share of the rows that the model picks are right (precision), the more it finds (recall). The nearer the curve \
             comes to the upper right corner, the better{coin}.{}",
            shown(predicted, &questions)
        );
        let subject = Subject::Output(&predicted.output);
        plots.push(Plot::new(subject, "precision-recall", "Precision and recall", note, move |surface| {
            let (x, y) = (Axis::new("recall", 0.0, 1.0), Axis::new("precision", 0.0, 1.0));
            let named = if single { &[] } else { questions.as_slice() };
            let legend: Vec<_> =
                named.iter().map(|question| (question.color, question.name.to_owned())).collect();
            let mut chart = Chart::new(surface, SIZE, x, y, &legend);
            for question in &questions {
                let Counts { steps, positives, negatives } = question.counts();
                let points =
                    steps.iter().skip(1).map(|(right, wrong)| [right / positives, right / (right + wrong)]);
                let first = steps.get(1).map(|(right, wrong)| [0.0, right / (right + wrong)]);
                if single {
                    let share = positives / (positives + negatives);
                    chart.line([[0.0, share], [1.0, share]], Stroke::new(MUTED, 1.5).dashed());
                }
                chart.line(first.into_iter().chain(points), Stroke::new(question.color, 2.0));
            }
        }));
    }
    plots
}
