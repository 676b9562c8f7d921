//! What columns are taken for, by example.

use super::*;

fn numbers(values: impl IntoIterator<Item = f64>) -> Cells {
    Cells::Number(values.into_iter().collect())
}

fn text(values: impl IntoIterator<Item = String>) -> Cells {
    let values: Vec<String> = values.into_iter().collect();
    Cells::Text(values.iter().map(|value| (!value.is_empty()).then_some(value.as_str())).collect())
}

fn words_of(guess: Guess) -> String {
    match guess {
        Guess::Use(Inferred { kind, reason }) => format!("{kind}: {reason}"),
        Guess::LeaveOut(reason) => format!("left out: {reason}"),
    }
}

fn check(name: &str, cells: &Cells, expected: &str) {
    let rows: Vec<u32> = (0..cells.len() as u32).collect();
    assert_eq!(words_of(infer(name, cells, &rows)), expected, "{name}");
}

fn check_output(cells: &Cells, expected: &str) {
    let rows: Vec<u32> = (0..cells.len() as u32).collect();
    assert_eq!(words_of(infer_output("y", cells, &rows)), expected);
}

#[test]
fn number_columns() {
    check("age", &numbers((0..100).map(|i| f64::from(17 + i % 74))), "number: whole numbers from 17 to 90");
    check("flag", &numbers((0..100).map(|i| f64::from(i % 2))), "number: numbers, 0 or 1");
    check("weight", &numbers((0..100).map(|i| f64::from(i) * 1.5)), "number: numbers from 0 to 148.5");
    check("empty", &numbers([f64::NAN, f64::NAN]), "left out: no row holds a value");
    check("same", &numbers([3.0, 3.0]), "left out: constant: every row holds `3`");
    check("gap", &numbers([3.0, f64::NAN]), "category: `3` or nothing");
}

#[test]
fn number_ids() {
    check("instant", &numbers((1..=50).map(f64::from)), "left out: an id: it numbers the rows from 1 to 50");
    let shuffled = |factor: u32, modulus: u32| (0..100u32).map(move |i| f64::from(i * factor % modulus));
    check("n", &numbers(shuffled(37, 100)), "left out: an id: it numbers the rows from 0 to 99");
    check("n", &numbers(shuffled(37, 151)), "left out: an id: every row has another whole number");
    check("account_id", &numbers(shuffled(7919, 1_000_003)), "left out: an id: it counts up from row to row");
    check(
        "account_id",
        &numbers(shuffled(791_907, 10_000_019)),
        "left out: an id: every row has another whole number",
    );
    check("population", &numbers(shuffled(791_907, 10_000_019)), "number: whole numbers from 0 to 9890065");
    check("few", &numbers((1..=10).map(f64::from)), "number: whole numbers from 1 to 10");
}

#[test]
fn text_columns() {
    check(
        "color",
        &text((0..60).map(|i| ["red", "green", "blue"][i % 3].to_owned())),
        "category: 3 values, `blue`, `green` or `red`",
    );
    check("city", &text((0..60).map(|i| format!("city {}", i % 9))), "category: 9 values");
    check("code", &text((0..60).map(|i| format!("c:{i}"))), "left out: an id: every row has another value");
    check(
        "name",
        &text((0..60).map(|i| format!("n{}", i.max(10)))),
        "left out: mostly different: 50 values in 60 rows",
    );
    check(
        "day",
        &text((0..60).map(|i| format!("2011-02-{:02}", 1 + i % 28))),
        "date: dates, written as year-month-day",
    );
    check(
        "age",
        &text((0..60).map(|i| if i == 7 { "?".into() } else { format!("{i}") })),
        "number: numbers but for 1 value",
    );
    check(
        "zip",
        &text((0..60).map(|i| if i == 7 { "?".into() } else { format!("{:05}", i % 25) })),
        "category: 26 values",
    );
    check(
        "one",
        &text((0..60).map(|i| if i == 7 { "x".into() } else { String::new() })),
        "category: `x` or nothing",
    );
    check("one", &text((0..60).map(|_| "x".into())), "left out: constant: every row holds `x`");
    check(
        "note",
        &text((0..60).map(|i| format!("the machine number {i} stopped again after lunch"))),
        "text: free text: 8 words on average",
    );
    check(
        "评论",
        &text((0..60).map(|i| format!("房间{i}很干净服务也好下次还会再来"))),
        "text: free text: 8 words on average",
    );
}

/// What is read of a column that each pair of the words makes.
fn check_pairs(name: &str, firsts: [&str; 8], lasts: [&str; 8], expected: &str) {
    let pairs = firsts.iter().flat_map(|first| lasts.map(|last| format!("{first}{last}")));
    check(name, &text(pairs), expected);
}

#[test]
fn short_texts_whose_words_recur() {
    let short =
        |words: usize| format!("text: short texts: {words} words on average, which recur from row to row");
    let things = ["Screen", "Battery", "Keyboard", "Mouse", "Printer", "Scanner", "Router", "Cable"];
    let states =
        [" is broken", " is slow", " is loud!", " is dirty", " is missing", " is hot", " is wet", " is new"];
    check_pairs("title", things, states, &short(3));
    check_pairs("title", things, states.map(|state| &state[3..]), &short(2));
    let things = ["屏幕", "电池", "键盘", "鼠标", "打印", "扫描", "网络", "线路"];
    let states = ["坏了", "很慢", "很吵", "很脏", "丢了", "发热", "进水", "全新"];
    check_pairs("标题", things, states, &short(2));
}

