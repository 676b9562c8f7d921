//! How splits behave, checked from outside.

use super::*;
use crate::table::Cells;
use outset_spec::Split;

fn table(columns: impl IntoIterator<Item = (&'static str, Cells)>) -> Table {
    let columns: IndexMap<String, Cells> =
        columns.into_iter().map(|(name, cells)| (name.to_owned(), cells)).collect();
    let rows = columns.values().next().map_or(0, Cells::len);
    Table::new(columns, rows)
}

fn numbers(values: impl IntoIterator<Item = usize>) -> Cells {
    Cells::Number(values.into_iter().map(|value| value as f64).collect())
}

fn text<'a>(cells: impl IntoIterator<Item = &'a str>) -> Cells {
    Cells::Text(cells.into_iter().map(|cell| (!cell.is_empty()).then_some(cell)).collect())
}

fn columns(columns: &[(&str, &str)]) -> IndexMap<String, ColumnSettings> {
    columns.iter().map(|(name, kind)| ((*name).to_owned(), ColumnSettings::of(kind).unwrap())).collect()
}

fn by(by: SplitBy, column: &str) -> Split {
    Split { by: Some(by), column: (!column.is_empty()).then(|| column.to_owned()), ..Split::default() }
}

/// Splits a table whose input is `x` and whose output `y` is of the given type.
fn run(table: &Table, settings: &Split, kind: &str) -> Result<Splits, DataError> {
    split(table, settings, None, &columns(&[("x", "number")]), &columns(&[("y", kind)]))
}

fn counts(splits: &Splits) -> [usize; 3] {
    Part::ALL.map(|part| splits.rows(part).len())
}

fn check_error(table: &Table, settings: &Split, kind: &str, message: &str, hint: Option<&str>) {
    let error = run(table, settings, kind).unwrap_err();
    assert_eq!((error.to_string().as_str(), error.hint().as_deref()), (message, hint));
}

#[test]
fn random_parts_have_their_shares_and_repeat() {
    for rows in [10, 11, 57, 100, 1001] {
        let table = table([("x", numbers(0..rows)), ("y", numbers(0..rows))]);
        let splits = run(&table, &Split::default(), "number").unwrap();
        assert_eq!((splits.words.as_str(), splits.duplicates), ("random, seed 42", 0));
        for (count, share) in counts(&splits).into_iter().zip([0.8, 0.1, 0.1]) {
            assert!((count as f64 - share * rows as f64).abs() < 1.0, "{rows}: {:?}", counts(&splits));
        }
        assert_eq!(run(&table, &Split::default(), "number").unwrap(), splits);
        let other = run(&table, &Split { seed: 43, ..Split::default() }, "number").unwrap();
        assert_ne!(other.parts, splits.parts);
    }
}

#[test]
fn the_test_rows_of_a_seed_never_change() {
    let table = table([("x", numbers(0..20)), ("y", numbers(0..20))]);
    let splits = run(&table, &Split::default(), "number").unwrap();
    assert_eq!(
        (splits.rows(Part::Val), splits.rows(Part::Test)),
        (VAL_OF_SEED_42.to_vec(), TEST_OF_SEED_42.to_vec())
    );
}

const VAL_OF_SEED_42: [u32; 2] = [4, 18];
const TEST_OF_SEED_42: [u32; 2] = [10, 13];

#[test]
fn the_number_of_threads_does_not_matter() {
    let table = table([("x", numbers((0..5000).map(|i| i % 700))), ("y", numbers((0..5000).map(|i| i % 3)))]);
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let four = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    let split = || run(&table, &Split::default(), "category").unwrap();
    assert_eq!(one.install(split), four.install(split));
}

#[test]
fn stratified_parts_have_their_share_of_each_class() {
    for rows in [103, 500, 999] {
        let class = |row: usize| ["a", "b", "b", "c", "a", "a", "a"][row % 7];
        let table = table([("x", numbers(0..rows)), ("y", text((0..rows).map(class)))]);
        let splits = run(&table, &Split::default(), "category").unwrap();
        assert_eq!(splits.words, "stratified, seed 42");
        for wanted in ["a", "b", "c"] {
            let total = (0..rows).filter(|row| class(*row) == wanted).count();
            for (part, share) in Part::ALL.into_iter().zip([0.8, 0.1, 0.1]) {
                let count = splits.rows(part).iter().filter(|row| class(**row as usize) == wanted).count();
                assert!(
                    (count as f64 - share * total as f64).abs() < 1.0,
                    "{wanted} in {part:?}: {count} of {total}"
                );
            }
        }
        for (count, share) in counts(&splits).into_iter().zip([0.8, 0.1, 0.1]) {
            assert!((count as f64 - share * rows as f64).abs() <= 1.5, "{rows}: {:?}", counts(&splits));
        }
    }
}

