//! JSON arrays and JSON Lines.

use super::*;

#[test]
fn json_arrays() {
    check(
        "a.json",
        b"[\n {\"x\": 1, \"y\": \"a\", \"z\": true},\n {\"x\": 2.5, \"tags\": [\"p\", 3, null, false]},\n {\"y\": null}\n]\n",
        "JSON array, UTF-8",
        "x: 1.0 2.5 NaN\ny: \"a\" - -\nz: \"true\" - -\ntags: - \"p\\u{1f}3\\u{1f}false\" -\n",
    );
    check("data", b"[{\"x\": []}, {\"x\": [5]}]", "JSON array, UTF-8", "x: \"\" \"5\"\n");
}

#[test]
fn json_lines() {
    check(
        "a.jsonl",
        b"{\"x\": 1, \"id\": 9007199254740993}\r\n\r\n{\"id\": 7, \"x\": \"2\"}",
        "JSON Lines, UTF-8",
        "x: 1.0 2.0\nid: \"9007199254740993\" \"7\"\n",
    );
    let text = "{\"x\": 1, \"名\": \"甲\"}\n{\"x\": \"one\", \"名\": \"乙\"}\n";
    let expected = "x: \"1\" \"one\"\n名: \"甲\" \"乙\"\n";
    check("a.txt", text.as_bytes(), "JSON Lines, UTF-8", expected);
    check("a.txt", &GB18030.encode(text).0, "JSON Lines, GB18030", expected);
}

#[test]
fn json_files_with_other_keys() {
    let folder = Folder::new(&[("a.jsonl", b"{\"x\":1,\"y\":2}\n"), ("b.jsonl", b"{\"x\":3,\"z\":4}\n")]);
    let loaded = folder.open(&source(&["a.jsonl", "b.jsonl"])).unwrap();
    assert_eq!(show(&loaded.table), "x: 1.0 3.0\ny: 2.0 NaN\nz: NaN 4.0\n");
    assert_eq!(loaded.notes, ["first in `b.jsonl`, missing before: `z`", "missing in all of `b.jsonl`: `y`"]);
}

#[test]
fn malformed_json() {
    check_error(
        "a.jsonl",
        b"{\"x\": 1}\n\n{\"x\": 2,}\n",
        "line 3 of `a.jsonl` is not valid JSON at column 9: trailing comma",
    );
    check_error(
        "a.json",
        b"[{\"x\": 1},\n {\"x\": }]",
        "line 2 of `a.json` is not valid JSON at column 8: expected value",
    );
    check_error(
        "a.json",
        b"[{\"x\": 1}",
        "line 1 of `a.json` is not valid JSON at column 9: EOF while parsing a list",
    );
    check_error("a.json", b"x,y\n", "line 1 of `a.json` is not valid JSON at column 1: expected value");
    check_error(
        "a.jsonl",
        b"{\"x\": 1}\n5\n",
        "line 2 of `a.jsonl` holds a number, but a row must be an object",
    );
    check_error("a.json", b"[[1, 2]]", "line 1 of `a.json` holds an array, but a row must be an object");
    check_error("a.json", b"[]", "`a.json` is empty, but must hold at least one row");
    check_error(
        "a.json",
        b"{\n\"x\": 1\n}",
        "`a.json` holds one JSON object, but must hold an array of objects or one object a line\n\
         hint: put the rows into `[` and `]`",
    );
    check_error("a.jsonl", b"{\"x\": 1, \"x\": 2}\n", "key `x` stands twice in row 1 of `a.jsonl`");
    let cell = "but a cell must be a text, a number, true, false, null or a list of these";
    check_error(
        "a.jsonl",
        b"{\"x\": 1}\n{\"x\": {\"a\": [1]}}\n",
        &format!("`x` in row 2 of `a.jsonl` is an object, {cell}"),
    );
    check_error(
        "a.json",
        b"[{\"x\": [1, [2], 3], \"y\": 1}]",
        &format!("`x[1]` in row 1 of `a.json` is a list within a list, {cell}"),
    );
}

#[test]
fn settings_of_delimited_text_are_refused() {
    let data = Data { columns: vec!["a".into()], ..Data::default() };
    check_error_with(
        &data,
        "a.jsonl",
        b"{\"x\": 1}\n",
        "`data.columns` is set, but `a.jsonl` is JSON Lines, UTF-8, which has no such thing\n\
         hint: remove `data.columns`",
    );
}
