//! Expressions, in Jinja2's order of precedence, which is not Python's everywhere: `~` binds tighter than `+`.

use crate::ast::{Args, Binary, Comparison, Expr, Name};
use crate::budget::NESTING;
use crate::error::{Error, Kind, Result};
use crate::lexer::Token;
use crate::parser::{Parser, describe};
use crate::text::Text;
use crate::value::Value;

/// Operators of one precedence in a row, which lie within each other to the left.
const CHAIN: u16 = NESTING;

fn no_args() -> Args {
    Args { positional: Vec::new(), named: Vec::new(), star: None, star_star: None }
}

impl Parser {
    pub fn expression(&mut self, conditional: bool) -> Result<Expr> {
        self.deeper(|parser| if conditional { parser.conditional() } else { parser.or() })
    }

    fn chained(&self, links: &mut u16) -> Result<()> {
        *links += 1;
        if *links > CHAIN {
            let what = format!("more than {CHAIN} operators in a row");
            return Err(Error::new(Kind::Limit, what).at(self.line()));
        }
        Ok(())
    }

    fn conditional(&mut self) -> Result<Expr> {
        let mut line = self.line();
        let mut value = self.or()?;
        let mut links = 0;
        while self.skip_name("if") {
            self.chained(&mut links)?;
            let test = Box::new(self.or()?);
            let otherwise = if self.skip_name("else") { Some(Box::new(self.expression(true)?)) } else { None };
            value = Expr::Conditional { test, then: Box::new(value), otherwise, line };
            line = self.line();
        }
        Ok(value)
    }

