//! Which frame a name belongs to. Jinja2 decides it before it renders: a name that is set anywhere in a frame belongs to that
//! frame from its beginning, and starts as missing, with the value it has outside, or with the context's. The rules are those
//! of its `idtracking`, since templates are written by trying.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::ast::{Args, Expr, For, Frame, Load, MacroDef, Name, Stmt, Target};
use crate::error::{Error, Result};
use crate::value::Value;
use crate::{filters, predicates};

/// A frame at work: its variables, of which those that are `None` are missing.
pub(crate) struct Scope {
    vars: RefCell<Vec<(Name, Option<Value>)>>,
    parent: Option<Rc<Scope>>,
}

impl Scope {
    pub fn enter(frame: &Frame, parent: Option<&Rc<Scope>>, context: &dyn Fn(&str) -> Option<Value>) -> Rc<Self> {
        let start = |(name, load): &(Name, Load)| {
            let value = match load {
                Load::Parameter | Load::Missing => None,
                Load::Resolve => context(name),
                Load::Alias => parent.and_then(|parent| parent.get(name)),
            };
            (name.clone(), value)
        };
        let vars = RefCell::new(frame.iter().map(start).collect());
        Rc::new(Self { vars, parent: parent.cloned() })
    }

    pub fn get(&self, name: &str) -> Option<Value> {
        let vars = self.vars.borrow();
        match vars.iter().find(|(this, _)| **this == *name) {
            Some((_, value)) => value.clone(),
            None => self.parent.as_ref().and_then(|parent| parent.get(name)),
        }
    }

    pub fn set(&self, name: &str, value: Value) {
        let mut vars = self.vars.borrow_mut();
        if let Some((_, place)) = vars.iter_mut().find(|(this, _)| **this == *name) {
            *place = Some(value);
        }
    }

    /// A frame that is left has no variables: a macro in it refers to it, and both would last for ever.
    pub fn leave(&self) {
        self.vars.take();
    }
}

/// Fills in the frames of a tree, and refuses what Jinja2 refuses when it compiles. The result is the root's frame.
///
/// # Errors
/// Of kind [`crate::Kind::Syntax`].
pub(crate) fn resolve(body: &mut [Stmt]) -> Result<Frame> {
    let mut search = Search { name: "self", found: None };
    search.body(body);
    if search.found == Some(true) {
        return Err(Error::unsupported("'self', which is for templates of several blocks,"));
    }
    let mut symbols = Symbols::default();
    symbols.visit_body(body);
    let mut resolver = Resolver { soft: false, in_loop: false, in_for: false };
    resolver.body(body, &symbols)?;
    Ok(symbols.frame())
}

#[derive(Default, Clone)]
struct Symbols<'p> {
    parent: Option<&'p Symbols<'p>>,
    loads: BTreeMap<Name, Load>,
    stores: BTreeSet<Name>,
}

impl<'p> Symbols<'p> {
    fn inner(parent: &'p Symbols<'p>) -> Self {
        Self { parent: Some(parent), ..Self::default() }
    }

    fn frame(self) -> Frame {
        self.loads.into_iter().collect()
    }

    fn knows(&self, name: &str) -> bool {
        self.loads.contains_key(name) || self.parent.is_some_and(|parent| parent.knows(name))
    }

    fn known_outside(&self, name: &str) -> bool {
        self.parent.is_some_and(|parent| parent.knows(name))
    }

    fn load(&mut self, name: &Name) {
        if !self.knows(name) {
            self.loads.insert(name.clone(), Load::Resolve);
        }
    }

    fn store(&mut self, name: &Name) {
        self.stores.insert(name.clone());
        if !self.loads.contains_key(name) {
            let load = if self.known_outside(name) { Load::Alias } else { Load::Missing };
            self.loads.insert(name.clone(), load);
        }
    }

    fn parameter(&mut self, name: &Name) {
        self.stores.insert(name.clone());
        self.loads.insert(name.clone(), Load::Parameter);
    }

