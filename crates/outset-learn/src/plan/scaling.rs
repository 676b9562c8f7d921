//! Scaling laws of language models: the size and the number of tokens that make the most of a budget of arithmetic.
//!
//! Loss of a model with `N` parameters after `D` tokens: `L = E + A / N^α + B / D^β` (Hoffmann et al. 2022,
//! <https://arxiv.org/abs/2203.15556>, third approach). Their published constants do not fit their own data; those of
//! Besiroglu et al. 2024 (<https://arxiv.org/abs/2404.10102>) do, and are the default here.

/// The constants of a fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// Who fitted it.
    pub name: &'static str,
    pub e: f64,
    pub a: f64,
    pub b: f64,
    pub alpha: f64,
    pub beta: f64,
}

/// The corrected fit.
pub const BESIROGLU: Fit =
    Fit { name: "Besiroglu et al. 2024", e: 1.8172, a: 482.01, b: 2085.43, alpha: 0.3478, beta: 0.3658 };
/// The fit as first published.
pub const HOFFMANN: Fit =
    Fit { name: "Hoffmann et al. 2022", e: 1.69, a: 406.4, b: 410.7, alpha: 0.34, beta: 0.28 };

/// A size and a number of tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Optimum {
    pub parameters: f64,
    pub tokens: f64,
    /// Loss that the fit foretells, in nats a token of the fit's own data.
    pub loss: f64,
}

impl Fit {
    /// The loss that the fit foretells.
    pub fn loss(&self, parameters: f64, tokens: f64) -> f64 {
        self.e + self.a / parameters.powf(self.alpha) + self.b / tokens.powf(self.beta)
    }

    /// The size and the tokens with the least loss for so many floating-point operations, `6 N D` of them.
    pub fn optimum(&self, flops: f64) -> Optimum {
        let g = (self.alpha * self.a / (self.beta * self.b)).powf(1.0 / (self.alpha + self.beta));
        let parameters = g * (flops / 6.0).powf(self.beta / (self.alpha + self.beta));
        let tokens = flops / 6.0 / parameters;
        Optimum { parameters, tokens, loss: self.loss(parameters, tokens) }
    }

    /// As [`optimum`](Self::optimum), with the operations of attention over `context` tokens counted beside the `6 N D`.
    pub fn optimum_with_context(&self, flops: f64, context: f64) -> Optimum {
        let of = |parameters: f64| {
            let (layers, hidden) = shape(parameters);
            let tokens = flops / flops_per_token(parameters, layers, hidden, context);
            Optimum { parameters, tokens, loss: self.loss(parameters, tokens) }
        };
        // The loss has one valley over the logarithm of the size: narrowed down by thirds.
        let (mut low, mut high) = (1e3f64.ln(), self.optimum(flops).parameters.ln() + 1.0);
        while high - low > 1e-9 {
            let (left, right) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
            if of(left.exp()).loss < of(right.exp()).loss { high = right } else { low = left }
        }
        of(((low + high) / 2.0).exp())
    }
}

/// A Transformer of the usual shape for a size: `(layers, hidden size)`, the latter 128 times the former, as in the models
/// of the laws' authors, with `12 · layers · hidden²` parameters.
pub fn shape(parameters: f64) -> (f64, f64) {
    let layers = (parameters / (12.0 * 128.0 * 128.0)).cbrt().max(1.0);
    (layers, (parameters / (12.0 * layers)).sqrt())
}

/// Floating-point operations to train a Transformer on a token: 6 for each parameter, and `12 · layers · hidden · context`
/// for attention, forward and backward (Kaplan et al. 2020, <https://arxiv.org/abs/2001.08361>; appendix B of Chowdhery et
/// al. 2022, <https://arxiv.org/abs/2204.02311>).
pub fn flops_per_token(parameters: f64, num_layers: f64, hidden_size: f64, context: f64) -> f64 {
    6.0 * parameters + 12.0 * num_layers * hidden_size * context
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_optimum_beats_its_neighbours() {
        for fit in [BESIROGLU, HOFFMANN] {
            let flops = 1e21;
            let best = fit.optimum(flops);
            for factor in [0.9, 1.1] {
                let parameters = best.parameters * factor;
                assert!(fit.loss(parameters, flops / 6.0 / parameters) > best.loss, "{}", fit.name);
            }
            assert!((6.0 * best.parameters * best.tokens / flops - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn attention_takes_its_share_of_the_budget() {
        let (plain, without) = (BESIROGLU.optimum(1e19), BESIROGLU.optimum_with_context(1e19, 0.0));
        assert!((without.parameters / plain.parameters - 1.0).abs() < 1e-3, "{plain:?} {without:?}");
        let long = BESIROGLU.optimum_with_context(1e19, 8192.0);
        let (layers, hidden) = shape(long.parameters);
        let spent = long.tokens * flops_per_token(long.parameters, layers, hidden, 8192.0);
        assert!((spent / 1e19 - 1.0).abs() < 1e-9 && long.loss > plain.loss, "{long:?}");
        assert!((12.0 * layers * hidden * hidden / long.parameters - 1.0).abs() < 1e-9);
        // GPT-3 has 96 layers of 12,288.
        let (layers, hidden) = shape(174e9);
        assert!((90.0..102.0).contains(&layers) && (11_500.0..13_000.0).contains(&hidden));
    }

    #[test]
    fn the_corrected_fit_says_twenty_tokens_a_parameter() {
        // Chinchilla itself: 70 billion parameters for 5.76e23 operations, about 20 tokens a parameter.
        let best = BESIROGLU.optimum(5.76e23);
        let ratio = best.tokens / best.parameters;
        assert!((15.0..25.0).contains(&ratio), "{ratio}");
        assert!((5e10..9e10).contains(&best.parameters), "{}", best.parameters);
        assert!(HOFFMANN.optimum(5.76e23).tokens / HOFFMANN.optimum(5.76e23).parameters > 60.0);
    }

    #[test]
    fn attention_counts_beside_the_parameters() {
        // GPT-2 small with a context of 1024: 12 layers of 768.
        assert_eq!(flops_per_token(124e6, 12.0, 768.0, 1024.0), 744e6 + 113_246_208.0);
    }
}
