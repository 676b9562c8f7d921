//! The search space: which keys are tried, and with what.

use crate::prepare::Prepared;
use outset_spec::{Node, Problem, Problems, Table, Value as Toml, write_key};
use serde_json::Value;
use std::collections::BTreeMap;

/// A key that is searched over.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// `train.optimizer.learning_rate`, as TOML writes it.
    pub key: String,
    pub domain: Domain,
    /// The key counts only where each of these keys has one of the values.
    pub when: Vec<(String, Vec<Value>)>,
}

/// What a key may be.
#[derive(Clone, Debug, PartialEq)]
pub enum Domain {
    Choice(Vec<Value>),
    /// Numbers, evenly by their logarithms where `log` says so.
    Real {
        low: f64,
        high: f64,
        log: bool,
    },
    /// Whole numbers.
    Whole {
        low: i64,
        high: i64,
        log: bool,
    },
}

/// The settings of one trial, by key.
pub type Settings = BTreeMap<String, Value>;

/// Reads `tune.space`; keys may be written in one string or as nested tables.
pub fn read(node: &Node, problems: &mut Problems) -> Vec<Parameter> {
    let mut space = Vec::new();
    let Toml::Table(table) = &node.value else {
        problems.push(Problem::new("`tune.space` must be a table").at(node.place.as_ref()));
        return space;
    };
    collect("", table, &mut space, problems);
    ordered(space, problems)
}

/// The parameters, each after those that it hangs on.
fn ordered(mut rest: Vec<Parameter>, problems: &mut Problems) -> Vec<Parameter> {
    let mut space = Vec::new();
    while !rest.is_empty() {
        let hangs = |parameter: &Parameter| {
            rest.iter().any(|other| parameter.when.iter().any(|(key, _)| *key == other.key))
        };
        let Some(next) = rest.iter().position(|parameter| !hangs(parameter)) else {
            problems
                .push(Problem::new(format!("`tune.space` of `{}` hangs on itself by `when`", rest[0].key)));
            break;
        };
        space.push(rest.remove(next));
    }
    space
}

/// The parts of a key: `inputs."a b".encoder` has three.
pub fn parts(key: &str) -> Vec<String> {
    let plain = || key.split('.').map(str::to_owned).collect();
    if !key.contains(['"', '\'']) {
        return plain();
    }
    let Ok(mut table) = Table::parse("key", &format!("{key} = 0\n")) else { return plain() };
    let mut parts = Vec::new();
    while let Some((name, entry)) = table.0.into_iter().next() {
        parts.push(name);
        let Toml::Table(inner) = entry.node.value else { break };
        table = inner;
    }
    parts
}

/// A key whose parts are quoted where TOML wants it.
fn written(key: &str) -> String {
    parts(key).iter().map(|part| write_key(part)).collect::<Vec<_>>().join(".")
}

fn collect(path: &str, table: &Table, space: &mut Vec<Parameter>, problems: &mut Problems) {
    for (name, entry) in &table.0 {
        let key = below(path, name);
        let Toml::Table(inner) = &entry.node.value else {
            problems.push(expected(&key, &entry.node));
            continue;
        };
        if ["choice", "range", "log"].iter().all(|word| inner.get(word).is_none()) {
            collect(&key, inner, space, problems);
            continue;
        }
        match domain(inner) {
            Some(domain) => {
                let mut when = Vec::new();
                match inner.get("when") {
                    None => {}
                    Some(Node { value: Toml::Table(conditions), .. }) => {
                        collect_conditions("", conditions, &mut when, problems);
                    }
                    Some(node) => problems.push(expected_conditions(&key, node)),
                }
                space.push(Parameter { key, domain, when });
            }
            None => problems.push(expected(&key, &entry.node)),
        }
    }
}

/// A key below another.
fn below(path: &str, name: &str) -> String {
    match path {
        "" => written(name),
        // The dots in a column's name part nothing.
        "inputs" | "outputs" => format!("{path}.{}", write_key(name)),
        _ => format!("{path}.{}", written(name)),
    }
}

/// Reads `when`, whose keys may be written in one string or as nested tables too.
fn collect_conditions(
    path: &str,
    table: &Table,
    when: &mut Vec<(String, Vec<Value>)>,
    problems: &mut Problems,
) {
    for (name, entry) in &table.0 {
        let key = below(path, name);
        let values = match &entry.node.value {
            Toml::Table(inner) => {
                collect_conditions(&key, inner, when, problems);
                continue;
            }
            Toml::Array(items) => items.iter().map(|item| json(&item.value)).collect(),
            value => json(value).map(|value| vec![value]),
        };
        match values.filter(|values: &Vec<Value>| !values.is_empty()) {
            Some(values) => when.push((key, values)),
            None => problems.push(expected_conditions(&key, &entry.node)),
        }
    }
}

