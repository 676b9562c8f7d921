//! Columns in the making: numbers until a cell proves otherwise.
//!
//! Raw cell texts of number columns are not kept. When a column that held numbers turns out to be text, its earlier
//! cells are gone, so it is marked, and the files are read a second time for the marked columns alone.

use super::dictionary::Dictionary;
use super::missing::Missing;
use super::number::{Parsed, parse, trim};
use crate::table::{Cells, number_text};
use indexmap::IndexMap;

/// All columns of a table in the making.
pub(super) struct Columns<'a> {
    columns: IndexMap<String, Column>,
    rows: usize,
    expected_rows: usize,
    missing: &'a dyn Fn(&str) -> Missing,
    second_pass: bool,
    commas: bool,
}

/// One column in the making.
pub(super) struct Column {
    state: State,
    missing: Missing,
    len: usize,
    commas: bool,
    /// Rows without this column.
    absent: usize,
}

enum State {
    Numbers(Numbers),
    Text(Dictionary),
    /// Text after numbers: to be read again.
    Again,
    /// Not read in this pass.
    Skipped,
}

#[derive(Default)]
struct Numbers {
    values: Vec<f64>,
    /// Whether there was a number yet.
    any: bool,
    points: bool,
    commas: bool,
    /// Whether a comma was certainly a decimal mark.
    sure: bool,
    /// First infinite cell: row from 0 and text.
    infinite: Option<(usize, String)>,
}

/// Number columns whose commas tell something to the user.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Commas {
    /// Columns read as numbers with decimal commas.
    pub(super) decimal: Vec<String>,
    /// Columns read as text because each comma could part thousands.
    pub(super) unsure: Vec<String>,
}

impl<'a> Columns<'a> {
    /// Starts without columns; `missing` says which cells of a column have no value.
    pub(super) fn new(expected_rows: usize, missing: &'a dyn Fn(&str) -> Missing) -> Self {
        let columns = IndexMap::new();
        Self { columns, rows: 0, expected_rows, missing, second_pass: false, commas: false }
    }

    /// Takes the marked columns, to be read as text in a second pass; `None` if there are none.
    pub(super) fn again(&mut self) -> Option<Self> {
        if !self.columns.values().any(|column| matches!(column.state, State::Again)) {
            return None;
        }
        let columns = self.columns.iter().map(|(name, column)| {
            let state = match column.state {
                State::Again => State::Text(Dictionary::default()),
                _ => State::Skipped,
            };
            let missing = column.missing.clone();
            (name.clone(), Column { state, missing, len: 0, commas: false, absent: 0 })
        });
        let mut second = Self {
            columns: columns.collect(),
            rows: 0,
            expected_rows: self.rows,
            missing: self.missing,
            second_pass: true,
            commas: false,
        };
        second.columns.values_mut().for_each(|column| column.reserve(self.rows));
        Some(second)
    }

    /// Puts the columns of the second pass in their places.
    pub(super) fn complete(&mut self, second: Self) {
        for (name, column) in second.columns {
            if !matches!(column.state, State::Skipped) {
                self.columns.insert(name, column);
            }
        }
    }

    /// Says whether commas may be decimal marks in the rows to come.
    pub(super) fn decimal_commas(&mut self, allowed: bool) {
        self.commas = allowed;
        self.columns.values_mut().for_each(|column| column.commas = allowed);
    }

    /// Number of complete rows.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Position of a column, which is made if it is new: its earlier cells are missing.
    pub(super) fn position(&mut self, name: &str) -> usize {
        if let Some(position) = self.columns.get_index_of(name) {
            return position;
        }
        let state = if self.second_pass {
            State::Skipped
        } else {
            State::Numbers(Numbers { values: vec![f64::NAN; self.rows], ..Numbers::default() })
        };
        let missing = (self.missing)(name);
        let mut column = Column { state, missing, len: self.rows, commas: self.commas, absent: 0 };
        column.reserve(self.expected_rows);
        self.columns.insert_full(name.to_owned(), column).0
    }

    /// Position of a column that most likely stands at `expected`.
    pub(super) fn position_near(&mut self, name: &str, expected: usize) -> usize {
        match self.columns.get_index(expected) {
            Some((there, _)) if there == name => expected,
            _ => self.position(name),
        }
    }

    /// Name of the column at a position.
    pub(super) fn name(&self, position: usize) -> &str {
        self.columns.get_index(position).map_or("", |(name, _)| name)
    }

    /// Number of columns.
    pub(super) fn len(&self) -> usize {
        self.columns.len()
    }

    /// The column at a position.
    pub(super) fn column(&mut self, position: usize) -> &mut Column {
        &mut self.columns[position]
    }

    /// Tells whether the column at a position has its cell of the current row.
    pub(super) fn has_cell(&self, position: usize) -> bool {
        self.columns[position].len > self.rows
    }

