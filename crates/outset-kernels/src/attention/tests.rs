use super::*;
use crate::testing::{
    check_gradient, close, close_in_bf16, hides_nothing, refused, same_bits_with_one_and_two_threads, values,
    wide,
};

fn sizes([batch, queries, keys, heads, kv_heads, size]: [usize; 6]) -> Sizes {
    Sizes { batch, queries, keys, heads, kv_heads, size }
}

/// The naive twin: output and gradients (q, k, v).
fn twin(q: &[f64], k: &[f64], v: &[f64], dy: &[f64], s: Sizes, mask: Mask) -> [Vec<f64>; 4] {
    twin_with_dropout(q, k, v, dy, s, mask, None)
}

/// The same with weights dropped.
fn twin_with_dropout(
    q: &[f64],
    k: &[f64],
    v: &[f64],
    dy: &[f64],
    s: Sizes,
    mask: Mask,
    dropout: Option<Dropout>,
) -> [Vec<f64>; 4] {
    let [mut y, mut dq] = [vec![0.0; q.len()], vec![0.0; q.len()]];
    let [mut dk, mut dv] = [vec![0.0; k.len()], vec![0.0; k.len()]];
    let scale = 1.0 / (s.size as f64).sqrt();
    for (n, h, i) in
        (0..s.batch).flat_map(|n| (0..s.heads).flat_map(move |h| (0..s.queries).map(move |i| (n, h, i))))
    {
        let at_q = |j: usize| ((n * s.queries + i) * s.heads + h) * s.size + j;
        let at_k =
            |t: usize, j: usize| ((n * s.keys + t) * s.kv_heads + h / (s.heads / s.kv_heads)) * s.size + j;
        let position = i as i64 + s.keys as i64 - s.queries as i64;
        let seen: Vec<usize> = (0..s.keys)
            .filter(|&t| !mask.causal || t as i64 <= position)
            .filter(|&t| mask.window.is_none_or(|w| t as i64 > position - w as i64))
            .filter(|&t| mask.key_lengths.is_none_or(|l| t < l[n]))
            .collect();
        let score = |t: usize| (0..s.size).map(|j| q[at_q(j)] * k[at_k(t, j)]).sum::<f64>() * scale;
        let e: Vec<f64> = seen.iter().map(|&t| score(t).exp()).collect();
        let total: f64 = e.iter().sum();
        let p: Vec<f64> = e.iter().map(|e| e / total).collect();
        let factors = match dropout {
            Some(dropout) => wide(&dropout.factors(s, n, h, i, 0..s.keys)),
            None => vec![1.0; s.keys],
        };
        for (&t, p) in seen.iter().zip(&p) {
            for j in 0..s.size {
                y[at_q(j)] += p * factors[t] * v[at_k(t, j)];
                dv[at_k(t, j)] += p * factors[t] * dy[at_q(j)];
            }
        }
        let delta: f64 = (0..s.size).map(|j| dy[at_q(j)] * y[at_q(j)]).sum();
        for (&t, p) in seen.iter().zip(&p) {
            let dp: f64 = (0..s.size).map(|j| dy[at_q(j)] * v[at_k(t, j)]).sum();
            let ds = p * (factors[t] * dp - delta) * scale;
            for j in 0..s.size {
                dq[at_q(j)] += ds * k[at_k(t, j)];
                dk[at_k(t, j)] += ds * q[at_q(j)];
            }
        }
    }
    [y, dq, dk, dv]
}

const CASES: [[usize; 6]; 11] = [
    [1, 1, 1, 1, 1, 1],
    [3, 2, 5, 1, 1, 1],
    [0, 5, 5, 2, 1, 4],
    [2, 0, 4, 2, 2, 3],
    [2, 3, 0, 2, 1, 4],
    [2, 5, 5, 3, 3, 4],
    [3, 7, 7, 4, 2, 5],
    [1, 70, 70, 2, 1, 8],
    [1, 1, 9, 2, 2, 4],
    // More than one block of keys and more than one task of queries.
    [1, 300, 300, 1, 1, 3],
    [1, 3, 600, 2, 2, 16],
];

