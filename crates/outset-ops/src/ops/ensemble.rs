//! Members of an ensemble side by side, as in TabM (arXiv 2410.24210).

use crate::{
    flex::{self, contiguous, values, width},
    flops,
    track::{Differentiable, Tracked, track},
};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use burn_flex::FlexTensor;
use outset_kernels::ensemble as kernel;

/// Returns `[members * batch, width]` with row `m * batch + b` being `x[b] * r[m]`, for `x [batch, width]` and
/// `r [members, width]`.
///
/// # Panics
/// If the widths differ.
pub fn ensemble_scale(x: Tensor<2>, r: Tensor<2>) -> Tensor<2> {
    assert_eq!(x.dims()[1], r.dims()[1], "examples and members differ in width");
    let (x, r) = (x.into_dispatch(), r.into_dispatch());
    if !flex::applies(&[&x, &r]) {
        return composed_scale(Tensor::from_dispatch(x), Tensor::from_dispatch(r));
    }
    Tensor::from_dispatch(Dispatch::ensemble_scale(x, r))
}

fn composed_scale(x: Tensor<2>, r: Tensor<2>) -> Tensor<2> {
    let ([batch, width], [members, _]) = (x.dims(), r.dims());
    (x.unsqueeze_dim::<3>(0) * r.unsqueeze_dim(1)).reshape([members * batch, width])
}

/// Returns `h W[m] + b[m]` for the rows of each member `m`: `h [members * batch, inputs]`,
/// `W [members, inputs, outputs]`, `b [members, outputs]` give `[members * batch, outputs]`.
///
/// # Panics
/// If the sizes don't fit.
pub fn member_linear(h: Tensor<2>, w: Tensor<3>, b: Option<Tensor<2>>) -> Tensor<2> {
    let ([rows, inputs], [members, w_inputs, outputs]) = (h.dims(), w.dims());
    assert!(
        inputs == w_inputs && rows % members.max(1) == 0,
        "rows and weights of the members differ in size"
    );
    assert!(b.as_ref().is_none_or(|b| b.dims() == [members, outputs]), "the members' bias has another size");
    flops::count_sizes([rows, inputs, outputs]);
    let (h, w, b) = (h.into_dispatch(), w.into_dispatch(), b.map(Tensor::into_dispatch));
    if !flex::applies(&[&h, &w]) || b.as_ref().is_some_and(|b| !flex::applies(&[b])) {
        return composed_linear(
            Tensor::from_dispatch(h),
            Tensor::from_dispatch(w),
            b.map(Tensor::from_dispatch),
        );
    }
    Tensor::from_dispatch(match b {
        Some(b) => Dispatch::member_linear_with_bias(h, w, b),
        None => Dispatch::member_linear(h, w),
    })
}

fn composed_linear(h: Tensor<2>, w: Tensor<3>, b: Option<Tensor<2>>) -> Tensor<2> {
    let ([rows, inputs], [members, _, outputs]) = (h.dims(), w.dims());
    let y = h.reshape([members, rows / members, inputs]).matmul(w);
    let y = match b {
        Some(b) => y + b.unsqueeze_dim(1),
        None => y,
    };
    y.reshape([rows, outputs])
}