#[test]
fn different_values_without_words_that_recur() {
    let id = "left out: an id: every row has another value";
    check("code", &text((0..60).map(|i| format!("AB {}", 1029 + i))), id);
    check("code", &text((0..60).map(|i| format!("AB-CD EF {}", 1029 + i))), id);
    check("address", &text((0..60).map(|i| format!("{} High Street", i + 1))), id);
    let minutes = text((0..60).map(|i| format!("2024-01-{:02} 10:{i:02}", 1 + i % 28)));
    let rows: Vec<u32> = (0..60).collect();
    assert!(!words_of(infer("seen", &minutes, &rows)).starts_with("text"));
    // People of whom no two have a name in common, and people of whom five have each first name.
    let syllables = ["ka", "lo", "mi", "nu", "re", "sa", "ti", "vo"];
    let name = |i: usize| format!("{}{}", syllables[i % 8], syllables[i / 8]);
    check("name", &text((0..60).map(|i| format!("{} {}son", name(i), name(i)))), id);
    check("name", &text((0..60).map(|i| format!("{} {}son", name(i % 12), name(i)))), id);
    // Companies share the last word alone.
    check("company", &text((0..60).map(|i| format!("{} Ltd.", name(i)))), id);
}

#[test]
fn lists_of_words() {
    check(
        "words",
        &text((0..60).map(|i| format!("the\u{1f}machine\u{1f}number\u{1f}{i}\u{1f}stopped"))),
        "text: free text: 5 words on average",
    );
}

#[test]
fn numbers_with_marks() {
    for (mark, example) in [("$1,{}.50", "$1,100.50"), ("{} %", "100 %"), ("-{}€", "-100€")] {
        let cells = text((100..160).map(|i| mark.replace("{}", &i.to_string())));
        let expected = format!(
            "left out: numbers that are text because of their marks, such as `{example}`; write them as plain numbers to use them"
        );
        check("price", &cells, &expected);
    }
    check(
        "version",
        &text((0..60).map(|i| format!("1,{i}"))),
        "left out: an id: every row has another value",
    );
}

#[test]
fn paths_and_addresses_of_pictures() {
    let pictures = |folder: &str| text((0..60).map(|i| format!("{folder}/{i}.jpg")));
    check("photo", &pictures("photos"), "image: paths of pictures, such as `photos/0.jpg`");
    check(
        "photo",
        &pictures("https://example.org"),
        "left out: addresses of pictures on the web, which are not fetched",
    );
}

#[test]
fn set_columns() {
    let tags = ["a", "b", "c", "d"];
    let pair = |i: usize, mark: &str| format!("{}{mark}{}", tags[i % 4], tags[(i / 4 + 1) % 4]);
    check("tags", &text((0..60).map(|i| pair(i, "|"))), "set: 4 labels between `|`");
    check("tags", &text((0..60).map(|i| pair(i, ", "))), "set: 4 labels between `,`");
    check("tags", &text((0..60).map(|i| pair(i, "\u{1f}"))), "set: lists of 4 labels");
    check(
        "pair",
        &text((0..60).map(|i| ["a|b", "c|d"][i % 2].to_owned())),
        "category: 2 values, `a|b` or `c|d`",
    );
}

#[test]
fn outputs() {
    let cycle = |low: u32, high: u32| numbers((0..200).map(move |i| f64::from(low + i % (high - low + 1))));
    check_output(
        &cycle(0, 1),
        "category: 2 values, `0` or `1`; to predict a quantity, set `outputs.y = \"number\"`",
    );
    check_output(&cycle(1, 4), "category: 4 values; to predict a quantity, set `outputs.y = \"number\"`");
    check_output(&cycle(0, 9), "category: 10 values; to predict a quantity, set `outputs.y = \"number\"`");
    check_output(
        &cycle(1, 29),
        "number: whole numbers from 1 to 29; to predict classes, set `outputs.y = \"category\"`",
    );
    check_output(
        &cycle(3, 9),
        "number: whole numbers from 3 to 9; to predict classes, set `outputs.y = \"category\"`",
    );
    check_output(&cycle(0, 999), "number: whole numbers from 0 to 199");
    check_output(&numbers([1.5, 2.5, 1.0, 7.25]), "number: numbers from 1 to 7.25");
    check_output(&numbers([1.0, 1.0]), "left out: constant: every row holds `1`");
    check_output(
        &text((0..60).map(|i| ["yes", "no"][i % 2].to_owned())),
        "category: 2 values, `no` or `yes`",
    );
    check_output(
        &text((0..60).map(|i| format!("2011-02-{:02}", 1 + i % 28))),
        "left out: a date, which cannot be predicted",
    );
}

#[test]
fn a_lone_row_number_is_used_after_all() {
    let columns = [("x".to_owned(), numbers((0..50).map(f64::from)))];
    let table = Table::new(columns.into_iter().collect(), 50);
    let rows: Vec<u32> = (0..50).collect();
    let guesses = infer_inputs(&table, ["x"], &rows);
    assert_eq!(words_of(guesses["x"].clone()), "number: whole numbers from 0 to 49");
}
