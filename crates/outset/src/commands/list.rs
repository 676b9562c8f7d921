//! `outset list`.

use super::Failure;
use crate::arguments::Listable;
use crate::examples;
use crate::printer::Printer;
use outset_data::types;
use outset_learn::{
    activations, combiner, decoders, encoders, initializers, losses, metrics, optimizers, schedules,
};
use outset_spec::{Field, Setting as _};

/// One thing that can be named, with its settings.
struct Entry {
    name: String,
    about: String,
    fields: Vec<Field>,
}

/// Lists the things of a kind, from the lists that the program itself works by.
pub fn list(kind: Listable, printer: &Printer) -> Result<(), Failure> {
    let entries = entries(kind);
    if printer.is_json() {
        for entry in &entries {
            let settings = described(&entry.fields);
            printer.object(
                &serde_json::json!({ "name": entry.name, "about": entry.about, "settings": settings }),
            );
        }
        return Ok(());
    }
    for entry in entries {
        printer.answer(&format!("{:<22} {}\n", entry.name, entry.about));
        write_fields(&entry.fields, 1, printer);
    }
    Ok(())
}

/// Settings as JSON, those of nested tables within.
fn described(fields: &[Field]) -> Vec<serde_json::Value> {
    let of = |field: &Field| {
        let mut setting = serde_json::json!({
            "name": field.name,
            "about": field.doc,
            "type": field.expected,
            "default": field.default,
        });
        if !field.fields.is_empty() {
            setting["settings"] = described(&field.fields).into();
        }
        setting
    };
    fields.iter().map(of).collect()
}

fn write_fields(fields: &[Field], depth: usize, printer: &Printer) {
    for field in fields {
        let about = field.doc.lines().next().unwrap_or_default();
        let default = match &field.default {
            Some(default) if field.fields.is_empty() => format!(" [{default}]"),
            _ => String::new(),
        };
        let name = format!("{}{}", "  ".repeat(depth), field.name);
        printer.answer(&format!("{name:<22} {about}{default}\n"));
        write_fields(&field.fields, depth + 1, printer);
    }
}

fn entries(kind: Listable) -> Vec<Entry> {
    let of = |list: Vec<(&'static str, &'static str, Vec<Field>)>| -> Vec<Entry> {
        list.into_iter()
            .map(|(name, about, fields)| Entry { name: name.to_owned(), about: first_line(about), fields })
            .collect()
    };
    let plain = |list: &[(&str, &str)]| -> Vec<Entry> {
        list.iter()
            .map(|(name, about)| Entry {
                name: (*name).to_owned(),
                about: first_line(about),
                fields: Vec::new(),
            })
            .collect()
    };
    let kinds = |list: &[outset_learn::kinds::Kind]| -> Vec<Entry> {
        list.iter()
            .map(|kind| Entry {
                name: kind.name.to_owned(),
                about: kind.about().to_owned(),
                fields: (kind.fields)(),
            })
            .collect()
    };
    match kind {
        Listable::Activations => plain(activations::Activation::ALL),
        Listable::Decoders => of(decoders::all()),
        Listable::Encoders => of(encoders::all()),
        Listable::Examples => plain(&examples::list()),
        Listable::Initializers => kinds(initializers::Initializer::ALL),
        Listable::Losses => kinds(losses::Loss::ALL),
        Listable::Metrics => {
            plain(&metrics::ALL.iter().map(|metric| (metric.name, metric.about)).collect::<Vec<_>>())
        }
        Listable::Models => of(combiner::all()),
        Listable::Optimizers => kinds(optimizers::Optimizer::ALL),
        Listable::Schedules => kinds(schedules::Schedule::ALL),
        Listable::Settings => [
            ("[data]", "Where the rows come from and how they are divided.", outset_spec::Data::fields()),
            ("[train]", "How the network is trained.", outset_spec::Train::fields()),
            (
                "[tune]",
                "How better settings are searched for; `space` names the keys and what they may be.",
                outset_learn::tune::settings::Settings::fields(),
            ),
            ("[bundle]", "What goes into the bundle.", outset_spec::experiment::Bundle::fields()),
        ]
        .into_iter()
        .map(|(name, about, fields)| Entry { name: name.to_owned(), about: about.to_owned(), fields })
        .collect(),
        Listable::Types => of(types::KINDS
            .iter()
            .map(|(kind, about)| (*kind, *about, types::ColumnSettings::fields(kind)))
            .collect()),
    }
}

fn first_line(text: &str) -> String {
    text.trim().lines().next().unwrap_or_default().trim().to_owned()
}
