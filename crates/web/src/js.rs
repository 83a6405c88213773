//! Values in and out of JavaScript, by name.

use js_sys::{Array, Object, Reflect};
use lantern_graph::{Error, Result};
use wasm_bindgen::{JsCast, JsValue};

use crate::remedy;

/// `undefined` when there is no such field, or nothing to have one.
pub fn field(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap_or(JsValue::UNDEFINED)
}

pub fn object(entries: &[(&str, JsValue)]) -> JsValue {
    let object = Object::new();
    for (name, value) in entries {
        // A fresh plain object takes any field.
        let _ = Reflect::set(&object, &(*name).into(), value);
    }
    object.into()
}

/// `{code, cause, remedy}`, with the remedy as it is said in a page.
pub fn failure(error: &Error) -> JsValue {
    words(error, remedy::here(error.code, &error.remedy))
}

/// As [`failure`], of what the engine found a way around: there is nothing left to do.
pub fn notice(error: &Error) -> JsValue {
    words(error, &error.remedy)
}

fn words(error: &Error, remedy: &str) -> JsValue {
    object(&[("code", error.code.into()), ("cause", error.cause.as_str().into()), ("remedy", remedy.into())])
}

/// What JavaScript threw, in words.
pub fn thrown(value: &JsValue) -> String {
    let message = field(value, "message").as_string();
    message.or_else(|| value.as_string()).unwrap_or_else(|| format!("{value:?}"))
}

/// A request's number.
///
/// # Errors
/// `web.request`: the page and the engine do not fit each other.
pub fn number(object: &JsValue, name: &str) -> Result<f64> {
    field(object, name).as_f64().ok_or_else(|| unfit(name, "a number"))
}

/// # Errors
/// `web.request`.
pub fn string(object: &JsValue, name: &str) -> Result<String> {
    field(object, name).as_string().ok_or_else(|| unfit(name, "a text"))
}

/// # Errors
/// `web.request`.
pub fn array(object: &JsValue, name: &str) -> Result<Array> {
    field(object, name).dyn_into().map_err(|_| unfit(name, "an array"))
}

/// `web.request`, for a field that is not what it should be.
pub fn unfit(name: &str, what: &str) -> Error {
    strange(format!("the page's request has no {name}, or it is not {what}"))
}

/// `web.request`: the page and the engine do not fit each other.
pub fn strange(cause: impl Into<String>) -> Error {
    Error::new("web.request", cause.into(), "reload the page: its parts are of different versions")
}

/// What JavaScript threw, as an error: one of ours keeps its words.
pub fn error(value: &JsValue) -> Error {
    let text = |name| field(value, name).as_string();
    match text("code").as_deref() {
        Some("run.cancelled") => Error::cancelled(),
        _ => Error::new("storage.read", thrown(value), "try again; if that does not help, reload the page"),
    }
}