    /// What branches set may not have been set: then it is what it was before.
    fn merge(&mut self, branches: Vec<Symbols<'p>>) {
        let mut stores: BTreeSet<Name> = branches.iter().flat_map(|branch| branch.stores.iter().cloned()).collect();
        stores.retain(|name| !self.stores.contains(name));
        for branch in branches {
            self.loads.extend(branch.loads);
            self.stores.extend(branch.stores);
        }
        for name in stores {
            let load = if self.known_outside(&name) { Load::Alias } else { Load::Resolve };
            self.loads.insert(name, load);
        }
    }

    fn visit_expr(&mut self, expr: &Expr) {
        names(expr, &mut |name| self.load(name));
    }

    fn visit_target(&mut self, target: &Target, parameter: bool) {
        match target {
            Target::Name(name) if parameter => self.parameter(name),
            Target::Name(name) => self.store(name),
            Target::Attribute(name, _) => self.load(name),
            Target::Tuple(targets) => targets.iter().for_each(|target| self.visit_target(target, parameter)),
        }
    }

    fn visit_args(&mut self, args: &Args) {
        args_of(args).for_each(|arg| self.visit_expr(arg));
    }

    fn visit_body(&mut self, body: &[Stmt]) {
        for stmt in body {
            self.visit(stmt);
        }
    }

    fn branch(&self, visit: impl FnOnce(&mut Self)) -> Self {
        let mut branch = self.clone();
        visit(&mut branch);
        branch
    }

    /// What a statement loads and sets in this frame: not what it does in its own.
    fn visit(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::Data(_) | Stmt::Break | Stmt::Continue | Stmt::Generation(_) => {}
            Stmt::Print(value, _) => self.visit_expr(value),
            Stmt::For(def) => self.visit_expr(&def.iter),
            Stmt::If { branches, otherwise } => {
                let Some(((test, body, _), others)) = branches.split_first() else { return };
                self.visit_expr(test);
                let first = self.branch(|this| this.visit_body(body));
                // Each of them is a condition of its own, with one branch.
                let rest = self.branch(|this| {
                    for (test, body, _) in others {
                        this.visit_expr(test);
                        let branch = this.branch(|this| this.visit_body(body));
                        this.merge(vec![branch]);
                    }
                });
                let last = self.branch(|this| this.visit_body(otherwise));
                self.merge(vec![first, rest, last]);
            }
            Stmt::Set { target, value, .. } => {
                self.visit_expr(value);
                self.visit_target(target, false);
            }
            Stmt::SetBlock { target, .. } => self.visit_target(target, false),
            Stmt::Macro(def) => def.name.iter().for_each(|name| self.store(name)),
            Stmt::Call { callee, args, .. } => {
                self.visit_expr(callee);
                self.visit_args(args);
            }
            Stmt::FilterBlock { filter, .. } => self.visit_expr(filter),
            Stmt::With { values, .. } => values.iter().for_each(|value| self.visit_expr(value)),
        }
    }
}

/// Goes through the tree, frame by frame.
struct Resolver {
    /// In a condition filters may be unknown, until they are called.
    soft: bool,
    /// Whether `break` has a loop to leave.
    in_loop: bool,
    /// Whether a loop's variable is in use.
    in_for: bool,
}

impl Resolver {
    fn body(&mut self, body: &mut [Stmt], symbols: &Symbols) -> Result<()> {
        body.iter_mut().try_for_each(|stmt| self.stmt(stmt, symbols))
    }

