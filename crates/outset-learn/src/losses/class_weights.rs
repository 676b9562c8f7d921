//! How much each class counts.

use burn::tensor::{Int, Tensor, TensorData};
use indexmap::IndexMap;
use outset_spec::problem::{Place, Problem, unknown};
use outset_spec::{Node, Setting, Table, Value};

/// How much each class counts: `"none"`, `"balanced"` (as if classes were equally frequent) or by name.
///
/// `"balanced"` gives a class `rows / (classes × rows of the class)`, as scikit-learn does; a class that is not named has
/// weight 1. Names become numbers with [`ClassWeights::settle`].
#[derive(Clone, Debug, Default)]
pub struct ClassWeights {
    choice: Choice,
    settled: Vec<f64>,
    place: Option<Place>,
}

/// Two are equal if they say the same, wherever they stand.
impl PartialEq for ClassWeights {
    fn eq(&self, other: &Self) -> bool {
        self.choice == other.choice && self.settled == other.settled
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
enum Choice {
    #[default]
    None,
    Balanced,
    Each(IndexMap<String, f64>),
}

impl ClassWeights {
    /// Fixed weights by class.
    pub fn of(weights: Vec<f64>) -> Self {
        Self { settled: weights, ..Self::default() }
    }

    /// Turns names and shares of the rows into one weight a class.
    ///
    /// # Errors
    /// A weight for a class that does not exist.
    pub fn settle(&mut self, classes: &[String], shares: &[f64]) -> Result<(), Problem> {
        self.settled = match &self.choice {
            Choice::None => return Ok(()),
            Choice::Balanced => shares
                .iter()
                .map(|&share| if share > 0.0 { 1.0 / (shares.len() as f64 * share) } else { 1.0 })
                .collect(),
            Choice::Each(weights) => {
                if let Some(name) = weights.keys().find(|name| !classes.contains(name)) {
                    let known: Vec<&str> = classes.iter().map(String::as_str).collect();
                    return Err(unknown("class", name, &known, self.place.as_ref()));
                }
                classes.iter().map(|class| weights.get(class).copied().unwrap_or(1.0)).collect()
            }
        };
        Ok(())
    }

    /// The weight of every class, `None` if all count alike.
    pub fn values(&self) -> Option<&[f64]> {
        (!self.settled.is_empty()).then_some(self.settled.as_slice())
    }

    /// The weights as a row `[1, classes]` on the device of `like`.
    pub(super) fn row(&self, like: &Tensor<2>) -> Option<Tensor<2>> {
        let values: Vec<f32> = self.values()?.iter().map(|&weight| weight as f32).collect();
        let shape = [1, values.len()];
        Some(Tensor::from_data(TensorData::new(values, shape), &like.device()))
    }

    /// Multiplies the rows' weights by their class's and makes them sum to what they did.
    pub(super) fn weigh(&self, weights: Tensor<1>, classes: &Tensor<1, Int>, like: &Tensor<2>) -> Tensor<1> {
        match self.row(like) {
            None => weights,
            Some(row) => {
                let of_target = pick(row, classes);
                weights.clone() * of_target.clone() * rescale(weights, of_target)
            }
        }
    }

    /// Does as [`ClassWeights::weigh`] does, but leaves the class's own weight to each class's term.
    pub(super) fn divide(&self, weights: Tensor<1>, classes: &Tensor<1, Int>, like: &Tensor<2>) -> Tensor<1> {
        match self.row(like) {
            None => weights,
            Some(row) => weights.clone() * rescale(weights, pick(row, classes)),
        }
    }
}

/// The weight of each row's class.
fn pick(row: Tensor<2>, classes: &Tensor<1, Int>) -> Tensor<1> {
    let num_classes = row.dims()[1];
    row.reshape([num_classes]).select(0, classes.clone())
}

/// The sum of the weights over their sum with class weights; nothing counts where only classes of weight 0 came together.
fn rescale(weights: Tensor<1>, of_target: Tensor<1>) -> Tensor<1> {
    let divisor = (weights.clone() * of_target).sum();
    let counts = divisor.clone().greater_elem(0.0).float();
    weights.sum() / divisor.clamp_min(f32::MIN_POSITIVE) * counts
}

impl Setting for ClassWeights {
    const EXPECTED: &'static str = "`\"none\"`, `\"balanced\"` or a weight of at least 0 by class";

    fn from_node(node: &Node) -> Result<Self, String> {
        let choice = match &node.value {
            Value::String(word) if word == "none" => Choice::None,
            Value::String(word) if word == "balanced" => Choice::Balanced,
            Value::Table(table) => {
                let weights: Result<IndexMap<String, f64>, String> = table
                    .0
                    .iter()
                    .map(|(class, entry)| match f64::from_node(&entry.node) {
                        Ok(weight) if weight >= 0.0 => Ok((class.clone(), weight)),
                        _ => Err(String::new()),
                    })
                    .collect();
                let weights = weights?;
                if !weights.is_empty() && weights.values().all(|&weight| weight == 0.0) {
                    return Err("but some class must count".to_owned());
                }
                Choice::Each(weights)
            }
            _ => return Err(String::new()),
        };
        Ok(Self { choice, settled: Vec::new(), place: node.place.clone() })
    }

    fn to_value(&self) -> Option<Value> {
        Some(match &self.choice {
            Choice::None => "none".into(),
            Choice::Balanced => "balanced".into(),
            Choice::Each(weights) => {
                let mut table = Table::default();
                for (class, &weight) in weights {
                    table.put(class, weight);
                }
                Value::Table(table)
            }
        })
    }
}
