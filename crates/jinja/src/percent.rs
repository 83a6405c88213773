//! `format % values`.

use crate::args::shown;
use crate::budget;
use crate::error::{Error, Kind, Result};
use crate::eval::Eval;
use crate::numbers;
use crate::operators::{Number, index};
use crate::repr;
use crate::text::{Glyph, Text, glyphs, string};
use crate::value::{Object, Value};

/// The widest field: memory is bounded, and no template needs more.
pub(crate) const WIDEST: usize = 1 << 20;

#[derive(Default)]
struct Spec {
    left: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

struct Values<'v> {
    given: &'v Value,
    at: usize,
}

impl Values<'_> {
    fn next(&mut self) -> Result<Value> {
        let missing = || Error::of_type("not enough arguments for format string");
        let at = self.at;
        self.at += 1;
        match self.given {
            Value::Tuple(items) => items.get(at).cloned().ok_or_else(missing),
            value if at == 0 => Ok(value.clone()),
            _ => Err(missing()),
        }
    }

    /// What is not used is a mistake, but for a mapping, and what could be one.
    fn done(&self) -> Result<()> {
        let all = match self.given {
            Value::Tuple(items) => self.at >= items.len(),
            Value::Dict(_) | Value::List(_) | Value::Undefined(_) => true,
            Value::Object(object) if matches!(**object, Object::Range(_)) => true,
            _ => self.at > 0,
        };
        if all { Ok(()) } else { Err(Error::of_type("not all arguments converted during string formatting")) }
    }
}

pub(crate) fn format(_eval: &mut Eval, format: &Text, given: &Value) -> Result<Text> {
    budget::spend(format.len())?;
    let mut values = Values { given, at: 0 };
    let mut out: Vec<Glyph> = Vec::new();
    let mut at = 0;
    let get = |at: usize| format.get(at).map(|g| g.char());
    while at < format.len() {
        if !format[at].is('%') {
            out.push(format[at]);
            at += 1;
            continue;
        }
        let percent = at;
        at += 1;
        if get(at) == Some('%') {
            out.push(format[at]);
            at += 1;
            continue;
        }
        let mut keyed = None;
        if get(at) == Some('(') {
            let mut depth = 1;
            let start = at + 1;
            at = start;
            while depth > 0 {
                match get(at) {
                    Some('(') => depth += 1,
                    Some(')') => depth -= 1,
                    Some(_) => {}
                    None => return Err(Error::of_value("incomplete format key")),
                }
                at += 1;
            }
            let Value::Dict(dict) = given else { return Err(Error::of_type("format requires a mapping")) };
            let key = Value::Str(format.part(start..at - 1).marked(false));
            let found = dict.get(&key)?;
            keyed = Some(found.ok_or_else(|| Error::new(Kind::Lookup, shown(&key)))?);
        }
        let mut spec = Spec::default();
        while let Some(c) = get(at) {
            match c {
                '-' => spec.left = true,
                '+' => spec.plus = true,
                ' ' => spec.space = true,
                '#' => spec.alternate = true,
                '0' => spec.zero = true,
                _ => break,
            }
            at += 1;
        }
        let mut number = |at: &mut usize| -> Result<i128> {
            if get(*at) == Some('*') {
                *at += 1;
                return index(&values.next()?).ok_or_else(|| Error::of_type("* wants int"));
            }
            let mut number = 0i128;
            while let Some(digit) = get(*at).and_then(|c| c.to_digit(10)) {
                number = number.saturating_mul(10).saturating_add(i128::from(digit));
                *at += 1;
            }
            Ok(number)
        };
        let width = number(&mut at)?;
        spec.left |= width < 0;
        spec.width = usize::try_from(width.unsigned_abs()).unwrap_or(usize::MAX);
        if get(at) == Some('.') {
            at += 1;
            spec.precision = Some(usize::try_from(number(&mut at)?.max(0)).unwrap_or(usize::MAX));
        }
        if spec.width > WIDEST {
            return Err(Error::new(Kind::Limit, "a field in a format is too wide"));
        }
        while matches!(get(at), Some('h' | 'l' | 'L')) {
            at += 1;
        }
        let Some(letter) = get(at) else { return Err(Error::of_value("incomplete format")) };
        at += 1;
        if letter == '%' {
            out.push(format[at - 1]);
            continue;
        }
        let value = match keyed {
            Some(value) => value,
            None => values.next()?,
        };
        let safe = format.is_safe();
        let (sign, body) = field(&value, letter, &spec, safe, percent)?;
        budget::room((out.len() + body.len() + spec.width) * size_of::<Glyph>())?;
        budget::spend(body.len() + spec.width)?;
        let fill = spec.width.saturating_sub(sign.len() + body.len());
        let numeric = !matches!(letter, 's' | 'r' | 'a' | 'c');
        let zeros = spec.zero && numeric && !spec.left;
        let pad = |c| std::iter::repeat_n(Glyph::new(c, false), fill);
        if !spec.left && !zeros {
            out.extend(pad(' '));
        }
        out.extend(glyphs(&sign));
        if zeros {
            out.extend(pad('0'));
        }
        out.extend(body);
        if spec.left {
            out.extend(pad(' '));
        }
    }
    values.done()?;
    Ok(format.like(out))
}

