//! `loop`: what a loop's body can ask about it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::ast::For;
use crate::error::{Error, Result};
use crate::eval::Eval;
use crate::operators;
use crate::scope::Scope;
use crate::value::{Object, Value};

/// A loop at work. It looks one item ahead where it is asked for what comes.
pub struct Loop {
    /// What it goes through, for its length.
    iterable: Value,
    iterator: RefCell<Value>,
    index0: Cell<i128>,
    length: Cell<Option<usize>>,
    after: RefCell<Option<Value>>,
    current: RefCell<Option<Value>>,
    before: RefCell<Option<Value>>,
    changed: RefCell<Option<Value>>,
    depth0: i128,
    /// The body to run again, where the loop is recursive, and the frame around it.
    pub(crate) recursive: Option<(Rc<For>, Rc<Scope>)>,
}

impl Loop {
    pub(crate) fn new(
        eval: &mut Eval,
        iterable: Value,
        depth0: i128,
        recursive: Option<(Rc<For>, Rc<Scope>)>,
    ) -> Result<Self> {
        let iterator = RefCell::new(eval.iterate(&iterable)?);
        Ok(Self {
            iterable,
            iterator,
            index0: Cell::new(-1),
            length: Cell::new(None),
            after: RefCell::default(),
            current: RefCell::default(),
            before: RefCell::default(),
            changed: RefCell::default(),
            depth0,
            recursive,
        })
    }

    pub(crate) fn depth(&self) -> i128 {
        self.depth0 + 1
    }

    pub(crate) fn next(&self, eval: &mut Eval) -> Result<Option<Value>> {
        let ahead = self.after.take();
        let item = match ahead {
            Some(item) => item,
            None => match self.advance(eval)? {
                Some(item) => item,
                None => return Ok(None),
            },
        };
        self.index0.set(self.index0.get() + 1);
        let before = self.current.replace(Some(item.clone()));
        self.before.replace(before);
        Ok(Some(item))
    }

    fn advance(&self, eval: &mut Eval) -> Result<Option<Value>> {
        let iterator = self.iterator.borrow().clone();
        eval.next_of(&iterator)
    }

    fn peek(&self, eval: &mut Eval) -> Result<Option<Value>> {
        if self.after.borrow().is_none() {
            let next = self.advance(eval)?;
            self.after.replace(next);
        }
        Ok(self.after.borrow().clone())
    }

    pub(crate) fn len(&self, eval: &mut Eval) -> Result<usize> {
        if let Some(length) = self.length.get() {
            return Ok(length);
        }
        let length = match self.iterable.len(eval)? {
            Some(length) => length,
            None => {
                let iterator = self.iterator.borrow().clone();
                let rest = eval.collect(&iterator)?;
                let ahead = usize::from(self.after.borrow().is_some());
                let length = rest.len() + (self.index0.get() + 1) as usize + ahead;
                let rest = Value::list(rest)?;
                self.iterator.replace(eval.iterate(&rest)?);
                length
            }
        };
        self.length.set(Some(length));
        Ok(length)
    }

    pub(crate) fn attribute(&self, eval: &mut Eval, name: &str) -> Result<Option<Value>> {
        let index0 = self.index0.get();
        Ok(Some(match name {
            "index0" => Value::Int(index0),
            "index" => Value::Int(index0 + 1),
            "length" => Value::from_len(self.len(eval)?),
            "revindex0" => Value::Int(self.len(eval)? as i128 - index0 - 1),
            "revindex" => Value::Int(self.len(eval)? as i128 - index0),
            "first" => Value::Bool(index0 == 0),
            "last" => Value::Bool(self.peek(eval)?.is_none()),
            "depth" => Value::Int(self.depth()),
            "depth0" => Value::Int(self.depth0),
            "previtem" => match self.before.borrow().clone() {
                Some(item) if index0 != 0 => item,
                _ => Value::undefined("there is no previous item"),
            },
            "nextitem" => self.peek(eval)?.unwrap_or_else(|| Value::undefined("there is no next item")),
            _ => return Ok(None),
        }))
    }

    pub(crate) fn cycle(&self, items: &[Value]) -> Result<Value> {
        if items.is_empty() {
            return Err(Error::of_type("no items for cycling given"));
        }
        Ok(items[self.index0.get().rem_euclid(items.len() as i128) as usize].clone())
    }

    pub(crate) fn changed(&self, values: Value) -> Result<bool> {
        let last = self.changed.borrow().clone();
        if let Some(last) = last
            && operators::equal(&last, &values)?
        {
            return Ok(false);
        }
        self.changed.replace(Some(values));
        Ok(true)
    }

    pub(crate) fn describe(&self) -> Result<String> {
        match self.length.get().or(match &self.iterable {
            Value::List(items) | Value::Tuple(items) => Some(items.len()),
            Value::Str(text) => Some(text.len()),
            Value::Dict(dict) => Some(dict.len()),
            Value::Object(object) => match &**object {
                Object::Range(range) => Some(range.len),
                Object::View(_, dict) => Some(dict.len()),
                _ => None,
            },
            _ => None,
        }) {
            Some(length) => Ok(format!("<LoopContext {}/{length}>", self.index0.get() + 1)),
            None => Err(Error::unsupported("writing out a loop of unknown length")),
        }
    }
}
