//! `str` and `repr`, as Python writes them.

use crate::budget;
use crate::error::{Error, Result};
use crate::text::{Glyph, Text};
use crate::unicode;
use crate::value::{Dict, Function, Object, Value, View};

/// `str(value)`: what a template prints.
pub(crate) fn str(value: &Value) -> Result<Text> {
    match value {
        Value::Str(text) => Ok(text.clone()),
        Value::Undefined(_) => Ok(Text::plain("")),
        _ => {
            let mut out = Vec::new();
            write(value, &mut out)?;
            Ok(Text::new(out))
        }
    }
}

/// `str(value)` as a plain `str`, where it may be `Markup`.
pub(crate) fn plain(value: &Value) -> Result<Text> {
    Ok(str(value)?.marked(false))
}

pub(crate) fn repr(value: &Value) -> Result<Text> {
    let mut out = Vec::new();
    write(value, &mut out)?;
    Ok(Text::new(out))
}

fn push(out: &mut Vec<Glyph>, text: &str) {
    out.extend(text.chars().map(|c| Glyph::new(c, false)));
}

pub(crate) fn write(value: &Value, out: &mut Vec<Glyph>) -> Result<()> {
    budget::spend(0)?;
    budget::room(out.len() * size_of::<Glyph>())?;
    match value {
        Value::Undefined(_) => push(out, "Undefined"),
        Value::None => push(out, "None"),
        Value::Bool(value) => push(out, if *value { "True" } else { "False" }),
        Value::Int(value) => push(out, &value.to_string()),
        Value::Float(value) => push(out, &float(*value)),
        Value::Str(text) if text.is_safe() => {
            push(out, "Markup(");
            quoted(text, out)?;
            push(out, ")");
        }
        Value::Str(text) => quoted(text, out)?,
        Value::List(items) => sequence("[", items, "]", out)?,
        Value::Tuple(items) => sequence("(", items, if items.len() == 1 { ",)" } else { ")" }, out)?,
        Value::Dict(dict) => dictionary(dict, out)?,
        Value::Object(object) => match &**object {
            Object::Range(range) => {
                let (start, stop) = (range.start, range.stop());
                let step = if range.step == 1 { String::new() } else { format!(", {}", range.step) };
                push(out, &format!("range({start}, {stop}{step})"));
            }
            Object::View(view, dict) => {
                push(out, value.type_name());
                push(out, "([");
                for (i, (key, value)) in dict.entries().iter().enumerate() {
                    push(out, if i > 0 { ", " } else { "" });
                    match view {
                        View::Keys => write(key, out)?,
                        View::Values => write(value, out)?,
                        View::Items => {
                            push(out, "(");
                            write(key, out)?;
                            push(out, ", ");
                            write(value, out)?;
                            push(out, ")");
                        }
                    }
                }
                push(out, "])");
            }
            Object::Namespace(dict) => {
                push(out, "<Namespace ");
                let dict = dict.try_borrow().map_err(|_| Error::of_value("a namespace within itself"))?;
                // One namespace may be within another, and that within it.
                dict.entries().iter().try_for_each(|(_, value)| not_namespace(value))?;
                dictionary(&dict, out)?;
                push(out, ">");
            }
            Object::Loop(of) => push(out, &of.describe()?),
            Object::Macro(of) => match &of.def.name {
                Some(name) => push(out, &format!("<Macro '{name}'>")),
                None => push(out, "<Macro anonymous>"),
            },
            Object::Function(Function::Dict) => push(out, "<class 'dict'>"),
            Object::Function(Function::Namespace) => push(out, "<class 'jinja2.utils.Namespace'>"),
            Object::Function(Function::Cycler) => push(out, "<class 'jinja2.utils.Cycler'>"),
            Object::Function(Function::Joiner) => push(out, "<class 'jinja2.utils.Joiner'>"),
            Object::Iter(_)
            | Object::Cycler { .. }
            | Object::Joiner { .. }
            | Object::Method(..)
            | Object::Function(_) => {
                let what = format!("writing out a {}, which is an address in memory,", value.type_name());
                return Err(Error::unsupported(what));
            }
        },
    }
    Ok(())
}

fn not_namespace(value: &Value) -> Result<()> {
    match value {
        Value::Object(object) if matches!(**object, Object::Namespace(_)) => {
            Err(Error::unsupported("writing out a namespace within a namespace"))
        }
        Value::List(items) | Value::Tuple(items) => items.iter().try_for_each(not_namespace),
        Value::Dict(dict) => dict.entries().iter().try_for_each(|(_, value)| not_namespace(value)),
        _ => Ok(()),
    }
}

fn sequence(open: &str, items: &[Value], close: &str, out: &mut Vec<Glyph>) -> Result<()> {
    push(out, open);
    for (i, item) in items.iter().enumerate() {
        push(out, if i > 0 { ", " } else { "" });
        write(item, out)?;
    }
    push(out, close);
    Ok(())
}

fn dictionary(dict: &Dict, out: &mut Vec<Glyph>) -> Result<()> {
    push(out, "{");
    for (i, (key, value)) in dict.entries().iter().enumerate() {
        push(out, if i > 0 { ", " } else { "" });
        write(key, out)?;
        push(out, ": ");
        write(value, out)?;
    }
    push(out, "}");
    Ok(())
}

/// In single quotes, or in double ones where that saves escapes.
fn quoted(text: &[Glyph], out: &mut Vec<Glyph>) -> Result<()> {
    budget::spend(text.len())?;
    budget::room((out.len() + text.len()) * size_of::<Glyph>())?;
    let has = |c: char| text.iter().any(|g| g.is(c));
    let quote = if has('\'') && !has('"') { '"' } else { '\'' };
    out.push(Glyph::new(quote, false));
    for glyph in text {
        let c = glyph.char();
        let code = c as u32;
        let escape = match c {
            '\n' => "\\n".to_owned(),
            '\r' => "\\r".to_owned(),
            '\t' => "\\t".to_owned(),
            '\\' => "\\\\".to_owned(),
            _ if c == quote => format!("\\{c}"),
            _ if unicode::is_printable(c) => {
                out.push(*glyph);
                continue;
            }
            _ if code < 0x100 => format!("\\x{code:02x}"),
            _ if code < 0x1_0000 => format!("\\u{code:04x}"),
            _ => format!("\\U{code:08x}"),
        };
        out.extend(escape.chars().map(|c| glyph.with(c)));
    }
    out.push(Glyph::new(quote, false));
    Ok(())
}

/// The shortest digits that read back as the same float, in Python's layout.
pub(crate) fn float(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.into();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = value.to_string();
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// `escape(value)`: for HTML.
pub(crate) fn escape(value: &Value) -> Result<Text> {
    let text = str(value)?;
    if text.is_safe() {
        return Ok(text);
    }
    budget::spend(text.len())?;
    budget::room(text.len() * size_of::<Glyph>())?;
    let mut out = Vec::with_capacity(text.len());
    for glyph in text.iter() {
        let entity = match glyph.char() {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '\'' => "&#39;",
            '"' => "&#34;",
            _ => {
                out.push(*glyph);
                continue;
            }
        };
        out.extend(entity.chars().map(|c| glyph.with(c)));
    }
    Ok(Text::new(out).marked(true))
}
