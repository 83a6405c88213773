//! Filters that lay out texts.

use super::text_of;
use crate::args::{Given, int, int_or};
use crate::budget;
use crate::error::{Error, Kind, Result};
use crate::eval::Eval;
use crate::methods::cut_lines;
use crate::percent::WIDEST;
use crate::repr;
use crate::text::{Glyph, Text, glyphs};
use crate::value::Value;

pub(super) fn call(eval: &mut Eval, name: &str, value: &Value, given: Given) -> Result<Value> {
    match name {
        "indent" => {
            let [width, first, blank] = given.bind(name, ["width", "first", "blank"], 0)?;
            let is_true = |option: Option<Value>| option.is_some_and(|value| value.is_true());
            indent(value, width, is_true(first), is_true(blank))
        }
        "truncate" => truncate(eval, value, given),
        "wordwrap" => wrap(value, given),
        // Values that fit a line look so; others would be laid out over several.
        _ => {
            let [] = given.places(name, 0)?;
            let text = repr::repr(value)?;
            let simple = matches!(value, Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_));
            let sorted = !matches!(value, Value::Dict(_) | Value::List(_) | Value::Tuple(_) | Value::Object(_));
            if simple || sorted && text.len() <= 80 && !text.iter().any(|g| g.is(' ')) {
                return Ok(Value::Str(text));
            }
            Err(Error::unsupported("the filter 'pprint' on anything but a word or a number"))
        }
    }
}

fn string<'v>(value: &'v Value, name: &str) -> Result<&'v Text> {
    value.defined()?;
    match value {
        Value::Str(text) => Ok(text),
        _ => Err(Error::of_type(format!("the filter '{name}' needs a str, not {}", value.type_name()))),
    }
}

fn indent(value: &Value, width: Option<Value>, first: bool, blank: bool) -> Result<Value> {
    let text = string(value, "indent")?;
    let indention = match width {
        Some(Value::Str(width)) => width.to_vec(),
        width => {
            let width = int_or(width.as_ref(), 4)?.clamp(0, WIDEST as i128) as usize;
            glyphs(&" ".repeat(width))
        }
    };
    // The newline at the end makes one line of an empty text.
    let with_end = [&**text, &[Glyph::new('\n', false)]].concat();
    let lines = cut_lines(&with_end, false);
    let total = with_end.len() + lines.len().saturating_mul(indention.len() + 1);
    budget::room(total.saturating_mul(size_of::<Glyph>()))?;
    budget::spend(total)?;
    let mut out = if first { indention.clone() } else { Vec::new() };
    for (i, line) in lines.into_iter().enumerate() {
        if i > 0 {
            out.push(Glyph::new('\n', false));
            if blank || !line.is_empty() {
                out.extend_from_slice(&indention);
            }
        }
        out.extend_from_slice(&with_end[line]);
    }
    Ok(Value::Str(text.like(out)))
}

fn truncate(eval: &mut Eval, value: &Value, given: Given) -> Result<Value> {
    let [length, kill, end, leeway] = given.bind("truncate", ["length", "killwords", "end", "leeway"], 0)?;
    let length = int_or(length.as_ref(), 255)?;
    let end = match &end {
        None => Text::plain("..."),
        Some(end) => string(end, "truncate")?.clone(),
    };
    let leeway = match &leeway {
        None | Some(Value::None) => 5,
        Some(leeway) => int(leeway)?,
    };
    let wrong = |what: String| Err(Error::new(Kind::Runtime, what));
    if length < end.len() as i128 {
        return wrong(format!("expected length >= {}, got {length}", end.len()));
    }
    if leeway < 0 {
        return wrong(format!("expected leeway >= 0, got {leeway}"));
    }
    // Whatever has a length, as long as nothing is cut.
    let Some(len) = value.len(eval)? else {
        return Err(Error::of_type(format!("object of type '{}' has no len()", value.type_name())));
    };
    if len as i128 <= length.saturating_add(leeway) {
        return Ok(value.clone());
    }
    let text = string(value, "truncate")?;
    let mut kept = &text[..length as usize - end.len()];
    if !kill.is_some_and(|kill| kill.is_true()) {
        kept = &kept[..kept.iter().rposition(|g| g.is(' ')).unwrap_or(kept.len())];
    }
    crate::operators::concat(&text.like(kept.to_vec()), &end).map(Value::Str)
}

fn wrap(value: &Value, given: Given) -> Result<Value> {
    let params = ["width", "break_long_words", "wrapstring", "break_on_hyphens"];
    let [width, break_long, wrapstring, hyphens] = given.bind("wordwrap", params, 0)?;
    let text = string(value, "wordwrap")?;
    let width = int_or(width.as_ref(), 79)?;
    if width <= 0 {
        return Err(Error::of_value(format!("invalid width {width} (must be > 0)")));
    }
    let width = usize::try_from(width).unwrap_or(usize::MAX);
    let break_long = break_long.is_none_or(|option| option.is_true());
    let hyphens = hyphens.is_none_or(|option| option.is_true());
    if hyphens && text.iter().any(|g| g.is('-')) {
        return Err(Error::unsupported("wordwrap of a text with hyphens, which may break at them,"));
    }
    let between = match &wrapstring {
        None | Some(Value::None) => Text::plain("\n"),
        Some(text) => text_of(text)?,
    };
    let mut lines: Vec<Text> = Vec::new();
    for line in cut_lines(text, false) {
        let line = &text[line];
        budget::spend(line.len())?;
        let wrapped = wrap_line(line, width, break_long);
        // An empty line stays one.
        lines.extend(if wrapped.is_empty() { vec![Text::plain("")] } else { wrapped });
    }
    crate::methods::join(&between, &lines).map(Value::Str)
}

/// Python's textwrap: white space at a wrapped line's ends goes, but for the first line's beginning.
fn wrap_line(line: &[Glyph], width: usize, break_long: bool) -> Vec<Text> {
    let is_blank = |g: &Glyph| matches!(g.char(), '\t'..='\r' | ' ');
    let mut chunks: Vec<&[Glyph]> = Vec::new();
    let mut at = 0;
    while at < line.len() {
        let blank = is_blank(&line[at]);
        let len = line[at..].iter().take_while(|g| is_blank(g) == blank).count();
        chunks.push(&line[at..at + len]);
        at += len;
    }
    chunks.reverse();
    let mut lines: Vec<Text> = Vec::new();
    while let Some(chunk) = chunks.last() {
        if !lines.is_empty() && chunk.iter().all(is_blank) {
            chunks.pop();
            if chunks.is_empty() {
                break;
            }
        }
        let mut current: Vec<&[Glyph]> = Vec::new();
        let mut len = 0;
        while let Some(chunk) = chunks.last().filter(|chunk| len + chunk.len() <= width) {
            len += chunk.len();
            current.push(chunk);
            chunks.pop();
        }
        if let Some(chunk) = chunks.last().copied().filter(|chunk| chunk.len() > width) {
            if break_long {
                let room = if width < 1 { 1 } else { width - len };
                let (taken, rest) = chunk.split_at(room);
                current.push(taken);
                chunks.pop();
                chunks.push(rest);
            } else if current.is_empty() {
                current.push(chunk);
                chunks.pop();
            }
        }
        if current.last().is_some_and(|chunk| chunk.iter().all(is_blank)) {
            current.pop();
        }
        if !current.is_empty() {
            lines.push(Text::new(current.concat()));
        }
    }
    lines
}
