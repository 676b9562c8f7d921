//! The public data sets in the folder that the environment variable `OUTSET_DATA` names, read as they are.

use super::*;
use std::path::PathBuf;

/// The folder of data sets; without it the test says that it is left out.
#[allow(clippy::print_stderr)]
fn data_sets(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("OUTSET_DATA").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("{test} is left out: OUTSET_DATA names no folder of data sets");
    }
    folder
}

/// Reads a file and expects format words, rows and columns; `#` marks number columns.
fn check(folder: &Path, path: &str, format: &str, rows: usize, columns: &str) {
    let data = Data { source: Files(vec![path.to_owned()]), ..Data::default() };
    let loaded = open(&data, folder, &|_| Vec::new()).unwrap_or_else(|error| panic!("{}", message(&error)));
    let names: Vec<String> = loaded
        .table
        .columns
        .iter()
        .map(
            |(name, cells)| if matches!(cells, Cells::Number(_)) { format!("{name}#") } else { name.clone() },
        )
        .collect();
    assert_eq!((loaded.files[0].format.as_str(), loaded.table.rows()), (format, rows), "{path}");
    let names = names.join(" ");
    assert!(names.starts_with(columns), "{path}: {names}");
}

#[test]
fn tables() {
    let Some(folder) = data_sets("tables") else { return };
    let check = |path, format, rows, columns| check(&folder, path, format, rows, columns);
    let comma = "CSV, UTF-8, comma, header line";
    check(
        "tabular_classification/adult_income/adult_train.csv",
        comma,
        32561,
        "age# workclass fnlwgt# education education-num#",
    );
    check("tabular_classification/sklearn_iris/iris.csv", comma, 150, "sepal_length_cm#");
    check("tabular_regression/bike_sharing/hour.csv", comma, 17379, "instant# dteday season#");
    check("tabular_regression/california_housing/housing.csv", comma, 20640, "longitude# latitude#");
    check("tabular_regression/abalone/abalone.csv", comma, 4177, "sex length#");
    check(
        "education/student_performance/student-mat.csv",
        "CSV, UTF-8, semicolon, header line",
        395,
        "school sex age# address",
    );
    check("startup_trends/startup_success/startup_data.csv", comma, 923, "Unnamed: 0# state_code latitude#");
    check(
        "drug_discovery/tox21/tox21.csv.gz",
        "CSV, UTF-8, comma, header line, gzip",
        8014,
        "NR-AR# NR-AR-LBD#",
    );
    check("timeseries/airline_passengers/airline-passengers.csv", comma, 144, "Month Passengers#");
    check("timeseries/ETTh1/ETTh1.csv", comma, 17420, "date HUFL#");
    check(
        "timeseries/exchange_rate/exchange_rate.txt.gz",
        "CSV, UTF-8, comma, no header line, gzip",
        7588,
        "column_1# column_2#",
    );
}

#[test]
fn texts() {
    let Some(folder) = data_sets("texts") else { return };
    let check = |path, format, rows, columns| check(&folder, path, format, rows, columns);
    check(
        "text_classification/sms_spam_en/spam.csv",
        "CSV, UTF-8, comma, header line",
        5572,
        "Category Message",
    );
    check(
        "news_topics/ag_news_en/test.csv",
        "CSV, UTF-8, comma, no header line",
        7600,
        "column_1# column_2 column_3",
    );
    check(
        "text_classification/sst2_en/train.tsv",
        "TSV, UTF-8, tab, no header line",
        6920,
        "column_1 column_2#",
    );
    check(
        "news_topics/thucnews_titles_zh/dev.txt",
        "TSV, UTF-8, tab, no header line",
        10000,
        "column_1 column_2#",
    );
    check(
        "text_classification/chnsenticorp_hotel_zh/ChnSentiCorp_htl_all.csv",
        "CSV, UTF-8, comma, header line",
        7766,
        "label# review",
    );
    check(
        "text_generation/tang_poems_zh/tang_poems.tsv",
        "TSV, UTF-8, tab, header line",
        10008,
        "title author text",
    );
}

#[test]
fn a_real_table_in_gb18030() {
    let Some(folder) = data_sets("a_real_table_in_gb18030") else { return };
    let path = "text_classification/chnsenticorp_hotel_zh/ChnSentiCorp_htl_all.csv";
    let text = std::fs::read_to_string(folder.join(path)).unwrap();
    let copy = tempfile::TempDir::new().unwrap();
    std::fs::write(copy.path().join("a.csv"), encoding_rs::GB18030.encode(&text).0).unwrap();
    check(copy.path(), "a.csv", "CSV, GB18030, comma, header line", 7766, "label# review");
}