fn expected_conditions(key: &str, node: &Node) -> Problem {
    Problem::new(format!("`when` of `{key}` must be keys with a value, or a list of values, for each"))
        .at(node.place.as_ref())
        .hint("`when = { \"model.kind\" = \"mlp\" }` ties a key to others")
}

fn expected(key: &str, node: &Node) -> Problem {
    Problem::new(format!(
        "`tune.space` of `{key}` must be `{{ choice = [64, 128] }}`, `{{ range = [0.0, 0.5] }}` or `{{ log = [1e-4, 1e-1] }}`"
    ))
    .at(node.place.as_ref())
    .hint("whole numbers at both ends give whole numbers; `when = { \"model.kind\" = \"mlp\" }` ties a key to others")
}

fn domain(table: &Table) -> Option<Domain> {
    let known = ["choice", "range", "log", "when"];
    let words: Vec<&str> = table.0.keys().map(String::as_str).filter(|word| *word != "when").collect();
    if words.len() != 1 || !known.contains(&words[0]) {
        return None;
    }
    let Toml::Array(items) = &table.get(words[0])?.value else { return None };
    if words[0] == "choice" {
        let values: Vec<Value> = items.iter().filter_map(|item| json(&item.value)).collect();
        return (values.len() == items.len() && !values.is_empty()).then_some(Domain::Choice(values));
    }
    let log = words[0] == "log";
    match items.iter().map(|item| &item.value).collect::<Vec<_>>()[..] {
        [Toml::Integer(low), Toml::Integer(high)] if low < high && (!log || *low > 0) => {
            Some(Domain::Whole { low: *low, high: *high, log })
        }
        [low, high] => {
            let (low, high) = (number(low)?, number(high)?);
            (low < high && (!log || low > 0.0)).then_some(Domain::Real { low, high, log })
        }
        _ => None,
    }
}

fn number(value: &Toml) -> Option<f64> {
    match value {
        Toml::Integer(value) => Some(*value as f64),
        Toml::Float(value) => Some(*value),
        _ => None,
    }
}

/// A plain value as JSON.
fn json(value: &Toml) -> Option<Value> {
    Some(match value {
        Toml::Boolean(value) => (*value).into(),
        Toml::Integer(value) => (*value).into(),
        Toml::Float(value) => (*value).into(),
        Toml::String(value) => value.as_str().into(),
        _ => return None,
    })
}

/// The space where the file gives none: what matters most for the network at hand, round its own settings.
pub fn default_space(prepared: &Prepared) -> Vec<Parameter> {
    let table = prepared.experiment.to_table().to_json();
    let at = |key: &str| at(&table, key);
    let real = |key: &str, low: f64, high: f64, log: bool| Parameter {
        key: key.to_owned(),
        domain: Domain::Real { low, high, log },
        when: Vec::new(),
    };
    let whole = |key: &str, low: i64, high: i64, log: bool| Parameter {
        key: key.to_owned(),
        domain: Domain::Whole { low, high, log },
        when: Vec::new(),
    };
    let about = |key: &str, size: i64| Parameter {
        key: key.to_owned(),
        domain: Domain::Choice([size / 2, size, size * 2].map(Value::from).to_vec()),
        when: Vec::new(),
    };
    let mut space = Vec::new();
    if let Some(rate) = at("train.optimizer.learning_rate").and_then(Value::as_f64) {
        space.push(real("train.optimizer.learning_rate", rate / 10.0, rate * 10.0, true));
    }
    if at("train.optimizer.weight_decay").is_some() {
        space.push(real("train.optimizer.weight_decay", 1e-5, 0.3, true));
    }
    // What encoders make of texts and pictures may go to the outputs without a layer between.
    if at("model.num_layers").and_then(Value::as_i64).is_some_and(|layers| layers > 0) {
        if at("model.hidden_size").is_some() {
            space.push(whole("model.hidden_size", 32, 512, true));
        }
        space.push(whole("model.num_layers", 1, 5, false));
        if at("model.dropout").is_some() {
            space.push(real("model.dropout", 0.0, 0.5, false));
        }
    }
    for (name, section) in prepared.experiment.inputs.iter().flatten() {
        if !["text", "image"].contains(&section.kind.as_str()) {
            continue;
        }
        let encoder = format!("inputs.{}.encoder", write_key(name));
        for size in ["embedding_size", "filters", "hidden_size", "width"] {
            let key = format!("{encoder}.{size}");
            // Half of it still has room for all heads of an attention.
            if let Some(size) = at(&key).and_then(Value::as_i64).filter(|size| size % 16 == 0) {
                space.push(about(&key, size));
            }
        }
        for (word, most) in [("dropout", 0.7), ("drop_path", 0.3)] {
            let key = format!("{encoder}.{word}");
            if at(&key).is_some() {
                space.push(real(&key, 0.0, most, false));
            }
        }
    }
    if let Some(size) = at("train.batch_size").and_then(Value::as_i64).filter(|size| *size >= 16)
        && !prepared.recipe.optimizer.full_batch()
    {
        space.push(about("train.batch_size", size));
    }
    space
}

