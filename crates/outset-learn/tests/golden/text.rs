use crate::{cases, close, numbers};
use outset_data::types::text::{Cleaner, Ngrams};

#[test]
fn tf_idf_is_scikit_learns() {
    let cleaner = Cleaner { html: false, lowercase: true, max_characters: 1000 };
    for case in cases(include_str!("text.json")) {
        let name = case["name"].as_str().unwrap();
        let texts = |key: &str| -> Vec<(String, u64)> {
            let texts = case[key].as_array().unwrap().iter();
            texts.map(|text| (cleaner.clean(text.as_str().unwrap()), 1)).collect()
        };
        let ngrams = Ngrams::fit(&texts("texts"), 1, 10_000);
        let words = ngrams.words.hashes.len() as u32;
        let of_block = |index: &u32| (*index < words) == (name == "words");
        let size = if name == "words" { words as usize } else { ngrams.characters.hashes.len() };
        assert_eq!(size as u64, case["size"].as_u64().unwrap(), "{name}");
        let expected = case["weights"].as_array().unwrap();
        for ((text, _), expected) in texts("texts").iter().chain(&texts("others")).zip(expected) {
            let weighed = ngrams.weigh(text).into_iter().filter(|(index, _)| of_block(index));
            let mut found: Vec<f64> = weighed.map(|(_, weight)| f64::from(weight)).collect();
            found.sort_unstable_by(f64::total_cmp);
            close(&format!("{name} of `{text}`"), &found, &numbers(expected), 1e-6);
        }
    }
}
