//! Outputs with classes as questions that are answered by yes or no, from which curves are drawn.

use crate::format;
use crate::predictions::{Answers, Class, Predicted};
use crate::run::Run;
use crate::surface::Color;
use crate::surface::palette::SERIES;

/// One class against all others.
pub struct Question<'a> {
    pub name: &'a str,
    pub color: Color,
    class: &'a Class,
}

/// An output's questions: one for the positive class if there are two classes, else one a class, the most frequent first
/// and no more than there are colours.
pub fn questions<'a>(run: &'a Run, predicted: &'a Predicted) -> Vec<Question<'a>> {
    let Answers::Classes(classes) = &predicted.answers else { return Vec::new() };
    let details = run.record.details.get(&predicted.output);
    let is_set = details.is_some_and(|details| details.kind == "set");
    let usable = |class: &&Class| class.actual.contains(&true) && class.actual.contains(&false);
    let mut chosen: Vec<&Class> = classes.iter().filter(usable).collect();
    if classes.len() == 2 && !is_set {
        let positive = details.and_then(|details| details.positive.as_deref());
        let asked = chosen.iter().position(|class| Some(class.name.as_str()) == positive);
        chosen = chosen.into_iter().skip(asked.unwrap_or(1)).take(1).collect();
    } else if chosen.len() > SERIES.len() {
        chosen.sort_by_key(|class| std::cmp::Reverse(class.actual.iter().filter(|&&is| is).count()));
        chosen.truncate(SERIES.len());
    }
    let colored = chosen.into_iter().zip(SERIES);
    colored.map(|(class, color)| Question { name: &class.name, color, class }).collect()
}

/// What the curves of an output show, as the end of a note; nothing if all classes are shown.
pub fn shown(predicted: &Predicted, questions: &[Question<'_>]) -> String {
    match (&predicted.answers, questions) {
        (Answers::Classes(classes), [question]) if classes.len() == 2 => {
            format!(" The class asked for is {}.", format::shortened(question.name, 60))
        }
        (Answers::Classes(classes), _) if classes.len() > questions.len() => {
            format!(" Of {} classes, the {} most frequent are shown.", classes.len(), questions.len())
        }
        _ => " Each class is asked for against all others.".into(),
    }
}

/// Counts above a threshold, from the highest threshold to the lowest.
pub struct Counts {
    /// Rows at or above the threshold that have the class, and that have it not.
    pub steps: Vec<(f64, f64)>,
    pub positives: f64,
    pub negatives: f64,
}

impl Question<'_> {
    /// Counts at every threshold, thinned to a few hundred.
    pub fn counts(&self) -> Counts {
        let pairs = self.class.probabilities.iter().copied().zip(self.class.actual.iter().copied());
        let mut pairs: Vec<(f32, bool)> = pairs.filter(|(probability, _)| !probability.is_nan()).collect();
        pairs.sort_by(|first, second| second.0.total_cmp(&first.0));
        let positives = pairs.iter().filter(|(_, is)| *is).count() as f64;
        let negatives = pairs.len() as f64 - positives;
        let apart = pairs.len() as f64 / 400.0;
        let mut steps = vec![(0.0, 0.0)];
        let (mut right, mut wrong, mut kept) = (0.0, 0.0, 0.0);
        for (index, (probability, is)) in pairs.iter().enumerate() {
            if *is {
                right += 1.0
            } else {
                wrong += 1.0
            }
            // Equal probabilities are decided together.
            let is_last = pairs.get(index + 1).is_none_or(|next| next.0 != *probability);
            let is_end = index + 1 == pairs.len();
            if is_last && (is_end || right + wrong - kept >= apart || right + wrong < 50.0) {
                steps.push((right, wrong));
                kept = right + wrong;
            }
        }
        Counts { steps, positives, negatives }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_probabilities_are_decided_together() {
        let class = Class {
            name: "a".into(),
            probabilities: vec![0.2, 0.9, 0.5, 0.5],
            actual: vec![false, true, true, false],
        };
        let counts = Question { name: "a", color: SERIES[0], class: &class }.counts();
        assert_eq!(counts.steps, [(0.0, 0.0), (1.0, 0.0), (2.0, 1.0), (2.0, 2.0)]);
        assert_eq!((counts.positives, counts.negatives), (2.0, 2.0));
    }
}
