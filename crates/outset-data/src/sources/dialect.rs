//! Recognises the delimiter and the header line of delimited text from its first records.

use super::number::{Parsed, parse, trim};
use super::records::{Batch, Records, Syntax};
use std::collections::HashSet;

/// The delimiters that are recognised, with their names; the first wins where all fit equally.
pub(super) const DELIMITERS: [(u8, &str); 4] =
    [(b',', "comma"), (b';', "semicolon"), (b'\t', "tab"), (b'|', "pipe")];

/// Stands for "no delimiter": text files hold no NUL.
pub(super) const ONE_COLUMN: u8 = 0;

/// Records looked at.
const RECORDS: usize = 1000;

/// The first records of a file, as they are under one syntax.
type Sample = Vec<Vec<Vec<u8>>>;

/// Name of a delimiter for people.
pub(super) fn delimiter_name(delimiter: u8) -> &'static str {
    DELIMITERS.iter().find(|(byte, _)| *byte == delimiter).map_or("delimiter", |(_, name)| name)
}

/// Reads the first records; of a cut text the last one is left out.
pub(super) fn sample(head: &[u8], whole: bool, syntax: Syntax) -> Sample {
    let (mut records, mut batch) = (Records::new(head, syntax), Batch::default());
    let mut sample: Sample = Vec::new();
    while sample.len() <= RECORDS && matches!(records.next_batch(&mut batch), Ok(true)) {
        let wanted = batch.len().min(RECORDS + 1 - sample.len());
        sample.extend((0..wanted).map(|record| batch.cells(record).map(<[u8]>::to_vec).collect()));
    }
    if !whole && sample.len() > 1 && sample.len() <= RECORDS {
        sample.pop();
    }
    sample
}

/// Character that ends a line: a line feed, or the carriage return of old Macs where there is no line feed.
pub(super) fn line_end(head: &[u8]) -> u8 {
    if head.contains(&b'\r') && !head.contains(&b'\n') { b'\r' } else { b'\n' }
}

/// Recognises the delimiter; `expected` is the one that the file's ending speaks for.
pub(super) fn delimiter(head: &[u8], whole: bool, line_end: u8, expected: Option<u8>) -> u8 {
    let mut best = (ONE_COLUMN, 0.0);
    let candidates = expected.into_iter().chain(DELIMITERS.iter().map(|(byte, _)| *byte));
    for delimiter in candidates {
        let score = fit(&sample(head, whole, Syntax { delimiter, quotes: true, line_end }), delimiter)
            .max(fit(&sample(head, whole, Syntax { delimiter, quotes: false, line_end }), delimiter));
        if score > best.1 + 1e-9 {
            best = (delimiter, score);
        }
    }
    if best.1 >= 0.4 { best.0 } else { ONE_COLUMN }
}

/// How well a delimiter fits, from 0 to 1: equally many cells in each record, none holding another delimiter.
fn fit(sample: &Sample, delimiter: u8) -> f64 {
    let Some(first) = sample.first() else { return 0.0 };
    let mut counts: Vec<usize> = sample.iter().map(Vec::len).collect();
    counts.sort_unstable();
    let runs = counts.chunk_by(|a, b| a == b);
    let Some(usual) = runs.max_by_key(|run| (run.len(), run[0] == first.len(), run[0])) else { return 0.0 };
    if usual[0] < 2 {
        return 0.0;
    }
    let mut share = usual.len() as f64 / sample.len() as f64;
    if first.len() != usual[0] {
        share *= 0.5;
    }
    let cells = || sample.iter().flatten();
    let mixed = cells().filter(|cell| {
        let others = DELIMITERS.iter().any(|(other, _)| *other != delimiter && cell.contains(other));
        others && parse(trim(cell), true) == Parsed::Text && cell.len() < 40
    });
    let clean = 1.0 - mixed.count() as f64 / cells().count().max(1) as f64;
    share * (0.5 + 0.5 * clean)
}

/// Tells whether the first record names the columns.
///
/// `known` are column names that the file is expected to have; `likely` decides where nothing else does.
pub(super) fn has_header(sample: &Sample, known: &[String], likely: bool) -> bool {
    let [first, rest @ ..] = sample.as_slice() else { return true };
    let names: Vec<&[u8]> = first.iter().map(|cell| trim(cell)).collect();
    if names.iter().any(|name| known.iter().any(|known| known.as_bytes() == *name)) {
        return true;
    }
    let numbers = names.iter().filter(|name| is_number(name)).count();
    if rest.is_empty() {
        return numbers == 0;
    }
    if counts_up(&names) {
        return true;
    }
    let mut votes = 0;
    for (column, name) in names.iter().enumerate() {
        let cells = || rest.iter().filter_map(|row| row.get(column)).map(|cell| trim(cell));
        let filled = cells().filter(|cell| !is_missing(cell)).count();
        let numeric = cells().filter(|cell| is_number(cell)).count();
        if filled == 0 || name.is_empty() {
            continue;
        }
        if numeric * 10 >= filled * 9 {
            votes += if is_number(name) || is_missing(name) { -2 } else { 2 };
        } else if is_number(name) {
            votes -= 1;
        } else {
            let values: HashSet<&[u8]> = cells().collect();
            if values.contains(name) {
                votes -= 2;
            } else if values.len() * 2 <= filled {
                // The cells recur, and the first record's cell is none of them.
                votes += 1;
            }
        }
    }
    match votes {
        0 => likely && numbers == 0 && looks_like_names(&names),
        votes => votes > 0,
    }
}

