//! Of strings. What a method takes out of a text keeps its characters' origins.

use super::{missing, not_found};
use crate::args::{Given, int, int_or, text};
use crate::budget;
use crate::error::{Error, Result};
use crate::eval::Eval;
use crate::format;
use crate::percent::WIDEST;
use crate::repr::escape;
use crate::text::{Glyph, Text, glyphs, occurrences};
use crate::unicode::{self, is_line_break, is_space};
use crate::value::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Upper,
    Lower,
    Swap,
    Fold,
    Title,
}

pub(super) fn call(eval: &mut Eval, this: &Text, name: &'static str, given: Given) -> Result<Value> {
    budget::spend(this.len())?;
    let none = |given: Given| given.places::<0>(name, 0).map(|[]| ());
    let case = |given: Given, case| {
        none(given)?;
        Ok(Value::Str(to_case(this, case)))
    };
    match name {
        "upper" => case(given, Case::Upper),
        "lower" => case(given, Case::Lower),
        "swapcase" => case(given, Case::Swap),
        "casefold" => case(given, Case::Fold),
        "title" => case(given, Case::Title),
        "capitalize" => {
            none(given)?;
            Ok(Value::Str(capitalize(this)))
        }
        "strip" | "lstrip" | "rstrip" => {
            let [chars] = given.places(name, 0)?;
            strip(this, chars.as_ref(), name != "rstrip", name != "lstrip").map(Value::Str)
        }
        "split" | "rsplit" => split(this, name, given),
        "splitlines" => {
            let [keep] = given.bind(name, ["keepends"], 0)?;
            let keep = int_or(keep.as_ref(), 0)? != 0;
            Value::list(cut_lines(this, keep).into_iter().map(|line| Value::Str(this.part(line))).collect())
        }
        "partition" | "rpartition" => partition(this, name, given),
        "replace" => {
            let [old, new, count] = given.places(name, 2)?;
            let (old, new) = (old.unwrap_or(Value::None), new.unwrap_or(Value::None));
            let count = int_or(count.as_ref(), -1)?;
            let new = if this.is_safe() { escape(&new)? } else { text(&new, "replace()")?.clone() };
            replace(this, text(&old, "replace()")?, &new, count).map(Value::Str)
        }
        "startswith" | "endswith" => ends(this, name, given),
        "removeprefix" => {
            let [prefix] = given.places(name, 1)?;
            let prefix = prefix.unwrap_or(Value::None);
            let len = text(&prefix, "removeprefix()")?.len();
            let cut = if this.starts_with(text(&prefix, "removeprefix()")?) { len } else { 0 };
            Ok(Value::Str(this.part(cut..this.len())))
        }
        "removesuffix" => {
            let [suffix] = given.places(name, 1)?;
            let suffix = suffix.unwrap_or(Value::None);
            let suffix = text(&suffix, "removesuffix()")?;
            let cut = if this.ends_with(suffix) { suffix.len() } else { 0 };
            Ok(Value::Str(this.part(0..this.len() - cut)))
        }
        "find" | "rfind" | "index" | "rindex" | "count" => search(this, name, given),
        "join" => {
            let [items] = given.places(name, 1)?;
            let items = eval.collect_from(&items.unwrap_or(Value::None)).map_err(|error| match error.kind {
                crate::Kind::Type => Error::of_type("can only join an iterable"),
                _ => error,
            })?;
            let mut parts = Vec::with_capacity(items.len());
            for (i, item) in items.iter().enumerate() {
                let kind = item.type_name();
                match item {
                    _ if this.is_safe() => parts.push(escape(item)?),
                    Value::Str(text) => parts.push(text.clone()),
                    _ => {
                        let what = format!("sequence item {i}: expected str instance, {kind} found");
                        return Err(Error::of_type(what));
                    }
                }
            }
            join(this, &parts).map(Value::Str)
        }
        "format" => format::format(eval, this, &given, None).map(Value::Str),
        "format_map" => {
            let [map] = given.places(name, 1)?;
            format::format(eval, this, &Given::default(), map.as_ref()).map(Value::Str)
        }
        "center" | "ljust" | "rjust" => {
            let [width, fill] = given.places(name, 1)?;
            let fill = match &fill {
                None => Glyph::new(' ', false),
                Some(fill) => match text(fill, name)?.as_ref() {
                    [fill] => *fill,
                    _ => return Err(Error::of_type("The fill character must be exactly one character long")),
                },
            };
            let width = width_of(&width.unwrap_or(Value::None))?;
            let space = width.saturating_sub(this.len());
            let (before, after) = match name {
                "center" => return center(this, width, fill).map(Value::Str),
                "ljust" => (0, space),
                _ => (space, 0),
            };
            Ok(Value::Str(padded(this, before, after, fill)))
        }
        "zfill" => {
            let [width] = given.places(name, 1)?;
            let zeros = width_of(&width.unwrap_or(Value::None))?.saturating_sub(this.len());
            let sign = usize::from(this.first().is_some_and(|g| g.is('-') || g.is('+')));
            let zeros = std::iter::repeat_n(Glyph::new('0', false), zeros);
            let filled = this[..sign].iter().copied().chain(zeros).chain(this[sign..].iter().copied());
            Ok(Value::Str(this.like(filled.collect())))
        }
        "expandtabs" => {
            let [size] = given.bind(name, ["tabsize"], 0)?;
            expand_tabs(this, int_or(size.as_ref(), 8)?).map(Value::Str)
        }
        "encode" | "translate" | "maketrans" | "unescape" => Err(missing(&Value::Str(this.clone()), name)),
        "striptags" => collapse(this).map(Value::Str),
        "escape" => {
            let [value] = given.places(name, 1)?;
            escape(&value.unwrap_or(Value::None)).map(Value::Str)
        }
        _ => {
            none(given)?;
            Ok(Value::Bool(is(this, name)))
        }
    }
}

