use super::*;
use crate::testing::{
    check_gradient, close, close_in_bf16, column_sums, erf64, hides_nothing, matmul as product64, refused,
    same_bits_with_one_and_two_threads, transpose, values, wide,
};

const ALL: [Activation; 7] = [
    Activation::Identity,
    Activation::Relu,
    Activation::LeakyRelu(0.1),
    Activation::Gelu,
    Activation::Silu,
    Activation::Sigmoid,
    Activation::Tanh,
];

const SHAPES: [(usize, usize, usize); 7] =
    [(1, 1, 1), (3, 5, 7), (17, 16, 33), (80, 1, 1), (0, 4, 3), (256, 13, 64), (129, 130, 127)];

fn value(activation: Activation, x: f64) -> f64 {
    let sigmoid = 1.0 / (1.0 + (-x).exp());
    match activation {
        Activation::Identity => x,
        Activation::Relu => x.max(0.0),
        Activation::LeakyRelu(slope) => x.max(0.0) + f64::from(slope) * x.min(0.0),
        Activation::Gelu => 0.5 * x * (1.0 + erf64(x / 2f64.sqrt())),
        Activation::Silu => x * sigmoid,
        Activation::Sigmoid => sigmoid,
        Activation::Tanh => x.tanh(),
    }
}

