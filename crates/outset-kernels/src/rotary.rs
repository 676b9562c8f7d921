//! Rotary positions (arXiv 2104.09864): the features of queries and keys turned by an angle that grows with the place.
//!
//! A head's first half are the abscissas and its second half the ordinates of the points that are turned.

use crate::{
    buf::uninit,
    isa::kernel,
    par::{self, Cut, Rows},
};

/// Cosines and sines of the angles `place / base^(2 i / size)`, for each place and each `i` below `size / 2`.
#[derive(Clone, Debug)]
pub struct Angles {
    cosines: Vec<f32>,
    sines: Vec<f32>,
    half: usize,
}

impl Angles {
    /// Computes the angles of the places below `places`, for heads of `size` features.
    ///
    /// # Panics
    /// If the size is odd.
    pub fn new(places: usize, size: usize, base: f64) -> Angles {
        assert!(size.is_multiple_of(2), "a head of {size} features can't be turned in pairs");
        let half = size / 2;
        let frequencies: Vec<f64> = (0..half).map(|i| base.powf(-2.0 * i as f64 / size as f64)).collect();
        let angles = (0..places).flat_map(|place| frequencies.iter().map(move |f| place as f64 * f));
        let (sines, cosines) = angles.map(|a| (a.sin() as f32, a.cos() as f32)).unzip();
        Angles { cosines, sines, half }
    }
}

/// Returns rows of heads, the first `turned` of which are turned by the angles of the row's place.
///
/// `x [rows, heads * size]`, `places [rows]`. With `back` they are turned the other way: the gradient of a turn.
///
/// # Panics
/// If a place has no angles, or the rows don't divide into heads.
pub fn turn(
    x: &[f32],
    heads: usize,
    turned: usize,
    places: &[usize],
    angles: &Angles,
    back: bool,
) -> Vec<f32> {
    let half = angles.half;
    let width = heads * 2 * half;
    assert!(turned <= heads && x.len() == places.len() * width, "the rows have another size");
    let mut y = uninit(x.len());
    par::run(Rows::new(&mut y, width), Cut::new(places.len(), width), |range, y| {
        let x = x[range.start * width..range.end * width].chunks_exact(width.max(1));
        for ((y, x), place) in y.data.chunks_exact_mut(width.max(1)).zip(x).zip(&places[range]) {
            let cosines = &angles.cosines[place * half..][..half];
            let sines = &angles.sines[place * half..][..half];
            let (y, same) = y.split_at_mut(turned * 2 * half);
            let (x, x_same) = x.split_at(y.len());
            turn_row(x, y, cosines, sines, if back { -1.0 } else { 1.0 });
            same.copy_from_slice(x_same);
        }
    });
    y
}

kernel! {
    fn turn_row<A>(x: &[f32], y: &mut [f32], cosines: &[f32], sines: &[f32], direction: f32) {
        let half = cosines.len();
        for (x, y) in x.chunks_exact((2 * half).max(1)).zip(y.chunks_exact_mut((2 * half).max(1))) {
            let ((a, b), (c, d)) = (x.split_at(half), y.split_at_mut(half));
            let (a, b, c, d, sines) = (&a[..half], &b[..half], &mut c[..half], &mut d[..half], &sines[..half]);
            for i in 0..half {
                let sine = sines[i] * direction;
                c[i] = A::mul_add(a[i], cosines[i], -(b[i] * sine));
                d[i] = A::mul_add(b[i], cosines[i], a[i] * sine);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, same_bits_with_one_and_two_threads, values, wide};

    /// The naive twin.
    fn twin(x: &[f64], heads: usize, turned: usize, size: usize, places: &[usize], sign: f64) -> Vec<f64> {
        let mut y = x.to_vec();
        for (row, place) in places.iter().enumerate() {
            for (head, i) in (0..turned).flat_map(|head| (0..size / 2).map(move |i| (head, i))) {
                let at = (row * heads + head) * size + i;
                let angle = sign * *place as f64 / 10_000f64.powf(2.0 * i as f64 / size as f64);
                y[at] = x[at] * angle.cos() - x[at + size / 2] * angle.sin();
                y[at + size / 2] = x[at] * angle.sin() + x[at + size / 2] * angle.cos();
            }
        }
        y
    }

    #[test]
    fn matches_the_twin_and_turns_back() {
        for (rows, heads, turned, size) in
            [(1, 1, 1, 2), (7, 6, 4, 10), (300, 3, 2, 32), (0, 2, 2, 4), (2, 2, 0, 4)]
        {
            let x = values(rows * heads * size, 1);
            let places: Vec<usize> = (0..rows).map(|row| row * 7 % 40).collect();
            let angles = Angles::new(40, size, 10_000.0);
            let y = turn(&x, heads, turned, &places, &angles, false);
            close(&y, &twin(&wide(&x), heads, turned, size, &places, 1.0));
            let back = turn(&x, heads, turned, &places, &angles, true);
            close(&back, &twin(&wide(&x), heads, turned, size, &places, -1.0));
            close(&turn(&y, heads, turned, &places, &angles, true), &wide(&x));
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads_and_nan_stays() {
        let x = values(500 * 192, 1);
        let places: Vec<usize> = (0..500).collect();
        let angles = Angles::new(500, 32, 10_000.0);
        same_bits_with_one_and_two_threads(|| vec![turn(&x, 6, 4, &places, &angles, false)]);
        assert!(turn(&[f32::NAN; 4], 1, 1, &[3], &Angles::new(4, 4, 10.0), false).iter().all(|v| v.is_nan()));
    }
}
