//! Where every node's value stands: somewhere in the session's arena, or as a view of something that is already there.

use lantern_graph::{Bindings, Count, DType, Graph, Index, NodeId, Op, Shape};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Home {
    /// From there on in the arena's floats, or in its ids.
    Floats(usize),
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
    /// Elements of the arena it takes.
    pub needs: Needs,
}

/// Elements of an arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    pub floats: usize,
    pub ids: usize,
}

impl Needs {
    pub fn bytes(self) -> u64 {
        4 * (self.floats as u64 + self.ids as u64)
    }

    /// What serves both, one after the other.
    pub fn either(self, other: Needs) -> Needs {
        Needs { floats: self.floats.max(other.floats), ids: self.ids.max(other.ids) }
    }
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

    let mut lives: Vec<Life> = Vec::new();
    let mut ids = 0;
    let mut views: Vec<View> = Vec::with_capacity(graph.nodes.len());
    let mut steps = Vec::new();
    // Which state a view shows as it was before this run's write, if it does.
    let mut before: Vec<Option<usize>> = Vec::with_capacity(graph.nodes.len());
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
                let len = node.shape.count().bound(graph);
                let home = if node.dtype == DType::U32 {
                    ids += len;
                    Home::Ids(ids - len)
                } else {
                    lives.push(Life { from: i, until: last[i].max(i), len, at: 0 });
                    // Which one, until they have their places.
                    Home::Floats(lives.len() - 1)
                };
                views.push(View::of(home));
                before.push(None);
            }
        }
    }
    let floats = pack(&mut lives);
    for view in &mut views {
        if let Home::Floats(at) = &mut view.home {
            *at = lives[*at].at;
        }
    }
    Placement { views, steps, needs: Needs { floats, ids } }
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

/// A value in the arena: from the node that makes it to the last that reads it.
struct Life {
    from: usize,
    until: usize,
    len: usize,
    at: usize,
}

/// Places values so that those that live at one time lie apart, the largest first, each as low as it fits (Pisarchyk and
/// Lee 2020, arXiv 2001.03288, "greedy by size"); gives the length of the whole.
fn pack(lives: &mut [Life]) -> usize {
    let mut order: Vec<usize> = (0..lives.len()).collect();
    order.sort_by_key(|i| std::cmp::Reverse(lives[*i].len));
    let mut placed: Vec<usize> = Vec::with_capacity(lives.len());
    let mut whole = 0;
    for i in order {
        let Life { from, until, len, .. } = lives[i];
        // `placed` is in the order of addresses.
        let mut at = 0;
        for other in placed.iter().map(|other| &lives[*other]) {
            if other.from > until || other.until < from {
                continue;
            }
            if at + len <= other.at {
                break;
            }
            at = at.max(other.at + other.len);
        }
        lives[i].at = at;
        whole = whole.max(at + len);
        let position = placed.partition_point(|other| lives[*other].at <= at);
        placed.insert(position, i);
    }
    whole
}
