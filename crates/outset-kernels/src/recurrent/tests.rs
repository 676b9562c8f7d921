use super::*;
use crate::precision::{self, Precision};
use crate::testing::{
    close_in_bf16, close_within, hides_nothing, same_bits_with_one_and_two_threads, slopes, values, wide,
};

const SHAPES: [[usize; 4]; 5] = [[1, 1, 1, 1], [3, 4, 5, 2], [17, 6, 3, 7], [9, 12, 16, 33], [0, 3, 2, 2]];

fn sizes([batch, time, inputs, hidden]: [usize; 4]) -> Sizes {
    Sizes { batch, time, inputs, hidden }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Returns `row W` for one row.
fn times(row: &[f64], w: &[f64], columns: usize) -> Vec<f64> {
    (0..columns).map(|c| row.iter().enumerate().map(|(i, v)| v * w[i * columns + c]).sum()).collect()
}

/// The naive twin of the LSTM's forward pass; its gradients are checked by differences.
fn lstm(x: &[f64], w_input: &[f64], w_hidden: &[f64], b: &[f64], s: Sizes) -> Vec<f64> {
    let zeros = vec![0.0; s.batch * s.hidden];
    lstm_from(x, w_input, w_hidden, b, [&zeros, &zeros], s)
}

/// The same from a state and a cell.
fn lstm_from(
    x: &[f64],
    w_input: &[f64],
    w_hidden: &[f64],
    b: &[f64],
    [h, c]: [&[f64]; 2],
    s: Sizes,
) -> Vec<f64> {
    let mut outputs = vec![];
    for (n, x) in x.chunks(s.time * s.inputs).enumerate() {
        let [mut h, mut c] = [h, c].map(|state| state[n * s.hidden..][..s.hidden].to_vec());
        for x in x.chunks(s.inputs) {
            let (a, r) = (times(x, w_input, 4 * s.hidden), times(&h, w_hidden, 4 * s.hidden));
            let gate = |k: usize, j: usize| a[k * s.hidden + j] + r[k * s.hidden + j] + b[k * s.hidden + j];
            for j in 0..s.hidden {
                c[j] = sigmoid(gate(1, j)) * c[j] + sigmoid(gate(0, j)) * gate(2, j).tanh();
                h[j] = sigmoid(gate(3, j)) * c[j].tanh();
            }
            outputs.extend(&h);
        }
    }
    outputs
}

/// The naive twin of the GRU's forward pass.
fn gru(x: &[f64], w_input: &[f64], w_hidden: &[f64], b: &[f64], b_hidden: &[f64], s: Sizes) -> Vec<f64> {
    gru_from(x, w_input, w_hidden, [b, b_hidden], &vec![0.0; s.batch * s.hidden], s)
}

/// The same from a state.
fn gru_from(
    x: &[f64],
    w_input: &[f64],
    w_hidden: &[f64],
    [b, b_hidden]: [&[f64]; 2],
    h: &[f64],
    s: Sizes,
) -> Vec<f64> {
    let mut outputs = vec![];
    for (n, x) in x.chunks(s.time * s.inputs).enumerate() {
        let mut h = h[n * s.hidden..][..s.hidden].to_vec();
        for x in x.chunks(s.inputs) {
            let (a, r) = (times(x, w_input, 3 * s.hidden), times(&h, w_hidden, 3 * s.hidden));
            let (a, r) = (|i: usize| a[i] + b[i], |i: usize| r[i] + b_hidden[i]);
            h = (0..s.hidden)
                .map(|j| {
                    let (k, l) = (s.hidden + j, 2 * s.hidden + j);
                    let z = sigmoid(a(k) + r(k));
                    (1.0 - z) * (a(l) + sigmoid(a(j) + r(j)) * r(l)).tanh() + z * h[j]
                })
                .collect();
            outputs.extend(&h);
        }
    }
    outputs
}

struct Made {
    x: Vec<f32>,
    w_input: Vec<f32>,
    w_hidden: Vec<f32>,
    b: Vec<f32>,
    b_hidden: Vec<f32>,
    dh: Vec<f32>,
}

fn made_up(s: Sizes, gates: usize) -> Made {
    let width = gates * s.hidden;
    Made {
        x: values(s.batch * s.time * s.inputs, 1),
        w_input: values(s.inputs * width, 2),
        w_hidden: values(s.hidden * width, 3).iter().map(|v| v * 0.5).collect(),
        b: values(width, 4),
        b_hidden: values(width, 5),
        dh: values(s.batch * s.time * s.hidden, 6),
    }
}

#[test]
fn lstm_matches_the_twin() {
    for shape in SHAPES {
        let s = sizes(shape);
        let m = made_up(s, 4);
        let w = Weights { input: &m.w_input, hidden: &m.w_hidden };
        let expected = lstm(&wide(&m.x), &wide(&m.w_input), &wide(&m.w_hidden), &wide(&m.b), s);
        close_within(&lstm::forward(&m.x, w, &m.b, None, s).output, &expected, 2e-6);
    }
}

#[test]
fn gru_matches_the_twin() {
    for shape in SHAPES {
        let s = sizes(shape);
        let m = made_up(s, 3);
        let w = Weights { input: &m.w_input, hidden: &m.w_hidden };
        let expected =
            gru(&wide(&m.x), &wide(&m.w_input), &wide(&m.w_hidden), &wide(&m.b), &wide(&m.b_hidden), s);
        close_within(&gru::forward(&m.x, w, &m.b, &m.b_hidden, None, s).output, &expected, 2e-6);
    }
}

/// Asserts that an f32 gradient is the slope of a twin in f64.
#[track_caller]
fn check_slope(x: &[f32], gradient: &[f32], function: impl Fn(&[f64]) -> f64) {
    close_within(gradient, &slopes(&wide(x), function), 2e-6);
}

#[test]
fn lstm_gradients_are_the_twin_s_slopes() {
    for shape in [[2, 3, 2, 3], [9, 2, 3, 5]] {
        let s = sizes(shape);
        let m = made_up(s, 4);
        let w = Weights { input: &m.w_input, hidden: &m.w_hidden };
        let got = lstm::backward(&m.x, w, lstm::forward(&m.x, w, &m.b, None, s).saved(), &m.dh, s);
        let (x, wi, wh, b, dh) = (wide(&m.x), wide(&m.w_input), wide(&m.w_hidden), wide(&m.b), wide(&m.dh));
        let loss = |y: Vec<f64>| -> f64 { y.iter().zip(&dh).map(|(y, d)| y * d).sum() };
        check_slope(&m.x, &got.dx, |x| loss(lstm(x, &wi, &wh, &b, s)));
        check_slope(&m.w_input, &got.dw_input, |wi| loss(lstm(&x, wi, &wh, &b, s)));
        check_slope(&m.w_hidden, &got.dw_hidden, |wh| loss(lstm(&x, &wi, wh, &b, s)));
        check_slope(&m.b, &got.db, |b| loss(lstm(&x, &wi, &wh, b, s)));
    }
}

#[test]
fn gru_gradients_are_the_twin_s_slopes() {
    for shape in [[2, 3, 2, 3], [9, 2, 3, 5]] {
        let s = sizes(shape);
        let m = made_up(s, 3);
        let w = Weights { input: &m.w_input, hidden: &m.w_hidden };
        let (got, db_hidden) =
            gru::backward(&m.x, w, gru::forward(&m.x, w, &m.b, &m.b_hidden, None, s).saved(), &m.dh, s);
        let (x, wi, wh) = (wide(&m.x), wide(&m.w_input), wide(&m.w_hidden));
        let (b, bh, dh) = (wide(&m.b), wide(&m.b_hidden), wide(&m.dh));
        let loss = |y: Vec<f64>| -> f64 { y.iter().zip(&dh).map(|(y, d)| y * d).sum() };
        check_slope(&m.x, &got.dx, |x| loss(gru(x, &wi, &wh, &b, &bh, s)));
        check_slope(&m.w_input, &got.dw_input, |wi| loss(gru(&x, wi, &wh, &b, &bh, s)));
        check_slope(&m.w_hidden, &got.dw_hidden, |wh| loss(gru(&x, &wi, wh, &b, &bh, s)));
        check_slope(&m.b, &got.db, |b| loss(gru(&x, &wi, &wh, b, &bh, s)));
        check_slope(&m.b_hidden, &db_hidden, |bh| loss(gru(&x, &wi, &wh, &b, bh, s)));
    }
}

#[test]
fn bf16_is_close_to_the_twin() {
    let s = sizes([9, 12, 16, 33]);
    precision::with(Precision::Bf16, || {
        let m = made_up(s, 4);
        let w = Weights { input: &m.w_input, hidden: &m.w_hidden };
        let expected = lstm(&wide(&m.x), &wide(&m.w_input), &wide(&m.w_hidden), &wide(&m.b), s);
        close_within(&lstm::forward(&m.x, w, &m.b, None, s).output, &expected, 1e-2);
        let m = made_up(s, 3);
        let w = Weights { input: &m.w_input, hidden: &m.w_hidden };
        let (b, b_hidden) = (wide(&m.b), wide(&m.b_hidden));
        let expected = gru(&wide(&m.x), &wide(&m.w_input), &wide(&m.w_hidden), &b, &b_hidden, s);
        close_within(&gru::forward(&m.x, w, &m.b, &m.b_hidden, None, s).output, &expected, 1e-2);
    });
}

#[test]
fn bf16_gradients_are_close_to_the_twin_s_slopes() {
    let s = sizes([9, 5, 8, 12]);
    let m = made_up(s, 4);
    let w = Weights { input: &m.w_input, hidden: &m.w_hidden };
    let (x, wi, wh, b, dh) = (wide(&m.x), wide(&m.w_input), wide(&m.w_hidden), wide(&m.b), wide(&m.dh));
    let loss = |y: Vec<f64>| -> f64 { y.iter().zip(&dh).map(|(y, d)| y * d).sum() };
    let expected = [
        slopes(&x, |x| loss(lstm(x, &wi, &wh, &b, s))),
        slopes(&wi, |wi| loss(lstm(&x, wi, &wh, &b, s))),
        slopes(&wh, |wh| loss(lstm(&x, &wi, wh, &b, s))),
        slopes(&b, |b| loss(lstm(&x, &wi, &wh, b, s))),
    ];
    let run = || {
        let got = lstm::backward(&m.x, w, lstm::forward(&m.x, w, &m.b, None, s).saved(), &m.dh, s);
        vec![got.dx, got.dw_input, got.dw_hidden, got.db]
    };
    close_in_bf16(run, &expected);

    let m = made_up(s, 3);
    let w = Weights { input: &m.w_input, hidden: &m.w_hidden };
    let (wi, wh, b, bh) = (wide(&m.w_input), wide(&m.w_hidden), wide(&m.b), wide(&m.b_hidden));
    let expected = [
        slopes(&x, |x| loss(gru(x, &wi, &wh, &b, &bh, s))),
        slopes(&wi, |wi| loss(gru(&x, wi, &wh, &b, &bh, s))),
        slopes(&wh, |wh| loss(gru(&x, &wi, wh, &b, &bh, s))),
        slopes(&b, |b| loss(gru(&x, &wi, &wh, b, &bh, s))),
        slopes(&bh, |bh| loss(gru(&x, &wi, &wh, &b, bh, s))),
    ];
    let run = || {
        let y = gru::forward(&m.x, w, &m.b, &m.b_hidden, None, s);
        let (got, db_hidden) = gru::backward(&m.x, w, y.saved(), &m.dh, s);
        vec![got.dx, got.dw_input, got.dw_hidden, got.db, db_hidden]
    };
    close_in_bf16(run, &expected);
}

#[test]
fn a_nan_shows_in_all_that_it_feeds() {
    let s = sizes([3, 4, 5, 2]);
    // Of the second sequence, at its third step.
    let (input, state) = ((4 + 2) * 5 + 1, (4 + 2) * 2 + 1);
    // Gradients that a state's feeds: of the inputs up to its step, and of all weights.
    let check = |got: Gradients, db_hidden: Option<Vec<f32>>| {
        let fed = |i: usize| (4..4 + 3).contains(&(i / 5));
        assert!(got.dx.iter().enumerate().all(|(i, v)| v.is_nan() == fed(i)));
        for gradient in [got.dw_input, got.dw_hidden, got.db].into_iter().chain(db_hidden) {
            assert!(gradient.iter().all(|v| v.is_nan()));
        }
    };
    let mut m = made_up(s, 4);
    let w = Weights { input: &m.w_input, hidden: &m.w_hidden };
    let y = lstm::forward(&m.x, w, &m.b, None, s);
    m.dh[state] = f32::NAN;
    check(lstm::backward(&m.x, w, y.saved(), &m.dh, s), None);
    m.x[input] = f32::NAN;
    let expected = lstm(&wide(&m.x), &wide(&m.w_input), &wide(&m.w_hidden), &wide(&m.b), s);
    hides_nothing(&lstm::forward(&m.x, w, &m.b, None, s).output, &expected);

    let mut m = made_up(s, 3);
    let w = Weights { input: &m.w_input, hidden: &m.w_hidden };
    let y = gru::forward(&m.x, w, &m.b, &m.b_hidden, None, s);
    m.dh[state] = f32::NAN;
    let (got, db_hidden) = gru::backward(&m.x, w, y.saved(), &m.dh, s);
    check(got, Some(db_hidden));
    m.x[input] = f32::NAN;
    let (b, b_hidden) = (wide(&m.b), wide(&m.b_hidden));
    let expected = gru(&wide(&m.x), &wide(&m.w_input), &wide(&m.w_hidden), &b, &b_hidden, s);
    hides_nothing(&gru::forward(&m.x, w, &m.b, &m.b_hidden, None, s).output, &expected);
}

#[test]
fn a_given_state_goes_in_and_gets_its_gradient() {
    for shape in [[2, 3, 2, 3], [9, 2, 3, 5], [1, 1, 1, 1]] {
        let s = sizes(shape);
        let [h, c] = [7, 8].map(|seed| values(s.batch * s.hidden, seed));
        let (h64, c64) = (wide(&h), wide(&c));
        let m = made_up(s, 4);
        let (x, wi, wh, b, dh) = (wide(&m.x), wide(&m.w_input), wide(&m.w_hidden), wide(&m.b), wide(&m.dh));
        let loss = |y: Vec<f64>| -> f64 { y.iter().zip(&dh).map(|(y, d)| y * d).sum() };
        let w = Weights { input: &m.w_input, hidden: &m.w_hidden };
        let start = Some(lstm::Start { h: &h, c: &c });
        let y = lstm::forward(&m.x, w, &m.b, start, s);
        close_within(&y.output, &lstm_from(&x, &wi, &wh, &b, [&h64, &c64], s), 2e-6);
        let got = lstm::backward(&m.x, w, lstm::Saved { start, ..y.saved() }, &m.dh, s);
        check_slope(&h, &got.dstart[0], |h| loss(lstm_from(&x, &wi, &wh, &b, [h, &c64], s)));
        check_slope(&c, &got.dstart[1], |c| loss(lstm_from(&x, &wi, &wh, &b, [&h64, c], s)));
        check_slope(&m.w_hidden, &got.dw_hidden, |wh| loss(lstm_from(&x, &wi, wh, &b, [&h64, &c64], s)));

        let m = made_up(s, 3);
        let (wi, wh, b, bh) = (wide(&m.w_input), wide(&m.w_hidden), wide(&m.b), wide(&m.b_hidden));
        let w = Weights { input: &m.w_input, hidden: &m.w_hidden };
        let y = gru::forward(&m.x, w, &m.b, &m.b_hidden, Some(&h), s);
        close_within(&y.output, &gru_from(&x, &wi, &wh, [&b, &bh], &h64, s), 2e-6);
        let saved = gru::Saved { start: Some(&h), ..y.saved() };
        let (got, _) = gru::backward(&m.x, w, saved, &m.dh, s);
        check_slope(&h, &got.dstart[0], |h| loss(gru_from(&x, &wi, &wh, [&b, &bh], h, s)));
        check_slope(&m.w_hidden, &got.dw_hidden, |wh| loss(gru_from(&x, &wi, wh, [&b, &bh], &h64, s)));
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    let s = sizes([20, 10, 16, 32]);
    same_bits_with_one_and_two_threads(|| {
        let m = made_up(s, 4);
        let w = Weights { input: &m.w_input, hidden: &m.w_hidden };
        let y = lstm::forward(&m.x, w, &m.b, None, s);
        let got = lstm::backward(&m.x, w, y.saved(), &m.dh, s);
        let m = made_up(s, 3);
        let w = Weights { input: &m.w_input, hidden: &m.w_hidden };
        let z = gru::forward(&m.x, w, &m.b, &m.b_hidden, None, s);
        let (other, _) = gru::backward(&m.x, w, z.saved(), &m.dh, s);
        vec![y.output, got.dx, got.dw_input, got.dw_hidden, got.db, z.output, other.dx, other.dw_hidden]
    });
}