/// Settings made key by key; a key that does not count beside those before it is left out, and so is one without a value.
pub fn counting(
    space: &[Parameter],
    resolved: &Value,
    choose: impl Fn(&Parameter) -> Option<Value>,
) -> Settings {
    let mut settings = Settings::new();
    for parameter in space {
        if parameter.is_active(&settings, resolved)
            && let Some(value) = choose(parameter)
        {
            settings.insert(parameter.key.clone(), value);
        }
    }
    settings
}

/// Whether a value is among others, however its number is written.
pub fn has(values: &[Value], value: &Value) -> bool {
    let is_same = |other: &Value| match (other.as_f64(), value.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => other == value,
    };
    values.iter().any(is_same)
}

/// The value of a key like `train.optimizer.learning_rate`.
pub fn at<'a>(table: &'a Value, key: &str) -> Option<&'a Value> {
    parts(key).iter().try_fold(table, |value, part| value.get(part))
}

impl Parameter {
    /// Whether the key counts beside these settings, those that are not searched over standing in `resolved`.
    pub fn is_active(&self, settings: &Settings, resolved: &Value) -> bool {
        self.when.iter().all(|(key, values)| {
            settings.get(key).or_else(|| at(resolved, key)).is_some_and(|value| has(values, value))
        })
    }

    /// Coordinates in the unit cube: one for a number, one for each choice.
    pub fn width(&self) -> usize {
        match &self.domain {
            Domain::Choice(values) => values.len(),
            _ => 1,
        }
    }

    /// Writes a value into its coordinates; the middle where the key does not count.
    pub fn encode(&self, value: Option<&Value>, out: &mut Vec<f64>) {
        match (&self.domain, value) {
            (Domain::Choice(values), value) => {
                out.extend(values.iter().map(|choice| if Some(choice) == value { 1.0 } else { 0.0 }));
            }
            (_, None) => out.push(0.5),
            (Domain::Real { low, high, log }, Some(value)) => {
                out.push(place(value.as_f64().unwrap_or(*low), *low, *high, *log));
            }
            (Domain::Whole { low, high, log }, Some(value)) => {
                out.push(place(value.as_f64().unwrap_or(0.0), *low as f64, *high as f64, *log));
            }
        }
    }

    /// The value at a place from 0 to 1.
    pub fn decode(&self, place: f64) -> Value {
        let between = |low: f64, high: f64, log: bool| {
            if log { (low.ln() + place * (high / low).ln()).exp() } else { low + place * (high - low) }
        };
        match &self.domain {
            Domain::Choice(values) => {
                values[((place * values.len() as f64) as usize).min(values.len() - 1)].clone()
            }
            Domain::Real { low, high, log } => between(*low, *high, *log).clamp(*low, *high).into(),
            Domain::Whole { low, high, log } => {
                (between(*low as f64, *high as f64, *log).round() as i64).clamp(*low, *high).into()
            }
        }
    }

    /// Values to check before the study begins, so that no trial trips over a setting: both ends, or every choice.
    pub fn extremes(&self) -> Vec<Value> {
        match &self.domain {
            Domain::Choice(values) => values.clone(),
            _ => vec![self.decode(0.0), self.decode(1.0)],
        }
    }

    /// The values of a grid with so many places for each number.
    pub fn grid(&self, places: usize) -> Vec<Value> {
        if let Domain::Choice(values) = &self.domain {
            return values.clone();
        }
        let mut values: Vec<Value> =
            (0..places).map(|place| self.decode(place as f64 / (places.max(2) - 1) as f64)).collect();
        values.dedup();
        values
    }
}

fn place(value: f64, low: f64, high: f64, log: bool) -> f64 {
    let place = if log { (value / low).ln() / (high / low).ln() } else { (value - low) / (high - low) };
    place.clamp(0.0, 1.0)
}

