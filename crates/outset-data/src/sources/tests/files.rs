//! Which files are read, and what is said of those that cannot be.

use super::pictures::zipped;
use super::*;

#[test]
fn records_of_files() {
    let folder = Folder::new(&[("a.csv", b"x,y\n1,2\n3,4\n")]);
    let loaded = folder.open(&source(&["a.csv"])).unwrap();
    let expected = FileRecord {
        path: "a.csv".into(),
        sha256: "2a2b86e74ffd5e6a9b75e52a105cf9d02920837179f8e8961aa15411d380f7a3".into(),
        bytes: 12,
        rows: 2,
        format: "CSV, UTF-8, comma, header line".into(),
    };
    assert_eq!(loaded.files, [expected]);
}

#[test]
fn several_files() {
    let folder = Folder::new(&[
        ("a.csv", b"x,y\n1,a\n"),
        ("b.csv", b"y,x\nb,2\nc,no\n"),
        ("c.csv", b"x,z\n1,2\n"),
        ("none.csv", b"1,a\n2,b\n"),
        ("none2.csv", b"3,c\n"),
    ]);
    let loaded = folder.open(&source(&["a.csv", "b.csv"])).unwrap();
    assert_eq!(show(&loaded.table), "x: \"1\" \"2\" \"no\"\ny: \"a\" \"b\" \"c\"\n");
    assert_eq!(loaded.files.iter().map(|file| file.rows).collect::<Vec<_>>(), [1, 2]);
    let loaded = folder.open(&source(&["none.csv", "none2.csv"])).unwrap();
    assert_eq!(show(&loaded.table), "column_1: 1.0 2.0 3.0\ncolumn_2: \"a\" \"b\" \"c\"\n");
    let error = folder.open(&source(&["a.csv", "c.csv"])).unwrap_err();
    assert_eq!(message(&error), "`c.csv` has other columns than `a.csv`: `y` is missing, `z` is new");
}

#[test]
fn given_parts() {
    let folder = Folder::new(&[("a.csv", b"x\n1\n2\n"), ("b.csv", b"x\n3\n"), ("c.csv", b"x\n4\n")]);
    let (train, val, test) = (files(&["a.csv"]), files(&["b.csv"]), files(&["c.csv"]));
    let loaded = folder.open(&Data { train, val, test, ..Data::default() }).unwrap();
    assert_eq!(show(&loaded.table), "x: 1.0 2.0 3.0 4.0\n");
    assert_eq!(loaded.given.unwrap(), [Given::Train, Given::Train, Given::Val, Given::Test]);
}

#[test]
fn folders() {
    let folder = Folder::new(&[
        ("rows/b.csv", b"x\n2\n"),
        ("rows/a.csv", b"x\n1\n"),
        ("rows/README.md", b"hello"),
        ("rows/.hidden.csv", b"y\n2\n"),
        ("mixed/a.csv", b"x\n1\n"),
        ("mixed/b.json", b"[]"),
        ("none/notes.txt", b"hello"),
        ("pictures/cat/1.png", b"\x89PNG"),
    ]);
    let loaded = folder.open(&source(&["rows"])).unwrap();
    assert_eq!(show(&loaded.table), "x: 1.0 2.0\n");
    assert_eq!(loaded.files[0].path, "rows/a.csv");
    let error = |path| message(&folder.open(&source(&[path])).unwrap_err());
    assert_eq!(
        error("mixed"),
        "folder `mixed` holds data files of several kinds (`CSV or TSV`, `JSON`), but must hold one kind\n\
         hint: name the files: `source = [\"a.csv\", \"b.csv\"]`"
    );
    assert_eq!(
        error("none"),
        "folder `none` holds no data file, but must hold some that end in `.csv`, `.tsv`, `.tab`, `.json`, `.jsonl`, \
         `.ndjson`, `.parquet`, `.pq`, `.conll`, `.iob`, `.bio`, `.iob2`, `.png`, `.jpg`, `.jpeg`, `.webp`, `.bmp`, \
         `.gif`, `.tif`, `.tiff`"
    );
    let loaded = folder.open(&source(&["pictures"])).unwrap();
    assert_eq!(loaded.files[0].format, "folder of pictures");
}

#[test]
fn a_folder_with_zip_archives() {
    let folder = Folder::new(&[
        ("rows/a.csv", b"x\n1\n"),
        ("rows/a.csv.zip", &zipped(&[("a.csv", b"x\n1\n")])),
        ("rows/b.csv.zip", &zipped(&[("data/b.csv", b"x\n2\n"), ("__MACOSX/._b.csv", b"\0")])),
        ("rows/c.ZIP", &zipped(&[("c.csv", b"x\n3\n")])),
        ("rows/pictures.zip", &zipped(&[("1.png", b"\x89PNG")])),
        ("rows/several.zip", &zipped(&[("d.csv", b"x\n4\n"), ("e.csv", b"x\n5\n")])),
        ("cut/a.csv", b"x\n1\n"),
        ("cut/b.csv.zip", b"PK\x03\x04"),
    ]);
    let loaded = folder.open(&source(&["rows"])).unwrap();
    assert_eq!(show(&loaded.table), "x: 1.0 2.0 3.0\n");
    assert!(folder.open(&source(&["cut"])).is_err(), "a damaged file is told");
}

