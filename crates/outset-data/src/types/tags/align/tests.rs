use super::*;

const READING: Reading = Reading { by: None, max_characters: 1000, max_length: 100, max_mended: 0.5 };

fn aligned(rows: &[(&str, &str)], reading: Reading) -> Result<Aligned, DataError> {
    let column = |of: &dyn Fn(&(&str, &str)) -> String| {
        let cells: Vec<String> = rows.iter().map(|row| of(row).replace('/', "\u{1f}")).collect();
        Cells::Text(cells.iter().map(|cell| Some(cell.as_str())).collect())
    };
    let (text, tags) = (column(&|row| row.0.to_owned()), column(&|row| row.1.to_owned()));
    align(Pair { text_name: "text", text: &text, tags_name: "tags", tags: &tags }, reading)
}

fn check(rows: &[(&str, &str)], by: By, expected: &[&str], notes: &[&str]) {
    check_with(READING, rows, by, expected, notes);
}

fn check_with(reading: Reading, rows: &[(&str, &str)], by: By, expected: &[&str], notes: &[&str]) {
    let found = aligned(rows, reading).unwrap_or_else(|error| panic!("{error}"));
    let cells: Vec<String> =
        (0..rows.len()).map(|row| found.cells.text(row).unwrap_or_default().replace('\u{1f}', " ")).collect();
    assert_eq!((found.by, cells), (by, expected.iter().map(|cell| (*cell).to_owned()).collect()));
    assert_eq!(found.notes, notes);
}

fn check_error(rows: &[(&str, &str)], expected: &str) {
    let error = aligned(rows, Reading { max_mended: 0.0, ..READING }).unwrap_err();
    let hint = error.hint().map_or(String::new(), |hint| format!("\nhint: {hint}"));
    assert_eq!(format!("{error}{hint}"), expected);
}

#[test]
fn lists_of_tags_choose_how_texts_come_apart() {
    check(
        &[("U.S./won/it", "I-org/O/O"), ("A/B", "I-org/B-org"), ("can't", "O")],
        By::Words,
        &["B-org O O", "B-org B-org", "O"],
        &["`tags` tags the given tokens of `text` (IOB1, 1 type)"],
    );
    check(
        &[("Ada won.", "B-p O"), ("x, y", "O O")],
        By::Spaces,
        &["B-p O", "O O"],
        &["`tags` tags the words of `text` (IOB2, 1 type)"],
    );
    check(
        &[("Ada won.", "S-p O O"), ("", "")],
        By::Words,
        &["B-p O O", ""],
        &["`tags` tags the words of `text` (BIOES, 1 type)"],
    );
    check(
        &[("在北京", "O B-地 I-地"), ("很大", "O I-地")],
        By::Characters,
        &["O B-地 I-地", "O B-地"],
        &[
            "`tags` tags the characters of `text` (IOB2, 1 type)",
            "1 row of `tags` holds tags that continue an entity which has not begun, which begins there: row 2",
        ],
    );
}

