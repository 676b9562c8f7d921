//! Trains a Unigram model: pieces of words with their probabilities (Kudo 2018, <https://arxiv.org/abs/1804.10959>).
//!
//! It begins with every frequent piece, takes turns between how often each is expected where texts are cut in all
//! possible ways and what probability follows from that, and drops the pieces that would be missed least. Sums are
//! added up in the order of the words, so that equal texts give an equal model on any number of threads; the trainer of
//! the `tokenizers` crate does not.

use rayon::prelude::*;
use std::collections::HashMap;

/// Letters of a piece, at most.
const LONGEST: usize = 8;
/// Letters of a word that are looked at in one go; longer words are cut.
const STRETCH: usize = 64;
/// Times that a piece must come to be taken up.
const LEAST: u64 = 2;
/// Pieces to begin with, for each that is asked for.
const BEGIN: usize = 8;
/// Turns between two prunings.
const TURNS: usize = 2;
/// Share of the pieces that a pruning keeps.
const KEPT: f64 = 0.75;
/// Expected count below which a piece is dropped.
const RARE: f64 = 0.5;
/// Words whose sums are added up together.
const TOGETHER: usize = 512;
/// How much less likely than the least likely piece a letter is that no piece holds.
const UNKNOWN: f64 = 10.0;

/// Trains on words with their counts: at most `size` pieces with their log-probabilities, the likeliest first.
///
/// Each letter that comes twice is a piece, whatever `size` is.
pub(super) fn train(words: &[(String, u64)], size: usize) -> Vec<(String, f64)> {
    let words: Vec<(Vec<char>, u64)> = words
        .iter()
        .flat_map(|(word, count)| {
            let letters: Vec<char> = word.chars().collect();
            letters.chunks(STRETCH).map(|letters| (letters.to_vec(), *count)).collect::<Vec<_>>()
        })
        .collect();
    let mut pieces = Pieces::frequent(&words, size.saturating_mul(BEGIN));
    loop {
        let mut expected = Vec::new();
        for _ in 0..TURNS {
            expected = pieces.expected(&words);
            expected = pieces.adopt(expected);
        }
        if pieces.texts.len() * 10 <= size * 11 || !pieces.prune(&expected, size) {
            break;
        }
    }
    let letters = |text: &[char]| text.len() == 1;
    let mut order: Vec<usize> = (0..pieces.texts.len()).collect();
    order.sort_by(|a, b| {
        let of = |at: usize| (letters(&pieces.texts[at]), pieces.scores[at]);
        let ((a_letter, a_score), (b_letter, b_score)) = (of(*a), of(*b));
        b_letter
            .cmp(&a_letter)
            .then(b_score.total_cmp(&a_score))
            .then(pieces.texts[*a].cmp(&pieces.texts[*b]))
    });
    let count = pieces.texts.iter().filter(|text| letters(text)).count();
    order.truncate(size.max(count));
    let mut kept: Vec<(String, f64)> =
        order.into_iter().map(|at| (pieces.texts[at].iter().collect(), pieces.scores[at])).collect();
    kept.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    kept
}

/// Pieces with their log-probabilities, and a tree to find those that a text goes on with.
struct Pieces {
    texts: Vec<Vec<char>>,
    scores: Vec<f64>,
    /// From a node of the tree by a letter to the next; the root is 0.
    next: HashMap<(u32, char), u32>,
    /// The piece that ends at a node.
    ends: Vec<Option<u32>>,
}

impl Pieces {
    fn new(texts: Vec<Vec<char>>, scores: Vec<f64>) -> Self {
        let (mut next, mut ends) = (HashMap::new(), vec![None]);
        for (piece, text) in texts.iter().enumerate() {
            let mut node = 0;
            for letter in text {
                node = *next.entry((node, *letter)).or_insert_with(|| {
                    ends.push(None);
                    ends.len() as u32 - 1
                });
            }
            ends[node as usize] = Some(piece as u32);
        }
        Self { texts, scores, next, ends }
    }

