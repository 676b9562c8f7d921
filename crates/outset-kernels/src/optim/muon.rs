//! The orthogonalisation in Muon (K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024).

use crate::{
    buf::uninit,
    gemm::{Matrix, matmul},
    optim::sum_of_squares,
};

/// Coefficients of the odd quintic that Muon iterates; its slope at zero is large, so that small singular values grow
/// fast, at the price of ending between about 0.7 and 1.2 instead of at 1.
pub const QUINTIC: [f32; 3] = [3.4445, -4.7750, 2.0315];

/// Returns `g [rows, columns]` with its singular values brought near one: five Newton-Schulz steps
/// `X ← a X + (b A + c A²) X` with `A = X Xᵀ`, from `g / ‖g‖`.
pub fn orthogonalise(g: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    assert_eq!(g.len(), rows * columns, "the matrix has another size");
    let norm = (sum_of_squares(g).sqrt() + 1e-7) as f32;
    // The smaller side is squared.
    let flip = rows > columns;
    let (m, n) = if flip {
        (columns, rows)
    } else {
        (rows, columns)
    };
    let mut x: Vec<f32> = g.iter().map(|v| v / norm).collect();
    if flip {
        x = transpose(&x, rows, columns);
    }
    let (mut a, mut a2, mut bx) = (uninit(m * m), uninit(m * m), uninit(m * n));
    for _ in 0..5 {
        let view = Matrix::new(&x, m, n);
        matmul(view, view.transposed(), &mut a);
        matmul(Matrix::new(&a, m, m), Matrix::new(&a, m, m), &mut a2);
        for (a, a2) in a.iter_mut().zip(&a2) {
            *a = QUINTIC[1] * *a + QUINTIC[2] * a2;
        }
        matmul(Matrix::new(&a, m, m), view, &mut bx);
        for (x, bx) in x.iter_mut().zip(&bx) {
            *x = QUINTIC[0] * *x + bx;
        }
    }
    if flip { transpose(&x, m, n) } else { x }
}

fn transpose(x: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..x.len())
        .map(|i| x[i % rows * columns + i / rows])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        close_within, matmul as product64, same_bits_with_one_and_two_threads,
        transpose as transpose64, values, wide,
    };

    fn twin(g: &[f64], rows: usize, columns: usize) -> Vec<f64> {
        let norm = g.iter().map(|v| v * v).sum::<f64>().sqrt() + 1e-7;
        let mut x: Vec<f64> = g.iter().map(|v| v / norm).collect();
        let [a, b, c] = QUINTIC.map(f64::from);
        for _ in 0..5 {
            let square = product64(&x, &transpose64(&x, columns), columns, rows);
            let fourth = product64(&square, &square, rows, rows);
            let factor: Vec<f64> = square
                .iter()
                .zip(&fourth)
                .map(|(s, f)| b * s + c * f)
                .collect();
            let add = product64(&factor, &x, rows, columns);
            x.iter_mut().zip(add).for_each(|(x, add)| *x = a * *x + add);
        }
        x
    }

    #[test]
    fn matches_the_twin() {
        for (rows, columns) in [(1, 1), (3, 5), (7, 4), (32, 17), (40, 64)] {
            let g = values(rows * columns, 1);
            // Rounding grows by the slope of the quintic in every step.
            close_within(
                &orthogonalise(&g, rows, columns),
                &twin(&wide(&g), rows, columns),
                2e-4,
            );
        }
    }

    #[test]
    fn rows_come_out_nearly_orthonormal() {
        let x = orthogonalise(&values(8 * 64, 3), 8, 64);
        let square = product64(&wide(&x), &transpose64(&wide(&x), 64), 64, 8);
        for (i, v) in square.iter().enumerate() {
            assert!(
                if i % 9 == 0 {
                    (0.4..1.6).contains(v)
                } else {
                    v.abs() < 0.4
                },
                "{i}: {v}"
            );
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let g = values(96 * 128, 1);
        same_bits_with_one_and_two_threads(|| vec![orthogonalise(&g, 96, 128)]);
    }
}
