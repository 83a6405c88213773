//! Hugging Face's `tojson`: Python's `json.dumps`, without its own escapes for HTML.

use std::cmp::Ordering;

use crate::args::{Given, int};
use crate::budget;
use crate::error::{Error, Result};
use crate::operators;
use crate::repr;
use crate::text::{Glyph, Text, glyphs};
use crate::value::{Dict, Value};

struct Style {
    ascii: bool,
    indent: Option<Vec<Glyph>>,
    comma: Text,
    colon: Text,
    sort: bool,
}

/// The most spaces that a level is indented by.
const WIDEST: i128 = 64;

pub(crate) fn to_json(value: &Value, given: Given) -> Result<Value> {
    let [ascii, indent, separators, sort] =
        given.bind("tojson", ["ensure_ascii", "indent", "separators", "sort_keys"], 0)?;
    let is_true = |option: Option<Value>| option.is_some_and(|value| value.is_true());
    let indent = match indent {
        None | Some(Value::None) => None,
        Some(Value::Str(text)) => Some(text.to_vec()),
        Some(value) => {
            let width = int(&value)?.clamp(0, WIDEST + 1);
            if width > WIDEST {
                return Err(Error::unsupported("so deep an indent in tojson"));
            }
            Some(glyphs(&" ".repeat(width as usize)))
        }
    };
    let (comma, colon) = match &separators {
        None | Some(Value::None) => {
            let comma = if indent.is_some() { "," } else { ", " };
            (Text::plain(comma), Text::plain(": "))
        }
        Some(Value::Tuple(items) | Value::List(items)) => match &***items {
            [Value::Str(comma), Value::Str(colon)] => (comma.clone(), colon.clone()),
            _ => return Err(Error::of_value("tojson's separators are two strings")),
        },
        Some(_) => return Err(Error::of_type("tojson's separators are two strings")),
    };
    let style = Style { ascii: is_true(ascii), indent, comma, colon, sort: is_true(sort) };
    let mut out = Vec::new();
    style.write(value, 0, &mut out)?;
    Ok(Value::Str(Text::new(out)))
}

impl Style {
    fn write(&self, value: &Value, depth: usize, out: &mut Vec<Glyph>) -> Result<()> {
        budget::spend(0)?;
        budget::room(out.len() * size_of::<Glyph>())?;
        match value {
            Value::Str(text) => self.string(text, out)?,
            Value::List(items) | Value::Tuple(items) => {
                if items.is_empty() {
                    out.extend(glyphs("[]"));
                    return Ok(());
                }
                out.push(Glyph::new('[', false));
                for (i, item) in items.iter().enumerate() {
                    self.before(i, depth + 1, out);
                    self.write(item, depth + 1, out)?;
                }
                self.line(depth, out);
                out.push(Glyph::new(']', false));
            }
            Value::Dict(dict) => self.dict(dict, depth, out)?,
            _ => match scalar(value) {
                Some(text) => out.extend(glyphs(&text)),
                None => {
                    let kind = value.type_name();
                    return Err(Error::of_type(format!("Object of type {kind} is not JSON serializable")));
                }
            },
        }
        Ok(())
    }

    fn dict(&self, dict: &Dict, depth: usize, out: &mut Vec<Glyph>) -> Result<()> {
        if dict.len() == 0 {
            out.extend(glyphs("{}"));
            return Ok(());
        }
        let mut entries: Vec<&(Value, Value)> = dict.entries().iter().collect();
        if self.sort {
            let mut failure = None;
            entries.sort_by(|a, b| {
                let ordering = operators::compare(&a.0, &b.0, "<").unwrap_or_else(|error| {
                    failure.get_or_insert(error);
                    None
                });
                ordering.unwrap_or(Ordering::Equal)
            });
            if let Some(error) = failure {
                return Err(error);
            }
        }
        out.push(Glyph::new('{', false));
        for (i, (key, value)) in entries.into_iter().enumerate() {
            self.before(i, depth + 1, out);
            match (key, scalar(key)) {
                (Value::Str(key), _) => self.string(key, out)?,
                (_, Some(key)) => self.string(&glyphs(&key), out)?,
                _ => {
                    let kind = key.type_name();
                    let what = format!("keys must be str, int, float, bool or None, not {kind}");
                    return Err(Error::of_type(what));
                }
            }
            out.extend_from_slice(&self.colon);
            self.write(value, depth + 1, out)?;
        }
        self.line(depth, out);
        out.push(Glyph::new('}', false));
        Ok(())
    }

    fn before(&self, place: usize, depth: usize, out: &mut Vec<Glyph>) {
        if place > 0 {
            out.extend_from_slice(&self.comma);
        }
        self.line(depth, out);
    }

    fn line(&self, depth: usize, out: &mut Vec<Glyph>) {
        if let Some(indent) = &self.indent {
            out.push(Glyph::new('\n', false));
            (0..depth).for_each(|_| out.extend_from_slice(indent));
        }
    }

    fn string(&self, text: &[Glyph], out: &mut Vec<Glyph>) -> Result<()> {
        budget::spend(text.len())?;
        budget::room((out.len() + text.len()) * size_of::<Glyph>())?;
        out.push(Glyph::new('"', false));
        for glyph in text {
            let c = glyph.char();
            let escape = match c {
                '"' => "\\\"".to_owned(),
                '\\' => "\\\\".to_owned(),
                '\n' => "\\n".to_owned(),
                '\r' => "\\r".to_owned(),
                '\t' => "\\t".to_owned(),
                '\u{8}' => "\\b".to_owned(),
                '\u{c}' => "\\f".to_owned(),
                _ if (c as u32) < 0x20 => format!("\\u{:04x}", c as u32),
                _ if self.ascii && !(' '..='~').contains(&c) => {
                    let mut units = [0; 2];
                    c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect()
                }
                _ => {
                    out.push(*glyph);
                    continue;
                }
            };
            out.extend(escape.chars().map(|c| glyph.with(c)));
        }
        out.push(Glyph::new('"', false));
        Ok(())
    }
}

fn scalar(value: &Value) -> Option<String> {
    Some(match value {
        Value::None => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) if value.is_nan() => "NaN".into(),
        Value::Float(value) if value.is_infinite() => if *value > 0.0 { "Infinity" } else { "-Infinity" }.into(),
        Value::Float(value) => repr::float(*value),
        _ => return None,
    })
}
