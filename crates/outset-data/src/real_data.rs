//! What the public data sets in the folder that the environment variable `OUTSET_DATA` names are taken for.

use crate::sources;
use crate::types::{ColumnSettings, Guess, infer_inputs, infer_output};
use crate::{Part, Preprocessor, Splits, Table, leaks, split};
use indexmap::IndexMap;
use outset_spec::{Data, Files};
use std::path::{Path, PathBuf};

/// The folder of data sets; without it the test says that it is left out.
#[allow(clippy::print_stderr)]
fn data_sets(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("OUTSET_DATA").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("{test} is left out: OUTSET_DATA names no folder of data sets");
    }
    folder
}

fn read(folder: &Path, path: &str) -> Table {
    let data = Data { source: Files(vec![path.to_owned()]), ..Data::default() };
    let missing = |_: &str| Vec::new();
    sources::open(&data, folder, &missing).unwrap_or_else(|error| panic!("{path}: {error}")).table
}

/// A data set as the command line would take it: everything inferred.
struct Case {
    table: Table,
    inputs: IndexMap<String, ColumnSettings>,
    outputs: IndexMap<String, ColumnSettings>,
    splits: Splits,
}

/// Infers all types, splits, fits, encodes every row, and compares the types and the columns left out.
fn check(folder: &Path, path: &str, target: &str, output: &str, kinds: &str, left_out: &str) -> Case {
    let table = read(folder, path);
    let rows: Vec<u32> = (0..table.rows() as u32).collect();
    let Guess::Use(kind) = infer_output(target, &table.columns[target], &rows) else {
        panic!("{path}: `{target}` can be predicted")
    };
    assert_eq!(kind.kind, output, "{path}: {}", kind.reason);
    let names = table.columns.keys().map(String::as_str).filter(|name| *name != target);
    let (mut inputs, mut left, mut counts) = (IndexMap::new(), Vec::new(), IndexMap::new());
    for (name, guess) in infer_inputs(&table, names, &rows) {
        match guess {
            Guess::LeaveOut(reason) => left.push(format!("{name}: {reason}")),
            Guess::Use(inferred) => {
                *counts.entry(inferred.kind).or_insert(0) += 1;
                inputs.extend(ColumnSettings::of(inferred.kind).map(|settings| (name, settings)));
            }
        }
    }
    let counts: Vec<String> = counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    assert_eq!((counts.join(", ").as_str(), left.join("; ").as_str()), (kinds, left_out), "{path}");
    let outputs: IndexMap<String, ColumnSettings> =
        ColumnSettings::of(output).map(|settings| (target.to_owned(), settings)).into_iter().collect();
    let splits = split(&table, &outset_spec::Split::default(), None, &inputs, &outputs)
        .unwrap_or_else(|error| panic!("{path}: {error}"));
    let train = splits.rows(Part::Train);
    let fitted = Preprocessor::fit(&table, &train, &inputs, &outputs, Vec::new())
        .unwrap_or_else(|error| panic!("{path}: {error}"));
    fitted.encode_inputs(&table, &rows).unwrap_or_else(|error| panic!("{path}: {error}"));
    fitted.encode_targets(&table, &rows).unwrap_or_else(|error| panic!("{path}: {error}"));
    let made: Vec<serde_json::Value> =
        fitted.made_rows(20, 1).into_iter().map(serde_json::Value::from).collect();
    fitted.read_rows(&made).unwrap_or_else(|problems| panic!("{path}: {problems:?}"));
    Case { table, inputs, outputs, splits }
}

fn leaks_of(case: &Case) -> Vec<String> {
    let leaks = leaks(&case.table, &case.splits.rows(Part::Train), &case.inputs, &case.outputs);
    leaks.unwrap().into_iter().map(|leak| leak.column).collect()
}

#[test]
fn types_of_classification_tables() {
    let Some(folder) = data_sets("types_of_classification_tables") else { return };
    let check = |path, target, kinds, left_out| {
        let case = check(&folder, path, target, "category", kinds, left_out);
        assert!(case.splits.words.starts_with("stratified"), "{path}: {}", case.splits.words);
        assert_eq!(leaks_of(&case), Vec::<String>::new(), "{path}");
    };
    check("tabular_classification/adult_income/adult_train.csv", "income", "6 number, 8 category", "");
    check("tabular_classification/sklearn_breast_cancer/breast_cancer.csv", "target", "30 number", "");
    check("tabular_classification/sklearn_iris/iris.csv", "target", "4 number", "");
    check("tabular_classification/sklearn_wine/wine.csv", "target", "13 number", "");
    check("tabular_classification/heart_failure/heart.csv", "HeartDisease", "6 number, 5 category", "");
    check("tabular_classification/pima_diabetes/pima_diabetes.csv", "outcome", "8 number", "");
    check(
        "image_classification/sklearn_digits/digits.csv",
        "target",
        "61 number",
        "pixel_0_0: constant: every row holds `0`; pixel_4_0: constant: every row holds `0`; \
         pixel_4_7: constant: every row holds `0`",
    );
}

#[test]
fn types_of_regression_tables() {
    let Some(folder) = data_sets("types_of_regression_tables") else { return };
    let check = |path, target, kinds, left_out| {
        let case = check(&folder, path, target, "number", kinds, left_out);
        assert_eq!(case.splits.words, "random, seed 42", "{path}");
    };
    check(
        "tabular_regression/california_housing/housing.csv",
        "median_house_value",
        "8 number, 1 category",
        "",
    );
    check("tabular_regression/abalone/abalone.csv", "rings", "1 category, 7 number", "");
    check("tabular_regression/sklearn_diabetes/diabetes.csv", "target", "10 number", "");
    check("education/student_performance/student-mat.csv", "G3", "17 category, 15 number", "");
    check("timeseries/airline_passengers/airline-passengers.csv", "Passengers", "1 date", "");
    check(
        "tabular_regression/bike_sharing/hour.csv",
        "cnt",
        "1 date, 14 number",
        "instant: an id: it numbers the rows from 1 to 17379",
    );
    check(
        "timeseries/sp500_stocks_daily/AAPL_data.csv",
        "close",
        "1 date, 4 number",
        "Name: constant: every row holds `AAPL`",
    );
}

#[test]
fn a_closing_date_gives_a_failed_company_away() {
    let Some(folder) = data_sets("a_closing_date_gives_a_failed_company_away") else { return };
    let case = check(
        &folder,
        "startup_trends/startup_success/startup_data.csv",
        "status",
        "category",
        "6 category, 33 number, 4 date",
        "Unnamed: 0: an id: every row has another whole number; id: mostly different: 922 values in 923 rows; \
         name: mostly different: 922 values in 923 rows; object_id: mostly different: 922 values in 923 rows",
    );
    assert_eq!(leaks_of(&case), ["closed_at"]);
}

#[test]
fn free_text_is_read() {
    let Some(folder) = data_sets("free_text_is_read") else { return };
    let read = |path: &str, column: &str| {
        let table = read(&folder, path);
        let rows: Vec<u32> = (0..table.rows() as u32).collect();
        match infer_inputs(&table, [column], &rows).shift_remove(column) {
            Some(Guess::Use(inferred)) => format!("{}: {}", inferred.kind, inferred.reason),
            other => panic!("{path}: {other:?}"),
        }
    };
    assert_eq!(
        read("text_classification/sms_spam_en/spam.csv", "Message"),
        "text: free text: 15 words on average"
    );
    assert_eq!(
        read("text_classification/chnsenticorp_hotel_zh/ChnSentiCorp_htl_all.csv", "review"),
        "text: free text: 57 words on average"
    );
}