    /// Every letter and the pieces that cover the most letters of the words, `most` in all.
    fn frequent(words: &[(Vec<char>, u64)], most: usize) -> Self {
        let mut counted: Vec<(Vec<char>, u64)> = Vec::new();
        let mut longest: Vec<HashMap<&[char], u64>> = Vec::new();
        for length in 1..=LONGEST {
            let mut counts: HashMap<&[char], u64> = HashMap::new();
            for (letters, count) in words {
                for piece in letters.windows(length) {
                    // A piece is no more frequent than what it begins with.
                    let can_be =
                        longest.last().is_none_or(|shorter| shorter.contains_key(&piece[..length - 1]));
                    if can_be {
                        *counts.entry(piece).or_default() += count;
                    }
                }
            }
            counts.retain(|_, count| *count >= LEAST);
            let end = counts.is_empty();
            counted.extend(counts.iter().map(|(piece, count)| (piece.to_vec(), *count)));
            longest.push(counts);
            if end {
                break;
            }
        }
        let weight = |(text, count): &(Vec<char>, u64)| (text.len() == 1, count * text.len() as u64);
        counted.sort_unstable_by(|a, b| weight(b).cmp(&weight(a)).then_with(|| a.0.cmp(&b.0)));
        let letters = counted.iter().filter(|(text, _)| text.len() == 1).count();
        counted.truncate(most.max(letters));
        let total: f64 = counted.iter().map(|piece| weight(piece).1 as f64).sum();
        let scores = counted.iter().map(|piece| (weight(piece).1 as f64 / total.max(1.0)).ln()).collect();
        Self::new(counted.into_iter().map(|(text, _)| text).collect(), scores)
    }

    /// The pieces that letters begin with: letters taken and the piece.
    fn begins(&self, letters: &[char]) -> impl Iterator<Item = (usize, usize)> {
        let mut node = Some(0);
        letters.iter().enumerate().filter_map(move |(taken, letter)| {
            node = node.and_then(|node| self.next.get(&(node, *letter)).copied());
            Some((taken + 1, self.ends[node? as usize]? as usize))
        })
    }

    /// How often each piece is expected, over all ways to cut the words.
    fn expected(&self, words: &[(Vec<char>, u64)]) -> Vec<f64> {
        let unknown = self.scores.iter().copied().fold(0.0, f64::min) - UNKNOWN;
        let sums: Vec<HashMap<usize, f64>> = words
            .par_chunks(TOGETHER)
            .map(|words| {
                let mut sums = HashMap::new();
                for (letters, count) in words {
                    self.add_expected(letters, *count as f64, unknown, &mut sums);
                }
                sums
            })
            .collect();
        let mut expected = vec![0.0; self.texts.len()];
        // Of each piece the sums come in the order of the words, whatever the order of the pieces is.
        sums.into_iter().flatten().for_each(|(piece, sum)| expected[piece] += sum);
        expected
    }

    /// Adds what is expected in one word (the forward-backward algorithm).
    fn add_expected(&self, letters: &[char], count: f64, unknown: f64, sums: &mut HashMap<usize, f64>) {
        let end = letters.len();
        let edges: Vec<Vec<(usize, Option<usize>, f64)>> = (0..end)
            .map(|start| {
                let known = self.begins(&letters[start..]);
                let mut edges: Vec<_> =
                    known.map(|(taken, piece)| (start + taken, Some(piece), self.scores[piece])).collect();
                if edges.first().is_none_or(|(to, ..)| *to != start + 1) {
                    edges.insert(0, (start + 1, None, unknown));
                }
                edges
            })
            .collect();
        let (mut before, mut after) = (vec![f64::NEG_INFINITY; end + 1], vec![f64::NEG_INFINITY; end + 1]);
        (before[0], after[end]) = (0.0, 0.0);
        for (start, edges) in edges.iter().enumerate() {
            for (to, _, score) in edges {
                before[*to] = log_add(before[*to], before[start] + score);
            }
        }
        for (start, edges) in edges.iter().enumerate().rev() {
            for (to, _, score) in edges {
                after[start] = log_add(after[start], score + after[*to]);
            }
        }
        for (start, edges) in edges.iter().enumerate() {
            for (to, piece, score) in edges {
                if let Some(piece) = piece {
                    let share = (before[start] + score + after[*to] - before[end]).exp();
                    *sums.entry(*piece).or_default() += share * count;
                }
            }
        }
    }

    /// Takes probabilities from expected counts, by the mean of their logarithms under a Dirichlet distribution, which
    /// favors few pieces; drops the rare ones and returns the counts of those that are left.
    fn adopt(&mut self, expected: Vec<f64>) -> Vec<f64> {
        let kept: Vec<usize> =
            (0..self.texts.len()).filter(|at| expected[*at] >= RARE || self.texts[*at].len() == 1).collect();
        let counts: Vec<f64> = kept.iter().map(|at| expected[*at].max(RARE)).collect();
        let total = digamma(counts.iter().sum());
        let texts = kept.iter().map(|at| std::mem::take(&mut self.texts[*at])).collect();
        *self = Self::new(texts, counts.iter().map(|count| digamma(*count) - total).collect());
        counts
    }

