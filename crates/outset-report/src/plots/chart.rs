//! A chart: two axes with a grid, and marks placed by value.

use super::axis::Axis;
use crate::format;
use crate::surface::palette::{GRID, INK, MUTED};
use crate::surface::{Anchor, Color, Point, Stroke, Surface, text_width};

/// Size of labels.
pub const LABEL: f32 = 12.5;
/// Points that a scatter plot shows at most.
const MAX_POINTS: usize = 2000;

/// Axes drawn on a surface, ready for marks.
pub struct Chart<'s, 'a> {
    surface: &'s mut Surface<'a>,
    x: Axis,
    y: Axis,
    left: f32,
    right: f32,
    top: f32,
    bottom: f32,
}

impl<'s, 'a> Chart<'s, 'a> {
    /// Draws grid, ticks, labels and a legend, which may be empty.
    pub fn new(
        surface: &'s mut Surface<'a>,
        size: (f32, f32),
        x: Axis,
        y: Axis,
        legend: &[(Color, String)],
    ) -> Self {
        let y_ticks = y.ticks(5);
        let widest = y_ticks.iter().map(|(_, label)| text_width(label, LABEL)).fold(0.0, f32::max);
        surface.text(&format::shortened(&y.label, 60), (4.0, 16.0), LABEL, Anchor::Start, INK);
        let top = draw_legend(surface, size.0, legend) + 12.0;
        let mut chart =
            Self { surface, x, y, left: widest + 14.0, right: size.0 - 16.0, top, bottom: size.1 - 44.0 };
        chart.draw_grid(&y_ticks);
        chart
    }

    fn draw_grid(&mut self, y_ticks: &[(f64, String)]) {
        for (value, label) in y_ticks {
            let y = self.at(self.x.min, *value).1;
            self.surface.line(&[(self.left, y), (self.right, y)], Stroke::new(GRID, 1.0));
            self.surface.text(label, (self.left - 7.0, y + 4.5), LABEL, Anchor::End, MUTED);
        }
        let x_ticks = self.x.ticks(6);
        let widest = x_ticks.iter().map(|(_, label)| text_width(label, LABEL)).fold(1.0, f32::max);
        let room = (self.right - self.left) / x_ticks.len().max(1) as f32;
        let every = ((widest + 10.0) / room).ceil().max(1.0) as usize;
        for (value, label) in x_ticks.iter().step_by(every) {
            let x = self.at(*value, self.y.min).0;
            self.surface.line(&[(x, self.bottom), (x, self.bottom + 4.0)], Stroke::new(MUTED, 1.0));
            self.surface.text(label, (x, self.bottom + 18.0), LABEL, Anchor::Middle, MUTED);
        }
        self.surface.line(&[(self.left, self.bottom), (self.right, self.bottom)], Stroke::new(MUTED, 1.0));
        let middle = (self.left + self.right) / 2.0;
        let label = format::shortened(&self.x.label, 60);
        self.surface.text(&label, (middle, self.bottom + 37.0), LABEL, Anchor::Middle, INK);
    }

    /// Place of a pair of values.
    fn at(&self, x: f64, y: f64) -> Point {
        let across = self.left + self.x.place(x) as f32 * (self.right - self.left);
        let down = self.bottom - self.y.place(y) as f32 * (self.bottom - self.top);
        (across, down)
    }

    /// Draws a line through pairs of values; a pair that is not finite interrupts nothing, it is left out.
    pub fn line(&mut self, points: impl IntoIterator<Item = [f64; 2]>, stroke: Stroke) {
        let finite = points.into_iter().filter(|point| point.iter().all(|value| value.is_finite()));
        let points: Vec<Point> = finite.map(|[x, y]| self.at(x, y)).collect();
        match points.as_slice() {
            [] => {}
            [point] => self.surface.dot(*point, 3.0, stroke.color),
            _ => self.surface.line(&points, stroke),
        }
    }

    /// Draws a dot at each pair of values, every so many of them if there are more than can be told apart.
    pub fn dots(&mut self, points: &[[f64; 2]], color: Color) {
        let alpha = if points.len() > 300 { 0.35 } else { 0.75 };
        for [x, y] in thinned(points) {
            let place = self.at(x, y);
            self.surface.dot(place, 2.6, color.alpha(alpha));
        }
    }

    /// Draws one dot of a certain size.
    pub fn dot(&mut self, x: f64, y: f64, radius: f32, color: Color) {
        let place = self.at(x, y);
        self.surface.dot(place, radius, color);
    }

    /// Draws a bar from zero to `height` between two values of x, a hair apart from its neighbours.
    pub fn bar(&mut self, from: f64, to: f64, height: f64, color: Color) {
        let ((left, top), (right, bottom)) = (self.at(from, height), self.at(to, 0.0));
        let width = (right - left - 1.0).max(0.5);
        self.surface.rect((left + 0.5, top), (width, (bottom - top).max(0.0)), color);
    }

    /// Marks a value of x by an upright dashed line, explained beside the upright axis' label where no curve runs.
    pub fn mark(&mut self, x: f64, note: &str) {
        let (across, _) = self.at(x, self.y.min);
        let ends = [(across, self.top), (across, self.bottom)];
        self.surface.line(&ends, Stroke::new(MUTED, 1.0).dashed());
        if !note.is_empty() {
            self.surface.text(note, (self.right, 16.0), LABEL, Anchor::End, MUTED);
        }
    }
}

/// Draws the legend below the upright axis' label, in as many rows as it needs; gives the height at which it ends.
fn draw_legend(surface: &mut Surface<'_>, width: f32, legend: &[(Color, String)]) -> f32 {
    if legend.is_empty() {
        return 20.0;
    }
    let (mut x, mut y) = (4.0, 36.0);
    for (color, name) in legend {
        let name = format::shortened(name, 32);
        let taken = text_width(&name, LABEL) + 34.0;
        if x > 4.0 && x + taken > width {
            (x, y) = (4.0, y + 19.0);
        }
        surface.rect((x, y - 6.5), (14.0, 3.0), *color);
        surface.text(&name, (x + 19.0, y), LABEL, Anchor::Start, MUTED);
        x += taken;
    }
    y + 4.0
}

/// At most [`MAX_POINTS`] of the points, evenly taken, so that the same points are shown every time.
pub fn thinned(points: &[[f64; 2]]) -> impl Iterator<Item = [f64; 2]> + '_ {
    let shown = points.len().min(MAX_POINTS);
    (0..shown).map(move |index| points[index * points.len() / shown])
}
