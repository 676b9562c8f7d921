//! Reports of whole run folders.

mod fixture;

use std::fmt::Write;

use fixture::{Chance, Folder, category_column, line, number_column};
use outset_spec::record::{ColumnRecord, Details, Dropped, Threshold, WorstRow};

#[test]
fn a_regression_with_a_fit() {
    let folder = line();
    let page = folder.report();
    assert_eq!(
        folder.plots(),
        ["importance", "loss", "y-actual-predicted", "y-errors", "y-fit", "y-residuals"]
    );
    assert!(page.contains("<p class=\"lead\">The model is as good as a straight line can be"));
    for text in ["1.041", "78.2", "76.3", "all epochs done", "random, seed 42", "14.1 MiB", "within 1 %"] {
        assert!(page.contains(text), "{text}");
    }
}

/// Two classes with probabilities that are right more often than not, written as predictions.
fn two_classes() -> Folder {
    let mut folder = Folder::new("two-classes");
    let mut chance = Chance(7);
    let mut rows =
        String::from("row,income,income_prediction,income_probability_<=50K,income_probability_>50K\n");
    let mut confusion = vec![vec![0, 0], vec![0, 0]];
    for row in 1..=4885 {
        let is_rich = chance.even() < 0.24;
        let logit = 1.7 * chance.normal() + if is_rich { 1.1 } else { -2.4 };
        let rich = 1.0 / (1.0 + (-logit).exp());
        let said = rich > 0.5;
        confusion[usize::from(is_rich)][usize::from(said)] += 1;
        let name = |is: bool| if is { ">50K" } else { "<=50K" };
        let _ = writeln!(rows, "{row},{},{},{},{rich}", name(is_rich), name(said), 1.0 - rich);
    }
    folder.file("predictions.csv", &rows);
    folder.curves(20, "income/roc_auc");
    for (metric, test, linear, constant) in [
        ("roc_auc", 0.9127, 0.8903, 0.5),
        ("accuracy", 0.8562, 0.8411, 0.7592),
        ("f1", 0.691, 0.655, 0.0),
        ("log_loss", 0.3112, 0.3421, 0.5511),
    ] {
        folder.metric("test", "income", metric, test);
        folder.metric("val", "income", metric, test * 1.002);
        folder.baseline("constant", "income", metric, constant);
        folder.baseline("linear", "income", metric, linear);
    }
    folder.help(
        "roc_auc",
        "how often a row of the positive class is ranked above another, 0.5 being a coin",
        true,
    );
    folder.help("accuracy", "share of rows that are right", true);
    folder.help("log_loss", "how far the probabilities are off", false);
    let scores = |precision: f64, recall: f64, rows: f64| {
        let pairs = [("precision", precision), ("recall", recall), ("f1", 0.7), ("rows", rows)];
        pairs.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()
    };
    let worst = |row: usize| WorstRow {
        row,
        loss: 6.2 - row as f64 / 9000.0,
        actual: ">50K".into(),
        prediction: "<=50K (99.8 %)".into(),
        inputs: (0..14).map(|input| (format!("input_{input}"), format!("value {}", input * row))).collect(),
    };
    let details = Details {
        kind: "category".into(),
        classes: vec!["<=50K".into(), ">50K".into()],
        positive: Some(">50K".into()),
        confusion,
        per_class: [
            ("<=50K".to_owned(), scores(0.89, 0.93, 3709.0)),
            (">50K".to_owned(), scores(0.73, 0.64, 1176.0)),
        ]
        .into_iter()
        .collect(),
        threshold: Some(Threshold {
            value: 0.3712,
            chosen_by: "the best f1 on val".into(),
            metrics: [("f1".to_owned(), 0.7214), ("accuracy".to_owned(), 0.8493)].into_iter().collect(),
        }),
        worst: (1..=20).map(|index| worst(index * 217)).collect(),
        fit: None,
    };
    let record = &mut folder.record;
    record.details.insert("income".into(), details);
    record.verdict = vec![
        "The model is clearly better than guessing and than a linear model.".into(),
        "It ranks a rich person above another in 91 of 100 cases; a linear model does in 89.".into(),
    ];
    record.test_looks = 1;
    record.training.epochs = 20;
    record.training.steps = 3060;
    record.training.best_epoch = 13;
    record.training.objective = "roc_auc of income".into();
    record.training.best = 0.9145;
    record.training.ended = "no better for 7 epochs".into();
    record.data.rows = 48_842;
    record.data.duplicates = 52;
    record.data.split = "stratified, seed 42".into();
    record.data.parts = [("train", 39_073), ("val", 4_884), ("test", 4_885)]
        .map(|(part, rows)| (part.to_owned(), rows))
        .into_iter()
        .collect();
    record.data.dropped =
        vec![Dropped { reason: "no target".into(), count: 31, rows: vec![12, 901, 14_208, 14_209] }];
    let mut columns = vec![category_column("income", "output", &[("<=50K", 29_000), (">50K", 9_000)])];
    for index in 0..14 {
        let name = format!("input_{index}");
        let mut column = if index % 2 == 0 {
            number_column(&name, "input")
        } else {
            category_column(
                &name,
                "input",
                &[
                    ("Private", 22_696),
                    ("Self-emp-not-inc", 2_541),
                    ("Local-gov", 2_093),
                    ("?", 1_836),
                    ("State-gov", 1_298),
                    ("Federal-gov", 960),
                ],
            )
        };
        column.importance = Some(0.08 * 0.6f64.powi(index) - 0.0005);
        columns.push(column);
    }
    columns.push(ColumnRecord {
        name: "fnlwgt".into(),
        role: "left out".into(),
        reason: "named in `data.exclude`".into(),
        distinct: 21_648,
        ..ColumnRecord::default()
    });
    record.data.columns = columns;
    folder
}

#[test]
fn two_classes_have_curves_and_a_threshold() {
    let folder = two_classes();
    let page = folder.report();
    let expected = [
        "importance",
        "income-calibration",
        "income-confusion",
        "income-precision-recall",
        "income-roc",
        "learning-rate",
        "loss",
        "objective",
    ];
    assert_eq!(folder.plots(), expected);
    for text in
        ["0.3712", "the best f1 on val", "named in `data.exclude`", "&gt;50K", "48,842", "Rows left out"]
    {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains("<=50K"), "a class name is not escaped");
}