#[test]
fn equal_rows_share_a_part() {
    for kind in ["number", "category"] {
        let value = |row: usize| if row < 300 { row % 60 } else { row };
        let table = table([
            ("x", numbers((0..1000).map(value))),
            ("y", numbers((0..1000).map(|row| value(row) % 2))),
        ]);
        let splits = run(&table, &Split::default(), kind).unwrap();
        assert_eq!(splits.duplicates, 240);
        for row in 0..300 {
            assert_eq!(splits.parts[row], splits.parts[row % 60], "row {row}");
        }
        let [train, val, test] = counts(&splits);
        assert!(
            train.abs_diff(800) <= 5 && val.abs_diff(100) <= 5 && test.abs_diff(100) <= 5,
            "{train} {val} {test}"
        );
    }
}

#[test]
fn few_different_rows_are_divided_nevertheless() {
    let table = table([
        ("x", numbers((0..200).map(|row| row % 2))),
        ("y", text((0..200).map(|row| ["a", "b"][row % 4 / 2]))),
    ]);
    let splits = run(&table, &Split::default(), "category").unwrap();
    assert_eq!((counts(&splits), splits.duplicates), ([160, 20, 20], 196));
    assert_eq!(
        splits.words,
        "stratified, seed 42, equal rows apart because so few rows differ; 40 rows of val and test repeat a train row"
    );
}

#[test]
fn any_shares_of_any_table() {
    let mut lot = crate::lot::Lot::new(1);
    for trial in 0..200 {
        let (rows, values, classes) = (30 + lot.below(400), 20 + lot.below(1000), 2 + lot.below(4));
        let drawn: Vec<usize> = (0..rows).map(|_| lot.below(values)).collect();
        // The class follows from the value, so that equal inputs are equal rows.
        let class = |value: usize| value * value % 11 % classes;
        let y = drawn.iter().map(|value| class(*value));
        let table = table([("x", numbers(drawn.iter().copied())), ("y", numbers(y))]);
        let (val, test) = (lot.unit() * 0.3, lot.unit() * 0.3);
        let settings = Split { train: 1.0 - val - test, val, test, seed: trial, ..Split::default() };
        for kind in ["number", "category"] {
            let splits = match run(&table, &settings, kind) {
                Ok(splits) => splits,
                Err(DataError::ClassTooSmall { .. } | DataError::EmptyPart { .. }) => continue,
                Err(error) => panic!("{error}"),
            };
            assert_eq!(counts(&splits).iter().sum::<usize>(), rows);
            let mut part_of = std::collections::HashMap::new();
            for (value, part) in drawn.iter().zip(&splits.parts) {
                assert_eq!(part_of.entry(value).or_insert(part), &part);
            }
            let largest =
                drawn.iter().map(|value| drawn.iter().filter(|other| *other == value).count()).max();
            let slack = (classes + largest.unwrap_or(0)) as f64 + 1.0;
            for (count, share) in counts(&splits).into_iter().zip([settings.train, val, test]) {
                assert!(
                    (count as f64 - share * rows as f64).abs() <= slack,
                    "{trial} {kind}: {:?}",
                    counts(&splits)
                );
            }
        }
    }
}

#[test]
fn groups_stay_together() {
    let group = |row: usize| row * row % 83;
    let table =
        table([("x", numbers(0..1000)), ("y", numbers(0..1000)), ("patient", numbers((0..1000).map(group)))]);
    let splits = run(&table, &by(SplitBy::Group, "patient"), "number").unwrap();
    assert_eq!(splits.words, "by group of `patient`, seed 42");
    for row in 0..1000 {
        let first = (0..1000).find(|other| group(*other) == group(row)).unwrap();
        assert_eq!(splits.parts[row], splits.parts[first]);
    }
    let [train, val, test] = counts(&splits);
    assert!(
        train.abs_diff(800) <= 30 && val.abs_diff(100) <= 30 && test.abs_diff(100) <= 30,
        "{train} {val} {test}"
    );
}

#[test]
fn spaces_around_its_name_make_no_other_group() {
    let names: Vec<String> =
        (0..100).map(|row| format!("P{}{}", row % 20, if row % 40 < 20 { "" } else { " " })).collect();
    let groups = text(names.iter().map(String::as_str));
    let table = table([("x", numbers(0..100)), ("y", numbers(0..100)), ("g", groups)]);
    let splits = run(&table, &by(SplitBy::Group, "g"), "number").unwrap();
    for row in 20..100 {
        assert_eq!(splits.parts[row], splits.parts[row % 20], "row {row}");
    }
}

