//! Splits delimited text into records, quotes as in [RFC 4180](https://www.rfc-editor.org/rfc/rfc4180).
//!
//! Unlike a lenient reader it refuses a quote that is never closed and text behind a closing quote: both would melt
//! rows together in silence.

use super::input::CHUNK;
use std::io::{self, Read};
use std::ops::Range;

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Syntax {
    /// Character between two cells.
    pub(super) delimiter: u8,
    /// Whether a cell may stand in quotes.
    pub(super) quotes: bool,
    /// Character that ends a line; a carriage return before a line feed belongs to it.
    pub(super) line_end: u8,
}

/// Why a record cannot be read.
#[derive(Debug)]
pub(super) enum Malformed {
    Read(io::Error),
    OpenQuote { line: u64 },
    AfterQuote { line: u64 },
}

/// Reads records, a batch at a time.
pub(super) struct Records<R> {
    stream: R,
    syntax: Syntax,
    buffer: Vec<u8>,
    /// The part of the buffer that is not yet split.
    rest: Range<usize>,
    ended: bool,
    /// Line that the next record starts in, the first being 1.
    next_line: u64,
}

/// Some records: the cells lie in one buffer.
#[derive(Default)]
pub(super) struct Batch {
    buffer: Vec<u8>,
    /// Begin and end of each cell in the buffer, record after record.
    cells: Vec<(u32, u32)>,
    records: Vec<Record>,
}

/// One record of a batch.
#[derive(Clone, Copy)]
struct Record {
    /// Line that it starts in, the first being 1.
    line: u64,
    /// End of its cells among those of the batch.
    end: usize,
}

impl Batch {
    /// Number of records.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Bytes of text.
    pub(super) fn bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Line that a record starts in, the first being 1.
    pub(super) fn line(&self, record: usize) -> u64 {
        self.records[record].line
    }

    /// Number of cells in a record.
    pub(super) fn width(&self, record: usize) -> usize {
        self.range(record).len()
    }

    /// The cells of a record.
    pub(super) fn cells(&self, record: usize) -> impl Iterator<Item = &[u8]> {
        self.cells[self.range(record)].iter().map(|cell| self.text(*cell))
    }

    /// One column's cells, from record `first` on; all records must have `width` cells.
    #[inline]
    pub(super) fn column(&self, first: usize, column: usize, width: usize) -> impl Iterator<Item = &[u8]> {
        self.cells.iter().skip(first * width + column).step_by(width).map(|cell| self.text(*cell))
    }

    fn range(&self, record: usize) -> Range<usize> {
        let start = if record == 0 { 0 } else { self.records[record - 1].end };
        start..self.records[record].end
    }

    fn text(&self, (start, end): (u32, u32)) -> &[u8] {
        &self.buffer[start as usize..end as usize]
    }
}

impl<R: Read> Records<R> {
    /// Starts at the beginning of a text.
    pub(super) fn new(stream: R, syntax: Syntax) -> Self {
        Self { stream, syntax, buffer: Vec::new(), rest: 0..0, ended: false, next_line: 1 }
    }

