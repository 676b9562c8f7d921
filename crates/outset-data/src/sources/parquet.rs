//! Parquet files, read column by column.

use super::columns::{Column, Columns};
use super::error::SourceError;
use super::input::Input;
use super::{Source, delimited};
use crate::table::{LIST_SEPARATOR, number_text};
use jiff::civil::{DateTime, date};
use jiff::{SignedDuration, ToSpan};
use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Rows decoded at once.
const BATCH: usize = 8192;

/// Largest integer up to which 64-bit floats hold every one.
const EXACT: u64 = 1 << 53;

/// A Parquet file whose columns can all be cells.
pub(super) struct Parquet {
    input: Input,
    names: Vec<String>,
    leaves: Vec<Leaf>,
    rows: usize,
}

/// How a column is laid out, and what its values mean.
#[derive(Clone, Copy)]
struct Leaf {
    kind: Kind,
    /// Definition level of a value that is there.
    defined: i16,
    /// For lists: definition level of an element, be it null.
    element: Option<i16>,
}

/// What the values of a column mean.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Boolean,
    Integer,
    Unsigned,
    Float,
    Text,
    Decimal {
        scale: i32,
    },
    Date,
    /// Time of day in units of so many nanoseconds.
    Time {
        unit: i64,
    },
    /// Time since 1970 in units of so many nanoseconds, with or without a time zone.
    Timestamp {
        unit: i64,
        utc: bool,
    },
    Uuid,
}

/// A decoded value.
enum Value<'a> {
    Number(f64),
    /// Text that may be a number, such as a large integer.
    Text(&'a [u8]),
    Owned(String),
}

/// Recognises Parquet by its first bytes; `Ok(None)` for other files.
pub(super) fn recognise(input: &Input) -> Result<Option<Parquet>, SourceError> {
    if !input.head.starts_with(b"PAR1") {
        return Ok(None);
    }
    let mut input = input.clone();
    input.forget_head();
    let reader = open(&input)?;
    let metadata = reader.metadata().file_metadata();
    let schema = metadata.schema_descr();
    let (mut names, mut leaves) = (Vec::new(), Vec::new());
    for column in schema.columns() {
        let unfit = |found| SourceError::ParquetColumn {
            path: input.shown.clone(),
            column: column.path().string(),
            found,
        };
        let path = column.path().parts();
        // A list is written as `name.list.element`, or as a repeated value.
        match (path.len(), column.max_rep_level()) {
            (1, 0 | 1) | (2 | 3, 1) => {}
            (_, 0) => return Err(unfit("part of a nested value")),
            _ => return Err(unfit("a list within a list")),
        }
        if names.last() == Some(&path[0]) {
            return Err(unfit("part of a nested value"));
        }
        names.push(path[0].clone());
        leaves.push(Leaf {
            kind: kind(column).map_err(unfit)?,
            defined: column.max_def_level(),
            element: (column.max_rep_level() > 0).then(|| column.repeated_ancestor_def_level()),
        });
    }
    delimited::refuse_duplicates(&input.shown, &names)?;
    let rows = usize::try_from(metadata.num_rows()).unwrap_or(0);
    drop(reader);
    Ok(Some(Parquet { input, names, leaves, rows }))
}

fn open(input: &Input) -> Result<SerializedFileReader<File>, SourceError> {
    let Some(path) = input.plain_file() else {
        let found = "a Parquet file that is compressed as a whole or comes through a pipe";
        return Err(SourceError::NotSupported { path: input.shown.clone(), found, archive: false });
    };
    let file = File::open(path).map_err(|source| input.failed(source))?;
    without_panic(|| SerializedFileReader::new(file)).map_err(|source| damaged(input, source))
}

/// Turns a panic of the decoder, which trusts some bytes of a file, into an error.
fn without_panic<T>(decode: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    let panicked = |_| Err(ParquetError::General("the decoder met bytes that contradict each other".into()));
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(panicked)
}

fn damaged(input: &Input, source: ParquetError) -> SourceError {
    SourceError::Parquet { path: input.shown.clone(), source }
}

