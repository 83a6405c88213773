//! Arithmetic, comparison and membership, with Python's meanings and Python's complaints.

use std::cmp::Ordering;
use std::rc::Rc;

use crate::ast::{Binary, Comparison};
use crate::budget;
use crate::error::{Error, Kind, Result};
use crate::eval::Eval;
use crate::percent;
use crate::repr::escape;
use crate::text::{Glyph, Text, occurrences};
use crate::value::{Object, Value, View};

/// A number in an operation: booleans are integers.
#[derive(Clone, Copy)]
pub(crate) enum Number {
    Int(i128),
    Float(f64),
}

impl Number {
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(value) => Some(Self::Int(i128::from(*value))),
            Value::Int(value) => Some(Self::Int(*value)),
            Value::Float(value) => Some(Self::Float(*value)),
            _ => None,
        }
    }

    pub fn float(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Float(value) => value,
        }
    }
}

/// The integer that a value is, booleans too.
pub(crate) fn index(value: &Value) -> Option<i128> {
    match Number::of(value)? {
        Number::Int(value) => Some(value),
        Number::Float(_) => None,
    }
}

fn symbol(operator: Binary) -> &'static str {
    match operator {
        Binary::Add => "+",
        Binary::Sub => "-",
        Binary::Mul => "*",
        Binary::Div => "/",
        Binary::FloorDiv => "//",
        Binary::Mod => "%",
        Binary::Pow => "** or pow()",
    }
}

pub(crate) fn binary(eval: &mut Eval, operator: Binary, left: &Value, right: &Value) -> Result<Value> {
    if let (Binary::Mod, Value::Str(format)) = (operator, left) {
        return percent::format(eval, format, right).map(Value::Str);
    }
    left.defined()?;
    right.defined()?;
    if let (Some(a), Some(b)) = (Number::of(left), Number::of(right)) {
        return arithmetic(operator, a, b);
    }
    match (operator, left, right) {
        (Binary::Add, Value::Str(a), Value::Str(b)) => concat(a, b).map(Value::Str),
        (Binary::Add, Value::List(a), Value::List(b)) => joined(a, b).and_then(Value::list),
        (Binary::Add, Value::Tuple(a), Value::Tuple(b)) => joined(a, b).and_then(Value::tuple),
        (Binary::Add, Value::Str(_), other) => {
            Err(Error::of_type(format!("can only concatenate str (not \"{}\") to str", other.type_name())))
        }
        (Binary::Mul, of, times) | (Binary::Mul, times, of)
            if matches!(of, Value::Str(_) | Value::List(_) | Value::Tuple(_)) && index(times).is_some() =>
        {
            repeated(of, index(times).unwrap_or(0))
        }
        _ => Err(Error::of_type(format!(
            "unsupported operand type(s) for {}: '{}' and '{}'",
            symbol(operator),
            left.type_name(),
            right.type_name()
        ))),
    }
}

/// `a + b`; where one is `Markup`, the other is escaped.
pub(crate) fn concat(a: &Text, b: &Text) -> Result<Text> {
    if a.is_safe() == b.is_safe() {
        return Ok(a.followed_by(b)?.marked(a.is_safe()));
    }
    let escaped = |text: &Text| escape(&Value::Str(text.clone()));
    Ok(escaped(a)?.followed_by(&escaped(b)?)?.marked(true))
}

fn joined(a: &[Value], b: &[Value]) -> Result<Vec<Value>> {
    budget::spend(a.len() + b.len())?;
    budget::room((a.len() + b.len()) * size_of::<Value>())?;
    Ok(a.iter().chain(b).cloned().collect())
}

fn repeated(of: &Value, times: i128) -> Result<Value> {
    let times = usize::try_from(times.max(0)).unwrap_or(usize::MAX);
    let room = |len: usize, size: usize| {
        let total = len.saturating_mul(times);
        budget::room(total.saturating_mul(size))?;
        budget::spend(total)
    };
    match of {
        Value::Str(text) => {
            room(text.len(), size_of::<Glyph>())?;
            Ok(Value::Str(text.like(text.repeat(times))))
        }
        Value::List(items) | Value::Tuple(items) => {
            room(items.len(), size_of::<Value>())?;
            let repeated: Vec<Value> = std::iter::repeat_n(&***items, times).flatten().cloned().collect();
            if matches!(of, Value::List(_)) { Value::list(repeated) } else { Value::tuple(repeated) }
        }
        _ => Err(Error::of_type("can't multiply")),
    }
}

