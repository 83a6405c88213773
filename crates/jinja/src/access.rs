//! `value.name`, `value[index]` and slices, as Jinja2's sandbox allows them: attributes before items with a dot, items before
//! attributes in brackets.

use crate::error::{Error, Kind, Result};
use crate::eval::Eval;
use crate::methods;
use crate::operators::index;
use crate::repr;
use crate::value::{Function, Object, Value};

/// The attributes of any Python object: they are there, and the sandbox forbids them.
const DUNDER: [&str; 26] = [
    "__class__",
    "__delattr__",
    "__dir__",
    "__doc__",
    "__eq__",
    "__format__",
    "__ge__",
    "__getattribute__",
    "__getstate__",
    "__gt__",
    "__hash__",
    "__init__",
    "__init_subclass__",
    "__le__",
    "__lt__",
    "__ne__",
    "__new__",
    "__reduce__",
    "__reduce_ex__",
    "__repr__",
    "__setattr__",
    "__sizeof__",
    "__str__",
    "__subclasshook__",
    "__len__",
    "__iter__",
];

/// Python's `object_type_repr`, for messages.
fn described(value: &Value) -> String {
    match value {
        Value::None => "None".to_owned(),
        _ => format!("{} object", value.type_name()),
    }
}

/// `value.name`.
pub(crate) fn attribute(eval: &mut Eval, of: &Value, name: &str) -> Result<Value> {
    if let Some(value) = python_attribute(eval, of, name)? {
        return Ok(value);
    }
    if let Value::Dict(dict) = of
        && let Some(value) = dict.named(name)
    {
        return Ok(value);
    }
    Ok(Value::undefined(format!("'{}' has no attribute '{name}'", described(of))))
}

/// `value[index]`.
pub(crate) fn item(eval: &mut Eval, of: &Value, at: &Value) -> Result<Value> {
    of.defined()?;
    if let Some(value) = python_item(of, at)? {
        return Ok(value);
    }
    if let Value::Str(name) = at {
        let name = name.to_string();
        return Ok(match python_attribute(eval, of, &name)? {
            Some(value) => value,
            None => Value::undefined(format!("'{}' has no attribute '{name}'", described(of))),
        });
    }
    let at = repr::repr(at)?;
    Ok(Value::undefined(format!("{} has no element {at}", described(of))))
}