    fn or(&mut self) -> Result<Expr> {
        let mut left = self.and()?;
        let mut links = 0;
        while self.skip_name("or") {
            self.chained(&mut links)?;
            left = Expr::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr> {
        let mut left = self.not()?;
        let mut links = 0;
        while self.skip_name("and") {
            self.chained(&mut links)?;
            left = Expr::And(Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expr> {
        if self.skip_name("not") {
            return Ok(Expr::Not(Box::new(self.deeper(Self::not)?)));
        }
        self.compare()
    }

    fn compare(&mut self) -> Result<Expr> {
        let first = self.sum()?;
        let mut rest = Vec::new();
        loop {
            let comparison = match self.token() {
                Token::Op("==") => Comparison::Eq,
                Token::Op("!=") => Comparison::Ne,
                Token::Op("<") => Comparison::Lt,
                Token::Op("<=") => Comparison::Le,
                Token::Op(">") => Comparison::Gt,
                Token::Op(">=") => Comparison::Ge,
                Token::Name(name) if &**name == "in" => Comparison::In,
                Token::Name(name) if &**name == "not" && matches!(self.after(), Token::Name(n) if &**n == "in") => {
                    self.next();
                    Comparison::NotIn
                }
                _ => break,
            };
            self.next();
            rest.push((comparison, self.sum()?));
        }
        Ok(if rest.is_empty() { first } else { Expr::Compare(Box::new(first), rest) })
    }

    /// Operators that bind alike, from the left.
    fn row(&mut self, next: fn(&mut Self) -> Result<Expr>, operators: &[(&str, Binary)]) -> Result<Expr> {
        let mut left = next(self)?;
        let mut links = 0;
        while let Some((_, operator)) = operators.iter().find(|(op, _)| self.is_op(op)) {
            self.chained(&mut links)?;
            self.next();
            left = Expr::Binary(*operator, Box::new(left), Box::new(next(self)?));
        }
        Ok(left)
    }

    fn sum(&mut self) -> Result<Expr> {
        self.row(Self::concat, &[("+", Binary::Add), ("-", Binary::Sub)])
    }

    fn concat(&mut self) -> Result<Expr> {
        let first = self.product()?;
        if !self.is_op("~") {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.skip_op("~") {
            parts.push(self.product()?);
        }
        Ok(Expr::Concat(parts))
    }

    fn product(&mut self) -> Result<Expr> {
        let operators = [("*", Binary::Mul), ("/", Binary::Div), ("//", Binary::FloorDiv), ("%", Binary::Mod)];
        self.row(Self::power, &operators)
    }

    /// From the left, unlike Python's.
    fn power(&mut self) -> Result<Expr> {
        self.row(Self::unary_filtered, &[("**", Binary::Pow)])
    }

    fn unary_filtered(&mut self) -> Result<Expr> {
        let value = self.unary()?;
        self.filtered(value)
    }

    /// A sign takes what follows up to its filters, which take the sign with it: `-1|abs` is 1.
    fn unary(&mut self) -> Result<Expr> {
        let value = if self.skip_op("-") {
            Expr::Negative(Box::new(self.deeper(Self::unary)?))
        } else if self.skip_op("+") {
            Expr::Positive(Box::new(self.deeper(Self::unary)?))
        } else {
            self.primary()?
        };
        self.postfix(value)
    }

    fn primary(&mut self) -> Result<Expr> {
        let line = self.line();
        match self.next() {
            Token::Name(name) => Ok(match &*name {
                "true" | "True" => Expr::Const(Value::Bool(true)),
                "false" | "False" => Expr::Const(Value::Bool(false)),
                "none" | "None" => Expr::Const(Value::None),
                _ => Expr::Name(name),
            }),
            Token::Text(mut text) => {
                while let Token::Text(more) = self.token() {
                    text += more;
                    self.next();
                }
                Ok(Expr::Const(Value::Str(Text::plain(&text))))
            }
            Token::Int(value) => Ok(Expr::Const(Value::Int(value))),
            Token::Float(value) => Ok(Expr::Const(Value::Float(value))),
            Token::Op("(") => {
                let inner = self.tuple(true, &[], true)?;
                self.expect_op(")")?;
                Ok(inner)
            }
            Token::Op("[") => self.list(),
            Token::Op("{") => self.dict(),
            token => Err(Error::syntax(format!("unexpected {}", describe(&token)), line)),
        }
    }

    /// An expression, or several with commas.
    pub fn tuple(&mut self, conditional: bool, ends: &[&str], in_parentheses: bool) -> Result<Expr> {
        let mut items = Vec::new();
        let mut is_tuple = false;
        loop {
            let end = matches!(self.token(), Token::PrintEnd | Token::BlockEnd | Token::Op(")"));
            if end || ends.iter().any(|end| self.is_name(end)) {
                break;
            }
            items.push(self.expression(conditional)?);
            if !self.skip_op(",") {
                break;
            }
            is_tuple = true;
        }
        match items.pop() {
            Some(only) if !is_tuple => Ok(only),
            Some(last) => {
                items.push(last);
                Ok(Expr::Tuple(items))
            }
            None if in_parentheses => Ok(Expr::Tuple(items)),
            None => self.fail(format!("expected an expression, got {}", describe(self.token()))),
        }
    }

    fn list(&mut self) -> Result<Expr> {
        let mut items = Vec::new();
        while !self.is_op("]") {
            if !items.is_empty() {
                self.expect_op(",")?;
            }
            if self.is_op("]") {
                break;
            }
            items.push(self.expression(true)?);
        }
        self.next();
        Ok(Expr::List(items))
    }

    fn dict(&mut self) -> Result<Expr> {
        let mut items = Vec::new();
        while !self.is_op("}") {
            if !items.is_empty() {
                self.expect_op(",")?;
            }
            if self.is_op("}") {
                break;
            }
            let key = self.expression(true)?;
            self.expect_op(":")?;
            items.push((key, self.expression(true)?));
        }
        self.next();
        Ok(Expr::Dict(items))
    }

    fn postfix(&mut self, mut value: Expr) -> Result<Expr> {
        let mut links = 0;
        loop {
            value = match self.token() {
                Token::Op(".") => self.dotted(value)?,
                Token::Op("[") => self.subscript(value)?,
                Token::Op("(") => self.call(value)?,
                _ => return Ok(value),
            };
            self.chained(&mut links)?;
        }
    }

    fn filtered(&mut self, mut value: Expr) -> Result<Expr> {
        let mut links = 0;
        loop {
            value = match self.token() {
                Token::Op("|") => self.filters(Some(value), false)?,
                Token::Name(name) if &**name == "is" => self.test(value)?,
                Token::Op("(") => self.call(value)?,
                _ => return Ok(value),
            };
            self.chained(&mut links)?;
        }
    }

    fn call(&mut self, callee: Expr) -> Result<Expr> {
        let line = self.line();
        let args = self.arguments()?;
        Ok(Expr::Call { callee: Box::new(callee), args, line })
    }

    fn dotted(&mut self, of: Expr) -> Result<Expr> {
        let line = self.line();
        self.next();
        let of = Box::new(of);
        match self.next() {
            Token::Name(name) => Ok(Expr::Attribute { of, name, line }),
            Token::Int(index) => Ok(Expr::Item { of, index: Box::new(Expr::Const(Value::Int(index))), line }),
            _ => Err(Error::syntax("expected name or number", line)),
        }
    }

    fn subscript(&mut self, of: Expr) -> Result<Expr> {
        let line = self.line();
        self.next();
        let of = Box::new(of);
        let mut items = Vec::new();
        while !self.is_op("]") {
            if !items.is_empty() {
                self.expect_op(",")?;
            }
            if let Some(bounds) = self.bounds(&mut items)? {
                if !items.is_empty() || !self.is_op("]") {
                    return Err(Error::syntax("a slice stands alone in its brackets", line));
                }
                self.next();
                return Ok(Expr::Slice { of, bounds: Box::new(bounds), line });
            }
        }
        self.next();
        let index = match items.pop() {
            Some(only) if items.is_empty() => only,
            last => Expr::Tuple(items.into_iter().chain(last).collect()),
        };
        Ok(Expr::Item { of, index: Box::new(index), line })
    }

    /// A slice; or an index, which goes to the others.
    fn bounds(&mut self, items: &mut Vec<Expr>) -> Result<Option<[Option<Expr>; 3]>> {
        let mut bounds = [None, None, None];
        if !self.is_op(":") {
            let first = self.expression(true)?;
            if !self.is_op(":") {
                items.push(first);
                return Ok(None);
            }
            bounds[0] = Some(first);
        }
        for bound in &mut bounds[1..] {
            if !self.skip_op(":") {
                break;
            }
            if !matches!(self.token(), Token::Op(":" | "]" | ",")) {
                *bound = Some(self.expression(true)?);
            }
        }
        Ok(Some(bounds))
    }

    fn dotted_name(&mut self) -> Result<Name> {
        let mut name = self.expect_name()?.to_string();
        while self.skip_op(".") {
            name = format!("{name}.{}", self.expect_name()?);
        }
        Ok(name.into())
    }

    /// One filter after another. `inline`: the first stands without its bar, in a filter block.
    pub fn filters(&mut self, mut value: Option<Expr>, inline: bool) -> Result<Expr> {
        let mut inline = inline;
        let mut links = 0;
        while self.is_op("|") || inline {
            if !std::mem::take(&mut inline) {
                self.next();
            }
            let line = self.line();
            let name = self.dotted_name()?;
            let args = if self.is_op("(") { self.arguments()? } else { no_args() };
            value = Some(Expr::Filter { of: value.map(Box::new), name, args, line });
            self.chained(&mut links)?;
        }
        value.map_or_else(|| self.fail("expected a filter"), Ok)
    }

    fn test(&mut self, of: Expr) -> Result<Expr> {
        let line = self.line();
        self.next();
        let negated = self.skip_name("not");
        let name = self.dotted_name()?;
        let args = match self.token() {
            Token::Op("(") => self.arguments()?,
            Token::Name(word) if matches!(&**word, "else" | "or" | "and") => no_args(),
            Token::Name(word) if &**word == "is" => return self.fail("You cannot chain multiple tests with is"),
            Token::Name(_) | Token::Text(_) | Token::Int(_) | Token::Float(_) | Token::Op("[" | "{") => {
                let value = self.deeper(|parser| {
                    let value = parser.primary()?;
                    parser.postfix(value)
                })?;
                Args { positional: vec![value], ..no_args() }
            }
            _ => no_args(),
        };
        let test = Expr::Test { of: Box::new(of), name, args, line };
        Ok(if negated { Expr::Not(Box::new(test)) } else { test })
    }
}
