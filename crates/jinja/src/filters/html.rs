//! Filters for HTML and addresses.

use crate::args::{Given, shown};
use crate::budget;
use crate::error::{Error, Result};
use crate::eval::Eval;
use crate::methods;
use crate::repr::{self, escape};
use crate::text::{Glyph, Text, glyphs};
use crate::value::Value;

pub(super) fn call(eval: &mut Eval, name: &str, value: &Value, given: Given) -> Result<Value> {
    match name {
        "e" | "escape" => {
            let [] = given.places(name, 0)?;
            escape(value).map(Value::Str)
        }
        "forceescape" => {
            let [] = given.places(name, 0)?;
            escape(&Value::Str(repr::plain(value)?)).map(Value::Str)
        }
        "safe" => {
            let [] = given.places(name, 0)?;
            Ok(Value::Str(repr::str(value)?.marked(true)))
        }
        "striptags" => {
            let [] = given.places(name, 0)?;
            methods::collapse(&repr::plain(value)?).map(Value::Str)
        }
        "xmlattr" => {
            let [space] = given.bind(name, ["autospace"], 0)?;
            attributes(value, space.is_none_or(|space| space.is_true()))
        }
        "urlencode" => {
            let [] = given.places(name, 0)?;
            url_encode(eval, value)
        }
        _ => Err(Error::unsupported("the filter 'urlize'")),
    }
}

fn attributes(value: &Value, space: bool) -> Result<Value> {
    value.defined()?;
    let Value::Dict(dict) = value else {
        return Err(Error::of_type(format!("'{}' object has no attribute 'items'", value.type_name())));
    };
    let mut out = Vec::new();
    for (key, value) in dict.entries() {
        if matches!(value, Value::None | Value::Undefined(_)) {
            continue;
        }
        let Value::Str(name) = key else { return Err(Error::of_type("expected string or bytes-like object")) };
        let forbidden = |g: &Glyph| matches!(g.char(), ' ' | '\t'..='\r' | '/' | '>' | '=');
        if name.iter().any(forbidden) {
            return Err(Error::of_value(format!("Invalid character in attribute name: {}", shown(key))));
        }
        if space || !out.is_empty() {
            out.push(Glyph::new(' ', false));
        }
        out.extend_from_slice(&escape(key)?);
        out.extend(glyphs("=\""));
        out.extend_from_slice(&escape(value)?);
        out.push(Glyph::new('"', false));
    }
    Ok(Value::Str(Text::new(out)))
}

fn url_encode(eval: &mut Eval, value: &Value) -> Result<Value> {
    let pairs = match value {
        Value::Str(_) => return quote(value, false).map(|out| Value::Str(Text::new(out))),
        Value::Dict(dict) => dict.entries().to_vec(),
        _ => match eval.iterate(value) {
            Err(_) => return quote(value, false).map(|out| Value::Str(Text::new(out))),
            Ok(items) => {
                let mut pairs = Vec::new();
                while let Some(pair) = eval.next_of(&items)? {
                    let mut pair = eval.collect_from(&pair)?;
                    match (pair.pop(), pair.pop(), pair.is_empty()) {
                        (Some(value), Some(key), true) => pairs.push((key, value)),
                        _ => return Err(Error::of_value("not two values to unpack")),
                    }
                }
                pairs
            }
        },
    };
    let mut out = Vec::new();
    for (i, (key, value)) in pairs.iter().enumerate() {
        if i > 0 {
            out.push(Glyph::new('&', false));
        }
        out.extend(quote(key, true)?);
        out.push(Glyph::new('=', false));
        out.extend(quote(value, true)?);
    }
    Ok(Value::Str(Text::new(out)))
}

fn quote(value: &Value, query: bool) -> Result<Vec<Glyph>> {
    let text = repr::str(value)?;
    budget::spend(text.len())?;
    budget::room(text.len() * 4 * size_of::<Glyph>())?;
    let mut out = Vec::with_capacity(text.len());
    for glyph in text.iter() {
        match glyph.char() {
            c if c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '~') => out.push(*glyph),
            '/' if !query => out.push(*glyph),
            ' ' if query => out.push(glyph.with('+')),
            c => {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    out.extend(format!("%{byte:02X}").chars().map(|c| glyph.with(c)));
                }
            }
        }
    }
    Ok(out)
}
