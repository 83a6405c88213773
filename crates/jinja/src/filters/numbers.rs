//! Filters of numbers.

use crate::args::{Given, int, int_or};
use crate::ast::Binary;
use crate::error::{Error, Kind, Result};
use crate::eval::Eval;
use crate::numbers;
use crate::operators::{Number, binary};
use crate::percent::truncated;
use crate::text::Text;
use crate::unicode::{decimal, is_space};
use crate::value::Value;

pub(super) fn call(eval: &mut Eval, name: &str, value: &Value, given: Given) -> Result<Value> {
    match name {
        "abs" => {
            let [] = given.places(name, 0)?;
            match Number::of(value) {
                Some(Number::Int(value)) => value.checked_abs().map(Value::Int).ok_or_else(too_large),
                Some(Number::Float(value)) => Ok(Value::Float(value.abs())),
                None => Err(Error::of_type(format!("bad operand type for abs(): '{}'", value.type_name()))),
            }
        }
        "int" => {
            let [default, base] = given.bind(name, ["default", "base"], 0)?;
            let base = int_or(base.as_ref(), 10)?;
            match to_int(value, base)? {
                Some(value) => Ok(Value::Int(value)),
                None => Ok(default.unwrap_or(Value::Int(0))),
            }
        }
        "float" => {
            let [default] = given.bind(name, ["default"], 0)?;
            Ok(to_float(value)?.map_or_else(|| default.unwrap_or(Value::Float(0.0)), Value::Float))
        }
        "round" => {
            let [precision, method] = given.bind(name, ["precision", "method"], 0)?;
            let method = match &method {
                None => "common".to_owned(),
                Some(Value::Str(method)) => method.to_string(),
                Some(_) => String::new(),
            };
            round(eval, value, &precision.unwrap_or(Value::Int(0)), &method)
        }
        _ => {
            let [binary] = given.bind(name, ["binary"], 0)?;
            file_size(value, binary.is_some_and(|binary| binary.is_true()))
        }
    }
}

fn too_large() -> Error {
    Error::new(Kind::Overflow, "a number is larger than this engine counts")
}

/// `int(value, base)`, and where that is no number `int(float(value))`; none where neither is.
fn to_int(value: &Value, base: i128) -> Result<Option<i128>> {
    value.defined()?;
    match value {
        Value::Str(text) => match parse_int(text, base)? {
            Some(value) => Ok(Some(value)),
            None => Ok(parse_float(text).and_then(|value| truncated(value).ok())),
        },
        _ => match Number::of(value) {
            Some(Number::Int(value)) => Ok(Some(value)),
            Some(Number::Float(value)) if value.is_nan() => Ok(None),
            Some(Number::Float(value)) => truncated(value).map(Some),
            None => Ok(None),
        },
    }
}

fn to_float(value: &Value) -> Result<Option<f64>> {
    value.defined()?;
    Ok(match value {
        Value::Str(text) => parse_float(text),
        _ => Number::of(value).map(Number::float),
    })
}

/// Ascii digits for all that Python takes for digits, without the white space around them.
fn ascii(text: &Text) -> String {
    let digit = |c: char| decimal(c).and_then(|digit| char::from_digit(digit, 10)).unwrap_or(c);
    let text: String = text.iter().map(|g| digit(g.char())).collect();
    text.trim_matches(is_space).to_owned()
}

/// Underscores may stand between digits, one at a time.
fn without_underscores(text: &str) -> Option<String> {
    let chars: Vec<char> = text.chars().collect();
    let fits = |at: usize| {
        let digit = |c: Option<&char>| c.is_some_and(char::is_ascii_alphanumeric);
        at > 0 && digit(chars.get(at - 1)) && digit(chars.get(at + 1))
    };
    let fine = chars.iter().enumerate().all(|(at, c)| *c != '_' || fits(at));
    fine.then(|| text.replace('_', ""))
}

fn parse_int(text: &Text, base: i128) -> Result<Option<i128>> {
    if base != 0 && !(2..=36).contains(&base) {
        // Python's ValueError, which the filter takes for "no number".
        return Ok(None);
    }
    let text = ascii(text);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(&text)),
    };
    let mut base = base as u32;
    let mut digits = digits.to_lowercase();
    for (prefix, radix) in [("0b", 2), ("0o", 8), ("0x", 16)] {
        if (base == radix || base == 0) && digits.starts_with(prefix) {
            let rest = &digits[2..];
            digits = rest.strip_prefix('_').unwrap_or(rest).to_owned();
            base = radix;
            break;
        }
    }
    if base == 0 {
        if digits.starts_with('0') && digits.chars().any(|c| matches!(c, '1'..='9')) {
            return Ok(None);
        }
        base = 10;
    }
    let Some(digits) = without_underscores(&digits) else { return Ok(None) };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(base)) {
        return Ok(None);
    }
    let value = i128::from_str_radix(&digits, base).map_err(|_| too_large())?;
    Ok(Some(if negative { -value } else { value }))
}

