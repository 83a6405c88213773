//! Jinja2's filters.

mod html;
mod layout;
mod numbers;
mod sequences;
mod texts;

use crate::access;
use crate::args::Given;
use crate::error::{Error, Kind, Result};
use crate::eval::Eval;
use crate::text::Text;
use crate::value::Value;
use crate::{json, percent, repr};

const NAMES: [&str; 54] = [
    "abs",
    "attr",
    "batch",
    "capitalize",
    "center",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "filesizeformat",
    "first",
    "float",
    "forceescape",
    "format",
    "groupby",
    "indent",
    "int",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "items",
    "map",
    "min",
    "max",
    "pprint",
    "random",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "slice",
    "sort",
    "string",
    "striptags",
    "sum",
    "title",
    "trim",
    "truncate",
    "unique",
    "upper",
    "urlencode",
    "urlize",
    "wordcount",
    "wordwrap",
    "xmlattr",
    "tojson",
];

pub(crate) fn known(name: &str) -> bool {
    NAMES.contains(&name)
}

pub(crate) fn call(eval: &mut Eval, name: &str, value: Value, mut given: Given) -> Result<Value> {
    match name {
        "attr" => {
            let [attribute] = given.bind(name, ["name"], 1)?;
            access::attr(eval, &value, &attribute.unwrap_or(Value::None))
        }
        "default" | "d" => {
            let [default, boolean] = given.bind(name, ["default_value", "boolean"], 0)?;
            let is_empty = boolean.is_some_and(|boolean| boolean.is_true()) && !value.is_true();
            let default = || default.unwrap_or_else(|| Value::text(""));
            Ok(if matches!(value, Value::Undefined(_)) || is_empty { default() } else { value })
        }
        "tojson" => json::to_json(&value, given),
        "string" => {
            let [] = given.places(name, 0)?;
            repr::str(&value).map(Value::Str)
        }
        "format" => {
            let format = repr::str(&value)?;
            let values = match (given.positional.is_empty(), given.named.is_empty()) {
                (false, false) => {
                    let what = "can't handle positional and keyword arguments at the same time";
                    return Err(Error::new(Kind::Runtime, what));
                }
                (_, true) => Value::tuple(std::mem::take(&mut given.positional))?,
                (true, false) => Value::dict(given.named.into_iter().map(|(name, v)| (Value::text(&name), v)))?,
            };
            percent::format(eval, &format, &values).map(Value::Str)
        }
        "length" | "count" => {
            let [] = given.places(name, 0)?;
            let len = value.len(eval)?;
            let kind = value.type_name();
            len.map(Value::from_len).ok_or_else(|| Error::of_type(format!("object of type '{kind}' has no len()")))
        }
        "abs" | "int" | "float" | "round" | "filesizeformat" => numbers::call(eval, name, &value, given),
        "e" | "escape" | "forceescape" | "safe" | "striptags" | "xmlattr" | "urlencode" | "urlize" => {
            html::call(eval, name, &value, given)
        }
        "upper" | "lower" | "capitalize" | "title" | "trim" | "replace" | "center" | "wordcount" | "join" => {
            texts::call(eval, name, &value, given)
        }
        "indent" | "truncate" | "wordwrap" | "pprint" => layout::call(eval, name, &value, given),
        _ if known(name) => sequences::call(eval, name, &value, given),
        _ => Err(Error::new(Kind::Runtime, format!("no filter named '{name}'"))),
    }
}

/// `soft_str(value)`: the text, `Markup` where it is.
fn text_of(value: &Value) -> Result<Text> {
    repr::str(value)
}