/// What a column's values mean, or what they are if they cannot be cells.
fn kind(column: &ColumnDescriptor) -> Result<Kind, &'static str> {
    let logical = column.logical_type_ref();
    let nanoseconds = |unit: &TimeUnit| match unit {
        TimeUnit::MILLIS => 1_000_000,
        TimeUnit::MICROS => 1_000,
        TimeUnit::NANOS => 1,
    };
    let decimal = Kind::Decimal { scale: column.type_scale().max(0) };
    match logical {
        Some(LogicalType::Decimal(decimal)) => return Ok(Kind::Decimal { scale: decimal.scale }),
        Some(LogicalType::Date) => return Ok(Kind::Date),
        Some(LogicalType::Time(time)) => return Ok(Kind::Time { unit: nanoseconds(&time.unit) }),
        Some(LogicalType::Timestamp(time)) => {
            let utc = time.is_adjusted_to_u_t_c;
            return Ok(Kind::Timestamp { unit: nanoseconds(&time.unit), utc });
        }
        Some(LogicalType::Integer(integer)) if !integer.is_signed => return Ok(Kind::Unsigned),
        Some(LogicalType::Uuid) => return Ok(Kind::Uuid),
        Some(LogicalType::Float16) => return Err("a list of 16-bit floats or one of them"),
        _ => {}
    }
    match column.converted_type() {
        ConvertedType::DECIMAL => return Ok(decimal),
        ConvertedType::DATE => return Ok(Kind::Date),
        ConvertedType::TIME_MILLIS => return Ok(Kind::Time { unit: 1_000_000 }),
        ConvertedType::TIME_MICROS => return Ok(Kind::Time { unit: 1_000 }),
        ConvertedType::TIMESTAMP_MILLIS => return Ok(Kind::Timestamp { unit: 1_000_000, utc: true }),
        ConvertedType::TIMESTAMP_MICROS => return Ok(Kind::Timestamp { unit: 1_000, utc: true }),
        ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64 => {
            return Ok(Kind::Unsigned);
        }
        ConvertedType::BSON | ConvertedType::INTERVAL => return Err("of a type that is no text"),
        _ => {}
    }
    Ok(match column.physical_type() {
        Physical::BOOLEAN => Kind::Boolean,
        Physical::INT32 | Physical::INT64 => Kind::Integer,
        Physical::INT96 => Kind::Timestamp { unit: 1, utc: false },
        Physical::FLOAT | Physical::DOUBLE => Kind::Float,
        Physical::BYTE_ARRAY => Kind::Text,
        Physical::FIXED_LEN_BYTE_ARRAY => return Err("of raw bytes"),
    })
}

impl Source for Parquet {
    fn words(&self) -> String {
        "Parquet".to_owned()
    }

    fn names(&self) -> Option<&[String]> {
        Some(&self.names)
    }

    fn expected_rows(&self) -> usize {
        self.rows
    }

    fn read(&self, columns: &mut Columns<'_>) -> Result<(), SourceError> {
        if self.rows == 0 {
            return Err(SourceError::Empty { path: self.input.shown.clone() });
        }
        let reader = open(&self.input)?;
        let positions: Vec<usize> = self.names.iter().map(|name| columns.position(name)).collect();
        for group in 0..reader.num_row_groups() {
            let failed = |source| damaged(&self.input, source);
            let group = without_panic(|| reader.get_row_group(group)).map_err(failed)?;
            let rows = usize::try_from(group.metadata().num_rows()).unwrap_or(usize::MAX);
            for (index, position) in positions.iter().enumerate() {
                let column = columns.column(*position);
                if !column.is_wanted() {
                    column.skip(rows);
                    continue;
                }
                let read = || read_chunk(group.get_column_reader(index)?, self.leaves[index], column);
                let found = without_panic(read).map_err(failed)?;
                if found != rows {
                    let name = &self.names[index];
                    let what = format!("column `{name}` has {found} cells in a group of {rows} rows");
                    return Err(failed(ParquetError::General(what)));
                }
            }
            columns.end_rows(rows);
        }
        Ok(())
    }
}

