//! `POST /predict`, its limits and its key.

use super::*;

#[test]
fn an_object_is_answered_with_an_object_and_a_list_with_a_list() {
    let server = Server::start();
    let one = server.predict(&row(60.0));
    assert_eq!((one.status, one.header("content-type")), (200, Some("application/json")));
    let expected = r#"{"income":{"prediction":">50K","probabilities":{">50K":0.6,"<=50K":0.4}},"price":{"prediction":60.0},"colors":{"prediction":["a"],"probabilities":{"a":0.75,"b":0.25}}}"#;
    assert_eq!(one.text(), expected);
    let two = server.predict(&json!([row(60.0), row(20.0)])).json();
    assert_eq!(
        (two[0]["price"]["prediction"].as_f64(), two[1]["price"]["prediction"].as_f64()),
        (Some(60.0), Some(20.0))
    );
    assert_eq!(server.predict(&json!([row(60.0)])).text(), format!("[{expected}]"));
    assert_eq!(server.predict(&json!([])).text(), "[]");
    let many: Vec<Value> = (0..3000).map(|age| row(f64::from(age))).collect();
    let answers = server.predict(&json!(many)).json();
    let ages =
        answers.as_array().unwrap().iter().map(|answer| answer["price"]["prediction"].as_f64().unwrap());
    assert!(ages.eq((0..3000).map(f64::from)));
}

#[test]
fn every_faulty_key_of_every_row_is_named_at_once() {
    let server = Server::start();
    let one = server.predict(&json!({"age": "old", "job": null, "likes": [], "born": null, "x": 1}));
    one.check_error(422, "2 values cannot be used");
    assert_eq!(
        one.json()["problems"],
        json!([
            {"row": 0, "column": "age", "problem": "`age` is a text, but must be a finite number"},
            {"row": 0, "column": "x", "problem": "`x` is unknown"},
        ])
    );
    let body = br#"[3, {"age": 1, "age": 2, "job": "a", "likes": [], "born": null}, {"job": "a", "likes": [], "born": ""}]"#;
    let many = server.post("/predict", body);
    many.check_error(422, "3 values cannot be used");
    assert_eq!(
        many.json()["problems"],
        json!([
            {"row": 0, "problem": "the row is a number, but must be an object"},
            {"row": 1, "column": "age", "problem": "`age` is given twice"},
            {"row": 2, "column": "age", "problem": "`age` is missing"},
        ])
    );
    server.predict(&json!([null])).check_error(422, "row 0: the row is `null`, but must be an object");
    // A fault far into a long list keeps its number.
    let mut rows: Vec<Value> = (0..1000).map(|age| row(f64::from(age))).collect();
    rows[777] = json!({"job": "a", "likes": [], "born": ""});
    server.predict(&json!(rows)).check_error(422, "row 777: `age` is missing");
}

#[test]
fn content_types() {
    let server = Server::start();
    let body = row(60.0).to_string();
    let ask = |headers: &[(&str, &str)], body: &str| {
        server.connect().ask("POST", "/predict", headers, body.as_bytes())
    };
    assert_eq!(ask(&[], &body).status, 200);
    assert_eq!(ask(&[("Content-Type", "application/json; charset=utf-8")], &body).status, 200);
    // What curl sends if it is not told the type.
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    assert_eq!(ask(&form, &body).status, 200);
    let expected = "the content type is `application/x-www-form-urlencoded`, expected `application/json`";
    ask(&form, "age=3").check_error(415, expected);
    ask(&[("Content-Type", "text/csv")], &body)
        .check_error(415, "the content type is `text/csv`, expected `application/json`");
    ask(&[("Content-Encoding", "gzip")], &body)
        .check_error(415, "the body is compressed as `gzip`, but must be plain");
    ask(&[("Content-Type", "image/png")], &body)
        .check_error(415, "the content type is `image/png`, expected `application/json`");
}

