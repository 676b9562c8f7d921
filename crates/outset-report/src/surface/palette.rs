//! The colours of the plots, each with a part to play.

/// A colour by its part: a fixed value for files, a name for the report, whose style sheet has a light and a dark value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Color {
    pub name: &'static str,
    pub rgb: [u8; 3],
    /// From 0, unseen, to 1, solid.
    pub alpha: f32,
}

impl Color {
    const fn new(name: &'static str, rgb: u32) -> Self {
        Self { name, rgb: [(rgb >> 16) as u8, (rgb >> 8) as u8, rgb as u8], alpha: 1.0 }
    }

    /// The same colour, seen through.
    #[must_use]
    pub const fn alpha(self, alpha: f32) -> Self {
        Self { alpha, ..self }
    }
}

/// Points and bars: what was seen, or the model's own curve where there is one only.
pub const BLUE: Color = Color::new("blue", 0x1f6feb);
/// The fitted line, and whatever has to stand out.
pub const RED: Color = Color::new("red", 0xd1242f);
/// Text that matters.
pub const INK: Color = Color::new("ink", 0x1f2328);
/// Text that explains, and reference lines.
pub const MUTED: Color = Color::new("muted", 0x59636e);
/// Grid lines.
pub const GRID: Color = Color::new("grid", 0xdde2e8);

/// Colours of several curves in one plot, in this order.
pub const SERIES: [Color; 6] = [
    BLUE,
    Color::new("orange", 0xbc4c00),
    Color::new("green", 0x1a7f37),
    Color::new("purple", 0x8250df),
    RED,
    Color::new("teal", 0x0b7a85),
];
