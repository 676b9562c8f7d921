//! Metrics of tags, as the Python package `seqeval` counts them in strict mode.
//!
//! An entity is right if its first and last word and its type are; precision, recall and F1 are over all entities of the
//! rows together (<https://aclanthology.org/W03-0419>).

use super::{Score, Weights, share};
use indexmap::IndexMap;
use outset_data::types::tags::Entity;
use std::collections::HashSet;

/// Actual and predicted tags of one row, with their entities.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaggedRow {
    pub actual: Vec<Entity>,
    pub predicted: Vec<Entity>,
    /// Words or characters whose tag is right.
    pub right: usize,
    pub units: usize,
}

impl TaggedRow {
    /// Counts where two lists of tags agree; what is not answered is wrong.
    pub fn new(actual: &[u32], predicted: &[u32], entities: impl Fn(&[u32]) -> Vec<Entity>) -> Self {
        let right = actual.iter().zip(predicted).filter(|(actual, predicted)| actual == predicted).count();
        // Behind the end of the text there is nothing to find.
        let predicted = &predicted[..predicted.len().min(actual.len())];
        Self { actual: entities(actual), predicted: entities(predicted), right, units: actual.len() }
    }

    /// Entities that are right.
    pub fn hits(&self) -> usize {
        let actual: HashSet<&Entity> = self.actual.iter().collect();
        self.predicted.iter().filter(|entity| actual.contains(entity)).count()
    }

    /// Entities that are missed or made up, or words that are wrong where there are no entities.
    pub fn faults(&self) -> usize {
        let of_entities = self.actual.len() + self.predicted.len() - 2 * self.hits();
        if self.actual.is_empty() && self.predicted.is_empty() {
            self.units - self.right
        } else {
            of_entities
        }
    }
}

/// Metrics of predicted tags.
pub struct Tags {
    /// By row: entities that are right, actual and predicted ones, words that are right, and words.
    counts: Vec<[f64; 5]>,
    weights: Weights,
    plain: bool,
}

impl Tags {
    /// Prepares the rows; labels that are `plain` make no entities.
    pub fn new(rows: &[TaggedRow], plain: bool, weights: Option<&[f64]>) -> Self {
        let counts = rows
            .iter()
            .map(|row| {
                [row.hits(), row.actual.len(), row.predicted.len(), row.right, row.units]
                    .map(|count| count as f64)
            })
            .collect();
        Self { counts, weights: Weights::new(weights, rows.len()), plain }
    }
}

impl Score for Tags {
    fn rows(&self) -> usize {
        self.counts.len()
    }

    fn names(&self) -> &[&'static str] {
        let names = &["token_accuracy", "entity_f1", "entity_precision", "entity_recall"];
        if self.plain { &names[..1] } else { names }
    }

    fn values(&self, times: Option<&[u32]>, values: &mut [f64]) {
        let mut sums = [0.0; 5];
        for (row, counts) in self.counts.iter().enumerate() {
            let weight = self.weights.of(row, times);
            sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += weight * count);
        }
        let [hits, actual, predicted, right, units] = sums;
        let all = [
            if units > 0.0 { right / units } else { f64::NAN },
            share(2.0 * hits, actual + predicted),
            share(hits, predicted),
            share(hits, actual),
        ];
        values.iter_mut().zip(all).for_each(|(value, of_all)| *value = of_all);
    }
}

/// Precision, recall, F1 and number of actual entities by type.
pub fn per_type(rows: &[TaggedRow], types: &[String]) -> IndexMap<String, IndexMap<String, f64>> {
    let mut counts = vec![[0.0; 3]; types.len()];
    for row in rows {
        let actual: HashSet<&Entity> = row.actual.iter().collect();
        row.actual.iter().for_each(|entity| counts[entity.kind][1] += 1.0);
        for entity in &row.predicted {
            counts[entity.kind][2] += 1.0;
            counts[entity.kind][0] += f64::from(u8::from(actual.contains(entity)));
        }
    }
    let of_type = |(name, [hits, actual, predicted]): (&String, [f64; 3])| {
        let values = [
            ("precision", share(hits, predicted)),
            ("recall", share(hits, actual)),
            ("f1", share(2.0 * hits, actual + predicted)),
            ("entities", actual),
        ];
        (name.clone(), values.map(|(key, value)| (key.to_owned(), value)).into_iter().collect())
    };
    types.iter().zip(counts).map(of_type).collect()
}

/// Entities by actual type (rows) and predicted type (columns), with nothing as the last of both; an entity whose ends
/// differ counts as missed there and as made up here.
pub fn confusion(rows: &[TaggedRow], types: usize) -> Vec<Vec<usize>> {
    let mut matrix = vec![vec![0; types + 1]; types + 1];
    for row in rows {
        let at = |list: &[Entity], entity: &Entity| {
            list.iter()
                .find(|other| (other.start, other.end) == (entity.start, entity.end))
                .map(|other| other.kind)
        };
        for entity in &row.actual {
            matrix[entity.kind][at(&row.predicted, entity).unwrap_or(types)] += 1;
        }
        for entity in row.predicted.iter().filter(|entity| at(&row.actual, entity).is_none()) {
            matrix[types][entity.kind] += 1;
        }
    }
    matrix
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(start: usize, end: usize, kind: usize) -> Entity {
        Entity { start, end, kind }
    }

    fn rows() -> Vec<TaggedRow> {
        vec![
            TaggedRow {
                actual: vec![entity(0, 2, 0), entity(3, 4, 1)],
                predicted: vec![entity(0, 2, 0), entity(3, 4, 0), entity(5, 6, 1)],
                right: 4,
                units: 6,
            },
            TaggedRow { actual: vec![entity(1, 3, 1)], predicted: vec![entity(1, 2, 1)], right: 3, units: 4 },
        ]
    }

    #[test]
    fn by_hand() {
        let metrics = Tags::new(&rows(), false, None).metrics();
        assert_eq!((metrics["entity_precision"], metrics["entity_recall"]), (0.25, 1.0 / 3.0));
        assert!((metrics["entity_f1"] - 2.0 / 7.0).abs() < 1e-12);
        assert_eq!(metrics["token_accuracy"], 0.7);
        let weighted = Tags::new(&rows(), false, Some(&[1.0, 0.0])).metrics();
        assert_eq!(weighted["entity_f1"], 0.4);
        assert_eq!(Tags::new(&rows(), true, None).metrics().len(), 1);
        assert_eq!(rows().iter().map(TaggedRow::faults).collect::<Vec<_>>(), [3, 2]);
    }

    #[test]
    fn types_and_what_they_are_taken_for() {
        let table = per_type(&rows(), &["a".into(), "b".into()]);
        assert_eq!((table["a"]["precision"], table["a"]["recall"], table["b"]["f1"]), (0.5, 1.0, 0.0));
        assert_eq!(table["b"]["entities"], 2.0);
        assert_eq!(confusion(&rows(), 2), [vec![1, 0, 0], vec![1, 0, 1], vec![0, 2, 0]]);
    }

    #[test]
    fn answers_beyond_the_text_are_passed_over() {
        let every = |tags: &[u32]| -> Vec<Entity> {
            (0..tags.len())
                .filter(|place| tags[*place] > 0)
                .map(|place| entity(place, place + 1, 0))
                .collect()
        };
        let row = TaggedRow::new(&[], &[1], every);
        assert_eq!(row, TaggedRow::default());
        let row = TaggedRow::new(&[1, 0], &[1], every);
        assert_eq!((row.right, row.units, row.hits()), (1, 2, 1));
    }
}