fn too_large() -> Error {
    Error::new(Kind::Overflow, "a number is larger than this engine counts")
}

fn by_zero(what: &str) -> Error {
    Error::new(Kind::Runtime, what)
}

fn arithmetic(operator: Binary, a: Number, b: Number) -> Result<Value> {
    if let (Number::Int(a), Number::Int(b)) = (a, b)
        && let Some(result) = integers(operator, a, b)
    {
        return result;
    }
    let (x, y) = (a.float(), b.float());
    let value = match operator {
        Binary::Add => x + y,
        Binary::Sub => x - y,
        Binary::Mul => x * y,
        Binary::Div if y == 0.0 => {
            let ints = matches!((a, b), (Number::Int(_), Number::Int(_)));
            return Err(by_zero(if ints { "division by zero" } else { "float division by zero" }));
        }
        Binary::Div => x / y,
        Binary::FloorDiv if y == 0.0 => return Err(by_zero("float floor division by zero")),
        Binary::Mod if y == 0.0 => return Err(by_zero("float modulo")),
        Binary::FloorDiv => divmod(x, y).0,
        Binary::Mod => divmod(x, y).1,
        Binary::Pow => return power(x, y),
    };
    Ok(Value::Float(value))
}

/// None where the result is a float.
fn integers(operator: Binary, a: i128, b: i128) -> Option<Result<Value>> {
    let checked = match operator {
        Binary::Add => a.checked_add(b),
        Binary::Sub => a.checked_sub(b),
        Binary::Mul => a.checked_mul(b),
        Binary::FloorDiv | Binary::Mod if b == 0 => {
            return Some(Err(by_zero("integer division or modulo by zero")));
        }
        // Rust's rest has the sign of `a`, Python's that of `b`.
        Binary::FloorDiv => a.checked_div(b).map(|quotient| quotient - i128::from(a % b != 0 && (a < 0) != (b < 0))),
        Binary::Mod => a.checked_rem(b).map(|rest| if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }),
        Binary::Pow if b < 0 => return None,
        Binary::Pow => match u32::try_from(b) {
            Ok(exponent) => a.checked_pow(exponent),
            Err(_) if (-1..=1).contains(&a) => Some(if a == -1 && b % 2 == 0 { 1 } else { a }),
            Err(_) => None,
        },
        Binary::Div => return None,
    };
    Some(checked.map(Value::Int).ok_or_else(too_large))
}

/// CPython's `float.__divmod__`.
fn divmod(x: f64, y: f64) -> (f64, f64) {
    let mut rest = x % y;
    let mut quotient = (x - rest) / y;
    if rest != 0.0 {
        if (y < 0.0) != (rest < 0.0) {
            rest += y;
            quotient -= 1.0;
        }
    } else {
        rest = 0f64.copysign(y);
    }
    let floor = if quotient == 0.0 {
        0f64.copysign(x / y)
    } else {
        let floor = quotient.floor();
        if quotient - floor > 0.5 { floor + 1.0 } else { floor }
    };
    (floor, rest)
}

fn power(x: f64, y: f64) -> Result<Value> {
    if x == 0.0 && y < 0.0 {
        return Err(by_zero("0.0 cannot be raised to a negative power"));
    }
    if x < 0.0 && x.is_finite() && y.is_finite() && y.fract() != 0.0 {
        return Err(Error::unsupported("a complex number, the root of a negative one,"));
    }
    let value = x.powf(y);
    if value.is_infinite() && x.is_finite() && y.is_finite() {
        return Err(Error::new(Kind::Overflow, "(34, 'Numerical result out of range')"));
    }
    Ok(Value::Float(value))
}

pub(crate) fn negative(value: &Value) -> Result<Value> {
    value.defined()?;
    match Number::of(value) {
        Some(Number::Int(value)) => value.checked_neg().map(Value::Int).ok_or_else(too_large),
        Some(Number::Float(value)) => Ok(Value::Float(-value)),
        None => Err(Error::of_type(format!("bad operand type for unary -: '{}'", value.type_name()))),
    }
}

