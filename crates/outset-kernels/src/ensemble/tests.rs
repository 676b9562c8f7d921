use super::*;
use crate::testing::{
    check_gradient, close, close_in_bf16, column_sums, hides_nothing, matmul, refused,
    same_bits_with_one_and_two_threads, transpose, values, wide,
};

const SHAPES: [(usize, usize, usize, usize); 5] =
    [(1, 1, 1, 1), (3, 5, 7, 2), (16, 33, 17, 1), (4, 0, 3, 2), (8, 64, 48, 40)];

fn scale_twin(x: &[f64], r: &[f64], width: usize) -> Vec<f64> {
    r.chunks(width)
        .flat_map(|r| x.chunks(width).flat_map(move |x| x.iter().zip(r).map(|(x, r)| x * r)))
        .collect()
}

fn scale_gradient_twin(x: &[f64], r: &[f64], dy: &[f64], width: usize) -> (Vec<f64>, Vec<f64>) {
    let (mut dx, mut dr) = (vec![0.0; x.len()], vec![0.0; r.len()]);
    for (m, dy) in dy.chunks(x.len().max(1)).enumerate() {
        for (i, d) in dy.iter().enumerate() {
            dx[i] += d * r[m * width + i % width];
            dr[m * width + i % width] += d * x[i];
        }
    }
    (dx, dr)
}

#[test]
fn scale_matches_the_twin() {
    for (members, batch, width, _) in SHAPES {
        let (x, r) = (values(batch * width, 1), values(members * width, 2));
        let dy = values(members * batch * width, 3);
        close(&scale(&x, &r, width), &scale_twin(&wide(&x), &wide(&r), width));
        let (dx, dr) = scale_backward(&x, &r, &dy, width);
        let (dx64, dr64) = scale_gradient_twin(&wide(&x), &wide(&r), &wide(&dy), width);
        close(&dx, &dx64);
        close(&dr, &dr64);
    }
}

#[test]
fn a_row_that_is_not_whole_is_refused() {
    let x = [1.0; 7];
    refused("the last row is not whole", || drop(scale(&x, &x[..6], 3)));
    refused("the last row is not whole", || drop(scale(&x[..6], &x, 3)));
}

#[test]
fn the_twin_s_gradients_are_slopes() {
    let (x, r, dy) = (wide(&values(12, 1)), wide(&values(8, 2)), wide(&values(24, 3)));
    let loss =
        |x: &[f64], r: &[f64]| -> f64 { scale_twin(x, r, 4).iter().zip(&dy).map(|(y, d)| y * d).sum() };
    let (dx, dr) = scale_gradient_twin(&x, &r, &dy, 4);
    check_gradient(&x, &dx, |x| loss(x, &r));
    check_gradient(&r, &dr, |r| loss(&x, r));
}

/// Input, weight, bias, and the gradient of the output.
fn made_up(sizes: MemberLinear) -> [Vec<f32>; 4] {
    let MemberLinear { members, batch, inputs, outputs } = sizes;
    [
        values(members * batch * inputs, 1),
        values(members * inputs * outputs, 2),
        values(members * outputs, 3),
        values(members * batch * outputs, 4),
    ]
}

/// The naive twin, a product for each member: output and gradients (h, W, b).
fn twin(h: &[f64], w: &[f64], b: &[f64], dy: &[f64], sizes: MemberLinear) -> [Vec<f64>; 4] {
    let MemberLinear { members, batch, inputs, outputs } = sizes;
    let [mut y, mut dh, mut dw, mut db] = [const { Vec::new() }; 4];
    for m in 0..members {
        let part = |x: &[f64], len: usize| x[m * len..(m + 1) * len].to_vec();
        let (h, w) = (part(h, batch * inputs), part(w, inputs * outputs));
        let (b, dy) = (part(b, outputs), part(dy, batch * outputs));
        let product = matmul(&h, &w, inputs, outputs);
        y.extend(product.iter().enumerate().map(|(i, v)| v + b[i % outputs]));
        dh.extend(matmul(&dy, &transpose(&w, outputs), outputs, inputs));
        dw.extend(if batch == 0 {
            vec![0.0; w.len()]
        } else {
            matmul(&transpose(&h, inputs), &dy, batch, outputs)
        });
        db.extend(column_sums(&dy, outputs));
    }
    [y, dh, dw, db]
}