fn is(this: &[Glyph], name: &str) -> bool {
    let all = |test: fn(char) -> bool| !this.is_empty() && this.iter().all(|g| test(g.char()));
    let cased = || this.iter().map(|g| g.char()).any(unicode::is_cased);
    let other = |test: fn(char) -> bool| this.iter().any(|g| test(g.char()) || unicode::is_title(g.char()));
    match name {
        "isalnum" => all(unicode::is_alphanumeric),
        "isalpha" => all(unicode::is_letter),
        "isascii" => this.iter().all(|g| g.char().is_ascii()),
        "isdecimal" => all(|c| unicode::decimal(c).is_some()),
        "isdigit" => all(unicode::is_digit),
        "isnumeric" => all(unicode::is_numeric),
        "isspace" => all(is_space),
        "isprintable" => this.iter().all(|g| unicode::is_printable(g.char())),
        "islower" => cased() && !other(char::is_uppercase),
        "isupper" => cased() && !other(char::is_lowercase),
        "isidentifier" => {
            let first = this.first().map(|g| g.char());
            first.is_some_and(|c| c == '_' || unicode::is_letter(c))
                && all(|c| c == '_' || unicode::is_letter(c) || unicode::decimal(c).is_some())
        }
        "istitle" => {
            let (mut any, mut in_word) = (false, false);
            for c in this.iter().map(|g| g.char()) {
                let starts = c.is_uppercase() || unicode::is_title(c);
                if starts && in_word || c.is_lowercase() && !in_word {
                    return false;
                }
                in_word = unicode::is_cased(c);
                any |= in_word;
            }
            any
        }
        _ => false,
    }
}

/// One character in another case, in its place in a text: a Σ at the end of a word is small in its own way.
fn cased(text: &[Glyph], at: usize, case: Case) -> Vec<char> {
    let c = text[at].char();
    match case {
        Case::Upper => c.to_uppercase().collect(),
        Case::Fold => unicode::casefold(c),
        Case::Title => unicode::titlecase(c),
        Case::Lower if c == 'Σ' => {
            let letter = |g: &&Glyph| !unicode::is_case_ignorable(g.char());
            let before = text[..at].iter().rev().find(letter).is_some_and(|g| unicode::is_cased(g.char()));
            let after = text[at + 1..].iter().find(letter).is_some_and(|g| unicode::is_cased(g.char()));
            vec![if before && !after { 'ς' } else { 'σ' }]
        }
        Case::Lower => c.to_lowercase().collect(),
        Case::Swap if c.is_uppercase() => cased(text, at, Case::Lower),
        Case::Swap if c.is_lowercase() => c.to_uppercase().collect(),
        Case::Swap => vec![c],
    }
}

