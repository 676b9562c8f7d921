//! What the server tells of itself: page, description, health, figures.

use super::*;

#[test]
fn health_and_signature() {
    let server = Server::start();
    assert_eq!(server.get("/health/live").json(), json!({"live": true}));
    assert_eq!(server.get("/health/ready").json(), json!({"ready": true}));
    let signature = server.get("/signature.json").json();
    assert_eq!((&signature["name"], &signature["inputs"][0]["name"]), (&json!("toy 模型"), &json!("age")));
}

#[test]
fn the_page_stands_alone() {
    let server = Server::start();
    let page = server.get("/");
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
    let text = page.text();
    assert!(text.contains("<title>toy 模型</title>"));
    assert!(text.contains(r#"it's \"quoted\" \u003cb>"#));
    // Nothing from elsewhere: the one address in it names the SVG format.
    let addresses: Vec<&str> = text.match_indices("http").map(|(at, _)| &text[at..at + 26]).collect();
    assert_eq!(addresses, ["http://www.w3.org/2000/svg"]);
    assert!(!text.contains(" style=\""));
}

#[test]
fn openapi_describes_the_models_columns() {
    let server = Server::start();
    let api = server.get("/openapi.json").json();
    assert_eq!(api["openapi"], "3.1.0");
    let row = &api["components"]["schemas"]["Row"];
    assert_eq!(row["required"], json!(["age", "job", "likes", "born"]));
    assert_eq!(row["properties"]["age"]["description"], "number: 17 to 90 in training");
    let answer = &api["components"]["schemas"]["Answer"]["properties"];
    assert_eq!(answer["income"]["properties"]["prediction"]["enum"], json!(["<=50K", ">50K"]));
    assert_eq!(answer["colors"]["properties"]["prediction"]["type"], "array");
    assert!(api["paths"]["/v2/models/toy%20%E6%A8%A1%E5%9E%8B/infer"].is_object());
    assert!(api.get("security").is_none());
    // Its own examples are answered.
    let body = &api["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["examples"];
    assert_eq!(server.predict(&body["one"]["value"]).status, 200);
    assert_eq!(server.predict(&body["list"]["value"]).status, 200);
    let infer = &api["paths"]["/v2/models/toy%20%E6%A8%A1%E5%9E%8B/infer"]["post"]["requestBody"]["content"]
        ["application/json"]["example"];
    let path = "/v2/models/toy%20%E6%A8%A1%E5%9E%8B/infer";
    assert_eq!(server.post(path, infer.to_string().as_bytes()).status, 200);
    // Every reference leads somewhere.
    let text = api.to_string();
    for (at, _) in text.match_indices("#/components") {
        let path = text[at + 1..].split('"').next().unwrap();
        assert!(api.pointer(path).is_some(), "{path}");
    }
    // Forms and files are for models of pictures alone.
    let kinds = |api: &Value| -> Vec<String> {
        let bodies = &api["paths"]["/predict"]["post"]["requestBody"]["content"];
        bodies.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(kinds(&api), ["application/json"]);
    let photo = InputSignature {
        name: "photo".into(),
        kind: "image".into(),
        format: Some("64 × 64, rgb".into()),
        ..Default::default()
    };
    let of_pictures = |inputs: Vec<InputSignature>| {
        let model = Model { signature: Signature { inputs, outputs: Vec::new() }, ..model() };
        crate::openapi::describe(&model, &Settings::default())
    };
    let alone = of_pictures(vec![photo.clone()]);
    assert_eq!(kinds(&alone), ["application/json", "multipart/form-data", "image/*"]);
    let call = &alone["paths"]["/predict"]["post"];
    assert_eq!(
        call["responses"]["415"]["description"],
        "The body is something other than `application/json`, `multipart/form-data` or `image/*`, or is compressed"
    );
    assert_eq!(call["responses"]["413"]["description"], "Too many bytes, rows or pixels");
    let beside = of_pictures(vec![photo, model().signature.inputs.remove(0)]);
    assert_eq!(kinds(&beside), ["application/json", "multipart/form-data"]);
    let form = &beside["paths"]["/predict"]["post"]["requestBody"]["content"]["multipart/form-data"];
    assert_eq!(form["schema"]["required"], json!(["photo", "age"]));
    assert_eq!(form["schema"]["properties"]["photo"]["items"]["contentMediaType"], "image/*");
    assert_eq!(form["schema"]["properties"]["age"]["type"], "string");
    assert_eq!(form["encoding"], json!({"photo": {"contentType": "image/*"}}));
    let row = &beside["components"]["schemas"]["Row"]["properties"];
    assert_eq!(row["photo"]["contentEncoding"], "base64");
    assert_eq!(row["photo"]["description"], "image: brought to 64 × 64, rgb");
    let locked = Server::with(|settings| settings.api_key = Some("k".to_owned()));
    let api = locked.connect().ask("GET", "/openapi.json", &[("X-API-Key", "k")], b"").json();
    assert!(api["security"].is_array());
    assert_eq!(api["paths"]["/health/live"]["get"]["security"], json!([]));
}

#[test]
fn figures_count_what_was_done() {
    let server = Server::start();
    server.predict(&json!([row(60.0), row(20.0), row(30.0)]));
    server.post("/predict", b"{");
    server.get("/nothing/at/all");
    let figures = server.get("/metrics");
    assert_eq!(figures.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for line in [
        r#"outset_requests_total{route="/predict",status="200"} 1"#,
        r#"outset_requests_total{route="/predict",status="400"} 1"#,
        r#"outset_requests_total{route="other",status="404"} 1"#,
        r#"outset_request_seconds_count{route="/predict"} 2"#,
        r#"outset_model_info{name="toy 模型",version="abc123",trained_by="0.1.0"} 1"#,
        r#"outset_predictions_total{output="income",class="<=50K"} 2"#,
        r#"outset_predictions_total{output="colors",class="a"} 3"#,
        "outset_rows_total 3",
        "outset_batches_total 1",
        "outset_requests_in_progress 1",
    ] {
        assert!(figures.text().lines().any(|found| found == line), "no `{line}` in\n{}", figures.text());
    }
}
