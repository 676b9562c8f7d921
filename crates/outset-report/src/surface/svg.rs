//! Plots as SVG text: small, and able to follow the page's light or dark colours.

use std::fmt::Write;

use super::{Anchor, Color, Point, Stroke};

/// Where an SVG's colours come from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Colors {
    /// Written into the file: it looks the same everywhere, on a white ground.
    Fixed,
    /// Named by classes, which the style sheet of the page round it fills in.
    Classes,
}

/// An SVG that is being written.
///
/// Elements that follow each other in one style share a group, so that a point of a scatter plot costs some forty bytes.
pub struct Svg<'a> {
    out: &'a mut String,
    colors: Colors,
    /// Opening tag of the group that is still open.
    group: String,
}

impl<'a> Svg<'a> {
    /// Starts an SVG of this size, shown `zoom` times as large.
    pub fn new(out: &'a mut String, size: (f32, f32), zoom: f32, colors: Colors) -> Self {
        let (width, height) = size;
        let _ = match colors {
            Colors::Fixed => writeln!(
                out,
                r##"<svg xmlns="http://www.w3.org/2000/svg" width="{}" height="{}" viewBox="0 0 {width} {height}" font-family="sans-serif">
<rect width="{width}" height="{height}" fill="#ffffff"/>"##,
                width * zoom,
                height * zoom,
            ),
            Colors::Classes => {
                writeln!(out, r#"<svg class="plot" viewBox="0 0 {width} {height}" aria-hidden="true">"#)
            }
        };
        Self { out, colors, group: String::new() }
    }

    /// Ends the document.
    pub fn close(mut self) {
        self.regroup(String::new());
        self.out.push_str("</svg>\n");
    }

    pub fn rect(&mut self, (x, y): Point, (width, height): (f32, f32), color: Color) {
        self.fill(color);
        let _ = writeln!(
            self.out,
            r#"<rect x="{}" y="{}" width="{}" height="{}"/>"#,
            tidy(x),
            tidy(y),
            tidy(width),
            tidy(height)
        );
    }

    pub fn dot(&mut self, (x, y): Point, radius: f32, color: Color) {
        self.fill(color);
        let _ = writeln!(self.out, r#"<circle cx="{}" cy="{}" r="{}"/>"#, tidy(x), tidy(y), tidy(radius));
    }

    pub fn line(&mut self, points: &[Point], stroke: Stroke) {
        let color = match self.colors {
            Colors::Fixed => format!(r#"stroke="{}""#, hex(stroke.color)),
            Colors::Classes => format!(r#"class="s-{}""#, stroke.color.name),
        };
        let opacity = opacity("stroke-opacity", stroke.color);
        let dashes = if stroke.dashed { r#" stroke-dasharray="5 4""# } else { "" };
        self.regroup(format!(
            r#"<g fill="none" {color}{opacity}{dashes} stroke-width="{}" stroke-linejoin="round">"#,
            stroke.width
        ));
        self.out.push_str("<polyline points=\"");
        for &(x, y) in points {
            let _ = write!(self.out, "{},{} ", tidy(x), tidy(y));
        }
        self.out.push_str("\"/>\n");
    }

    pub fn text(&mut self, text: &str, (x, y): Point, size: f32, anchor: Anchor, color: Color) {
        self.fill(color);
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => r#" text-anchor="middle""#,
            Anchor::End => r#" text-anchor="end""#,
        };
        let _ = write!(self.out, r#"<text x="{}" y="{}" font-size="{size}"{anchor}>"#, tidy(x), tidy(y));
        escape(self.out, text);
        self.out.push_str("</text>\n");
    }

    pub fn upright(&mut self, text: &str, (x, y): Point, size: f32, color: Color) {
        self.fill(color);
        let (x, y) = (tidy(x), tidy(y));
        let _ = write!(
            self.out,
            r#"<text x="{x}" y="{y}" font-size="{size}" text-anchor="end" transform="rotate(-90 {x} {y})">"#
        );
        escape(self.out, text);
        self.out.push_str("</text>\n");
    }

    fn fill(&mut self, color: Color) {
        let style = match self.colors {
            Colors::Fixed => format!(r#"fill="{}""#, hex(color)),
            Colors::Classes => format!(r#"class="f-{}""#, color.name),
        };
        self.regroup(format!("<g {style}{}>", opacity("fill-opacity", color)));
    }

    /// Closes the open group and opens another, unless it is the same.
    fn regroup(&mut self, group: String) {
        if group != self.group {
            if !self.group.is_empty() {
                self.out.push_str("</g>\n");
            }
            if !group.is_empty() {
                let _ = writeln!(self.out, "{group}");
            }
            self.group = group;
        }
    }
}

/// Rounds to a hundredth of a pixel, which no eye tells apart.
fn tidy(length: f32) -> f32 {
    (length * 100.0).round() / 100.0
}

fn hex(color: Color) -> String {
    let [red, green, blue] = color.rgb;
    format!("#{red:02x}{green:02x}{blue:02x}")
}

fn opacity(key: &str, color: Color) -> String {
    if color.alpha < 1.0 { format!(r#" {key}="{:.2}""#, color.alpha) } else { String::new() }
}

/// Appends `text` so that neither XML nor HTML sees markup in it; what XML forbids becomes a space.
fn escape(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => out.push(' '),
            _ if character.is_control() => out.push(' '),
            _ => out.push(character),
        }
    }
}
