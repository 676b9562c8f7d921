//! What training makes small: a number from predictions, targets and the weights of the rows.
//!
//! Every loss is a weighted mean over rows of a mean over outputs. The weights of the rows sum to 1, so that without a
//! weight column it is PyTorch's `reduction="mean"`. With class weights the rows' weights are multiplied by their
//! class's and made to sum to 1 again, as PyTorch does.
//!
//! Adding one: its file, its `mod` line and its entry below.

mod binary_cross_entropy;
mod class_weights;
mod crf;
mod cross_entropy;
mod focal;
mod huber;
mod mean_absolute_error;
mod mean_squared_error;

pub use self::binary_cross_entropy::BinaryCrossEntropy;
pub use self::class_weights::ClassWeights;
pub use self::crf::Crf;
pub use self::cross_entropy::CrossEntropy;
pub use self::focal::Focal;
pub use self::huber::Huber;
pub use self::mean_absolute_error::MeanAbsoluteError;
pub use self::mean_squared_error::MeanSquaredError;

use crate::kinds::kinds;
use burn::tensor::{Int, Tensor};
use outset_spec::{Problem, Problems, Section};

kinds! {
    /// What training makes small.
    pub enum Loss: Objective, "loss", "losses" {
        /// Mean of the squared errors: for numbers; large errors count most.
        "mean_squared_error" => MeanSquaredError,
        /// Mean of the absolute errors: for numbers; outliers count no more than others.
        "mean_absolute_error" => MeanAbsoluteError,
        /// Squared for small errors, absolute for large ones: for numbers.
        "huber" => Huber,
        /// Minus the logarithm of the true class's probability: for categories.
        "cross_entropy" => CrossEntropy,
        /// Minus the logarithm of the probability of all tags of a text together: for tags.
        "crf" => Crf,
        /// Minus the logarithm of the probability of each label's truth: for sets and yes-or-no outputs.
        "binary_cross_entropy" => BinaryCrossEntropy,
        /// Cross-entropy that counts easy rows less: for categories and sets with rare classes.
        "focal" => Focal,
    }
}

/// What the predictions should be.
#[derive(Clone, Debug)]
pub enum Targets {
    /// A number for each row and output: `[rows, outputs]`; for labels 0 or 1, or shares in between.
    Values(Tensor<2>),
    /// The class of each row: `[rows]`.
    Classes(Tensor<1, Int>),
}

impl Targets {
    /// The targets as numbers, a class as 1 among zeros.
    pub fn values(self, outputs: usize) -> Tensor<2> {
        match self {
            Self::Values(values) => values,
            Self::Classes(classes) => one_hot(classes, outputs),
        }
    }
}

/// Writes each class as 1 among zeros: `[rows, classes]`.
fn one_hot(classes: Tensor<1, Int>, num_classes: usize) -> Tensor<2> {
    let rows = classes.dims()[0];
    let device = classes.device();
    let steps: Tensor<2, Int> = Tensor::arange(0..num_classes as i64, &device).reshape([1, num_classes]);
    let classes: Tensor<2, Int> = classes.reshape([rows, 1]);
    classes.repeat_dim(1, num_classes).equal(steps.repeat_dim(0, rows)).float()
}

/// What a loss does with a batch.
trait Objective {
    /// The loss of a batch; see [`Loss::forward`].
    fn forward(&self, predictions: Tensor<2>, targets: Targets, weights: Tensor<1>) -> Tensor<1>;
}

/// Weighs the losses `[rows, outputs]`: mean over outputs, weighted sum over rows.
fn weighted(losses: Tensor<2>, weights: Tensor<1>) -> Tensor<1> {
    let [rows, outputs] = losses.dims();
    let per_row: Tensor<1> = losses.sum_dim(1).reshape([rows]);
    (per_row * weights).sum() / outputs as f64
}

impl Loss {
    /// Reads a loss at key `path`, one of `allowed` (kinds that suit the output, the first being the default).
    pub fn read(section: &Section, path: &str, allowed: &[&str], problems: &mut Problems) -> Self {
        let default = allowed.first().copied().unwrap_or("mean_squared_error");
        let kind = section.kind_or(default);
        let fallback = |problems: &mut Problems| {
            let empty = Section::default();
            let mut reader = empty.reader(path, problems);
            Self::read_kind(default, &mut reader)
                .unwrap_or(Self::MeanSquaredError(MeanSquaredError::default()))
        };
        if !Self::KINDS.contains(&kind) {
            problems.push(Self::unknown(section));
            return fallback(problems);
        }
        if !allowed.contains(&kind) {
            let message = format!("loss `{kind}` does not suit `{}`", path.trim_end_matches(".loss"));
            let hint = format!("possible here: {}", outset_spec::problem::quote_list(allowed));
            problems.push(Problem::new(message).at(section.kind_place.as_ref()).hint(hint));
            return fallback(problems);
        }
        let mut reader = section.reader(path, problems);
        let loss = Self::read_kind(kind, &mut reader);
        reader.finish();
        loss.unwrap_or_else(|| fallback(problems))
    }

    /// Settles class weights once the classes and their shares in train are known.
    ///
    /// # Errors
    /// A weight for a class that does not exist.
    pub fn settle(&mut self, classes: &[String], shares: &[f64]) -> Result<(), Problem> {
        match self {
            Self::CrossEntropy(loss) => loss.class_weights.settle(classes, shares),
            Self::Focal(loss) => loss.class_weights.settle(classes, shares),
            _ => Ok(()),
        }
    }

