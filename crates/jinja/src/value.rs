//! Python's values, as far as templates meet them. Lists and dicts never change, as in Jinja2's immutable sandbox; a
//! namespace may.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::ast::MacroDef;
use crate::budget;
use crate::error::{Error, Kind, Result};
use crate::eval::Eval;
use crate::loops::Loop;
use crate::operators;
use crate::scope::Scope;
use crate::text::Text;

#[derive(Clone)]
pub enum Value {
    Undefined(Rc<Undefined>),
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(Text),
    List(Rc<Items>),
    Tuple(Rc<Items>),
    Dict(Rc<Dict>),
    Object(Rc<Object>),
}

/// What a template can hold and not write down.
pub enum Object {
    Range(Range),
    View(View, Rc<Dict>),
    Namespace(RefCell<Dict>),
    Iter(Iter),
    Loop(Box<Loop>),
    Macro(Macro),
    Cycler {
        items: Rc<Items>,
        at: Cell<usize>,
    },
    Joiner {
        separator: Value,
        used: Cell<bool>,
    },
    /// A method with the value it is of.
    Method(Value, &'static str),
    Function(Function),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    Keys,
    Values,
    Items,
}

/// What every template can call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    Range,
    Dict,
    Namespace,
    Cycler,
    Joiner,
    Lipsum,
    RaiseException,
    StrftimeNow,
}

/// Jinja2's default for what is not there: empty, false, and an error in any arithmetic.
pub struct Undefined {
    pub message: String,
    /// It is there and the sandbox forbids it.
    pub forbidden: bool,
}

pub struct Macro {
    pub(crate) def: Rc<MacroDef>,
    pub(crate) scope: Rc<Scope>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub start: i128,
    pub step: i128,
    pub len: usize,
}

impl Range {
    pub fn at(&self, index: usize) -> i128 {
        self.start + self.step * index as i128
    }

    pub fn stop(&self) -> i128 {
        self.start + self.step * self.len as i128
    }
}

type Next = Box<dyn FnMut(&mut Eval) -> Result<Option<Value>>>;

/// A generator or another iterator: what it gives it gives once.
pub struct Iter {
    next: RefCell<Next>,
    depth: u16,
    /// Python's name for the type.
    pub kind: &'static str,
}

impl Iter {
    pub(crate) fn next(&self, eval: &mut Eval) -> Result<Option<Value>> {
        budget::spend(0)?;
        match self.next.try_borrow_mut() {
            Ok(mut next) => next(eval),
            Err(_) => Err(Error::of_value("generator already executing")),
        }
    }
}

/// The items of a list or tuple.
pub struct Items {
    items: Vec<Value>,
    depth: u16,
    /// `groupby`'s pair, whose halves have names.
    pub(crate) grouped: bool,
}

impl Items {
    pub(crate) fn new(items: Vec<Value>) -> Result<Self> {
        budget::room(size_of_val::<[Value]>(&items))?;
        let depth = budget::nesting(items.iter().map(Value::depth).max().unwrap_or(0))?;
        budget::taken(size_of_val::<[Value]>(&items));
        Ok(Self { items, depth, grouped: false })
    }
}

impl std::ops::Deref for Items {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        &self.items
    }
}

impl Drop for Items {
    fn drop(&mut self) {
        budget::freed(size_of_val::<[Value]>(&self.items));
    }
}

/// Keys and values in the order they came.
#[derive(Default)]
pub struct Dict {
    entries: Vec<(Value, Value)>,
    depth: u16,
}

impl Dict {
    /// Later values replace earlier ones, at their places.
    ///
    /// # Errors
    /// A key that cannot be one; the budget's.
    pub fn new(entries: impl IntoIterator<Item = (Value, Value)>) -> Result<Self> {
        let mut dict = Self { entries: Vec::new(), depth: 1 };
        for (key, value) in entries {
            dict.set(key, value)?;
        }
        Ok(dict)
    }

    pub(crate) fn set(&mut self, key: Value, value: Value) -> Result<()> {
        let depth = budget::nesting(key.depth().max(value.depth()))?;
        match self.position(&key)? {
            Some(at) => self.entries[at].1 = value,
            None => {
                budget::room(size_of::<(Value, Value)>())?;
                budget::taken(size_of::<(Value, Value)>());
                self.entries.push((key, value));
            }
        }
        self.depth = self.depth.max(depth);
        Ok(())
    }

