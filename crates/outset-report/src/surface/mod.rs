//! What plots are drawn on: SVG text or pixels, with the same few strokes.
//!
//! Lengths are pixels of the page. Each surface turns them into its own.

mod bitmap;
mod encode;
mod font;
pub mod palette;
mod svg;

pub use bitmap::Bitmap;
pub use encode::encode;
pub use font::width as text_width;
pub use palette::Color;
pub use svg::{Colors, Svg};

/// A place on a plot: to the right and down from the upper left corner.
pub type Point = (f32, f32);

/// Where a text lies from its place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// A line's look.
#[derive(Clone, Copy, PartialEq)]
pub struct Stroke {
    pub color: Color,
    pub width: f32,
    pub dashed: bool,
}

impl Stroke {
    /// An unbroken line.
    pub const fn new(color: Color, width: f32) -> Self {
        Self { color, width, dashed: false }
    }

    /// The same line, dashed.
    #[must_use]
    pub const fn dashed(self) -> Self {
        Self { dashed: true, ..self }
    }
}

/// A plot's ground.
pub enum Ground<'a> {
    Svg(Svg<'a>),
    Bitmap(Bitmap<'a>),
}

/// A ground and the height at which the plot begins, below a title.
pub struct Surface<'a> {
    pub ground: Ground<'a>,
    pub top: f32,
}

impl Surface<'_> {
    /// Fills a rectangle.
    pub fn rect(&mut self, corner: Point, size: (f32, f32), color: Color) {
        let corner = self.lowered(corner);
        match &mut self.ground {
            Ground::Svg(svg) => svg.rect(corner, size, color),
            Ground::Bitmap(bitmap) => bitmap.rect(corner, size, color),
        }
    }

    /// Fills a circle.
    pub fn dot(&mut self, center: Point, radius: f32, color: Color) {
        let center = self.lowered(center);
        match &mut self.ground {
            Ground::Svg(svg) => svg.dot(center, radius, color),
            Ground::Bitmap(bitmap) => bitmap.dot(center, radius, color),
        }
    }

    /// Draws a line through `points`.
    pub fn line(&mut self, points: &[Point], stroke: Stroke) {
        let points: Vec<Point> = points.iter().map(|&point| self.lowered(point)).collect();
        match &mut self.ground {
            Ground::Svg(svg) => svg.line(&points, stroke),
            Ground::Bitmap(bitmap) => bitmap.line(&points, stroke),
        }
    }

    /// Writes `text` with its baseline at `place`; `size` is that of an em.
    pub fn text(&mut self, text: &str, place: Point, size: f32, anchor: Anchor, color: Color) {
        let place = self.lowered(place);
        match &mut self.ground {
            Ground::Svg(svg) => svg.text(text, place, size, anchor, color),
            Ground::Bitmap(bitmap) => bitmap.text(text, place, size, anchor, color),
        }
    }

    /// Writes `text` upwards, ending at `place`.
    pub fn upright(&mut self, text: &str, place: Point, size: f32, color: Color) {
        let place = self.lowered(place);
        match &mut self.ground {
            Ground::Svg(svg) => svg.upright(text, place, size, color),
            Ground::Bitmap(bitmap) => bitmap.upright(text, place, size, color),
        }
    }

    fn lowered(&self, (x, y): Point) -> Point {
        (x, y + self.top)
    }
}