#[test]
fn bodies_and_lists_that_are_too_long_are_refused() {
    let server = Server::with(|settings| {
        settings.max_body = 10_000;
        settings.max_rows = 3;
    });
    let four = json!([row(1.0), row(1.0), row(1.0), row(1.0)]);
    server.predict(&four).check_error(413, "the body has more than 3 rows");
    // Larger than what fits into the sockets' buffers: the refusal must arrive all the same.
    let large = vec![b' '; 20_000_000];
    server.post("/predict", &large).check_error(413, "the body is larger than 10000 bytes");
    server
        .post("/v2/models/toy%20%E6%A8%A1%E5%9E%8B/infer", &large)
        .check_error(413, "the body is larger than 10000 bytes");
    let mut client = server.connect();
    client.send(b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..30 {
        client.send(format!("3e8\r\n{}\r\n", " ".repeat(1000)).as_bytes());
    }
    client.send(b"0\r\n\r\n");
    client.receive(false).unwrap().check_error(413, "the body is larger than 10000 bytes");
    let mut client = server.connect();
    client
        .send(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\nExpect: 100-continue\r\n\r\n");
    client.receive(false).unwrap().check_error(413, "the body is larger than 10000 bytes");
    server.check_alive();
}

#[test]
fn bodies_in_chunks_are_put_together() {
    let server = Server::start();
    let mut client = server.connect();
    client.send(b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for byte in row(60.0).to_string().bytes() {
        client.send(format!("1\r\n{}\r\n", char::from(byte)).as_bytes());
    }
    client.send(b"0\r\n\r\n");
    assert_eq!(client.receive(false).unwrap().json()["price"]["prediction"], 60.0);
}

#[test]
fn what_takes_too_long_is_given_up() {
    let server = Server::with(|settings| settings.timeout = Duration::from_millis(300));
    let mut slow = row(60.0);
    slow["job"] = json!("dawdle");
    let answer = server.predict(&slow);
    answer.check_error(503, "there was no answer within 0.3 s");
    assert_eq!(answer.header("retry-after"), Some("1"));
    let mut client = server.connect();
    client.send(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n{");
    client.receive(false).unwrap().check_error(408, "the body did not arrive within 0.3 s");
    thread::sleep(Duration::from_millis(500));
    server.check_alive();
}

#[test]
fn a_panic_is_answered_and_survived() {
    let server = Server::start();
    let mut bad = row(60.0);
    bad["job"] = json!("panic");
    for _ in 0..3 {
        let expected =
            "the server made a mistake over this request; that is a bug in Outset, not in the request";
        server.predict(&bad).check_error(500, expected);
        server.check_alive();
    }
}

#[test]
fn a_key_opens_all_but_health_and_the_bare_page() {
    let server = Server::with(|settings| settings.api_key = Some("s3cret".to_owned()));
    let body = row(60.0).to_string();
    let ask = |headers: &[(&str, &str)]| server.connect().ask("POST", "/predict", headers, body.as_bytes());
    let none = ask(&[]);
    none.check_error(401, "no API key was sent");
    assert_eq!(none.header("www-authenticate"), Some(r#"Bearer realm="outset""#));
    for wrong in [("X-API-Key", "s3cre"), ("Authorization", "Bearer x"), ("X-API-Key", "")] {
        let wrong = ask(&[wrong]);
        wrong.check_error(401, "the API key is wrong");
        assert_eq!(wrong.header("www-authenticate"), Some(r#"Bearer realm="outset", error="invalid_token""#));
    }
    ask(&[("Authorization", "Basic s3cret")]).check_error(401, "no API key was sent");
    assert_eq!(ask(&[("X-API-Key", "s3cret")]).status, 200);
    assert_eq!(ask(&[("Authorization", "bearer s3cret")]).status, 200);
    for path in ["/openapi.json", "/signature.json", "/metrics", "/v2", "/v2/models/toy%20%E6%A8%A1%E5%9E%8B"]
    {
        assert_eq!(server.get(path).status, 401, "{path}");
        assert_eq!(server.connect().ask("GET", path, &[("X-API-Key", "s3cret")], b"").status, 200, "{path}");
    }
    for path in ["/", "/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    // The page must not give away what the key protects.
    let page = server.get("/");
    assert!(!page.text().contains("老师") && !page.text().contains("toy"), "{}", page.text());
}