    fn position(&self, key: &Value) -> Result<Option<usize>> {
        operators::hashable(key)?;
        budget::spend(self.entries.len())?;
        for (at, (other, _)) in self.entries.iter().enumerate() {
            if operators::equal(other, key)? {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    pub(crate) fn get(&self, key: &Value) -> Result<Option<Value>> {
        Ok(self.position(key)?.map(|at| self.entries[at].1.clone()))
    }

    /// By a name.
    pub(crate) fn named(&self, name: &str) -> Option<Value> {
        self.entries.iter().find(|(key, _)| matches!(key, Value::Str(text) if text.is(name))).map(|e| e.1.clone())
    }

    pub fn entries(&self) -> &[(Value, Value)] {
        &self.entries
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

impl Drop for Dict {
    fn drop(&mut self) {
        budget::freed(size_of_val::<[(Value, Value)]>(&self.entries));
    }
}

impl Value {
    /// A text that nobody typed.
    pub fn text(text: &str) -> Self {
        Self::Str(Text::plain(text))
    }

    /// A text that a visitor typed.
    pub fn typed(text: &str) -> Self {
        Self::Str(Text::typed(text))
    }

    /// # Errors
    /// [`Kind::Limit`] for more, or more deeply nested, than a template may hold.
    pub fn list(items: Vec<Value>) -> Result<Self> {
        Ok(Self::List(Rc::new(Items::new(items)?)))
    }

    pub(crate) fn tuple(items: Vec<Value>) -> Result<Self> {
        Ok(Self::Tuple(Rc::new(Items::new(items)?)))
    }

    /// # Errors
    /// As `list`, and of a key that cannot be one.
    pub fn dict(entries: impl IntoIterator<Item = (Value, Value)>) -> Result<Self> {
        Ok(Self::Dict(Rc::new(Dict::new(entries)?)))
    }

    pub(crate) fn object(object: Object) -> Self {
        Self::Object(Rc::new(object))
    }

    pub(crate) fn function(function: Function) -> Self {
        Self::object(Object::Function(function))
    }

    pub(crate) fn undefined(message: impl Into<String>) -> Self {
        Self::Undefined(Rc::new(Undefined { message: message.into(), forbidden: false }))
    }

    pub(crate) fn from_len(len: usize) -> Self {
        Self::Int(len as i128)
    }

    /// `depth`: of what the iterator holds.
    pub(crate) fn iter(
        kind: &'static str,
        depth: u16,
        next: impl FnMut(&mut Eval) -> Result<Option<Value>> + 'static,
    ) -> Result<Self> {
        let depth = budget::nesting(depth)?;
        Ok(Self::object(Object::Iter(Iter { next: RefCell::new(Box::new(next)), depth, kind })))
    }

    /// How many values lie within each other, this one among them.
    pub(crate) fn depth(&self) -> u16 {
        match self {
            Self::List(items) | Self::Tuple(items) => items.depth,
            Self::Dict(dict) => dict.depth,
            Self::Object(object) => match &**object {
                Object::Iter(iter) => iter.depth,
                Object::View(_, dict) => dict.depth,
                Object::Cycler { items, .. } => items.depth,
                Object::Method(of, _) => of.depth() + 1,
                Object::Joiner { separator, .. } => separator.depth() + 1,
                _ => 0,
            },
            _ => 0,
        }
    }

    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::Undefined(_) | Self::None => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::List(items) | Self::Tuple(items) => !items.is_empty(),
            Self::Dict(dict) => dict.len() > 0,
            Self::Object(object) => match &**object {
                Object::Range(range) => range.len > 0,
                Object::View(_, dict) => dict.len() > 0,
                _ => true,
            },
        }
    }

    /// `type(value).__name__`.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Undefined(_) => "Undefined",
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Str(text) if text.is_safe() => "Markup",
            Self::Str(_) => "str",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Dict(_) => "dict",
            Self::Object(object) => match &**object {
                Object::Range(_) => "range",
                Object::View(View::Keys, _) => "dict_keys",
                Object::View(View::Values, _) => "dict_values",
                Object::View(View::Items, _) => "dict_items",
                Object::Namespace(_) => "Namespace",
                Object::Iter(iter) => iter.kind,
                Object::Loop(_) => "LoopContext",
                Object::Macro(_) => "Macro",
                Object::Cycler { .. } => "Cycler",
                Object::Joiner { .. } => "Joiner",
                Object::Method(..) => "builtin_function_or_method",
                Object::Function(Function::Dict | Function::Namespace | Function::Cycler | Function::Joiner) => "type",
                Object::Function(_) => "function",
            },
        }
    }

    /// `len(value)`, where there is one.
    pub(crate) fn len(&self, eval: &mut Eval) -> Result<Option<usize>> {
        Ok(match self {
            Self::Undefined(_) => Some(0),
            Self::Str(text) => Some(text.len()),
            Self::List(items) | Self::Tuple(items) => Some(items.len()),
            Self::Dict(dict) => Some(dict.len()),
            Self::Object(object) => match &**object {
                Object::Range(range) => Some(range.len),
                Object::View(_, dict) => Some(dict.len()),
                Object::Loop(of) => Some(of.len(eval)?),
                _ => None,
            },
            _ => None,
        })
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::None, Self::None) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b && (-5..=256).contains(a),
            (Self::Undefined(a), Self::Undefined(b)) => Rc::ptr_eq(a, b),
            (Self::List(a), Self::List(b)) | (Self::Tuple(a), Self::Tuple(b)) => Rc::ptr_eq(a, b),
            (Self::Dict(a), Self::Dict(b)) => Rc::ptr_eq(a, b),
            (Self::Object(a), Self::Object(b)) => Rc::ptr_eq(a, b),
            (Self::Str(a), Self::Str(b)) => std::ptr::eq::<[_]>(&**a, &**b),
            _ => false,
        }
    }

    /// What using it raises, where it is undefined.
    pub(crate) fn defined(&self) -> Result<()> {
        match self {
            Self::Undefined(undefined) => Err(undefined.raise()),
            _ => Ok(()),
        }
    }
}

impl Undefined {
    pub(crate) fn raise(&self) -> Error {
        Error::new(if self.forbidden { Kind::Security } else { Kind::Undefined }, self.message.clone())
    }
}