pub(crate) fn to_case(this: &Text, case: Case) -> Text {
    let mut out = Vec::with_capacity(this.len());
    let mut in_word = false;
    for (at, glyph) in this.iter().enumerate() {
        let case = if case == Case::Title && in_word { Case::Lower } else { case };
        in_word = unicode::is_cased(glyph.char());
        out.extend(cased(this, at, case).into_iter().map(|c| glyph.with(c)));
    }
    this.like(out)
}

/// The first character large, the others small.
pub(crate) fn capitalize(this: &Text) -> Text {
    let mut out = Vec::with_capacity(this.len());
    for (at, glyph) in this.iter().enumerate() {
        let case = if at == 0 { Case::Title } else { Case::Lower };
        out.extend(cased(this, at, case).into_iter().map(|c| glyph.with(c)));
    }
    this.like(out)
}

/// The filter's word: the first character large (and not in title case), the others small.
pub(crate) fn title_word(word: &[Glyph]) -> Vec<Glyph> {
    let mut out = Vec::with_capacity(word.len());
    for (at, glyph) in word.iter().enumerate() {
        // The rest is a string of its own, of which a Σ may be the first.
        let (text, at, case) = if at == 0 { (word, 0, Case::Upper) } else { (&word[1..], at - 1, Case::Lower) };
        out.extend(cased(text, at, case).into_iter().map(|c| glyph.with(c)));
    }
    out
}

pub(crate) fn strip(this: &Text, chars: Option<&Value>, left: bool, right: bool) -> Result<Text> {
    let chars = match chars {
        None | Some(Value::None) => None,
        Some(Value::Str(chars)) => Some(chars),
        Some(other) => {
            return Err(Error::of_type(format!("strip arg must be None or str, not {}", other.type_name())));
        }
    };
    budget::spend(this.len().saturating_mul(chars.map_or(1, |chars| chars.len())))?;
    let goes = |glyph: &Glyph| chars.map_or(is_space(glyph.char()), |chars| chars.contains(glyph));
    let start = if left { this.iter().take_while(|g| goes(g)).count() } else { 0 };
    let end = if right { this[start..].iter().rev().take_while(|g| goes(g)).count() } else { 0 };
    Ok(this.part(start..this.len() - end))
}

fn split(this: &Text, name: &'static str, given: Given) -> Result<Value> {
    let [separator, most] = given.bind(name, ["sep", "maxsplit"], 0)?;
    let most = usize::try_from(int_or(most.as_ref(), -1)?).unwrap_or(usize::MAX);
    let parts = match separator {
        None | Some(Value::None) if name == "split" => split_spaces(this, most),
        None | Some(Value::None) => split_spaces_from_right(this, most),
        Some(separator) => {
            let separator = text(&separator, "split()")?;
            if separator.is_empty() {
                return Err(Error::of_value("empty separator"));
            }
            let places = match name {
                "split" => occurrences(this, separator, 0, most),
                _ => last_occurrences(this, separator, most),
            };
            let mut parts = Vec::new();
            let mut start = 0;
            for at in places {
                parts.push(start..at);
                start = at + separator.len();
            }
            parts.push(start..this.len());
            parts
        }
    };
    budget::room(parts.len() * size_of::<Value>() + this.len() * size_of::<Glyph>())?;
    Value::list(parts.into_iter().map(|part| Value::Str(this.part(part))).collect())
}

type Parts = Vec<std::ops::Range<usize>>;

/// Words, and where there are more than `most` + 1 the rest as it is.
pub(crate) fn split_spaces(this: &[Glyph], most: usize) -> Parts {
    let mut parts = Vec::new();
    let mut at = 0;
    loop {
        at += this[at..].iter().take_while(|g| is_space(g.char())).count();
        if at == this.len() {
            return parts;
        }
        if parts.len() == most {
            parts.push(at..this.len());
            return parts;
        }
        let len = this[at..].iter().take_while(|g| !is_space(g.char())).count();
        parts.push(at..at + len);
        at += len;
    }
}

fn split_spaces_from_right(this: &[Glyph], most: usize) -> Parts {
    let reversed: Vec<Glyph> = this.iter().rev().copied().collect();
    let len = this.len();
    split_spaces(&reversed, most).into_iter().rev().map(|part| len - part.end..len - part.start).collect()
}