    fn stmt(&mut self, stmt: &mut Stmt, symbols: &Symbols) -> Result<()> {
        match stmt {
            Stmt::Data(_) => Ok(()),
            Stmt::Print(value, line) => self.expr(value).map_err(|e| e.at(*line)),
            Stmt::For(def) => {
                let def = Rc::get_mut(def).expect("nobody else has it yet");
                self.for_loop(def, symbols).map_err(|e| e.at(def.line))
            }
            Stmt::If { branches, otherwise } => self.with(
                |this| &mut this.soft,
                true,
                |this| {
                    for (test, body, line) in branches {
                        this.expr(test).map_err(|e| e.at(*line))?;
                        this.body(body, symbols)?;
                    }
                    this.body(otherwise, symbols)
                },
            ),
            Stmt::Set { target, value, line } => {
                self.target(target).and_then(|()| self.expr(value)).map_err(|e| e.at(*line))
            }
            Stmt::SetBlock { target, filter, body, frame, line } => {
                let mut inner = Symbols::inner(symbols);
                inner.visit_body(body);
                self.target(target).map_err(|e| e.at(*line))?;
                if let Some(filter) = filter {
                    let mut unknown = None;
                    names(filter, &mut |name| {
                        if !inner.knows(name) {
                            unknown = Some(name.clone());
                        }
                    });
                    if let Some(name) = unknown {
                        let what = format!("'{name}' in the filter of a set block is known nowhere else");
                        return Err(Error::syntax(what, *line));
                    }
                }
                self.hard(|this| {
                    filter.iter().try_for_each(|filter| this.expr(filter)).map_err(|e| e.at(*line))?;
                    this.body(body, &inner)
                })?;
                *frame = inner.frame();
                Ok(())
            }
            Stmt::Macro(def) => self.definition(def, symbols),
            Stmt::Generation(def) => self.definition(def, symbols),
            Stmt::Call { def, callee, args, line } => {
                self.definition(def, symbols)?;
                self.expr(callee).and_then(|()| self.args(args)).map_err(|e| e.at(*line))
            }
            Stmt::FilterBlock { filter, body, frame, line } => {
                let mut inner = Symbols::inner(symbols);
                inner.visit_body(body);
                inner.visit_expr(filter);
                self.hard(|this| {
                    this.body(body, &inner)?;
                    this.expr(filter).map_err(|e| e.at(*line))
                })?;
                *frame = inner.frame();
                Ok(())
            }
            Stmt::With { targets, values, body, frame, line } => {
                let mut inner = Symbols::inner(symbols);
                targets.iter().for_each(|target| inner.visit_target(target, true));
                inner.visit_body(body);
                values.iter().try_for_each(|value| self.expr(value)).map_err(|e| e.at(*line))?;
                self.hard(|this| this.body(body, &inner))?;
                *frame = inner.frame();
                Ok(())
            }
            Stmt::Break | Stmt::Continue if !self.in_loop => {
                Err(Error::new(crate::Kind::Syntax, "'break' or 'continue' outside of a loop"))
            }
            Stmt::Break | Stmt::Continue => Ok(()),
        }
    }

    fn with<T>(&mut self, field: fn(&mut Self) -> &mut bool, value: bool, run: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(field(self), value);
        let result = run(self);
        *field(self) = before;
        result
    }

    /// A frame within: conditions around it do not count.
    fn hard<T>(&mut self, run: impl FnOnce(&mut Self) -> T) -> T {
        self.with(|this| &mut this.soft, false, run)
    }

    fn for_loop(&mut self, def: &mut For, symbols: &Symbols) -> Result<()> {
        self.expr(&def.iter)?;
        let mut body = Symbols::inner(symbols);
        body.parameter(&"loop".into());
        body.visit_target(&def.target, true);
        body.visit_body(&def.body);
        let mut test = Symbols::inner(symbols);
        test.visit_target(&def.target, true);
        def.test.iter().for_each(|expr| test.visit_expr(expr));
        let mut otherwise = Symbols::inner(symbols);
        otherwise.visit_body(&def.otherwise);
        self.hard(|this| {
            this.with(
                |this| &mut this.in_for,
                true,
                |this| {
                    this.target(&def.target)?;
                    def.test.iter().try_for_each(|test| this.expr(test))?;
                    this.with(|this| &mut this.in_loop, true, |this| this.body(&mut def.body, &body))?;
                    // A recursive loop is a function, with nothing around it to leave.
                    let in_loop = this.in_loop && !def.recursive;
                    this.with(|this| &mut this.in_loop, in_loop, |this| this.body(&mut def.otherwise, &otherwise))
                },
            )
        })?;
        (def.frame, def.test_frame, def.else_frame) = (body.frame(), test.frame(), otherwise.frame());
        Ok(())
    }

