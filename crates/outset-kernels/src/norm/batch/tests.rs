use super::*;
use crate::testing::{
    check_gradient, close, hides_nothing, same_bits_with_one_and_two_threads, values, wide,
};

const EPS: f64 = 1e-5;
const SHAPES: [(usize, usize, usize); 12] = [
    (3, 1, 1),
    (1, 1, 5),
    (1, 2, 3),
    (7, 1, 1),
    (5, 3, 1),
    (64, 33, 1),
    (300, 128, 1),
    (3, 5, 7),
    (8, 17, 49),
    (16, 32, 256),
    (0, 3, 1),
    (0, 2, 4),
];

/// The naive twin: output and gradients (x, gamma, beta), with the statistics of the batch or given ones.
fn twin(
    x: &[f64],
    gamma: &[f64],
    beta: &[f64],
    dy: &[f64],
    sizes: Sizes,
    relu: bool,
    given: Option<&Statistics>,
) -> [Vec<f64>; 4] {
    let (mut y, mut dx) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    let (mut dgamma, mut dbeta) = (vec![], vec![]);
    for c in 0..sizes.channels {
        let at: Vec<usize> = (0..sizes.len()).filter(|i| i / sizes.spatial % sizes.channels == c).collect();
        let average = |f: &dyn Fn(usize) -> f64| at.iter().map(|&i| f(i)).sum::<f64>() / at.len() as f64;
        let mean = given.map_or_else(|| average(&|i| x[i]), |s| s.mean[c].into());
        let variance = given.map_or_else(|| average(&|i| (x[i] - mean).powi(2)), |s| s.variance[c].into());
        let inverse = 1.0 / (variance + EPS).sqrt();
        let n = |i: usize| (x[i] - mean) * inverse;
        let before = |i: usize| n(i) * gamma[c] + beta[c];
        let d = |i: usize| if relu && before(i) <= 0.0 { 0.0 } else { dy[i] };
        let (d_mean, dn_mean) =
            if given.is_some() { (0.0, 0.0) } else { (average(&d), average(&|i| d(i) * n(i))) };
        for &i in &at {
            y[i] = if relu { before(i).max(0.0) } else { before(i) };
            dx[i] = gamma[c] * inverse * (d(i) - d_mean - n(i) * dn_mean);
        }
        dgamma.push(at.iter().map(|&i| d(i) * n(i)).sum());
        dbeta.push(at.iter().map(|&i| d(i)).sum());
    }
    [y, dx, dgamma, dbeta]
}

#[test]
fn matches_the_twin() {
    for (batch, channels, spatial) in SHAPES {
        let sizes = Sizes { batch, channels, spatial };
        let (x, dy) = (values(sizes.len(), 1), values(sizes.len(), 2));
        let (gamma, beta) = (values(channels, 3), values(channels, 4));
        let given = Statistics { mean: values(channels, 5), variance: vec![0.5; channels] };
        for (relu, given) in [(false, None), (true, None), (false, Some(&given)), (true, Some(&given))] {
            let own = statistics(&x, sizes);
            let normalise = Normalise {
                statistics: given.unwrap_or(&own),
                gamma: &gamma,
                beta: &beta,
                eps: EPS as f32,
                relu,
            };
            let [y, dx, dgamma, dbeta] =
                twin(&wide(&x), &wide(&gamma), &wide(&beta), &wide(&dy), sizes, relu, given);
            close(&forward(&x, sizes, &normalise), &y);
            let got = backward(&x, sizes, &normalise, &dy, given.is_none());
            close(&got.dx, &dx);
            close(&got.dgamma, &dgamma);
            close(&got.dbeta, &dbeta);
        }
    }
}

#[test]
fn the_twin_s_gradients_are_slopes() {
    for relu in [false, true] {
        let sizes = Sizes { batch: 4, channels: 2, spatial: 3 };
        let (x, dy) = (wide(&values(24, 1)), wide(&values(24, 2)));
        let (gamma, beta) = (wide(&values(2, 3)), wide(&values(2, 4)));
        let loss = |x: &[f64], gamma: &[f64], beta: &[f64]| -> f64 {
            twin(x, gamma, beta, &dy, sizes, relu, None)[0].iter().zip(&dy).map(|(y, d)| y * d).sum()
        };
        let [_, dx, dgamma, dbeta] = twin(&x, &gamma, &beta, &dy, sizes, relu, None);
        check_gradient(&x, &dx, |x| loss(x, &gamma, &beta));
        check_gradient(&gamma, &dgamma, |gamma| loss(&x, gamma, &beta));
        check_gradient(&beta, &dbeta, |beta| loss(&x, &gamma, beta));
    }
}

#[test]
fn nan_stays_in_its_channel() {
    for spatial in [1, 20] {
        let sizes = Sizes { batch: 8, channels: 2, spatial };
        let mut x = values(sizes.len(), 1);
        x[0] = f32::NAN;
        let own = statistics(&x, sizes);
        let normalise =
            Normalise { statistics: &own, gamma: &[1.0; 2], beta: &[0.0; 2], eps: EPS as f32, relu: true };
        let y = forward(&x, sizes, &normalise);
        assert!((0..y.len()).all(|i| y[i].is_nan() == (i / spatial % 2 == 0)));
    }
}

#[test]
fn a_nan_in_the_gradient_shows_in_all_that_it_feeds() {
    for (spatial, through_statistics) in [(1, true), (20, true), (1, false), (20, false)] {
        let sizes = Sizes { batch: 8, channels: 2, spatial };
        let (x, mut dy) = (values(sizes.len(), 1), values(sizes.len(), 2));
        dy[spatial] = f32::NAN;
        let own = statistics(&x, sizes);
        let (gamma, beta) = (values(2, 3), values(2, 4));
        let normalise =
            Normalise { statistics: &own, gamma: &gamma, beta: &beta, eps: EPS as f32, relu: false };
        let given = (!through_statistics).then_some(&own);
        let [_, dx, dgamma, dbeta] =
            twin(&wide(&x), &wide(&gamma), &wide(&beta), &wide(&dy), sizes, false, given);
        let got = backward(&x, sizes, &normalise, &dy, through_statistics);
        for (got, expected) in [(got.dx, dx), (got.dgamma, dgamma), (got.dbeta, dbeta)] {
            hides_nothing(&got, &expected);
            assert!(got.iter().zip(&expected).all(|(got, expected)| got.is_nan() == expected.is_nan()));
        }
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    for (batch, channels, spatial) in [(2000, 64, 1), (16, 32, 256)] {
        let sizes = Sizes { batch, channels, spatial };
        let (x, gamma) = (values(sizes.len(), 1), values(channels, 3));
        same_bits_with_one_and_two_threads(|| {
            let own = statistics(&x, sizes);
            let normalise =
                Normalise { statistics: &own, gamma: &gamma, beta: &gamma, eps: EPS as f32, relu: true };
            let y = forward(&x, sizes, &normalise);
            let got = backward(&x, sizes, &normalise, &y, true);
            vec![y, got.dx, got.dgamma, got.dbeta]
        });
    }
}
