//! `"{}".format(…)`, sandboxed: a field's attributes and items are looked up as the template's own are.

use crate::access;
use crate::args::Given;
use crate::budget;
use crate::error::{Error, Kind, Result};
use crate::eval::Eval;
use crate::numbers;
use crate::operators::Number;
use crate::percent::WIDEST;
use crate::repr;
use crate::text::{Glyph, Text, glyphs, string};
use crate::value::Value;

struct Fields<'g> {
    given: &'g Given,
    /// `format_map`'s.
    map: Option<&'g Value>,
    next: usize,
    numbered: Option<bool>,
}

pub(crate) fn format(eval: &mut Eval, format: &Text, given: &Given, map: Option<&Value>) -> Result<Text> {
    let mut fields = Fields { given, map, next: 0, numbered: None };
    let out = render(eval, format, &mut fields, 3, format.is_safe())?;
    Ok(format.like(out))
}

fn render(eval: &mut Eval, format: &[Glyph], fields: &mut Fields, depth: u8, safe: bool) -> Result<Vec<Glyph>> {
    if depth == 0 {
        return Err(Error::of_value("Max string recursion exceeded"));
    }
    budget::spend(format.len())?;
    let mut out = Vec::new();
    let mut at = 0;
    while at < format.len() {
        let c = format[at].char();
        let next = format.get(at + 1).map(|g| g.char());
        match c {
            '{' | '}' if next == Some(c) => {
                out.push(format[at]);
                at += 2;
            }
            '}' => return Err(Error::of_value("Single '}' encountered in format string")),
            '{' => {
                let end = field_end(format, at + 1)?;
                let text = one(eval, &format[at + 1..end], fields, depth, safe)?;
                budget::room((out.len() + text.len()) * size_of::<Glyph>())?;
                out.extend(text);
                at = end + 1;
            }
            _ => {
                out.push(format[at]);
                at += 1;
            }
        }
    }
    Ok(out)
}

fn field_end(format: &[Glyph], start: usize) -> Result<usize> {
    let mut depth = 1;
    for (at, glyph) in format.iter().enumerate().skip(start) {
        match glyph.char() {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Ok(at);
        }
    }
    Err(Error::of_value(if format.len() == start {
        "Single '{' encountered in format string"
    } else {
        "expected '}' before end of string"
    }))
}

fn one(eval: &mut Eval, field: &[Glyph], fields: &mut Fields, depth: u8, safe: bool) -> Result<Vec<Glyph>> {
    // A bracket may hold a colon.
    let mut in_brackets = false;
    let name_end = field
        .iter()
        .position(|g| {
            in_brackets = match g.char() {
                '[' => true,
                ']' => false,
                _ => in_brackets,
            };
            !in_brackets && matches!(g.char(), '!' | ':')
        })
        .unwrap_or(field.len());
    let (name, mut rest) = field.split_at(name_end);
    let mut conversion = None;
    if rest.first().is_some_and(|g| g.is('!')) {
        conversion = rest.get(1).map(|g| g.char());
        rest = rest.get(2..).unwrap_or_default();
        if rest.first().is_some_and(|g| !g.is(':')) || conversion.is_none() {
            return Err(Error::of_value("expected ':' after conversion specifier"));
        }
    }
    let spec = rest.get(1..).unwrap_or_default();
    let mut value = look_up(eval, name, fields)?;
    let spec = render(eval, spec, fields, depth - 1, false)?;
    match conversion {
        None => {}
        Some('s') => value = Value::Str(repr::plain(&value)?),
        Some('r') => value = Value::Str(repr::repr(&value)?),
        Some('a') => return Err(Error::unsupported("the conversion !a in a format")),
        Some(other) => return Err(Error::of_value(format!("Unknown conversion specifier {other}"))),
    }
    if safe {
        let markup = matches!(&value, Value::Str(text) if text.is_safe());
        let text = if markup { value } else { Value::Str(Text::new(one_value(&value, &spec)?)) };
        return Ok(repr::escape(&text)?.to_vec());
    }
    one_value(&value, &spec)
}

