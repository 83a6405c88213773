//! The checks, each by itself.

use std::collections::HashMap;

use crate::{Bindings, DType, Error, Graph, NodeId, Op, Result, StateSpec, Value, WeightId, WeightSpec};
use crate::{f16, state::past_end};

/// Weights that are not f32 are read by `linear`, convolutions and `gather`, rows of whole blocks; outputs are f32 or u32.
pub fn types(graph: &Graph) -> Result<()> {
    for id in graph.ids() {
        operands(graph, id)?;
    }
    for (name, id) in &graph.outputs {
        let dtype = graph.node(*id).dtype;
        if !matches!(dtype, DType::F32 | DType::U32) {
            return Err(dtype_error(format!("output {name} is a weight of {}", dtype.name())));
        }
    }
    Ok(())
}

fn operands(graph: &Graph, id: NodeId) -> Result<()> {
    let node = graph.node(id);
    for (i, input) in node.inputs.iter().enumerate() {
        let from = graph.node(*input);
        let fits = match (&node.op, i) {
            (
                Op::Linear { .. }
                | Op::FusedLinear { .. }
                | Op::Conv2d { .. }
                | Op::Conv2dTransposed { .. }
                | Op::FusedConv2d { .. },
                1,
            )
            | (Op::Gather, 0) => {
                let (block, _) = from.dtype.block();
                from.dtype != DType::U32 && row_len(graph, *input).is_multiple_of(block)
            }
            (Op::Gather, 1) | (Op::ScatterAdd, 0) => from.dtype == DType::U32,
            (Op::Reshape, _) => true,
            _ => from.dtype == DType::F32,
        };
        if !fits {
            return Err(dtype_error(format!(
                "node {} ({}) cannot read {} {} as input {i}",
                id.0,
                node.op.name(),
                from.dtype.name(),
                from.shape
            )));
        }
    }
    Ok(())
}

/// Elements of a row of a weight: of everything behind its first dimension.
fn row_len(graph: &Graph, id: NodeId) -> usize {
    graph.shape(id).bound(graph).iter().skip(1).product()
}

fn dtype_error(cause: String) -> Error {
    Error::new(
        "graph.dtype",
        cause,
        "gather, linear and convolutions read other types than f32, in rows of whole blocks",
    )
}

/// Every weight that a node reads is there.
pub fn weights(graph: &Graph, find: impl Fn(&WeightSpec) -> Result<()>) -> Result<()> {
    let used = |i: usize| graph.nodes.iter().any(|node| node.op == Op::Weight(WeightId(i as u32)));
    graph.weights.iter().enumerate().filter(|(i, _)| used(*i)).try_for_each(|(_, wanted)| find(wanted))
}

/// Slices, pads and writes whose ends are known only now stay inside what they cut.
pub fn ranges(graph: &Graph, bindings: &Bindings) -> Result<()> {
    for id in graph.ids() {
        let node = graph.node(id);
        let (axis, start, whole, part) = match (&node.op, &node.inputs[..]) {
            (Op::Slice { axis, start }, [x]) => (*axis, *start, *x, id),
            (Op::Pad { axis, start }, [x]) => (*axis, *start, id, *x),
            (Op::Write { start }, [_, value]) => (0, *start, id, *value),
            _ => continue,
        };
        let length = |id: NodeId| graph.shape(id).0[axis].eval(bindings);
        let (start, most) = (start.eval(bindings), length(whole));
        let end = start + length(part);
        if end > most {
            return Err(match graph.state_behind(id) {
                Some(state) if matches!(node.op, Op::Write { .. }) => past_end(&graph.states[state], end),
                _ => {
                    let cause = format!("node {} ({}): {start}..{end} of an axis of {most}", id.0, node.op.name());
                    Error::new("graph.binding", cause, "bind symbols so that it stays inside")
                }
            });
        }
    }
    Ok(())
}

