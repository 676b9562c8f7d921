//! What each input is worth to the model.

use super::chart::LABEL;
use super::{Plot, SIZE, Subject, fitted};
use crate::format;
use crate::run::Run;
use crate::surface::palette::{BLUE, GRID, INK, MUTED, RED};
use crate::surface::{Anchor, Stroke};

/// Inputs that are shown at most.
const MAX_INPUTS: usize = 20;
/// Height of one input's bar with its gap.
const STEP: f32 = 22.0;
/// Where the bars begin, and where the longest ends.
const BARS: (f32, f32) = (140.0, 342.0);

pub fn plots(run: &Run) -> Vec<Plot<'_>> {
    let columns = run.record.data.columns.iter();
    let rated = columns.filter_map(|column| Some((column.name.as_str(), column.importance?)));
    let mut rated: Vec<(&str, f64)> = rated.filter(|(_, importance)| importance.is_finite()).collect();
    // A single input has nothing to be compared with.
    if rated.len() < 2 {
        return Vec::new();
    }
    rated.sort_by(|first, second| second.1.total_cmp(&first.1));
    let all = rated.len();
    rated.truncate(MAX_INPUTS);
    let objective = &run.record.training.objective;
    let what = match objective.as_str() {
        "" => "the model",
        "loss" => "the loss",
        objective => objective,
    };
    let mut note = format!(
        "How much {what} worsens on val when an input's values are shuffled among the rows. An input near zero could be left \
         out; inputs that say the same share their worth."
    );
    if all > MAX_INPUTS {
        note +=
            &format!(" Of {} inputs, the {MAX_INPUTS} most important are shown.", format::count(all as u64));
    }
    let size = (SIZE.0, rated.len() as f32 * STEP + 16.0);
    let plot = Plot::new(Subject::Inputs, "importance", "Permutation importance", note, move |surface| {
        let most = rated.iter().map(|(_, importance)| importance.abs()).fold(0.0, f64::max);
        let most = if most > 0.0 { most } else { 1.0 };
        for (index, (name, importance)) in rated.iter().enumerate() {
            let y = 6.0 + index as f32 * STEP;
            let name = fitted(name, BARS.0 - 14.0, LABEL);
            surface.text(&name, (BARS.0 - 8.0, y + 14.0), LABEL, Anchor::End, INK);
            // Below zero is chance: the bar stands where it starts, in another colour.
            let length = (importance.abs() / most) as f32 * (BARS.1 - BARS.0);
            let color = if *importance < 0.0 { RED.alpha(0.5) } else { BLUE };
            surface.rect((BARS.0, y + 2.0), (length.max(1.0), STEP - 7.0), color);
            let value = format::significant(*importance, 3);
            surface.text(&value, (BARS.0 + length + 6.0, y + 14.0), LABEL, Anchor::Start, MUTED);
        }
        let ends = [(BARS.0, 2.0), (BARS.0, rated.len() as f32 * STEP + 8.0)];
        surface.line(&ends, Stroke::new(GRID, 1.0));
    });
    vec![plot.sized(size)]
}