/// Appends all cells of one column in one row group, and counts them.
fn read_chunk(chunk: ColumnReader, leaf: Leaf, column: &mut Column) -> Result<usize, ParquetError> {
    let kind = leaf.kind;
    match chunk {
        ColumnReader::BoolColumnReader(reader) => read_values(reader, leaf, column, |value| {
            Ok(Value::Text(if *value { b"true" } else { b"false" }))
        }),
        ColumnReader::Int32ColumnReader(reader) => read_values(reader, leaf, column, |value| {
            let wide = if kind == Kind::Unsigned { i64::from(*value as u32) } else { i64::from(*value) };
            integer(wide, kind)
        }),
        ColumnReader::Int64ColumnReader(reader) => {
            read_values(reader, leaf, column, |value| integer(*value, kind))
        }
        ColumnReader::Int96ColumnReader(reader) => read_values(reader, leaf, column, |value| {
            // Three words: nanoseconds within the day, and the Julian day number, whose 2,440,588th is 1970-01-01.
            let words = value.data();
            let nanoseconds = i128::from(words[0]) | i128::from(words[1]) << 32;
            let days = i128::from(words[2]) - 2_440_588;
            timestamp(days * 86_400_000_000_000 + nanoseconds, false)
        }),
        ColumnReader::FloatColumnReader(reader) => {
            read_values(reader, leaf, column, |value| Ok(Value::Number(widen(*value))))
        }
        ColumnReader::DoubleColumnReader(reader) => {
            read_values(reader, leaf, column, |value| Ok(Value::Number(*value)))
        }
        ColumnReader::ByteArrayColumnReader(reader) => {
            read_values(reader, leaf, column, |value| bytes(value.data(), kind))
        }
        ColumnReader::FixedLenByteArrayColumnReader(reader) => {
            read_values(reader, leaf, column, |value| bytes(value.data(), kind))
        }
    }
}

/// Appends the cells of one column and counts them; where values repeat, those of a row become one text.
fn read_values<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    leaf: Leaf,
    column: &mut Column,
    decode: impl for<'v> Fn(&'v T::T) -> Result<Value<'v>, ParquetError>,
) -> Result<usize, ParquetError> {
    let before = column.len();
    let (mut definitions, mut repetitions, mut values) = (Vec::new(), Vec::new(), Vec::new());
    let mut list: Option<List> = None;
    loop {
        definitions.clear();
        repetitions.clear();
        values.clear();
        let (rows, _, levels) =
            reader.read_records(BATCH, Some(&mut definitions), Some(&mut repetitions), &mut values)?;
        if rows == 0 && levels == 0 {
            break;
        }
        if leaf.defined == 0 {
            for value in &values {
                push(column, decode(value)?);
            }
            continue;
        }
        let mut values = values.iter();
        for (level, definition) in definitions.iter().enumerate() {
            let value = if *definition == leaf.defined { values.next() } else { None };
            let Some(element) = leaf.element else {
                match value {
                    Some(value) => push(column, decode(value)?),
                    None => column.push_missing(),
                }
                continue;
            };
            if repetitions[level] == 0 {
                if let Some(list) = list.take() {
                    list.end(column);
                }
                // Below the level of an element the list is empty, and below that of an empty list there is none.
                let present = *definition + 1 >= element;
                list = Some(List { present, ..List::default() });
            }
            if let (Some(list), Some(value)) = (&mut list, value) {
                list.add(decode(value)?);
            }
        }
    }
    if let Some(list) = list {
        list.end(column);
    }
    Ok(column.len() - before)
}

/// The elements of one row's list.
#[derive(Default)]
struct List {
    present: bool,
    elements: usize,
    text: String,
}

impl List {
    fn add(&mut self, value: Value<'_>) {
        if self.elements > 0 {
            self.text.push(LIST_SEPARATOR);
        }
        self.elements += 1;
        match value {
            Value::Number(number) => self.text.push_str(&number_text(number)),
            Value::Text(text) => self.text.push_str(&String::from_utf8_lossy(text)),
            Value::Owned(text) => self.text.push_str(&text),
        }
    }