/// A value's sign with its prefix, and the rest of it.
fn field(value: &Value, letter: char, spec: &Spec, safe: bool, at: usize) -> Result<(String, Vec<Glyph>)> {
    let cut = |text: Text| {
        let len = spec.precision.map_or(text.len(), |precision| precision.min(text.len()));
        text[..len].to_vec()
    };
    let sign = |negative: bool| match negative {
        true => "-",
        false if spec.plus => "+",
        false if spec.space => " ",
        false => "",
    };
    match letter {
        's' => {
            let text = if safe { repr::escape(value)? } else { repr::str(value)? };
            Ok((String::new(), cut(text)))
        }
        'r' => {
            let text = Value::Str(repr::repr(value)?);
            Ok((String::new(), cut(if safe { repr::escape(&text)? } else { repr::str(&text)? })))
        }
        'a' => {
            let text = repr::repr(value)?;
            let mut ascii = Vec::new();
            for glyph in text.iter() {
                match glyph.char() as u32 {
                    0..=0x7f => ascii.push(*glyph),
                    code @ ..=0xff => ascii.extend(format!("\\x{code:02x}").chars().map(|c| glyph.with(c))),
                    code @ ..=0xffff => ascii.extend(format!("\\u{code:04x}").chars().map(|c| glyph.with(c))),
                    code => ascii.extend(format!("\\U{code:08x}").chars().map(|c| glyph.with(c))),
                }
            }
            Ok((String::new(), cut(Text::new(ascii))))
        }
        'c' => match value {
            Value::Str(text) if text.len() == 1 => Ok((String::new(), text.to_vec())),
            _ => {
                let code = index(value).ok_or_else(|| Error::of_type("%c requires int or char"))?;
                let c = u32::try_from(code).ok().and_then(char::from_u32);
                let c = c.ok_or_else(|| Error::new(Kind::Overflow, "%c arg not in range(0x110000)"))?;
                Ok((String::new(), vec![Glyph::new(c, false)]))
            }
        },
        'd' | 'i' | 'u' | 'o' | 'x' | 'X' => {
            let whole = match Number::of(value) {
                Some(Number::Int(value)) => value,
                Some(Number::Float(value)) if matches!(letter, 'd' | 'i' | 'u') => truncated(value)?,
                _ => {
                    value.defined()?;
                    let wanted = if matches!(letter, 'd' | 'i' | 'u') { "a real number" } else { "an integer" };
                    let kind = value.type_name();
                    return Err(Error::of_type(format!("%{letter} format: {wanted} is required, not {kind}")));
                }
            };
            let (digits, prefix) = numbers::integer(whole, letter).unwrap_or_default();
            let zeros = spec.precision.unwrap_or(0).saturating_sub(digits.len());
            if zeros > WIDEST {
                return Err(Error::new(Kind::Limit, "a field in a format is too wide"));
            }
            let prefix = if spec.alternate { prefix } else { "" };
            Ok((format!("{}{prefix}", sign(whole < 0)), glyphs(&("0".repeat(zeros) + &digits))))
        }
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
            value.defined()?;
            let Some(number) = Number::of(value) else {
                return Err(Error::of_type(format!("must be real number, not {}", value.type_name())));
            };
            let number = number.float();
            let text = numbers::float(number, Some(letter), spec.precision, spec.alternate)?;
            Ok((sign(number.is_sign_negative() && !number.is_nan()).to_owned(), glyphs(&text)))
        }
        _ => {
            let what = string(&[Glyph::new(letter, false)]);
            Err(Error::of_value(format!("unsupported format character '{what}' at index {at}")))
        }
    }
}

pub(crate) fn truncated(value: f64) -> Result<i128> {
    if value.is_nan() {
        return Err(Error::of_value("cannot convert float NaN to integer"));
    }
    if value.is_infinite() {
        return Err(Error::new(Kind::Overflow, "cannot convert float infinity to integer"));
    }
    if value.abs() > 1.7e38 {
        return Err(Error::new(Kind::Overflow, "a number is larger than this engine counts"));
    }
    Ok(value.trunc() as i128)
}
