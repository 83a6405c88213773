//! Running a template.

use std::rc::Rc;

use crate::access;
use crate::args::Given;
use crate::ast::{Args, Expr, For, Frame, MacroDef, Name, Stmt, Target};
use crate::budget;
use crate::error::{Error, Kind, Result};
use crate::functions;
use crate::loops::Loop;
use crate::methods;
use crate::scope::Scope;
use crate::text::{Glyph, Text};
use crate::value::{Dict, Function, Items, Iter, Macro, Object, Value, View};
use crate::{filters, operators, predicates, repr};

/// Statements and expressions within each other while running: what a stack of half a megabyte holds.
const DEPTH: u16 = 300;

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    Break,
    Continue,
}

pub struct Eval {
    context: Vec<(Name, Value)>,
    /// Seconds since 1970, for `strftime_now`.
    pub(crate) now: u64,
    depth: u16,
    /// They may hold each other: emptied at the end, or they would last for ever.
    namespaces: Vec<Value>,
}

type Out = Vec<Glyph>;

impl Eval {
    pub(crate) fn new(context: Vec<(Name, Value)>, now: u64) -> Self {
        Self { context, now, depth: 0, namespaces: Vec::new() }
    }

    /// What the template writes.
    pub(crate) fn run(&mut self, body: &[Stmt], frame: &Frame) -> Result<Vec<Glyph>> {
        let scope = self.enter(frame, None);
        let mut out = Vec::new();
        let result = self.body(body, &scope, &mut out);
        scope.leave();
        for namespace in &self.namespaces {
            if let Value::Object(object) = namespace
                && let Object::Namespace(dict) = &**object
            {
                dict.take();
            }
        }
        result.map(|_| out)
    }

    pub(crate) fn namespace(&mut self, dict: Dict) -> Value {
        let namespace = Value::object(Object::Namespace(dict.into()));
        self.namespaces.push(namespace.clone());
        namespace
    }

    fn enter(&self, frame: &Frame, parent: Option<&Rc<Scope>>) -> Rc<Scope> {
        Scope::enter(frame, parent, &|name| self.global(name))
    }

    fn global(&self, name: &str) -> Option<Value> {
        let given = self.context.iter().find(|(this, _)| &**this == name).map(|(_, value)| value.clone());
        given.or_else(|| {
            Some(Value::function(match name {
                "range" => Function::Range,
                "dict" => Function::Dict,
                "namespace" => Function::Namespace,
                "cycler" => Function::Cycler,
                "joiner" => Function::Joiner,
                "lipsum" => Function::Lipsum,
                "raise_exception" => Function::RaiseException,
                "strftime_now" => Function::StrftimeNow,
                _ => return None,
            }))
        })
    }

    fn deeper<T>(&mut self, run: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= DEPTH {
            return Err(Error::new(Kind::Limit, "it calls itself too deeply"));
        }
        self.depth += 1;
        let result = run(self);
        self.depth -= 1;
        result
    }

    fn write(&self, out: &mut Out, text: &[Glyph]) -> Result<()> {
        budget::spend(text.len())?;
        if out.len() + text.len() > budget::OUTPUT {
            let most = budget::OUTPUT >> 20;
            return Err(Error::new(Kind::Limit, format!("it writes more than {most} million characters")));
        }
        out.extend_from_slice(text);
        Ok(())
    }

    // Statements.

    fn body(&mut self, body: &[Stmt], scope: &Rc<Scope>, out: &mut Out) -> Result<Flow> {
        self.deeper(|this| {
            for stmt in body {
                let flow = this.stmt(stmt, scope, out)?;
                if flow != Flow::On {
                    return Ok(flow);
                }
            }
            Ok(Flow::On)
        })
    }

