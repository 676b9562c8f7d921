use super::*;
use crate::testing::{check, input, wide};

#[test]
fn lstm_agrees_with_the_composed_form_in_f64() {
    check([input([3, 4, 5], 1), input([5, 8], 2), input([2, 8], 3), input([8], 4)], |[x, w, u, b]| {
        lstm(x.get(), w.get(), u.get(), b.get())
    });
}

#[test]
fn gru_agrees_with_the_composed_form_in_f64() {
    let leaves = [input([3, 4, 5], 1), input([5, 6], 2), input([2, 6], 3), input([6], 4), input([6], 5)];
    check(leaves, |[x, w, u, b, c]| gru(x.get(), w.get(), u.get(), b.get(), c.get()));
}

#[test]
fn a_given_state_agrees_with_the_composed_form_in_f64() {
    let (x, h, c) = (input([3, 4, 5], 1), input([3, 2], 6), input([3, 2], 7));
    let leaves = [x.clone(), input([5, 8], 2), input([2, 8], 3), input([8], 4), h.clone(), c];
    check(leaves, |[x, w, u, b, h, c]| {
        lstm_from(x.get(), w.get(), u.get(), b.get(), LstmState { h: h.get(), c: c.get() }).0
    });
    let leaves = [x, input([5, 6], 2), input([2, 6], 3), input([6], 4), input([6], 5), h];
    check(leaves, |[x, w, u, b, e, h]| gru_from(x.get(), [w.get(), u.get()], [b.get(), e.get()], h.get()).0);
}

#[test]
fn two_halves_are_a_whole() {
    let device = burn::tensor::Device::flex().autodiff();
    let random = |shape: [usize; 2]| {
        Tensor::<2>::random(shape, burn::tensor::Distribution::Uniform(-1.0, 1.0), &device)
    };
    let vector = |size| random([1, size]).squeeze_dim::<1>(0);
    let x = random([2, 6 * 3]).reshape([2, 6, 3]);
    let half = |x: &Tensor<3>, first: usize| x.clone().narrow(1, first, 3);
    let (zeros, w, u, b) = (Tensor::zeros([2, 4], &device), random([3, 16]), random([4, 16]), vector(16));
    let whole = lstm(x.clone(), w.clone(), u.clone(), b.clone());
    let start = LstmState { h: zeros.clone(), c: zeros.clone() };
    let (first, state) = lstm_from(half(&x, 0), w.clone(), u.clone(), b.clone(), start);
    let (second, _) = lstm_from(half(&x, 3), w, u, b, state);
    crate::testing::close("LSTM", &wide(Tensor::cat(vec![first, second], 1)), &wide(whole));
    let (weights, biases) = ([random([3, 12]), random([4, 12])], [vector(12), vector(12)]);
    let [w, u] = weights.clone();
    let [b, c] = biases.clone();
    let whole = gru(x.clone(), w, u, b, c);
    let (first, state) = gru_from(half(&x, 0), weights.clone(), biases.clone(), zeros);
    let (second, _) = gru_from(half(&x, 3), weights, biases, state);
    crate::testing::close("GRU", &wide(Tensor::cat(vec![first, second], 1)), &wide(whole));
}
