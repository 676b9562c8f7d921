//! The fitted line through the points, for one number in and one number out.

use super::axis::Axis;
use super::chart::{Chart, thinned};
use super::{Plot, SIZE, Subject};
use crate::run::Run;
use crate::surface::Stroke;
use crate::surface::palette::{BLUE, RED};

pub fn plots(run: &Run) -> Vec<Plot<'_>> {
    let fits =
        run.record.details.iter().filter_map(|(output, details)| Some((output, details.fit.as_ref()?)));
    let shown = fits.filter(|(_, fit)| !fit.points.is_empty() || !fit.line.is_empty());
    shown
        .map(|(output, fit)| {
            let note = "Each blue point is a row of the data; the red line is what the model answers.";
            Plot::new(Subject::Output(output), "fit", "The fit", note, move |surface| {
                let all = || fit.points.iter().chain(&fit.line);
                let x = Axis::around(&fit.input, all().map(|point| point[0]));
                let y = Axis::around(output, all().map(|point| point[1]));
                let legend = [(BLUE, "data".to_owned()), (RED, "model".to_owned())];
                let mut chart = Chart::new(surface, SIZE, x, y, &legend);
                let points: Vec<_> = thinned(&fit.points).collect();
                chart.dots(&points, BLUE);
                chart.line(fit.line.iter().copied(), Stroke::new(RED, 2.5));
            })
        })
        .collect()
}
