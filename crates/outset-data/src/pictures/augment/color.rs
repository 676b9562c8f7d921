//! Brightness, contrast and saturation.

use crate::lot::Lot;
use crate::pictures::Shape;

/// How much each primary colour adds to brightness (ITU-R BT.601).
pub(super) const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// Changes brightness, contrast and saturation by factors from `1 - strength` to `1 + strength`.
pub(super) fn jitter(out: &mut [f32], shape: Shape, strength: f64, lot: &mut Lot) {
    let mut factor = || (1.0 + (2.0 * lot.unit() - 1.0) * strength) as f32;
    let (brightness, contrast, saturation) = (factor(), factor(), factor());
    change(out, shape, brightness, contrast, saturation);
}

/// Changes the colours of a picture by factors; how opaque a pixel is stays as it is.
fn change(out: &mut [f32], shape: Shape, brightness: f32, contrast: f32, saturation: f32) {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Changes pixels of some channels and compares them.
    fn check<const N: usize>(channels: usize, values: [f32; N], factors: [f32; 3], expected: [f32; N]) {
        let shape = Shape { channels, height: 1, width: N / channels };
        let mut out = values;
        let [brightness, contrast, saturation] = factors;
        change(&mut out, shape, brightness, contrast, saturation);
        let apart = out.iter().zip(expected).map(|(out, expected)| (out - expected).abs());
        assert!(apart.fold(0.0, f32::max) < 1e-5, "{out:?} is not {expected:?}");
    }

    #[test]
    fn by_hand() {
        check(1, [0.2, 0.4], [1.5, 1.0, 1.0], [0.3, 0.6]);
        check(1, [0.2, 0.4], [3.0, 1.0, 1.0], [0.6, 1.0]);
        check(1, [0.2, 0.4], [1.0, 2.0, 1.0], [0.1, 0.5]);
        check(1, [0.2, 0.4], [1.5, 0.5, 1.0], [0.375, 0.525]);
        // Their brightness is 0.299 · 0.5 + 0.587 · 0.25 + 0.114 · 0.1 = 0.30765.
        check(3, [0.5, 0.25, 0.1], [1.0, 1.0, 0.5], [0.403825, 0.278825, 0.203825]);
        check(3, [0.5, 0.25, 0.1], [1.0, 1.0, 2.0], [0.69235, 0.19235, 0.0]);
        check(4, [0.5, 0.25, 0.1, 0.7], [0.5, 1.0, 0.0], [0.153825, 0.153825, 0.153825, 0.7]);
    }

    #[test]
    fn factors_lie_on_either_side_of_one() {
        let shape = Shape { channels: 3, height: 1, width: 2 };
        let (mut least, mut most) = ([f32::MAX; 3], [f32::MIN; 3]);
        for key in 0..60 {
            // A reddish pixel beside one that is brighter in all colours alike, none of which gets black or white.
            let mut out = [0.45, 0.55, 0.4, 0.5, 0.4, 0.5];
            jitter(&mut out, shape, 0.4, &mut Lot::new(key));
            let luma = |pixel: usize| -> f32 { (0..3).map(|c| LUMA[c] * out[c * 2 + pixel]).sum() };
            // Together they were 0.93 bright, 0.1 apart, and red by 0.05.
            let (brightness, apart) = ((luma(0) + luma(1)) / 0.93, (luma(1) - luma(0)) / 0.1);
            let saturation = (out[0] - out[2]) / 0.05 / apart;
            for (at, factor) in [brightness, apart / brightness, saturation].into_iter().enumerate() {
                (least[at], most[at]) = (least[at].min(factor), most[at].max(factor));
            }
        }
        assert!(least.iter().all(|least| (0.59..0.8).contains(least)), "{least:?}");
        assert!(most.iter().all(|most| (1.2..1.41).contains(most)), "{most:?}");
    }
}