    /// Replaces the batch by the next records; blank lines are passed over. Tells whether there are any.
    pub(super) fn next_batch(&mut self, batch: &mut Batch) -> Result<bool, Malformed> {
        batch.cells.clear();
        batch.records.clear();
        loop {
            self.fill()?;
            let mut failed = None;
            while !self.rest.is_empty() {
                match self.split(batch) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(why) => {
                        failed = Some(why);
                        break;
                    }
                }
            }
            // What is wrong behind good records is met again at the start of the next batch.
            if !batch.records.is_empty() {
                break;
            }
            match failed {
                Some(why) => return Err(why),
                None if self.ended => return Ok(false),
                None => {}
            }
        }
        // The batch takes the buffer, and the record that is cut moves into the other one.
        std::mem::swap(&mut self.buffer, &mut batch.buffer);
        self.buffer.clear();
        self.buffer.extend_from_slice(&batch.buffer[self.rest.clone()]);
        batch.buffer.truncate(self.rest.start);
        self.rest = 0..self.buffer.len();
        Ok(true)
    }

    /// Reads more text behind the part that is not yet split.
    fn fill(&mut self) -> Result<(), Malformed> {
        if self.rest.start > 0 {
            self.buffer.copy_within(self.rest.clone(), 0);
        }
        let mut end = self.rest.len();
        let size = CHUNK.max(end * 2);
        if u32::try_from(size).is_err() {
            return Err(Malformed::Read(io::Error::other("a row is longer than 2 GiB")));
        }
        self.buffer.resize(size, 0);
        while end < size && !self.ended {
            match self.stream.read(&mut self.buffer[end..]) {
                Ok(0) => self.ended = true,
                Ok(read) => end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Malformed::Read(error)),
            }
        }
        self.buffer.truncate(end);
        self.rest = 0..end;
        Ok(())
    }

    /// Splits one record from the text at hand; `false` if the text ends within it.
    fn split(&mut self, batch: &mut Batch) -> Result<bool, Malformed> {
        let first = batch.cells.len();
        match self.find_cells(batch) {
            Ok(Some(Found { end, lines, escaped })) => {
                // A cell in quotes is one, whatever it holds.
                let blank = is_blank(&self.buffer, &batch.cells[first..]);
                self.take_off_quotes(&mut batch.cells[first..], escaped);
                let line = self.next_line;
                self.next_line += lines;
                self.rest.start = end;
                if blank {
                    batch.cells.truncate(first);
                } else {
                    batch.records.push(Record { line, end: batch.cells.len() });
                }
                Ok(true)
            }
            Ok(None) => {
                batch.cells.truncate(first);
                Ok(false)
            }
            Err(why) => {
                batch.cells.truncate(first);
                Err(why)
            }
        }
    }

    /// Finds the cells of one record; quoted ones keep their quotes for now, since the record may be cut.
    fn find_cells(&self, batch: &mut Batch) -> Result<Option<Found>, Malformed> {
        let Syntax { delimiter, quotes, line_end } = self.syntax;
        let text = &self.buffer[..self.rest.end];
        let (mut at, mut lines, mut escaped) = (self.rest.start, 0, false);
        loop {
            if quotes && text.get(at) == Some(&b'"') {
                let open = at;
                let Some(close) = closing_quote(text, open, self.ended, &mut escaped) else {
                    if self.ended {
                        return Err(Malformed::OpenQuote { line: self.next_line + lines });
                    }
                    return Ok(None);
                };
                batch.cells.push((open as u32, close as u32 + 1));
                at = close + 1;
                // Spaces behind the closing quote, and the carriage return of a line end, belong to nothing.
                let skipped =
                    |byte: u8| matches!(byte, b' ' | b'\r') && byte != line_end && byte != delimiter;
                while text.get(at).is_some_and(|byte| skipped(*byte)) {
                    at += 1;
                }
                let opened = self.next_line + lines;
                lines += text[open..close].iter().filter(|byte| **byte == line_end).count() as u64;
                match text.get(at) {
                    None if self.ended => return Ok(Some(Found { end: at, lines, escaped })),
                    None => return Ok(None),
                    Some(byte) if *byte == delimiter => at += 1,
                    Some(byte) if *byte == line_end => {
                        return Ok(Some(Found { end: at + 1, lines: lines + 1, escaped }));
                    }
                    Some(_) => return Err(Malformed::AfterQuote { line: opened }),
                }
                continue;
            }
            let stop = at + find(&text[at..], delimiter, line_end);
            if stop == text.len() && !self.ended {
                return Ok(None);
            }
            let ends_line = text.get(stop) != Some(&delimiter);
            let carriage_return = ends_line && stop > at && text[stop - 1] == b'\r';
            batch.cells.push((at as u32, (stop - usize::from(carriage_return)) as u32));
            if ends_line {
                let line_ends = usize::from(stop < text.len());
                return Ok(Some(Found { end: stop + line_ends, lines: lines + line_ends as u64, escaped }));
            }
            at = stop + 1;
        }
    }

    /// Takes the quotes off, and makes doubled ones single where they stand.
    fn take_off_quotes(&mut self, cells: &mut [(u32, u32)], escaped: bool) {
        if !self.syntax.quotes {
            return;
        }
        for (start, end) in cells {
            if start < end && self.buffer[*start as usize] == b'"' {
                (*start, *end) = (*start + 1, *end - 1);
                if escaped {
                    *end = unescape(&mut self.buffer, *start as usize..*end as usize) as u32;
                }
            }
        }
    }
}

/// Where a record ends.
struct Found {
    /// Begin of the next record.
    end: usize,
    /// Line ends that the record takes in.
    lines: u64,
    /// Whether a cell holds a doubled quote.
    escaped: bool,
}

/// Place of the quote that closes the cell opened at `open`; `None` if it is not at hand.
fn closing_quote(text: &[u8], open: usize, ended: bool, escaped: &mut bool) -> Option<usize> {
    let mut from = open + 1;
    loop {
        let close = from + text[from..].iter().position(|byte| *byte == b'"')?;
        match text.get(close + 1) {
            // The next byte tells whether the quote is doubled.
            None if !ended => return None,
            Some(b'"') => {
                *escaped = true;
                from = close + 2;
            }
            _ => return Some(close),
        }
    }
}

fn is_blank(text: &[u8], cells: &[(u32, u32)]) -> bool {
    matches!(cells, [(start, end)] if text[*start as usize..*end as usize].trim_ascii().is_empty())
}

/// Replaces doubled quotes by single ones; gives the new end of the cell.
fn unescape(buffer: &mut [u8], cell: Range<usize>) -> usize {
    let mut to = cell.start;
    let mut from = cell.start;
    while from < cell.end {
        buffer[to] = buffer[from];
        from += if buffer[from] == b'"' { 2 } else { 1 };
        to += 1;
    }
    to
}

