//! Which classes are taken for which.

use super::chart::LABEL;
use super::{Plot, SIZE, Subject, fitted};
use crate::format;
use crate::run::Run;
use crate::surface::palette::{BLUE, GRID, INK};
use crate::surface::{Anchor, Surface, text_width};

/// Classes that a matrix shows at most.
const MAX_CLASSES: usize = 20;

pub fn plots(run: &Run) -> Vec<Plot<'_>> {
    let mut plots = Vec::new();
    for (output, details) in &run.record.details {
        let is_square = details.confusion.iter().all(|row| row.len() == details.confusion.len());
        if details.confusion.len() < 2 || !is_square || details.classes.len() != details.confusion.len() {
            continue;
        }
        let matrix = Matrix::of(&details.classes, &details.confusion);
        let mut note = "Rows: what was true. Columns: what the model said. Right answers lie on the diagonal; a dark cell beside \
                        it is a mix-up that happens often."
            .to_owned();
        if details.classes.len() > MAX_CLASSES {
            note += &format!(
                " Of {} classes, the {MAX_CLASSES} with most test rows are shown.",
                format::count(details.classes.len() as u64)
            );
        }
        if details.kind == "tags" {
            note += " Entities count where both ends agree; in the last row and column are those that the model made up and missed.";
        }
        let size = (SIZE.0, if matrix.classes.len() > 5 { 400.0 } else { SIZE.1 });
        let draw = move |surface: &mut Surface<'_>| matrix.draw(surface, size);
        let subject = Subject::Output(output);
        plots.push(Plot::new(subject, "confusion", "Confusion matrix", note, draw).sized(size));
    }
    plots
}

/// How solid a full cell is: text on it must stay legible in light and in dark.
const MAX_ALPHA: f32 = 0.6;

/// The part of a confusion matrix that is shown.
struct Matrix {
    classes: Vec<String>,
    counts: Vec<Vec<usize>>,
    /// Rows of each class, those taken for a class that is not shown included.
    totals: Vec<usize>,
}

impl Matrix {
    fn of(classes: &[String], confusion: &[Vec<usize>]) -> Self {
        let mut chosen: Vec<usize> = (0..classes.len()).collect();
        if classes.len() > MAX_CLASSES {
            chosen.sort_by_key(|&index| std::cmp::Reverse(confusion[index].iter().sum::<usize>()));
            chosen.truncate(MAX_CLASSES);
            chosen.sort_unstable();
        }
        let row = |&index: &usize| chosen.iter().map(|&other| confusion[index][other]).collect();
        Self {
            classes: chosen.iter().map(|&index| classes[index].clone()).collect(),
            counts: chosen.iter().map(row).collect(),
            totals: chosen.iter().map(|&index| confusion[index].iter().sum()).collect(),
        }
    }

    fn draw(&self, surface: &mut Surface<'_>, (width, height): (f32, f32)) {
        let many = self.classes.len();
        let size = if many > 12 { 10.0 } else { LABEL };
        let left = 112.0;
        let top = 26.0;
        let bottom = height - if many > 5 { 96.0 } else { 26.0 };
        let (step_x, step_y) = ((width - 8.0 - left) / many as f32, (bottom - top) / many as f32);
        let largest = self.counts.iter().flatten().copied().max().unwrap_or(0);
        let counts_fit = text_width(&format::count(largest as u64), size) < step_x - 2.0;
        surface.text("actual", (4.0, 16.0), LABEL, Anchor::Start, INK);
        surface.text("predicted", (left, 16.0), LABEL, Anchor::Start, INK);
        for (row, (counts, &total)) in self.counts.iter().zip(&self.totals).enumerate() {
            let y = top + row as f32 * step_y;
            let middle = y + step_y / 2.0 + size * 0.36;
            let name = fitted(&self.classes[row], left - 14.0, size);
            surface.text(&name, (left - 8.0, middle), size, Anchor::End, INK);
            for (column, &count) in counts.iter().enumerate() {
                let x = left + column as f32 * step_x;
                let share = count as f32 / total.max(1) as f32;
                surface.rect((x + 0.5, y + 0.5), (step_x - 1.0, step_y - 1.0), GRID.alpha(0.35));
                surface.rect((x + 0.5, y + 0.5), (step_x - 1.0, step_y - 1.0), BLUE.alpha(share * MAX_ALPHA));
                let text = format::count(count as u64);
                let center = x + step_x / 2.0;
                if many <= 5 {
                    let share = format::percent(f64::from(share));
                    surface.text(&text, (center, middle - 6.0), 15.0, Anchor::Middle, INK);
                    surface.text(&share, (center, middle + 11.0), 11.5, Anchor::Middle, INK);
                } else if count > 0 && counts_fit {
                    surface.text(&text, (center, middle), size, Anchor::Middle, INK);
                }
            }
        }
        self.draw_columns(surface, left, bottom, step_x, size);
    }

    /// Names below the columns: level while they fit, else upright.
    fn draw_columns(&self, surface: &mut Surface<'_>, left: f32, bottom: f32, step: f32, size: f32) {
        let many = self.classes.len();
        for (column, class) in self.classes.iter().enumerate() {
            let x = left + (column as f32 + 0.5) * step;
            if many <= 5 {
                let name = fitted(class, step - 6.0, size);
                surface.text(&name, (x, bottom + 18.0), size, Anchor::Middle, INK);
            } else {
                let name = fitted(class, 88.0, size);
                surface.upright(&name, (x + size * 0.36, bottom + 6.0), size, INK);
            }
        }
    }
}
