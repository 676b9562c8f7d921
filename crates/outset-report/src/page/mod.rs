//! The page: facts put into words and tables, and laid out by a template.

mod columns;
mod gallery;
mod outputs;
mod summary;
mod texts;
mod tune;

use std::fmt::Write;

use minijinja::{AutoEscape, Environment, HtmlEscape, Value, context};

use crate::ReportError;
use crate::format;
use crate::plots::{Plot, Subject};
use crate::run::Run;

/// A picture with its drawing for the page.
pub struct Figure<'a> {
    pub plot: &'a Plot<'a>,
    pub svg: String,
}

/// Lays out the whole page.
pub fn render(run: &Run, figures: &[Figure<'_>]) -> Result<String, ReportError> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_filter("shortened", |text: &str, limit: usize| format::shortened(text, limit));
    environment.add_filter("words", words);
    environment.add_template("report.html", include_str!("report.html"))?;
    let record = &run.record;
    let page = context! {
        css => include_str!("report.css"),
        name => summary::name(record),
        version => &record.version,
        state => summary::state(record),
        lead => summary::lead(record),
        reasons => summary::reasons(record),
        tiles => summary::tiles(run),
        test_note => summary::test_note(record),
        outputs => outputs::outputs(run, figures),
        gallery => gallery::gallery(run)?,
        texts => texts::texts(run),
        inputs => context! { figures => of(figures, Subject::Inputs) },
        data => columns::data(record),
        training => summary::training(record),
        training_figures => of(figures, Subject::Training),
        tune => tune::tune(run),
        tune_figures => of(figures, Subject::Tune),
        model => summary::model(record),
        timings => summary::timings(record),
        memory => (record.peak_memory_bytes > 0).then(|| format::bytes(record.peak_memory_bytes)),
        forecast => summary::forecast(record),
        environment => summary::environment(record),
        experiment => run.experiment.as_deref(),
    };
    Ok(environment.get_template("report.html")?.render(page)?)
}

/// A sentence with what stands in backticks set as code.
fn words(text: &str) -> Value {
    let pieces: Vec<&str> = text.split('`').collect();
    let mut html = String::new();
    for (index, piece) in pieces.iter().enumerate() {
        let escaped = HtmlEscape(piece);
        let _ = match (index % 2 == 1, pieces.len() % 2 == 1) {
            (true, true) => write!(html, "<code>{escaped}</code>"),
            // A backtick without a partner is a backtick.
            (_, false) if index > 0 => write!(html, "`{escaped}"),
            _ => write!(html, "{escaped}"),
        };
    }
    Value::from_safe_string(html)
}

/// The pictures of one subject, for the template.
fn of(figures: &[Figure<'_>], subject: Subject<'_>) -> Vec<Value> {
    let chosen = figures.iter().filter(|figure| figure.plot.subject == subject);
    let view = |figure: &Figure<'_>| {
        context! { title => &figure.plot.title, note => &figure.plot.note, svg => &figure.svg }
    };
    chosen.map(view).collect()
}

/// A whole number for the page; nothing for zero, which stands for unknown.
fn known(value: usize) -> Option<String> {
    (value > 0).then(|| format::count(value as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backticks_become_code_and_markup_text() {
        let check = |text: &str, expected: &str| assert_eq!(words(text).to_string(), expected);
        check("use `a<b` or `c`", "use <code>a&lt;b</code> or <code>c</code>");
        check("a lone ` & more", "a lone ` &amp; more");
        check("", "");
    }
}
