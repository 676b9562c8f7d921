//! Brightness, contrast and saturation.

use crate::lot::Lot;
use crate::pictures::Shape;

/// How much each primary colour adds to brightness (ITU-R BT.601).
pub(super) const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// Changes brightness, contrast and saturation by factors from `1 - strength` to `1 + strength`.
pub(super) fn jitter(out: &mut [f32], shape: Shape, strength: f64, lot: &mut Lot) {
    let mut factor = || (1.0 + (2.0 * lot.unit() - 1.0) * strength) as f32;
    let (brightness, contrast, saturation) = (factor(), factor(), factor());
    let colors = shape.channels.min(3);
    let plane = shape.height * shape.width;
    let out = &mut out[..colors * plane];
    let mean = brightness * out.iter().sum::<f32>() / out.len() as f32;
    for value in out.iter_mut() {
        *value = mean + (*value * brightness - mean) * contrast;
    }
    if colors == 3 {
        for pixel in 0..plane {
            let grey: f32 = LUMA.iter().enumerate().map(|(c, weight)| weight * out[c * plane + pixel]).sum();
            for channel in 0..3 {
                let value = &mut out[channel * plane + pixel];
                *value = grey + (*value - grey) * saturation;
            }
        }
    }
    out.iter_mut().for_each(|value| *value = value.clamp(0.0, 1.0));
}
