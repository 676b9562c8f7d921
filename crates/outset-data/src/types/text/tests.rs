//! Texts to n-grams and tokens.

use super::*;
use serde_json::json;

fn fit(cells: &Cells, settings: &TextSettings) -> TextInput {
    let rows: Vec<u32> = (0..cells.len() as u32).collect();
    TextInput::fit(Column { name: "review", cells, rows: &rows }, settings).unwrap()
}

fn cells(texts: &[Option<&str>]) -> Cells {
    Cells::Text(texts.iter().copied().collect())
}

#[test]
fn texts_become_weighted_ngrams() {
    let data = cells(&[Some("A good film"), Some("a good day"), None, None]);
    let fitted = fit(&data, &TextSettings::default());
    assert_eq!((fitted.median, fitted.longest, fitted.cut, fitted.empty), (11, 11, 0, 2));
    let Features::Weighted { offsets, indices, weights } =
        fitted.encode(Column { name: "review", cells: &data, rows: &[0, 2, 1, 3] }).unwrap()
    else {
        panic!("n-grams are weighted")
    };
    assert_eq!((offsets[1], offsets[2] - offsets[1], offsets[4] - offsets[3]), (offsets[1], 0, 0));
    assert!(offsets[1] > 0 && indices.len() == weights.len());
    // "a", "good", "film" and "day", the pairs "a good", "good film" and "good day", and the characters of each word.
    let (four, three) = (5 + 4 + 3 + 2, 4 + 3 + 2 + 1);
    assert_eq!(fitted.shape(""), FeatureShape::Weighted { size: 4 + 3 + (3 + four + four + three) });
    // Nothing but what both texts share.
    let fitted = fit(&data, &TextSettings { min_count: 2, ..TextSettings::default() });
    assert_eq!(fitted.shape(""), FeatureShape::Weighted { size: 3 + 3 + four });
}

#[test]
fn words_are_found_where_they_lie() {
    let clean = "good 房间, bad";
    let words: Vec<&str> = TextInput::words(clean).into_iter().map(|word| &clean[word]).collect();
    assert_eq!(words, ["good", "房", "间", ",", "bad"]);
}

#[test]
fn texts_become_tokens() {
    let data = cells(&[Some("good film"), Some("good day good"), None, Some("zzz")]);
    let settings = TextSettings { tokenizer: Some(Scheme::Words), ..Default::default() };
    let fitted = fit(&data, &settings);
    let Features::Tokens { offsets, indices, .. } =
        fitted.encode(Column { name: "review", cells: &data, rows: &[0, 1, 2, 3] }).unwrap()
    else {
        panic!("words are tokens")
    };
    assert_eq!(offsets, [0, 2, 5, 6, 7]);
    assert_eq!((indices[0], indices[5]), (indices[2], 0));
    assert_ne!(indices[0], indices[6]);
}

#[test]
fn many_unknown_tokens_are_told() {
    let settings = TextSettings { tokenizer: Some(Scheme::Words), ..Default::default() };
    let fitted = fit(&cells(&[Some("good film"), Some("good day good"), Some("zzz")]), &settings);
    assert_eq!(
        fitted.summary(),
        "2 tokens, 3 a text at most, 50 % of the tokens are unknown, 9 characters a text in the middle"
    );
    let fitted = fit(&cells(&[Some("good film"), Some("good film day film")]), &settings);
    assert!(fitted.summary().contains("17 %"), "{}", fitted.summary());
    let fitted = fit(&cells(&[Some("good film"), Some("good film film")]), &settings);
    assert!(!fitted.summary().contains("unknown"), "{}", fitted.summary());
}

#[test]
fn rows_that_are_cut_in_one_way_or_the_other_count_once() {
    let texts = ["a a a a", "bbbbbb bbbbbb b", "a b a b a b a b", "a b"];
    let data = cells(&texts.map(Some));
    let settings = TextSettings {
        tokenizer: Some(Scheme::Words),
        max_characters: 10,
        max_length: Some(3),
        ..Default::default()
    };
    // By tokens, by characters, by both, by neither.
    assert_eq!(fit(&data, &settings).cut, 3);
}

#[test]
fn requests_hold_text_of_some_length() {
    let fitted = fit(&cells(&[Some("good film"), Some("good day")]), &TextSettings::default());
    assert_eq!(fitted.read(&json!("x")), Ok(Entry::Text("x".into())));
    assert_eq!(fitted.read(&json!(3)), Ok(Entry::Text("3".into())));
    assert_eq!(fitted.read(&json!({})), Err("text, or a list of its words".into()));
    let long = "é".repeat(1_000_001);
    assert_eq!(fitted.read(&json!(long)), Err("text of at most 1,000,000 characters".into()));
    let too_long: Result<Entry, String> =
        Err("text, or a list of its words of at most 1,000,000 characters".into());
    assert_eq!(fitted.read(&json!(["good", 3])), too_long);
    assert_eq!(fitted.read(&json!([long])), too_long);
}

#[test]
fn a_list_of_words_is_read_as_they_are_in_a_text() {
    let spaced = cells(&[Some("good film"), Some("a good day"), Some("film")]);
    // As JSON and Parquet are read.
    let listed = cells(&[Some("good\u{1f}film"), Some("a\u{1f}good\u{1f}day"), Some("film")]);
    for scheme in [Scheme::Ngrams, Scheme::Words] {
        let settings = TextSettings { tokenizer: Some(scheme), ..Default::default() };
        let [text, list] = [&spaced, &listed].map(|data| {
            let fitted = fit(data, &settings);
            let column = Column { name: "review", cells: data, rows: &[0, 1, 2] };
            (fitted.shape(""), fitted.encode(column).unwrap())
        });
        assert_eq!(text, list);
        // As a request holds them.
        let fitted = fit(&spaced, &settings);
        let encoded =
            [json!("a good day"), json!(["a", "good", "day"]), json!(["a good", "day"])].map(|value| {
                let Ok(Entry::Text(text)) = fitted.read(&value) else { panic!("{value} is a text") };
                assert_eq!(fitted.shown(&text), "a good day");
                fitted.encode(Column { name: "review", cells: &cells(&[Some(&text)]), rows: &[0] }).unwrap()
            });
        assert!(encoded[0] == encoded[1] && encoded[0] == encoded[2], "{encoded:?}");
    }
}

#[test]
fn a_million_characters_are_cut_and_counted() {
    let long = "word ".repeat(200_000);
    let data = cells(&[Some("good film"), Some("good day"), Some(&long)]);
    let fitted = fit(&data, &TextSettings::default());
    assert!(fitted.cut == 1 && fitted.longest >= 999_999, "{}", fitted.longest);
    fitted.encode(Column { name: "review", cells: &data, rows: &[0, 1, 2] }).unwrap();
}
