//! Filters of texts.

use super::text_of;
use crate::args::{Given, int, int_or};
use crate::budget;
use crate::error::{Error, Kind, Result};
use crate::eval::Eval;
use crate::methods::{self, Case};
use crate::percent::WIDEST;
use crate::repr;
use crate::text::{Glyph, Text};
use crate::unicode::{is_alphanumeric, is_space};
use crate::value::Value;

pub(super) fn call(eval: &mut Eval, name: &str, value: &Value, given: Given) -> Result<Value> {
    if name == "join" {
        return join(eval, value, given);
    }
    if name == "replace" {
        let [old, new, count] = given.bind(name, ["old", "new", "count"], 2)?;
        let part = |value: Option<Value>| repr::plain(&value.unwrap_or(Value::None));
        let count = match count {
            None | Some(Value::None) => -1,
            Some(count) => int(&count)?,
        };
        return methods::replace(&repr::plain(value)?, &part(old)?, &part(new)?, count).map(Value::Str);
    }
    let text = text_of(value)?;
    budget::spend(text.len())?;
    Ok(Value::Str(match name {
        "trim" => {
            let [chars] = given.bind(name, ["chars"], 0)?;
            methods::strip(&text, chars.as_ref(), true, true)?
        }
        "center" => {
            let [width] = given.bind(name, ["width"], 0)?;
            let width = usize::try_from(int_or(width.as_ref(), 80)?.max(0)).unwrap_or(usize::MAX);
            if width > WIDEST {
                return Err(Error::new(Kind::Limit, "a text is made too wide"));
            }
            methods::center(&text, width, Glyph::new(' ', false))?
        }
        _ => {
            let [] = given.places(name, 0)?;
            match name {
                "upper" => methods::to_case(&text, Case::Upper),
                "lower" => methods::to_case(&text, Case::Lower),
                "capitalize" => methods::capitalize(&text),
                "title" => title(&text),
                _ => return Ok(Value::from_len(words(&text))),
            }
        }
    }))
}

fn join(eval: &mut Eval, value: &Value, given: Given) -> Result<Value> {
    let [separator, attribute] = given.bind("join", ["d", "attribute"], 0)?;
    let separator = separator.map_or(Ok(Text::plain("")), |separator| repr::plain(&separator))?;
    let items = eval.iterate(value)?;
    let mut parts = Vec::new();
    while let Some(mut item) = eval.next_of(&items)? {
        if let Some(attribute) = attribute.as_ref().filter(|attribute| !matches!(attribute, Value::None)) {
            item = super::sequences::path(eval, item, attribute, None)?;
        }
        parts.push(repr::str(&item)?);
    }
    methods::join(&separator, &parts).map(Value::Str)
}

/// Words begin after white space and `-({[<`.
fn title(text: &Text) -> Text {
    let splits = |g: &Glyph| is_space(g.char()) || matches!(g.char(), '-' | '(' | '{' | '[' | '<');
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let between = text[at..].iter().take_while(|g| splits(g)).count();
        out.extend_from_slice(&text[at..at + between]);
        at += between;
        let word = text[at..].iter().take_while(|g| !splits(g)).count();
        out.extend(methods::title_word(&text[at..at + word]));
        at += word;
    }
    Text::new(out)
}

fn words(text: &[Glyph]) -> usize {
    let mut in_word = false;
    let mut count = 0;
    for glyph in text {
        let is_word = glyph.is('_') || is_alphanumeric(glyph.char());
        count += usize::from(is_word && !in_word);
        in_word = is_word;
    }
    count
}
