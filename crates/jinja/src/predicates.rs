//! Jinja2's tests: what may stand after `is`.

use crate::args::Given;
use crate::ast::{Binary, Comparison};
use crate::error::{Error, Kind, Result};
use crate::eval::Eval;
use crate::operators::{self, Number, equal};
use crate::value::{Object, Value};
use crate::{filters, methods, repr};

const NAMES: [&str; 39] = [
    "odd",
    "even",
    "divisibleby",
    "defined",
    "undefined",
    "filter",
    "test",
    "none",
    "boolean",
    "false",
    "true",
    "integer",
    "float",
    "lower",
    "upper",
    "string",
    "mapping",
    "number",
    "sequence",
    "iterable",
    "callable",
    "sameas",
    "escaped",
    "in",
    "==",
    "eq",
    "equalto",
    "!=",
    "ne",
    ">",
    "gt",
    "greaterthan",
    "ge",
    ">=",
    "<",
    "lt",
    "lessthan",
    "<=",
    "le",
];

pub(crate) fn known(name: &str) -> bool {
    NAMES.contains(&name)
}

pub(crate) fn call(eval: &mut Eval, name: &str, value: &Value, given: Given) -> Result<bool> {
    if let Some(comparison) = comparison(name) {
        let [other] = given.places(name, 1)?;
        return operators::holds(eval, comparison, value, &other.unwrap_or(Value::None));
    }
    match name {
        "divisibleby" => {
            let [number] = given.bind(name, ["num"], 1)?;
            return rest(eval, value, &number.unwrap_or(Value::None), 0);
        }
        "sameas" => {
            let [other] = given.bind(name, ["other"], 1)?;
            return Ok(other.is_some_and(|other| value.is_same(&other)));
        }
        "in" => {
            let [container] = given.bind(name, ["seq"], 1)?;
            return operators::contains(eval, &container.unwrap_or(Value::None), value);
        }
        _ if !known(name) => return Err(Error::new(Kind::Runtime, format!("no test named '{name}'"))),
        _ => {}
    }
    let [] = given.places(name, 0)?;
    let mut has_case = |case| {
        let text = Value::Str(repr::plain(value)?);
        let Some(method) = methods::find(&text, case) else { return Ok(false) };
        Ok::<bool, Error>(methods::call(eval, &text, method, Given::default())?.is_true())
    };
    Ok(match name {
        "lower" => return has_case("islower"),
        "upper" => return has_case("isupper"),
        "odd" => return rest(eval, value, &Value::Int(2), 1),
        "even" => return rest(eval, value, &Value::Int(2), 0),
        "defined" => !matches!(value, Value::Undefined(_)),
        "undefined" => matches!(value, Value::Undefined(_)),
        "filter" => named(value)?.is_some_and(|name| filters::known(&name)),
        "test" => named(value)?.is_some_and(|name| known(&name)),
        "none" => matches!(value, Value::None),
        "boolean" => matches!(value, Value::Bool(_)),
        "false" => matches!(value, Value::Bool(false)),
        "true" => matches!(value, Value::Bool(true)),
        "integer" => matches!(value, Value::Int(_)),
        "float" => matches!(value, Value::Float(_)),
        "string" => matches!(value, Value::Str(_)),
        "mapping" => matches!(value, Value::Dict(_)),
        "number" => Number::of(value).is_some(),
        "escaped" => matches!(value, Value::Str(text) if text.is_safe()),
        "sequence" => match value {
            Value::Undefined(_) | Value::Str(_) | Value::List(_) | Value::Tuple(_) | Value::Dict(_) => true,
            Value::Object(object) => matches!(**object, Object::Range(_)),
            _ => false,
        },
        "iterable" => match eval.iterate(value) {
            Ok(iterator) => !matches!(&iterator, Value::Object(o) if matches!(**o, Object::Cycler { .. })),
            Err(error) if error.kind == Kind::Type => false,
            Err(error) => return Err(error),
        },
        "callable" => match value {
            Value::Undefined(_) => true,
            Value::Object(object) => matches!(
                **object,
                Object::Macro(_) | Object::Function(_) | Object::Method(..) | Object::Joiner { .. } | Object::Loop(_)
            ),
            _ => false,
        },
        _ => false,
    })
}

fn comparison(name: &str) -> Option<Comparison> {
    Some(match name {
        "==" | "eq" | "equalto" => Comparison::Eq,
        "!=" | "ne" => Comparison::Ne,
        ">" | "gt" | "greaterthan" => Comparison::Gt,
        ">=" | "ge" => Comparison::Ge,
        "<" | "lt" | "lessthan" => Comparison::Lt,
        "<=" | "le" => Comparison::Le,
        _ => return None,
    })
}

fn rest(eval: &mut Eval, value: &Value, number: &Value, expected: i128) -> Result<bool> {
    let rest = operators::binary(eval, Binary::Mod, value, number)?;
    equal(&rest, &Value::Int(expected))
}

/// The name that a value asks for.
fn named(value: &Value) -> Result<Option<String>> {
    operators::hashable(value)?;
    Ok(match value {
        Value::Str(name) => Some(name.to_string()),
        _ => None,
    })
}
