//! Pooling over two dimensions; one dimension is a height of 1.
//!
//! `x [planes, height, width]`, where a plane is a channel of an image.

use crate::{
    buf::uninit,
    isa::kernel,
    par::{self, Cut, Rows},
};
use std::ops::Range;

/// Sizes of a pooling. Pairs are height and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Number of planes.
    pub planes: usize,
    /// Height and width of a plane.
    pub image: [usize; 2],
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Steps of the window.
    pub stride: [usize; 2],
    /// Pixels that a window may reach beyond either side, less than the window.
    pub padding: [usize; 2],
}

impl Pool {
    /// Returns height and width of the output.
    ///
    /// # Panics
    /// If the window is larger than the padded plane, or the padding as large as the window.
    pub fn output_image(&self) -> [usize; 2] {
        std::array::from_fn(|d| {
            let (padded, kernel) = (self.image[d] + 2 * self.padding[d], self.kernel[d]);
            assert!(kernel <= padded, "a window of {kernel} pixels is larger than a plane of {padded}");
            assert!(
                self.padding[d] < kernel,
                "a padding of {} leaves windows of {kernel} empty",
                self.padding[d]
            );
            (padded - kernel) / self.stride[d] + 1
        })
    }

    fn input_pixels(&self) -> usize {
        self.image[0] * self.image[1]
    }

    /// Returns the part of a window inside the plane, in dimension `d`.
    fn window(&self, d: usize, output: usize) -> Range<usize> {
        let start = output * self.stride[d];
        let inside = |at: usize| at.saturating_sub(self.padding[d]).min(self.image[d]);
        inside(start)..inside(start + self.kernel[d])
    }

    /// Calls `f` with each output of a plane and its window.
    fn for_each_window(&self, mut f: impl FnMut(usize, Range<usize>, Range<usize>)) {
        let [height, width] = self.output_image();
        for y in 0..height {
            let rows = self.window(0, y);
            for x in 0..width {
                f(y * width + x, rows.clone(), self.window(1, x));
            }
        }
    }

    /// Whether the windows are squares of 2×2 side by side; a last odd row or column is in none.
    fn halves(&self) -> bool {
        self.kernel == [2, 2] && self.stride == [2, 2] && self.padding == [0, 0]
    }

    fn cut(&self) -> Cut {
        let [height, width] = self.output_image();
        Cut::new(self.planes, self.input_pixels() + height * width * self.kernel[0] * self.kernel[1])
    }
}

/// Returns the largest value of each window and its position in the plane; a NaN counts as the largest.
pub fn max(x: &[f32], pool: &Pool) -> (Vec<f32>, Vec<u32>) {
    assert_eq!(x.len(), pool.planes * pool.input_pixels(), "the input has another size");
    let pixels = pool.output_image().iter().product();
    let (mut y, mut at) = (uninit(pool.planes * pixels), vec![0u32; pool.planes * pixels]);
    par::run((Rows::new(&mut y, pixels), Rows::new(&mut at, pixels)), pool.cut(), |range, (y, at)| {
        for (i, plane) in range.enumerate() {
            let x = &x[plane * pool.input_pixels()..][..pool.input_pixels()];
            let (y, at) = (&mut y.data[i * pixels..][..pixels], &mut at.data[i * pixels..][..pixels]);
            if pool.halves() {
                max_of_fours(x, pool.image[1], y, at);
                continue;
            }
            pool.for_each_window(|output, rows, columns| {
                let mut best = rows.start * pool.image[1] + columns.start;
                for row in rows {
                    for i in row * pool.image[1] + columns.start..row * pool.image[1] + columns.end {
                        if x[i] > x[best] || x[i].is_nan() {
                            best = i;
                        }
                    }
                }
                (y[output], at[output]) = (x[best], best as u32);
            });
        }
    });
    (y, at)
}

kernel! {
    /// The largest of each 2×2 pixels and its position, in the order of [`max`].
    fn max_of_fours<A>(x: &[f32], width: usize, y: &mut [f32], at: &mut [u32]) {
        let rows = x.chunks_exact(2 * width.max(1)).zip(y.chunks_exact_mut((width / 2).max(1)).zip(at.chunks_exact_mut((width / 2).max(1))));
        for (row, (pair, (y, at))) in rows.enumerate() {
            let (above, below) = pair.split_at(width);
            let first = (2 * row * width) as u32;
            // An odd last pixel is left over.
            let pixels = above.as_chunks::<2>().0.iter().zip(below.as_chunks::<2>().0);
            for (column, (([a, b], [c, d]), (y, at))) in pixels.zip(y.iter_mut().zip(at)).enumerate() {
                let place = first + 2 * column as u32;
                let mut best = (*a, place);
                for (value, place) in [(*b, place + 1), (*c, place + width as u32), (*d, place + width as u32 + 1)] {
                    let larger = value > best.0 || value.is_nan();
                    best = (if larger { value } else { best.0 }, if larger { place } else { best.1 });
                }
                (*y, *at) = best;
            }
        }
    }
}