    fn stmt(&mut self, stmt: &Stmt, scope: &Rc<Scope>, out: &mut Out) -> Result<Flow> {
        budget::spend(0)?;
        match stmt {
            Stmt::Data(text) => self.write(out, text)?,
            Stmt::Print(value, line) => self.print(value, scope, out).map_err(|e| e.at(*line))?,
            Stmt::For(def) => return self.for_stmt(def, scope, out).map_err(|e| e.at(def.line)),
            Stmt::If { branches, otherwise } => {
                for (test, body, line) in branches {
                    if self.is_true(test, scope).map_err(|e| e.at(*line))? {
                        return self.body(body, scope, out);
                    }
                }
                return self.body(otherwise, scope, out);
            }
            Stmt::Set { target, value, line } => self.set(target, value, scope).map_err(|e| e.at(*line))?,
            Stmt::SetBlock { target, filter, body, frame, line } => {
                return self.set_block((target, filter.as_ref(), body, frame), scope).map_err(|e| e.at(*line));
            }
            Stmt::Macro(def) => {
                let value = self.macro_value(def, scope);
                def.name.iter().for_each(|name| scope.set(name, value.clone()));
            }
            Stmt::Call { def, callee, args, line } => {
                self.call_block(def, callee, args, scope, out).map_err(|e| e.at(*line))?;
            }
            Stmt::Generation(def) => {
                let text = self.call_macro(&Macro { def: def.clone(), scope: scope.clone() }, Given::default())?;
                self.write(out, &text)?;
            }
            Stmt::FilterBlock { filter, body, frame, line } => {
                return self.filter_block(filter, body, frame, scope, out).map_err(|e| e.at(*line));
            }
            Stmt::With { targets, values, body, frame, line } => {
                return self.with((targets, values, body, frame), scope, out).map_err(|e| e.at(*line));
            }
            Stmt::Break => return Ok(Flow::Break),
            Stmt::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    #[inline(never)]
    fn print(&mut self, value: &Expr, scope: &Rc<Scope>, out: &mut Out) -> Result<()> {
        let value = self.expr(value, scope)?;
        let text = repr::str(&value)?;
        self.write(out, &text)
    }

    #[inline(never)]
    fn set(&mut self, target: &Target, value: &Expr, scope: &Rc<Scope>) -> Result<()> {
        let mut namespaces = true;
        attributes(target, &mut |name| {
            let value = scope.get(name);
            namespaces &= matches!(&value, Some(Value::Object(o)) if matches!(**o, Object::Namespace(_)));
        });
        if !namespaces {
            return Err(Error::new(Kind::Runtime, "cannot assign attribute on non-namespace object"));
        }
        let value = self.expr(value, scope)?;
        self.assign(target, value, scope)
    }

    fn assign(&mut self, target: &Target, value: Value, scope: &Scope) -> Result<()> {
        match target {
            Target::Name(name) => scope.set(name, value),
            Target::Attribute(name, attribute) => match scope.get(name) {
                Some(Value::Object(object)) => {
                    if let Object::Namespace(dict) = &*object {
                        dict.borrow_mut().set(Value::text(attribute), value)?;
                    }
                }
                _ => return Err(Error::new(Kind::Runtime, "cannot assign attribute on non-namespace object")),
            },
            Target::Tuple(targets) => {
                let items = self.iterate(&value).map_err(|error| match error.kind {
                    Kind::Type => Error::of_type(format!("cannot unpack non-iterable {} object", value.type_name())),
                    _ => error,
                })?;
                let expected = targets.len();
                let mut values = Vec::new();
                while let Some(item) = self.next_of(&items)? {
                    if values.len() == expected {
                        return Err(Error::of_value(format!("too many values to unpack (expected {expected})")));
                    }
                    values.push(item);
                }
                if values.len() < expected {
                    let got = values.len();
                    let what = format!("not enough values to unpack (expected {expected}, got {got})");
                    return Err(Error::of_value(what));
                }
                for (target, value) in targets.iter().zip(values) {
                    self.assign(target, value, scope)?;
                }
            }
        }
        Ok(())
    }

    /// What a block writes, filtered; how it ended where something in it went elsewhere.
    #[inline(never)]
    fn captured(
        &mut self,
        (filter, body, frame): (Option<&Expr>, &[Stmt], &Frame),
        scope: &Rc<Scope>,
    ) -> Result<std::result::Result<Value, Flow>> {
        let inner = self.enter(frame, Some(scope));
        let mut written = Vec::new();
        let flow = self.body(body, &inner, &mut written)?;
        if flow != Flow::On {
            return Ok(Err(flow));
        }
        let mut value = Value::Str(Text::new(written));
        if let Some(filter) = filter {
            value = self.filter_onto(filter, value, &inner)?;
        }
        inner.leave();
        Ok(Ok(value))
    }

    #[inline(never)]
    fn set_block(
        &mut self,
        (target, filter, body, frame): (&Target, Option<&Expr>, &[Stmt], &Frame),
        scope: &Rc<Scope>,
    ) -> Result<Flow> {
        match self.captured((filter, body, frame), scope)? {
            Ok(value) => self.assign(target, value, scope).map(|()| Flow::On),
            Err(flow) => Ok(flow),
        }
    }

    #[inline(never)]
    fn filter_block(
        &mut self,
        filter: &Expr,
        body: &[Stmt],
        frame: &Frame,
        scope: &Rc<Scope>,
        out: &mut Out,
    ) -> Result<Flow> {
        match self.captured((Some(filter), body, frame), scope)? {
            Ok(value) => {
                let text = repr::str(&value)?;
                self.write(out, &text).map(|()| Flow::On)
            }
            Err(flow) => Ok(flow),
        }
    }

    #[inline(never)]
    fn with(
        &mut self,
        (targets, values, body, frame): (&[Target], &[Expr], &[Stmt], &Frame),
        scope: &Rc<Scope>,
        out: &mut Out,
    ) -> Result<Flow> {
        let inner = self.enter(frame, Some(scope));
        for (target, value) in targets.iter().zip(values) {
            let value = self.expr(value, scope)?;
            self.assign(target, value, &inner)?;
        }
        let flow = self.body(body, &inner, out);
        inner.leave();
        flow
    }

    #[inline(never)]
    fn for_stmt(&mut self, def: &Rc<For>, scope: &Rc<Scope>, out: &mut Out) -> Result<Flow> {
        let iterable = self.expr(&def.iter, scope)?;
        if def.recursive {
            let text = self.recursive_loop(def, scope, iterable, 0)?;
            self.write(out, &text)?;
            return Ok(Flow::On);
        }
        self.run_loop(def, scope, iterable, 0, out)
    }

    pub(crate) fn recursive_loop(
        &mut self,
        def: &Rc<For>,
        scope: &Rc<Scope>,
        iterable: Value,
        depth0: i128,
    ) -> Result<Text> {
        let mut written = Vec::new();
        self.deeper(|this| this.run_loop(def, scope, iterable, depth0, &mut written))?;
        Ok(Text::new(written))
    }

    fn run_loop(
        &mut self,
        def: &Rc<For>,
        scope: &Rc<Scope>,
        mut iterable: Value,
        depth0: i128,
        out: &mut Out,
    ) -> Result<Flow> {
        if def.test.is_some() {
            iterable = self.tested(def, scope, &iterable)?;
        }
        let recursive = def.recursive.then(|| (def.clone(), scope.clone()));
        let current = Value::object(Object::Loop(Box::new(Loop::new(self, iterable, depth0, recursive)?)));
        let Value::Object(object) = &current else { return Ok(Flow::On) };
        let Object::Loop(this) = &**object else { return Ok(Flow::On) };
        // Jinja2 notes that the body ran at its end: `continue` and `break` skip the note.
        let mut ran = false;
        while let Some(item) = this.next(self)? {
            let inner = self.enter(&def.frame, Some(scope));
            inner.set("loop", current.clone());
            self.assign(&def.target, item, &inner)?;
            let flow = self.body(&def.body, &inner, out);
            inner.leave();
            match flow? {
                Flow::Break => break,
                Flow::Continue => {}
                Flow::On => ran = true,
            }
        }
        if ran || def.otherwise.is_empty() {
            return Ok(Flow::On);
        }
        let inner = self.enter(&def.else_frame, Some(scope));
        let flow = self.body(&def.otherwise, &inner, out);
        inner.leave();
        flow
    }

    /// The items of a loop that pass its `if`, each tried when its turn comes.
    fn tested(&mut self, def: &Rc<For>, scope: &Rc<Scope>, iterable: &Value) -> Result<Value> {
        let items = self.iterate(iterable)?;
        let (def, scope, depth) = (def.clone(), scope.clone(), items.depth());
        Value::iter("generator", depth, move |eval| {
            let Some(test) = &def.test else { return Ok(None) };
            while let Some(item) = eval.next_of(&items)? {
                let inner = eval.enter(&def.test_frame, Some(&scope));
                eval.assign(&def.target, item.clone(), &inner)?;
                if eval.is_true(test, &inner)? {
                    return match &def.target {
                        // What was taken apart is put together as a tuple.
                        Target::Tuple(_) => Value::tuple(eval.collect_from(&item)?).map(Some),
                        _ => Ok(Some(item)),
                    };
                }
            }
            Ok(None)
        })
    }

    // Macros and calls.

    fn macro_value(&self, def: &Rc<MacroDef>, scope: &Rc<Scope>) -> Value {
        Value::object(Object::Macro(Macro { def: def.clone(), scope: scope.clone() }))
    }

    #[inline(never)]
    fn call_block(
        &mut self,
        def: &Rc<MacroDef>,
        callee: &Expr,
        args: &Args,
        scope: &Rc<Scope>,
        out: &mut Out,
    ) -> Result<()> {
        let callee = self.expr(callee, scope)?;
        let mut given = self.given(args, scope)?;
        if given.named.iter().any(|(name, _)| &**name == "caller") {
            return Err(Error::of_type("got multiple values for keyword argument 'caller'"));
        }
        given.named.push(("caller".into(), self.macro_value(def, scope)));
        let value = self.call(&callee, given)?;
        let text = repr::str(&value)?;
        self.write(out, &text)
    }

    pub(crate) fn call_macro(&mut self, this: &Macro, mut given: Given) -> Result<Text> {
        let def = &this.def;
        let name = def.name.as_deref().unwrap_or("None");
        let scope = self.enter(&def.frame, Some(&this.scope));
        let mut positional = given.positional.drain(..);
        let mut missing = Vec::new();
        let mut found_caller = def.params.iter().any(|param| &**param == "caller");
        for (at, param) in def.params.iter().enumerate() {
            match positional.next().or_else(|| {
                let place = given.named.iter().position(|(this, _)| this == param)?;
                Some(given.named.remove(place).1)
            }) {
                Some(value) => scope.set(param, value),
                None => missing.push((at, param)),
            }
        }
        let rest: Vec<Value> = positional.collect();
        if def.caller && !found_caller {
            found_caller = true;
            let caller = given.take_named("caller").unwrap_or_else(|| Value::undefined("No caller defined"));
            scope.set("caller", caller);
        }
        if def.kwargs {
            let named = given.named.into_iter().map(|(name, value)| (Value::text(&name), value));
            scope.set("kwargs", Value::dict(named)?);
        } else if let Some((unknown, _)) = given.named.first() {
            let what = match &**unknown {
                "caller" if found_caller => format!("macro '{name}' was invoked with two values for caller"),
                unknown => format!("macro '{name}' takes no keyword argument '{unknown}'"),
            };
            return Err(Error::of_type(what));
        }
        if def.varargs {
            scope.set("varargs", Value::tuple(rest)?);
        } else if !rest.is_empty() {
            let most = def.params.len();
            return Err(Error::of_type(format!("macro '{name}' takes not more than {most} argument(s)")));
        }
        self.deeper(|this| {
            let first_default = def.params.len() - def.defaults.len();
            for (at, param) in missing {
                let value = match at.checked_sub(first_default) {
                    Some(default) => this.expr(&def.defaults[default], &scope)?,
                    None => Value::undefined(format!("parameter '{param}' was not provided")),
                };
                scope.set(param, value);
            }
            let mut written = Vec::new();
            let result = this.body(&def.body, &scope, &mut written);
            scope.leave();
            result.map(|_| Text::new(written))
        })
    }

    fn given(&mut self, args: &Args, scope: &Rc<Scope>) -> Result<Given> {
        let mut given = Given::default();
        for arg in &args.positional {
            given.positional.push(self.expr(arg, scope)?);
        }
        for (name, value) in &args.named {
            given.named.push((name.clone(), self.expr(value, scope)?));
        }
        if let Some(star) = &args.star {
            let more = self.expr(star, scope)?;
            given.positional.extend(self.collect_from(&more)?);
        }
        if let Some(star_star) = &args.star_star {
            let more = self.expr(star_star, scope)?;
            let Value::Dict(dict) = &more else {
                more.defined()?;
                return Err(Error::of_type(format!("argument after ** must be a mapping, not {}", more.type_name())));
            };
            for (key, value) in dict.entries() {
                let Value::Str(key) = key else { return Err(Error::of_type("keywords must be strings")) };
                let key: Name = key.to_string().into();
                if given.named.iter().any(|(name, _)| *name == key) {
                    return Err(Error::of_type(format!("got multiple values for keyword argument '{key}'")));
                }
                given.named.push((key, value.clone()));
            }
        }
        Ok(given)
    }

    pub(crate) fn call(&mut self, callee: &Value, given: Given) -> Result<Value> {
        callee.defined()?;
        if let Value::Object(object) = callee {
            match &**object {
                Object::Macro(this) => return self.call_macro(this, given).map(Value::Str),
                Object::Function(function) => return functions::call(self, *function, given),
                Object::Method(of, name) => return methods::call(self, of, name, given),
                Object::Joiner { separator, used } => {
                    let [] = given.places("Joiner", 0)?;
                    return Ok(if used.replace(true) { separator.clone() } else { Value::text("") });
                }
                Object::Loop(this) => {
                    let [iterable] = given.bind("loop", ["iterable"], 1)?;
                    let Some((def, scope)) = &this.recursive else {
                        let what = "the loop must have the 'recursive' marker to be called recursively";
                        return Err(Error::of_type(what));
                    };
                    let iterable = iterable.unwrap_or(Value::None);
                    return self.recursive_loop(def, scope, iterable, this.depth()).map(Value::Str);
                }
                _ => {}
            }
        }
        Err(Error::of_type(format!("'{}' object is not callable", callee.type_name())))
    }

    // Expressions.

    pub(crate) fn is_true(&mut self, expr: &Expr, scope: &Rc<Scope>) -> Result<bool> {
        Ok(self.expr(expr, scope)?.is_true())
    }

    fn expr(&mut self, expr: &Expr, scope: &Rc<Scope>) -> Result<Value> {
        budget::spend(0)?;
        match expr {
            Expr::Const(value) => Ok(value.clone()),
            Expr::Name(name) => {
                Ok(scope.get(name).unwrap_or_else(|| Value::undefined(format!("'{name}' is undefined"))))
            }
            _ => self.deeper(|this| this.compound(expr, scope)),
        }
    }

    fn compound(&mut self, expr: &Expr, scope: &Rc<Scope>) -> Result<Value> {
        match expr {
            Expr::Const(_) | Expr::Name(_) => self.expr(expr, scope),
            Expr::Tuple(items) => self.exprs(items, scope).and_then(Value::tuple),
            Expr::List(items) => self.exprs(items, scope).and_then(Value::list),
            Expr::Dict(entries) => self.dict(entries, scope),
            Expr::Positive(of) => operators::positive(&self.expr(of, scope)?),
            Expr::Negative(of) => operators::negative(&self.expr(of, scope)?),
            Expr::Not(of) => Ok(Value::Bool(!self.is_true(of, scope)?)),
            Expr::Binary(operator, left, right) => {
                let left = self.expr(left, scope)?;
                let right = self.expr(right, scope)?;
                operators::binary(self, *operator, &left, &right)
            }
            Expr::And(left, right) => {
                let left = self.expr(left, scope)?;
                if left.is_true() { self.expr(right, scope) } else { Ok(left) }
            }
            Expr::Or(left, right) => {
                let left = self.expr(left, scope)?;
                if left.is_true() { Ok(left) } else { self.expr(right, scope) }
            }
            Expr::Concat(parts) => self.concat(parts, scope),
            Expr::Compare(first, rest) => self.comparison(first, rest, scope),
            Expr::Attribute { of, name, line } => {
                let of = self.expr(of, scope)?;
                access::attribute(self, &of, name).map_err(|e| e.at(*line))
            }
            Expr::Item { of, index, line } => {
                let of = self.expr(of, scope)?;
                let index = self.expr(index, scope)?;
                access::item(self, &of, &index).map_err(|e| e.at(*line))
            }
            Expr::Slice { of, bounds, line } => self.slice(of, bounds, scope).map_err(|e| e.at(*line)),
            Expr::Call { callee, args, line } => self.call_expr(callee, args, scope).map_err(|e| e.at(*line)),
            Expr::Filter { .. } => self.filter(expr, None, scope),
            Expr::Test { of, name, args, line } => self.test(of, name, args, scope).map_err(|e| e.at(*line)),
            Expr::Conditional { test, then, otherwise, line } => match otherwise {
                _ if self.is_true(test, scope)? => self.expr(then, scope),
                Some(otherwise) => self.expr(otherwise, scope),
                None => Ok(Value::undefined(format!(
                    "the inline if-expression on line {line} evaluated to false and no else section was defined"
                ))),
            },
        }
    }

    fn exprs(&mut self, items: &[Expr], scope: &Rc<Scope>) -> Result<Vec<Value>> {
        items.iter().map(|item| self.expr(item, scope)).collect()
    }

    #[inline(never)]
    fn dict(&mut self, entries: &[(Expr, Expr)], scope: &Rc<Scope>) -> Result<Value> {
        let mut evaluated = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            evaluated.push((self.expr(key, scope)?, self.expr(value, scope)?));
        }
        Value::dict(evaluated)
    }

    #[inline(never)]
    fn concat(&mut self, parts: &[Expr], scope: &Rc<Scope>) -> Result<Value> {
        let mut text = Vec::new();
        for part in parts {
            let value = self.expr(part, scope)?;
            let part = repr::str(&value)?;
            budget::spend(part.len())?;
            budget::room((text.len() + part.len()) * size_of::<Glyph>())?;
            text.extend_from_slice(&part);
        }
        Ok(Value::Str(Text::new(text)))
    }

    #[inline(never)]
    fn comparison(
        &mut self,
        first: &Expr,
        rest: &[(crate::ast::Comparison, Expr)],
        scope: &Rc<Scope>,
    ) -> Result<Value> {
        let mut left = self.expr(first, scope)?;
        for (comparison, right) in rest {
            let right = self.expr(right, scope)?;
            if !operators::holds(self, *comparison, &left, &right)? {
                return Ok(Value::Bool(false));
            }
            left = right;
        }
        Ok(Value::Bool(true))
    }

    #[inline(never)]
    fn slice(&mut self, of: &Expr, bounds: &[Option<Expr>; 3], scope: &Rc<Scope>) -> Result<Value> {
        let of = self.expr(of, scope)?;
        let mut places = [Value::None, Value::None, Value::None];
        for (place, bound) in places.iter_mut().zip(bounds) {
            if let Some(bound) = bound {
                *place = self.expr(bound, scope)?;
            }
        }
        access::slice(&of, places)
    }

    #[inline(never)]
    fn call_expr(&mut self, callee: &Expr, args: &Args, scope: &Rc<Scope>) -> Result<Value> {
        let callee = self.expr(callee, scope)?;
        let given = self.given(args, scope)?;
        self.call(&callee, given)
    }

    /// `block`: what a filter without a value filters, at the end of a chain of filters.
    #[inline(never)]
    fn filter(&mut self, expr: &Expr, block: Option<Value>, scope: &Rc<Scope>) -> Result<Value> {
        let Expr::Filter { of, name, args, line } = expr else { return self.expr(expr, scope) };
        let value = match (of, block) {
            (Some(of), None) => self.expr(of, scope)?,
            (Some(of), block) => self.deeper(|this| this.filter(of, block, scope))?,
            (None, block) => block.unwrap_or(Value::None),
        };
        let given = self.given(args, scope).map_err(|e| e.at(*line))?;
        filters::call(self, name, value, given).map_err(|e| e.at(*line))
    }

    fn filter_onto(&mut self, filter: &Expr, value: Value, scope: &Rc<Scope>) -> Result<Value> {
        self.filter(filter, Some(value), scope)
    }

    #[inline(never)]
    fn test(&mut self, of: &Expr, name: &str, args: &Args, scope: &Rc<Scope>) -> Result<Value> {
        let value = self.expr(of, scope)?;
        let given = self.given(args, scope)?;
        predicates::call(self, name, &value, given).map(Value::Bool)
    }

    // Iteration.

    /// `iter(value)`: an iterator, which gives each item once.
    ///
    /// # Errors
    /// TypeError where there is nothing to iterate over.
    pub(crate) fn iterate(&mut self, value: &Value) -> Result<Value> {
        let (value, depth) = (value.clone(), value.depth());
        let mut next = 0;
        let mut step = move || {
            next += 1;
            next - 1
        };
        match &value {
            Value::Undefined(_) => Value::iter("generator", 0, |_| Ok(None)),
            Value::Str(text) => {
                let text = text.clone().marked(false);
                Value::iter("str_iterator", depth, move |_| {
                    let at = step();
                    Ok((at < text.len()).then(|| Value::Str(text.part(at..at + 1))))
                })
            }
            Value::List(items) | Value::Tuple(items) => {
                let items = items.clone();
                let kind = if matches!(value, Value::List(_)) { "list_iterator" } else { "tuple_iterator" };
                Value::iter(kind, depth, move |_| Ok(items.get(step()).cloned()))
            }
            Value::Dict(dict) => {
                let dict = dict.clone();
                Value::iter("dict_keyiterator", depth, move |_| Ok(dict.entries().get(step()).map(|e| e.0.clone())))
            }
            Value::Object(object) => match &**object {
                Object::Range(range) => {
                    let range = *range;
                    Value::iter("range_iterator", 0, move |_| {
                        let at = step();
                        Ok((at < range.len).then(|| Value::Int(range.at(at))))
                    })
                }
                Object::View(view, dict) => {
                    let (view, dict) = (*view, dict.clone());
                    Value::iter("dict_iterator", depth, move |_| {
                        dict.entries().get(step()).map(|entry| viewed(view, entry)).transpose()
                    })
                }
                Object::Iter(_) | Object::Loop(_) | Object::Cycler { .. } => Ok(value),
                _ => Err(not_iterable(&value)),
            },
            _ => Err(not_iterable(&value)),
        }
    }

    /// `next(iterator)`, of what `iterate` gave.
    pub(crate) fn next_of(&mut self, iterator: &Value) -> Result<Option<Value>> {
        let Value::Object(object) = iterator else { return Ok(None) };
        match &**object {
            Object::Iter(iter) => self.deeper(|this| Iter::next(iter, this)),
            Object::Loop(this) => match this.next(self)? {
                Some(item) => Value::tuple(vec![item, iterator.clone()]).map(Some),
                None => Ok(None),
            },
            _ => Err(not_iterable(iterator)),
        }
    }

    pub(crate) fn collect(&mut self, iterator: &Value) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        while let Some(item) = self.next_of(iterator)? {
            budget::room((items.len() + 1) * size_of::<Value>())?;
            items.push(item);
        }
        Ok(items)
    }

