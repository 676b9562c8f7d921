//! The data: its parts, what was left out, and column by column how the values lie.

use std::fmt::Write;

use minijinja::{Value, context};
use outset_spec::record::{ColumnRecord, RunRecord};

use super::known;
use crate::format;

/// Values that a column's list of the most frequent ones shows.
const MAX_TOP: usize = 5;

pub fn data(record: &RunRecord) -> Value {
    let data = &record.data;
    let total = data.parts.values().sum::<usize>().max(1);
    let parts = data.parts.iter().map(|(name, &rows)| {
        let share = rows as f64 / total as f64;
        let purpose = match name.as_str() {
            "train" => "the model learns from these",
            "val" => "picks the best epoch, warns of learning by heart",
            "test" => "judges the finished model",
            _ => "",
        };
        context! { name, purpose, share => format!("{share:.4}"), percent => format::percent(share), rows => format::count(rows as u64) }
    });
    let dropped = data.dropped.iter().map(|dropped| {
        let rows: Vec<String> = dropped.rows.iter().take(8).map(|row| format::count(*row as u64)).collect();
        let more = if dropped.count > rows.len() && !rows.is_empty() { ", …" } else { "" };
        context! {
            reason => &dropped.reason,
            count => format::count(dropped.count as u64),
            rows => format!("{}{more}", rows.join(", ")),
        }
    });
    let files = data.files.iter().chain(&data.beside).map(|file| {
        context! {
            path => &file.path,
            format => &file.format,
            rows => known(file.rows),
            bytes => (file.bytes > 0).then(|| format::bytes(file.bytes)),
            sha256 => &file.sha256,
        }
    });
    context! {
        known => data.rows > 0 || !data.parts.is_empty() || !data.columns.is_empty() || !data.files.is_empty(),
        rows => format::count(data.rows.max(data.parts.values().sum()) as u64),
        parts => parts.collect::<Vec<_>>(),
        split => data.split.trim_end_matches('.'),
        duplicates => known(data.duplicates),
        dropped => dropped.collect::<Vec<_>>(),
        columns => columns(record),
        files => files.collect::<Vec<_>>(),
    }
}

/// Outputs, inputs, what else was used, and what was left out, each as a table.
fn columns(record: &RunRecord) -> Vec<Value> {
    let groups: [(&str, &[&str]); 4] = [
        ("What comes out", &["output"]),
        ("What goes in", &["input"]),
        ("Columns with another part to play", &["weight", "split", "group", "time"]),
        ("Columns left out", &["left out"]),
    ];
    let named: Vec<&str> = groups.iter().flat_map(|(_, roles)| roles.iter().copied()).collect();
    let mut tables = Vec::new();
    for (title, roles) in groups {
        let is_other = roles[0] == "weight";
        let columns: Vec<&ColumnRecord> = record
            .data
            .columns
            .iter()
            .filter(|column| {
                roles.contains(&column.role.as_str()) || (is_other && !named.contains(&column.role.as_str()))
            })
            .collect();
        if columns.is_empty() {
            continue;
        }
        let has_kind = columns.iter().any(|column| !column.kind.is_empty());
        let has_values = columns.iter().any(|column| column.summary.is_some() || !column.top.is_empty());
        let title = if columns.len() > 1 { format!("{title} ({})", columns.len()) } else { title.to_owned() };
        let views: Vec<Value> = columns.iter().map(|column| view(record, column, is_other)).collect();
        tables.push(context! { title, has_kind, has_values, columns => views });
    }
    tables
}

fn view(record: &RunRecord, column: &ColumnRecord, with_role: bool) -> Value {
    let rows = record.data.rows.max(1);
    let share = column.missing as f64 / rows as f64;
    let most = column.top.first().map_or(1, |(_, count)| *count).max(1);
    let top = column.top.iter().take(MAX_TOP).map(|(value, count)| {
        let share = *count as f64 / most as f64 * 100.0;
        context! {
            name => format::shortened(value, 40),
            count => format::count(*count as u64),
            share => format!("{share:.1}"),
        }
    });
    let is_date = column.kind == "date";
    let summary = column
        .summary
        .filter(|_| !is_date)
        .map(|summary| [summary.min, summary.max, summary.median, summary.mean].map(format::number));
    context! {
        name => &column.name,
        role => with_role.then_some(column.role.as_str()),
        kind => &column.kind,
        missing => format::count(column.missing as u64),
        missing_share => (column.missing > 0).then(|| format::percent(share)),
        distinct => format::count(column.distinct as u64),
        spark => spark(&column.histogram),
        summary,
        unit => (column.kind == "text").then_some(" characters"),
        top => top.collect::<Vec<_>>(),
        reason => &column.reason,
        encoding => (!column.encoding.is_empty()).then_some(&column.encoding),
    }
}

/// The outline of a small histogram, 132 wide and 34 high; nothing if there is nothing to count.
fn spark(counts: &[usize]) -> Option<String> {
    let most = *counts.iter().max().filter(|&&most| most > 0)? as f64;
    let width = 132.0 / counts.len() as f64;
    let gap = if counts.len() > 40 { 0.0 } else { 0.6 };
    let mut path = String::new();
    for (index, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let (left, right) = (index as f64 * width, (index + 1) as f64 * width - gap);
        let top = 34.0 - (count as f64 / most * 33.0).max(1.0);
        let _ = write!(path, "M{left:.1} 34V{top:.1}H{right:.1}V34Z");
    }
    Some(path)
}