    fn definition(&mut self, def: &mut Rc<MacroDef>, symbols: &Symbols) -> Result<()> {
        let def = Rc::get_mut(def).expect("nobody else has it yet");
        let mut inner = Symbols::inner(symbols);
        def.params.iter().for_each(|param| inner.parameter(param));
        def.defaults.iter().for_each(|default| inner.visit_expr(default));
        inner.visit_body(&def.body);
        let undeclared = |name: &str| {
            let mut search = Search { name, found: None };
            search.body(&def.body);
            search.found == Some(true)
        };
        let is_param = |name: &str| def.params.iter().any(|param| &**param == name);
        let uses_caller = undeclared("caller");
        if let Some(at) = def.params.iter().position(|param| uses_caller && &**param == "caller")
            && at + def.defaults.len() < def.params.len()
        {
            let what = "the special 'caller' argument must be omitted or be given a default";
            return Err(Error::new(crate::Kind::Syntax, what));
        }
        (def.caller, def.kwargs, def.varargs) = (
            uses_caller && !is_param("caller"),
            undeclared("kwargs") && !is_param("kwargs"),
            undeclared("varargs") && !is_param("varargs"),
        );
        for (used, name) in [(def.caller, "caller"), (def.kwargs, "kwargs"), (def.varargs, "varargs")] {
            if used {
                inner.parameter(&name.into());
            }
        }
        self.hard(|this| {
            this.with(
                |this| &mut this.in_loop,
                false,
                |this| {
                    def.defaults.iter().try_for_each(|default| this.expr(default))?;
                    this.body(&mut def.body, &inner)
                },
            )
        })?;
        def.frame = inner.frame();
        Ok(())
    }

    fn target(&self, target: &Target) -> Result<()> {
        match target {
            Target::Name(name) if self.in_for && &**name == "loop" => {
                Err(Error::new(crate::Kind::Syntax, "can't assign to the special loop variable"))
            }
            Target::Name(_) | Target::Attribute(..) => Ok(()),
            Target::Tuple(targets) => targets.iter().try_for_each(|target| self.target(target)),
        }
    }

    fn args(&self, args: &Args) -> Result<()> {
        args_of(args).try_for_each(|arg| self.expr(arg))
    }

    /// Filters and tests that are not known, where that must be known beforehand.
    fn expr(&self, expr: &Expr) -> Result<()> {
        let unknown = match expr {
            _ if self.soft => return Ok(()),
            Expr::Filter { name, line, .. } if !filters::known(name) => Some(("filter", name, line)),
            Expr::Test { name, line, .. } if !predicates::known(name) => Some(("test", name, line)),
            // As in a condition.
            Expr::Conditional { .. } => return Ok(()),
            _ => None,
        };
        if let Some((kind, name, line)) = unknown {
            return Err(Error::syntax(format!("no {kind} named '{name}'"), *line));
        }
        let mut result = Ok(());
        children(expr, &mut |child| {
            if result.is_ok() {
                result = self.expr(child);
            }
        });
        result
    }
}

fn args_of(args: &Args) -> impl Iterator<Item = &Expr> {
    let named = args.named.iter().map(|(_, value)| value);
    args.positional.iter().chain(named).chain(args.star.as_deref()).chain(args.star_star.as_deref())
}

fn names(expr: &Expr, see: &mut dyn FnMut(&Name)) {
    if let Expr::Name(name) = expr {
        see(name);
    }
    children(expr, &mut |child| names(child, see));
}