fn is_number(cell: &[u8]) -> bool {
    // `02139` is no number to calculate with, but no name of a column either.
    !matches!(parse(cell, true), Parsed::Text) || cell.len() > 1 && cell.iter().all(u8::is_ascii_digit)
}

fn is_missing(cell: &[u8]) -> bool {
    super::missing::Missing::default().text(cell)
}

/// Tells whether the names are 0, 1, 2 … or years in a row, as programs and statistical offices write headers.
fn counts_up(names: &[&[u8]]) -> bool {
    let numbers: Vec<f64> = names
        .iter()
        .filter_map(|name| match parse(name, false) {
            Parsed::Whole(value) => Some(value),
            _ => None,
        })
        .collect();
    let others_empty_or_text =
        names.iter().all(|name| matches!(parse(name, true), Parsed::Whole(_) | Parsed::Text));
    numbers.len() >= 3
        && others_empty_or_text
        && (numbers[0] == 0.0 || (1900.0..2100.0).contains(&numbers[0]))
        && numbers.windows(2).all(|pair| pair[1] == pair[0] + 1.0)
}

/// Tells whether the cells are short, different words, as names are and sentences are not.
fn looks_like_names(names: &[&[u8]]) -> bool {
    let mut seen = HashSet::new();
    names.iter().all(|name| {
        let text = String::from_utf8_lossy(name);
        let sentence = text.contains(['.', '!', '?', '。', '！', '？', '，']) && text.contains(' ');
        text.chars().count() <= 40 && text.split_whitespace().count() <= 5 && !sentence && seen.insert(*name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn syntax(delimiter: u8) -> Syntax {
        Syntax { delimiter, quotes: true, line_end: b'\n' }
    }

    fn check_delimiter(text: &str, expected: u8) {
        assert_eq!(delimiter(text.as_bytes(), true, b'\n', None), expected, "{text:?}");
    }

    #[test]
    fn delimiters() {
        check_delimiter("a,b\n1,2\n", b',');
        check_delimiter("a;b\n3,14;2,5\n1,5;2\n", b';');
        check_delimiter("1,5;2,5;3,5\n4,5;5,5;6,5\n", b';');
        check_delimiter("a\tb\nhello, world\t1\nfine, too\t2\n", b'\t');
        check_delimiter("a|b\n1|2\n", b'|');
        check_delimiter("a,b\n\"x;y\",\"1;2\"\n\"z;w\",\"3;4\"\n", b',');
        check_delimiter("text\nhello, world\nbye\n", ONE_COLUMN);
        check_delimiter("name\nSmith, John\nDoe, Jane\n", ONE_COLUMN);
        check_delimiter("x\n1\n2\n", ONE_COLUMN);
        check_delimiter("a,b,c\n1,2,3\n4,5\n", b',');
        check_delimiter("a,b\n1,2,3\n", b',');
        check_delimiter("a,b\n", b',');
    }

    fn check_header(text: &str, expected: bool) {
        let delimiter = delimiter(text.as_bytes(), true, b'\n', None);
        assert_eq!(
            has_header(&sample(text.as_bytes(), true, syntax(delimiter)), &[], true),
            expected,
            "{text:?}"
        );
    }

    #[test]
    fn headers() {
        check_header("age,income\n39,<=50K\n50,>50K\n", true);
        check_header("39,<=50K\n50,>50K\n", false);
        check_header("1,2,3\n4,5,6\n", false);
        check_header("0,1,2\n4.5,5.5,6.5\n", true);
        check_header("country,2019,2020,2021\nChina,1.5,2.5,3\nFrance,1,2,3\n", true);
        check_header("Category,Message\nham,hello\nspam,win now\nham,bye\n", true);
        check_header("ham,hello there\nspam,win now\nham,bye\n", false);
        check_header("good film\t1\nbad film\t0\n", false);
        check_header("text\tlabel\ngood film\t1\nbad film\t0\n", true);
        check_header("name,city\nAnn,Rome\nBob,Oslo\n", true);
        check_header("a,b,c\n", true);
        check_header("1,2,3\n", false);
        check_header(
            "\"3\",\"Fears for T N pension\",\"Unions say\"\n\"4\",\"The Race is On\",\"SPACE.com\"\n",
            false,
        );
        check_header("zip,x\n02139,a\n02140,b\n", true);
        check_header("姓名,年龄\n张三,30\n", true);
    }

    #[test]
    fn a_known_name_makes_a_header() {
        let cells = sample(b"1,2\n3,4\n", true, syntax(b','));
        assert!(has_header(&cells, &["2".to_owned()], true) && !has_header(&cells, &["x".to_owned()], true));
    }

    #[test]
    fn a_list_of_words_has_no_header() {
        let cells = sample(b"emma\nolivia\nava\n", true, syntax(ONE_COLUMN));
        assert!(has_header(&cells, &[], true) && !has_header(&cells, &[], false));
        let cells = sample(b"age\n5\n7\n", true, syntax(ONE_COLUMN));
        assert!(has_header(&cells, &[], false));
    }
}