/// Returns the gradient of the input of [`max`]: each window's goes to its largest value.
pub fn max_backward(dy: &[f32], at: &[u32], pool: &Pool) -> Vec<f32> {
    let pixels: usize = pool.output_image().iter().product();
    assert!(dy.len() == pool.planes * pixels && at.len() == dy.len(), "the gradient has another size");
    let mut dx = uninit(pool.planes * pool.input_pixels());
    par::run(Rows::new(&mut dx, pool.input_pixels()), pool.cut(), |range, dx| {
        for (dx, plane) in dx.data.chunks_exact_mut(pool.input_pixels().max(1)).zip(range) {
            let (dy, at) = (&dy[plane * pixels..][..pixels], &at[plane * pixels..][..pixels]);
            if pool.halves() {
                spread_to_fours(dy, at, pool.image[1], dx);
                continue;
            }
            dx.fill(0.0);
            dy.iter().zip(at).for_each(|(dy, at)| dx[*at as usize] += dy);
        }
    });
    dx
}

kernel! {
    /// The gradient of [`max_of_fours`]; pixels that are in no window have none.
    fn spread_to_fours<A>(dy: &[f32], at: &[u32], width: usize, dx: &mut [f32]) {
        let half = (width / 2).max(1);
        let mut pairs = dx.chunks_exact_mut(2 * width.max(1));
        for (row, (pair, (dy, at))) in pairs.by_ref().zip(dy.chunks_exact(half).zip(at.chunks_exact(half))).enumerate() {
            let (above, below) = pair.split_at_mut(width);
            let first = (2 * row * width) as u32;
            let (above, odd_above) = above.as_chunks_mut::<2>();
            let (below, odd_below) = below.as_chunks_mut::<2>();
            odd_above.fill(0.0);
            odd_below.fill(0.0);
            for (column, ((above, below), (dy, at))) in above.iter_mut().zip(below).zip(dy.iter().zip(at)).enumerate() {
                let from = *at - (first + 2 * column as u32);
                let share = |place: u32| if from == place { *dy } else { 0.0 };
                *above = [share(0), share(1)];
                *below = [share(width as u32), share(width as u32 + 1)];
            }
        }
        pairs.into_remainder().fill(0.0);
    }
}

/// Returns the mean of each window; pixels beyond the plane count as zeros.
pub fn average(x: &[f32], pool: &Pool) -> Vec<f32> {
    assert_eq!(x.len(), pool.planes * pool.input_pixels(), "the input has another size");
    let pixels = pool.output_image().iter().product();
    let share = 1.0 / (pool.kernel[0] * pool.kernel[1]) as f32;
    let mut y = uninit(pool.planes * pixels);
    par::run(Rows::new(&mut y, pixels), pool.cut(), |range, y| {
        for (i, plane) in range.enumerate() {
            let x = &x[plane * pool.input_pixels()..][..pool.input_pixels()];
            let y = &mut y.data[i * pixels..][..pixels];
            pool.for_each_window(|output, rows, columns| {
                let row = |row| &x[row * pool.image[1] + columns.start..row * pool.image[1] + columns.end];
                y[output] = rows.map(|r| row(r).iter().sum::<f32>()).sum::<f32>() * share;
            });
        }
    });
    y
}