fn look_up(eval: &mut Eval, name: &[Glyph], fields: &mut Fields) -> Result<Value> {
    let first_end = name.iter().position(|g| matches!(g.char(), '.' | '[')).unwrap_or(name.len());
    let first = string(&name[..first_end]);
    let mut number = |auto: bool| match fields.numbered.replace(auto) {
        Some(before) if before != auto => {
            Err(Error::of_value("cannot switch between manual field specification and automatic field numbering"))
        }
        _ => Ok(()),
    };
    let place = if first.is_empty() {
        number(true)?;
        fields.next += 1;
        Some(fields.next - 1)
    } else if first.chars().all(|c| c.is_ascii_digit()) {
        number(false)?;
        Some(first.parse().unwrap_or(usize::MAX))
    } else {
        None
    };
    let mut value = match place {
        Some(place) => fields.given.positional.get(place).cloned().ok_or_else(|| {
            Error::new(Kind::Lookup, format!("Replacement index {place} out of range for positional args tuple"))
        })?,
        None => {
            let found = match fields.map {
                Some(Value::Dict(dict)) => dict.get(&Value::text(&first))?,
                Some(other) => return Err(Error::of_type(format!("'{}' is no mapping", other.type_name()))),
                None => fields.given.named.iter().find(|(this, _)| **this == *first).map(|(_, value)| value.clone()),
            };
            found.ok_or_else(|| Error::new(Kind::Lookup, format!("'{first}'")))?
        }
    };
    let mut at = first_end;
    while at < name.len() {
        if name[at].is('.') {
            let end =
                name[at + 1..].iter().position(|g| matches!(g.char(), '.' | '[')).map_or(name.len(), |n| at + 1 + n);
            let attribute = string(&name[at + 1..end]);
            if attribute.is_empty() {
                return Err(Error::of_value("Empty attribute in format string"));
            }
            value = access::attribute(eval, &value, &attribute)?;
            at = end;
        } else if name[at].is('[') {
            let end = name[at + 1..].iter().position(|g| g.is(']')).map(|n| at + 1 + n);
            let end = end.ok_or_else(|| Error::of_value("Missing ']' in format string"))?;
            let key = string(&name[at + 1..end]);
            if key.is_empty() {
                return Err(Error::of_value("Empty attribute in format string"));
            }
            let key = match key.chars().all(|c| c.is_ascii_digit()) {
                true => key.parse().map_or_else(|_| Value::text(&key), Value::Int),
                false => Value::text(&key),
            };
            value = access::item(eval, &value, &key)?;
            at = end + 1;
        } else {
            return Err(Error::of_value("Only '.' or '[' may follow ']' in format field specifier"));
        }
    }
    Ok(value)
}

#[derive(Default)]
struct Spec {
    fill: Option<Glyph>,
    align: Option<char>,
    sign: Option<char>,
    alternate: bool,
    zero: bool,
    width: usize,
    grouping: Option<char>,
    precision: Option<usize>,
    letter: Option<char>,
}

impl Spec {
    fn read(spec: &[Glyph], kind: &str) -> Result<Self> {
        let mut read = Self::default();
        let is_align = |glyph: Option<&Glyph>| glyph.map(|g| g.char()).filter(|c| matches!(c, '<' | '>' | '=' | '^'));
        let mut at = 0;
        if let Some(align) = is_align(spec.get(1)) {
            (read.fill, read.align) = (spec.first().copied(), Some(align));
            at = 2;
        } else if let Some(align) = is_align(spec.first()) {
            read.align = Some(align);
            at = 1;
        }
        let get = |at: usize| spec.get(at).map(|g| g.char());
        if let Some(sign) = get(at).filter(|c| matches!(c, '+' | '-' | ' ')) {
            read.sign = Some(sign);
            at += 1;
        }
        if get(at) == Some('#') {
            read.alternate = true;
            at += 1;
        }
        if get(at) == Some('0') {
            read.zero = true;
            at += 1;
        }
        let number = |at: &mut usize| {
            let start = *at;
            let mut number = 0usize;
            while let Some(digit) = get(*at).and_then(|c| c.to_digit(10)) {
                number = number.saturating_mul(10).saturating_add(digit as usize);
                *at += 1;
            }
            (*at > start).then_some(number)
        };
        read.width = number(&mut at).unwrap_or(0);
        if let Some(grouping) = get(at).filter(|c| matches!(c, ',' | '_')) {
            read.grouping = Some(grouping);
            at += 1;
        }
        if get(at) == Some('.') {
            at += 1;
            let precision = number(&mut at);
            read.precision = Some(precision.ok_or_else(|| Error::of_value("Format specifier missing precision"))?);
        }
        read.letter = get(at);
        if at + 1 < spec.len() {
            let what = string(spec);
            return Err(Error::of_value(format!("Invalid format specifier '{what}' for object of type '{kind}'")));
        }
        if read.width > WIDEST {
            return Err(Error::new(Kind::Limit, "a field in a format is too wide"));
        }
        Ok(read)
    }

