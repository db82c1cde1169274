//! JSON as programs get it: `apiVersion`, raw numbers, `lsn`, `request_id`.
use crate::quote;
use serde_json::{Map, Value, json};

pub(crate) const API_VERSION: &str = "dfs/v1";

/// The object that every answer is: its kind, where it is true, and its fields beside them.
pub(crate) fn envelope(kind: &str, lsn: u64, request_id: &str, fields: Value) -> Value {
    let mut object = Map::new();
    object.insert("apiVersion".into(), API_VERSION.into());
    object.insert("kind".into(), kind.into());
    object.insert("lsn".into(), lsn.into());
    object.insert("request_id".into(), request_id.into());
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
    Value::Object(object)
}

/// `key` as text; where the bytes are no text, also `key_hex`, which is exact.
pub(crate) fn put_bytes(object: &mut Value, key: &str, bytes: &[u8]) {
    object[key] = String::from_utf8_lossy(bytes).into();
    if std::str::from_utf8(bytes).is_err() {
        object[format!("{key}_hex")] = quote::hex(bytes).into();
    }
}

/// An object with `path` (and `path_hex`).
pub(crate) fn at_path(path: &[u8]) -> Value {
    let mut object = json!({});
    put_bytes(&mut object, "path", &[b"/", path].concat());
    object
}
