//! Splits delimited text into records, quotes as in [RFC 4180](https://www.rfc-editor.org/rfc/rfc4180).
//!
//! Unlike a lenient reader it refuses a quote that is never closed and text behind a closing quote: both would melt
//! rows together in silence.

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

/// Reads record after record.
pub(super) struct Records<R> {
    stream: R,
    syntax: Syntax,
    buffer: Vec<u8>,
    /// The part of the buffer that is not yet split.
    rest: Range<usize>,
    ended: bool,
    /// Cells of the current record, as places in the buffer.
    cells: Vec<Range<usize>>,
    /// Line that the current record starts in, the first being 1.
    line: u64,
    next_line: u64,
}

/// What came of trying to split a record from the bytes at hand.
enum Step {
    /// A record that ends before this place.
    Record(usize),
    /// The bytes end within the record.
    More,
}

impl<R: Read> Records<R> {
    /// Starts at the beginning of a text.
    pub(super) fn new(stream: R, syntax: Syntax) -> Self {
        let buffer = vec![0; super::input::CHUNK];
        Self { stream, syntax, buffer, rest: 0..0, ended: false, cells: Vec::new(), line: 0, next_line: 1 }
    }

    /// Moves to the next record; blank lines are passed over. Tells whether there is one.
    pub(super) fn advance(&mut self) -> Result<bool, Malformed> {
        loop {
            match self.split()? {
                Step::Record(end) => {
                    self.rest.start = end;
                    if !self.is_blank() {
                        return Ok(true);
                    }
                }
                Step::More if self.ended => return Ok(false),
                Step::More => self.fill()?,
            }
        }
    }

    /// Line that the current record starts in, the first being 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Number of cells in the current record.
    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    /// The cells of the current record.
    #[inline]
    pub(super) fn cells(&self) -> impl Iterator<Item = &[u8]> {
        self.cells.iter().map(|cell| &self.buffer[cell.clone()])
    }

    fn is_blank(&self) -> bool {
        self.cells.len() == 1 && self.buffer[self.cells[0].clone()].trim_ascii().is_empty()
    }

    fn fill(&mut self) -> Result<(), Malformed> {
        if self.rest.start > 0 {
            self.buffer.copy_within(self.rest.clone(), 0);
            self.rest = 0..self.rest.len();
        }
        if self.rest.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        loop {
            match self.stream.read(&mut self.buffer[self.rest.end..]) {
                Ok(0) => self.ended = true,
                Ok(size) => self.rest.end += size,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Malformed::Read(error)),
            }
            return Ok(());
        }
    }

    /// Splits one record from the bytes at hand; quoted cells are unescaped where they stand.
    fn split(&mut self) -> Result<Step, Malformed> {
        let Syntax { delimiter, quotes, line_end } = self.syntax;
        self.cells.clear();
        if self.rest.is_empty() {
            return Ok(Step::More);
        }
        let mut at = self.rest.start;
        let mut lines = 0;
        // Unescaping shortens a cell in place, which must not happen before the whole record is at hand.
        let mut escaped = false;
        loop {
            let end = self.rest.end;
            if quotes && at < end && self.buffer[at] == b'"' {
                let open = at + 1;
                let mut close = open;
                loop {
                    let bytes = &self.buffer[close..end];
                    let Some(quote) = bytes.iter().position(|byte| *byte == b'"') else {
                        if self.ended {
                            return Err(Malformed::OpenQuote { line: self.next_line + lines });
                        }
                        return Ok(Step::More);
                    };
                    close += quote;
                    match self.buffer[..end].get(close + 1) {
                        None if !self.ended => return Ok(Step::More),
                        Some(b'"') => {
                            escaped = true;
                            close += 2;
                        }
                        _ => break,
                    }
                }
                // A doubled quote stays for now; the range takes in both quotes as a mark that the cell is quoted.
                self.cells.push(at..close + 1);
                let inside = &self.buffer[open..close];
                let inner_lines = inside.iter().filter(|byte| **byte == line_end).count() as u64;
                at = close + 1;
                // Spaces behind the closing quote, and the carriage return of a line end, belong to nothing.
                while at < end && matches!(self.buffer[at], b' ' | b'\r') && self.buffer[at] != line_end {
                    at += 1;
                }
                if at == end {
                    if !self.ended {
                        return Ok(Step::More);
                    }
                    return Ok(self.end_record(at, lines + inner_lines, false, escaped));
                }
                if self.buffer[at] == delimiter {
                    lines += inner_lines;
                    at += 1;
                    continue;
                }
                if self.buffer[at] == line_end {
                    return Ok(self.end_record(at + 1, lines + inner_lines + 1, false, escaped));
                }
                return Err(Malformed::AfterQuote { line: self.next_line + lines });
            }
            let length = find(&self.buffer[at..end], delimiter, line_end);
            let stop = at + length;
            if stop == end {
                if !self.ended {
                    return Ok(Step::More);
                }
                self.cells.push(at..stop);
                return Ok(self.end_record(stop, lines, true, escaped));
            }
            self.cells.push(at..stop);
            at = stop + 1;
            if self.buffer[stop] == line_end {
                return Ok(self.end_record(at, lines + 1, true, escaped));
            }
        }
    }

    /// Takes the quotes off, and the carriage return of the line end.
    fn end_record(&mut self, end: usize, lines: u64, plain: bool, escaped: bool) -> Step {
        if plain
            && let Some(last) = self.cells.last_mut()
            && self.buffer[last.clone()].last() == Some(&b'\r')
        {
            last.end -= 1;
        }
        if self.syntax.quotes {
            for cell in &mut self.cells {
                if self.buffer[cell.clone()].first() == Some(&b'"') {
                    *cell = cell.start + 1..cell.end - 1;
                    if escaped {
                        cell.end = unescape(&mut self.buffer, cell.clone());
                    }
                }
            }
        }
        self.line = self.next_line;
        self.next_line += lines;
        Step::Record(end)
    }
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
        let mut rows = Vec::new();
        while records.advance()? {
            rows.push(records.cells().map(|cell| String::from_utf8(cell.to_vec()).unwrap()).collect());
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
            // One column of spaces reads as a blank line.
            let expected: Vec<_> =
                rows.into_iter().filter(|row| row.len() > 1 || !row[0].trim().is_empty()).collect();
            assert_eq!(read(&text, COMMA, 1 + random(9) as usize).unwrap(), expected, "round {round}");
        }
    }

    #[test]
    fn line_numbers_count_lines_within_cells() {
        let mut records = Records::new(&b"a,b\n\"x\ny\",1\n\nz,2\n"[..], COMMA);
        let mut lines = Vec::new();
        while records.advance().unwrap() {
            lines.push(records.line());
        }
        assert_eq!(lines, [1, 2, 5]);
    }
}
