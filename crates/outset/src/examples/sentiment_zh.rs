//! Made reviews of hotels in Chinese.

use super::Example;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Texts without spaces between words.
pub const EXAMPLE: Example = Example {
    name: "sentiment-zh",
    about: "What reviews of hotels say: text to category, in Chinese.",
    files,
    pictures: Vec::new,
};

const EXPERIMENT: &str = include_str!("../../../../examples/sentiment-zh/outset.toml");
const README: &str = include_str!("../../../../examples/sentiment-zh/README.md");

const REVIEWS: usize = 800;
const SUBJECTS: [&str; 8] = ["房间", "前台服务", "早餐", "位置", "床", "浴室", "大堂", "空调"];
const GOOD: [&str; 6] = ["很干净", "非常好", "让人满意", "很舒服", "值得推荐", "超出预期"];
const BAD: [&str; 6] = ["不干净", "太差了", "让人失望", "很不舒服", "不推荐", "有异味"];
const FILLERS: [&str; 4] = ["这次是出差入住", "和家人一起来的", "住了两个晚上", "离车站大约十分钟"];

fn files() -> Vec<(&'static str, String)> {
    vec![("outset.toml", EXPERIMENT.to_owned()), ("README.md", README.to_owned()), ("reviews.csv", reviews())]
}

/// The reviews, seed 42.
fn reviews() -> String {
    let mut generator = ChaCha8Rng::seed_from_u64(42);
    let mut text = String::from("review,label\n");
    for _ in 0..REVIEWS {
        let good = generator.random::<f64>() < 0.5;
        let mut parts = Vec::new();
        for _ in 0..2 + generator.random_range(0..3u32) {
            let subject = SUBJECTS[generator.random_range(0..SUBJECTS.len())];
            // One part in six says the opposite of the whole.
            let praises = good != (generator.random::<f64>() < 1.0 / 6.0);
            let phrases = if praises { GOOD } else { BAD };
            parts.push(format!("{subject}{}", phrases[generator.random_range(0..phrases.len())]));
        }
        if generator.random::<f64>() < 0.7 {
            let place = generator.random_range(0..=parts.len());
            parts.insert(place, FILLERS[generator.random_range(0..FILLERS.len())].to_owned());
        }
        let labelled = good != (generator.random::<f64>() < 0.05);
        text.push_str(&format!("{}。,{}\n", parts.join("，"), if labelled { "好评" } else { "差评" }));
    }
    text
}
