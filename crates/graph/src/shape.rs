//! Shapes whose dimensions are numbers or bounded symbols.
//!
//! One recorded plan serves every context length and every prefill tail: buffers are sized at a symbol's bound, grids
//! and uniforms are evaluated from [`Bindings`] each time the plan is encoded.

use std::fmt;

use crate::{Error, Graph, Result};

/// Index of a symbol in its graph's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(pub u16);

/// One dimension: a number, or a symbol whose value is bound when the plan runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dim {
    Fixed(usize),
    Symbol(Symbol),
}

impl From<usize> for Dim {
    fn from(n: usize) -> Self {
        Dim::Fixed(n)
    }
}

impl From<Symbol> for Dim {
    fn from(s: Symbol) -> Self {
        Dim::Symbol(s)
    }
}

impl Dim {
    pub fn is_one(self) -> bool {
        self == Dim::Fixed(1)
    }

    /// The number, or `None` for a symbol.
    pub fn fixed(self) -> Option<usize> {
        match self {
            Dim::Fixed(n) => Some(n),
            Dim::Symbol(_) => None,
        }
    }

    pub fn bound(self, graph: &Graph) -> usize {
        match self {
            Dim::Fixed(n) => n,
            Dim::Symbol(s) => graph.symbols[s.0 as usize].max,
        }
    }

    pub fn eval(self, bindings: &Bindings) -> usize {
        match self {
            Dim::Fixed(n) => n,
            Dim::Symbol(s) => bindings.get(s),
        }
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Fixed(n) => write!(f, "{n}"),
            Dim::Symbol(s) => write!(f, "s{}", s.0),
        }
    }
}

/// Dimensions, outermost first; the last one is contiguous.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Shape(pub Vec<Dim>);

impl Shape {
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The dimension counted from the end: `back(0)` is the contiguous one. Missing leading dimensions are 1.
    pub fn back(&self, i: usize) -> Dim {
        if i < self.0.len() { self.0[self.0.len() - 1 - i] } else { Dim::Fixed(1) }
    }

    pub fn count(&self) -> Count {
        Count::product(&self.0)
    }

    pub fn eval(&self, bindings: &Bindings) -> Vec<usize> {
        self.0.iter().map(|d| d.eval(bindings)).collect()
    }

    /// Sizes with every symbol at its bound: what buffers are sized by.
    pub fn bound(&self, graph: &Graph) -> Vec<usize> {
        self.0.iter().map(|d| d.bound(graph)).collect()
    }

    /// The shape two operands broadcast to: right-aligned, a 1 stretches.
    pub fn broadcast(&self, other: &Shape) -> Option<Shape> {
        let rank = self.rank().max(other.rank());
        let mut dims = vec![Dim::Fixed(1); rank];
        for i in 0..rank {
            dims[rank - 1 - i] = match (self.back(i), other.back(i)) {
                (a, b) if a == b => a,
                (a, b) if b.is_one() => a,
                (a, b) if a.is_one() => b,
                _ => return None,
            };
        }
        Some(Shape(dims))
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, d) in self.0.iter().enumerate() {
            write!(f, "{}{d}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str("]")
    }
}

impl<const N: usize> From<[Dim; N]> for Shape {
    fn from(dims: [Dim; N]) -> Self {
        Shape(dims.to_vec())
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dims: [usize; N]) -> Self {
        Shape(dims.iter().map(|&n| Dim::Fixed(n)).collect())
    }
}

impl From<Vec<Dim>> for Shape {
    fn from(dims: Vec<Dim>) -> Self {
        Shape(dims)
    }
}

/// A number of elements: a factor times symbols. Two shapes hold the same elements when their counts are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    pub factor: usize,
    /// Sorted, with repetitions.
    pub symbols: Vec<Symbol>,
}

impl Count {
    pub fn product(dims: &[Dim]) -> Count {
        let mut count = Count { factor: 1, symbols: Vec::new() };
        for d in dims {
            match d {
                Dim::Fixed(n) => count.factor *= n,
                Dim::Symbol(s) => count.symbols.push(*s),
            }
        }
        count.symbols.sort();
        count
    }

    pub fn eval(&self, bindings: &Bindings) -> usize {
        self.symbols.iter().fold(self.factor, |n, s| n * bindings.get(*s))
    }

    pub fn bound(&self, graph: &Graph) -> usize {
        self.symbols.iter().fold(self.factor, |n, s| n * graph.symbols[s.0 as usize].max)
    }
}

/// The values of a graph's symbols for one run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bindings(Vec<usize>);

impl Bindings {
    /// Binds every symbol of the graph by name.
    ///
    /// # Errors
    /// `graph.binding` when a symbol is not given, given twice, unknown, or over its bound.
    pub fn new(graph: &Graph, values: &[(&str, usize)]) -> Result<Bindings> {
        let bad = |cause: String| Error::new("graph.binding", cause, "bind every symbol once, within its bound");
        if let Some((name, _)) = values.iter().find(|(name, _)| graph.symbols.iter().all(|s| s.name != *name)) {
            return Err(bad(format!("the graph has no symbol {name}")));
        }
        let mut bound = Vec::with_capacity(graph.symbols.len());
        for symbol in &graph.symbols {
            let mut given = values.iter().filter(|(name, _)| *name == symbol.name);
            match (given.next(), given.next()) {
                (Some((_, value)), None) if *value <= symbol.max => bound.push(*value),
                (Some((_, value)), None) => {
                    return Err(bad(format!("{} is {value}, over its bound of {}", symbol.name, symbol.max)));
                }
                (None, _) => return Err(bad(format!("symbol {} is not bound", symbol.name))),
                (Some(_), Some(_)) => return Err(bad(format!("symbol {} is bound twice", symbol.name))),
            }
        }
        Ok(Bindings(bound))
    }

    /// Were these bound for a graph with such symbols? Executors ask before they index by them.
    ///
    /// # Errors
    /// `graph.binding` when there are more or fewer symbols, or a value is over its bound.
    pub fn check(&self, graph: &Graph) -> Result<()> {
        let fits = self.0.len() == graph.symbols.len()
            && self.0.iter().zip(&graph.symbols).all(|(value, symbol)| *value <= symbol.max);
        if fits {
            return Ok(());
        }
        let symbols = graph.symbols.iter().map(|s| format!("{} ≤ {}", s.name, s.max)).collect::<Vec<_>>().join(", ");
        Err(Error::new(
            "graph.binding",
            format!("{:?} was bound for another graph than one of {symbols}", self.0),
            "bind the symbols of the graph that runs",
        ))
    }

    pub fn get(&self, symbol: Symbol) -> usize {
        self.0[symbol.0 as usize]
    }
}
