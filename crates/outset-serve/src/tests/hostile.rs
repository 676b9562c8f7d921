//! Input that means harm or makes no sense: refused, named, survived.

use super::*;

fn refused(server: &Server, body: &[u8], status: u16, error: &str) {
    server.post("/predict", body).check_error(status, error);
}

#[test]
fn bodies_that_are_no_rows() {
    let server = Server::start();
    let check = |body: &[u8], status, error| refused(&server, body, status, error);
    let empty = "the body is empty, expected a JSON object or a list of them";
    check(b"", 400, empty);
    check(b" \r\n", 400, empty);
    check(b"{", 400, "the body is not JSON: line 1, column 1: EOF while parsing an object");
    check(b"{\"age\":\n NaN}", 400, "the body is not JSON: line 2, column 2: expected value");
    check(b"{\"age\": Infinity}", 400, "the body is not JSON: line 1, column 9: expected value");
    check(b"{\"age\": 1e999}", 400, "the body is not JSON: line 1, column 13: number out of range");
    check(b"\"text\"", 422, "the body is a text, expected a JSON object or a list of them");
    check(b"null", 422, "the body is `null`, expected a JSON object or a list of them");
    check(b"true", 422, "the body is `true` or `false`, expected a JSON object or a list of them");
    check(b"-7", 422, "the body is a number, expected a JSON object or a list of them");
    let deep = ["[".repeat(1_000_000), "]".repeat(1_000_000)].concat();
    check(deep.as_bytes(), 422, "row 0: the row is a list, but must be an object");
    let deep = format!("{{\"age\": {deep}}}");
    check(deep.as_bytes(), 400, "the body is not JSON: line 1, column 135: recursion limit exceeded");
    for body in
        [&b"\xff\xfe{\x00}\x00"[..], b"{\"age\": \"\xc3\x28\"}", b"\x00\x00\x00", b"{\"a\\ud800\": 1}"]
    {
        assert_eq!(server.post("/predict", body).status, 400, "{body:?}");
    }
    // So large a number is still a number; what it means is the model's matter.
    let digits = "9".repeat(300);
    let body = format!(r#"{{"age": {digits}, "job": "a", "likes": [], "born": null}}"#);
    assert_eq!(server.post("/predict", body.as_bytes()).status, 200);
    let hint = server.post("/predict", b"{\"age\": NaN}").json();
    assert_eq!(hint["hint"], "JSON has no `NaN` or `Infinity`; send `null` for a missing value");
    server.check_alive();
}

#[test]
fn problems_without_end_are_counted_but_not_all_listed() {
    let server = Server::with(|settings| settings.max_rows = 100_000);
    let nothing = format!("[{}]", vec!["{}"; 10_000].join(","));
    let answer = server.post("/predict", nothing.as_bytes());
    answer.check_error(422, "40000 values cannot be used");
    let answer = answer.json();
    assert_eq!(
        (answer["problems"].as_array().unwrap().len(), &answer["more_problems"]),
        (10_000, &json!(30_000))
    );
    let scalars = format!("[{}]", vec!["1"; 50_000].join(","));
    assert_eq!(
        server.post("/predict", scalars.as_bytes()).json()["problems"].as_array().unwrap().len(),
        1000
    );
    server.check_alive();
}

#[test]
fn wrong_paths_and_methods_are_answered_in_json() {
    let server = Server::start();
    server.get("/nothing").check_error(404, "there is nothing at `/nothing`");
    server.get("/predict/%ff%00").check_error(404, "there is nothing at `/predict/%ff%00`");
    let wrong = server.get("/predict");
    wrong.check_error(405, "`/predict` does not take GET");
    assert_eq!(wrong.header("allow"), Some("POST"));
    server.connect().ask("DELETE", "/", &[], b"").check_error(405, "`/` does not take DELETE");
    assert_eq!(server.connect().ask("HEAD", "/health/live", &[], b"").status, 200);
    assert_eq!(server.connect().ask("OPTIONS", "/predict", &[], b"").status, 405);
}

#[test]
fn connections_that_speak_no_http_harm_only_themselves() {
    let server = Server::start();
    let mut half_a_body = server.connect();
    half_a_body.send(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{\"age\"");
    half_a_body.shut_down_writing();
    assert!(half_a_body.receive(false).is_none_or(|answer| answer.status == 400));
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"GET /",
    ] {
        let mut client = server.connect();
        client.send(bytes);
        client.shut_down_writing();
        assert!(client.receive(false).is_none_or(|answer| (400..600).contains(&answer.status)), "{bytes:?}");
    }
    let mut client = server.connect();
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(60_000));
    client.send(head.as_bytes());
    assert_eq!(client.receive(false).unwrap().status, 200);
    server.check_alive();
}