/// The last places of a part, in order, counted from the end.
fn last_occurrences(this: &[Glyph], part: &[Glyph], most: usize) -> Vec<usize> {
    let reversed: Vec<Glyph> = this.iter().rev().copied().collect();
    let part: Vec<Glyph> = part.iter().rev().copied().collect();
    let places = occurrences(&reversed, &part, 0, most);
    places.into_iter().rev().map(|at| this.len() - at - part.len()).collect()
}

/// Lines, with their ends or without.
pub(crate) fn cut_lines(this: &[Glyph], keep: bool) -> Parts {
    let mut lines = Vec::new();
    let mut start = 0;
    while start < this.len() {
        let len = this[start..].iter().take_while(|g| !is_line_break(g.char())).count();
        let end = start + len;
        let crlf = this.get(end).is_some_and(|g| g.is('\r')) && this.get(end + 1).is_some_and(|g| g.is('\n'));
        let next = (end + 1 + usize::from(crlf)).min(this.len());
        lines.push(start..if keep { next } else { end });
        start = next;
    }
    lines
}

fn partition(this: &Text, name: &str, given: Given) -> Result<Value> {
    let [separator] = given.places(name, 1)?;
    let separator = separator.unwrap_or(Value::None);
    let separator = text(&separator, name)?;
    if separator.is_empty() {
        return Err(Error::of_value("empty separator"));
    }
    let forward = name == "partition";
    let places = if forward { occurrences(this, separator, 0, 1) } else { last_occurrences(this, separator, 1) };
    let end = this.len();
    let [a, b] = match places.first() {
        Some(at) => [*at, at + separator.len()],
        None if forward => [end, end],
        None => [0, 0],
    };
    let parts = [0..a, a..b, b..end];
    Value::tuple(parts.into_iter().map(|part| Value::Str(this.part(part))).collect())
}

pub(crate) fn replace(this: &Text, old: &[Glyph], new: &[Glyph], count: i128) -> Result<Text> {
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    let places = if old.is_empty() {
        // Before every character, and at the end.
        (0..=this.len()).take(most).collect()
    } else {
        occurrences(this, old, 0, most)
    };
    let added = places.len().saturating_mul(new.len());
    budget::room(this.len().saturating_add(added).saturating_mul(size_of::<Glyph>()))?;
    budget::spend(this.len().saturating_add(added))?;
    let mut out = Vec::with_capacity(this.len() + added - places.len() * old.len().min(this.len()));
    let mut start = 0;
    for at in places {
        out.extend_from_slice(&this[start..at]);
        out.extend_from_slice(new);
        start = at + old.len();
    }
    out.extend_from_slice(&this[start..]);
    Ok(this.like(out))
}

/// A part of a text by Python's bounds; none where the beginning lies behind the end.
fn bounds(len: usize, start: Option<&Value>, stop: Option<&Value>) -> Result<Option<(usize, usize)>> {
    let signed = len as i128;
    let bound = |value: Option<&Value>, default: i128| match value {
        None | Some(Value::None) => Ok(default),
        Some(value) => int(value).map(|at| if at < 0 { at.saturating_add(signed).max(0) } else { at }),
    };
    let (start, stop) = (bound(start, 0)?, bound(stop, signed)?.min(signed));
    Ok((start <= stop).then_some((start as usize, stop as usize)))
}

fn ends(this: &Text, name: &'static str, given: Given) -> Result<Value> {
    let [part, start, stop] = given.places(name, 1)?;
    let part = part.unwrap_or(Value::None);
    let candidates: Vec<&Text> = match &part {
        Value::Str(text) => vec![text],
        Value::Tuple(items) => items.iter().map(|item| text(item, name)).collect::<Result<_>>()?,
        other => {
            let kind = other.type_name();
            return Err(Error::of_type(format!("{name} first arg must be str or a tuple of str, not {kind}")));
        }
    };
    let Some((start, stop)) = bounds(this.len(), start.as_ref(), stop.as_ref())? else {
        return Ok(Value::Bool(false));
    };
    let this = &this[start..stop];
    let fits = |part: &&Text| if name == "startswith" { this.starts_with(part) } else { this.ends_with(part) };
    Ok(Value::Bool(candidates.iter().any(fits)))
}

