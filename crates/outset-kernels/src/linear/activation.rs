//! Activations of a linear map and their derivatives.

use super::{map, map_with_derivative, multiply, multiply_by_derivative};
use crate::{isa::Arithmetic, math};

/// What is applied to each output of a linear map.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Activation {
    /// The value itself.
    #[default]
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `x` above zero and `slope * x` below; the slope is positive.
    LeakyRelu(f32),
    /// `x Φ(x)` with the exact normal distribution function (arXiv 1606.08415).
    Gelu,
    /// `x sigmoid(x)` (arXiv 1606.08415, there SiLU).
    Silu,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
}

impl Activation {
    /// Whether the derivative comes from the value before the activation; the others have it from the output.
    pub(super) fn needs_input(self) -> bool {
        matches!(self, Activation::Gelu | Activation::Silu)
    }

    /// Rough cost of one value, in values touched.
    pub(super) fn cost(self) -> usize {
        match self {
            Activation::Identity | Activation::Relu | Activation::LeakyRelu(_) => 1,
            Activation::Gelu | Activation::Silu | Activation::Sigmoid | Activation::Tanh => 4,
        }
    }

    /// Applies the activation in place.
    pub(super) fn apply(self, x: &mut [f32]) {
        match self {
            Activation::Identity => {}
            Activation::Relu => map(x, Leaky(0.0)),
            Activation::LeakyRelu(slope) => map(x, Leaky(slope)),
            Activation::Gelu => map(x, Gelu),
            Activation::Silu => map(x, Silu),
            Activation::Sigmoid => map(x, Sigmoid),
            Activation::Tanh => map(x, Tanh),
        }
    }

    /// Writes the activation of each value to `y` and puts the derivative in its place.
    pub(super) fn apply_keeping_derivative(self, x: &mut [f32], y: &mut [f32]) {
        match self {
            Activation::Gelu => map_with_derivative(x, y, Gelu),
            Activation::Silu => map_with_derivative(x, y, Silu),
            _ => unreachable!("this derivative comes from the output"),
        }
    }

    /// Multiplies `dy` by the derivative, which is `saved` itself or comes from the outputs there.
    pub(super) fn multiply_by_gradient(self, dy: &mut [f32], saved: &[f32]) {
        match self {
            Activation::Identity => {}
            Activation::Relu => multiply_by_derivative(dy, saved, Leaky(0.0)),
            Activation::LeakyRelu(slope) => multiply_by_derivative(dy, saved, Leaky(slope)),
            Activation::Gelu | Activation::Silu => multiply(dy, saved),
            Activation::Sigmoid => multiply_by_derivative(dy, saved, Sigmoid),
            Activation::Tanh => multiply_by_derivative(dy, saved, Tanh),
        }
    }
}

/// A function of one value that a loop is compiled for.
pub(super) trait Function: Copy {
    /// Returns the function at `x`.
    fn value<A: Arithmetic>(self, x: f32) -> f32;
}

/// A function whose derivative comes from its output.
pub(super) trait FromOutput: Function {
    /// Returns the derivative where the function is `y`.
    fn derivative<A: Arithmetic>(self, y: f32) -> f32;
}

/// A function whose derivative comes from its input.
pub(super) trait FromInput: Function {
    /// Returns the function and its derivative at `x`.
    fn both<A: Arithmetic>(self, x: f32) -> (f32, f32);
}

#[derive(Clone, Copy)]
struct Leaky(f32);
#[derive(Clone, Copy)]
struct Gelu;
#[derive(Clone, Copy)]
struct Silu;
#[derive(Clone, Copy)]
struct Sigmoid;
#[derive(Clone, Copy)]
struct Tanh;

impl Function for Leaky {
    #[inline(always)]
    fn value<A: Arithmetic>(self, x: f32) -> f32 {
        // The comparison is false for a NaN, which so goes through; `0 * -inf` is kept from making one.
        if x < 0.0 { if self.0 == 0.0 { 0.0 } else { self.0 * x } } else { x }
    }
}

impl FromOutput for Leaky {
    #[inline(always)]
    fn derivative<A: Arithmetic>(self, y: f32) -> f32 {
        if y <= 0.0 { self.0 } else { 1.0 }
    }
}

impl Function for Gelu {
    #[inline(always)]
    fn value<A: Arithmetic>(self, x: f32) -> f32 {
        math::gelu::<A>(x)
    }
}

impl FromInput for Gelu {
    #[inline(always)]
    fn both<A: Arithmetic>(self, x: f32) -> (f32, f32) {
        math::gelu_and_gradient::<A>(x)
    }
}

impl Function for Silu {
    #[inline(always)]
    fn value<A: Arithmetic>(self, x: f32) -> f32 {
        math::silu::<A>(x)
    }
}

impl FromInput for Silu {
    #[inline(always)]
    fn both<A: Arithmetic>(self, x: f32) -> (f32, f32) {
        math::silu_and_gradient::<A>(x)
    }
}

impl Function for Sigmoid {
    #[inline(always)]
    fn value<A: Arithmetic>(self, x: f32) -> f32 {
        math::sigmoid::<A>(x)
    }
}

impl FromOutput for Sigmoid {
    #[inline(always)]
    fn derivative<A: Arithmetic>(self, y: f32) -> f32 {
        y * (1.0 - y)
    }
}

impl Function for Tanh {
    #[inline(always)]
    fn value<A: Arithmetic>(self, x: f32) -> f32 {
        math::tanh::<A>(x)
    }
}

impl FromOutput for Tanh {
    #[inline(always)]
    fn derivative<A: Arithmetic>(self, y: f32) -> f32 {
        A::mul_add(-y, y, 1.0)
    }
}