pub(crate) fn positive(value: &Value) -> Result<Value> {
    value.defined()?;
    match Number::of(value) {
        Some(Number::Int(value)) => Ok(Value::Int(value)),
        Some(Number::Float(value)) => Ok(Value::Float(value)),
        None => Err(Error::of_type(format!("bad operand type for unary +: '{}'", value.type_name()))),
    }
}

/// An integer with a float, as exactly as Python does it.
fn int_to_float(a: i128, b: f64) -> Option<Ordering> {
    if b.is_nan() {
        return None;
    }
    // Beyond these every float is larger, or smaller, than any such integer.
    if b >= 1.7e38 {
        return Some(Ordering::Less);
    }
    if b <= -1.7e38 {
        return Some(Ordering::Greater);
    }
    let whole = b.floor();
    Some(a.cmp(&(whole as i128)).then(if b > whole { Ordering::Less } else { Ordering::Equal }))
}

fn numbers(a: Number, b: Number) -> Option<Ordering> {
    match (a, b) {
        (Number::Int(a), Number::Int(b)) => Some(a.cmp(&b)),
        (Number::Float(a), Number::Float(b)) => a.partial_cmp(&b),
        (Number::Int(a), Number::Float(b)) => int_to_float(a, b),
        (Number::Float(a), Number::Int(b)) => int_to_float(b, a).map(Ordering::reverse),
    }
}