fn derivative(activation: Activation, x: f64) -> f64 {
    let sigmoid = 1.0 / (1.0 + (-x).exp());
    match activation {
        Activation::Identity => 1.0,
        Activation::Relu => f64::from(u8::from(x > 0.0)),
        Activation::LeakyRelu(slope) => {
            if x > 0.0 {
                1.0
            } else {
                f64::from(slope)
            }
        }
        Activation::Gelu => {
            0.5 * (1.0 + erf64(x / 2f64.sqrt()))
                + x * (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
        }
        Activation::Silu => sigmoid + x * sigmoid * (1.0 - sigmoid),
        Activation::Sigmoid => sigmoid * (1.0 - sigmoid),
        Activation::Tanh => 1.0 - x.tanh().powi(2),
    }
}

/// The naive twin: output and gradients (x, W, b).
struct Twin {
    y: Vec<f64>,
    dx: Vec<f64>,
    dw: Vec<f64>,
    db: Vec<f64>,
}

fn twin(x: &[f64], w: &[f64], b: &[f64], dy: &[f64], activation: Activation) -> Twin {
    let (outputs, inputs) = (b.len(), w.len() / b.len());
    let mut before = product64(x, w, inputs, outputs);
    before.iter_mut().enumerate().for_each(|(i, v)| *v += b[i % outputs]);
    let dh: Vec<f64> = dy.iter().zip(&before).map(|(d, &h)| d * derivative(activation, h)).collect();
    let dw = if x.is_empty() {
        vec![0.0; w.len()]
    } else {
        product64(&transpose(x, inputs), &dh, x.len() / inputs, outputs)
    };
    Twin {
        y: before.iter().map(|&h| value(activation, h)).collect(),
        dx: product64(&dh, &transpose(w, outputs), outputs, inputs),
        dw,
        db: column_sums(&dh, outputs),
    }
}

#[test]
fn matches_the_twin() {
    for activation in ALL {
        for (rows, inputs, outputs) in SHAPES {
            let (x, w) = (values(rows * inputs, 1), values(inputs * outputs, 2));
            let (b, dy) = (values(outputs, 3), values(rows * outputs, 4));
            let expected = twin(&wide(&x), &wide(&w), &wide(&b), &wide(&dy), activation);

            close(&forward(&x, &w, Some(&b), outputs, activation), &expected.y);
            let saved = forward_saving(&x, &w, Some(&b), outputs, activation);
            close(&saved.output, &expected.y);

            let mut dh = dy.clone();
            let kept = saved.derivative.as_deref().unwrap_or(&saved.output);
            let db = activation_backward(&mut dh, kept, outputs, activation);
            close(&db, &expected.db);
            close(&weight_gradient(&x, &dh, inputs, outputs), &expected.dw);
            close(&input_gradient(&dh, &w, inputs, outputs), &expected.dx);
        }
    }
}

#[test]
fn bf16_is_close_to_the_twin() {
    let (rows, inputs, outputs) = (129, 130, 127);
    // Weights small enough that few outputs are where an activation is flat, as in training.
    let w: Vec<f32> = values(inputs * outputs, 2).iter().map(|v| 0.1 * v).collect();
    let (x, b, dy) = (values(rows * inputs, 1), values(outputs, 3), values(rows * outputs, 4));
    for activation in ALL {
        let run = || {
            let saved = forward_saving(&x, &w, Some(&b), outputs, activation);
            let mut dh = dy.clone();
            let kept = saved.derivative.as_deref().unwrap_or(&saved.output);
            activation_backward(&mut dh, kept, outputs, activation);
            let dx = input_gradient(&dh, &w, inputs, outputs);
            vec![saved.output, dx, weight_gradient(&x, &dh, inputs, outputs)]
        };
        let Twin { y, dx, dw, .. } = twin(&wide(&x), &wide(&w), &wide(&b), &wide(&dy), activation);
        if matches!(activation, Activation::Relu | Activation::LeakyRelu(_)) {
            // On which side of its jump the derivative is taken is up to rounding.
            close_in_bf16(|| run()[..1].to_vec(), &[y]);
        } else {
            close_in_bf16(run, &[y, dx, dw]);
        }
    }
}

#[test]
fn the_twin_s_gradients_are_slopes() {
    let (rows, inputs, outputs) = (3, 4, 5);
    for activation in ALL {
        let (x, w) = (wide(&values(rows * inputs, 5)), wide(&values(inputs * outputs, 6)));
        let (b, dy) = (wide(&values(outputs, 7)), wide(&values(rows * outputs, 8)));
        let loss = |x: &[f64], w: &[f64], b: &[f64]| -> f64 {
            twin(x, w, b, &dy, activation).y.iter().zip(&dy).map(|(y, d)| y * d).sum()
        };
        let gradients = twin(&x, &w, &b, &dy, activation);
        check_gradient(&x, &gradients.dx, |x| loss(x, &w, &b));
        check_gradient(&w, &gradients.dw, |w| loss(&x, w, &b));
        check_gradient(&b, &gradients.db, |b| loss(&x, &w, b));
    }
}

#[test]
fn works_without_a_bias() {
    let (x, w) = (values(6, 1), values(6, 2));
    let with_zeros = forward(&x, &w, Some(&[0.0; 3]), 3, Activation::Gelu);
    assert_eq!(forward(&x, &w, None, 3, Activation::Gelu), with_zeros);
}

#[test]
fn a_row_that_is_not_whole_is_refused() {
    let x = [1.0; 7];
    let acts: [&dyn Fn(); 7] = [
        &|| drop(forward(&x, &x[..6], None, 2, Activation::Identity)),
        &|| drop(forward(&x[..6], &x, None, 2, Activation::Identity)),
        &|| drop(activation_backward(&mut x.clone(), &x, 2, Activation::Relu)),
        &|| drop(bias_gradient(&x, 2)),
        &|| drop(weight_gradient(&x, &x[..4], 3, 2)),
        &|| drop(weight_gradient(&x[..6], &x, 3, 2)),
        &|| drop(input_gradient(&x, &x[..6], 3, 2)),
    ];
    for act in acts {
        refused("the last row is not whole", act);
    }
    refused("input and gradient differ in rows", || drop(weight_gradient(&x[..6], &x[..6], 3, 2)));
}

#[test]
fn a_residual_is_added_to_every_row() {
    for (rows, inputs, outputs) in [(1, 1, 1), (33, 5, 7), (300, 200, 170), (0, 2, 3)] {
        let (x, w, b) = (values(rows * inputs, 1), values(inputs * outputs, 2), values(outputs, 3));
        let residual = values(rows * outputs, 4);
        let plain = wide(&forward(&x, &w, Some(&b), outputs, Activation::Identity));
        let expected: Vec<f64> = plain.iter().zip(&residual).map(|(y, r)| y + f64::from(*r)).collect();
        close(&forward_adding(&x, &w, Some(&b), &residual, outputs), &expected);
    }
}

#[test]
fn an_activation_by_itself_matches_the_twin() {
    for activation in ALL {
        for len in [0, 1, 37, 100_003] {
            let (x, dy) = (values(len, 1), values(len, 2));
            let mut y = x.clone();
            activate(&mut y, activation);
            close(&y, &wide(&x).iter().map(|x| value(activation, *x)).collect::<Vec<_>>());
            let mut dx = dy.clone();
            if activation.needs_input() {
                refused("this derivative does not come from the output", || {
                    activate_backward(&mut dx, &y, activation);
                });
                continue;
            }
            activate_backward(&mut dx, &y, activation);
            let slopes = wide(&x).into_iter().map(|x| derivative(activation, x));
            close(&dx, &slopes.zip(wide(&dy)).map(|(slope, dy)| slope * dy).collect::<Vec<_>>());
        }
    }
}

#[test]
fn nan_and_infinity_go_through() {
    for activation in ALL {
        let y = forward(&[f32::NAN, 1.0, f32::INFINITY], &[1.0], None, 1, activation);
        assert!(y[0].is_nan() && y[1].is_finite(), "{activation:?}");
        assert!(
            matches!(activation, Activation::Sigmoid | Activation::Tanh) || !y[2].is_finite(),
            "{activation:?}"
        );
    }
}

#[test]
fn a_nan_in_the_gradient_shows_in_all_that_it_feeds() {
    for activation in ALL {
        for (rows, inputs, outputs) in [(3, 5, 7), (129, 130, 127)] {
            let (x, w) = (values(rows * inputs, 1), values(inputs * outputs, 2));
            let (b, mut dy) = (values(outputs, 3), values(rows * outputs, 4));
            dy[outputs + 2] = f32::NAN;
            let expected = twin(&wide(&x), &wide(&w), &wide(&b), &wide(&dy), activation);
            let saved = forward_saving(&x, &w, Some(&b), outputs, activation);
            let kept = saved.derivative.as_deref().unwrap_or(&saved.output);
            let db = activation_backward(&mut dy, kept, outputs, activation);
            hides_nothing(&db, &expected.db);
            hides_nothing(&weight_gradient(&x, &dy, inputs, outputs), &expected.dw);
            hides_nothing(&input_gradient(&dy, &w, inputs, outputs), &expected.dx);
        }
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    let (rows, inputs, outputs) = (400, 200, 170);
    let (x, w) = (values(rows * inputs, 1), values(inputs * outputs, 2));
    let (b, dy) = (values(outputs, 3), values(rows * outputs, 4));
    same_bits_with_one_and_two_threads(|| vec![forward_adding(&x, &w, None, &dy, outputs)]);
    for activation in ALL {
        same_bits_with_one_and_two_threads(|| {
            let saved = forward_saving(&x, &w, Some(&b), outputs, activation);
            let mut dh = dy.clone();
            let kept = saved.derivative.as_deref().unwrap_or(&saved.output);
            let db = activation_backward(&mut dh, kept, outputs, activation);
            let (dw, dx) =
                (weight_gradient(&x, &dh, inputs, outputs), input_gradient(&dh, &w, inputs, outputs));
            vec![saved.output, db, dw, dx]
        });
    }
}
