//! Word vectors from a text file, as GloVe and word2vec write them: a line for each word, the word and its numbers.

use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

/// Vectors for some of the tokens of a vocabulary.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Vectors {
    /// Numbers of each vector.
    pub width: usize,
    /// Tokens of the vocabulary that have one.
    pub covered: usize,
    /// Tokens and their vectors, tokens rising; training alone needs them, the weights hold them afterwards.
    #[serde(skip)]
    pub known: Arc<Vec<(u32, Vec<f32>)>>,
}

impl Vectors {
    /// Reads the vectors of the given words, each with its token, from a file, which may be packed by gzip.
    ///
    /// A first line of two whole numbers, as word2vec writes it, is passed over. Of a word that comes twice the first
    /// counts.
    ///
    /// # Errors
    /// If the file cannot be read, a line holds another number of values than those before it or something that is no
    /// number, or no word has a vector, in words.
    pub fn read(path: &Path, words: &[(String, u32)]) -> Result<Self, String> {
        let tokens: HashMap<&str, u32> = words.iter().map(|(word, token)| (word.as_str(), *token)).collect();
        let file = File::open(path).map_err(|error| error.to_string())?;
        let packed = path.extension().is_some_and(|ending| ending == "gz");
        let source: Box<dyn Read> =
            if packed { Box::new(flate2::read::MultiGzDecoder::new(file)) } else { Box::new(file) };
        let (mut width, mut known) = (None, HashMap::new());
        for (number, line) in BufReader::with_capacity(1 << 20, source).split(b'\n').enumerate() {
            let number = number + 1;
            let line = line.map_err(|error| format!("line {number}: {error}"))?;
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end();
            if line.is_empty() || (number == 1 && is_head(line)) {
                continue;
            }
            // Some words of GloVe hold spaces, so that the numbers are counted from the end.
            let width = *width.get_or_insert_with(|| line.split([' ', '\t']).count() - 1);
            let fields: Vec<&str> = line.rsplitn(width + 1, [' ', '\t']).collect();
            let (Some((word, values)), true) = (fields.split_last(), width > 0 && fields.len() == width + 1)
            else {
                let found = fields.len().saturating_sub(1);
                return Err(match width {
                    0 => format!("line {number} holds no number"),
                    _ => format!("line {number} holds only {found} of {width} numbers"),
                });
            };
            let Some(token) = tokens.get(word) else { continue };
            let values: Result<Vec<f32>, _> = values.iter().rev().map(|value| value.parse::<f32>()).collect();
            match values {
                Ok(values) if values.iter().all(|value| value.is_finite()) => {
                    known.entry(*token).or_insert(values)
                }
                _ => return Err(format!("line {number} holds something that is no number")),
            };
        }
        if known.is_empty() {
            return Err(format!("none of the {} words of the train part has a vector in it", words.len()));
        }
        let mut known: Vec<(u32, Vec<f32>)> = known.into_iter().collect();
        known.sort_unstable_by_key(|(token, _)| *token);
        Ok(Self { width: width.unwrap_or(0), covered: known.len(), known: Arc::new(known) })
    }
}

/// Whether a line holds the counts of words and numbers.
fn is_head(line: &str) -> bool {
    let fields: Vec<&str> = line.split(' ').collect();
    fields.len() == 2 && fields.iter().all(|field| field.parse::<usize>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn read(text: &[u8], name: &str) -> Result<Vectors, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        Vectors::read(&path, &[("good".to_owned(), 2), (". .".to_owned(), 7), ("rare".to_owned(), 9)])
    }

    #[test]
    fn both_formats_are_read() {
        let glove = "the 0.1 0.2\n. . 3 -4\ngood 1 2e-1\ngood 5 6\n";
        for (text, name) in [(glove.to_owned(), "a.txt"), (format!("4 2\n{glove}"), "a.vec")] {
            let vectors = read(text.as_bytes(), name).unwrap();
            assert_eq!((vectors.width, vectors.covered), (2, 2));
            assert_eq!(*vectors.known, [(2, vec![1.0, 0.2]), (7, vec![3.0, -4.0])]);
        }
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(glove.as_bytes()).unwrap();
        assert_eq!(read(&packed.finish().unwrap(), "a.txt.gz").unwrap().covered, 2);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let check =
            |text: &str, expected: &str| assert_eq!(read(text.as_bytes(), "a.txt").unwrap_err(), expected);
        check("the 1 2\ngood 1\n", "line 2 holds only 1 of 2 numbers");
        check("the 1 2\ngood 1 x\n", "line 2 holds something that is no number");
        check("the 1 2\ngood 1 inf\n", "line 2 holds something that is no number");
        check("the 1 2\n", "none of the 3 words of the train part has a vector in it");
        check("", "none of the 3 words of the train part has a vector in it");
        check("word\n", "line 1 holds no number");
        assert!(Vectors::read(Path::new("nowhere.txt"), &[]).is_err());
    }
}
