//! `GET /openapi.json`: the server described for machines, with the model's own columns and classes.

use crate::Settings;
use crate::app::Model;
use crate::upload;
use outset_data::signature::{InputSignature, OutputSignature};
use serde_json::{Map, Value, json};

/// Classes listed for one column.
const SHOWN_CLASSES: usize = 50;

/// Describes the server in OpenAPI 3.1.
pub(crate) fn describe(model: &Model, settings: &Settings) -> Value {
    let name = percent_encoded(&model.name);
    let expected = upload::expected(model);
    let mut description = json!({
        "openapi": "3.1.0",
        "info": {
            "title": model.name,
            "version": model.version,
            "description": format!(
                "Predicts {}. At most {} bytes and {} rows a request.",
                list(model.signature.outputs.iter().map(|output| output.name.as_str())),
                settings.max_body,
                settings.max_rows
            ),
        },
        "paths": {
            "/predict": { "post": {
                "operationId": "predict",
                "summary": "Answers one row, or a list of rows with a list",
                "requestBody": { "required": true, "content": bodies(model, settings) },
                "responses": with_errors(
                    answered("The answer, or a list of answers in the order of the rows", &json!({ "oneOf": [
                        reference("Answer"),
                        { "type": "array", "items": reference("Answer") },
                    ] })),
                    &["400", "408", "413", "415", "422", "500", "503"],
                    model,
                    expected,
                ),
            } },
            "/signature.json": { "get": {
                "operationId": "signature",
                "summary": "The columns that go in and come out",
                "responses": answered("The signature", &json!({ "type": "object" })),
            } },
            "/metrics": { "get": {
                "operationId": "metrics",
                "summary": "The server's figures for Prometheus",
                "responses": { "200": { "description": "The figures", "content": { "text/plain": {} } } },
            } },
            "/health/live": { "get": open("live", "Whether the server runs") },
            "/health/ready": { "get": open("ready", "Whether the server takes requests") },
            "/v2": { "get": get("serverMetadata", "Open Inference Protocol: the server") },
            "/v2/health/live": { "get": open("serverLive", "Open Inference Protocol: whether the server runs") },
            "/v2/health/ready": { "get": open("serverReady", "Open Inference Protocol: whether it takes requests") },
            (format!("/v2/models/{name}")): { "get": get("modelMetadata", "Open Inference Protocol: the model's tensors") },
            (format!("/v2/models/{name}/ready")): { "get": open("modelReady", "Open Inference Protocol: whether the model takes requests") },
            (format!("/v2/models/{name}/infer")): { "post": {
                "operationId": "modelInfer",
                "summary": "Open Inference Protocol: tensors in, tensors out",
                "requestBody": { "required": true, "content": { "application/json": {
                    "schema": reference("InferenceRequest"),
                    "example": inference_example(model),
                } } },
                "responses": with_errors(
                    answered("The output tensors", &reference("InferenceResponse")),
                    &["400", "404", "408", "413", "415", "422", "500", "503"],
                    model,
                    upload::JSON,
                ),
            } },
        },
        "components": { "schemas": schemas(model) },
    });
    if settings.api_key.is_some() {
        description["components"]["securitySchemes"] = json!({
            "bearer": { "type": "http", "scheme": "bearer" },
            "header": { "type": "apiKey", "in": "header", "name": "X-API-Key" },
        });
        description["security"] = json!([{ "bearer": [] }, { "header": [] }]);
    }
    description
}

/// A row made of each column's example.
pub(crate) fn example(model: &Model) -> Value {
    let pairs = model.signature.inputs.iter().map(|input| (input.name.clone(), input.example.clone()));
    Value::Object(pairs.collect())
}

/// What may be sent to be answered, by its type: JSON, and where the model takes pictures their files.
fn bodies(model: &Model, settings: &Settings) -> Value {
    let example = example(model);
    let mut bodies = json!({ "application/json": {
        "schema": { "oneOf": [
            reference("Row"),
            { "type": "array", "items": reference("Row"), "maxItems": settings.max_rows },
        ] },
        "examples": {
            "one": { "summary": "One row", "value": example },
            "list": { "summary": "A list of rows", "value": [example] },
        },
    } });
    if model.pictures().next().is_some() {
        bodies["multipart/form-data"] = form(model, settings);
        if model.signature.inputs.len() == 1 {
            bodies["image/*"] = json!({});
        }
    }
    bodies
}