    fn end(self, column: &mut Column) {
        if self.present {
            column.push_text(&self.text);
        } else {
            column.push_missing();
        }
    }
}

fn push(column: &mut Column, value: Value<'_>) {
    match value {
        Value::Number(number) => column.push_number(number),
        Value::Text(text) => column.push(text),
        Value::Owned(text) => column.push(text.as_bytes()),
    }
}

/// The 64-bit number with the same shortest decimal digits: 0.1, not 0.10000000149.
fn widen(value: f32) -> f64 {
    if value.fract() == 0.0 || !value.is_finite() {
        return f64::from(value);
    }
    value.to_string().parse().unwrap_or(f64::from(value))
}

fn integer(value: i64, kind: Kind) -> Result<Value<'static>, ParquetError> {
    let nanoseconds = |unit: i64| i128::from(value) * i128::from(unit);
    match kind {
        Kind::Decimal { scale } => Ok(Value::Owned(decimal_text(i128::from(value), scale))),
        Kind::Date => {
            let day = date(1970, 1, 1).checked_add(value.days());
            day.map(|day| Value::Owned(day.to_string())).map_err(out_of_range)
        }
        Kind::Time { unit } => {
            let time = jiff::civil::Time::midnight().checked_add(duration(nanoseconds(unit)));
            time.map(|time| Value::Owned(time.to_string())).map_err(out_of_range)
        }
        Kind::Timestamp { unit, utc } => timestamp(nanoseconds(unit), utc),
        Kind::Unsigned if value < 0 => Ok(Value::Owned((value as u64).to_string())),
        _ if value.unsigned_abs() <= EXACT => Ok(Value::Number(value as f64)),
        _ => Ok(Value::Owned(value.to_string())),
    }
}

fn bytes(bytes: &[u8], kind: Kind) -> Result<Value<'_>, ParquetError> {
    match kind {
        Kind::Decimal { scale } if bytes.len() <= 16 => {
            // Big-endian two's complement: the first byte's sign fills what is left.
            let fill = if bytes.first().is_some_and(|byte| *byte >= 0x80) { 0xff } else { 0 };
            let mut whole = [fill; 16];
            whole[16 - bytes.len()..].copy_from_slice(bytes);
            Ok(Value::Owned(decimal_text(i128::from_be_bytes(whole), scale)))
        }
        Kind::Decimal { .. } => Err(ParquetError::General("a decimal has more than 38 digits".into())),
        Kind::Uuid => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let part = |range| digits.get(range).unwrap_or_default();
            let parts = [part(0..8), part(8..12), part(12..16), part(16..20), part(20..digits.len())];
            Ok(Value::Owned(parts.join("-")))
        }
        _ if std::str::from_utf8(bytes).is_err() => {
            Err(ParquetError::General("a text column holds bytes that are not UTF-8".into()))
        }
        _ => Ok(Value::Text(bytes)),
    }
}

/// Writes a whole number of units of ten to the minus `scale`.
fn decimal_text(units: i128, scale: i32) -> String {
    let scale = scale.max(0) as usize;
    let digits = format!("{:0width$}", units.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if units < 0 { "-" } else { "" };
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

fn timestamp(nanoseconds: i128, utc: bool) -> Result<Value<'static>, ParquetError> {
    let epoch = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
    let time = epoch.checked_add(duration(nanoseconds)).map_err(out_of_range)?;
    Ok(Value::Owned(if utc { format!("{time}Z") } else { time.to_string() }))
}

fn duration(nanoseconds: i128) -> SignedDuration {
    const SECOND: i128 = 1_000_000_000;
    let seconds = i64::try_from(nanoseconds.div_euclid(SECOND)).unwrap_or(i64::MAX);
    SignedDuration::new(seconds, nanoseconds.rem_euclid(SECOND) as i32)
}

fn out_of_range(error: jiff::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}