    /// Drops the pieces in whose place others do nearly as well, not below `size`; tells whether there were any.
    fn prune(&mut self, counts: &[f64], size: usize) -> bool {
        let total: f64 = counts.iter().sum();
        let losses: Vec<f64> = (0..self.texts.len())
            .into_par_iter()
            .map(|piece| {
                let Some(others) = self.without(piece) else { return f64::INFINITY };
                // All that the piece stands for goes to the others.
                let count = counts[piece];
                let after = total + count * (others.len() as f64 - 1.0);
                let score: f64 = others.iter().map(|other| ((counts[*other] + count) / after).ln()).sum();
                count * ((count / total).ln() - score)
            })
            .collect();
        let mut order: Vec<usize> = (0..losses.len()).collect();
        order.sort_by(|a, b| losses[*b].total_cmp(&losses[*a]).then(a.cmp(b)));
        let needed = losses.iter().filter(|loss| loss.is_infinite()).count();
        let keep = ((order.len() as f64 * KEPT) as usize).max(size).max(needed);
        if keep >= order.len() {
            return false;
        }
        order.truncate(keep);
        order.sort_unstable();
        let texts = order.iter().map(|at| std::mem::take(&mut self.texts[*at])).collect();
        *self = Self::new(texts, order.iter().map(|at| self.scores[*at]).collect());
        true
    }

    /// The likeliest pieces that a piece can be put together of; `None` for a single letter or if there are none.
    fn without(&self, piece: usize) -> Option<Vec<usize>> {
        let letters = &self.texts[piece];
        let end = letters.len();
        let mut best: Vec<Option<(f64, usize, usize)>> = vec![None; end + 1];
        best[0] = Some((0.0, 0, 0));
        for start in 0..end {
            let Some((score, ..)) = best[start] else { continue };
            for (taken, other) in self.begins(&letters[start..]).filter(|(_, other)| *other != piece) {
                let score = score + self.scores[other];
                if best[start + taken].is_none_or(|(best, ..)| score > best) {
                    best[start + taken] = Some((score, start, other));
                }
            }
        }
        let (mut others, mut at) = (Vec::new(), end);
        while at > 0 {
            let (_, start, other) = best[at]?;
            others.push(other);
            at = start;
        }
        Some(others)
    }
}

/// `ln(e^a + e^b)`.
fn log_add(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

/// The derivative of `ln Γ(x)`, for `x` above 0, by its recurrence and its asymptotic series.
fn digamma(mut x: f64) -> f64 {
    let mut sum = 0.0;
    while x < 7.0 {
        sum -= 1.0 / x;
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    let series = square * (1.0 / 12.0 - square * (1.0 / 120.0 - square * (1.0 / 252.0 - square / 240.0)));
    sum + x.ln() - 0.5 / x - series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digamma_of_known_values() {
        for (x, expected) in
            [(1.0, -0.577_215_664_901_533), (0.5, -1.963_510_026_021_423), (10.0, 2.251_752_589_066_721)]
        {
            assert!((digamma(x) - expected).abs() < 1e-9, "{x}");
        }
    }

    #[test]
    fn expected_counts_are_those_of_all_cuts() {
        // "ab" is cut as a, b or as ab: 0.5 · 0.25 against 0.25.
        let text = |text: &str| text.chars().collect::<Vec<char>>();
        let pieces =
            Pieces::new(vec![text("a"), text("b"), text("ab")], [0.5f64, 0.25, 0.25].map(f64::ln).to_vec());
        let expected = pieces.expected(&[(text("ab"), 3)]);
        for (found, expected) in expected.iter().zip([1.0, 1.0, 2.0]) {
            assert!((found - expected).abs() < 1e-12, "{expected}");
        }
    }

    #[test]
    fn what_comes_together_becomes_a_piece() {
        let words: Vec<(String, u64)> =
            ["lower", "lowest", "newer", "newest", "wider", "widest", "low", "new", "wide"]
                .map(|word| (format!("▁{word}"), 50))
                .to_vec();
        let pieces = train(&words, 20);
        assert!(pieces.len() <= 20, "{}", pieces.len());
        let has = |text: &str| pieces.iter().any(|(piece, _)| piece == text);
        assert!(has("▁low") && has("▁new") && has("est") || has("▁wide"), "{pieces:?}");
        for letter in ["l", "▁", "w"] {
            assert!(has(letter), "{letter}");
        }
        assert!(pieces.windows(2).all(|pair| pair[0].1 >= pair[1].1));
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(pool.install(|| train(&words, 20)), pieces);
        }
    }
}