/// A form: a part for each column, and one for each file where several rows are asked.
fn form(model: &Model, settings: &Settings) -> Value {
    let inputs = &model.signature.inputs;
    let names: Vec<&String> = inputs.iter().map(|input| &input.name).collect();
    let part = |input: &InputSignature| {
        let schema = match input.kind.as_str() {
            "image" => json!({
                "type": "array",
                "items": { "contentMediaType": "image/*" },
                "minItems": 1,
                "maxItems": settings.max_rows,
                "description": format!("{}; several files are several rows", in_words(input)),
            }),
            _ => json!({ "type": "string", "description": in_words(input) }),
        };
        (input.name.clone(), schema)
    };
    let encoding = |name: &str| (name.to_owned(), json!({ "contentType": "image/*" }));
    json!({
        "schema": {
            "type": "object",
            "required": names,
            "properties": Value::Object(inputs.iter().map(part).collect()),
        },
        "encoding": Value::Object(model.pictures().map(encoding).collect()),
    })
}

fn schemas(model: &Model) -> Value {
    let inputs = &model.signature.inputs;
    let outputs = &model.signature.outputs;
    let names = |names: Vec<&String>| json!(names);
    let properties = |pairs: Vec<(String, Value)>| Value::Object(pairs.into_iter().collect::<Map<_, _>>());
    let tensor = json!({
        "type": "object",
        "required": ["name", "shape", "datatype", "data"],
        "properties": {
            "name": { "type": "string" },
            "shape": { "type": "array", "items": { "type": "integer" } },
            "datatype": { "enum": ["BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES"] },
            "parameters": { "type": "object" },
            "data": { "type": "array" },
        },
    });
    json!({
        "Row": {
            "type": "object",
            "description": "One row. `null` and the empty text stand for a missing value. \
                Columns of the training data that the model does not use may be there and are passed over.",
            "required": names(inputs.iter().map(|input| &input.name).collect()),
            "properties": properties(inputs.iter().map(|input| (input.name.clone(), input_schema(input))).collect()),
            "examples": [example(model)],
        },
        "Answer": {
            "type": "object",
            "required": names(outputs.iter().map(|output| &output.name).collect()),
            "properties": properties(outputs.iter().map(|output| (output.name.clone(), output_schema(output))).collect()),
        },
        "Error": {
            "type": "object",
            "required": ["error"],
            "properties": {
                "error": { "type": "string" },
                "hint": { "type": "string" },
                "problems": { "type": "array", "description": "Every faulty value of every row.", "items": {
                    "type": "object",
                    "required": ["row", "problem"],
                    "properties": {
                        "row": { "type": "integer", "minimum": 0, "description": "Place in the list, the first being 0." },
                        "column": { "type": "string" },
                        "problem": { "type": "string" },
                        "hint": { "type": "string" },
                    },
                } },
                "more_problems": { "type": "integer", "description": "Number of problems beyond those listed." },
            },
        },
        "InferenceRequest": {
            "type": "object",
            "required": ["inputs"],
            "properties": {
                "id": { "type": "string" },
                "inputs": { "type": "array", "items": tensor },
                "outputs": { "type": "array", "items": {
                    "type": "object", "required": ["name"], "properties": { "name": { "type": "string" } },
                } },
            },
        },
        "InferenceResponse": {
            "type": "object",
            "required": ["model_name", "outputs"],
            "properties": {
                "model_name": { "type": "string" },
                "model_version": { "type": "string" },
                "id": { "type": "string" },
                "outputs": { "type": "array", "items": tensor },
            },
        },
    })
}

fn input_schema(input: &InputSignature) -> Value {
    let mut schema = match input.kind.as_str() {
        "number" => json!({ "type": ["number", "string", "null"] }),
        "set" => json!({ "anyOf": [
            { "type": "array", "items": { "type": ["string", "number", "boolean"] } },
            { "type": ["string", "null"] },
        ] }),
        "date" => json!({ "type": ["string", "number", "null"] }),
        "text" => json!({ "anyOf": [
            { "type": ["string", "number", "boolean", "null"], "maxLength": 1_000_000 },
            { "type": "array", "items": { "type": "string" }, "description": "its words" },
        ] }),
        "image" => json!({ "type": ["string", "null"], "contentEncoding": "base64" }),
        _ => json!({ "type": ["string", "number", "boolean", "null"] }),
    };
    schema["description"] = in_words(input).into();
    schema["examples"] = json!([input.example]);
    schema
}

