//! Filters of sequences. Those that Jinja2 makes generators are lazy here too: what they would raise they raise when they are
//! gone through.

use crate::access;
use crate::args::{Given, int};
use crate::ast::{Binary, Name};
use crate::budget;
use crate::error::{Error, Kind, Result};
use crate::eval::{self, Eval};
use crate::methods::{self, Case};
use crate::operators::{self, equal};
use crate::predicates;
use crate::repr;
use crate::value::{Object, Value, View};

pub(super) fn call(eval: &mut Eval, name: &str, value: &Value, given: Given) -> Result<Value> {
    match name {
        "first" => {
            let [] = given.places(name, 0)?;
            let items = eval.iterate(value)?;
            let first = eval.next_of(&items)?;
            Ok(first.unwrap_or_else(|| Value::undefined("No first item, sequence was empty.")))
        }
        "last" => {
            let [] = given.places(name, 0)?;
            let last = reversed(eval, value)?.into_iter().next();
            Ok(last.unwrap_or_else(|| Value::undefined("No last item, sequence was empty.")))
        }
        "list" => {
            let [] = given.places(name, 0)?;
            Value::list(eval.collect_from(value)?)
        }
        "reverse" => {
            let [] = given.places(name, 0)?;
            reverse(eval, value)
        }
        "items" => {
            let [] = given.places(name, 0)?;
            items(eval, value)
        }
        "batch" => batch(eval, value, given),
        "slice" => slices(eval, value, given),
        "sort" => {
            let [reverse, case, attribute] = given.bind(name, ["reverse", "case_sensitive", "attribute"], 0)?;
            let fold = !is_true(&case);
            let mut keyed = Vec::new();
            for item in eval.collect_from(value)? {
                keyed.push((multi_key(eval, &item, attribute.as_ref(), fold)?, item));
            }
            Value::list(values(operators::sort(keyed, is_true(&reverse))?))
        }
        "dictsort" => dict_sort(value, given),
        "groupby" => group_by(eval, value, given),
        "unique" => {
            let [case, attribute] = given.bind(name, ["case_sensitive", "attribute"], 0)?;
            unique(eval, value, !is_true(&case), attribute)
        }
        "min" | "max" => {
            let [case, attribute] = given.bind(name, ["case_sensitive", "attribute"], 0)?;
            extreme(eval, name, value, !is_true(&case), attribute.as_ref())
        }
        "sum" => {
            let [attribute, start] = given.bind(name, ["attribute", "start"], 0)?;
            sum(eval, value, attribute, start)
        }
        "map" => map(eval, value, given),
        "select" | "reject" => select(eval, value, given, name == "reject", false),
        "selectattr" | "rejectattr" => select(eval, value, given, name == "rejectattr", true),
        _ => Err(Error::unsupported(format!("the filter '{name}'"))),
    }
}

fn is_true(option: &Option<Value>) -> bool {
    option.as_ref().is_some_and(Value::is_true)
}

fn values(keyed: Vec<(Value, Value)>) -> Vec<Value> {
    keyed.into_iter().map(|(_, value)| value).collect()
}

/// What `attribute="a.0.b"` leads to.
pub(super) fn path(eval: &mut Eval, mut item: Value, attribute: &Value, default: Option<&Value>) -> Result<Value> {
    let parts = match attribute {
        Value::None => Vec::new(),
        Value::Str(text) => {
            let part = |part: &str| match !part.is_empty() && part.chars().all(|c| c.is_ascii_digit()) {
                true => part.parse().map_or_else(|_| Value::text(part), Value::Int),
                false => Value::text(part),
            };
            text.to_string().split('.').map(part).collect()
        }
        other => vec![other.clone()],
    };
    for part in parts {
        item = access::item(eval, &item, &part)?;
        if let Some(default) = default.filter(|_| matches!(item, Value::Undefined(_))) {
            item = default.clone();
        }
    }
    Ok(item)
}

fn folded(value: Value, fold: bool) -> Value {
    match value {
        Value::Str(text) if fold => Value::Str(methods::to_case(&text, Case::Lower)),
        value => value,
    }
}

fn key(eval: &mut Eval, item: &Value, attribute: Option<&Value>, fold: bool, default: Option<&Value>) -> Result<Value> {
    let value = path(eval, item.clone(), attribute.unwrap_or(&Value::None), default)?;
    Ok(folded(value, fold))
}

