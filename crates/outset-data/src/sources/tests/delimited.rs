//! CSV, TSV and their kin.

use super::*;

#[test]
fn comma_separated() {
    check(
        "a.csv",
        b"age,name,score\n39,\"Ann, B.\",1.5\n,Bob,NA\n",
        "CSV, UTF-8, comma, header line",
        "age: 39.0 NaN\nname: \"Ann, B.\" \"Bob\"\nscore: 1.5 NaN\n",
    );
    check("a.csv", b"x\r\n1\r\n2\r\n\r\n", "CSV, UTF-8, one column, header line", "x: 1.0 2.0\n");
    check(
        "a.csv",
        b"x,\n1,a\n2,b\n",
        "CSV, UTF-8, comma, header line",
        "x: 1.0 2.0\ncolumn_2: \"a\" \"b\"\n",
    );
    check("a.csv", b"x,y\r1,2\r3,4\r", "CSV, UTF-8, comma, header line", "x: 1.0 3.0\ny: 2.0 4.0\n");
}

#[test]
fn other_delimiters() {
    let expected = "preis: 3.5 12.0\nfarbe: \"grün\" \"rot\"\n";
    check(
        "a.csv",
        "preis;farbe\n3,5;grün\n12;rot\n".as_bytes(),
        "CSV, UTF-8, semicolon, header line",
        expected,
    );
    check("a.tsv", "preis\tfarbe\n3,5\tgrün\n12\trot\n".as_bytes(), "TSV, UTF-8, tab, header line", expected);
    check("a.txt", "preis|farbe\n3,5|grün\n12|rot\n".as_bytes(), "CSV, UTF-8, pipe, header line", expected);
    let data = Data { delimiter: Some("~".into()), ..Data::default() };
    check_with(&data, "a.csv", b"x~y\n1~2\n", "CSV, UTF-8, delimiter `~`, header line", "x: 1.0\ny: 2.0\n");
}

#[test]
fn tabs_with_stray_quotes() {
    check(
        "a.tsv",
        b"text\tlabel\n\"stray\t1\nfine\t0\n",
        "TSV, UTF-8, tab, header line, no quotes",
        "text: \"\\\"stray\" \"fine\"\nlabel: 1.0 0.0\n",
    );
    check(
        "a.tsv",
        b"text\tlabel\n\"a\tb\"\t1\nfine\t0\n",
        "TSV, UTF-8, tab, header line",
        "text: \"a\\tb\" \"fine\"\nlabel: 1.0 0.0\n",
    );
}

#[test]
fn encodings() {
    let (text, expected) = ("姓名;年龄\n张三;30\n李四;25\n", "姓名: \"张三\" \"李四\"\n年龄: 30.0 25.0\n");
    check("a.csv", text.as_bytes(), "CSV, UTF-8, semicolon, header line", expected);
    check("a.csv", &GB18030.encode(text).0, "CSV, GB18030, semicolon, header line", expected);
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    check("a.csv", &utf16, "CSV, UTF-16LE, semicolon, header line", expected);
}

#[test]
fn header_and_names_can_be_set() {
    let bytes = b"a,b\nc,d\n";
    let header = |header, columns: &[&str]| Data {
        header,
        columns: columns.iter().map(|name| (*name).to_owned()).collect(),
        ..Data::default()
    };
    check_with(
        &header(Some(false), &[]),
        "a.csv",
        bytes,
        "CSV, UTF-8, comma, no header line",
        "column_1: \"a\" \"c\"\ncolumn_2: \"b\" \"d\"\n",
    );
    check_with(
        &header(None, &["x", "y"]),
        "a.csv",
        bytes,
        "CSV, UTF-8, comma, no header line",
        "x: \"a\" \"c\"\ny: \"b\" \"d\"\n",
    );
    check_with(
        &header(Some(true), &["x", "y"]),
        "a.csv",
        bytes,
        "CSV, UTF-8, comma, header line",
        "x: \"c\"\ny: \"d\"\n",
    );
    check_error_with(
        &header(None, &["x"]),
        "a.csv",
        bytes,
        "`data.columns` names 1 column, but `a.csv` has 2",
    );
}

