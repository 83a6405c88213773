//! Numbers and strings as the source writes them.

use crate::error::{Error, Kind, Result};
use crate::lexer::Token;

/// The number at a place, and how many characters it has; none where there is no number.
pub(crate) fn number(source: &[char], at: usize) -> Option<(Result<Token>, usize)> {
    let first = *source.get(at)?;
    if !first.is_ascii_digit() {
        return None;
    }
    let get = |i: usize| source.get(at + i).copied();
    let follows_dot = at > 0 && source[at - 1] == '.';
    if let Some(len) = float_len(source, at).filter(|_| !follows_dot) {
        let text: String = source[at..at + len].iter().filter(|c| **c != '_').collect();
        let value = text.parse().map_err(|_| Error::of_value(format!("no number: {text}")));
        return Some((value.map(Token::Float), len));
    }
    for (letter, radix) in [('b', 2), ('o', 8), ('x', 16)] {
        if first == '0' && get(1).is_some_and(|c| c.to_ascii_lowercase() == letter) {
            let len = digits(source, at + 2, true, |c| c.is_digit(radix));
            if len > 0 {
                return Some((integer(&source[at + 2..at + 2 + len], radix), 2 + len));
            }
        }
    }
    let len = match first {
        // No other digit follows a zero: `007` is three numbers, which is no expression.
        '0' => digits(source, at, false, |c| c == '0'),
        _ => digits(source, at, false, |c| c.is_ascii_digit()),
    };
    Some((integer(&source[at..at + len], 10), len))
}

fn integer(digits: &[char], radix: u32) -> Result<Token> {
    let text: String = digits.iter().filter(|c| **c != '_').collect();
    i128::from_str_radix(&text, radix)
        .map(Token::Int)
        .map_err(|_| Error::new(Kind::Unsupported, format!("the number {text} is larger than this engine counts")))
}

/// Digits with single underscores between them, and before the first where that is allowed.
fn digits(source: &[char], at: usize, underscore_first: bool, is_digit: impl Fn(char) -> bool) -> usize {
    let mut len = 0;
    loop {
        let underscore = usize::from(source.get(at + len) == Some(&'_') && (len > 0 || underscore_first));
        match source.get(at + len + underscore) {
            Some(c) if is_digit(*c) => len += underscore + 1,
            _ => return len,
        }
    }
}

fn float_len(source: &[char], at: usize) -> Option<usize> {
    let decimal = |at: usize| digits(source, at, false, |c| c.is_ascii_digit());
    let whole = decimal(at);
    let mut len = whole;
    if source.get(at + len) == Some(&'.') {
        let fraction = decimal(at + len + 1);
        if fraction > 0 {
            len += 1 + fraction;
        }
    }
    let has_fraction = len > whole;
    if matches!(source.get(at + len), Some('e' | 'E')) {
        let sign = usize::from(matches!(source.get(at + len + 1), Some('+' | '-')));
        let exponent = decimal(at + len + 1 + sign);
        if exponent > 0 {
            return Some(len + 1 + sign + exponent);
        }
    }
    has_fraction.then_some(len)
}

/// What Jinja2 makes of a string's inside: `.encode("ascii", "backslashreplace").decode("unicode-escape")`.
pub(crate) fn unescape(inside: &[char]) -> Result<String> {
    let mut out = String::with_capacity(inside.len());
    let mut at = 0;
    while let Some(c) = inside.get(at) {
        at += 1;
        if *c != '\\' {
            out.push(*c);
            continue;
        }
        let Some(escaped) = inside.get(at) else {
            return Err(Error::of_value("\\ at end of string"));
        };
        at += 1;
        match *escaped {
            '\n' => {}
            '\\' | '\'' | '"' => out.push(*escaped),
            'a' => out.push('\u{7}'),
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'v' => out.push('\u{b}'),
            '0'..='7' => {
                let len = inside[at - 1..].iter().take(3).take_while(|c| matches!(c, '0'..='7')).count();
                out.push(code_point(&inside[at - 1..at - 1 + len], 8)?);
                at += len - 1;
            }
            letter @ ('x' | 'u' | 'U') => {
                let len = match letter {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                let digits = inside.get(at..at + len).filter(|digits| digits.iter().all(char::is_ascii_hexdigit));
                let name = format!("\\{letter}{}", "X".repeat(len));
                let digits = digits.ok_or_else(|| Error::of_value(format!("truncated {name} escape")))?;
                out.push(code_point(digits, 16)?);
                at += len;
            }
            'N' => return Err(Error::unsupported("a character by its name (\\N{…} in a string)")),
            // Jinja2 writes other characters as escapes before it reads escapes, so these become text.
            other if !other.is_ascii() => {
                let code = other as u32;
                out += &match code {
                    ..0x100 => format!("\\x{code:02x}"),
                    0x100..0x1_0000 => format!("\\u{code:04x}"),
                    _ => format!("\\U{code:08x}"),
                };
            }
            other => out.extend(['\\', other]),
        }
    }
    Ok(out)
}

fn code_point(digits: &[char], radix: u32) -> Result<char> {
    let text: String = digits.iter().collect();
    let code = u32::from_str_radix(&text, radix).unwrap_or(u32::MAX);
    char::from_u32(code).ok_or_else(|| match code {
        0xd800..0xe000 => Error::unsupported(format!("half a character (\\u{code:04x} in a string)")),
        _ => Error::of_value("illegal Unicode character"),
    })
}
