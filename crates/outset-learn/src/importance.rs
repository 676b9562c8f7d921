//! Permutation importance: how much worse the answers become when one input's values are shuffled (Breiman 2001,
//! <https://doi.org/10.1023/A:1010933404324>).

use crate::evaluate::{Truth, TruthValues};
use crate::network::Network;
use crate::order::shuffled;
use crate::recipe::Objective;
use crate::train::Examples;
use burn::tensor::Device;
use outset_data::{Features, TokenParts};

/// Rows of val that are looked at, at most.
const ROWS: usize = 1000;

/// Inputs that are looked at, at most.
const INPUTS: usize = 100;

/// For each input how much the objective worsens on val when its values are shuffled among the rows.
///
/// Larger is more important, whichever way the objective points.
pub fn importance(
    network: &Network,
    examples: &Examples<'_>,
    objective: &Objective,
    seed: u64,
    device: &Device,
) -> Vec<f64> {
    let count = examples.val.len().min(ROWS);
    let rows: Vec<u32> =
        (0..count).map(|index| examples.val[index * examples.val.len() / count.max(1)]).collect();
    let mut features: Vec<Features> =
        examples.features.iter().map(|features| rearranged(features, &rows)).collect();
    let places: Vec<u32> = (0..count as u32).collect();
    let value = |features: &[Features]| {
        let answers = network.answers(features, &places, device);
        examples
            .truths
            .iter()
            .zip(answers)
            .enumerate()
            .filter(|(index, _)| objective.output.is_none_or(|output| output == *index))
            .map(|(_, (truth, answers))| {
                worse(truth, &rows, truth.natural(answers), objective, examples.weights)
            })
            .sum::<f64>()
    };
    let whole = value(&features);
    (0..features.len().min(INPUTS))
        .map(|input| {
            let order = shuffled(&places, seed, input);
            let mixed = rearranged(&features[input], &order);
            let original = std::mem::replace(&mut features[input], mixed);
            let shuffled = value(&features);
            features[input] = original;
            shuffled - whole
        })
        .collect()
}

/// A measure of the answers that is larger when they are worse; of several outputs, one that can be added up.
fn worse(
    truth: &Truth,
    rows: &[u32],
    answers: Vec<f64>,
    objective: &Objective,
    weights: Option<&[f32]>,
) -> f64 {
    let metrics = truth.metrics(rows, &answers, weights);
    let of = |metric: &str| metrics.get(metric).copied().unwrap_or(0.0);
    match (objective.output, &truth.values) {
        (Some(_), _) if objective.higher_is_better => -of(&objective.metric),
        (Some(_), _) => of(&objective.metric),
        (None, TruthValues::Number(_)) => of("rmse") / truth.scale,
        (None, TruthValues::Tags { .. }) => 1.0 - of("token_accuracy"),
        (None, _) => of("log_loss"),
    }
}

/// The features of the given rows, in their order.
pub(crate) fn rearranged(features: &Features, rows: &[u32]) -> Features {
    match features {
        Features::Numeric { width, values } => Features::Numeric {
            width: *width,
            values: rows
                .iter()
                .flat_map(|row| &values[*row as usize * width..(*row as usize + 1) * width])
                .copied()
                .collect(),
        },
        Features::Image(pixels) => {
            Features::Image(rows.iter().map(|row| pixels[*row as usize].clone()).collect())
        }
        Features::Index(classes) => Features::Index(rows.iter().map(|row| classes[*row as usize]).collect()),
        Features::Indices { offsets, indices } => {
            let (mut starts, mut picked) = (vec![0], Vec::new());
            for row in rows {
                let row = *row as usize;
                picked.extend_from_slice(&indices[offsets[row] as usize..offsets[row + 1] as usize]);
                starts.push(picked.len() as u32);
            }
            Features::Indices { offsets: starts, indices: picked }
        }
        Features::Weighted { offsets, indices, weights } => {
            let (mut starts, mut picked, mut weighed) = (vec![0], Vec::new(), Vec::new());
            for row in rows {
                let range = offsets[*row as usize]..offsets[*row as usize + 1];
                picked.extend_from_slice(&indices[range.clone()]);
                weighed.extend_from_slice(&weights[range]);
                starts.push(picked.len());
            }
            Features::Weighted { offsets: starts, indices: picked, weights: weighed }
        }
        Features::Tokens { offsets, indices, parts } => {
            let (mut starts, mut picked) = (vec![0], Vec::new());
            let mut picked_parts =
                parts.as_ref().map(|_| TokenParts { offsets: vec![0], indices: Vec::new() });
            for row in rows {
                let tokens = offsets[*row as usize]..offsets[*row as usize + 1];
                if let (Some(parts), Some(picked)) = (parts, &mut picked_parts) {
                    let shift = picked.indices.len();
                    let (first, behind) = (parts.offsets[tokens.start], parts.offsets[tokens.end]);
                    picked.indices.extend_from_slice(&parts.indices[first..behind]);
                    let ends = &parts.offsets[tokens.start + 1..=tokens.end];
                    picked.offsets.extend(ends.iter().map(|end| shift + end - first));
                }
                picked.extend_from_slice(&indices[tokens]);
                starts.push(picked.len());
            }
            Features::Tokens { offsets: starts, indices: picked, parts: picked_parts }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_in_another_order() {
        let numbers = Features::Numeric { width: 2, values: vec![1.0, 2.0, 3.0, 4.0] };
        assert!(
            matches!(rearranged(&numbers, &[1, 0]), Features::Numeric { values, .. } if values == [3.0, 4.0, 1.0, 2.0])
        );
        let sets = Features::Indices { offsets: vec![0, 2, 2, 3], indices: vec![5, 6, 7] };
        let Features::Indices { offsets, indices } = rearranged(&sets, &[2, 1, 0]) else { panic!("a set") };
        assert_eq!((offsets, indices), (vec![0, 1, 1, 3], vec![7, 5, 6]));
        let tokens = Features::Tokens {
            offsets: vec![0, 2, 3],
            indices: vec![5, 6, 7],
            parts: Some(TokenParts { offsets: vec![0, 1, 1, 3], indices: vec![8, 9, 10] }),
        };
        let turned = Features::Tokens {
            offsets: vec![0, 1, 3],
            indices: vec![7, 5, 6],
            parts: Some(TokenParts { offsets: vec![0, 2, 3, 3], indices: vec![9, 10, 8] }),
        };
        assert_eq!(rearranged(&tokens, &[1, 0]), turned);
    }
}