fn children(expr: &Expr, see: &mut dyn FnMut(&Expr)) {
    match expr {
        Expr::Const(_) | Expr::Name(_) => {}
        Expr::Tuple(items) | Expr::List(items) | Expr::Concat(items) => items.iter().for_each(see),
        Expr::Dict(items) => items.iter().for_each(|(key, value)| {
            see(key);
            see(value);
        }),
        Expr::Positive(of) | Expr::Negative(of) | Expr::Not(of) | Expr::Attribute { of, .. } => see(of),
        Expr::Binary(_, left, right) | Expr::And(left, right) | Expr::Or(left, right) => {
            see(left);
            see(right);
        }
        Expr::Compare(first, rest) => {
            see(first);
            rest.iter().for_each(|(_, operand)| see(operand));
        }
        Expr::Item { of, index, .. } => {
            see(of);
            see(index);
        }
        Expr::Slice { of, bounds, .. } => {
            see(of);
            bounds.iter().flatten().for_each(see);
        }
        Expr::Call { callee: of, args, .. } | Expr::Test { of, args, .. } => {
            see(of);
            args_of(args).for_each(see);
        }
        Expr::Filter { of, args, .. } => of.as_deref().into_iter().chain(args_of(args)).for_each(see),
        Expr::Conditional { test, then, otherwise, .. } => {
            [&**test, &**then].into_iter().chain(otherwise.as_deref()).for_each(see);
        }
    }
}

/// Whether a name is used in a body, frames within frames, before anything there sets it.
struct Search<'n> {
    name: &'n str,
    found: Option<bool>,
}

impl Search<'_> {
    fn see(&mut self, name: &str, is_use: bool) {
        if name == self.name {
            self.found.get_or_insert(is_use);
        }
    }

    fn expr(&mut self, expr: &Expr) {
        names(expr, &mut |name| self.see(name, true));
    }

    fn args(&mut self, args: &Args) {
        args_of(args).for_each(|arg| self.expr(arg));
    }

    fn target(&mut self, target: &Target) {
        match target {
            Target::Name(name) => self.see(name, false),
            Target::Attribute(..) => {}
            Target::Tuple(targets) => targets.iter().for_each(|target| self.target(target)),
        }
    }

    fn definition(&mut self, def: &MacroDef) {
        def.params.iter().for_each(|param| self.see(param, false));
        def.defaults.iter().for_each(|default| self.expr(default));
        self.body(&def.body);
    }

    fn body(&mut self, body: &[Stmt]) {
        for stmt in body {
            match stmt {
                Stmt::Data(_) | Stmt::Break | Stmt::Continue => {}
                Stmt::Print(value, _) => self.expr(value),
                Stmt::For(def) => {
                    self.target(&def.target);
                    self.expr(&def.iter);
                    self.body(&def.body);
                    self.body(&def.otherwise);
                    def.test.iter().for_each(|test| self.expr(test));
                }
                Stmt::If { branches, otherwise } => {
                    for (test, body, _) in branches {
                        self.expr(test);
                        self.body(body);
                    }
                    self.body(otherwise);
                }
                Stmt::Set { target, value, .. } => {
                    self.target(target);
                    self.expr(value);
                }
                Stmt::SetBlock { target, filter, body, .. } => {
                    self.target(target);
                    filter.iter().for_each(|filter| self.expr(filter));
                    self.body(body);
                }
                Stmt::Macro(def) | Stmt::Generation(def) => self.definition(def),
                Stmt::Call { def, callee, args, .. } => {
                    self.expr(callee);
                    self.args(args);
                    self.definition(def);
                }
                Stmt::FilterBlock { filter, body, .. } => {
                    self.body(body);
                    self.expr(filter);
                }
                Stmt::With { targets, values, body, .. } => {
                    targets.iter().for_each(|target| self.target(target));
                    values.iter().for_each(|value| self.expr(value));
                    self.body(body);
                }
            }
        }
    }
}