fn parse_float(text: &Text) -> Option<f64> {
    let text = ascii(text);
    let unsigned = text.trim_start_matches(['-', '+']);
    let word = unsigned.to_lowercase();
    let is_word = matches!(word.as_str(), "inf" | "infinity" | "nan");
    if text.len() - unsigned.len() > 1 || !(is_word || unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')) {
        return None;
    }
    without_underscores(&text)?.parse().ok()
}

fn round(eval: &mut Eval, value: &Value, precision: &Value, method: &str) -> Result<Value> {
    if !matches!(method, "common" | "ceil" | "floor") {
        return Err(Error::new(Kind::Runtime, "method must be common, ceil or floor"));
    }
    if method != "common" {
        // func(value * 10**precision) / 10**precision
        let scale = binary(eval, Binary::Pow, &Value::Int(10), precision)?;
        let scaled = binary(eval, Binary::Mul, value, &scale)?;
        let whole = match Number::of(&scaled) {
            Some(Number::Int(value)) => value,
            Some(Number::Float(value)) => truncated(if method == "ceil" { value.ceil() } else { value.floor() })?,
            None => return Err(Error::of_type(format!("must be real number, not {}", scaled.type_name()))),
        };
        return binary(eval, Binary::Div, &Value::Int(whole), &scale);
    }
    match (Number::of(value), precision) {
        (None, _) => Err(Error::of_type(format!("type {} doesn't define __round__ method", value.type_name()))),
        (Some(Number::Int(value)), Value::None) => Ok(Value::Int(value)),
        (Some(Number::Int(value)), _) => Ok(Value::Int(rounded_int(value, int(precision)?)?)),
        (Some(Number::Float(value)), Value::None) => nearest(value).map(Value::Int),
        (Some(Number::Float(value)), _) => Ok(Value::Float(rounded(value, int(precision)?))),
    }
}

fn nearest(value: f64) -> Result<i128> {
    truncated(value.round_ties_even())
}

/// To tens, hundreds and so on where the precision is negative; halves go to the even one.
fn rounded_int(value: i128, precision: i128) -> Result<i128> {
    if precision >= 0 {
        return Ok(value);
    }
    let unit = u32::try_from(-precision).ok().and_then(|power| 10i128.checked_pow(power));
    let Some(unit) = unit else { return Ok(0) };
    let rest = value.rem_euclid(unit);
    let low = value - rest;
    let up = rest * 2 > unit || rest * 2 == unit && (low / unit) % 2 != 0;
    if up { low.checked_add(unit).ok_or_else(too_large) } else { Ok(low) }
}

/// By the decimal digits of the exact value, as CPython does it.
fn rounded(value: f64, precision: i128) -> f64 {
    if !value.is_finite() || precision > 323 {
        return value;
    }
    if precision >= 0 {
        return format!("{value:.*}", precision as usize).parse().unwrap_or(value);
    }
    if precision < -308 {
        return 0f64.copysign(value);
    }
    let scale = 10f64.powi(-precision as i32);
    let scaled = value / scale;
    scaled.round_ties_even() * scale
}

fn file_size(value: &Value, binary: bool) -> Result<Value> {
    let bytes = match to_float(value)? {
        Some(bytes) => bytes,
        None if matches!(value, Value::Str(_)) => return Err(Error::of_value("could not convert string to float")),
        None => return Err(Error::of_type("float() argument must be a string or a real number")),
    };
    let base: f64 = if binary { 1024.0 } else { 1000.0 };
    if bytes == 1.0 {
        return Ok(Value::text("1 Byte"));
    }
    if bytes < base {
        return Ok(Value::text(&format!("{} Bytes", truncated(bytes)?)));
    }
    let letters = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
    let mut unit = base;
    let mut name = "k";
    for letter in letters {
        unit *= base;
        name = letter;
        if bytes < unit {
            break;
        }
    }
    let suffix = if binary { "iB" } else { "B" };
    let name = if binary && name == "k" { "K" } else { name };
    let digits = numbers::float(base * bytes / unit, Some('f'), Some(1), false)?;
    let sign = if bytes < 0.0 { "-" } else { "" };
    Ok(Value::text(&format!("{sign}{digits} {name}{suffix}")))
}