#[test]
fn spans_are_put_on_words_and_characters() {
    check(
        &[
            (
                "call Ada Byron now",
                r#"[{"start": 5, "end": 14, "type": "p"}, {"start": 5, "end": 8, "type": "q"}]"#,
            ),
            ("paid 12EUR", r#"[[5, 7, "sum"]]"#),
            ("no", ""),
        ],
        By::Words,
        &["O B-p I-p O", "O B-sum", "O"],
        &[
            "`tags` tags the words of `text` (spans, 2 types)",
            "1 row of `tags` holds spans that overlap, of which the longer ones are kept: row 1",
            "1 row of `tags` holds spans that begin or end within a word, all of which is taken in: row 2",
        ],
    );
    check(
        &[("叶老桂在北京", r#"{"name": {"叶老桂": [[0, 2]]}}"#)],
        By::Characters,
        &["B-name I-name I-name O O O"],
        &["`tags` tags the characters of `text` (spans, 1 type)"],
    );
}

#[test]
fn long_texts_are_cut_once_their_tags_are_checked() {
    const CUT: &str = "1 row of `tags` holds more than `max_characters` or `max_length` allows; the rest is left out: row 1";
    let letters = |max_characters: usize| Reading { max_characters, ..READING };
    let spans = r#"[[5, 14, "p"], [15, 18, "t"]]"#;
    let of_spans = ["`tags` tags the words of `text` (spans, 1 type)", CUT];
    // A name that the end cuts in two keeps its tag.
    let rows = [("call Ada Byron now", spans), ("no one", "")];
    check_with(letters(12), &rows, By::Words, &["O B-p I-p", "O O"], &of_spans);
    check_with(Reading { max_length: 2, ..READING }, &rows, By::Words, &["O B-p", "O O"], &of_spans);
    check_with(
        letters(12),
        &[("Ada won it all.", "S-p O O O O"), ("it", "O")],
        By::Words,
        &["B-p O O O", "O"],
        &["`tags` tags the words of `text` (BIOES, 1 type)", CUT],
    );
    let of_tokens = ["`tags` tags the given tokens of `text` (IOB2, 1 type)", CUT];
    let rows = [("U.S./won/it/all", "B-org/O/O/O"), ("it", "O")];
    check_with(letters(12), &rows, By::Words, &["B-org O O", "O"], &of_tokens);
    // What is left of the first token alone is two words.
    check_with(letters(2), &rows, By::Words, &["B-org I-org", "O"], &of_tokens);
}

#[test]
fn a_text_longer_than_is_read_has_as_many_tags_as_units() {
    let text = "word ".repeat(5_000) + "Ada";
    let spans = r#"[[0, 4, "w"], [25000, 25003, "p"]]"#;
    let reading = Reading { max_characters: 20_003, max_length: 10_000, ..READING };
    let found = aligned(&[(text.as_str(), spans)], reading).unwrap();
    let tags = found.cells.text(0).unwrap().split(LIST_SEPARATOR).count();
    assert_eq!((tags, units::split(&text[..20_003], By::Words).len()), (4_001, 4_001));
    let error = aligned(&[(text.as_str(), r#"[[25000, 25004, "p"]]"#)], reading).unwrap_err();
    assert!(error.to_string().contains("which has 25003 characters"), "{error}");
}

#[test]
fn rows_that_do_not_fit_are_named() {
    check_error(
        &[("a/b", "O/O"), ("a/b/c", "O/B-x")],
        "row 2 of column `tags` holds 2 tags, but `text` has 3 tokens there",
    );
    check_error(
        &[("ab", r#"[[0, 2, "x"]]"#), ("ab", r#"[[1, 3, "x"]]"#)],
        "the span from 1 to 3 (`x`) in row 2 of column `tags` does not lie within the text, which has 2 characters\n\
         hint: places count characters from 0, and `end` is the first character behind the span",
    );
    check_error(
        &[("abc", r#"{"x": {"ab": [[1, 2]]}}"#)],
        "the span from 1 to 3 (`x`) in row 1 of column `tags` should hold `ab`, but the text holds something else there\n\
         hint: places count characters from 0, and `end` is the first character behind the span",
    );
    check_error(
        &[("ab cd", r#"[[0, 5, "x"], [3, 5, "y"]]"#)],
        "1 of 1 rows of column `tags` hold spans that overlap, the first being row 1, but each word can have one tag\n\
         hint: mend them, or set `data.max_skipped` to at least 1 (it is 0), so that the longer span is kept",
    );
    check_error(
        &[("ab", "[[0, 1, \"x\"]]"), ("ab", "B-x")],
        "row 2 of column `tags` holds `B-x`, which is neither a list of tags nor one of spans\n\
         hint: tags come as a list with one for each word, spans as objects with `start`, `end` and `type`",
    );
}

#[test]
fn columns_of_tags_are_recognised() {
    assert!(looks_like_tags(["O\u{1f}B-x", "O"].into_iter()));
    assert!(looks_like_tags([r#"[{"start":0,"end":1,"type":"x"}]"#].into_iter()));
    assert!(!looks_like_tags(["O", "yes"].into_iter()));
    assert!(!looks_like_tags(["B-12", "S-3"].into_iter()));
    assert!(!looks_like_tags([].into_iter()));
}