#[backend_extension(Flex, Autodiff)]
trait EnsembleOps: Backend {
    fn ensemble_scale(x: FloatTensor<Self>, r: FloatTensor<Self>) -> FloatTensor<Self>;
    fn member_linear(h: FloatTensor<Self>, w: FloatTensor<Self>) -> FloatTensor<Self>;
    fn member_linear_with_bias(
        h: FloatTensor<Self>,
        w: FloatTensor<Self>,
        b: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

impl EnsembleOps for Flex {
    fn ensemble_scale(x: FlexTensor, r: FlexTensor) -> FlexTensor {
        scale([x, r]).0
    }

    fn member_linear(h: FlexTensor, w: FlexTensor) -> FlexTensor {
        linear(h, w, None).0
    }

    fn member_linear_with_bias(h: FlexTensor, w: FlexTensor, b: FlexTensor) -> FlexTensor {
        linear(h, w, Some(b)).0
    }
}

impl<C: CheckpointStrategy> EnsembleOps for Autodiff<Flex, C> {
    fn ensemble_scale(x: Tracked, r: Tracked) -> Tracked {
        track::<Scale, C, 2>([x, r], |inputs| scale(inputs).0, scale)
    }

    fn member_linear(h: Tracked, w: Tracked) -> Tracked {
        track::<MemberLinear, C, 2>([h, w], |[h, w]| linear(h, w, None).0, |[h, w]| linear(h, w, None))
    }

    fn member_linear_with_bias(h: Tracked, w: Tracked, b: Tracked) -> Tracked {
        let inputs = [h, w, b];
        track::<MemberLinear, C, 3>(
            inputs,
            |[h, w, b]| linear(h, w, Some(b)).0,
            |[h, w, b]| linear(h, w, Some(b)),
        )
    }
}

/// Both inputs of an operation.
type Pair = (FlexTensor, FlexTensor);

fn scale([x, r]: [FlexTensor; 2]) -> (FlexTensor, Pair) {
    let (x, r) = (contiguous(x), contiguous(r));
    let rows = flex::shape(&x)[0] * flex::shape(&r)[0];
    let y = flex::tensor(kernel::scale(values(&x), values(&r), width(&x)), [rows, width(&x)]);
    (y, (x, r))
}

struct Scale;

impl Differentiable<2> for Scale {
    type Saved = Pair;

    fn gradients((x, r): Pair, dy: FlexTensor, _needed: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let dy = contiguous(dy);
        let (dx, dr) = kernel::scale_backward(values(&x), values(&r), values(&dy), width(&x));
        [Some(flex::tensor(dx, flex::shape(&x))), Some(flex::tensor(dr, flex::shape(&r)))]
    }
}

fn sizes(h: &FlexTensor, w: &FlexTensor) -> kernel::MemberLinear {
    let members = flex::shape(w)[0];
    kernel::MemberLinear {
        members,
        batch: flex::shape(h)[0] / members.max(1),
        inputs: width(h),
        outputs: width(w),
    }
}

fn linear(h: FlexTensor, w: FlexTensor, b: Option<FlexTensor>) -> (FlexTensor, Pair) {
    let (h, w, b) = (contiguous(h), contiguous(w), b.map(contiguous));
    let y = sizes(&h, &w).forward(values(&h), values(&w), b.as_ref().map(values));
    (flex::tensor(y, flex::shape_with_width(&h, width(&w))), (h, w))
}

struct MemberLinear;

fn linear_gradients((h, w): Pair, dy: FlexTensor, needed: [bool; 3]) -> [Option<FlexTensor>; 3] {
    let (dy, sizes) = (contiguous(dy), sizes(&h, &w));
    let dh = needed[0].then(|| flex::tensor(sizes.input_gradient(values(&dy), values(&w)), flex::shape(&h)));
    if !(needed[1] || needed[2]) {
        return [dh, None, None];
    }
    let (dw, db) = sizes.weight_gradients(values(&h), values(&dy));
    [dh, Some(flex::tensor(dw, flex::shape(&w))), Some(flex::tensor(db, [sizes.members, sizes.outputs]))]
}

impl Differentiable<2> for MemberLinear {
    type Saved = Pair;

    fn gradients(saved: Pair, dy: FlexTensor, [need_h, need_w]: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let [dh, dw, _] = linear_gradients(saved, dy, [need_h, need_w, false]);
        [dh, dw]
    }
}

impl Differentiable<3> for MemberLinear {
    type Saved = Pair;

    fn gradients(saved: Pair, dy: FlexTensor, needed: [bool; 3]) -> [Option<FlexTensor>; 3] {
        linear_gradients(saved, dy, needed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, input};

    #[test]
    fn scale_agrees_with_the_composed_form_in_f64() {
        for (batch, members, width) in [(1, 1, 1), (5, 3, 7), (33, 8, 17)] {
            check([input([batch, width], 1), input([members, width], 2)], |[x, r]| {
                ensemble_scale(x.get(), r.get())
            });
        }
    }

    #[test]
    fn member_linear_agrees_with_the_composed_form_in_f64() {
        for (batch, members, inputs, outputs) in [(1, 1, 1, 1), (5, 3, 7, 2), (33, 8, 17, 9)] {
            let (h, w) = (input([members * batch, inputs], 1), input([members, inputs, outputs], 2));
            check([h.clone(), w.clone()], |[h, w]| member_linear(h.get(), w.get(), None));
            check([h, w, input([members, outputs], 3)], |[h, w, b]| {
                member_linear(h.get(), w.get(), Some(b.get()))
            });
        }
    }
}