    fn padded(&self, sign: &str, body: Vec<Glyph>, default: char) -> Vec<Glyph> {
        let zero = self.zero && self.align.is_none();
        let align = self.align.unwrap_or(if zero && default == '>' { '=' } else { default });
        let fill = self.fill.unwrap_or(Glyph::new(if self.zero { '0' } else { ' ' }, false));
        let space = self.width.saturating_sub(sign.len() + body.len());
        let (before, inside, after) = match align {
            '<' => (0, 0, space),
            '^' => (space / 2, 0, space - space / 2),
            '=' => (0, space, 0),
            _ => (space, 0, 0),
        };
        let pad = |n| std::iter::repeat_n(fill, n);
        pad(before).chain(glyphs(sign)).chain(pad(inside)).chain(body).chain(pad(after)).collect()
    }
}

/// `format(value, spec)`.
fn one_value(value: &Value, spec: &[Glyph]) -> Result<Vec<Glyph>> {
    if spec.is_empty() {
        return Ok(repr::str(value)?.to_vec());
    }
    let kind = value.type_name();
    let number = match value {
        Value::Str(text) => {
            let spec = Spec::read(spec, kind)?;
            let wrong = spec.sign.is_some() || spec.alternate || spec.align == Some('=') || spec.grouping.is_some();
            if let Some(letter) = spec.letter.filter(|letter| *letter != 's') {
                return Err(Error::of_value(format!("Unknown format code '{letter}' for object of type 'str'")));
            }
            if wrong {
                return Err(Error::of_value("this format specifier is not allowed for a string"));
            }
            let len = spec.precision.map_or(text.len(), |precision| precision.min(text.len()));
            return Ok(spec.padded("", text[..len].to_vec(), '<'));
        }
        _ => Number::of(value),
    };
    let Some(number) = number else {
        return Err(Error::of_type(format!("unsupported format string passed to {kind}.__format__")));
    };
    let spec = Spec::read(spec, kind)?;
    let sign = |negative: bool| match (negative, spec.sign) {
        (true, _) => "-",
        (false, Some('+')) => "+",
        (false, Some(' ')) => " ",
        _ => "",
    };
    let letter = spec.letter;
    if let (Number::Int(number), None | Some('b' | 'c' | 'd' | 'n' | 'o' | 'x' | 'X')) = (number, letter) {
        if spec.precision.is_some() {
            return Err(Error::of_value("Precision not allowed in integer format specifier"));
        }
        if letter == Some('c') {
            let c = u32::try_from(number).ok().and_then(char::from_u32);
            let c = c.ok_or_else(|| Error::new(Kind::Overflow, "%c arg not in range(0x110000)"))?;
            return Ok(spec.padded("", vec![Glyph::new(c, false)], '>'));
        }
        let letter = letter.unwrap_or('d');
        let (digits, prefix) = numbers::integer(number, letter).unwrap_or_default();
        let every = if letter == 'd' || letter == 'n' { 3 } else { 4 };
        if every == 4 && spec.grouping == Some(',') {
            return Err(Error::of_value(format!("Cannot specify ',' with '{letter}'.")));
        }
        let prefix = if spec.alternate { prefix } else { "" };
        return grouped(&spec, &format!("{}{prefix}", sign(number < 0)), &digits, every);
    }
    if !matches!(letter, None | Some('e' | 'E' | 'f' | 'F' | 'g' | 'G' | 'n' | '%')) {
        let letter = letter.unwrap_or(' ');
        return Err(Error::of_value(format!("Unknown format code '{letter}' for object of type '{kind}'")));
    }
    let value = number.float();
    let text = numbers::float(value, letter, spec.precision, spec.alternate)?;
    grouped(&spec, sign(value.is_sign_negative() && !value.is_nan()), &text, 3)
}

fn grouped(spec: &Spec, sign: &str, digits: &str, every: usize) -> Result<Vec<Glyph>> {
    let Some(separator) = spec.grouping else { return Ok(spec.padded(sign, glyphs(digits), '>')) };
    let mut text = numbers::grouped(digits, separator, every);
    // Zeros that fill are grouped too.
    if spec.zero && spec.align.is_none() || spec.align == Some('=') && spec.fill.is_some_and(|g| g.is('0')) {
        let mut padded = digits.to_owned();
        while text.chars().count() + sign.len() < spec.width {
            padded.insert(0, '0');
            text = numbers::grouped(&padded, separator, every);
        }
    }
    Ok(spec.padded(sign, glyphs(&text), '>'))
}