/// `attribute="a,b"`: a list of keys, as Jinja2 has it even for one.
fn multi_key(eval: &mut Eval, item: &Value, attribute: Option<&Value>, fold: bool) -> Result<Value> {
    let attributes = match attribute {
        Some(Value::Str(text)) => text.to_string().split(',').map(Value::text).collect(),
        other => vec![other.cloned().unwrap_or(Value::None)],
    };
    let mut keys = Vec::new();
    for attribute in attributes {
        keys.push(key(eval, item, Some(&attribute), fold, None)?);
    }
    Value::list(keys)
}

/// `reversed(value)`, of what knows its items.
fn reversed(eval: &mut Eval, value: &Value) -> Result<Vec<Value>> {
    let known = match value {
        Value::Undefined(_) | Value::Str(_) | Value::List(_) | Value::Tuple(_) | Value::Dict(_) => true,
        Value::Object(object) => matches!(**object, Object::Range(_) | Object::View(..)),
        _ => false,
    };
    if !known {
        return Err(Error::of_type(format!("'{}' object is not reversible", value.type_name())));
    }
    let mut items = eval.collect_from(value)?;
    items.reverse();
    Ok(items)
}

fn reverse(eval: &mut Eval, value: &Value) -> Result<Value> {
    if let Value::Str(text) = value {
        budget::spend(text.len())?;
        return Ok(Value::Str(text.like(text.iter().rev().copied().collect())));
    }
    match reversed(eval, value) {
        Ok(items) => {
            let mut items = items.into_iter();
            Value::iter("list_reverseiterator", value.depth(), move |_| Ok(items.next()))
        }
        Err(error) if error.kind == Kind::Type => {
            let mut items = eval.collect_from(value).map_err(|error| match error.kind {
                Kind::Type => Error::new(Kind::Runtime, "argument must be iterable"),
                _ => error,
            })?;
            items.reverse();
            Value::list(items)
        }
        Err(error) => Err(error),
    }
}

fn items(_eval: &mut Eval, value: &Value) -> Result<Value> {
    let (value, mut at) = (value.clone(), 0);
    Value::iter("generator", value.depth(), move |_| match &value {
        Value::Undefined(_) => Ok(None),
        Value::Dict(dict) => {
            at += 1;
            dict.entries().get(at - 1).map(|entry| eval::viewed(View::Items, entry)).transpose()
        }
        _ => Err(Error::of_type("Can only get item pairs from a mapping.")),
    })
}

fn batch(_eval: &mut Eval, value: &Value, given: Given) -> Result<Value> {
    let [count, fill] = given.bind("batch", ["linecount", "fill_with"], 1)?;
    let (count, fill) = (count.unwrap_or(Value::None), fill.filter(|fill| !matches!(fill, Value::None)));
    let (value, mut source, mut carried) = (value.clone(), None, None);
    let depth = value.depth() + 1;
    Value::iter("generator", depth, move |eval| {
        let items = match &source {
            Some(items) => Value::clone(items),
            None => source.insert(eval.iterate(&value)?).clone(),
        };
        let mut batch: Vec<Value> = carried.take().into_iter().collect();
        while let Some(item) = eval.next_of(&items)? {
            if equal(&Value::from_len(batch.len()), &count)? {
                carried = Some(item);
                return Value::list(std::mem::take(&mut batch)).map(Some);
            }
            budget::room((batch.len() + 1) * size_of::<Value>())?;
            batch.push(item);
        }
        if batch.is_empty() {
            return Ok(None);
        }
        if let Some(fill) = &fill {
            let missing = usize::try_from(int(&count)? - batch.len() as i128).unwrap_or(0);
            budget::room(missing.saturating_mul(size_of::<Value>()))?;
            budget::spend(missing)?;
            batch.extend(std::iter::repeat_n(fill.clone(), missing));
        }
        Value::list(batch).map(Some)
    })
}

