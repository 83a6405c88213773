//! Weights by name.

use std::collections::HashMap;

use crate::{DType, Error, Result, WeightSpec};

/// Each weight of a set, with what an executor stores for it.
pub struct WeightTable<W> {
    weights: Vec<(WeightSpec, W)>,
    by_name: HashMap<String, usize>,
}

impl<W> Default for WeightTable<W> {
    fn default() -> Self {
        Self { weights: Vec::new(), by_name: HashMap::new() }
    }
}

fn weight_error(cause: String, remedy: &str) -> Error {
    Error::new("graph.weight", cause, remedy)
}

impl<W> WeightTable<W> {
    /// Storage for each, by `store`.
    ///
    /// # Errors
    /// `graph.weight` for a name that comes twice, a shape without elements, rows that are not whole blocks of the type, and u32;
    /// what `store` says.
    pub fn allocate(specs: &[WeightSpec], mut store: impl FnMut(&WeightSpec) -> Result<W>) -> Result<Self> {
        let mut table = Self::default();
        for spec in specs {
            if table.position(&spec.name).is_some() {
                return Err(weight_error(format!("{} is given twice", spec.name), "name each weight once"));
            }
            let (block, _) = spec.dtype.block();
            let whole = !spec.shape.contains(&0) && !spec.shape.is_empty() && spec.columns().is_multiple_of(block);
            if spec.dtype == DType::U32 || !whole {
                let cause = format!("{} cannot be {:?} of {}", spec.name, spec.shape, spec.dtype.name());
                let types = DType::WEIGHTS.map(DType::name).join(", ");
                return Err(weight_error(cause, &format!("give each weight rows of whole blocks of {types}")));
            }
            table.by_name.insert(spec.name.clone(), table.weights.len());
            table.weights.push((spec.clone(), store(spec)?));
        }
        Ok(table)
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// Where the weight a graph asks for stands.
    ///
    /// # Errors
    /// `graph.weight` when there is none of its name, or it is of another shape or type.
    pub fn find(&self, wanted: &WeightSpec) -> Result<usize> {
        let at = self.position(&wanted.name).ok_or_else(|| {
            let cause = format!("the graph needs {}, which was not loaded", wanted.name);
            weight_error(cause, "load every weight of the graph")
        })?;
        let (found, _) = &self.weights[at];
        if found == wanted {
            return Ok(at);
        }
        let kind = |spec: &WeightSpec| format!("{} {:?}", spec.dtype.name(), spec.shape);
        Err(weight_error(
            format!("{} is {}, the graph wants {}", wanted.name, kind(found), kind(wanted)),
            "build the graph for the file that was loaded",
        ))
    }

    pub fn at(&self, index: usize) -> &W {
        &self.weights[index].1
    }

    /// The weight whose rows from `first_row` on are in `bytes`.
    ///
    /// # Errors
    /// `graph.weight` when there is none of that name, or the bytes are not whole rows inside it.
    pub fn rows(&self, name: &str, first_row: usize, bytes: &[u8]) -> Result<(&WeightSpec, &W)> {
        let at = self.position(name);
        let at = at.ok_or_else(|| weight_error(format!("there is no weight {name}"), "allocate it first"))?;
        let (spec, weight) = &self.weights[at];
        let row_bytes = spec.row_bytes();
        let inside = first_row.checked_add(bytes.len() / row_bytes).is_some_and(|end| end <= spec.rows());
        if bytes.len().is_multiple_of(row_bytes) && inside {
            return Ok((spec, weight));
        }
        let (len, rows) = (bytes.len(), spec.rows());
        Err(weight_error(
            format!("{len} bytes from row {first_row} into {name}, which has {rows} rows of {row_bytes} bytes"),
            "write whole rows inside the weight",
        ))
    }
}