#[test]
fn matches_the_twin_under_every_mask() {
    for case in CASES {
        let s = sizes(case);
        let lengths: Vec<usize> = (0..s.batch).map(|n| s.keys - n % s.keys.clamp(1, 3)).collect();
        let masks = [
            Mask::default(),
            Mask { causal: true, ..Mask::default() },
            Mask { key_lengths: Some(&lengths), ..Mask::default() },
            Mask { causal: true, window: Some(4), key_lengths: Some(&lengths) },
            Mask { window: Some(2), ..Mask::default() },
        ];
        let [q, dy] = [1, 2].map(|seed| values(s.batch * s.queries * s.heads * s.size, seed));
        let [k, v] = [3, 4].map(|seed| values(s.batch * s.keys * s.kv_heads * s.size, seed));
        for mask in masks {
            let [y, dq, dk, dv] = twin(&wide(&q), &wide(&k), &wide(&v), &wide(&dy), s, mask);
            let inputs = Inputs::separate(&q, &k, &v, s);
            let got = forward(inputs, s, mask);
            close(&got.output, &y);
            let Gradients::Separate(gradients) = backward(inputs, s, mask, &got.output, &got.log_sums, &dy)
            else {
                panic!("inputs that aren't packed have gradients that aren't");
            };
            for (got, expected) in gradients.iter().zip([dq, dk, dv]) {
                // With one key its weight is 1 whatever query and key are.
                if expected.iter().all(|v| v.abs() <= 1e-12) {
                    assert!(got.iter().all(|v| *v == 0.0), "{got:?} instead of zeros");
                } else {
                    close(got, &expected);
                }
            }
        }
    }
}

#[test]
fn bf16_is_close_to_the_twin() {
    let s = sizes([2, 70, 70, 4, 2, 16]);
    let [q, dy] = [1, 2].map(|seed| values(2 * 70 * 4 * 16, seed));
    let [k, v] = [3, 4].map(|seed| values(2 * 70 * 2 * 16, seed));
    for mask in [Mask::default(), Mask { causal: true, ..Mask::default() }] {
        let inputs = Inputs::separate(&q, &k, &v, s);
        let run = || {
            let got = forward(inputs, s, mask);
            let Gradients::Separate([dq, dk, dv]) =
                backward(inputs, s, mask, &got.output, &got.log_sums, &dy)
            else {
                panic!()
            };
            vec![got.output, dq, dk, dv]
        };
        close_in_bf16(run, &twin(&wide(&q), &wide(&k), &wide(&v), &wide(&dy), s, mask));
    }
}

#[test]
fn packed_rows_give_the_same_as_separate_ones() {
    let s = sizes([2, 9, 9, 4, 2, 3]);
    let mask = Mask { causal: true, ..Mask::default() };
    let packed = values(2 * 9 * 8 * 3, 1);
    let part = |first: usize, heads: usize| -> Vec<f32> {
        packed.chunks(24).flat_map(|row| row[first * 3..(first + heads) * 3].to_vec()).collect()
    };
    let (q, k, v) = (part(0, 4), part(4, 2), part(6, 2));
    let dy = values(2 * 9 * 12, 2);
    let (a, b) = (Inputs::packed(&packed, s), Inputs::separate(&q, &k, &v, s));
    let (ya, yb) = (forward(a, s, mask), forward(b, s, mask));
    assert_eq!(ya.output, yb.output);
    let Gradients::Packed(together) = backward(a, s, mask, &ya.output, &ya.log_sums, &dy) else { panic!() };
    let Gradients::Separate([dq, dk, dv]) = backward(b, s, mask, &yb.output, &yb.log_sums, &dy) else {
        panic!()
    };
    let expected: Vec<f32> =
        (0..18).flat_map(|r| [&dq[r * 12..][..12], &dk[r * 6..][..6], &dv[r * 6..][..6]].concat()).collect();
    assert_eq!(together, expected);
}

/// Rows of sequences filled up to `time` without the filling.
fn without_filling(x: &[f32], lengths: &[usize], time: usize, width: usize) -> Vec<f32> {
    let cut = |(row, length): (&[f32], &usize)| row[..length * width].to_vec();
    x.chunks((time * width).max(1)).zip(lengths).flat_map(cut).collect()
}