/// `a == b`.
pub(crate) fn equal(a: &Value, b: &Value) -> Result<bool> {
    budget::spend(0)?;
    if let (Some(a), Some(b)) = (Number::of(a), Number::of(b)) {
        return Ok(numbers(a, b) == Some(Ordering::Equal));
    }
    Ok(match (a, b) {
        (Value::Undefined(_), Value::Undefined(_)) | (Value::None, Value::None) => true,
        (Value::Str(a), Value::Str(b)) => {
            budget::spend(a.len().min(b.len()))?;
            **a == **b
        }
        (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => {
            a.len() == b.len() && all(a.iter().zip(b.iter()), |(a, b)| Ok(a.is_same(b) || equal(a, b)?))?
        }
        (Value::Dict(a), Value::Dict(b)) => {
            a.len() == b.len()
                && all(a.entries().iter(), |(key, value)| match b.get(key)? {
                    Some(other) => equal(value, &other),
                    None => Ok(false),
                })?
        }
        (Value::Object(x), Value::Object(y)) => match (&**x, &**y) {
            (Object::Range(x), Object::Range(y)) => {
                x.len == y.len && (x.len == 0 || x.start == y.start && (x.len == 1 || x.step == y.step))
            }
            (Object::View(View::Keys, x), Object::View(View::Keys, y)) => {
                x.len() == y.len() && all(x.entries().iter(), |(key, _)| Ok(y.get(key)?.is_some()))?
            }
            (Object::Function(x), Object::Function(y)) => x == y,
            (Object::Method(x, m), Object::Method(y, n)) => m == n && x.is_same(y),
            _ => Rc::ptr_eq(x, y),
        },
        _ => false,
    })
}

fn all<T>(mut items: impl Iterator<Item = T>, mut test: impl FnMut(T) -> Result<bool>) -> Result<bool> {
    items.try_fold(true, |so_far, item| Ok(so_far && test(item)?))
}

/// `a < b` and its like; none where they are not ordered (NaN).
pub(crate) fn compare(a: &Value, b: &Value, operator: &str) -> Result<Option<Ordering>> {
    budget::spend(0)?;
    a.defined()?;
    b.defined()?;
    if let (Some(a), Some(b)) = (Number::of(a), Number::of(b)) {
        return Ok(numbers(a, b));
    }
    match (a, b) {
        (Value::Str(a), Value::Str(b)) => {
            budget::spend(a.len().min(b.len()))?;
            Ok(Some(a.cmp(b)))
        }
        (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => {
            for (a, b) in a.iter().zip(b.iter()) {
                if !(a.is_same(b) || equal(a, b)?) {
                    return compare(a, b, operator);
                }
            }
            Ok(Some(a.len().cmp(&b.len())))
        }
        _ => Err(Error::of_type(format!(
            "'{operator}' not supported between instances of '{}' and '{}'",
            a.type_name(),
            b.type_name()
        ))),
    }
}

pub(crate) fn holds(eval: &mut Eval, comparison: Comparison, a: &Value, b: &Value) -> Result<bool> {
    let ordered = |operator, fits: fn(Ordering) -> bool| Ok(compare(a, b, operator)?.is_some_and(fits));
    match comparison {
        Comparison::Eq => equal(a, b),
        Comparison::Ne => Ok(!equal(a, b)?),
        Comparison::Lt => ordered("<", Ordering::is_lt),
        Comparison::Le => ordered("<=", Ordering::is_le),
        Comparison::Gt => ordered(">", Ordering::is_gt),
        Comparison::Ge => ordered(">=", Ordering::is_ge),
        Comparison::In => contains(eval, b, a),
        Comparison::NotIn => Ok(!contains(eval, b, a)?),
    }
}

/// `item in container`.
pub(crate) fn contains(eval: &mut Eval, container: &Value, item: &Value) -> Result<bool> {
    match container {
        Value::Str(text) => match item {
            Value::Str(part) => {
                budget::spend(text.len())?;
                Ok(part.is_empty() || !occurrences(text, part, 0, 1).is_empty())
            }
            _ => {
                let kind = item.type_name();
                Err(Error::of_type(format!("'in <string>' requires string as left operand, not {kind}")))
            }
        },
        Value::Dict(dict) => Ok(dict.get(item)?.is_some()),
        Value::Object(object) if matches!(&**object, Object::View(View::Keys, _)) => match &**object {
            Object::View(_, dict) => Ok(dict.get(item)?.is_some()),
            _ => Ok(false),
        },
        Value::Object(object) if matches!(&**object, Object::Namespace(_)) => {
            Err(Error::of_type("argument of type 'Namespace' is not iterable"))
        }
        _ => {
            let items = eval.iterate(container).map_err(|error| match error.kind {
                Kind::Type => Error::of_type(format!("argument of type '{}' is not iterable", container.type_name())),
                _ => error,
            })?;
            while let Some(other) = eval.next_of(&items)? {
                if other.is_same(item) || equal(&other, item)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
    }
}

/// Whether a value may be a key.
///
/// # Errors
/// [`Kind::Type`] where not.
pub(crate) fn hashable(value: &Value) -> Result<()> {
    match value {
        Value::Tuple(items) => items.iter().try_for_each(hashable),
        Value::List(_) | Value::Dict(_) => Err(Error::of_type(format!("unhashable type: '{}'", value.type_name()))),
        Value::Object(object) if matches!(&**object, Object::View(View::Keys | View::Items, _)) => {
            Err(Error::of_type(format!("unhashable type: '{}'", value.type_name())))
        }
        _ => Ok(()),
    }
}

/// `sorted(values, key=…)`, of values with their keys.
pub(crate) fn sort(mut keyed: Vec<(Value, Value)>, reverse: bool) -> Result<Vec<(Value, Value)>> {
    let mut failure = None;
    let less = |a: &Value, b: &Value, failure: &mut Option<Error>| match compare(a, b, "<") {
        _ if failure.is_some() => false,
        Ok(ordering) => ordering == Some(Ordering::Less),
        Err(error) => {
            *failure = Some(error);
            false
        }
    };
    // Python reverses, sorts and reverses again, so that equals stay in order.
    if reverse {
        keyed.reverse();
    }
    merge_sort(&mut keyed, &mut |a, b| less(a, b, &mut failure));
    if reverse {
        keyed.reverse();
    }
    failure.map_or(Ok(keyed), Err)
}

/// By "less" alone, which need be no order (NaN): the standard library's may panic over that.
fn merge_sort(items: &mut Vec<(Value, Value)>, less: &mut dyn FnMut(&Value, &Value) -> bool) {
    if items.len() < 2 {
        return;
    }
    let mut right = items.split_off(items.len() / 2);
    merge_sort(items, less);
    merge_sort(&mut right, less);
    let mut left = std::mem::take(items).into_iter().peekable();
    let mut right = right.into_iter().peekable();
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let next = if less(&b.0, &a.0) { right.next() } else { left.next() };
        items.extend(next);
    }
    items.extend(left.chain(right));
}