    /// The columns at different positions, in their order.
    pub(super) fn at(&mut self, positions: &[usize]) -> Vec<&mut Column> {
        let mut all: Vec<Option<&mut Column>> = self.columns.values_mut().map(Some).collect();
        positions.iter().filter_map(|position| all[*position].take()).collect()
    }

    /// Ends `count` rows; columns without a cell get missing ones.
    pub(super) fn end_rows(&mut self, count: usize) {
        self.rows += count;
        for column in self.columns.values_mut() {
            column.absent += self.rows - column.len;
            while column.len < self.rows {
                column.push_missing();
            }
        }
    }

    /// Marks number columns whose commas may part thousands, to be read again as text.
    pub(super) fn settle_commas(&mut self) -> Commas {
        let mut commas = Commas::default();
        for (name, column) in &mut self.columns {
            if let State::Numbers(numbers) = &column.state
                && numbers.commas
            {
                if numbers.sure {
                    commas.decimal.push(name.clone());
                } else {
                    commas.unsure.push(name.clone());
                    column.state = State::Again;
                }
            }
        }
        commas
    }

    /// Names of the columns that none of the last `count` rows has.
    pub(super) fn absent(&mut self, count: usize) -> Vec<String> {
        let absent = |(name, column): (&String, &mut Column)| {
            let absent = std::mem::take(&mut column.absent);
            (absent == count).then(|| name.clone())
        };
        self.columns.iter_mut().filter_map(absent).collect()
    }

    /// The first infinite number: column, row from 0, and text.
    pub(super) fn infinite(&self) -> Option<(&str, usize, &str)> {
        self.columns.iter().find_map(|(name, column)| match &column.state {
            State::Numbers(Numbers { infinite: Some((row, text)), .. }) => {
                Some((name.as_str(), *row, text.as_str()))
            }
            _ => None,
        })
    }

    /// The finished columns.
    pub(super) fn finish(self) -> IndexMap<String, Cells> {
        let finish = |(name, column): (String, Column)| {
            let cells = match column.state {
                State::Numbers(mut numbers) => {
                    numbers.values.shrink_to_fit();
                    Cells::Number(numbers.values)
                }
                State::Text(dictionary) => Cells::Text(dictionary.finish()),
                State::Again | State::Skipped => Cells::Text(Dictionary::with_missing(column.len).finish()),
            };
            (name, cells)
        };
        self.columns.into_iter().map(finish).collect()
    }
}

impl Column {
    /// Number of cells.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Tells whether this pass needs the cells of the column.
    pub(super) fn is_wanted(&self) -> bool {
        matches!(self.state, State::Numbers(_) | State::Text(_))
    }

    /// Appends a cell as it stands in a text file.
    #[inline]
    pub(super) fn push(&mut self, cell: &[u8]) {
        let trimmed = trim(cell);
        match &mut self.state {
            State::Numbers(numbers) => match parse(trimmed, self.commas) {
                Parsed::Whole(value) => {
                    numbers.any = true;
                    numbers.values.push(if self.missing.number(value) { f64::NAN } else { value });
                }
                Parsed::Point(value) if !numbers.commas => {
                    (numbers.any, numbers.points) = (true, true);
                    numbers.values.push(if self.missing.number(value) { f64::NAN } else { value });
                }
                Parsed::Comma { value, sure } if !numbers.points => {
                    (numbers.any, numbers.commas) = (true, true);
                    numbers.sure |= sure;
                    numbers.values.push(if self.missing.number(value) { f64::NAN } else { value });
                }
                _ if self.missing.text(trimmed) => numbers.values.push(f64::NAN),
                Parsed::Infinite => numbers.push_infinite(String::from_utf8_lossy(trimmed).into_owned()),
                _ => self.turn_to_text(cell),
            },
            State::Text(dictionary) if self.missing.text(trimmed) => dictionary.push_missing(),
            State::Text(dictionary) => dictionary.push(cell),
            State::Again | State::Skipped => {}
        }
        self.len += 1;
    }

    /// Appends a number of a typed file; NaN is a missing cell.
    pub(super) fn push_number(&mut self, value: f64) {
        match &mut self.state {
            State::Numbers(numbers) if value.is_infinite() => numbers.push_infinite(value.to_string()),
            State::Numbers(numbers) => {
                numbers.any |= !value.is_nan();
                numbers.values.push(if self.missing.number(value) { f64::NAN } else { value });
            }
            State::Text(dictionary) if value.is_nan() => dictionary.push_missing(),
            State::Text(dictionary) => {
                let text = number_text(value);
                if self.missing.text(text.as_bytes()) {
                    dictionary.push_missing();
                } else {
                    dictionary.push(text.as_bytes());
                }
            }
            State::Again | State::Skipped => {}
        }
        self.len += 1;
    }

    /// Appends a text that is never a number, such as a list.
    pub(super) fn push_text(&mut self, text: &str) {
        match &mut self.state {
            State::Numbers(_) => self.turn_to_text(text.as_bytes()),
            State::Text(dictionary) => dictionary.push(text.as_bytes()),
            State::Again | State::Skipped => {}
        }
        self.len += 1;
    }

