//! The Open Inference Protocol.

use super::*;

const MODEL: &str = "/v2/models/toy%20%E6%A8%A1%E5%9E%8B";

fn tensors() -> Value {
    json!([
        {"name": "age", "shape": [2], "datatype": "FP32", "data": [60, 20]},
        {"name": "job", "shape": [2, 1], "datatype": "BYTES", "data": [["clerk"], ["clerk"]]},
        {"name": "likes", "shape": [2, 1], "datatype": "BYTES", "data": ["red", "red;green"]},
        {"name": "born", "shape": [2], "datatype": "BYTES", "data": ["2020-02-29", ""]},
    ])
}

fn infer(server: &Server, request: &Value) -> Response {
    server.post(&format!("{MODEL}/infer"), request.to_string().as_bytes())
}

#[test]
fn server_and_model_describe_themselves() {
    let server = Server::start();
    assert_eq!(server.get("/v2/health/live").json(), json!({"live": true}));
    assert_eq!(server.get("/v2/health/ready").json(), json!({"ready": true}));
    let about = server.get("/v2").json();
    assert_eq!((&about["name"], &about["extensions"]), (&json!("outset"), &json!([])));
    for version in ["", "/versions/abc123"] {
        let ready = server.get(&format!("{MODEL}{version}/ready"));
        assert_eq!(ready.json(), json!({"name": "toy 模型", "ready": true}));
        let about = server.get(&format!("{MODEL}{version}")).json();
        assert_eq!(
            about,
            json!({
                "name": "toy 模型",
                "versions": ["abc123"],
                "platform": "outset",
                "inputs": [
                    {"name": "age", "datatype": "FP64", "shape": [-1]},
                    {"name": "job", "datatype": "BYTES", "shape": [-1]},
                    {"name": "likes", "datatype": "BYTES", "shape": [-1]},
                    {"name": "born", "datatype": "BYTES", "shape": [-1]},
                ],
                "outputs": [
                    {"name": "income", "datatype": "BYTES", "shape": [-1]},
                    {"name": "income_probabilities", "datatype": "FP64", "shape": [-1, 2],
                     "parameters": {"class_0": "<=50K", "class_1": ">50K"}},
                    {"name": "price", "datatype": "FP64", "shape": [-1]},
                    {"name": "colors", "datatype": "BYTES", "shape": [-1]},
                    {"name": "colors_probabilities", "datatype": "FP64", "shape": [-1, 2],
                     "parameters": {"class_0": "a", "class_1": "b"}},
                ],
            })
        );
    }
}

#[test]
fn tensors_in_tensors_out() {
    let server = Server::start();
    let answer = infer(&server, &json!({"id": "q1", "inputs": tensors()}));
    assert_eq!(
        answer.json(),
        json!({
            "model_name": "toy 模型",
            "model_version": "abc123",
            "id": "q1",
            "outputs": [
                {"name": "income", "shape": [2], "datatype": "BYTES", "data": [">50K", "<=50K"]},
                {"name": "income_probabilities", "shape": [2, 2], "datatype": "FP64",
                 "parameters": {"class_0": "<=50K", "class_1": ">50K"}, "data": [0.4, 0.6, 0.8, 0.2]},
                {"name": "price", "shape": [2], "datatype": "FP64", "data": [60.0, 20.0]},
                {"name": "colors", "shape": [2], "datatype": "BYTES", "data": ["[\"a\"]", "[\"a\"]"]},
                {"name": "colors_probabilities", "shape": [2, 2], "datatype": "FP64",
                 "parameters": {"class_0": "a", "class_1": "b"}, "data": [0.75, 0.25, 0.75, 0.25]},
            ],
        })
    );
    let some = infer(&server, &json!({"inputs": tensors(), "outputs": [{"name": "price"}]})).json();
    assert_eq!(
        some["outputs"],
        json!([{"name": "price", "shape": [2], "datatype": "FP64", "data": [60.0, 20.0]}])
    );
    let versioned = format!("{MODEL}/versions/abc123/infer");
    assert_eq!(server.post(&versioned, json!({"inputs": tensors()}).to_string().as_bytes()).status, 200);
}

#[test]
fn errors_are_one_string() {
    let server = Server::start();
    let unknown = "there is no model `other` here, only `toy 模型`";
    for path in ["/v2/models/other", "/v2/models/other/ready"] {
        server.get(path).check_error(404, unknown);
    }
    server.post("/v2/models/other/infer", b"{}").check_error(404, unknown);
    server.get("/v2/models/%ff").check_error(404, "there is no model `?` here, only `toy 模型`");
    server
        .get(&format!("{MODEL}/versions/9"))
        .check_error(404, "the model has no version `9`, only `abc123`");
    let check = |request: Value, status, error| infer(&server, &request).check_error(status, error);
    let mut faulty = tensors();
    faulty.as_array_mut().unwrap().remove(0);
    check(json!({"inputs": faulty}), 422, "row 0: `age` is missing; row 1: `age` is missing");
    check(json!({"inputs": []}), 400, "`inputs` is empty");
    check(json!({"inputs": tensors(), "outputs": [{"name": "x"}]}), 400, "the model has no output `x`");
    let expected = "the body is no inference request: missing field `inputs` at line 1 column 2";
    check(json!({}), 400, expected);
    let not_json = server.post(&format!("{MODEL}/infer"), b"{");
    not_json.check_error(400, "the body is not JSON: line 1, column 1: EOF while parsing an object");
    assert_eq!(not_json.json().as_object().unwrap().len(), 1);
    // A name that each of many rows would hold.
    let data = vec!["1"; 5000].join(",");
    let body = format!(
        r#"{{"inputs":[{{"name":"{}","shape":[5000],"datatype":"FP32","data":[{data}]}}]}}"#,
        "a".repeat(20_000)
    );
    let refused = server.post(&format!("{MODEL}/infer"), body.as_bytes());
    refused.check_error(400, "the names of the tensors are too long for 5000 rows");
    for (kind, found) in
        [("image/png", "image/png"), ("multipart/form-data; boundary=x", "multipart/form-data")]
    {
        let refused =
            server.connect().ask("POST", &format!("{MODEL}/infer"), &[("Content-Type", kind)], b"\x89PNG");
        let expected = format!("the content type is `{found}`, expected `application/json`");
        refused.check_error(415, &expected);
    }
    server
        .get(&format!("{MODEL}/infer"))
        .check_error(405, "`/v2/models/toy%20%E6%A8%A1%E5%9E%8B/infer` does not take GET");
}