#[test]
fn missing_texts() {
    let folder = Folder::new(&[("a.csv", b"x,y\n0,?\n0.0,a\n3,b\n")]);
    let data = Data { missing: vec!["?".into()], ..source(&["a.csv"]) };
    let of_column = |name: &str| if name == "x" { vec!["0".to_owned()] } else { Vec::new() };
    let loaded = open(&data, folder.0.path(), &of_column).unwrap();
    assert_eq!(show(&loaded.table), "x: NaN NaN 3.0\ny: - \"a\" \"b\"\n");
}

#[test]
fn a_number_column_that_turns_out_to_be_text_keeps_its_texts() {
    let mut text = "x,y\n".to_owned();
    (0..5000).for_each(|row| text.push_str(&format!("{row}.50,{row}\n")));
    text.push_str("unknown,7\n");
    let folder = Folder::new(&[("a.csv", text.as_bytes())]);
    let table = folder.open(&source(&["a.csv"])).unwrap().table;
    assert_eq!(table.get("x").unwrap().text(4999).unwrap(), "4999.50");
    assert_eq!(table.get("x").unwrap().text(5000).unwrap(), "unknown");
    assert_eq!(table.get("y").unwrap(), &Cells::Number((0..5000).map(f64::from).chain([7.0]).collect()));
}

#[test]
fn malformed_rows() {
    check_error(
        "a.csv",
        b"a,b,c\n1,2,3\n\n4,5\n",
        "line 4 of `a.csv` has 2 cells, but must have 3 as the header line does",
    );
    check_error(
        "a.csv",
        b"1,a\n\"2\n\",b\n3,c,d\n",
        "line 4 of `a.csv` has 3 cells, but must have 2 as the first row does\n\
         hint: a cell that holds a comma must stand in quotes",
    );
    check_error(
        "a.csv",
        b"a,b\n1,\"x\n2,y\n",
        "the quote that opens in line 2 of `a.csv` is never closed\n\
         hint: inside a quoted cell, write each quote twice: `\"\"`",
    );
    check_error(
        "a.csv",
        b"a,b\n1,\"x\"y\"\n",
        "a quoted cell in line 2 of `a.csv` goes on after its closing quote\n\
         hint: inside a quoted cell, write each quote twice: `\"\"`",
    );
    check_error(
        "a.csv",
        b"age,name,age\n1,x,2\n",
        "column name `age` stands twice in `a.csv`, at columns 1 and 3, but names must differ\n\
         hint: rename one, or name all with `data.columns` and `data.header = true`",
    );
}

#[test]
fn infinite_numbers() {
    let expected = "column `x` in `a.csv` is a number, but row 2 holds `-inf`, which is not finite\n\
                    hint: if it stands for a missing value, add `\"-inf\"` to `data.missing`";
    check_error("a.csv", b"x,y\n1,a\n-inf,b\n", expected);
    let folder = Folder::new(&[("a.csv", b"x\n1\n2\n"), ("b.csv", b"x\n1e999\n")]);
    let error = folder.open(&source(&["a.csv", "b.csv"])).unwrap_err();
    assert!(error.to_string().starts_with("column `x` in `b.csv` is a number, but row 1 holds `1e999`"));
}

#[test]
fn wrong_settings() {
    let data = Data { delimiter: Some("::".into()), ..Data::default() };
    check_error_with(
        &data,
        "a.csv",
        b"x\n1\n",
        "`data.delimiter` is `::`, but must be one ASCII character or `tab`",
    );
}

#[test]
fn what_commas_were_taken_for_is_told() {
    let folder = Folder::new(&[("a.csv", b"x;y\n3,5;1,234\n4;5,678\n")]);
    let loaded = folder.open(&source(&["a.csv"])).unwrap();
    assert_eq!(
        loaded.notes,
        [
            "decimal commas in `x`",
            "read as text, since the commas may be decimal marks or part thousands: `y`"
        ]
    );
}