fn search(this: &Text, name: &'static str, given: Given) -> Result<Value> {
    let [part, start, stop] = given.places(name, 1)?;
    let part = part.unwrap_or(Value::None);
    let part = text(&part, name)?;
    let range = bounds(this.len(), start.as_ref(), stop.as_ref())?;
    let found = range.map_or(Vec::new(), |(start, stop)| {
        let within = &this[start..stop];
        let places = match name {
            _ if part.is_empty() => (0..=within.len()).collect(),
            "count" => occurrences(within, part, 0, usize::MAX),
            "find" | "index" => occurrences(within, part, 0, 1),
            _ => last_occurrences(within, part, 1),
        };
        places.into_iter().map(|at| at + start).collect()
    });
    let place = if name.starts_with('r') { found.last() } else { found.first() };
    match (name, place) {
        ("count", _) => Ok(Value::from_len(found.len())),
        (_, Some(at)) => Ok(Value::from_len(*at)),
        ("find" | "rfind", None) => Ok(Value::Int(-1)),
        _ => Err(not_found("substring not found")),
    }
}

pub(crate) fn join(this: &Text, parts: &[Text]) -> Result<Text> {
    let total: usize = parts.iter().map(|part| part.len()).sum::<usize>() + this.len() * parts.len();
    budget::room(total.saturating_mul(size_of::<Glyph>()))?;
    budget::spend(total)?;
    let mut out = Vec::with_capacity(total);
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            out.extend_from_slice(this);
        }
        out.extend_from_slice(part);
    }
    Ok(this.like(out))
}

fn width_of(value: &Value) -> Result<usize> {
    let width = int(value)?.max(0);
    match usize::try_from(width) {
        Ok(width) if width <= WIDEST => Ok(width),
        _ => Err(Error::new(crate::Kind::Limit, "a text is made too wide")),
    }
}

fn padded(this: &Text, before: usize, after: usize, fill: Glyph) -> Text {
    let pad = |n| std::iter::repeat_n(fill, n);
    this.like(pad(before).chain(this.iter().copied()).chain(pad(after)).collect())
}

pub(crate) fn center(this: &Text, width: usize, fill: Glyph) -> Result<Text> {
    budget::spend(width)?;
    let space = width.saturating_sub(this.len());
    // CPython's: an odd rest goes to the left where the width is odd.
    let before = space / 2 + (space & width & 1);
    Ok(padded(this, before, space - before, fill))
}

fn expand_tabs(this: &Text, size: i128) -> Result<Text> {
    let size = usize::try_from(size.clamp(0, WIDEST as i128)).unwrap_or(0);
    let mut out = Vec::with_capacity(this.len());
    let mut column = 0;
    for glyph in this.iter() {
        match glyph.char() {
            '\t' => {
                let spaces = if size == 0 { 0 } else { size - column % size };
                budget::room((out.len() + spaces) * size_of::<Glyph>())?;
                budget::spend(spaces)?;
                out.extend(std::iter::repeat_n(glyph.with(' '), spaces));
                column += spaces;
            }
            c => {
                column = if matches!(c, '\n' | '\r') { 0 } else { column + 1 };
                out.push(*glyph);
            }
        }
    }
    Ok(this.like(out))
}

/// MarkupSafe's `striptags`: comments and tags gone, white space single, and no entity left.
pub(crate) fn collapse(this: &Text) -> Result<Text> {
    let mut text = this.to_vec();
    for (open, close) in [("<!--", "-->"), ("<", ">")] {
        let (open, close) = (glyphs(open), glyphs(close));
        let mut from = 0;
        let mut kept = Vec::with_capacity(text.len());
        while let Some(start) = occurrences(&text, &open, from, 1).first().copied() {
            let Some(end) = occurrences(&text, &close, start, 1).first().copied() else { break };
            budget::spend(end - from)?;
            kept.extend_from_slice(&text[from..start]);
            from = end + close.len();
        }
        kept.extend_from_slice(&text[from..]);
        text = kept;
    }
    let words = split_spaces(&text, usize::MAX);
    let words: Vec<Text> = words.into_iter().map(|word| Text::new(text[word].to_vec())).collect();
    let text = join(&Text::plain(" "), &words)?;
    if text.iter().any(|g| g.is('&')) {
        return Err(Error::unsupported("striptags of a text with '&' in it"));
    }
    Ok(text)
}