#[test]
fn sequences_one_after_the_other_give_the_same_as_filled_up_ones() {
    for (lengths, heads, kv_heads, size) in
        [(vec![3, 1, 0, 7], 4, 2, 5), (vec![70, 300, 1], 2, 2, 3), (vec![1], 1, 1, 1)]
    {
        let time = lengths.iter().copied().max().unwrap_or(0);
        let s = sizes([lengths.len(), time, time, heads, kv_heads, size]);
        let (row, out) = ((heads + 2 * kv_heads) * size, heads * size);
        let (filled, dy) = (values(s.batch * time * row, 1), values(s.batch * time * out, 2));
        let rows = without_filling(&filled, &lengths, time, row);
        let mut starts = vec![0];
        starts.extend(lengths.iter().scan(0, |end, length| {
            *end += length;
            Some(*end)
        }));
        let dropout = Some(Dropout { probability: 0.3, key: 9 });
        for (causal, dropout) in [(false, None), (true, None), (false, dropout)] {
            let mask = Mask { causal, key_lengths: Some(&lengths), window: None };
            let inputs = Inputs::packed(&filled, s).with_dropout(dropout);
            let expected = forward(inputs, s, mask);
            // Filling has no gradient.
            let mut dy_filled = dy.clone();
            for (dy, length) in dy_filled.chunks_mut(time * out).zip(&lengths) {
                dy[length * out..].fill(0.0);
            }
            let gradients = backward(inputs, s, mask, &expected.output, &expected.log_sums, &dy_filled);
            let Gradients::Packed(expected_gradient) = gradients else { panic!() };
            let mask = Mask { causal, ..Mask::default() };
            let inputs = Inputs::packed(&rows, s).one_after_the_other(&starts).with_dropout(dropout);
            let got = forward(inputs, s, mask);
            close(&got.output, &wide(&without_filling(&expected.output, &lengths, time, out)));
            let dy = without_filling(&dy, &lengths, time, out);
            let gradients = backward(inputs, s, mask, &got.output, &got.log_sums, &dy);
            let Gradients::Packed(gradient) = gradients else { panic!() };
            close(&gradient, &wide(&without_filling(&expected_gradient, &lengths, time, row)));
        }
    }
}

#[test]
fn dropped_weights_are_those_of_the_mask() {
    let dropout = Dropout { probability: 0.4, key: 5 };
    // The last has more than one block of keys.
    for case in [[1, 1, 1, 1, 1, 1], [2, 5, 5, 4, 2, 3], [2, 3, 300, 2, 1, 4]] {
        let s = sizes(case);
        let [q, dy] = [1, 2].map(|seed| values(s.batch * s.queries * s.heads * s.size, seed));
        let [k, v] = [3, 4].map(|seed| values(s.batch * s.keys * s.kv_heads * s.size, seed));
        for mask in [Mask::default(), Mask { causal: true, ..Mask::default() }] {
            let inputs = Inputs::separate(&q, &k, &v, s).with_dropout(Some(dropout));
            let got = forward(inputs, s, mask);
            let gradients = backward(inputs, s, mask, &got.output, &got.log_sums, &dy);
            let Gradients::Separate([dq, dk, dv]) = gradients else { panic!() };
            let expected =
                twin_with_dropout(&wide(&q), &wide(&k), &wide(&v), &wide(&dy), s, mask, Some(dropout));
            for (got, expected) in [got.output, dq, dk, dv].iter().zip(expected) {
                close(got, &expected);
            }
        }
    }
    let s = sizes([2, 3, 300, 2, 1, 4]);
    let share = (0..6).flat_map(|i| dropout.factors(s, 0, 0, i, 0..3000)).filter(|f| *f == 0.0).count();
    assert!((share as f64 / 18_000.0 - 0.4).abs() < 0.02, "{share}");
}

