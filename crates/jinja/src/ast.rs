//! A template as its parser understands it.

use std::rc::Rc;

use crate::text::Text;
use crate::value::Value;

pub(crate) type Name = Rc<str>;

/// Where a frame's variable begins (scope.rs).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// Whoever enters the frame sets it.
    Parameter,
    /// With the context's value.
    Resolve,
    /// With the value it has outside.
    Alias,
    /// With none.
    Missing,
}

pub(crate) type Frame = Vec<(Name, Load)>;

pub(crate) struct Args {
    pub positional: Vec<Expr>,
    pub named: Vec<(Name, Expr)>,
    pub star: Option<Box<Expr>>,
    pub star_star: Option<Box<Expr>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Mod,
    Pow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
}

pub(crate) enum Expr {
    Const(Value),
    Name(Name),
    Tuple(Vec<Expr>),
    List(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    Positive(Box<Expr>),
    Negative(Box<Expr>),
    Not(Box<Expr>),
    Binary(Binary, Box<Expr>, Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Concat(Vec<Expr>),
    Compare(Box<Expr>, Vec<(Comparison, Expr)>),
    Attribute {
        of: Box<Expr>,
        name: Name,
        line: u32,
    },
    Item {
        of: Box<Expr>,
        index: Box<Expr>,
        line: u32,
    },
    Slice {
        of: Box<Expr>,
        bounds: Box<[Option<Expr>; 3]>,
        line: u32,
    },
    Call {
        callee: Box<Expr>,
        args: Args,
        line: u32,
    },
    /// Without a value it filters what its block writes.
    Filter {
        of: Option<Box<Expr>>,
        name: Name,
        args: Args,
        line: u32,
    },
    Test {
        of: Box<Expr>,
        name: Name,
        args: Args,
        line: u32,
    },
    Conditional {
        test: Box<Expr>,
        then: Box<Expr>,
        otherwise: Option<Box<Expr>>,
        line: u32,
    },
}

pub(crate) enum Target {
    Name(Name),
    Attribute(Name, Name),
    Tuple(Vec<Target>),
}

pub(crate) struct For {
    pub target: Target,
    pub iter: Expr,
    pub test: Option<Expr>,
    pub recursive: bool,
    pub body: Vec<Stmt>,
    pub otherwise: Vec<Stmt>,
    pub frame: Frame,
    pub test_frame: Frame,
    pub else_frame: Frame,
    pub line: u32,
}

/// A macro, or what a call block hands to the one it calls.
pub(crate) struct MacroDef {
    /// A call block's has none.
    pub name: Option<Name>,
    pub params: Vec<Name>,
    /// Of the last parameters.
    pub defaults: Vec<Expr>,
    pub body: Vec<Stmt>,
    pub frame: Frame,
    pub caller: bool,
    pub kwargs: bool,
    pub varargs: bool,
}

pub(crate) enum Stmt {
    Data(Text),
    Print(Expr, u32),
    For(Rc<For>),
    If {
        branches: Vec<(Expr, Vec<Stmt>, u32)>,
        otherwise: Vec<Stmt>,
    },
    Set {
        target: Target,
        value: Expr,
        line: u32,
    },
    SetBlock {
        target: Target,
        filter: Option<Expr>,
        body: Vec<Stmt>,
        frame: Frame,
        line: u32,
    },
    Macro(Rc<MacroDef>),
    Call {
        def: Rc<MacroDef>,
        callee: Expr,
        args: Args,
        line: u32,
    },
    /// Hugging Face's mark around what a model learns to say: a macro called where it stands.
    Generation(Rc<MacroDef>),
    FilterBlock {
        filter: Expr,
        body: Vec<Stmt>,
        frame: Frame,
        line: u32,
    },
    With {
        targets: Vec<Target>,
        values: Vec<Expr>,
        body: Vec<Stmt>,
        frame: Frame,
        line: u32,
    },
    Break,
    Continue,
}
