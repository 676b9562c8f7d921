//! The typeface of the pictures: DejaVu Sans from the program itself, so that no font need be installed.

use std::sync::OnceLock;

use ab_glyph::{Font, FontRef, GlyphId, PxScale, ScaleFont};

/// Files in which systems keep a typeface with Chinese, Japanese and Korean characters, which DejaVu Sans lacks.
const FALLBACKS: [&str; 6] = [
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/System/Library/Fonts/PingFang.ttc",
    "/System/Library/Fonts/Hiragino Sans GB.ttc",
    "C:\\Windows\\Fonts\\msyh.ttc",
];

/// The program's own typeface. `None` only if its bytes were broken, which a test rules out.
fn regular() -> Option<&'static FontRef<'static>> {
    static FONT: OnceLock<Option<FontRef<'static>>> = OnceLock::new();
    FONT.get_or_init(|| FontRef::try_from_slice(dejavu::sans::regular()).ok()).as_ref()
}

/// The system's typeface for characters that DejaVu Sans lacks; read only when such a character is met.
fn fallback() -> Option<&'static FontRef<'static>> {
    static FONT: OnceLock<Option<FontRef<'static>>> = OnceLock::new();
    FONT.get_or_init(|| {
        let bytes = FALLBACKS.iter().find_map(|path| std::fs::read(path).ok())?;
        FontRef::try_from_slice_and_index(bytes.leak(), 0).ok()
    })
    .as_ref()
}

fn glyph(character: char) -> Option<(&'static FontRef<'static>, GlyphId)> {
    let own = regular()?;
    let id = own.glyph_id(character);
    if id.0 != 0 || character.is_ascii() {
        return Some((own, id));
    }
    match fallback().map(|font| (font, font.glyph_id(character))) {
        Some((font, other)) if other.0 != 0 => Some((font, other)),
        _ => Some((own, id)),
    }
}

/// A font's scale at which an em has this size.
fn scale(font: &FontRef<'_>, size: f32) -> PxScale {
    let em = font.units_per_em().unwrap_or(1.0);
    PxScale::from(size * font.height_unscaled() / em)
}

/// Width of `text` where an em has this size.
pub fn width(text: &str, size: f32) -> f32 {
    let glyphs = text.chars().filter_map(glyph);
    glyphs.map(|(font, id)| font.as_scaled(scale(font, size)).h_advance(id)).sum()
}

/// Draws `text` with its baseline starting at `place`; `dot` gets pixels and how far each is covered, from 0 to 1.
pub fn draw(text: &str, size: f32, place: (f32, f32), mut dot: impl FnMut(i32, i32, f32)) {
    let mut x = place.0;
    for (font, id) in text.chars().filter_map(glyph) {
        let scale = scale(font, size);
        let start = ab_glyph::point(x, place.1);
        if let Some(outline) = font.outline_glyph(id.with_scale_and_position(scale, start)) {
            let corner = outline.px_bounds().min;
            outline.draw(|right, down, covered| {
                dot(corner.x as i32 + right as i32, corner.y as i32 + down as i32, covered);
            });
        }
        x += font.as_scaled(scale).h_advance(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_typeface_is_readable_and_an_em_wide_enough() {
        assert!(regular().is_some());
        let width = width("mm", 10.0);
        assert!((19.0..20.0).contains(&width), "{width}");
    }
}