#[test]
fn few_large_groups_still_fill_every_part() {
    let table =
        table([("x", numbers(0..100)), ("y", numbers(0..100)), ("g", numbers((0..100).map(|row| row / 34)))]);
    let splits = run(&table, &by(SplitBy::Group, "g"), "number").unwrap();
    assert!(counts(&splits).iter().all(|count| *count >= 32), "{:?}", counts(&splits));
}

#[test]
fn the_earliest_train_and_the_latest_test() {
    let days: Vec<String> = (0..40).map(|i| format!("{}.{}.2020", 1 + i * 7 % 20, 2 + i % 2)).collect();
    let table =
        table([("x", numbers(0..40)), ("y", numbers(0..40)), ("day", text(days.iter().map(String::as_str)))]);
    let splits = run(&table, &by(SplitBy::Time, "day"), "number").unwrap();
    assert_eq!((splits.words.as_str(), counts(&splits)), ("by time in `day`", [32, 4, 4]));
    let month_day = |row: &u32| (row % 2, row * 7 % 20);
    let latest = splits.rows(Part::Train).iter().map(month_day).max();
    let earliest = splits.rows(Part::Val).iter().map(month_day).min();
    assert!(latest < earliest);
}

#[test]
fn rows_of_one_time_stay_together() {
    let years = (0..100).map(|row| 2000 + row / 15);
    let table = table([("x", numbers(0..100)), ("y", numbers(0..100)), ("year", numbers(years))]);
    let splits = run(&table, &by(SplitBy::Time, "year"), "number").unwrap();
    assert_eq!(counts(&splits), [75, 15, 10]);
}

#[test]
fn a_column_names_the_parts() {
    let part = |row: usize| ["train", "Train", "validation", "test", ""][row % 5];
    let table = table([("x", numbers(0..50)), ("y", numbers(0..50)), ("part", text((0..50).map(part)))]);
    let splits = run(&table, &by(SplitBy::Column, "part"), "number").unwrap();
    assert_eq!((splits.words.as_str(), counts(&splits)), ("by column `part`", [20, 10, 10]));
    assert_eq!((splits.dropped[0].reason.as_str(), splits.dropped[0].count), ("no part in `part`", 10));
}

#[test]
fn parts_that_are_not_given_are_cut_from_train() {
    let table =
        table([("x", numbers((0..100).map(|row| row % 95))), ("y", numbers((0..100).map(|row| row % 95)))]);
    let given = |parts: &[(Part, usize)]| -> Vec<Part> {
        parts.iter().flat_map(|(part, count)| vec![*part; *count]).collect()
    };
    let run = |given: &[Part]| {
        let (inputs, outputs) = (columns(&[("x", "number")]), columns(&[("y", "number")]));
        let splits = split(&table, &Split::default(), Some(given), &inputs, &outputs).unwrap();
        (counts(&splits), splits.words.clone(), splits)
    };
    let (count, words, _) = run(&given(&[(Part::Train, 80), (Part::Val, 10), (Part::Test, 10)]));
    assert_eq!(
        (count, words.as_str()),
        ([80, 10, 10], "given files; 5 rows of val and test repeat a train row")
    );
    let (count, words, splits) = run(&given(&[(Part::Train, 90), (Part::Test, 10)]));
    assert_eq!(count, [80, 10, 10]);
    assert!(words.starts_with("given files; val cut from train (random, seed 42); 5 rows"), "{words}");
    assert_eq!(splits.rows(Part::Test), (90..100).collect::<Vec<u32>>());
    let (count, words, _) = run(&given(&[(Part::Train, 100)]));
    assert_eq!(
        (count, words.as_str()),
        ([80, 10, 10], "given files; val and test cut from train (random, seed 42)")
    );
}

#[test]
fn given_rows_stay_though_a_train_row_repeats_them() {
    let part = |row: usize| if row < 20 { "test" } else { "train" };
    let value = |row: usize| if row < 40 { row % 20 } else { row };
    let columns = [("x", numbers((0..200).map(value))), ("y", numbers((0..200).map(value)))];
    let table = table(columns.into_iter().chain([("part", text((0..200).map(part)))]));
    let splits = run(&table, &by(SplitBy::Column, "part"), "number").unwrap();
    assert_eq!((splits.rows(Part::Test), splits.duplicates), ((0..20).collect::<Vec<u32>>(), 20));
    assert_eq!(counts(&splits), [160, 20, 20]);
    assert!(
        splits.words.starts_with("by column `part`; val cut from train (random, seed 42); "),
        "{}",
        splits.words
    );
}

