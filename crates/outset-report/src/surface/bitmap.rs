//! Plots as pixels on white.

use tiny_skia::{FillRule, LineJoin, Paint, PathBuilder, Pixmap, Rect, StrokeDash, Transform};

use super::{Anchor, Color, Point, Stroke, font};

/// Pixels that are being drawn on.
pub struct Bitmap<'a> {
    pixels: &'a mut Pixmap,
    zoom: f32,
}

impl<'a> Bitmap<'a> {
    /// White pixels for a plot of this size, `zoom` times as large; `None` if it has no extent.
    pub fn canvas(size: (f32, f32), zoom: f32) -> Option<Pixmap> {
        let mut pixels = Pixmap::new((size.0 * zoom) as u32, (size.1 * zoom) as u32)?;
        pixels.fill(tiny_skia::Color::WHITE);
        Some(pixels)
    }

    /// Draws on `pixels`, `zoom` of them a pixel of the page.
    pub fn new(pixels: &'a mut Pixmap, zoom: f32) -> Self {
        Self { pixels, zoom }
    }

    pub fn rect(&mut self, corner: Point, size: (f32, f32), color: Color) {
        let ((x, y), (width, height)) = (self.zoomed(corner), self.zoomed(size));
        if let Some(rect) = Rect::from_xywh(x, y, width, height) {
            self.pixels.fill_rect(rect, &paint(color), Transform::identity(), None);
        }
    }

    pub fn dot(&mut self, center: Point, radius: f32, color: Color) {
        let (x, y) = self.zoomed(center);
        if let Some(path) = PathBuilder::from_circle(x, y, radius * self.zoom) {
            self.pixels.fill_path(&path, &paint(color), FillRule::Winding, Transform::identity(), None);
        }
    }

    pub fn line(&mut self, points: &[Point], stroke: Stroke) {
        let mut path = PathBuilder::new();
        for (index, &point) in points.iter().enumerate() {
            let (x, y) = self.zoomed(point);
            if index == 0 { path.move_to(x, y) } else { path.line_to(x, y) }
        }
        let Some(path) = path.finish() else { return };
        let dashes = [5.0 * self.zoom, 4.0 * self.zoom].to_vec();
        let look = tiny_skia::Stroke {
            width: stroke.width * self.zoom,
            line_join: LineJoin::Round,
            dash: if stroke.dashed { StrokeDash::new(dashes, 0.0) } else { None },
            ..tiny_skia::Stroke::default()
        };
        self.pixels.stroke_path(&path, &paint(stroke.color), &look, Transform::identity(), None);
    }

    pub fn text(&mut self, text: &str, place: Point, size: f32, anchor: Anchor, color: Color) {
        let size = size * self.zoom;
        let (mut x, y) = self.zoomed(place);
        match anchor {
            Anchor::Start => {}
            Anchor::Middle => x -= font::width(text, size) / 2.0,
            Anchor::End => x -= font::width(text, size),
        }
        font::draw(text, size, (x, y), |x, y, covered| self.cover(x, y, color, covered));
    }

    pub fn upright(&mut self, text: &str, place: Point, size: f32, color: Color) {
        let size = size * self.zoom;
        let (x, y) = self.zoomed(place);
        let (x, y) = (x.round() as i32, (y + font::width(text, size)).round() as i32);
        // Drawn level from the origin, then turned a quarter.
        font::draw(text, size, (0.0, 0.0), |right, down, covered| {
            self.cover(x + down, y - right, color, covered);
        });
    }

    /// Mixes a colour into a pixel as far as it is covered.
    fn cover(&mut self, x: i32, y: i32, color: Color, covered: f32) {
        let (width, height) = (self.pixels.width() as i32, self.pixels.height() as i32);
        if (0..width).contains(&x) && (0..height).contains(&y) {
            let start = (y * width + x) as usize * 4;
            blend(&mut self.pixels.data_mut()[start..start + 3], color, covered);
        }
    }

    fn zoomed(&self, (x, y): Point) -> Point {
        (x * self.zoom, y * self.zoom)
    }
}

fn paint(color: Color) -> Paint<'static> {
    let [red, green, blue] = color.rgb;
    let mut paint = Paint::default();
    paint.set_color_rgba8(red, green, blue, (color.alpha.clamp(0.0, 1.0) * 255.0).round() as u8);
    paint
}

/// Mixes a colour into an opaque pixel.
fn blend(pixel: &mut [u8], color: Color, covered: f32) {
    // Sixteen steps look the same as 256, and keep most plots within the 256 colours of a palette.
    let share = (covered.min(1.0) * 16.0).round() / 16.0 * color.alpha;
    for (below, above) in pixel.iter_mut().zip(color.rgb) {
        let mixed = f32::from(*below) + (f32::from(above) - f32::from(*below)) * share;
        *below = mixed.round() as u8;
    }
}
