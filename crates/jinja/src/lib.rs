//! Jinja2 as Hugging Face renders chat templates with it: `ImmutableSandboxedEnvironment`, `trim_blocks`, `lstrip_blocks`, loop
//! controls, `{% generation %}`, and `tojson`, `raise_exception` and `strftime_now` of its own. What Jinja2 writes, this
//! writes; what it refuses, and the little that is not done here, is an error that says so.
//!
//! Values are Python's. A text knows of every character whether a visitor typed it, whatever a template does with it, and a
//! rendering says which bytes of it are (text.rs).

mod access;
mod args;
mod ast;
mod budget;
mod date;
mod error;
mod eval;
mod expressions;
mod filters;
mod format;
mod functions;
mod json;
mod json_reader;
mod lexer;
mod literal;
mod loops;
mod methods;
mod numbers;
mod operators;
mod parser;
mod percent;
mod predicates;
mod repr;
mod scope;
mod text;
mod unicode;
mod value;

use std::ops::Range;

use ast::{Frame, Stmt};
use eval::Eval;

pub use error::{Error, Kind, Result};
pub use json_reader::from_json;
pub use value::Value;

/// A template that was read and understood.
pub struct Template {
    body: Vec<Stmt>,
    frame: Frame,
}

/// What a template wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    pub text: String,
    /// The bytes of it that a visitor typed, in order and apart.
    pub typed: Vec<Range<usize>>,
}

impl Template {
    /// # Errors
    /// [`Kind::Syntax`] for what is no template; [`Kind::Unsupported`] and [`Kind::Limit`].
    pub fn parse(source: &str) -> Result<Self> {
        budget::begin();
        let (body, frame) = parser::parse(source)?;
        Ok(Self { body, frame })
    }

    /// `context`: the names that the template knows; made when the budget has begun, which it counts against. `now`: seconds since 1970, for `strftime_now`.
    ///
    /// # Errors
    /// Whatever the template raises; of every kind.
    pub fn render(&self, context: impl FnOnce() -> Result<Vec<(&'static str, Value)>>, now: u64) -> Result<Rendered> {
        budget::begin();
        let context = context()?.into_iter().map(|(name, value)| (name.into(), value)).collect();
        let written = Eval::new(context, now).run(&self.body, &self.frame)?;
        let (text, typed) = text::provenance(&written);
        Ok(Rendered { text, typed })
    }
}
