//! Damaged and random files: an error or a table, never a panic.

use super::*;

/// A small generator of pseudo-random numbers, so that each run damages the same bytes.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// Reads the file with a few bytes changed, many times over.
fn check(name: &str, bytes: &[u8]) {
    let folder = TempDir::new().unwrap();
    let mut random = Random(bytes.len() as u64);
    for round in 0..150 {
        let mut damaged = bytes.to_vec();
        for _ in 0..1 + random.below(4) {
            let place = random.below(damaged.len());
            match random.below(4) {
                0 => damaged[place] = random.below(256) as u8,
                1 => damaged[place] = b"\"\n\r,;{}[]:\\\0"[random.below(12)],
                2 => damaged.truncate(place + 1),
                _ => damaged.insert(place, b"\"\n,\x80"[random.below(4)]),
            }
        }
        fs::write(folder.path().join(name), &damaged).unwrap();
        let read = std::panic::catch_unwind(|| open(&source(&[name]), folder.path(), &|_| Vec::new()));
        let read = read.unwrap_or_else(|_| panic!("round {round}: {damaged:?}"));
        if let Err(error) = read {
            assert!(!error.to_string().is_empty());
        }
    }
}

#[test]
fn damaged_text() {
    check("a.csv", b"x,y,z\n1,\"a \"\"b\"\"\nc\",3.5\n2,d,\n-3,\"\",1e5\n");
    check("a.tsv", "名\tb\r\n1\t\"x\r\ny\"\r\n2\t三\r\n".as_bytes());
    check("a.csv", &GB18030.encode("姓名;价格\n张三;3,5\n李四;4,25\n").0);
    let utf16: Vec<u8> = "姓名;价格\n张三;3,5\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
    check("a.csv", &utf16);
    check("a.csv.zst", &zstd::encode_all(&b"x,y\n1,a\n2,b\n"[..], 3).unwrap());
}

#[test]
fn damaged_json() {
    check("a.json", b"[{\"x\": 1, \"y\": [\"a\", null, 2.5]}, {\"x\": -3e5, \"z\": true}]");
    check("a.jsonl", b"{\"x\": 1, \"y\": \"\\u00e9\"}\n{\"x\": null}\n{\"x\": 12345678901234567890}\n");
}

#[test]
fn damaged_parquet() {
    use ::parquet::basic::Compression;
    use ::parquet::data_type::{ByteArrayType, Int64Type};
    let schema = "message rows { required int64 x (TIMESTAMP(MICROS, true)); optional binary y (UTF8); }";
    for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY] {
        let bytes = super::parquet::parquet_file(
            schema,
            compression,
            &[
                &|column| {
                    assert_eq!(column.typed::<Int64Type>().write_batch(&[1, 2, 3], None, None).unwrap(), 3)
                },
                &|column| {
                    let texts = ["a".into(), "bc".into()];
                    let column = column.typed::<ByteArrayType>();
                    assert_eq!(column.write_batch(&texts, Some(&[1, 0, 1]), None).unwrap(), 2);
                },
            ],
        );
        check("a.parquet", &bytes);
    }
}