    /// `list(value)`.
    pub(crate) fn collect_from(&mut self, value: &Value) -> Result<Vec<Value>> {
        if let Value::List(items) | Value::Tuple(items) = value {
            budget::spend(items.len())?;
            budget::room(items.len() * size_of::<Value>())?;
            return Ok(items.to_vec());
        }
        let iterator = self.iterate(value)?;
        self.collect(&iterator)
    }
}

pub(crate) fn viewed(view: View, (key, value): &(Value, Value)) -> Result<Value> {
    match view {
        View::Keys => Ok(key.clone()),
        View::Values => Ok(value.clone()),
        View::Items => Value::tuple(vec![key.clone(), value.clone()]),
    }
}

fn not_iterable(value: &Value) -> Error {
    Error::of_type(format!("'{}' object is not iterable", value.type_name()))
}

fn attributes(target: &Target, see: &mut dyn FnMut(&Name)) {
    match target {
        Target::Name(_) => {}
        Target::Attribute(name, _) => see(name),
        Target::Tuple(targets) => targets.iter().for_each(|target| attributes(target, see)),
    }
}

impl Macro {
    pub(crate) fn attribute(&self, name: &str) -> Result<Option<Value>> {
        let def = &self.def;
        Ok(Some(match name {
            "name" => def.name.as_deref().map_or(Value::None, Value::text),
            "arguments" => Value::tuple(def.params.iter().map(|param| Value::text(param)).collect())?,
            "catch_kwargs" => Value::Bool(def.kwargs),
            "catch_varargs" => Value::Bool(def.varargs),
            "caller" => Value::Bool(def.caller),
            "explicit_caller" => Value::Bool(def.params.iter().any(|param| &**param == "caller")),
            _ => return Ok(None),
        }))
    }
}

/// `groupby`'s pair.
pub(crate) fn group(key: Value, items: Vec<Value>) -> Result<Value> {
    let mut pair = Items::new(vec![key, Value::list(items)?])?;
    pair.grouped = true;
    Ok(Value::Tuple(Rc::new(pair)))
}
