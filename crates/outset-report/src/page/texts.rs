//! The texts of a run, each word as strong as the answer hangs on it.

use minijinja::{Value, context};
use outset_spec::record::{Excerpts, TextRecord};

use crate::format;
use crate::run::Run;

/// Part of the largest fall below which a word is left plain.
const FAINT: f64 = 0.08;

/// Groups of texts for the template; nothing for a run without any.
pub fn texts(run: &Run) -> Option<Value> {
    let Excerpts { input, output, groups } =
        run.excerpts.as_ref().filter(|texts| !texts.groups.is_empty())?;
    let groups = groups.iter().map(|group| {
        let texts: Vec<Value> = group.texts.iter().map(view).collect();
        context! { title => &group.title, note => &group.note, texts => texts }
    });
    Some(context! { input, output, groups => groups.collect::<Vec<_>>() })
}

fn view(text: &TextRecord) -> Value {
    // Where no word moves the answer by as much as a hundredth, none stands out.
    let most = text.words.iter().map(|(_, fall)| fall.abs()).fold(0.01, f64::max);
    let words = text.words.iter().map(|(word, fall)| {
        let strength = fall.abs() / most;
        let side = if strength < FAINT {
            ""
        } else if *fall > 0.0 {
            "for"
        } else {
            "against"
        };
        let points = format!("{:+.1} points", fall * 100.0);
        context! { word, side, strength => format!("{:.0}", strength * 100.0), points }
    });
    context! {
        row => format::count(text.row as u64),
        actual => &text.actual,
        prediction => &text.prediction,
        wrong => text.actual != text.prediction,
        probability => text.probability.map(format::percent),
        words => words.collect::<Vec<_>>(),
        cut => text.cut,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_word_stands_out() {
        let text = TextRecord {
            words: vec![("good ".into(), 0.4), ("film".into(), -0.2), (".".into(), 0.001)],
            probability: Some(0.9),
            ..TextRecord::default()
        };
        let view = view(&text);
        let of = |index: usize, key: &str| {
            let words = view.get_attr("words").unwrap();
            words.get_item(&Value::from(index)).unwrap().get_attr(key).unwrap().to_string()
        };
        assert_eq!(
            (of(0, "side"), of(0, "strength"), of(0, "points")),
            ("for".into(), "100".into(), "+40.0 points".into())
        );
        assert_eq!((of(1, "side"), of(1, "strength")), ("against".into(), "50".into()));
        assert_eq!(of(2, "side"), "");
    }
}
