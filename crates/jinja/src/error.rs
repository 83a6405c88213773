//! What goes wrong in a template, told as Python and Jinja2 tell it.

use std::fmt;

/// Python's exception, as far as something here catches or tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The source is no template.
    Syntax,
    /// `raise_exception`: the template's own refusal.
    Raised,
    Type,
    Value,
    /// KeyError and IndexError.
    Lookup,
    Overflow,
    Undefined,
    Security,
    Runtime,
    /// Jinja2 can do it, and this engine cannot.
    Unsupported,
    /// More work, memory or depth than a template may take.
    Limit,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub kind: Kind,
    pub message: String,
    /// Of the source, from 1.
    pub line: Option<u32>,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), line: None }
    }

    pub(crate) fn syntax(message: impl Into<String>, line: u32) -> Self {
        Self { kind: Kind::Syntax, message: message.into(), line: Some(line) }
    }

    pub(crate) fn of_type(message: impl Into<String>) -> Self {
        Self::new(Kind::Type, message)
    }

    pub(crate) fn of_value(message: impl Into<String>) -> Self {
        Self::new(Kind::Value, message)
    }

    pub(crate) fn unsupported(what: impl fmt::Display) -> Self {
        Self::new(Kind::Unsupported, format!("{what} is not supported here"))
    }

    /// The innermost line is the one that is told.
    pub(crate) fn at(mut self, line: u32) -> Self {
        self.line.get_or_insert(line);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Error {}
