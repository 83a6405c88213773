//! Statements: from tokens to a tree, in Jinja2's grammar.

use std::rc::Rc;

use crate::ast::{Args, Expr, For, MacroDef, Name, Stmt, Target};
use crate::budget::NESTING;
use crate::error::{Error, Kind, Result};
use crate::lexer::{Spanned, Token, tokens};
use crate::scope;
use crate::text::Text;

/// # Errors
/// [`Kind::Syntax`] and [`Kind::Unsupported`], with the line.
pub(crate) fn parse(source: &str) -> Result<(Vec<Stmt>, crate::ast::Frame)> {
    let mut parser = Parser { tokens: tokens(source)?, at: 0, depth: 0, tags: Vec::new(), ends: Vec::new() };
    let mut body = parser.body(&[])?;
    let frame = scope::resolve(&mut body)?;
    Ok((body, frame))
}

pub(crate) struct Parser {
    tokens: Vec<Spanned>,
    at: usize,
    depth: u16,
    /// Open tags, and the words each may go on or end with.
    tags: Vec<Name>,
    ends: Vec<&'static [&'static str]>,
}

impl Parser {
    pub fn token(&self) -> &Token {
        &self.tokens[self.at].token
    }

    pub fn line(&self) -> u32 {
        self.tokens[self.at].line
    }

