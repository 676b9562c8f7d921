//! Parquet files, written column by column.

use super::*;

/// Writes a Parquet file of one row group; `write` gets the columns in the order of the schema.
pub(super) fn parquet_file(
    schema: &str,
    compression: ::parquet::basic::Compression,
    write: &[&dyn Fn(&mut ::parquet::file::writer::SerializedColumnWriter<'_>)],
) -> Vec<u8> {
    use ::parquet::file::{properties::WriterProperties, writer::SerializedFileWriter};
    let schema = ::parquet::schema::parser::parse_message_type(schema).unwrap();
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut bytes = Vec::new();
    let mut file = SerializedFileWriter::new(&mut bytes, schema.into(), properties.into()).unwrap();
    let mut group = file.next_row_group().unwrap();
    for write in write {
        let mut column = group.next_column().unwrap().unwrap();
        write(&mut column);
        column.close().unwrap();
    }
    group.close().unwrap();
    file.close().unwrap();
    bytes
}

#[test]
fn parquet_columns() {
    use ::parquet::basic::{Compression, GzipLevel, ZstdLevel};
    use ::parquet::data_type::{
        BoolType, ByteArrayType, DoubleType, FixedLenByteArrayType, FloatType, Int32Type, Int64Type,
    };
    let schema = "message rows {
        required int32 count; optional double share; optional binary name (UTF8); required boolean ok;
        required int32 day (DATE); required int64 at (TIMESTAMP(MICROS, true));
        required int64 local (TIMESTAMP(MILLIS, false)); required int32 price (DECIMAL(9, 2));
        required int64 id; required float small;
        required fixed_len_byte_array(3) amount (DECIMAL(5, 1)); required int32 time (TIME(MILLIS, true));
        optional group tags (LIST) { repeated group list { optional binary element (UTF8); } }
        repeated int32 bare;
    }";
    for compression in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::LZ4_RAW,
        Compression::GZIP(GzipLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
    ] {
        macro_rules! column {
            ($type:ty, $values:expr, $definitions:expr, $repetitions:expr) => {
                &|column| {
                    column.typed::<$type>().write_batch($values, $definitions, $repetitions).unwrap();
                }
            };
            ($type:ty, $values:expr) => {
                column!($type, $values, None, None)
            };
        }
        let bytes = parquet_file(
            schema,
            compression,
            &[
                column!(Int32Type, &[1, 2, 3]),
                column!(DoubleType, &[0.5, f64::NAN], Some(&[1, 0, 1]), None),
                column!(ByteArrayType, &["a".into(), "NA".into(), "é".into()], Some(&[1, 1, 1]), None),
                column!(BoolType, &[true, false, true]),
                column!(Int32Type, &[0, 19_723, -1]),
                column!(Int64Type, &[0, 1_704_067_200_500_000, -1]),
                column!(Int64Type, &[0, 1_704_067_200_000, -1000]),
                column!(Int32Type, &[1999, -5, 100]),
                column!(Int64Type, &[1, i64::MAX, 3]),
                column!(FloatType, &[0.1, 2.0, -3.5]),
                column!(
                    FixedLenByteArrayType,
                    &[vec![0, 0, 25].into(), vec![255, 255, 246].into(), vec![1, 0, 0].into()]
                ),
                column!(Int32Type, &[0, 3_600_000, 500]),
                column!(
                    ByteArrayType,
                    &["p".into(), "q".into()],
                    Some(&[3, 3, 2, 1, 0]),
                    Some(&[0, 1, 1, 0, 0])
                ),
                column!(Int32Type, &[7, 8, 9], Some(&[1, 0, 1, 1]), Some(&[0, 0, 0, 1])),
            ],
        );
        check(
            "a.parquet",
            &bytes,
            "Parquet",
            "count: 1.0 2.0 3.0\nshare: 0.5 NaN NaN\nname: \"a\" - \"é\"\nok: \"true\" \"false\" \"true\"\n\
             day: \"1970-01-01\" \"2024-01-01\" \"1969-12-31\"\n\
             at: \"1970-01-01T00:00:00Z\" \"2024-01-01T00:00:00.5Z\" \"1969-12-31T23:59:59.999999Z\"\n\
             local: \"1970-01-01T00:00:00\" \"2024-01-01T00:00:00\" \"1969-12-31T23:59:59\"\n\
             price: 19.99 -0.05 1.0\nid: \"1\" \"9223372036854775807\" \"3\"\nsmall: 0.1 2.0 -3.5\n\
             amount: 2.5 -1.0 6553.6\ntime: \"00:00:00\" \"01:00:00\" \"00:00:00.5\"\n\
             tags: \"p\\u{1f}q\" \"\" -\nbare: \"7\" \"\" \"8\\u{1f}9\"\n",
        );
    }
}

#[test]
fn columns_that_are_read_again_are_not_missing() {
    use ::parquet::basic::Compression;
    use ::parquet::data_type::{ByteArrayType, Int32Type};
    let bytes = parquet_file(
        "message rows { required binary x (UTF8); required int32 y; }",
        Compression::UNCOMPRESSED,
        &[
            &|column| {
                column.typed::<ByteArrayType>().write_batch(&["1".into(), "b".into()], None, None).unwrap();
            },
            &|column| {
                column.typed::<Int32Type>().write_batch(&[1, 2], None, None).unwrap();
            },
        ],
    );
    let folder = Folder::new(&[("a.parquet", bytes.as_slice()), ("b.parquet", bytes.as_slice())]);
    let loaded = folder.open(&source(&["a.parquet", "b.parquet"])).unwrap();
    assert!(loaded.notes.is_empty(), "{:?}", loaded.notes);
    assert_eq!(show(&loaded.table), "x: \"1\" \"b\" \"1\" \"b\"\ny: 1.0 2.0 1.0 2.0\n");
}

#[test]
fn parquet_errors() {
    use ::parquet::basic::Compression;
    use ::parquet::data_type::{DoubleType, Int32Type};
    let nested = parquet_file(
        "message rows { required group place { required int32 x; required int32 y; } }",
        Compression::UNCOMPRESSED,
        &[
            &|column| assert_eq!(column.typed::<Int32Type>().write_batch(&[1], None, None).unwrap(), 1),
            &|column| assert_eq!(column.typed::<Int32Type>().write_batch(&[1], None, None).unwrap(), 1),
        ],
    );
    check_error(
        "a.parquet",
        &nested,
        "column `place.x` of `a.parquet` is part of a nested value, but must be a number, a text, a boolean, a date, \
         a time or a list of these",
    );
    let infinite = parquet_file(
        "message rows { required double x; }",
        Compression::UNCOMPRESSED,
        &[&|column| {
            column.typed::<DoubleType>().write_batch(&[1.0, f64::INFINITY], None, None).unwrap();
        }],
    );
    check_error(
        "a.parquet",
        &infinite,
        "column `x` in `a.parquet` is a number, but row 2 holds `inf`, which is not finite\n\
         hint: if it stands for a missing value, add `\"inf\"` to `data.missing`",
    );
    check_error("a.parquet", &infinite[..40], "`a.parquet` cannot be read as Parquet");
    check_error(
        "a.parquet.zst",
        &zstd::encode_all(&infinite[..], 3).unwrap(),
        "`a.parquet.zst` is a Parquet file that is compressed as a whole or comes through a pipe, which is not \
         supported yet, but must be CSV, TSV, JSON, JSON Lines, CoNLL or Parquet, plain, `.gz`, `.zst` or a `.zip` of one file",
    );
}
