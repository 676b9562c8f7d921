//! Many members of an ensemble in one network, as in TabM (arXiv 2410.24210).
//!
//! Rows are member-major: row `m * batch + b` belongs to member `m` and example `b`.

use crate::{
    buf::uninit,
    gemm::{Matrix, Output, matmul_here},
    isa::kernel,
    linear::{add_rows, add_to_rows},
    par::{self, Cut, Rows},
};

/// Returns `y [members * batch, width]` with `y[m * batch + b] = x[b] * r[m]`, for `x [batch, width]` and
/// `r [members, width]`.
///
/// # Panics
/// If a last row is not whole.
pub fn scale(x: &[f32], r: &[f32], width: usize) -> Vec<f32> {
    let (batch, members) = (par::whole_rows(x.len(), width), par::whole_rows(r.len(), width));
    let mut y = uninit(members * x.len());
    par::run(Rows::new(&mut y, width), Cut::new(members * batch, width), |range, y| {
        for (y, row) in y.data.chunks_exact_mut(width).zip(range) {
            let (member, example) = (row / batch, row % batch);
            multiply(y, &x[example * width..][..width], &r[member * width..][..width]);
        }
    });
    y
}

/// Returns the gradients of `x` and of `r`: `dx[b] = Σ_m dy[m, b] r[m]`, `dr[m] = Σ_b dy[m, b] x[b]`.
pub fn scale_backward(x: &[f32], r: &[f32], dy: &[f32], width: usize) -> (Vec<f32>, Vec<f32>) {
    let (batch, members) = (x.len() / width.max(1), r.len() / width.max(1));
    assert_eq!(dy.len(), members * x.len(), "the gradient has another size than the output");
    let mut dx = vec![0.0; x.len()];
    par::run(Rows::new(&mut dx, width), Cut::new(batch, members * width), |range, dx| {
        for (dx, example) in dx.data.chunks_exact_mut(width).zip(range) {
            for member in 0..members {
                let dy = &dy[(member * batch + example) * width..][..width];
                add_product(dx, dy, &r[member * width..][..width]);
            }
        }
    });
    let mut dr = vec![0.0; r.len()];
    par::run(Rows::new(&mut dr, width), Cut::new(members, batch * width), |range, dr| {
        for (dr, member) in dr.data.chunks_exact_mut(width).zip(range) {
            for example in 0..batch {
                let dy = &dy[(member * batch + example) * width..][..width];
                add_product(dr, dy, &x[example * width..][..width]);
            }
        }
    });
    (dx, dr)
}

/// Sizes of a linear map with weights of its own for each member.
#[derive(Clone, Copy, Debug)]
pub struct MemberLinear {
    /// Number of members.
    pub members: usize,
    /// Rows of each member.
    pub batch: usize,
    /// Width of a row that goes in.
    pub inputs: usize,
    /// Width of a row that comes out.
    pub outputs: usize,
}

impl MemberLinear {
    fn cut(self) -> Cut {
        Cut::tasks(self.members, self.members * self.batch * self.inputs * self.outputs)
    }

    /// Returns `y = h W[m] + b[m]` for the rows of each member `m`: `h [members * batch, inputs]`,
    /// `w [members, inputs, outputs]`, `b [members, outputs]`, `y [members * batch, outputs]`.
    pub fn forward(self, h: &[f32], w: &[f32], b: Option<&[f32]>) -> Vec<f32> {
        let MemberLinear { members, batch, inputs, outputs } = self;
        let mut y = uninit(members * batch * outputs);
        par::run(Rows::new(&mut y, batch * outputs), self.cut(), |range, y| {
            for (i, m) in range.enumerate() {
                let y = &mut y.data[i * batch * outputs..][..batch * outputs];
                matmul_here(
                    Matrix::new(&h[m * batch * inputs..], batch, inputs),
                    Matrix::new(&w[m * inputs * outputs..], inputs, outputs),
                    Output::strided(y, outputs),
                );
                if let Some(b) = b {
                    add_to_rows(y, &b[m * outputs..][..outputs]);
                }
            }
        });
        y
    }

    /// Returns the gradient of `h`: `dy W[m]ᵀ`.
    pub fn input_gradient(self, dy: &[f32], w: &[f32]) -> Vec<f32> {
        let MemberLinear { members, batch, inputs, outputs } = self;
        let mut dh = uninit(members * batch * inputs);
        par::run(Rows::new(&mut dh, batch * inputs), self.cut(), |range, dh| {
            for (i, m) in range.enumerate() {
                matmul_here(
                    Matrix::new(&dy[m * batch * outputs..], batch, outputs),
                    Matrix::new(&w[m * inputs * outputs..], inputs, outputs).transposed(),
                    Output::strided(&mut dh.data[i * batch * inputs..][..batch * inputs], inputs),
                );
            }
        });
        dh
    }

    /// Returns the gradients of `w` and of `b`: `h[m]ᵀ dy[m]` and the sum of the rows of `dy[m]`.
    pub fn weight_gradients(self, h: &[f32], dy: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let MemberLinear { members, batch, inputs, outputs } = self;
        let (mut dw, mut db) = (uninit(members * inputs * outputs), vec![0.0; members * outputs]);
        let gradients = (Rows::new(&mut dw, inputs * outputs), Rows::new(&mut db, outputs));
        par::run(gradients, self.cut(), |range, (dw, db)| {
            for (i, m) in range.enumerate() {
                let dy = &dy[m * batch * outputs..][..batch * outputs];
                matmul_here(
                    Matrix::new(&h[m * batch * inputs..], batch, inputs).transposed(),
                    Matrix::new(dy, batch, outputs),
                    Output::strided(&mut dw.data[i * inputs * outputs..][..inputs * outputs], outputs),
                );
                add_rows(&mut db.data[i * outputs..][..outputs], dy);
            }
        });
        (dw, db)
    }
}

kernel! {
    fn multiply<A>(y: &mut [f32], x: &[f32], r: &[f32]) {
        for ((y, x), r) in y.iter_mut().zip(x).zip(r) {
            *y = x * r;
        }
    }
}

kernel! {
    fn add_product<A>(sums: &mut [f32], x: &[f32], y: &[f32]) {
        for ((s, x), y) in sums.iter_mut().zip(x).zip(y) {
            *s = A::mul_add(*x, *y, *s);
        }
    }
}

#[cfg(test)]
mod tests;