#[test]
fn member_linear_matches_the_twin() {
    for (members, batch, inputs, outputs) in SHAPES {
        let sizes = MemberLinear { members, batch, inputs, outputs };
        let [h, w, b, dy] = made_up(sizes);
        let [y, dh, dw, db] = twin(&wide(&h), &wide(&w), &wide(&b), &wide(&dy), sizes);
        close(&sizes.forward(&h, &w, Some(&b)), &y);
        close(&sizes.input_gradient(&dy, &w), &dh);
        let got = sizes.weight_gradients(&h, &dy);
        close(&got.0, &dw);
        close(&got.1, &db);
    }
}

#[test]
fn bf16_is_close_to_the_twin() {
    // Rows enough to be rounded in each product.
    let sizes = MemberLinear { members: 3, batch: 40, inputs: 65, outputs: 33 };
    let [h, w, b, dy] = made_up(sizes);
    let [y, dh, dw, _] = twin(&wide(&h), &wide(&w), &wide(&b), &wide(&dy), sizes);
    let run = || {
        let (dw, _) = sizes.weight_gradients(&h, &dy);
        vec![sizes.forward(&h, &w, Some(&b)), sizes.input_gradient(&dy, &w), dw]
    };
    close_in_bf16(run, &[y, dh, dw]);
}

#[test]
fn what_is_not_finite_shows_in_all_that_it_feeds() {
    for value in [f32::NAN, f32::INFINITY] {
        let (x, mut r, mut dy) = (values(15, 1), values(10, 2), values(30, 3));
        (r[7], dy[11]) = (value, value);
        hides_nothing(&scale(&x, &r, 5), &scale_twin(&wide(&x), &wide(&r), 5));
        let (dx, dr) = scale_backward(&x, &r, &dy, 5);
        let (dx64, dr64) = scale_gradient_twin(&wide(&x), &wide(&r), &wide(&dy), 5);
        hides_nothing(&dx, &dx64);
        hides_nothing(&dr, &dr64);

        let sizes = MemberLinear { members: 3, batch: 5, inputs: 7, outputs: 2 };
        for at in 0..4 {
            let mut made = made_up(sizes);
            made[at][5] = value;
            let [h, w, b, dy] = &made;
            let expected = twin(&wide(h), &wide(w), &wide(b), &wide(dy), sizes);
            let (dw, db) = sizes.weight_gradients(h, dy);
            let got = [sizes.forward(h, w, Some(b)), sizes.input_gradient(dy, w), dw, db];
            for (got, expected) in got.iter().zip(&expected) {
                if expected.iter().any(|v| !v.is_finite()) {
                    hides_nothing(got, expected);
                }
            }
        }
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    let (members, batch, inputs, outputs) = (8, 200, 64, 40);
    let sizes = MemberLinear { members, batch, inputs, outputs };
    let (x, r, w) =
        (values(batch * inputs, 1), values(members * inputs, 2), values(members * inputs * outputs, 3));
    let dy = values(members * batch * outputs, 4);
    same_bits_with_one_and_two_threads(|| {
        let h = scale(&x, &r, inputs);
        let y = sizes.forward(&h, &w, None);
        let dh = sizes.input_gradient(&dy, &w);
        let (dw, db) = sizes.weight_gradients(&h, &dy);
        let (dx, dr) = scale_backward(&x, &r, &dh, inputs);
        vec![h, y, dh, dw, db, dx, dr]
    });
}
