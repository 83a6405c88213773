//! Of dicts, lists, tuples and ranges.

use std::rc::Rc;

use super::missing;
use crate::args::{Given, int_or, shown};
use crate::error::{Error, Result};
use crate::operators::{equal, index};
use crate::value::{Dict, Object, Range, Value, View};

pub(super) fn dict(dict: &Rc<Dict>, name: &str, given: Given) -> Result<Value> {
    let view = match name {
        "get" => {
            let [key, default] = given.places("get", 1)?;
            let found = dict.get(&key.unwrap_or(Value::None))?;
            return Ok(found.or(default).unwrap_or(Value::None));
        }
        "keys" => View::Keys,
        "values" => View::Values,
        "items" => View::Items,
        "copy" => {
            let [] = given.places("copy", 0)?;
            return Ok(Value::Dict(dict.clone()));
        }
        _ => return Err(missing(&Value::Dict(dict.clone()), name)),
    };
    let [] = given.places(name, 0)?;
    Ok(Value::object(Object::View(view, dict.clone())))
}

pub(super) fn sequence(of: &Value, items: &[Value], name: &str, given: Given) -> Result<Value> {
    match name {
        "count" => {
            let [item] = given.places("count", 1)?;
            let item = item.unwrap_or(Value::None);
            let mut count = 0;
            for other in items {
                count += usize::from(other.is_same(&item) || equal(other, &item)?);
            }
            Ok(Value::from_len(count))
        }
        "index" => {
            let [item, start, stop] = given.places("index", 1)?;
            let item = item.unwrap_or(Value::None);
            let len = items.len() as i128;
            let place =
                |bound: i128| (if bound < 0 { bound.saturating_add(len) } else { bound }).clamp(0, len) as usize;
            let (start, stop) = (place(int_or(start.as_ref(), 0)?), place(int_or(stop.as_ref(), len)?));
            for (at, other) in items.iter().enumerate().take(stop).skip(start) {
                if other.is_same(&item) || equal(other, &item)? {
                    return Ok(Value::from_len(at));
                }
            }
            Err(Error::of_value(format!("{} is not in {}", shown(&item), of.type_name())))
        }
        "copy" => {
            let [] = given.places("copy", 0)?;
            Ok(of.clone())
        }
        _ => Err(missing(of, name)),
    }
}

pub(super) fn range(range: &Range, name: &str, given: Given) -> Result<Value> {
    let [item] = given.places(name, 1)?;
    let at = item.as_ref().and_then(index).and_then(|item| {
        let distance = item - range.start;
        let at = usize::try_from(distance / range.step).ok()?;
        (distance % range.step == 0 && at < range.len).then_some(at)
    });
    match (name, at) {
        ("count", at) => Ok(Value::from_len(usize::from(at.is_some()))),
        (_, Some(at)) => Ok(Value::from_len(at)),
        (_, None) => Err(Error::of_value(format!("{} is not in range", shown(&item.unwrap_or(Value::None))))),
    }
}
