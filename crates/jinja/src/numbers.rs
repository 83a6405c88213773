//! Numbers written as a format asks: what `%` and `format` have in common.

use crate::error::{Error, Result};
use crate::repr;

/// `%e`: at least two digits of exponent.
pub(crate) fn exponential(value: f64, precision: usize) -> String {
    let text = format!("{value:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// `%g`: so many significant digits, and no zeros at the end unless `alternate`.
pub(crate) fn general(value: f64, precision: usize, alternate: bool) -> String {
    let precision = precision.max(1);
    let scientific = format!("{value:.*e}", precision - 1);
    let exponent: i32 = scientific.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    if exponent < -4 || exponent >= precision as i32 {
        let text = exponential(value, precision - 1);
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "+00"));
        return format!("{}e{exponent}", without_zeros(mantissa, alternate));
    }
    let decimals = (precision as i32 - 1 - exponent).max(0) as usize;
    without_zeros(&format!("{value:.decimals$}"), alternate)
}

fn without_zeros(text: &str, keep: bool) -> String {
    if keep || !text.contains('.') {
        return text.to_owned();
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The digits of a float without its sign, by a letter of `eEfFgG%`; `None` for the letter: as `repr` writes it.
///
/// # Errors
/// ValueError where the precision is beyond reason.
pub(crate) fn float(value: f64, letter: Option<char>, precision: Option<usize>, alternate: bool) -> Result<String> {
    if precision.is_some_and(|precision| precision > 10_000) {
        return Err(Error::of_value("precision too big"));
    }
    let value = value.abs();
    let upper = letter.is_some_and(|letter| letter.is_ascii_uppercase());
    if !value.is_finite() {
        let text = if value.is_nan() { "nan" } else { "inf" };
        let text = if letter == Some('%') { format!("{text}%") } else { text.to_owned() };
        return Ok(if upper { text.to_uppercase() } else { text });
    }
    let digits = precision.unwrap_or(6);
    let mut text = match letter.map(|letter| letter.to_ascii_lowercase()) {
        Some('e') => exponential(value, digits),
        Some('f') => format!("{value:.digits$}"),
        Some('g' | 'n') => general(value, digits, alternate),
        Some('%') => format!("{:.digits$}%", value * 100.0),
        // As `g`, with a digit after the point where there is no exponent, and one place less before that is needed.
        None if precision.is_some() => {
            let precision = digits.max(1);
            let exponent: i32 =
                format!("{value:.*e}", precision - 1).split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
            if exponent >= precision as i32 - 1 && exponent < precision as i32 {
                let text = exponential(value, precision - 1);
                let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "+00"));
                format!("{}e{exponent}", without_zeros(mantissa, alternate))
            } else {
                let text = general(value, precision, alternate);
                if text.contains(['.', 'e']) { text } else { text + ".0" }
            }
        }
        None => repr::float(value),
        Some(other) => {
            return Err(Error::of_value(format!("Unknown format code '{other}' for object of type 'float'")));
        }
    };
    if alternate && !text.contains('.') && letter.is_some() {
        let at = text.find(['e', '%']).unwrap_or(text.len());
        text.insert(at, '.');
    }
    Ok(if upper { text.to_uppercase() } else { text })
}

/// An integer's digits without its sign, by a letter of `bodxX`, and what stands before them in the alternate form.
pub(crate) fn integer(value: i128, letter: char) -> Option<(String, &'static str)> {
    let value = value.unsigned_abs();
    Some(match letter {
        'b' => (format!("{value:b}"), "0b"),
        'o' => (format!("{value:o}"), "0o"),
        'x' => (format!("{value:x}"), "0x"),
        'X' => (format!("{value:X}"), "0X"),
        'd' | 'n' | 'i' | 'u' => (value.to_string(), ""),
        _ => return None,
    })
}

/// Separators between groups of digits before the point.
pub(crate) fn grouped(text: &str, separator: char, every: usize) -> String {
    let end = text.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(text.len());
    let (whole, rest) = text.split_at(end);
    let mut out = String::new();
    for (i, c) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(every) {
            out.push(separator);
        }
        out.push(c);
    }
    out + rest
}