#[test]
fn the_twin_s_gradients_are_slopes() {
    let s = sizes([1, 3, 4, 2, 1, 2]);
    let mask = Mask { causal: true, ..Mask::default() };
    let [q, dy] = [1, 2].map(|seed| wide(&values(12, seed)));
    let [k, v] = [3, 4].map(|seed| wide(&values(8, seed)));
    for dropout in [None, Some(Dropout { probability: 0.4, key: 5 })] {
        let run = |q: &[f64], k: &[f64], v: &[f64]| twin_with_dropout(q, k, v, &dy, s, mask, dropout);
        let loss = |q: &[f64], k: &[f64], v: &[f64]| -> f64 {
            run(q, k, v)[0].iter().zip(&dy).map(|(y, d)| y * d).sum()
        };
        let [_, dq, dk, dv] = run(&q, &k, &v);
        check_gradient(&q, &dq, |q| loss(q, &k, &v));
        check_gradient(&k, &dk, |k| loss(&q, k, &v));
        check_gradient(&v, &dv, |v| loss(&q, &k, v));
    }
}

#[test]
fn a_query_that_sees_nothing_gives_zeros() {
    let s = sizes([1, 2, 2, 1, 1, 2]);
    let mask = Mask { key_lengths: Some(&[0]), ..Mask::default() };
    let x = values(4, 1);
    let inputs = Inputs::separate(&x, &x, &x, s);
    let got = forward(inputs, s, mask);
    assert_eq!(got.output, [0.0; 4]);
    let Gradients::Separate(gradients) = backward(inputs, s, mask, &got.output, &got.log_sums, &x) else {
        panic!()
    };
    assert!(gradients.iter().flatten().all(|&v| v == 0.0));
}

#[test]
fn sequences_that_leave_rows_out_are_refused() {
    let s = sizes([2, 2, 2, 1, 1, 2]);
    let x = values(4 * 6, 1);
    for (starts, words) in [
        (&[1, 2, 4][..], "the first sequence does not start with the first row"),
        (&[0, 4][..], "the sequences' starts are those of another batch"),
        (&[0, 1, 4][..], "a sequence is longer than the longest"),
    ] {
        let inputs = Inputs::packed(&x, s).one_after_the_other(starts);
        refused(words, || drop(forward(inputs, s, Mask::default())));
        let (output, log_sums) = ([0.0; 8], [0.0; 4]);
        refused(words, || drop(backward(inputs, s, Mask::default(), &output, &log_sums, &output)));
    }
}

#[test]
fn nan_reaches_the_output() {
    let s = sizes([1, 3, 300, 1, 1, 4]);
    let (q, mut k) = (values(12, 1), values(1200, 2));
    k[7] = f32::NAN;
    let got = forward(Inputs::separate(&q, &k, &q.repeat(100), s), s, Mask::default());
    assert!(got.output.iter().all(|v| v.is_nan()));
}

#[test]
fn a_nan_in_the_gradient_shows_in_all_that_it_feeds() {
    let s = sizes([2, 5, 5, 4, 2, 3]);
    let (q, mut dy) = (values(2 * 5 * 4 * 3, 1), values(2 * 5 * 4 * 3, 2));
    let [k, v] = [3, 4].map(|seed| values(2 * 5 * 2 * 3, seed));
    // The third query of the first sequence, in its second head.
    dy[(2 * 4 + 1) * 3 + 1] = f32::NAN;
    for mask in [Mask::default(), Mask { causal: true, ..Mask::default() }] {
        let inputs = Inputs::separate(&q, &k, &v, s);
        let got = forward(inputs, s, mask);
        let [_, dq, dk, dv] = twin(&wide(&q), &wide(&k), &wide(&v), &wide(&dy), s, mask);
        let Gradients::Separate(gradients) = backward(inputs, s, mask, &got.output, &got.log_sums, &dy)
        else {
            panic!()
        };
        for (got, expected) in gradients.iter().zip([dq, dk, dv]) {
            hides_nothing(got, &expected);
            // The other sequence is left alone.
            assert!(got[got.len() / 2..].iter().all(|v| v.is_finite()));
        }
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    let s = sizes([2, 400, 400, 4, 2, 16]);
    let x = values(2 * 400 * 8 * 16, 1);
    let mask = Mask { causal: true, ..Mask::default() };
    same_bits_with_one_and_two_threads(|| {
        let inputs = Inputs::packed(&x, s);
        let y = forward(inputs, s, mask);
        let Gradients::Packed(dx) = backward(inputs, s, mask, &y.output, &y.log_sums, &y.output) else {
            panic!()
        };
        vec![y.output, y.log_sums, dx]
    });
}
