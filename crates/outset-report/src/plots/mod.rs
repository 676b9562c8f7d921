//! The pictures of a report. One file draws one kind; to add one, add its file and a line in [`ALL`].

mod actual_predicted;
mod axis;
mod calibration;
mod chart;
mod confusion;
mod curves;
mod fit;
mod importance;
mod precision_recall;
mod questions;
mod residuals;
mod roc;
mod tune_history;
mod tune_parallel;

use std::collections::HashSet;

use crate::run::Run;
use crate::surface::palette::INK;
use crate::surface::{Anchor, Bitmap, Colors, Ground, Surface, Svg, encode, text_width};
use crate::{ReportError, format};

/// Draws pictures of one kind for a run: none where it has nothing to show.
type Kind = fn(&Run) -> Vec<Plot<'_>>;

/// Every kind, in the order of the report.
const ALL: [Kind; 11] = [
    curves::plots,
    fit::plots,
    actual_predicted::plots,
    residuals::plots,
    confusion::plots,
    roc::plots,
    precision_recall::plots,
    calibration::plots,
    importance::plots,
    tune_history::plots,
    tune_parallel::plots,
];

/// Width and height of most pictures, in pixels of the page.
pub const SIZE: (f32, f32) = (400.0, 262.0);
/// How many times larger the pictures in files are.
const ZOOM: f32 = 2.4;
/// Height of the title, which pictures have in files only.
const TITLE: f32 = 34.0;

/// What a picture is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// The course of training.
    Training,
    /// An output, by name.
    Output(&'a str),
    /// What the inputs are worth.
    Inputs,
    /// The search for settings.
    Tune,
}

/// How a picture is drawn.
type Draw<'a> = Box<dyn Fn(&mut Surface<'_>) + Send + Sync + 'a>;

/// A picture, not yet drawn.
pub struct Plot<'a> {
    pub subject: Subject<'a>,
    /// Kind of picture, which ends the file's name: `confusion`.
    pub kind: &'static str,
    pub title: String,
    /// How to read it, in a plain sentence.
    pub note: String,
    pub size: (f32, f32),
    draw: Draw<'a>,
}

/// All pictures of a run, with the stems of their files.
pub fn all(run: &Run) -> Vec<(String, Plot<'_>)> {
    let mut taken = HashSet::new();
    let plots = ALL.iter().flat_map(|kind| kind(run));
    plots.map(|plot| (unique(&plot.stem(), &mut taken), plot)).collect()
}

impl<'a> Plot<'a> {
    /// A picture of the usual size.
    fn new(
        subject: Subject<'a>,
        kind: &'static str,
        title: impl Into<String>,
        note: impl Into<String>,
        draw: impl Fn(&mut Surface<'_>) + Send + Sync + 'a,
    ) -> Self {
        Self { subject, kind, title: title.into(), note: note.into(), size: SIZE, draw: Box::new(draw) }
    }

    /// The same picture in another size.
    fn sized(self, size: (f32, f32)) -> Self {
        Self { size, ..self }
    }

    /// The SVG that stands in the report: without title, in the page's colours.
    pub fn inline(&self) -> String {
        let mut out = String::new();
        self.draw_on(Ground::Svg(Svg::new(&mut out, self.size, 1.0, Colors::Classes)), 0.0);
        out
    }

    /// The SVG file.
    pub fn svg(&self) -> String {
        let mut out = String::new();
        self.draw_on(Ground::Svg(Svg::new(&mut out, self.titled(), ZOOM, Colors::Fixed)), TITLE);
        out
    }

    /// The PNG file.
    pub fn png(&self) -> Result<Vec<u8>, ReportError> {
        let failed = |source| ReportError::Plot { name: self.title.clone(), source };
        let mut pixels =
            Bitmap::canvas(self.titled(), ZOOM).ok_or_else(|| failed("the picture has no extent".into()))?;
        self.draw_on(Ground::Bitmap(Bitmap::new(&mut pixels, ZOOM)), TITLE);
        encode(&pixels).map_err(|error| failed(error.into()))
    }

    fn titled(&self) -> (f32, f32) {
        (self.size.0, self.size.1 + TITLE)
    }

    fn draw_on(&self, ground: Ground<'_>, top: f32) {
        let mut surface = Surface { ground, top: 0.0 };
        if top > 0.0 {
            let title = match self.subject {
                Subject::Output(name) => format!("{}: {}", format::shortened(name, 24), self.title),
                _ => self.title.clone(),
            };
            surface.text(&title, (4.0, 22.0), 16.0, Anchor::Start, INK);
        }
        surface.top = top;
        (self.draw)(&mut surface);
        if let Ground::Svg(svg) = surface.ground {
            svg.close();
        }
    }

    fn stem(&self) -> String {
        match self.subject {
            Subject::Output(name) => format!("{}-{}", sanitized(name), self.kind),
            _ => self.kind.to_owned(),
        }
    }
}

/// A name that every file system takes: letters, digits, `-` and `_`, at most forty characters.
fn sanitized(name: &str) -> String {
    let kept: String = name
        .chars()
        .take(40)
        .map(|character| if character.is_alphanumeric() || character == '_' { character } else { '-' })
        .collect();
    let kept = kept.trim_matches('-');
    if kept.is_empty() { "output".into() } else { kept.to_owned() }
}

/// Tells equal stems apart by a number. Capitals alone do not tell files apart everywhere.
fn unique(stem: &str, taken: &mut HashSet<String>) -> String {
    let mut name = stem.to_owned();
    let mut count = 1;
    while !taken.insert(name.to_lowercase()) {
        count += 1;
        name = format!("{stem}-{count}");
    }
    name
}

/// A name cut to a width.
fn fitted(name: &str, width: f32, size: f32) -> String {
    let mut limit = name.chars().count().min(60);
    let mut text = format::shortened(name, limit);
    while limit > 2 && text_width(&text, size) > width {
        limit -= 1;
        text = format::shortened(name, limit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_file_names() {
        assert_eq!(sanitized("../a b<c>.csv"), "a-b-c--csv");
        assert_eq!(sanitized("收入"), "收入");
        assert_eq!(sanitized("??"), "output");
        let mut taken = HashSet::new();
        assert_eq!(unique("A-roc", &mut taken), "A-roc");
        assert_eq!(unique("a-roc", &mut taken), "a-roc-2");
    }
}
