//! Named tensors to rows.

use crate::refusal::Refusal;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::HashSet;

/// A column as it is sent.
#[derive(Deserialize)]
pub(super) struct Tensor {
    pub name: String,
    pub shape: Vec<u64>,
    pub datatype: String,
    #[serde(default)]
    pub data: Option<Value>,
}

/// Bytes that the names of tensors may take in all rows, each of which holds them.
const MOST_NAMES: usize = 64 << 20;

/// Turns columns into rows.
pub(super) fn rows(tensors: Vec<Tensor>, limit: usize) -> Result<Vec<Value>, Refusal> {
    let Some(first) = tensors.first() else { return Err(protocol("`inputs` is empty")) };
    let (first_name, count) = (first.name.clone(), length(first)?);
    if count > limit {
        return Err(Refusal::TooManyRows { limit });
    }
    let named: usize = tensors.iter().map(|tensor| tensor.name.len()).sum();
    if named.saturating_mul(count) > MOST_NAMES {
        return Err(protocol(format!("the names of the tensors are too long for {count} rows")));
    }
    let mut names = HashSet::new();
    let mut rows: Vec<Map<String, Value>> = vec![Map::with_capacity(tensors.len()); count];
    for tensor in tensors {
        let here = length(&tensor)?;
        if here != count {
            let name = &tensor.name;
            return Err(protocol(format!("tensor `{name}` has {here} rows, but `{first_name}` has {count}")));
        }
        if !names.insert(tensor.name.clone()) {
            return Err(protocol(format!("tensor `{}` is given twice", tensor.name)));
        }
        let name = tensor.name.clone();
        for (row, value) in rows.iter_mut().zip(values(tensor, count)?) {
            row.insert(name.clone(), value);
        }
    }
    Ok(rows.into_iter().map(Value::Object).collect())
}

fn protocol(problem: impl Into<String>) -> Refusal {
    Refusal::Protocol(problem.into())
}

/// Rows of a tensor, by its shape.
fn length(tensor: &Tensor) -> Result<usize, Refusal> {
    match tensor.shape[..] {
        [count] | [count, 1] => Ok(usize::try_from(count).unwrap_or(usize::MAX)),
        _ => Err(protocol(format!(
            "tensor `{}` has shape {:?}, expected [n] or [n, 1]",
            tensor.name, tensor.shape
        ))),
    }
}

/// The values of a tensor, flat or nested, all of its datatype.
fn values(tensor: Tensor, count: usize) -> Result<Vec<Value>, Refusal> {
    let Tensor { name, datatype, data, .. } = tensor;
    let fits: fn(&Value) -> bool = match datatype.as_str() {
        "FP16" | "BF16" | "FP32" | "FP64" => Value::is_number,
        "INT8" | "INT16" | "INT32" | "INT64" => |value| value.is_i64() || whole(value),
        "UINT8" | "UINT16" | "UINT32" | "UINT64" => {
            |value| value.is_u64() || (whole(value) && value.as_f64() >= Some(0.0))
        }
        "BYTES" => Value::is_string,
        "BOOL" => Value::is_boolean,
        _ => return Err(protocol(format!("tensor `{name}` has the unknown datatype `{datatype}`"))),
    };
    let Some(Value::Array(data)) = data else {
        return Err(protocol(format!("tensor `{name}` has no `data` list (binary tensors are not taken)")));
    };
    if data.len() != count {
        return Err(protocol(format!(
            "tensor `{name}` has {} values, but its shape says {count}",
            data.len()
        )));
    }
    let flat = data.into_iter().map(|value| match value {
        Value::Array(mut inner) if inner.len() == 1 => inner.remove(0),
        value => value,
    });
    flat.enumerate()
        .map(|(row, value)| {
            // The protocol has no missing values; JSON's own is taken for one.
            if value.is_null() || fits(&value) {
                return Ok(value);
            }
            let mut found = value.to_string();
            if found.chars().count() > 40 {
                found = found.chars().take(39).chain(['…']).collect();
            }
            Err(protocol(format!("tensor `{name}` is {datatype}, but row {row} holds `{found}`")))
        })
        .collect()
}

fn whole(value: &Value) -> bool {
    value.as_f64().is_some_and(|number| number.fract() == 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(tensors: Value, expected: Result<Value, &str>) {
        let found = rows(serde_json::from_value(tensors.clone()).unwrap(), 3);
        let found = found.map(Value::Array).map_err(|refusal| refusal.to_string());
        assert_eq!(found, expected.map_err(str::to_owned), "{tensors}");
    }

    #[test]
    fn columns_become_rows() {
        check(
            json!([
                {"name": "a", "shape": [2], "datatype": "FP32", "data": [1, 2.5]},
                {"name": "b", "shape": [2, 1], "datatype": "BYTES", "data": [["x"], [null]]},
                {"name": "c", "shape": [2, 1], "datatype": "INT64", "data": [-1, 2.0]},
                {"name": "d", "shape": [2], "datatype": "BOOL", "data": [true, false]},
            ]),
            Ok(json!([{"a": 1, "b": "x", "c": -1, "d": true}, {"a": 2.5, "b": null, "c": 2.0, "d": false}])),
        );
        check(json!([{"name": "a", "shape": [0], "datatype": "FP32", "data": []}]), Ok(json!([])));
    }

    #[test]
    fn tensors_that_are_not_what_they_say_are_refused() {
        let one = |shape: Value, datatype: &str, data: Value, expected: &str| {
            check(json!([{"name": "a", "shape": shape, "datatype": datatype, "data": data}]), Err(expected));
        };
        one(json!([4]), "FP32", json!([1]), "the body has more than 3 rows");
        one(json!([2]), "FP32", json!([1]), "tensor `a` has 1 values, but its shape says 2");
        one(json!([1, 2]), "FP32", json!([1, 2]), "tensor `a` has shape [1, 2], expected [n] or [n, 1]");
        one(json!([]), "FP32", json!([1]), "tensor `a` has shape [], expected [n] or [n, 1]");
        one(json!([1]), "FP31", json!([1]), "tensor `a` has the unknown datatype `FP31`");
        one(json!([1]), "FP32", json!(["1"]), "tensor `a` is FP32, but row 0 holds `\"1\"`");
        one(json!([1]), "INT8", json!([1.5]), "tensor `a` is INT8, but row 0 holds `1.5`");
        one(json!([1]), "UINT8", json!([-1]), "tensor `a` is UINT8, but row 0 holds `-1`");
        one(json!([1]), "BYTES", json!([[["x"]]]), "tensor `a` is BYTES, but row 0 holds `[\"x\"]`");
        one(json!([1]), "FP32", json!(null), "tensor `a` has no `data` list (binary tensors are not taken)");
        check(json!([]), Err("`inputs` is empty"));
        let tensor = |name: &str, data: Value| json!({"name": name, "shape": [data.as_array().unwrap().len()], "datatype": "FP32", "data": data});
        check(json!([tensor("a", json!([1])), tensor("a", json!([1]))]), Err("tensor `a` is given twice"));
        check(
            json!([tensor("a", json!([1])), tensor("b", json!([1, 2]))]),
            Err("tensor `b` has 2 rows, but `a` has 1"),
        );
    }
}
