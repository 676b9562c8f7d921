//! What is wrong with the data.

use crate::{check, check_data, table};
use expect_test::expect;

#[test]
fn a_missing_file() {
    check(
        &[],
        &["-q", "run", "data.csv", "--target", "price"],
        expect![[r#"
        exit 2
        error: `data.csv` does not exist
    "#]],
    );
    check(
        &[],
        &["-q", "run", "nowhere.toml"],
        expect![[r#"
        exit 2
        error: there is no `nowhere.toml`
    "#]],
    );
    check(
        &[],
        &["-q", "run"],
        expect![[r#"
        exit 2
        error: there is no `outset.toml` in this folder
        hint: draft one with `outset new DIR --from DATA --target COLUMN`
    "#]],
    );
}

#[test]
fn an_empty_file() {
    check_data(
        "",
        expect![[r#"
        exit 2
        error: `data.csv` is empty, but must hold at least one row
    "#]],
    );
}

#[test]
fn a_header_without_rows() {
    check_data(
        "age,price\n",
        expect![[r#"
        exit 2
        error: `data.csv` has a header line of 2 columns but no rows
        hint: if its line is a row, set `data.header = false`
    "#]],
    );
}

#[test]
fn a_ragged_row() {
    check_data(
        "age,price\n1,2\n3\n",
        expect![[r#"
        exit 2
        error: line 3 of `data.csv` has 1 cell, but must have 2 as the header line does
    "#]],
    );
}

#[test]
fn two_columns_of_one_name() {
    check_data(
        "age,age,price\n1,2,3\n4,5,6\n",
        expect![[r#"
        exit 2
        error: column name `age` stands twice in `data.csv`, at columns 1 and 2, but names must differ
        hint: rename one, or name all with `data.columns` and `data.header = true`
    "#]],
    );
}

#[test]
fn a_binary_file() {
    check_data(
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 1],
        expect![[r#"
        exit 2
        error: `data.csv` is a PNG picture, but must be CSV, TSV, JSON, JSON Lines, CoNLL or Parquet, plain, `.gz`, `.zst` or a `.zip` of one file
        hint: pictures are read from a folder with a folder for each class, an archive of them, or a table with a column of paths
    "#]],
    );
}

#[cfg(unix)]
#[test]
fn a_folder_of_links_alone() {
    let sandbox = crate::Sandbox::new();
    sandbox.write("real/cats/1.png", "x").write("real/dogs/1.png", "x").write("photos/readme.txt", "x");
    for class in ["cats", "dogs"] {
        let (folder, link) = (sandbox.path("real").join(class), sandbox.path("photos").join(class));
        std::os::unix::fs::symlink(folder, link).unwrap();
    }
    expect![[r#"
        exit 2
        error: folder `photos` holds no data that is read: `cats`, `dogs` lead out of it by links and are not followed
        hint: put the folders themselves, or copies of them, in place of the links
    "#]]
    .assert_eq(&sandbox.transcript(&["-q", "run", "photos", "--target", "label"]));
}

#[test]
fn data_without_a_target() {
    check(
        &[("data.csv", table().as_bytes())],
        &["-q", "run", "data.csv"],
        expect![[r#"
        exit 2
        error: `data.csv` is data, so say what to predict
        hint: `outset run data.csv --target COLUMN`
    "#]],
    );
    check(
        &[("data.csv", table().as_bytes())],
        &["-q", "run", "data.csv", "--target", "prise"],
        expect![[r#"
            exit 2
            error: `[outputs]` names column `prise`, which `data.csv` does not have
            hint: did you mean `price`?
        "#]],
    );
}

#[test]
fn a_target_with_one_class() {
    let mut text = String::from("age,price\n");
    (0..30).for_each(|row| text.push_str(&format!("{row},cheap\n")));
    check_data(
        &text,
        expect![[r#"
        exit 2
        error: column `price` cannot be predicted: every row holds `cheap`
    "#]],
    );
}

#[test]
fn a_target_without_values() {
    let mut text = String::from("age,price\n");
    (0..30).for_each(|row| text.push_str(&format!("{row},\n")));
    check_data(
        &text,
        expect![[r#"
        exit 2
        error: column `price` cannot be predicted: no row holds a value
    "#]],
    );
}

#[test]
fn a_class_with_one_row() {
    let mut text = String::from("age,price\n");
    (0..30).for_each(|row| {
        text.push_str(&format!(
            "{},{}\n",
            row * 7 % 30,
            if row == 11 {
                "dear"
            } else if row % 2 == 0 {
                "cheap"
            } else {
                "fair"
            }
        ))
    });
    check_data(
        &text,
        expect![[r#"
        exit 2
        error: class `dear` of column `price` has 1 row, but a stratified split into 3 parts needs 3 of each class
        hint: add rows of it, leave it out or join it with another class, or set `data.split.by` to `random`
    "#]],
    );
}

#[test]
fn all_rows_left_out() {
    let mut text = String::from("age,price,plan\n");
    (0..40).for_each(|row| {
        text.push_str(&if row % 2 == 0 { format!("{row},{row},\n") } else { format!("{row},,a\n") })
    });
    let arguments = ["-q", "run", "data.csv", "--target", "price", "--target", "plan"];
    check(
        &[("data.csv", text.as_bytes())],
        &arguments,
        expect![[r#"
        exit 2
        error: no rows are left: 20 rows left out (no value in `price`), 20 rows left out (no value in `plan`)
    "#]],
    );
}

#[test]
fn a_number_column_that_holds_text() {
    check(
        &[
            ("data.csv", table().replace("27,Oslo", "unknown,Oslo").as_bytes()),
            (
                "outset.toml",
                b"[data]\nsource = \"data.csv\"\n[inputs]\nage = \"number\"\n[outputs]\nprice = \"number\"\n",
            ),
        ],
        &["-q", "run"],
        expect![[r#"
            exit 2
            error: column `age` is a number, but row 2 holds `unknown` (in `data.csv`)
            hint: add `"unknown"` to `data.missing`, or set the column's type to `category`
        "#]],
    );
}

#[test]
fn infinite_numbers() {
    check_data(
        table().replace("27,Oslo", "inf,Oslo"),
        expect![[r#"
        exit 2
        error: column `age` in `data.csv` is a number, but row 2 holds `inf`, which is not finite
        hint: if it stands for a missing value, add `"inf"` to `data.missing`
    "#]],
    );
}
