//! Where every node's value stands: in a reused slot, or as a view of something that is already there.

use lantern_graph::{Bindings, Count, DType, Graph, Index, NodeId, Op, Shape};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Home {
    /// An f32 buffer of the arena.
    Slot(usize),
    /// A u32 buffer of the arena.
    Ids(usize),
    /// A state or a weight of the graph.
    State(usize),
    Weight(usize),
    Constant(NodeId),
    Input(usize),
}

/// A contiguous part of a home, from `Σ start · stride` elements on.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub home: Home,
    offsets: Vec<(Index, Count)>,
}

impl View {
    fn of(home: Home) -> View {
        View { home, offsets: Vec::new() }
    }

    pub fn offset(&self, bindings: &Bindings) -> usize {
        self.offsets.iter().map(|(start, stride)| start.eval(bindings) * stride.eval(bindings)).sum()
    }
}

pub(crate) struct Placement {
    pub views: Vec<View>,
    /// The nodes that compute or copy something, in order.
    pub steps: Vec<NodeId>,
    /// Lengths of the f32 and u32 buffers.
    pub slots: Vec<usize>,
    pub ids: Vec<usize>,
}

/// Does a node's value lie inside its input's? Slices do where all axes before are 1 long.
fn is_view(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    match node.op {
        Op::Reshape => true,
        Op::Slice { axis, .. } => node.shape.0[..axis].iter().all(|d| d.is_one()),
        _ => false,
    }
}

/// Places every node of a graph without dead nodes.
pub(crate) fn place(graph: &Graph) -> Placement {
    let mut uses: Vec<Vec<usize>> = vec![Vec::new(); graph.nodes.len()];
    for id in graph.ids() {
        for input in &graph.node(id).inputs {
            uses[input.0 as usize].push(id.0 as usize);
        }
    }
    for (_, id) in &graph.outputs {
        uses[id.0 as usize].push(usize::MAX);
    }
    // Backwards: until when a value must stay, through the views of it.
    let mut last = vec![0; graph.nodes.len()];
    for id in graph.ids().rev() {
        let i = id.0 as usize;
        last[i] = uses[i].iter().copied().max().unwrap_or(0).max(last[i]);
        if is_view(graph, id) {
            let input = graph.node(id).inputs[0].0 as usize;
            last[input] = last[input].max(last[i]);
        }
    }
    let written = writes(graph);

    let mut placer = Placer { slots: Vec::new(), ids: Vec::new(), free: Vec::new() };
    let mut views: Vec<View> = Vec::with_capacity(graph.nodes.len());
    let mut steps = Vec::new();
    // Which state a view shows as it was before this run's write, if it does.
    let mut before: Vec<Option<usize>> = Vec::with_capacity(graph.nodes.len());
    let mut dies: Vec<(usize, usize)> = Vec::new();
    for id in graph.ids() {
        let (i, node) = (id.0 as usize, graph.node(id));
        let input = node.inputs.first().map(|input| input.0 as usize);
        let in_place = match node.op {
            Op::State(state) => Some((View::of(Home::State(state.0 as usize)), Some(state.0 as usize))),
            Op::Write { .. } => input.and_then(|input| match graph.nodes[input].op {
                Op::State(state) => Some((View::of(Home::State(state.0 as usize)), None)),
                _ => None,
            }),
            Op::Weight(weight) => Some((View::of(Home::Weight(weight.0 as usize)), None)),
            Op::Constant(_) => Some((View::of(Home::Constant(id)), None)),
            Op::Input(input) => Some((View::of(Home::Input(input)), None)),
            _ => input.filter(|_| is_view(graph, id)).map(|input| {
                let mut view = views[input].clone();
                if let Op::Slice { axis, start } = node.op {
                    view.offsets.push((start, Shape(node.shape.0[axis + 1..].to_vec()).count()));
                }
                (view, before[input])
            }),
        };
        // A view must not outlive what it shows: a state until it is written (the write itself reads its value before),
        // an input until the run ends.
        let in_place = in_place.filter(|(view, state)| {
            let stale = state.and_then(|state| written[state]).is_some_and(|(write, value)| {
                let last = if matches!(node.op, Op::State(_)) {
                    last_but_write(&uses[i], write, value == id)
                } else {
                    last[i]
                };
                last >= write
            });
            let gone = matches!(view.home, Home::Input(_)) && last[i] == usize::MAX;
            !stale && !gone
        });
        let is_write = matches!(node.op, Op::Write { .. });
        if is_write || in_place.is_none() {
            steps.push(id);
        }
        match in_place {
            Some((view, state)) => {
                views.push(view);
                before.push(state);
            }
            None => {
                let home = placer.take(node.dtype, node.shape.count().bound(graph));
                if let Home::Slot(slot) = home {
                    dies.push((last[i], slot));
                }
                views.push(View::of(home));
                before.push(None);
            }
        }
        dies.retain(|(when, slot)| {
            let dead = *when <= i;
            if dead {
                placer.free.push(*slot);
            }
            !dead
        });
    }
    Placement { views, steps, slots: placer.slots, ids: placer.ids }
}

/// For each state of the graph: the node that writes it, and the value it takes.
fn writes(graph: &Graph) -> Vec<Option<(usize, NodeId)>> {
    let mut written = vec![None; graph.states.len()];
    for id in graph.ids() {
        let node = graph.node(id);
        if let (Op::Write { .. }, [state, value]) = (&node.op, &node.inputs[..])
            && let Op::State(state) = graph.node(*state).op
        {
            written[state.0 as usize] = Some((id.0 as usize, *value));
        }
    }
    written
}

/// The last use of a state node other than as the target of its write.
fn last_but_write(uses: &[usize], write: usize, is_value: bool) -> usize {
    if is_value { write } else { uses.iter().copied().filter(|at| *at != write).max().unwrap_or(0) }
}

struct Placer {
    slots: Vec<usize>,
    ids: Vec<usize>,
    free: Vec<usize>,
}

impl Placer {
    /// The smallest free slot that is large enough, else the largest one, grown, else a new one.
    fn take(&mut self, dtype: DType, len: usize) -> Home {
        if dtype == DType::U32 {
            self.ids.push(len);
            return Home::Ids(self.ids.len() - 1);
        }
        let fits =
            self.free.iter().copied().filter(|slot| self.slots[*slot] >= len).min_by_key(|slot| self.slots[*slot]);
        let slot = fits.or_else(|| self.free.iter().copied().max_by_key(|slot| self.slots[*slot]));
        let Some(slot) = slot else {
            self.slots.push(len);
            return Home::Slot(self.slots.len() - 1);
        };
        self.free.retain(|free| *free != slot);
        self.slots[slot] = self.slots[slot].max(len);
        Home::Slot(slot)
    }
}