/// What a column holds.
fn in_words(input: &InputSignature) -> String {
    let mut words = vec![input.kind.clone()];
    if let (Some(minimum), Some(maximum)) = (input.minimum, input.maximum) {
        words.push(format!("{minimum} to {maximum} in training"));
    }
    if !input.classes.is_empty() {
        let shown = list(input.classes.iter().take(SHOWN_CLASSES).map(String::as_str));
        let left = input.class_total.max(input.classes.len()).saturating_sub(SHOWN_CLASSES);
        words.push(if left == 0 { shown } else { format!("{shown} and {left} more") });
    }
    if let Some(format) = &input.format {
        words.push(match input.kind.as_str() {
            "set" => format!("a list, or text with `{format}` between"),
            "image" => format!("brought to {format}"),
            _ => format!("written as {format}"),
        });
    }
    words.join(": ")
}

fn output_schema(output: &OutputSignature) -> Value {
    let prediction = match output.kind.as_str() {
        "number" => json!({ "type": ["number", "null"] }),
        "set" => json!({ "type": "array", "items": { "enum": output.classes } }),
        "tags" => return tags_schema(output),
        _ => json!({ "enum": output.classes }),
    };
    let mut schema =
        json!({ "type": "object", "required": ["prediction"], "properties": { "prediction": prediction } });
    if !output.classes.is_empty() {
        let share = json!({ "type": "number", "minimum": 0, "maximum": 1 });
        let shares = output.classes.iter().map(|class| (class.clone(), share.clone()));
        schema["properties"]["probabilities"] =
            json!({ "type": "object", "properties": Value::Object(shares.collect()) });
        schema["required"] = json!(["prediction", "probabilities"]);
    }
    schema
}

/// The marked parts of a text, its words or characters, and the tag of each.
fn tags_schema(output: &OutputSignature) -> Value {
    let place = json!({ "type": "integer", "minimum": 0 });
    let mark = json!({
        "type": "object",
        "required": ["start", "end", "type", "text"],
        "properties": {
            "start": place,
            "end": place,
            "type": { "enum": output.types },
            "text": { "type": "string" },
        },
        "description": "places count characters from 0; `end` is the first character behind the part",
    });
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    json!({
        "type": "object",
        "required": ["prediction", "tokens", "tags", "probability"],
        "properties": {
            "prediction": { "type": "array", "items": mark },
            "tokens": texts,
            "tags": texts,
            "probability": { "type": "number", "minimum": 0, "maximum": 1 },
        },
    })
}

fn inference_example(model: &Model) -> Value {
    let tensor = |input: &InputSignature| {
        let number = input.kind == "number";
        let data = match &input.example {
            value if number => value.clone(),
            Value::String(text) => json!(text),
            Value::Array(labels) => {
                let labels: Vec<&str> = labels.iter().filter_map(Value::as_str).collect();
                json!(labels.join(input.format.as_deref().unwrap_or(",")))
            }
            value => json!(value.to_string()),
        };
        let datatype = if number { "FP64" } else { "BYTES" };
        json!({ "name": input.name, "shape": [1], "datatype": datatype, "data": [data] })
    };
    json!({ "inputs": model.signature.inputs.iter().map(tensor).collect::<Vec<_>>() })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn answered(description: &str, schema: &Value) -> Value {
    json!({ "200": { "description": description, "content": { "application/json": { "schema": schema } } } })
}

/// Adds the ways in which a call is refused that takes bodies of the `expected` types.
fn with_errors(mut responses: Value, statuses: &[&str], model: &Model, expected: &str) -> Value {
    let other = format!("The body is something other than {expected}, or is compressed");
    let too_much = match model.pictures().next() {
        Some(_) => "Too many bytes, rows or pixels",
        None => "Too many bytes or rows",
    };
    for status in statuses {
        let description = match *status {
            "400" => "The body cannot be read or is not what is expected",
            "404" => "There is no such model",
            "408" => "The body did not arrive in time",
            "413" => too_much,
            "415" => other.as_str(),
            "422" => "Values cannot be used; every one of them is named",
            "503" => "Too much to do, try again",
            _ => "The server failed",
        };
        responses[*status] = json!({
            "description": description,
            "content": { "application/json": { "schema": reference("Error") } },
        });
    }
    responses
}

fn get(id: &str, summary: &str) -> Value {
    json!({ "operationId": id, "summary": summary, "responses": answered("The description", &json!({ "type": "object" })) })
}

/// A call that needs no key.
fn open(id: &str, summary: &str) -> Value {
    let mut call = get(id, summary);
    call["security"] = json!([]);
    call
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn percent_encoded(name: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    name.bytes().map(encode).collect()
}