#[test]
fn rows_without_a_target_are_counted() {
    let label = |row: usize| if row % 10 == 3 { "" } else { ["a", "b"][row % 2] };
    let table = table([("x", numbers(0..200)), ("y", text((0..200).map(label)))]);
    let splits = run(&table, &Split::default(), "category").unwrap();
    let dropped = &splits.dropped[0];
    assert_eq!(
        (dropped.reason.as_str(), dropped.count, &dropped.rows[..3]),
        ("no value in `y`", 20, &[4, 14, 24][..])
    );
    assert_eq!((splits.parts[3], counts(&splits)), (None, [144, 18, 18]));
}

#[test]
fn rows_with_an_empty_list_of_labels_are_kept() {
    let labels = |row: usize| [Some("a\u{1f}b"), Some(""), None, Some("b")][row % 4];
    let table = table([("x", numbers(0..200)), ("y", Cells::Text((0..200).map(labels).collect()))]);
    let splits = run(&table, &Split::default(), "set").unwrap();
    let dropped = &splits.dropped[0];
    assert_eq!((dropped.count, &dropped.rows[..2]), (50, &[3, 7][..]));
    assert_eq!((splits.parts[2], counts(&splits).iter().sum::<usize>()), (None, 150));
}

#[test]
fn errors() {
    let labels =
        |rare: &'static str| text((0..50).map(move |row| if row == 7 { rare } else { ["a", "b"][row % 2] }));
    let with = |y: Cells| table([("x", numbers(0..50)), ("y", y)]);
    check_error(
        &with(labels("c")),
        &Split::default(),
        "category",
        "class `c` of column `y` has 1 row, but a stratified split into 3 parts needs 3 of each class",
        Some(
            "add rows of it, leave it out or join it with another class, or set `data.split.by` to `random`",
        ),
    );
    check_error(
        &with(text(vec![""; 50])),
        &Split::default(),
        "category",
        "column `y` is to be predicted, but holds no value in any row",
        None,
    );
    check_error(
        &table([("x", numbers(0..0)), ("y", numbers(0..0))]),
        &Split::default(),
        "number",
        "no rows are left: the source holds none",
        None,
    );
    check_error(
        &table([("x", numbers(0..2)), ("y", numbers(0..2))]),
        &Split::default(),
        "number",
        "there are 2 rows, too few for 3 parts",
        Some("a model needs at least some dozens of rows"),
    );
    check_error(
        &table([("x", numbers(vec![1; 50])), ("y", numbers(vec![1; 50]))]),
        &by(SplitBy::Time, "x"),
        "number",
        "the val part would be empty",
        Some("give `data.split.val` a larger share, or name a file as `data.val`"),
    );
    check_error(
        &with(numbers(0..50)),
        &by(SplitBy::Stratified, ""),
        "number",
        "a stratified split needs an output that is a category",
        Some("set `data.split.by` to `random`"),
    );
    check_error(
        &with(numbers(0..50)),
        &by(SplitBy::Group, "pacient"),
        "number",
        "there is no column `pacient`",
        Some("known here: `x`, `y`"),
    );
    check_error(
        &table([("x", numbers(0..50)), ("y", numbers(0..50)), ("g", numbers((0..50).map(|row| row % 2)))]),
        &by(SplitBy::Group, "g"),
        "number",
        "column `g` has 2 different groups, too few for 3 parts",
        Some("all rows of a group share one part, so more groups are needed"),
    );
    check_error(
        &table([("x", numbers(0..2)), ("y", numbers(0..2)), ("part", text(["train", "oops"]))]),
        &by(SplitBy::Column, "part"),
        "number",
        "column `part` names the part of each row, but row 2 holds `oops`",
        Some("write `train`, `val` or `test`"),
    );
    check_error(
        &table([("x", numbers(0..3)), ("y", numbers(0..3)), ("t", text(["2020-01-01", "", "2020-01-03"]))]),
        &by(SplitBy::Time, "t"),
        "number",
        "column `t` orders the rows in time, but row 2 holds no value",
        None,
    );
    check_error(
        &table([("x", numbers(0..2)), ("y", text(["", ""])), ("part", text(["", ""]))]),
        &by(SplitBy::Column, "part"),
        "number",
        "column `y` is to be predicted, but holds no value in any row",
        None,
    );
    check_error(
        &table([("x", numbers(0..2)), ("y", numbers(0..2)), ("part", text(["", ""]))]),
        &by(SplitBy::Column, "part"),
        "number",
        "no rows are left: 2 rows left out (no part in `part`)",
        None,
    );
}
