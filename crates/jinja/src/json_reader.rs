//! JSON as Python's `json.loads` reads it: keys stay in order, integers stay whole.

use crate::error::{Error, Result};
use crate::percent::truncated;
use crate::value::Value;

/// Levels of lists and objects within each other.
const NESTING: usize = 64;

/// `typed`: whether its texts are a visitor's. Keys never are.
///
/// # Errors
/// [`crate::Kind::Value`] for what is no JSON, with the character's place; the budget's.
pub fn from_json(source: &str, typed: bool) -> Result<Value> {
    crate::budget::begin();
    let mut reader = Reader { source: source.chars().collect(), at: 0, typed };
    let value = reader.value(0)?;
    reader.spaces();
    match reader.peek() {
        None => Ok(value),
        Some(_) => reader.fail("nothing more"),
    }
}

struct Reader {
    source: Vec<char>,
    at: usize,
    typed: bool,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.source.get(self.at).copied()
    }

    fn spaces(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.at += 1;
        }
    }

    fn fail<T>(&self, expected: &str) -> Result<T> {
        let line = 1 + self.source[..self.at].iter().filter(|c| **c == '\n').count();
        let column = 1 + self.source[..self.at].iter().rev().take_while(|c| **c != '\n').count();
        Err(Error::of_value(format!("expected {expected} in line {line}, column {column} of the JSON")))
    }

    fn skip(&mut self, text: &str) -> bool {
        let fits = text.chars().enumerate().all(|(i, c)| self.source.get(self.at + i) == Some(&c));
        if fits {
            self.at += text.chars().count();
        }
        fits
    }

    fn value(&mut self, depth: usize) -> Result<Value> {
        if depth > NESTING {
            return Err(Error::of_value(format!("the JSON has more than {NESTING} levels")));
        }
        self.spaces();
        match self.peek() {
            Some('{') => self.object(depth),
            Some('[') => self.list(depth),
            Some('"') => {
                let text = self.string()?;
                Ok(if self.typed { Value::typed(&text) } else { Value::text(&text) })
            }
            Some('-' | '0'..='9' | 'N' | 'I') => self.number(),
            _ if self.skip("null") => Ok(Value::None),
            _ if self.skip("true") => Ok(Value::Bool(true)),
            _ if self.skip("false") => Ok(Value::Bool(false)),
            _ => self.fail("a value"),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value> {
        self.at += 1;
        let mut entries = Vec::new();
        self.spaces();
        if self.skip("}") {
            return Value::dict(entries);
        }
        loop {
            self.spaces();
            if self.peek() != Some('"') {
                return self.fail("a name in double quotes");
            }
            let key = Value::text(&self.string()?);
            self.spaces();
            if !self.skip(":") {
                return self.fail("':'");
            }
            entries.push((key, self.value(depth + 1)?));
            self.spaces();
            if self.skip("}") {
                return Value::dict(entries);
            }
            if !self.skip(",") {
                return self.fail("',' or '}'");
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value> {
        self.at += 1;
        let mut items = Vec::new();
        self.spaces();
        if self.skip("]") {
            return Value::list(items);
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.spaces();
            if self.skip("]") {
                return Value::list(items);
            }
            if !self.skip(",") {
                return self.fail("',' or ']'");
            }
        }
    }

    fn number(&mut self) -> Result<Value> {
        for (word, value) in [("NaN", f64::NAN), ("Infinity", f64::INFINITY), ("-Infinity", f64::NEG_INFINITY)] {
            if self.skip(word) {
                return Ok(Value::Float(value));
            }
        }
        let start = self.at;
        self.at += usize::from(self.peek() == Some('-'));
        let is_number = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        if !is_number(self.peek()) {
            return self.fail("a digit");
        }
        let leading_zero = self.peek() == Some('0');
        while matches!(self.peek(), Some('0'..='9' | '.' | 'e' | 'E' | '+' | '-')) {
            self.at += 1;
        }
        let text: String = self.source[start..self.at].iter().collect();
        let digits = text.trim_start_matches('-');
        let whole = digits.len() == 1 || !leading_zero;
        if digits.chars().all(|c| c.is_ascii_digit()) && whole {
            if let Ok(value) = text.parse() {
                return Ok(Value::Int(value));
            }
            return text.parse().map_err(|_| Error::of_value("no number")).and_then(truncated).map(Value::Int);
        }
        let well_formed = digits.find(['.', 'e', 'E']).is_some_and(|at| at == 1 || !leading_zero) && {
            let after_point = digits.find('.').map(|at| digits[at + 1..].chars().next());
            after_point.is_none_or(is_number)
        };
        match text.parse() {
            Ok(value) if well_formed => Ok(Value::Float(value)),
            _ => self.fail("a number before this"),
        }
    }

    fn string(&mut self) -> Result<String> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let Some(c) = self.peek() else { return self.fail("the end of a string") };
            match c {
                '"' => {
                    self.at += 1;
                    return Ok(out);
                }
                '\\' => {
                    self.at += 1;
                    let Some(escaped) = self.peek() else { return self.fail("an escape") };
                    self.at += 1;
                    match escaped {
                        '"' | '\\' | '/' => out.push(escaped),
                        'b' => out.push('\u{8}'),
                        'f' => out.push('\u{c}'),
                        'n' => out.push('\n'),
                        'r' => out.push('\r'),
                        't' => out.push('\t'),
                        'u' => {
                            let mut code = self.unit()?;
                            if (0xd800..0xdc00).contains(&code) && self.skip("\\u") {
                                let low = self.unit()?;
                                code = 0x1_0000 + ((code - 0xd800) << 10) + low.wrapping_sub(0xdc00) % 0x400;
                            }
                            match char::from_u32(code) {
                                Some(c) => out.push(c),
                                None => return self.fail("the other half of a character"),
                            }
                        }
                        _ => return self.fail("an escape that JSON knows"),
                    }
                }
                c if c < ' ' => return self.fail("no control character in a string"),
                c => {
                    out.push(c);
                    self.at += 1;
                }
            }
        }
    }

    fn unit(&mut self) -> Result<u32> {
        let digits: String = self.source[self.at..].iter().take(4).filter(|c| c.is_ascii_hexdigit()).collect();
        match u32::from_str_radix(&digits, 16) {
            Ok(code) if digits.len() == 4 => {
                self.at += 4;
                Ok(code)
            }
            _ => self.fail("four hexadecimal digits"),
        }
    }
}