    /// Appends a missing cell.
    pub(super) fn push_missing(&mut self) {
        match &mut self.state {
            State::Numbers(numbers) => numbers.values.push(f64::NAN),
            State::Text(dictionary) => dictionary.push_missing(),
            State::Again | State::Skipped => {}
        }
        self.len += 1;
    }

    /// Passes over cells that the source has and this pass does not need.
    pub(super) fn skip(&mut self, cells: usize) {
        // The number of cells is a file's own word.
        self.len = self.len.saturating_add(cells);
    }

    #[cold]
    fn turn_to_text(&mut self, cell: &[u8]) {
        let State::Numbers(numbers) = &self.state else { return };
        let (before, room) = (numbers.values.len(), numbers.values.capacity());
        if numbers.any || numbers.infinite.is_some() {
            self.state = State::Again;
            return;
        }
        let mut dictionary = Dictionary::with_missing(before);
        dictionary.reserve(room);
        dictionary.push(cell);
        self.state = State::Text(dictionary);
    }

    fn reserve(&mut self, rows: usize) {
        match &mut self.state {
            // The number of rows is a file's own word: room for too many is no reason to fail.
            State::Numbers(numbers) => {
                let _ = numbers.values.try_reserve_exact(rows.saturating_sub(numbers.values.len()));
            }
            State::Text(dictionary) => dictionary.reserve(rows),
            State::Again | State::Skipped => {}
        }
    }
}

impl Numbers {
    fn push_infinite(&mut self, text: String) {
        self.infinite.get_or_insert((self.values.len(), text));
        self.values.push(f64::NAN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads one column, twice if need be, and shows its cells.
    fn check(cells: &[&str], missing: &[&str], expected: &str) {
        let matcher = |_: &str| Missing::new(missing.iter().copied());
        let mut columns = Columns::new(cells.len(), &matcher);
        columns.decimal_commas(true);
        let fill = |columns: &mut Columns| {
            for cell in cells {
                let position = columns.position("x");
                columns.column(position).push(cell.as_bytes());
                columns.end_rows(1);
            }
        };
        fill(&mut columns);
        columns.settle_commas();
        if let Some(mut second) = columns.again() {
            fill(&mut second);
            columns.complete(second);
        }
        let infinite = columns.infinite().map(|(_, row, text)| format!("infinite at {row}: {text}"));
        let shown = infinite.unwrap_or_else(|| match &columns.finish()["x"] {
            Cells::Number(values) => format!("{values:?}"),
            Cells::Text(text) => {
                let cells: Vec<_> = (0..text.codes.len()).map(|row| text.get(row).unwrap_or("-")).collect();
                cells.join("|")
            }
            Cells::Image(_) => panic!("a source of records holds no pictures"),
        });
        assert_eq!(shown, expected, "{cells:?}");
    }

    #[test]
    fn types_by_content() {
        check(&["1", "", "2.5", " 3 "], &[], "[1.0, NaN, 2.5, 3.0]");
        check(&["NA", "n/a"], &[], "[NaN, NaN]");
        check(&["", "red", "blue", " red"], &[], "-|red|blue| red");
        check(&["1", "2", "x", "", "1"], &[], "1|2|x|-|1");
        check(&["1", "?", "2"], &["?"], "[1.0, NaN, 2.0]");
        check(&["0", "5", "0.0"], &["0"], "[NaN, 5.0, NaN]");
        check(&["0", "a"], &["0"], "-|a");
        check(&["1", "02139"], &[], "1|02139");
        check(&["true", "false"], &[], "true|false");
        check(&["1", "inf", "2"], &[], "infinite at 1: inf");
        check(&["inf", "1e999"], &[], "infinite at 0: inf");
        check(&["1", "inf", "x"], &[], "1|inf|x");
        check(&["1", "inf"], &["inf"], "[1.0, NaN]");
    }

    #[test]
    fn commas() {
        check(&["3,14", "2", "0,5"], &[], "[3.14, 2.0, 0.5]");
        check(&["3,14", "2.5"], &[], "3,14|2.5");
        check(&["1,234", "5,678"], &[], "1,234|5,678");
        check(&["1,234", "5,6"], &[], "[1.234, 5.6]");
        check(&["1.234,5"], &[], "1.234,5");
    }

    #[test]
    fn a_late_column_is_missing_before() {
        let matcher = |_: &str| Missing::default();
        let mut columns = Columns::new(0, &matcher);
        let a = columns.position("a");
        columns.column(a).push_number(1.0);
        columns.end_rows(1);
        let b = columns.position("b");
        columns.column(b).push_text("x");
        assert!(columns.has_cell(b) && !columns.has_cell(a));
        columns.end_rows(1);
        let columns = columns.finish();
        assert!(columns["a"].is_missing(1) && columns["b"].is_missing(0));
        assert_eq!(columns["b"].text(1).unwrap(), "x");
    }
}