fn slices(_eval: &mut Eval, value: &Value, given: Given) -> Result<Value> {
    let [slices, fill] = given.bind("slice", ["slices", "fill_with"], 1)?;
    let (count, fill) = (slices.unwrap_or(Value::None), fill.filter(|fill| !matches!(fill, Value::None)));
    let (value, mut all, mut number, mut offset) = (value.clone(), None, 0, 0);
    let depth = value.depth() + 1;
    Value::iter("generator", depth, move |eval| {
        let items: &Vec<Value> = match &all {
            Some(items) => items,
            None => all.insert(eval.collect_from(&value)?),
        };
        let count = int(&count)?;
        if count == 0 {
            return Err(Error::new(Kind::Runtime, "integer division or modulo by zero"));
        }
        if number >= count {
            return Ok(None);
        }
        let len = items.len() as i128;
        let (each, longer) = (len.div_euclid(count), len.rem_euclid(count));
        let start = offset + number * each;
        offset += i128::from(number < longer);
        let end = offset + (number + 1) * each;
        let mut slice = items[start as usize..end as usize].to_vec();
        if number >= longer {
            slice.extend(fill.clone());
        }
        number += 1;
        Value::list(slice).map(Some)
    })
}

fn dict_sort(value: &Value, given: Given) -> Result<Value> {
    let [case, by, reverse] = given.bind("dictsort", ["case_sensitive", "by", "reverse"], 0)?;
    let by_value = match &by {
        None => false,
        Some(Value::Str(by)) if by.is("key") => false,
        Some(Value::Str(by)) if by.is("value") => true,
        _ => return Err(Error::new(Kind::Runtime, "You can only sort by either \"key\" or \"value\"")),
    };
    value.defined()?;
    let Value::Dict(dict) = value else {
        return Err(Error::of_type(format!("'{}' object has no attribute 'items'", value.type_name())));
    };
    let mut keyed = Vec::new();
    for entry in dict.entries() {
        let by = if by_value { &entry.1 } else { &entry.0 };
        keyed.push((folded(by.clone(), !is_true(&case)), eval::viewed(View::Items, entry)?));
    }
    Value::list(values(operators::sort(keyed, is_true(&reverse))?))
}

fn group_by(eval: &mut Eval, value: &Value, given: Given) -> Result<Value> {
    let [attribute, default, case] = given.bind("groupby", ["attribute", "default", "case_sensitive"], 1)?;
    let fold = !is_true(&case);
    let default = default.filter(|default| !matches!(default, Value::None));
    let mut keyed = Vec::new();
    for item in eval.collect_from(value)? {
        keyed.push((key(eval, &item, attribute.as_ref(), fold, default.as_ref())?, item));
    }
    let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
    for (key, item) in operators::sort(keyed, false)? {
        match groups.last_mut() {
            Some((last, items)) if equal(last, &key)? => items.push(item),
            _ => groups.push((key, vec![item])),
        }
    }
    let mut out = Vec::new();
    for (folded, items) in groups {
        let name = if fold { key(eval, &items[0], attribute.as_ref(), false, default.as_ref())? } else { folded };
        out.push(eval::group(name, items)?);
    }
    Value::list(out)
}

fn unique(_eval: &mut Eval, value: &Value, fold: bool, attribute: Option<Value>) -> Result<Value> {
    let (value, mut source, mut seen) = (value.clone(), None, Vec::<Value>::new());
    Value::iter("generator", value.depth(), move |eval| {
        let items = match &source {
            Some(items) => Value::clone(items),
            None => source.insert(eval.iterate(&value)?).clone(),
        };
        'items: while let Some(item) = eval.next_of(&items)? {
            let key = key(eval, &item, attribute.as_ref(), fold, None)?;
            operators::hashable(&key)?;
            for other in &seen {
                if equal(other, &key)? {
                    continue 'items;
                }
            }
            budget::room((seen.len() + 1) * size_of::<Value>())?;
            seen.push(key);
            return Ok(Some(item));
        }
        Ok(None)
    })
}

fn extreme(eval: &mut Eval, name: &str, value: &Value, fold: bool, attribute: Option<&Value>) -> Result<Value> {
    let items = eval.iterate(value)?;
    let mut best: Option<(Value, Value)> = None;
    while let Some(item) = eval.next_of(&items)? {
        let key = key(eval, &item, attribute, fold, None)?;
        let better = match &best {
            None => true,
            Some((so_far, _)) => {
                let (symbol, wanted) =
                    if name == "max" { (">", std::cmp::Ordering::Greater) } else { ("<", std::cmp::Ordering::Less) };
                operators::compare(&key, so_far, symbol)? == Some(wanted)
            }
        };
        if better {
            best = Some((key, item));
        }
    }
    Ok(best.map_or_else(|| Value::undefined("No aggregated item, sequence was empty."), |(_, item)| item))
}