/// A setting as an assignment of the command line: `train.epochs=5`.
pub fn assignment(key: &str, value: &Value) -> String {
    match value {
        Value::Number(number) if number.is_f64() => format!("{key}={:?}", number.as_f64().unwrap_or(0.0)),
        value => format!("{key}={value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> (Vec<Parameter>, usize) {
        let table = Table::parse("x.toml", text).unwrap();
        let mut problems = Problems::default();
        let space = read(table.get("space").unwrap(), &mut problems);
        (space, problems.iter().count())
    }

    #[test]
    fn every_form_is_read() {
        let (space, problems) = check(
            "space.\"train.optimizer.learning_rate\" = { log = [1e-4, 1e-1] }\n\
             space.model.hidden_size = { choice = [64, 128] }\n\
             space.\"model.dropout\" = { range = [0.0, 0.5], when = { \"model.kind\" = \"mlp\" } }\n\
             space.\"train.epochs\" = { range = [2, 9] }\n",
        );
        assert_eq!(problems, 0);
        let keys: Vec<&str> = space.iter().map(|parameter| parameter.key.as_str()).collect();
        assert_eq!(
            keys,
            ["train.optimizer.learning_rate", "model.hidden_size", "model.dropout", "train.epochs"]
        );
        assert_eq!(space[3].domain, Domain::Whole { low: 2, high: 9, log: false });
        let resolved = serde_json::json!({ "model": { "kind": "linear" } });
        assert!(!space[2].is_active(&Settings::new(), &resolved));
        let mlp = Settings::from([("model.kind".to_owned(), "mlp".into())]);
        assert!(space[2].is_active(&mlp, &resolved));
    }

    #[test]
    fn conditions_are_read_in_every_form() {
        let resolved = serde_json::json!({ "model": { "kind": "mlp", "dropout": 0.0 } });
        let active = |when: &str| {
            let (space, problems) = check(&format!("space.a = {{ range = [1, 9], when = {when} }}\n"));
            assert_eq!(problems, 0, "{when}");
            space[0].is_active(&Settings::new(), &resolved)
        };
        assert!(active("{ \"model.kind\" = \"mlp\" }") && active("{ model.kind = [\"linear\", \"mlp\"] }"));
        assert!(!active("{ model = { kind = \"linear\" } }"));
        assert!(active("{ model.kind = \"mlp\", model.dropout = 0 }"), "0 is 0.0");
        for when in ["\"mlp\"", "{ model.kind = [] }", "{ a = [[1]] }"] {
            assert_eq!(check(&format!("space.a = {{ range = [1, 9], when = {when} }}\n")).1, 1, "{when}");
        }
    }

    #[test]
    fn a_key_comes_after_those_that_it_hangs_on() {
        let key = |name: &str, when: &str| {
            format!("space.\"{name}\" = {{ range = [0.0, 0.5], when = {{ {when} }} }}\n")
        };
        let (space, problems) =
            check(&[key("a", "\"b\" = 0.1"), key("b", "\"c\" = 0.2, \"d\" = 0.1"), key("c", "")].concat());
        assert_eq!(problems, 0);
        let keys: Vec<&str> = space.iter().map(|parameter| parameter.key.as_str()).collect();
        assert_eq!(keys, ["c", "b", "a"]);
        assert_eq!(check(&[key("a", "\"b\" = 0.1"), key("b", "\"a\" = 0.1")].concat()).1, 1);
    }

    #[test]
    fn names_of_columns_are_quoted_where_they_must_be() {
        let (space, _) = check(
            "space.inputs.\"a. b\".encoder.kind = { choice = [\"lstm\"] }\n\
             space.\"inputs.评论.encoder.kind\" = { choice = [\"lstm\"] }\n",
        );
        assert_eq!(space[0].key, "inputs.\"a. b\".encoder.kind");
        assert_eq!(parts(&space[0].key), ["inputs", "a. b", "encoder", "kind"]);
        assert_eq!(parts(&space[1].key), ["inputs", "评论", "encoder", "kind"]);
        let table = serde_json::json!({ "inputs": { "评论": { "encoder": { "kind": "gru" } } } });
        assert_eq!(at(&table, &space[1].key).unwrap(), "gru");
        let mut set = Table::default();
        set.set(&assignment(&space[1].key, &"lstm".into())).unwrap();
        assert_eq!(at(&set.to_json(), &space[1].key).unwrap(), "lstm");
    }

    #[test]
    fn slips_are_named() {
        for text in ["space.a = 3", "space.a = { log = [0.0, 1.0] }", "space.a = { range = [2, 1] }"] {
            assert_eq!(check(text).1, 1, "{text}");
        }
    }

    #[test]
    fn values_and_places_agree() {
        for (low, high, log) in [(1e-4, 1e-1, true), (-2.0, 5.0, false)] {
            let parameter =
                Parameter { key: "x".into(), domain: Domain::Real { low, high, log }, when: vec![] };
            for place in [0.0, 0.3, 1.0] {
                let mut found = Vec::new();
                parameter.encode(Some(&parameter.decode(place)), &mut found);
                assert!((found[0] - place).abs() < 1e-9, "{found:?} {place}");
            }
        }
    }
}