/// The values of a run's inputs in the graph's order. Those that nothing reads may be left out, and those that are `written`
/// already, with so many elements each.
pub fn inputs<'v>(
    graph: &Graph,
    bindings: &Bindings,
    given: &'v [(&str, Value)],
    written: &HashMap<usize, usize>,
) -> Result<Vec<Option<&'v Value>>> {
    let bad =
        |cause: String| Error::new("graph.input", cause, "give every input of the graph once, in its type and shape");
    if let Some((name, _)) = given.iter().find(|(name, _)| graph.inputs.iter().all(|spec| spec.name != *name)) {
        return Err(bad(format!("the graph has no input {name}")));
    }
    let mut found = Vec::with_capacity(graph.inputs.len());
    for (i, spec) in graph.inputs.iter().enumerate() {
        let mut values = given.iter().filter(|(name, _)| *name == spec.name).map(|(_, value)| value);
        let value = values.next();
        if values.next().is_some() {
            return Err(bad(format!("the input {} is given twice", spec.name)));
        }
        let wanted = spec.shape.count().eval(bindings);
        let (dtype, len) = match (value, written.get(&i)) {
            (Some(value), _) => (value.dtype(), value.len()),
            (None, Some(elements)) => (spec.dtype, *elements),
            (None, None) if graph.nodes.iter().any(|node| node.op == Op::Input(i)) => {
                return Err(bad(format!("the input {} is missing", spec.name)));
            }
            (None, None) => (spec.dtype, wanted),
        };
        if (dtype, len) != (spec.dtype, wanted) {
            let (name, takes, given) = (&spec.name, spec.dtype.name(), dtype.name());
            return Err(bad(format!("the input {name} takes {wanted} of {takes}, {len} of {given} were given")));
        }
        found.push(value);
    }
    Ok(found)
}

/// All elements of a state.
pub fn state_value<'v>(spec: &StateSpec, value: &'v Value) -> Result<&'v [f32]> {
    match value {
        Value::F32(values) if values.len() == spec.elements() => Ok(values),
        _ => {
            let (len, dtype) = (value.len(), value.dtype().name());
            let cause = format!("{len} of {dtype} for the state {}, which has {} of f32", spec.name, spec.elements());
            Err(Error::new("graph.state", cause, "write all of its elements"))
        }
    }
}

/// Whole rows of a state out of a file's bytes.
pub fn state_rows(spec: &StateSpec, first_row: usize, dtype: DType, bytes: &[u8]) -> Result<Vec<f32>> {
    let value: fn(&[u8]) -> f32 = match dtype {
        DType::F32 => |b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]),
        DType::F16 => |b| f16::to_f32(u16::from_le_bytes([b[0], b[1]])),
        DType::BF16 => |b| f16::bf16_to_f32(u16::from_le_bytes([b[0], b[1]])),
        _ => {
            let cause = format!("the state {} cannot be filled from {}", spec.name, dtype.name());
            return Err(Error::new("graph.dtype", cause, "use a file in f32, f16 or bf16 for what is trained"));
        }
    };
    let (_, element_bytes) = dtype.block();
    let row_bytes = spec.row_elements() * element_bytes;
    let rows = bytes.len().checked_div(row_bytes).unwrap_or(0);
    let inside = first_row.checked_add(rows).is_some_and(|end| end <= spec.rows());
    if rows * row_bytes != bytes.len() || !inside {
        return Err(Error::new(
            "graph.state",
            format!(
                "{} bytes of {} from row {first_row} into the state {}, which has {} rows of {row_bytes} bytes",
                bytes.len(),
                dtype.name(),
                spec.name,
                spec.rows()
            ),
            "write whole rows inside the state",
        ));
    }
    Ok(bytes.chunks_exact(element_bytes).map(value).collect())
}

/// The input of that name, which must have room for so many elements of that type.
pub fn fed_input(graph: &Graph, name: &str, dtype: DType, elements: usize) -> Result<usize> {
    let bad = |cause: String| Error::new("graph.input", cause, "feed an input of the output's type and size");
    let at = graph.inputs.iter().position(|input| input.name == name);
    let at = at.ok_or_else(|| bad(format!("the graph has no input {name}")))?;
    let (takes, most) = (graph.inputs[at].dtype, graph.inputs[at].shape.count().bound(graph));
    if (takes, elements <= most) == (dtype, true) {
        return Ok(at);
    }
    let (takes, given) = (takes.name(), dtype.name());
    Err(bad(format!("the input {name} takes {most} of {takes} at most, and is fed {elements} of {given}")))
}

/// The input of that name, which must be f32.
pub fn float_input(graph: &Graph, name: &str) -> Result<usize> {
    let bad = |cause: String| Error::new("graph.input", cause, "name an input of f32 that the graph declares");
    let at = graph.inputs.iter().position(|input| input.name == name);
    let at = at.ok_or_else(|| bad(format!("the graph has no input {name}")))?;
    match graph.inputs[at].dtype {
        DType::F32 => Ok(at),
        dtype => Err(bad(format!("the input {name} is {}", dtype.name()))),
    }
}