/// Returns the gradient of the input of [`average`].
pub fn average_backward(dy: &[f32], pool: &Pool) -> Vec<f32> {
    let pixels: usize = pool.output_image().iter().product();
    assert_eq!(dy.len(), pool.planes * pixels, "the gradient has another size");
    let share = 1.0 / (pool.kernel[0] * pool.kernel[1]) as f32;
    let mut dx = vec![0.0; pool.planes * pool.input_pixels()];
    par::run(Rows::new(&mut dx, pool.input_pixels()), pool.cut(), |range, dx| {
        for (dx, plane) in dx.data.chunks_exact_mut(pool.input_pixels().max(1)).zip(range) {
            let dy = &dy[plane * pixels..][..pixels];
            pool.for_each_window(|output, rows, columns| {
                for row in rows {
                    for x in &mut dx[row * pool.image[1] + columns.start..row * pool.image[1] + columns.end] {
                        *x += dy[output] * share;
                    }
                }
            });
        }
    });
    dx
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        check_gradient, close, hides_nothing, same_bits_with_one_and_two_threads, values, wide,
    };

    fn cases() -> Vec<Pool> {
        let base = Pool { planes: 3, image: [6, 7], kernel: [2, 2], stride: [2, 2], padding: [0, 0] };
        vec![
            base,
            Pool { kernel: [3, 3], stride: [1, 1], padding: [1, 1], ..base },
            Pool { image: [6, 44], ..base },
            Pool { image: [7, 45], ..base },
            Pool { image: [3, 2], ..base },
            Pool { kernel: [3, 2], stride: [2, 1], padding: [1, 0], ..base },
            Pool { image: [1, 11], kernel: [1, 4], stride: [1, 3], ..base },
            Pool { image: [1, 1], kernel: [1, 1], stride: [1, 1], ..base },
            Pool { kernel: [6, 7], ..base },
            Pool { planes: 0, ..base },
        ]
    }

    /// The naive twin: every window pixel, or none where it lies outside.
    fn windows(p: &Pool) -> Vec<Vec<Option<usize>>> {
        let [height, width] = p.output_image();
        let mut all = vec![];
        for (plane, y, x) in
            (0..p.planes).flat_map(|n| (0..height).flat_map(move |y| (0..width).map(move |x| (n, y, x))))
        {
            let pixel = |i: usize| {
                let row = (y * p.stride[0] + i / p.kernel[1]) as i64 - p.padding[0] as i64;
                let column = (x * p.stride[1] + i % p.kernel[1]) as i64 - p.padding[1] as i64;
                let inside =
                    (0..p.image[0] as i64).contains(&row) && (0..p.image[1] as i64).contains(&column);
                inside.then(|| (plane * p.image[0] + row as usize) * p.image[1] + column as usize)
            };
            all.push((0..p.kernel[0] * p.kernel[1]).map(pixel).collect());
        }
        all
    }

    fn average_twin(x: &[f64], p: &Pool) -> Vec<f64> {
        windows(p).iter().map(|w| w.iter().flatten().map(|&i| x[i]).sum::<f64>() / w.len() as f64).collect()
    }

    fn average_gradient_twin(dy: &[f64], p: &Pool) -> Vec<f64> {
        let mut dx = vec![0.0; p.planes * p.input_pixels()];
        for (w, d) in windows(p).iter().zip(dy) {
            w.iter().flatten().for_each(|&i| dx[i] += d / w.len() as f64);
        }
        dx
    }

    fn max_twin(x: &[f64], p: &Pool) -> Vec<f64> {
        windows(p).iter().map(|w| w.iter().flatten().map(|&i| x[i]).fold(f64::MIN, f64::max)).collect()
    }

    fn max_gradient_twin(x: &[f64], dy: &[f64], p: &Pool) -> Vec<f64> {
        let mut dx = vec![0.0; x.len()];
        for ((w, d), largest) in windows(p).iter().zip(dy).zip(max_twin(x, p)) {
            let at = w.iter().flatten().find(|&&i| x[i] == largest).expect("the largest is in its window");
            dx[*at] += d;
        }
        dx
    }

    #[test]
    fn matches_the_twin() {
        for pool in cases() {
            let x = values(pool.planes * pool.input_pixels(), 1);
            let dy = values(pool.planes * pool.output_image().iter().product::<usize>(), 2);
            close(&average(&x, &pool), &average_twin(&wide(&x), &pool));
            close(&average_backward(&dy, &pool), &average_gradient_twin(&wide(&dy), &pool));
            let (y, at) = max(&x, &pool);
            close(&y, &max_twin(&wide(&x), &pool));
            close(&max_backward(&dy, &at, &pool), &max_gradient_twin(&wide(&x), &wide(&dy), &pool));
        }
    }

    #[test]
    fn the_twin_s_gradients_are_slopes() {
        for pool in &cases()[..4] {
            let x = wide(&values(pool.planes * pool.input_pixels(), 1));
            let dy = wide(&values(pool.planes * pool.output_image().iter().product::<usize>(), 2));
            let loss = |y: Vec<f64>| -> f64 { y.iter().zip(&dy).map(|(y, d)| y * d).sum() };
            check_gradient(&x, &average_gradient_twin(&dy, pool), |x| loss(average_twin(x, pool)));
            check_gradient(&x, &max_gradient_twin(&x, &dy, pool), |x| loss(max_twin(x, pool)));
        }
    }

    #[test]
    fn nan_is_the_maximum() {
        let row = Pool { planes: 1, image: [1, 4], kernel: [1, 4], stride: [1, 4], padding: [0, 0] };
        let square = Pool { image: [2, 2], kernel: [2, 2], stride: [2, 2], ..row };
        for (at, pool) in (0..4).flat_map(|at| [(at, row), (at, square)]) {
            let mut x = [1.0, 2.0, 3.0, 4.0];
            x[at] = f32::NAN;
            assert!(max(&x, &pool).0[0].is_nan() && average(&x, &pool)[0].is_nan());
        }
    }

    #[test]
    fn what_is_not_finite_in_the_gradient_shows_in_all_that_it_feeds() {
        for (pool, value) in
            cases()[..4].iter().flat_map(|pool| [f32::NAN, f32::INFINITY].map(|value| (pool, value)))
        {
            let x = values(pool.planes * pool.input_pixels(), 1);
            let mut dy = values(pool.planes * pool.output_image().iter().product::<usize>(), 2);
            dy[4] = value;
            hides_nothing(&average_backward(&dy, pool), &average_gradient_twin(&wide(&dy), pool));
            let got = max_backward(&dy, &max(&x, pool).1, pool);
            hides_nothing(&got, &max_gradient_twin(&wide(&x), &wide(&dy), pool));
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let pool = Pool { planes: 40, image: [30, 30], ..cases()[1] };
        let x = values(40 * 900, 1);
        same_bits_with_one_and_two_threads(|| {
            let (y, at) = max(&x, &pool);
            vec![max_backward(&y, &at, &pool), average_backward(&average(&x, &pool), &pool), y]
        });
    }
}