/// Place of the first of two bytes; the length if there is neither.
///
/// Looks at eight bytes at a time: cells are short, so this beats a call into a wider search.
#[inline]
fn find(bytes: &[u8], first: u8, second: u8) -> usize {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let (first_mask, second_mask) = (LOW * u64::from(first), LOW * u64::from(second));
    let zeros = |word: u64| word.wrapping_sub(LOW) & !word & HIGH;
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let hits = zeros(word ^ first_mask) | zeros(word ^ second_mask);
        if hits != 0 {
            return index * 8 + (hits.trailing_zeros() / 8) as usize;
        }
    }
    let place = rest.iter().position(|byte| *byte == first || *byte == second);
    words.len() * 8 + place.unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMA: Syntax = Syntax { delimiter: b',', quotes: true, line_end: b'\n' };

    /// Gives a few bytes at a time, so that every place is a cut once.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let size = self.1.min(self.0.len()).min(buffer.len());
            buffer[..size].copy_from_slice(&self.0[..size]);
            self.0 = &self.0[size..];
            Ok(size)
        }
    }

    fn read(text: &[u8], syntax: Syntax, drip: usize) -> Result<Vec<Vec<String>>, Malformed> {
        let mut records = Records::new(Drip(text, drip), syntax);
        let (mut rows, mut batch) = (Vec::new(), Batch::default());
        while records.next_batch(&mut batch)? {
            let text = |cell: &[u8]| String::from_utf8(cell.to_vec()).unwrap();
            rows.extend((0..batch.len()).map(|record| batch.cells(record).map(text).collect()));
        }
        Ok(rows)
    }

    fn check(text: &str, syntax: Syntax, expected: &[&[&str]]) {
        for drip in [1, 2, 3, 1000] {
            assert_eq!(read(text.as_bytes(), syntax, drip).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn records() {
        check("a,b\n1,2\n", COMMA, &[&["a", "b"], &["1", "2"]]);
        check("a,b\r\n1,2", COMMA, &[&["a", "b"], &["1", "2"]]);
        check("a,\n,b\n\n  \n", COMMA, &[&["a", ""], &["", "b"]]);
        check("\"a,1\",\"b\"\"c\"\"\"\r\n\"\",\"x\ny\"", COMMA, &[&["a,1", "b\"c\""], &["", "x\ny"]]);
        check("\"a\" ,b\n", COMMA, &[&["a", "b"]]);
        let space = Syntax { delimiter: b' ', ..COMMA };
        check("\"a b\" \"c\" d\r\n1 \"2\" \"3\"\r\n", space, &[&["a b", "c", "d"], &["1", "2", "3"]]);
        check("5\" pipe,b\n", COMMA, &[&["5\" pipe", "b"]]);
        check(
            "a\tb\n\"c\td\n",
            Syntax { delimiter: b'\t', quotes: false, ..COMMA },
            &[&["a", "b"], &["\"c", "d"]],
        );
        check("a,b\r1,2\r", Syntax { line_end: b'\r', ..COMMA }, &[&["a", "b"], &["1", "2"]]);
        check("", COMMA, &[]);
    }

    #[test]
    fn malformed_quotes_are_refused() {
        for drip in [1, 1000] {
            let text = b"a,b\n1,\"x\ny\n";
            assert!(matches!(read(text, COMMA, drip), Err(Malformed::OpenQuote { line: 2 })));
            let text = b"\"a\nb\",c\n1,\"x\"y\n";
            assert!(matches!(read(text, COMMA, drip), Err(Malformed::AfterQuote { line: 3 })));
        }
    }

    #[test]
    fn agrees_with_the_csv_crate() {
        let mut state = 7u64;
        let mut random = |bound: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % bound
        };
        for round in 0..500 {
            let columns = 1 + random(4);
            let rows: Vec<Vec<String>> = (0..1 + random(20))
                .map(|_| {
                    let cell = |random: &mut dyn FnMut(u64) -> u64| -> String {
                        (0..random(12))
                            .map(|_| ['a', 'b', '1', ',', '"', '\n', 'é', ' '][random(8) as usize])
                            .collect()
                    };
                    (0..columns).map(|_| cell(&mut random)).collect()
                })
                .collect();
            let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
            rows.iter().for_each(|row| writer.write_record(row).unwrap());
            let text = writer.into_inner().unwrap();
            // One column of spaces, which are not quoted, reads as a blank line.
            let blank = |cell: &str| !cell.is_empty() && cell.bytes().all(|byte| byte == b' ');
            let expected: Vec<_> = rows.into_iter().filter(|row| row.len() > 1 || !blank(&row[0])).collect();
            assert_eq!(read(&text, COMMA, 1 + random(9) as usize).unwrap(), expected, "round {round}");
        }
    }

    #[test]
    fn line_numbers_count_lines_within_cells() {
        let mut records = Records::new(&b"a,b\n\"x\ny\",1\n\nz,2\n"[..], COMMA);
        let mut batch = Batch::default();
        assert!(records.next_batch(&mut batch).unwrap());
        assert_eq!((0..batch.len()).map(|record| batch.line(record)).collect::<Vec<_>>(), [1, 2, 5]);
        assert!(!records.next_batch(&mut batch).unwrap());
    }
}
