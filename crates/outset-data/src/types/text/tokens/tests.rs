use super::*;

fn texts() -> Vec<(String, u64)> {
    let lines =
        ["good film , good day", "bad film , bad day", "房间很大，很好", "房间很小，不好", "good day"];
    (0..20).flat_map(|_| lines.map(|line| (line.to_owned(), 1))).collect()
}

#[test]
fn every_scheme_gives_the_same_tokens_each_time() {
    let words = ["quiet", "quick", "unlike", "likely", "untie", "tie", "tiled", "lit"];
    let texts: Vec<(String, u64)> =
        (0..60).map(|row| (format!("{} {}", words[row % 8], words[row * 5 % 8]), 1)).collect();
    for (word, scheme) in Scheme::WORDS.iter().filter(|(word, _)| *word != "ngrams") {
        let fit = || serde_json::to_string(&Tokens::fit(&texts, scheme, 40, None, 256).unwrap().0).unwrap();
        let first = fit();
        assert!((0..5).all(|_| fit() == first), "{word}");
    }
    let (tokens, _) = Tokens::fit(&texts, &Scheme::WordPiece, 300, Some(9), 256).unwrap();
    assert_eq!(tokens.encode("##u").len(), 3, "what looks like a piece is a text as any other");
}

#[test]
fn every_scheme_reads_words_and_chinese() {
    for (word, scheme) in Scheme::WORDS.iter().filter(|(word, _)| *word != "ngrams") {
        let (tokens, _) = Tokens::fit(&texts(), scheme, 300, None, 256).unwrap();
        for text in ["good film", "房间 很好", "film 好"] {
            let encoded = tokens.encode(text);
            assert!(encoded.len() > 1, "{word}: {text} {encoded:?}");
            assert!(encoded.iter().all(|token| (*token as usize) < tokens.size()), "{word}");
        }
        assert_eq!(tokens.encode(""), [0], "{word}");
        assert!(!tokens.encode("zebra ☃ 龍").is_empty());
        let copy: Tokens = serde_json::from_str(&serde_json::to_string(&tokens).unwrap()).unwrap();
        assert_eq!(copy.encode("bad film，很大"), tokens.encode("bad film，很大"), "{word}");
        for _ in 0..5 {
            let (again, _) = Tokens::fit(&texts(), scheme, 300, None, 256).unwrap();
            assert_eq!(again.encode("bad film，很大"), tokens.encode("bad film，很大"), "{word}");
        }
    }
}

#[test]
fn long_texts_are_cut() {
    let mut texts = texts();
    texts.push(("day ".repeat(100), 3));
    let (tokens, lengths) = Tokens::fit(&texts, &Scheme::Words, 100, None, 256).unwrap();
    assert!(tokens.max_length < 10, "{}", tokens.max_length);
    assert_eq!(lengths.last(), Some(&100));
    assert_eq!(tokens.encode(&"day ".repeat(100)).len(), tokens.max_length);
    assert_eq!(Tokens::fit(&texts, &Scheme::Words, 100, Some(2), 256).unwrap().0.max_length, 2);
}

/// Reads the texts by a `tokenizer.json` with this model.
fn by_file(model: &str, texts: &[&str]) -> Result<Tokens, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokenizer.json");
    let marks = r#"{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true}"#;
    let spaces = r#"{"type": "WhitespaceSplit"}"#;
    let split = if model.contains('▁') { marks } else { spaces };
    let text = format!(r#"{{"version": "1.0", "pre_tokenizer": {split}, "model": {model}}}"#);
    std::fs::write(&file, text).unwrap();
    let texts: Vec<(String, u64)> = texts.iter().map(|text| ((*text).to_owned(), 1)).collect();
    let fitted = Tokens::fit(&texts, &Scheme::File(file.display().to_string()), 300, None, 256);
    fitted.map(|(tokens, _)| tokens)
}

/// A word-level model of these words and numbers.
fn word_level(vocabulary: &str) -> String {
    format!(r#"{{"type": "WordLevel", "vocab": {{{vocabulary}}}, "unk_token": "[UNK]"}}"#)
}

#[test]
fn a_file_for_another_language_is_refused() {
    let foreign = "it knows no token of the train texts; is it one for another language?";
    let pieces = r###"{"type": "WordPiece", "vocab": {"[UNK]": 0, "good": 1, "day": 2}, "unk_token": "[UNK]",
        "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}"###;
    let pairs = r#"{"type": "BPE", "vocab": {"g": 0, "o": 1, "d": 2, "a": 3, "y": 4}, "merges": []}"#;
    let marked = r#"{"type": "BPE", "vocab": {"<unk>": 0, "good": 1, "day": 2}, "merges": [],
        "unk_token": "<unk>", "ignore_merges": true}"#;
    let unigram = r#"{"type": "Unigram", "unk_id": 0,
        "vocab": [["<unk>", 0.0], ["▁", -2.0], ["▁good", -3.0], ["▁day", -3.0]]}"#;
    let words = word_level(r#""[UNK]": 0, "good": 1, "day": 2"#);
    let words = words.as_str();
    for model in [pieces, pairs, marked, unigram, words] {
        assert_eq!(by_file(model, &["房间很大", "很好"]).unwrap_err(), foreign, "{model}");
        assert_eq!(by_file(model, &["good day"]).unwrap().unknown, 0.0, "{model}");
        // Texts in which nothing stands, as HTML without a word, tell nothing of the language.
        assert_eq!(by_file(model, &[""]).unwrap().unknown, 0.0, "{model}");
    }
    for model in [pieces, unigram, words] {
        assert_eq!(by_file(model, &["good 房间", "day"]).unwrap().unknown, 1.0 / 3.0, "{model}");
    }
}

#[test]
fn unknown_tokens_of_trained_ones_are_counted() {
    let texts = ["good good", "good rare", "good"].map(|text| (text.to_owned(), 2));
    let (tokens, _) = Tokens::fit(&texts, &Scheme::Words, 100, None, 256).unwrap();
    assert_eq!(tokens.unknown, 2.0 / 10.0, "`rare` stands in one text, which two rows have");
    let (tokens, _) = Tokens::fit(&texts, &Scheme::BytePairs, 300, None, 256).unwrap();
    assert_eq!(tokens.unknown, 0.0, "every byte is known");
}

#[test]
fn texts_that_a_file_cannot_take_apart_are_no_empty_ones() {
    let error = by_file(&word_level(r#""good": 0, "day": 1"#), &["good day", "bad day"]).unwrap_err();
    assert_eq!(
        error,
        "a train text cannot be taken apart (WordLevel error: Missing [UNK] token from the vocabulary); \
         does it lack the token for what it does not know, `unk_token`?"
    );
}

#[test]
fn numbers_that_no_table_could_hold_are_refused() {
    let of = |number: u32| by_file(&word_level(&format!(r#""[UNK]": 0, "good": {number}"#)), &["good"]);
    assert_eq!(
        of(u32::MAX).unwrap_err(),
        "a token has the number 4294967295, but 10,000,000 is the highest that it may have"
    );
    assert_eq!(of(10_000_000).unwrap().size(), 10_000_002);
}

#[test]
fn a_file_that_is_no_tokeniser_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokenizer.json");
    std::fs::write(&file, "{\"model\": 3}").unwrap();
    let scheme = Scheme::File(file.display().to_string());
    assert!(Tokens::fit(&texts(), &scheme, 300, None, 256).is_err());
    let nowhere = Scheme::File("nowhere/tokenizer.json".to_owned());
    assert!(Tokens::fit(&texts(), &nowhere, 300, None, 256).is_err());
}