// Other systems refuse such names.
#[cfg(target_os = "linux")]
#[test]
fn a_data_file_whose_name_is_not_utf_8_is_told() {
    use std::os::unix::ffi::OsStrExt as _;
    let folder = Folder::new(&[("rows/a.csv", b"x\n1\n")]);
    let add = |name: &[u8]| {
        fs::write(folder.0.path().join(std::ffi::OsStr::from_bytes(name)), b"x\n2\n").unwrap();
    };
    add(b"rows/notes\xe9.txt");
    assert!(folder.open(&source(&["rows"])).is_ok());
    add(b"rows/b\xe9.csv");
    let error = folder.open(&source(&["rows"])).unwrap_err();
    assert_eq!(message(&error), "`rows/b\u{fffd}.csv` cannot be read");
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "its name is not UTF-8");
}

#[test]
fn missing_and_empty_files() {
    let folder = Folder::new(&[("data/adult.csv", b"x\n1\n"), ("empty.csv", b""), ("blank.csv", b"\n \n")]);
    let error = |path| message(&folder.open(&source(&[path])).unwrap_err());
    assert_eq!(
        error("data/adlt.csv"),
        "`data/adlt.csv` does not exist\nhint: did you mean `data/adult.csv`?"
    );
    assert_eq!(error("zzz.csv"), "`zzz.csv` does not exist");
    assert_eq!(error("empty.csv"), "`empty.csv` is empty, but must hold at least one row");
    assert_eq!(error("blank.csv"), "`blank.csv` is empty, but must hold at least one row");
    assert_eq!(message(&folder.open(&Data::default()).unwrap_err()), "no data file is named");
    check_error(
        "a.csv",
        b"x,y\n",
        "`a.csv` has a header line of 2 columns but no rows\nhint: if its line is a row, set `data.header = false`",
    );
}

#[test]
fn foreign_files() {
    let readable = "but must be CSV, TSV, JSON, JSON Lines, CoNLL or Parquet, plain, `.gz`, `.zst` or a `.zip` of one file";
    let check = |name, bytes: &[u8], expected: &str| {
        check_error(name, bytes, &expected.replace("{readable}", readable));
    };
    check(
        "a.csv",
        b"\x89PNG\r\n\x1a\n",
        "`a.csv` is a PNG picture, {readable}\nhint: pictures are read from a folder with a folder for each class, an \
         archive of them, or a table with a column of paths",
    );
    check(
        "a.xlsx",
        b"PK\x03\x04..xl/workbook.xml",
        "`a.xlsx` is an Excel workbook, {readable}\nhint: save it as CSV",
    );
    check(
        "a.zip",
        b"PK\x03\x04..a.csv",
        "`a.zip` cannot be decompressed as zip: the file is damaged or cut off",
    );
    check("a.pdf", b"%PDF-1.4\n", "`a.pdf` is a PDF document, {readable}");
    check("a.csv", b"a,b\n1,\0\x01\x02\n", "`a.csv` is a binary file, {readable}");
}

#[test]
fn compressed_files() {
    let text = b"x,y\n1,a\n2,b\n";
    let gzip = |text: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut encoder, text).unwrap();
        encoder.finish().unwrap()
    };
    let expected = "x: 1.0 2.0\ny: \"a\" \"b\"\n";
    check("a.csv.gz", &gzip(text), "CSV, UTF-8, comma, header line, gzip", expected);
    check(
        "a.csv",
        &zstd::encode_all(&text[..], 3).unwrap(),
        "CSV, UTF-8, comma, header line, zstd",
        expected,
    );
    check("a.jsonl.gz", &gzip(b"{\"x\":1}\n"), "JSON Lines, UTF-8, gzip", "x: 1.0\n");
    // Members that follow each other are one file.
    let two = [gzip(b"x,y\n1,a\n"), gzip(b"2,b\n")].concat();
    check("a.csv.gz", &two, "CSV, UTF-8, comma, header line, gzip", expected);
    let whole = gzip(text);
    let damaged = "`a.csv.gz` cannot be decompressed as gzip: the file is damaged or cut off";
    check_error("a.csv.gz", &whole[..whole.len() - 9], damaged);
    let zipped = zipped(&[("data/a.csv", text), ("__MACOSX/._a.csv", b"\0")]);
    check("a.zip", &zipped, "CSV, UTF-8, comma, header line, zip", expected);
    check_error("a.csv.gz", &gzip(b""), "`a.csv.gz` is empty, but must hold at least one row");
}

#[test]
fn an_archive_of_several_tables_is_left_to_the_user() {
    check_error(
        "a.zip",
        &zipped(&[("a.csv", b"x\n1\n"), ("b.csv", b"x\n2\n")]),
        "`a.zip` is a zip archive, which is not supported yet, but must be CSV, TSV, JSON, JSON Lines, CoNLL or \
         Parquet, plain, `.gz`, `.zst` or a `.zip` of one file\nhint: unpack it and name the data files inside",
    );
}

#[test]
fn one_file_with_known_columns() {
    let folder = Folder::new(&[("a.txt", b"great film\nbad film\n"), ("b.txt", b"text\nbad film\n")]);
    let options = Options { known: vec!["text".into()], ..Options::default() };
    let open = |path| open_file(path, folder.0.path(), &options, &|_| Vec::new()).unwrap();
    assert_eq!(show(&open("a.txt").table), "column_1: \"great film\" \"bad film\"\n");
    assert_eq!(show(&open("b.txt").table), "text: \"bad film\"\n");
}

#[test]
fn a_file_that_cannot_be_opened_keeps_its_cause() {
    let folder = Folder::new(&[("a.csv", b"x\n1\n")]);
    let error = folder.open(&source(&["a.csv/b.csv"])).unwrap_err();
    assert_eq!(message(&error), "`a.csv/b.csv` cannot be read");
    assert!(std::error::Error::source(&error).is_some());
}