    pub fn after(&self) -> &Token {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)].token
    }

    pub fn next(&mut self) -> Token {
        let token = self.token().clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    pub fn is_op(&self, op: &str) -> bool {
        matches!(self.token(), Token::Op(this) if *this == op)
    }

    pub fn is_name(&self, name: &str) -> bool {
        matches!(self.token(), Token::Name(this) if &**this == name)
    }

    pub fn skip_op(&mut self, op: &str) -> bool {
        let found = self.is_op(op);
        if found {
            self.next();
        }
        found
    }

    pub fn skip_name(&mut self, name: &str) -> bool {
        let found = self.is_name(name);
        if found {
            self.next();
        }
        found
    }

    pub fn fail<T>(&self, message: impl Into<String>) -> Result<T> {
        Err(Error::syntax(message, self.line()))
    }

    fn expected<T>(&self, what: &str) -> Result<T> {
        match self.token() {
            Token::End => self.fail(format!("unexpected end of template, expected {what}")),
            token => self.fail(format!("expected {what}, got {}", describe(token))),
        }
    }

    pub fn expect_op(&mut self, op: &str) -> Result<()> {
        if self.skip_op(op) { Ok(()) } else { self.expected(&format!("'{op}'")) }
    }

    fn expect_word(&mut self, word: &str) -> Result<()> {
        if self.skip_name(word) { Ok(()) } else { self.expected(&format!("'{word}'")) }
    }

    pub fn expect_name(&mut self) -> Result<Name> {
        match self.token() {
            Token::Name(name) => {
                let name = name.clone();
                self.next();
                Ok(name)
            }
            _ => self.expected("a name"),
        }
    }

    fn expect(&mut self, token: &Token) -> Result<()> {
        if self.token() != token {
            return self.expected(&describe(token));
        }
        self.next();
        Ok(())
    }

    /// One level further in, of statements and expressions alike.
    pub fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= NESTING {
            let what = format!("more than {NESTING} levels lie within each other");
            return Err(Error::new(Kind::Limit, what).at(self.line()));
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    /// Up to one of these words at the beginning of a block, or to the end where there are none.
    fn body(&mut self, ends: &'static [&'static str]) -> Result<Vec<Stmt>> {
        let mut body = Vec::new();
        loop {
            let line = self.line();
            match self.token() {
                Token::Data(text) => {
                    body.push(Stmt::Data(Text::plain(text)));
                    self.next();
                }
                Token::PrintBegin => {
                    self.next();
                    let value = self.tuple(true, &[], false)?;
                    body.push(Stmt::Print(value, line));
                    self.expect(&Token::PrintEnd)?;
                }
                Token::BlockBegin => {
                    self.next();
                    if matches!(self.token(), Token::Name(name) if ends.contains(&&**name)) {
                        return Ok(body);
                    }
                    body.extend(self.statement()?);
                    self.expect(&Token::BlockEnd)?;
                }
                _ if ends.is_empty() => return Ok(body),
                _ => return self.unfinished(None),
            }
        }
    }

    /// What a block holds, from the end of its tag to the tag of one of these names.
    fn block(&mut self, ends: &'static [&'static str]) -> Result<Vec<Stmt>> {
        // For Python's sake.
        self.skip_op(":");
        self.expect(&Token::BlockEnd)?;
        self.ends.push(ends);
        let body = self.deeper(|parser| parser.body(ends));
        self.ends.pop();
        body
    }

    fn ended(&mut self, end: &'static [&'static str]) -> Result<Vec<Stmt>> {
        let body = self.block(end)?;
        self.next();
        Ok(body)
    }

    fn unfinished<T>(&self, unknown: Option<&str>) -> Result<T> {
        let mut what = match unknown {
            None => "unexpected end of template".to_owned(),
            Some(name) => format!("unknown tag '{name}'"),
        };
        if let Some(ends) = self.ends.last() {
            what += &format!(", while looking for '{}'", ends.join("' or '"));
        }
        if let Some(tag) = self.tags.last() {
            what += &format!(", to close '{tag}'");
        }
        self.fail(what)
    }

    fn statement(&mut self) -> Result<Option<Stmt>> {
        let Token::Name(tag) = self.token().clone() else {
            return self.fail("tag name expected");
        };
        let line = self.line();
        self.tags.push(tag.clone());
        let statement = match &*tag {
            "for" => self.for_loop()?,
            "if" => self.condition()?,
            "set" => self.set()?,
            "macro" => self.macro_definition()?,
            "call" => self.call_block()?,
            "filter" => self.filter_block()?,
            "with" => self.with()?,
            "autoescape" => self.autoescape()?,
            "print" => return self.print().map(|printed| self.close(printed)),
            "break" => self.word(Stmt::Break),
            "continue" => self.word(Stmt::Continue),
            "generation" => self.generation()?,
            "block" | "extends" | "include" | "import" | "from" => {
                let what = format!("the tag '{tag}', which needs other templates,");
                return Err(Error::unsupported(what).at(line));
            }
            _ => {
                self.tags.pop();
                return self.unfinished(Some(&tag));
            }
        };
        Ok(self.close(Some(statement)))
    }

    fn close(&mut self, statement: Option<Stmt>) -> Option<Stmt> {
        self.tags.pop();
        statement
    }

    fn word(&mut self, statement: Stmt) -> Stmt {
        self.next();
        statement
    }

    fn for_loop(&mut self) -> Result<Stmt> {
        let line = self.line();
        self.next();
        let target = self.target(true, &["in"], false)?;
        self.expect_word("in")?;
        let iter = self.tuple(false, &["recursive"], false)?;
        let test = if self.skip_name("if") { Some(self.expression(true)?) } else { None };
        let recursive = self.skip_name("recursive");
        let body = self.block(&["endfor", "else"])?;
        let ended = self.is_name("endfor");
        self.next();
        let otherwise = if ended { Vec::new() } else { self.ended(&["endfor"])? };
        let [frame, test_frame, else_frame] = Default::default();
        let read = For { target, iter, test, recursive, body, otherwise, frame, test_frame, else_frame, line };
        Ok(Stmt::For(Rc::new(read)))
    }

    fn condition(&mut self) -> Result<Stmt> {
        let mut branches = Vec::new();
        let mut otherwise = Vec::new();
        loop {
            let line = self.line();
            self.next();
            let test = self.tuple(false, &[], false)?;
            branches.push((test, self.block(&["elif", "else", "endif"])?, line));
            if self.is_name("elif") {
                continue;
            }
            let ended = self.is_name("endif");
            self.next();
            if !ended {
                otherwise = self.ended(&["endif"])?;
            }
            return Ok(Stmt::If { branches, otherwise });
        }
    }

    fn set(&mut self) -> Result<Stmt> {
        let line = self.line();
        self.next();
        let target = self.target(true, &[], true)?;
        if self.skip_op("=") {
            let value = self.tuple(true, &[], false)?;
            return Ok(Stmt::Set { target, value, line });
        }
        let filter = if self.is_op("|") { Some(self.filters(None, false)?) } else { None };
        let body = self.ended(&["endset"])?;
        Ok(Stmt::SetBlock { target, filter, body, frame: Vec::new(), line })
    }

    fn macro_definition(&mut self) -> Result<Stmt> {
        self.next();
        let line = self.line();
        let name = self.expect_name()?;
        assignable(&name, line)?;
        let (params, defaults) = self.signature()?;
        let body = self.ended(&["endmacro"])?;
        Ok(Stmt::Macro(definition(Some(name), params, defaults, body)))
    }

    fn signature(&mut self) -> Result<(Vec<Name>, Vec<Expr>)> {
        let (mut params, mut defaults) = (Vec::<Name>::new(), Vec::new());
        self.expect_op("(")?;
        while !self.is_op(")") {
            if !params.is_empty() {
                self.expect_op(",")?;
            }
            let line = self.line();
            let param = self.expect_name()?;
            assignable(&param, line)?;
            if self.skip_op("=") {
                defaults.push(self.expression(true)?);
            } else if !defaults.is_empty() {
                return self.fail("non-default argument follows default argument");
            }
            if params.contains(&param) {
                return self.fail(format!("duplicate argument '{param}'"));
            }
            params.push(param);
        }
        self.next();
        Ok((params, defaults))
    }

    fn call_block(&mut self) -> Result<Stmt> {
        let line = self.line();
        self.next();
        let (params, defaults) = if self.is_op("(") { self.signature()? } else { Default::default() };
        let Expr::Call { callee, args, .. } = self.expression(true)? else {
            return Err(Error::syntax("expected call", line));
        };
        let body = self.ended(&["endcall"])?;
        let def = definition(None, params, defaults, body);
        Ok(Stmt::Call { def, callee: *callee, args, line })
    }

    fn generation(&mut self) -> Result<Stmt> {
        self.next();
        let body = self.ended(&["endgeneration"])?;
        Ok(Stmt::Generation(definition(None, Vec::new(), Vec::new(), body)))
    }

    fn filter_block(&mut self) -> Result<Stmt> {
        let line = self.line();
        self.next();
        let filter = self.filters(None, true)?;
        let body = self.ended(&["endfilter"])?;
        Ok(Stmt::FilterBlock { filter, body, frame: Vec::new(), line })
    }

    fn with(&mut self) -> Result<Stmt> {
        let line = self.line();
        self.next();
        let (mut targets, mut values) = (Vec::new(), Vec::new());
        while *self.token() != Token::BlockEnd {
            if !targets.is_empty() {
                self.expect_op(",")?;
            }
            targets.push(self.target(true, &[], false)?);
            self.expect_op("=")?;
            values.push(self.expression(true)?);
        }
        let body = self.ended(&["endwith"])?;
        Ok(Stmt::With { targets, values, body, frame: Vec::new(), line })
    }

    /// Off it is, so that `false` is but a scope.
    fn autoescape(&mut self) -> Result<Stmt> {
        let line = self.line();
        self.next();
        if !matches!(self.expression(true)?, Expr::Const(crate::value::Value::Bool(false))) {
            return Err(Error::unsupported("'autoescape' with anything but false").at(line));
        }
        let body = self.ended(&["endautoescape"])?;
        Ok(Stmt::With { targets: Vec::new(), values: Vec::new(), body, frame: Vec::new(), line })
    }

    fn print(&mut self) -> Result<Option<Stmt>> {
        let line = self.line();
        self.next();
        let mut printed = Vec::new();
        while *self.token() != Token::BlockEnd {
            if !printed.is_empty() {
                self.expect_op(",")?;
            }
            printed.push(self.expression(true)?);
        }
        Ok(Some(Stmt::Print(Expr::Concat(printed), line)))
    }

    /// What is assigned to: names, and tuples of them; of a namespace its attributes.
    fn target(&mut self, tuple: bool, ends: &[&str], attributes: bool) -> Result<Target> {
        let line = self.line();
        let mut targets = Vec::new();
        let mut is_tuple = false;
        loop {
            let end = matches!(self.token(), Token::PrintEnd | Token::BlockEnd | Token::Op(")"));
            if !targets.is_empty() && (end || ends.iter().any(|end| self.is_name(end))) {
                break;
            }
            targets.push(self.one_target(attributes)?);
            if !tuple || !self.skip_op(",") {
                break;
            }
            is_tuple = true;
        }
        match targets.pop() {
            Some(only) if !is_tuple => Ok(only),
            Some(last) => {
                targets.push(last);
                Ok(Target::Tuple(targets))
            }
            None => Err(Error::syntax("expected something to assign to", line)),
        }
    }

    fn one_target(&mut self, attributes: bool) -> Result<Target> {
        let line = self.line();
        if self.skip_op("(") {
            let inner = if self.is_op(")") {
                Target::Tuple(Vec::new())
            } else {
                self.deeper(|parser| parser.target(true, &[], false))?
            };
            self.expect_op(")")?;
            return Ok(inner);
        }
        let Token::Name(name) = self.token().clone() else {
            return self.fail(format!("can't assign to {}", describe(self.token())));
        };
        self.next();
        if attributes && self.skip_op(".") {
            return Ok(Target::Attribute(name, self.expect_name()?));
        }
        assignable(&name, line)?;
        Ok(Target::Name(name))
    }

    pub fn arguments(&mut self) -> Result<Args> {
        let line = self.line();
        self.expect_op("(")?;
        let mut args = Args { positional: Vec::new(), named: Vec::new(), star: None, star_star: None };
        let ensure = |fine: bool| match fine {
            true => Ok(()),
            false => Err(Error::syntax("invalid syntax for function call expression", line)),
        };
        let mut first = true;
        while !self.is_op(")") {
            if !std::mem::take(&mut first) {
                self.expect_op(",")?;
                if self.is_op(")") {
                    break;
                }
            }
            if self.skip_op("*") {
                ensure(args.star.is_none() && args.star_star.is_none())?;
                args.star = Some(Box::new(self.expression(true)?));
            } else if self.skip_op("**") {
                ensure(args.star_star.is_none())?;
                args.star_star = Some(Box::new(self.expression(true)?));
            } else if let (Token::Name(name), Token::Op("=")) = (self.token().clone(), self.after()) {
                ensure(args.star_star.is_none())?;
                self.next();
                self.next();
                if args.named.iter().any(|(other, _)| *other == name) {
                    return self.fail(format!("keyword argument repeated: {name}"));
                }
                args.named.push((name, self.expression(true)?));
            } else {
                ensure(args.star.is_none() && args.star_star.is_none() && args.named.is_empty())?;
                args.positional.push(self.expression(true)?);
            }
        }
        self.next();
        Ok(args)
    }
}

fn definition(name: Option<Name>, params: Vec<Name>, defaults: Vec<Expr>, body: Vec<Stmt>) -> Rc<MacroDef> {
    let frame = Vec::new();
    Rc::new(MacroDef { name, params, defaults, body, frame, caller: false, kwargs: false, varargs: false })
}

fn assignable(name: &str, line: u32) -> Result<()> {
    match name {
        "true" | "false" | "none" | "True" | "False" | "None" => {
            Err(Error::syntax(format!("can't assign to '{name}'"), line))
        }
        _ => Ok(()),
    }
}

pub(crate) fn describe(token: &Token) -> String {
    match token {
        Token::Data(_) => "template data".to_owned(),
        Token::PrintBegin => "'{{'".to_owned(),
        Token::PrintEnd => "'}}'".to_owned(),
        Token::BlockBegin => "'{%'".to_owned(),
        Token::BlockEnd => "'%}'".to_owned(),
        Token::Name(name) => format!("'{name}'"),
        Token::Text(_) => "a string".to_owned(),
        Token::Int(_) | Token::Float(_) => "a number".to_owned(),
        Token::Op(op) => format!("'{op}'"),
        Token::End => "end of template".to_owned(),
    }
}