/// Python's own `value[index]`; none where it raises.
fn python_item(of: &Value, at: &Value) -> Result<Option<Value>> {
    let place = |len: usize| {
        let at = index(at)?;
        usize::try_from(if at < 0 { at + len as i128 } else { at }).ok().filter(|at| *at < len)
    };
    match of {
        Value::Str(text) => Ok(place(text.len()).map(|at| Value::Str(text.part(at..at + 1)))),
        Value::List(items) | Value::Tuple(items) => Ok(place(items.len()).map(|at| items[at].clone())),
        Value::Dict(dict) => match dict.get(at) {
            Err(error) if error.kind == Kind::Type => Ok(None),
            found => found,
        },
        Value::Object(object) => match &**object {
            Object::Range(range) => Ok(place(range.len).map(|at| Value::Int(range.at(at)))),
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

/// `getattr(value, name)` in the sandbox; none where there is no such attribute.
pub(crate) fn python_attribute(eval: &mut Eval, of: &Value, name: &str) -> Result<Option<Value>> {
    if DUNDER.contains(&name) {
        return Ok(Some(forbidden(of, name)));
    }
    of.defined()?;
    if let Value::Object(object) = of {
        match &**object {
            Object::Namespace(dict) => return Ok(dict.borrow().named(name)),
            Object::Loop(this) => {
                if let Some(value) = this.attribute(eval, name)? {
                    return Ok(Some(value));
                }
            }
            Object::Macro(this) => {
                if let Some(value) = this.attribute(name)? {
                    return Ok(Some(value));
                }
            }
            Object::Range(range) => {
                let number = match name {
                    "start" => Some(range.start),
                    "stop" => Some(range.stop()),
                    "step" => Some(range.step),
                    _ => None,
                };
                if number.is_some() {
                    return Ok(number.map(Value::Int));
                }
            }
            Object::Cycler { items, at } if name == "current" => return Ok(Some(items[at.get()].clone())),
            Object::Function(Function::Dict) if name == "fromkeys" => {
                return Err(Error::unsupported("dict.fromkeys"));
            }
            _ => {}
        }
    }
    if let Value::Tuple(items) = of
        && items.grouped
        && let Some(at) = ["grouper", "list"].iter().position(|field| *field == name)
    {
        return Ok(Some(items[at].clone()));
    }
    if let Some(value) = methods::property(of, name) {
        return Ok(Some(value));
    }
    if methods::changes(of, name) {
        return Ok(Some(forbidden(of, name)));
    }
    Ok(methods::find(of, name).map(|name| Value::object(Object::Method(of.clone(), name))))
}

/// `value|attr("name")`.
pub(crate) fn attr(eval: &mut Eval, of: &Value, name: &Value) -> Result<Value> {
    let Value::Str(name) = name else {
        return Err(Error::of_type(format!("attribute name must be string, not '{}'", name.type_name())));
    };
    let name = name.to_string();
    match python_attribute(eval, of, &name)? {
        Some(value) => Ok(value),
        None => Ok(Value::undefined(format!("'{}' has no attribute '{name}'", described(of)))),
    }
}

fn forbidden(of: &Value, name: &str) -> Value {
    let message = format!("access to attribute '{name}' of '{}' object is unsafe", of.type_name());
    Value::Undefined(std::rc::Rc::new(crate::value::Undefined { message, forbidden: true }))
}

/// `value[start:stop:step]`.
pub(crate) fn slice(of: &Value, bounds: [Value; 3]) -> Result<Value> {
    of.defined()?;
    let [start, stop, step] = bounds;
    let bound = |value: &Value| match value {
        Value::None => Ok(None),
        _ => index(value)
            .map(Some)
            .ok_or_else(|| Error::of_type("slice indices must be integers or None or have an __index__ method")),
    };
    let (start, stop) = (bound(&start)?, bound(&stop)?);
    let step = bound(&step)?.unwrap_or(1);
    if step == 0 {
        return Err(Error::of_value("slice step cannot be zero"));
    }
    match of {
        Value::Str(text) if step == 1 => {
            let (start, len) = places(text.len(), start, stop, step);
            crate::budget::spend(len)?;
            Ok(Value::Str(text.part(start as usize..start as usize + len)))
        }
        Value::Str(text) => Ok(Value::Str(text.like(pick(text, start, stop, step)?))),
        Value::List(items) => Value::list(pick(items, start, stop, step)?),
        Value::Tuple(items) => Value::tuple(pick(items, start, stop, step)?),
        Value::Object(object) if matches!(**object, Object::Range(_)) => match &**object {
            Object::Range(range) => {
                let (first, len) = places(range.len, start, stop, step);
                let start = range.start + range.step * first as i128;
                let range = crate::value::Range { start, step: range.step.saturating_mul(step), len };
                Ok(Value::object(Object::Range(range)))
            }
            _ => Ok(Value::None),
        },
        Value::Dict(_) => Err(Error::of_type("unhashable type: 'slice'")),
        _ => Err(Error::of_type(format!("'{}' object is not subscriptable", of.type_name()))),
    }
}

/// The first place that a slice takes, and how many it takes.
fn places(len: usize, start: Option<i128>, stop: Option<i128>, step: i128) -> (isize, usize) {
    let len = len as i128;
    let (lowest, highest) = if step > 0 { (0, len) } else { (-1, len - 1) };
    let place = |bound: i128| (if bound < 0 { bound.saturating_add(len) } else { bound }).clamp(lowest, highest);
    let start = start.map_or(if step > 0 { lowest } else { highest }, place);
    let stop = stop.map_or(if step > 0 { highest } else { lowest }, place);
    let distance = if step > 0 { stop - start } else { start - stop };
    let count = if distance <= 0 { 0 } else { (distance - 1) / step.saturating_abs() + 1 };
    (start.max(0) as isize, count as usize)
}

fn pick<T: Clone>(items: &[T], start: Option<i128>, stop: Option<i128>, step: i128) -> Result<Vec<T>> {
    let (first, len) = places(items.len(), start, stop, step);
    crate::budget::spend(len)?;
    crate::budget::room(len * size_of::<T>())?;
    Ok((0..len).map(|i| items[(first as i128 + i as i128 * step) as usize].clone()).collect())
}
