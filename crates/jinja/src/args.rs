//! What a call is given, sorted by what the called one asks for.

use crate::ast::Name;
use crate::error::{Error, Result};
use crate::operators::index;
use crate::repr;
use crate::text::Text;
use crate::value::Value;

#[derive(Default)]
pub(crate) struct Given {
    pub positional: Vec<Value>,
    pub named: Vec<(Name, Value)>,
}

impl Given {
    pub fn take_named(&mut self, name: &str) -> Option<Value> {
        let at = self.named.iter().position(|(this, _)| &**this == name)?;
        Some(self.named.remove(at).1)
    }

    /// Parameters by place or name; the first `required` must be there.
    ///
    /// # Errors
    /// TypeError, as Python has it.
    pub fn bind<const N: usize>(
        mut self,
        callee: &str,
        params: [&str; N],
        required: usize,
    ) -> Result<[Option<Value>; N]> {
        if self.positional.len() > N {
            let (most, given) = (N, self.positional.len());
            return Err(Error::of_type(format!("{callee}() takes at most {most} arguments ({given} given)")));
        }
        let mut bound = [const { None }; N];
        for (place, value) in bound.iter_mut().zip(std::mem::take(&mut self.positional)) {
            *place = Some(value);
        }
        for (place, param) in bound.iter_mut().zip(params) {
            if let Some(value) = self.take_named(param)
                && place.replace(value).is_some()
            {
                return Err(Error::of_type(format!("{callee}() got multiple values for argument '{param}'")));
            }
        }
        if let Some((name, _)) = self.named.first() {
            return Err(Error::of_type(format!("{callee}() got an unexpected keyword argument '{name}'")));
        }
        if let Some(missing) = bound.iter().take(required).position(Option::is_none) {
            return Err(Error::of_type(format!("{callee}() missing required argument '{}'", params[missing])));
        }
        Ok(bound)
    }

    /// Parameters by place alone.
    ///
    /// # Errors
    /// TypeError, as Python has it.
    pub fn places<const N: usize>(self, callee: &str, required: usize) -> Result<[Option<Value>; N]> {
        if !self.named.is_empty() {
            return Err(Error::of_type(format!("{callee}() takes no keyword arguments")));
        }
        let given = self.positional.len();
        if given > N || given < required {
            return Err(Error::of_type(format!("{callee}() takes {required} to {N} arguments ({given} given)")));
        }
        let mut values = self.positional.into_iter();
        Ok(std::array::from_fn(|_| values.next()))
    }
}

/// An integer argument, booleans too.
pub(crate) fn int(value: &Value) -> Result<i128> {
    index(value)
        .ok_or_else(|| Error::of_type(format!("'{}' object cannot be interpreted as an integer", value.type_name())))
}

pub(crate) fn int_or(value: Option<&Value>, default: i128) -> Result<i128> {
    value.map_or(Ok(default), int)
}

/// A string argument.
pub(crate) fn text<'v>(value: &'v Value, callee: &str) -> Result<&'v Text> {
    match value {
        Value::Str(text) => Ok(text),
        _ => Err(Error::of_type(format!("{callee} argument must be str, not {}", value.type_name()))),
    }
}

pub(crate) fn shown(value: &Value) -> String {
    repr::repr(value).map_or_else(|_| value.type_name().to_owned(), |text| text.to_string())
}
