//! The methods of Python's types.

mod containers;
mod strings;

use crate::args::Given;
use crate::error::{Error, Kind, Result};
use crate::eval::Eval;
use crate::loops::Loop;
use crate::percent::truncated;
use crate::value::{Object, Value, View};

pub(crate) use strings::{Case, capitalize, center, collapse, cut_lines, join, replace, strip, title_word, to_case};

const STRING: [&str; 47] = [
    "capitalize",
    "casefold",
    "center",
    "count",
    "encode",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "format_map",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "maketrans",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "translate",
    "upper",
    "zfill",
];
const MARKUP: [&str; 3] = ["escape", "striptags", "unescape"];
const DICT: [&str; 6] = ["copy", "fromkeys", "get", "items", "keys", "values"];
const LIST: [&str; 3] = ["copy", "count", "index"];
const SEQUENCE: [&str; 2] = ["count", "index"];
const INT: [&str; 6] = ["as_integer_ratio", "bit_count", "bit_length", "conjugate", "from_bytes", "to_bytes"];
const FLOAT: [&str; 5] = ["as_integer_ratio", "conjugate", "fromhex", "hex", "is_integer"];
const VIEW: [&str; 1] = ["isdisjoint"];
const LOOP: [&str; 2] = ["changed", "cycle"];
const CYCLER: [&str; 2] = ["next", "reset"];
const GENERATOR: [&str; 3] = ["close", "send", "throw"];

/// A method's name, where a value has it.
pub(crate) fn find(of: &Value, name: &str) -> Option<&'static str> {
    let methods: &[&str] = match of {
        Value::Str(text) if text.is_safe() && MARKUP.contains(&name) => &MARKUP,
        Value::Str(_) => &STRING,
        Value::Dict(_) => &DICT,
        Value::List(_) => &LIST,
        Value::Tuple(_) => &SEQUENCE,
        Value::Int(_) | Value::Bool(_) => &INT,
        Value::Float(_) => &FLOAT,
        Value::Object(object) => match &**object {
            Object::Range(_) => &SEQUENCE,
            Object::View(View::Keys | View::Items, _) => &VIEW,
            Object::Loop(_) => &LOOP,
            Object::Cycler { .. } => &CYCLER,
            Object::Iter(iter) if iter.kind == "generator" => &GENERATOR,
            _ => &[],
        },
        _ => &[],
    };
    methods.iter().find(|method| **method == name).copied()
}

/// Whether a method changes a list or dict, which the sandbox forbids.
pub(crate) fn changes(of: &Value, name: &str) -> bool {
    let methods: &[&str] = match of {
        Value::List(_) => &["append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"],
        Value::Dict(_) => &["clear", "pop", "popitem", "setdefault", "update"],
        _ => &[],
    };
    methods.contains(&name)
}

/// An attribute that is no method.
pub(crate) fn property(of: &Value, name: &str) -> Option<Value> {
    match (of, name) {
        (Value::Int(_) | Value::Bool(_) | Value::Float(_), "real") => match of {
            Value::Bool(value) => Some(Value::Int(i128::from(*value))),
            _ => Some(of.clone()),
        },
        (Value::Int(value), "numerator") => Some(Value::Int(*value)),
        (Value::Bool(value), "numerator") => Some(Value::Int(i128::from(*value))),
        (Value::Int(_) | Value::Bool(_), "imag") => Some(Value::Int(0)),
        (Value::Int(_) | Value::Bool(_), "denominator") => Some(Value::Int(1)),
        (Value::Float(_), "imag") => Some(Value::Float(0.0)),
        _ => None,
    }
}

pub(crate) fn call(eval: &mut Eval, of: &Value, name: &'static str, given: Given) -> Result<Value> {
    match of {
        Value::Str(text) => strings::call(eval, text, name, given),
        Value::Dict(dict) => containers::dict(dict, name, given),
        Value::List(items) | Value::Tuple(items) => containers::sequence(of, items, name, given),
        Value::Int(value) => int(*value, name, given),
        Value::Bool(value) => int(i128::from(*value), name, given),
        Value::Float(value) => float(*value, name, given),
        Value::Object(object) => match &**object {
            Object::Range(range) => containers::range(range, name, given),
            Object::Loop(this) => looped(this, name, given),
            Object::Cycler { items, at } => {
                let [] = given.places(name, 0)?;
                if name == "reset" {
                    at.set(0);
                    return Ok(Value::None);
                }
                let current = at.replace((at.get() + 1) % items.len());
                Ok(items[current].clone())
            }
            _ => Err(missing(of, name)),
        },
        _ => Err(missing(of, name)),
    }
}

/// A method that Python has and this engine has not.
fn missing(of: &Value, name: &str) -> Error {
    Error::unsupported(format!("the method {}.{name}", of.type_name()))
}

fn looped(this: &Loop, name: &str, given: Given) -> Result<Value> {
    if !given.named.is_empty() {
        return Err(Error::of_type(format!("{name}() got an unexpected keyword argument")));
    }
    match name {
        "cycle" => this.cycle(&given.positional),
        _ => this.changed(Value::tuple(given.positional)?).map(Value::Bool),
    }
}

fn int(value: i128, name: &str, given: Given) -> Result<Value> {
    if matches!(name, "from_bytes" | "to_bytes") {
        return Err(missing(&Value::Int(value), name));
    }
    let [] = given.places(name, 0)?;
    Ok(match name {
        "bit_length" => Value::Int(i128::from(128 - value.unsigned_abs().leading_zeros())),
        "bit_count" => Value::Int(i128::from(value.unsigned_abs().count_ones())),
        "as_integer_ratio" => Value::tuple(vec![Value::Int(value), Value::Int(1)])?,
        _ => Value::Int(value),
    })
}

fn float(value: f64, name: &str, given: Given) -> Result<Value> {
    match name {
        "is_integer" | "conjugate" => {
            let [] = given.places(name, 0)?;
            let is_whole = truncated(value).map_or(value.is_finite(), |whole| whole as f64 == value);
            Ok(if name == "conjugate" { Value::Float(value) } else { Value::Bool(is_whole) })
        }
        _ => Err(missing(&Value::Float(value), name)),
    }
}

pub(crate) fn not_found(what: &str) -> Error {
    Error::new(Kind::Value, what)
}
