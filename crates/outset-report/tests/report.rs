//! Reports of whole run folders.

mod fixture;

use std::fmt::Write;

use fixture::{Chance, Folder, category_column, line, number_column};
use outset_spec::record::{ColumnRecord, Details, Dropped, MetricHelp, Threshold, WorstRow};

#[test]
fn a_regression_with_a_fit() {
    let folder = line();
    let page = folder.report();
    assert_eq!(folder.plots(), ["loss", "y-actual-predicted", "y-errors", "y-fit", "y-residuals"]);
    assert!(page.contains("typical error for <code>y</code> (RMSE) is 1.02"));
    for text in ["1.041", "78.2", "all epochs done", "random, seed 42", "14.1 MiB", "within 1 %"] {
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
    for text in [
        "0.3712",
        "the best f1 on val",
        "named in <code>data.exclude</code>",
        "&gt;50K",
        "48,842",
        "Rows left out",
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains("<=50K"), "a class name is not escaped");
}

/// Five classes of which one is rare, in an output with a name in Chinese.
#[test]
fn five_classes_are_asked_for_one_by_one() {
    let mut folder = Folder::new("five-classes");
    let mut chance = Chance(11);
    let classes = ["健康", "轻微", "moderate & stable", "severe", "critical"];
    let output = "健康状况";
    let mut rows = format!("row,{output},{output}_prediction");
    classes.iter().for_each(|class| rows += &format!(",{output}_probability_{class}"));
    rows.push('\n');
    let mut confusion = vec![vec![0; 5]; 5];
    for row in 1..=600 {
        let actual = ((chance.even() * chance.even() * 5.0) as usize).min(4);
        let weights: Vec<f64> =
            (0..5).map(|class| (chance.normal() + if class == actual { 2.0 } else { 0.0 }).exp()).collect();
        let total: f64 = weights.iter().sum();
        let said = (0..5).max_by(|a, b| weights[*a].total_cmp(&weights[*b])).unwrap();
        confusion[actual][said] += 1;
        let _ = write!(rows, "{row},{},{}", classes[actual], classes[said]);
        weights.iter().for_each(|weight| rows += &format!(",{}", weight / total));
        rows.push('\n');
    }
    folder.file("predictions.csv", &rows);
    folder.curves(1, "健康状况/accuracy");
    folder.metric("test", output, "accuracy", 0.71);
    let details = Details {
        kind: "category".into(),
        classes: classes.map(str::to_owned).to_vec(),
        confusion,
        ..Details::default()
    };
    folder.record.details.insert(output.into(), details);
    let page = folder.report();
    let expected =
        ["loss", "健康状况-calibration", "健康状况-confusion", "健康状况-precision-recall", "健康状况-roc"];
    assert_eq!(folder.plots(), expected);
    assert!(page.contains("moderate &amp; stable"));
    assert!(page.contains("Each class is asked for against all others"));
}

#[test]
fn a_set_has_curves_by_label() {
    let mut folder = Folder::new("set");
    let mut chance = Chance(3);
    let mut rows =
        String::from("row,topics,topics_prediction,topics_probability_art,topics_probability_law\n");
    for row in 1..=40 {
        let (art, law) = (chance.even(), chance.even());
        let actual = match (art > 0.4, law > 0.7) {
            (true, true) => "art|law",
            (true, false) => "art",
            (false, true) => "law",
            (false, false) => "",
        };
        let said = if art > 0.5 { "art" } else { "" };
        let _ = writeln!(rows, "{row},{actual},{said},{art},{law}");
    }
    folder.file("predictions.csv", &rows);
    folder.metric("test", "topics", "f1_micro", 0.8);
    folder.record.details.insert("topics".into(), Details { kind: "set".into(), ..Details::default() });
    let page = folder.report();
    assert_eq!(folder.plots(), ["topics-calibration", "topics-precision-recall", "topics-roc"]);
    let svg = std::fs::read_to_string(folder.path.join("plots/topics-roc.svg")).unwrap();
    assert!(svg.contains(">art</text>") && svg.contains(">law</text>"));
    assert!(page.contains("f1_micro"));
}

#[test]
fn a_hundred_classes_and_thousands_of_points_are_thinned() {
    let mut folder = Folder::new("many");
    let mut chance = Chance(5);
    let mut rows = String::from("row,y,y_prediction\n");
    for row in 1..=5000 {
        let y = 200_000.0 * chance.normal();
        let _ = writeln!(rows, "{row},{y},{}", y * 0.8 + 50_000.0 * chance.normal());
    }
    folder.file("predictions.csv", &rows);
    let details = Details {
        kind: "category".into(),
        classes: (0..100).map(|class| format!("class number {class}")).collect(),
        confusion: (0..100)
            .map(|row| {
                (0..100).map(|column| if row == column { row } else { (row * column) % 7 / 5 }).collect()
            })
            .collect(),
        per_class: (0..100)
            .map(|class| (format!("class number {class}"), [("f1".to_owned(), 0.5)].into_iter().collect()))
            .collect(),
        ..Details::default()
    };
    folder.record.details.insert("kind".into(), details);
    let page = folder.report();
    let points = std::fs::read_to_string(folder.path.join("plots/y-actual-predicted.svg")).unwrap();
    assert_eq!(points.matches("<circle").count(), 2000);
    assert!(page.contains("Of 100 classes, the 20 with most test rows are shown"));
    let matrix = std::fs::read_to_string(folder.path.join("plots/kind-confusion.svg")).unwrap();
    assert!(matrix.contains("number 99") && !matrix.contains("number 1<"));
}

#[test]
fn names_from_data_are_escaped_everywhere() {
    let ugly = r#"<script>alert("1")</script>&'"#;
    let long = "very long name ".repeat(14);
    let mut folder = Folder::new("ugly");
    folder.record.name = ugly.into();
    folder.record.verdict = vec![format!("The model of {ugly} is good.")];
    folder.record.state = "interrupted".into();
    folder.record.training.ended = ugly.into();
    let mut rows = csv::Writer::from_writer(Vec::new());
    let output = ugly.to_owned();
    let header = [
        "row".to_owned(),
        output.clone(),
        format!("{output}_prediction"),
        format!("{output}_probability_{ugly}"),
        format!("{output}_probability_{long}"),
    ];
    rows.write_record(&header).unwrap();
    rows.write_record(["1", ugly, ugly, "0.7", "0.3"]).unwrap();
    rows.write_record(["2", &long, ugly, "0.6", "0.4"]).unwrap();
    folder.file("predictions.csv", &String::from_utf8(rows.into_inner().unwrap()).unwrap());
    folder.file("experiment.toml", &format!("# {ugly}\nname = 1\n"));
    folder.metric("test", ugly, ugly, 1e-9);
    folder.metric("test", &long, &long, -1e30);
    folder.baseline(ugly, ugly, ugly, 0.0);
    folder
        .record
        .metric_help
        .insert(ugly.into(), MetricHelp { meaning: ugly.into(), higher_is_better: None });
    let mut input = category_column(ugly, "input", &[(ugly, 5), (&long, 3), ("健康", 1), ("", 1)]);
    input.reason = ugly.into();
    input.importance = Some(0.5);
    let mut other = number_column(&long, ugly);
    other.importance = Some(-0.1);
    folder.record.data.columns = vec![input, other];
    folder.record.data.dropped = vec![Dropped { reason: ugly.into(), count: 1, rows: vec![] }];
    let worst = WorstRow {
        row: 1,
        loss: 1.0,
        actual: ugly.into(),
        prediction: long.clone(),
        inputs: [(ugly.to_owned(), ugly.to_owned()), (long.clone(), long.repeat(20))].into_iter().collect(),
    };
    let details = Details {
        kind: "category".into(),
        classes: vec![ugly.into(), long.clone()],
        positive: Some(long.clone()),
        confusion: vec![vec![1, 0], vec![1, 0]],
        per_class: [(ugly.to_owned(), [(ugly.to_owned(), 0.5)].into_iter().collect())].into_iter().collect(),
        worst: vec![worst],
        ..Details::default()
    };
    folder.record.details.insert(ugly.into(), details);
    let page = folder.report();
    assert!(!page.contains("<script"), "markup from the data reached the page");
    assert!(!page.contains(r#"alert("1")"#), "a quote from the data reached the page");
    for name in folder.plots() {
        assert!(!name.contains(['<', '"', '/', ' ']), "{name}");
        let svg = std::fs::read_to_string(folder.path.join(format!("plots/{name}.svg"))).unwrap();
        assert!(!svg.contains("<script"), "{name}");
    }
}

#[test]
fn little_or_nothing_recorded_still_gives_a_report() {
    let empty = Folder::new("empty");
    empty.file("run.json", "{}");
    let written = outset_report::write(&empty.path).unwrap();
    assert_eq!(written.plots, Vec::<std::path::PathBuf>::new());

    let mut failed = Folder::new("failed");
    failed.record.state = "failed".into();
    failed.record.training.ended = "the loss is no longer finite at step 812".into();
    failed.file("metrics.jsonl", "{\"step\":1,\"epoch\":1,\"part\":\"train\",\"values\":{\"loss\":41.7}}\n{\"step\":2,\"epoch\":1,\"part\":\"train\",\"values\":{\"loss\":null}}\n");
    failed.file("predictions.csv", "");
    let page = failed.report();
    assert!(page.contains("This run failed, so there is no model to judge."));
    assert!(page.contains("the loss is no longer finite at step 812"));
    assert_eq!(failed.plots(), ["loss"]);
}

#[test]
fn a_report_written_again_is_the_same() {
    let folder = line();
    let page = folder.report();
    let picture = std::fs::read(folder.path.join("plots/y-fit.png")).unwrap();
    assert_eq!(folder.report(), page);
    assert!(std::fs::read(folder.path.join("plots/y-fit.png")).unwrap() == picture);
}

/// The message of an error, and its hint, with the folder's name left out.
fn message(folder: &Folder) -> String {
    let error = outset_report::write(&folder.path).expect_err("a report was written");
    let cause = std::error::Error::source(&error).map_or(String::new(), |cause| format!(": {cause}"));
    let hint = error.hint().map_or(String::new(), |hint| format!("\nhint: {hint}"));
    format!("{error}{cause}{hint}")
        .replace(&format!("{}/", folder.path.display()), "")
        .replace(&folder.path.display().to_string(), "RUN")
}

#[test]
fn what_cannot_be_read_is_named() {
    let folder = Folder::new("broken");
    let check = |expected: &str| assert_eq!(message(&folder), expected);
    check(
        "`RUN` holds no `run.json`, but a run folder was expected\nhint: give the folder that `outset run` named after `Saved`, such as `runs/line-1`",
    );
    folder.file("run.json", "{\"format\": 99}");
    check("`run.json` has format 99, but this version of Outset reads formats up to 1\nhint: update Outset");
    folder.file("run.json", "{\"seed\": \"many\"}");
    check("`run.json` is not a run record: invalid type: string \"many\", expected u64");
    folder.file("run.json", "{\"seed\": ");
    check("`run.json` is not a run record: EOF while parsing a value at line 1 column 9");
    folder.file("run.json", "{}");
    folder.file("metrics.jsonl", "{}\n");
    check("`metrics.jsonl` line 1 is not a metric line: missing field `step`");
    folder.file("metrics.jsonl", "");
    folder.file("predictions.csv", "row,y,y_prediction\n1,2,3\n2,many,3\n");
    check(
        "`predictions.csv` line 3 holds `many` in column `y`, but a number was expected\nhint: `outset test` on the run writes the predictions again",
    );
    folder.file("predictions.csv", "row,y,y_prediction\n1,2\n");
    check(
        "`predictions.csv` is not a table of predictions: CSV error: record 1 (line: 2, byte: 19): found record with 2 fields, but the previous record has 3 fields\nhint: `outset test` on the run writes the predictions again",
    );
    folder.file("predictions.csv", "row,y,y_prediction\n1,2,3\n");
    folder.file("plots", "a file where a folder should be");
    check("cannot write `plots`: File exists (os error 17)");
}
