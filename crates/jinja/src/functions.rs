//! What every template can call: Jinja2's globals and Hugging Face's two.

use std::cell::Cell;
use std::rc::Rc;

use crate::args::{Given, int};
use crate::date;
use crate::error::{Error, Kind, Result};
use crate::eval::Eval;
use crate::repr;
use crate::value::{Dict, Function, Items, Object, Range, Value};

/// Items of a range, in Jinja2's sandbox.
const RANGE: i128 = 100_000;

pub(crate) fn call(eval: &mut Eval, function: Function, given: Given) -> Result<Value> {
    match function {
        Function::Range => range(given),
        Function::Dict => dict(eval, given).map(|dict| Value::Dict(Rc::new(dict))),
        Function::Namespace => {
            let dict = dict(eval, given)?;
            Ok(eval.namespace(dict))
        }
        Function::Cycler if given.positional.is_empty() => {
            Err(Error::new(Kind::Runtime, "at least one item has to be provided"))
        }
        Function::Cycler => {
            let items = Rc::new(Items::new(given.positional)?);
            Ok(Value::object(Object::Cycler { items, at: Cell::new(0) }))
        }
        Function::Joiner => {
            let [separator] = given.bind("joiner", ["sep"], 0)?;
            let separator = separator.unwrap_or_else(|| Value::text(", "));
            Ok(Value::object(Object::Joiner { separator, used: Cell::new(false) }))
        }
        Function::Lipsum => Err(Error::unsupported("lipsum(), which draws random words,")),
        Function::RaiseException => {
            let [message] = given.bind("raise_exception", ["message"], 1)?;
            let message = message.map_or(Ok(String::new()), |m| repr::str(&m).map(|text| text.to_string()))?;
            Err(Error::new(Kind::Raised, message))
        }
        Function::StrftimeNow => {
            let [format] = given.bind("strftime_now", ["format"], 1)?;
            match format {
                Some(Value::Str(format)) => date::strftime(eval.now, &format).map(Value::Str),
                _ => Err(Error::of_type("strftime() argument 1 must be str")),
            }
        }
    }
}

fn range(given: Given) -> Result<Value> {
    let [first, second, third] = given.places("range", 1)?;
    let first = int(&first.unwrap_or(Value::None))?;
    let (start, stop) = match second {
        Some(stop) => (first, int(&stop)?),
        None => (0, first),
    };
    let step = third.map_or(Ok(1), |step| int(&step))?;
    if step == 0 {
        return Err(Error::of_value("range() arg 3 must not be zero"));
    }
    let distance = if step > 0 { stop.checked_sub(start) } else { start.checked_sub(stop) };
    let len = distance.map_or(i128::MAX, |distance| match distance {
        ..=0 => 0,
        _ => (distance - 1) / step.saturating_abs() + 1,
    });
    if len > RANGE {
        let what = format!("Range too big. The sandbox blocks ranges larger than MAX_RANGE ({RANGE}).");
        return Err(Error::new(Kind::Overflow, what));
    }
    Ok(Value::object(Object::Range(Range { start, step, len: len as usize })))
}

fn dict(eval: &mut Eval, given: Given) -> Result<Dict> {
    let mut dict = Dict::new([])?;
    match given.positional.as_slice() {
        [] => {}
        [Value::Dict(other)] => {
            for (key, value) in other.entries() {
                dict.set(key.clone(), value.clone())?;
            }
        }
        [pairs] => {
            let pairs = eval.iterate(pairs)?;
            while let Some(pair) = eval.next_of(&pairs)? {
                let mut pair = eval.collect_from(&pair)?;
                match (pair.pop(), pair.pop(), pair.is_empty()) {
                    (Some(value), Some(key), true) => dict.set(key, value)?,
                    _ => return Err(Error::of_value("dictionary update sequence element has not length 2")),
                }
            }
        }
        more => return Err(Error::of_type(format!("dict expected at most 1 argument, got {}", more.len()))),
    }
    for (name, value) in given.named {
        dict.set(Value::text(&name), value)?;
    }
    Ok(dict)
}