    /// Spreads a share of the target over all classes, where the loss is one of classes that can.
    pub fn smooth(&mut self, share: f64) {
        if let Self::CrossEntropy(loss) = self {
            loss.label_smoothing = share;
        }
    }

    /// The loss of a batch, differentiable in `predictions`.
    ///
    /// `predictions` are `[rows, outputs]` (logits for categories and sets), `weights` one number a row that sum to 1.
    pub fn forward(&self, predictions: Tensor<2>, targets: Targets, weights: Tensor<1>) -> Tensor<1> {
        self.part().forward(predictions, targets, weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use outset_spec::{Setting, Table};

    const CATEGORY: &[&str] = &["cross_entropy", "focal"];

    fn check(text: &str) -> (Loss, String) {
        let table = Table::parse("x.toml", text).unwrap();
        let section = match table.get("loss") {
            None => Section::default(),
            Some(node) => <Section as Setting>::from_node(node).unwrap(),
        };
        let mut problems = Problems::default();
        let loss = Loss::read(&section, "outputs.y.loss", CATEGORY, &mut problems);
        let text = problems.iter().map(|p| format!("{}; {}", p.message, p.hint.as_deref().unwrap_or("")));
        (loss, text.collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn the_first_suitable_kind_is_the_default() {
        let (loss, problems) = check("");
        assert_eq!((loss.kind(), problems.as_str()), ("cross_entropy", ""));
        let (loss, problems) = check("loss = { kind = 'focal', gamma = 1 }");
        assert_eq!((loss.kind(), problems.as_str()), ("focal", ""));
    }

    #[test]
    fn kinds_that_do_not_exist_or_suit_are_named() {
        let (loss, problems) = check("loss = 'cross_entropi'");
        assert_eq!(loss.kind(), "cross_entropy");
        assert_eq!(
            problems,
            "unknown loss `cross_entropi`; did you mean `cross_entropy`? `outset list losses` shows all"
        );
        let (_, problems) = check("loss = { kind = 'huber', delta = 2.0 }");
        assert_eq!(
            problems,
            "loss `huber` does not suit `outputs.y`; possible here: `cross_entropy`, `focal`"
        );
        let (_, problems) = check("loss = { label_smoothing = 2 }");
        assert_eq!(problems, "`outputs.y.loss.label_smoothing` is `2`, but must be from 0 to 1; ");
        let (_, problems) = check("loss = { class_weights = 'even' }");
        assert_eq!(
            problems,
            "`outputs.y.loss.class_weights` is `\"even\"`, but must be `\"none\"`, `\"balanced\"` or a weight of at least 0 by class; "
        );
    }

    #[test]
    fn class_weights_are_settled_by_name_or_share() {
        let settle = |text: &str| {
            let (mut loss, problems) = check(text);
            assert_eq!(problems, "");
            loss.settle(&["no".into(), "yes".into()], &[0.8, 0.2]).map(|()| match loss {
                Loss::CrossEntropy(loss) => loss.class_weights.values().map(<[f64]>::to_vec),
                _ => None,
            })
        };
        assert_eq!(settle(""), Ok(None));
        assert_eq!(settle("loss = { class_weights = 'balanced' }"), Ok(Some(vec![0.625, 2.5])));
        assert_eq!(settle("loss = { class_weights = { yes = 3 } }"), Ok(Some(vec![1.0, 3.0])));
        let problem = settle("loss = { class_weights = { yess = 3 } }").unwrap_err();
        assert_eq!(problem.message, "unknown class `yess`");
        assert_eq!(problem.hint.as_deref(), Some("did you mean `yes`?"));
        assert!(problem.place.is_some());
    }

    #[test]
    fn what_is_written_is_read_alike() {
        for kind in Loss::KINDS {
            let mut problems = Problems::default();
            let loss = Loss::read(&Section::of(kind), "outputs.y.loss", Loss::KINDS, &mut problems);
            assert_eq!(Loss::read(&loss.to_section(), "outputs.y.loss", Loss::KINDS, &mut problems), loss);
            assert_eq!(problems, Problems::default());
        }
    }

    /// Rows of classes of weight 0 only must give no loss, not an undefined one.
    #[test]
    fn nothing_that_counts_is_no_loss() {
        let device = Device::flex().autodiff();
        for kind in ["cross_entropy", "focal"] {
            for smoothing in ["", ", label_smoothing = 0.1"].iter().take(if kind == "focal" { 1 } else { 2 })
            {
                let text =
                    format!("loss = {{ kind = '{kind}', class_weights = {{ no = 0, yes = 1 }}{smoothing} }}");
                let (mut loss, _) = check(&text);
                loss.settle(&["no".into(), "yes".into()], &[0.5, 0.5]).unwrap();
                let predictions = Tensor::<2>::from_floats([[1.0, 2.0], [0.5, 0.0]], &device).require_grad();
                let classes = Targets::Classes(Tensor::from_ints([0, 0], &device));
                let weights = Tensor::<1>::from_floats([0.5, 0.5], &device);
                let value = loss.forward(predictions.clone(), classes, weights);
                assert_eq!(value.clone().into_scalar::<f32>(), 0.0, "{text}");
                let gradients = value.backward();
                let gradient = predictions.grad(&gradients).unwrap().into_data();
                assert!(gradient.iter::<f32>().all(|slope| slope == 0.0), "{text}");
            }
        }
    }
}