fn sum(eval: &mut Eval, value: &Value, attribute: Option<Value>, start: Option<Value>) -> Result<Value> {
    let mut total = start.unwrap_or(Value::Int(0));
    if matches!(total, Value::Str(_)) {
        return Err(Error::of_type("sum() can't sum strings [use ''.join(seq) instead]"));
    }
    let items = eval.iterate(value)?;
    while let Some(mut item) = eval.next_of(&items)? {
        if let Some(attribute) = attribute.as_ref().filter(|attribute| !matches!(attribute, Value::None)) {
            item = path(eval, item, attribute, None)?;
        }
        total = operators::binary(eval, Binary::Add, &total, &item)?;
    }
    Ok(total)
}

fn copied(given: &Given) -> Given {
    Given { positional: given.positional.clone(), named: given.named.clone() }
}

/// The name of a filter or test to call.
fn called(value: &Value, kind: &str) -> Result<Name> {
    match value {
        Value::Str(name) => Ok(name.to_string().into()),
        _ => Err(Error::new(Kind::Runtime, format!("no {kind} named {}", repr::repr(value)?))),
    }
}

fn map(_eval: &mut Eval, value: &Value, given: Given) -> Result<Value> {
    let (value, mut given, mut source, mut by) = (value.clone(), Some(given), None, None);
    let depth = value.depth() + 1;
    Value::iter("generator", depth, move |eval| {
        if !value.is_true() {
            return Ok(None);
        }
        // What is asked for is looked at when the first item is.
        if let Some(mut given) = given.take() {
            if given.positional.is_empty()
                && let Some(attribute) = given.take_named("attribute")
            {
                let default = given.take_named("default").filter(|default| !matches!(default, Value::None));
                if let Some((name, _)) = given.named.first() {
                    return Err(Error::new(Kind::Runtime, format!("Unexpected keyword argument '{name}'")));
                }
                by = Some((None, attribute, default, Given::default()));
            } else {
                if given.positional.is_empty() {
                    return Err(Error::new(Kind::Runtime, "map requires a filter argument"));
                }
                let name = given.positional.remove(0);
                by = Some((Some(()), name, None, given));
            }
            source = Some(eval.iterate(&value)?);
        }
        let (Some(items), Some((filter, name, default, given))) = (&source, &by) else { return Ok(None) };
        let Some(item) = eval.next_of(items)? else { return Ok(None) };
        match filter {
            None => path(eval, item, name, default.as_ref()).map(Some),
            Some(()) => super::call(eval, &called(name, "filter")?, item, copied(given)).map(Some),
        }
    })
}

fn select(_eval: &mut Eval, value: &Value, given: Given, reject: bool, by_attribute: bool) -> Result<Value> {
    let (value, mut given, mut source) = (value.clone(), Some(given), None);
    let mut attribute = None;
    let mut test: Option<(Value, Given)> = None;
    let depth = value.depth();
    Value::iter("generator", depth, move |eval| {
        if !value.is_true() {
            return Ok(None);
        }
        if let Some(mut given) = given.take() {
            if by_attribute {
                if given.positional.is_empty() {
                    return Err(Error::new(Kind::Runtime, "Missing parameter for attribute name"));
                }
                attribute = Some(given.positional.remove(0));
            }
            if !given.positional.is_empty() {
                let name = given.positional.remove(0);
                test = Some((name, given));
            }
            source = Some(eval.iterate(&value)?);
        }
        let Some(items) = &source else { return Ok(None) };
        while let Some(item) = eval.next_of(items)? {
            let looked_at = match &attribute {
                Some(attribute) => path(eval, item.clone(), attribute, None)?,
                None => item.clone(),
            };
            let passes = match &test {
                None => looked_at.is_true(),
                Some((name, given)) => predicates::call(eval, &called(name, "test")?, &looked_at, copied(given))?,
            };
            if passes != reject {
                return Ok(Some(item));
            }
        }
        Ok(None)
    })
}
