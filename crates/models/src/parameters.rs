//! Where a network's parameters come from: the file, a state, or the file and a low-rank delta.
//!
//! A layer asks for its parameter by the name that files give it. So one definition of a network serves inference, training
//! from the file's values (or from any others), and training a small delta over values that stay as they are, quantized or
//! not: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", arXiv 2106.09685.

use std::cell::RefCell;

use lantern_graph::{DType, Error, Graph, NodeId, Op, Result, StateId};

/// Where one parameter comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Source {
    /// A weight, stored like that. It does not learn.
    Weight(DType),
    /// An f32 state of the weight's name and shape. It learns.
    State,
    /// The weight, and a delta that learns.
    LowRank { base: DType, delta: LowRank },
}

/// `W + alpha / rank · B A` with B `[out, rank]` and A `[rank, in]`, both f32 states.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LowRank {
    /// From 1 on; no more than the sides of the matrix would be wasted.
    pub rank: usize,
    pub alpha: f32,
}

/// The parameters of one network, by name. Without a rule all are weights.
///
/// A pattern is a name in which each `*` stands for any characters, or none. The last rule whose pattern fits a name decides.
pub struct Parameters<'a> {
    dtype: &'a dyn Fn(&str) -> DType,
    rules: Vec<Rule>,
    trained: RefCell<Vec<Trained>>,
}

struct Rule {
    pattern: String,
    learns: Learns,
}

#[derive(Clone, Copy)]
enum Learns {
    Nothing,
    All,
    Delta(LowRank),
}

/// A state that a network learns in.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The weight's name; of a delta, that and `.lora_a` or `.lora_b`, as GGUF adapters have them.
    pub name: String,
    pub shape: Vec<usize>,
    pub start: Start,
}

/// What a trained state holds before the first step. States themselves start as zeros.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Start {
    /// The weight's own values, or whatever the training is to begin with.
    Given,
    /// B: with it the delta is zero at first.
    Zeros,
    /// A: independent numbers of a normal distribution around 0.
    Normal { deviation: f32 },
}

/// A matrix or a filter, and what is added to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Matrix {
    /// `[out, …]`.
    pub base: NodeId,
    pub delta: Option<Delta>,
}

/// Both factors of a delta.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Delta {
    /// A, `[rank, …]` with the matrix's other dimensions.
    pub down: NodeId,
    /// B, `[out, 1, …, rank]` of as many dimensions.
    pub up: NodeId,
    /// What their product counts.
    pub scale: f32,
}

impl<'a> Parameters<'a> {
    /// All of them weights: a network as its file has it. `dtype` says how a matrix or a filter is stored there.
    pub fn weights(dtype: &'a dyn Fn(&str) -> DType) -> Self {
        Self { dtype, rules: Vec::new(), trained: RefCell::default() }
    }

    /// What fits the pattern is a state, which learns.
    pub fn trained(self, pattern: &str) -> Self {
        self.rule(pattern, Learns::All)
    }

    /// Matrices, filters and tables that fit the pattern get a delta, which learns. Vectors that fit it stay weights.
    pub fn low_rank(self, pattern: &str, delta: LowRank) -> Self {
        self.rule(pattern, Learns::Delta(delta))
    }

    /// What fits the pattern is a weight, whatever an earlier rule says of it.
    pub fn frozen(self, pattern: &str) -> Self {
        self.rule(pattern, Learns::Nothing)
    }

    fn rule(mut self, pattern: &str, learns: Learns) -> Self {
        self.rules.push(Rule { pattern: pattern.into(), learns });
        self
    }

    /// Where a matrix, a filter or a table of this name comes from.
    pub fn source(&self, name: &str) -> Source {
        match self.learns(name) {
            Learns::Nothing => Source::Weight((self.dtype)(name)),
            Learns::All => Source::State,
            Learns::Delta(delta) => Source::LowRank { base: (self.dtype)(name), delta },
        }
    }

    fn learns(&self, name: &str) -> Learns {
        self.rules.iter().rev().find(|rule| fits(&rule.pattern, name)).map_or(Learns::Nothing, |rule| rule.learns)
    }

    /// A norm's weight or a bias, `[len]` of f32.
    ///
    /// # Errors
    /// `graph.shape` where the graph has one of this name in another shape.
    pub fn vector(&self, g: &mut Graph, name: &str, len: usize) -> Result<NodeId> {
        match self.source(name) {
            Source::State => self.state(g, name, &[len], Start::Given),
            Source::Weight(_) | Source::LowRank { .. } => g.weight(name, &[len], DType::F32),
        }
    }

    /// A matrix `[out, in]`, a filter `[out, kh, kw, in]` or a table `[rows, columns]`.
    ///
    /// # Errors
    /// `graph.shape` as [`Parameters::vector`]'s, where rows are not whole blocks, and for a delta of rank 0.
    pub fn matrix(&self, g: &mut Graph, name: &str, shape: &[usize]) -> Result<Matrix> {
        match self.source(name) {
            Source::Weight(dtype) => Ok(Matrix { base: g.weight(name, shape, dtype)?, delta: None }),
            Source::State => Ok(Matrix { base: self.state(g, name, shape, Start::Given)?, delta: None }),
            Source::LowRank { base, delta } => {
                let base = g.weight(name, shape, base)?;
                Ok(Matrix { base, delta: Some(self.delta(g, name, shape, delta)?) })
            }
        }
    }

    fn delta(&self, g: &mut Graph, name: &str, shape: &[usize], LowRank { rank, alpha }: LowRank) -> Result<Delta> {
        let scale = alpha / rank as f32;
        let (Some((out, rest)), true) = (shape.split_first(), rank > 0 && scale.is_finite()) else {
            let cause = format!("{name} {shape:?} with a delta of rank {rank} and alpha {alpha}");
            return Err(Error::new("graph.shape", cause, "give matrices a rank from 1 on and a finite alpha"));
        };
        let down: Vec<usize> = [rank].iter().chain(rest).copied().collect();
        let mut up = vec![1; shape.len()];
        (up[0], up[shape.len() - 1]) = (*out, rank);
        // So that A x is as large as x.
        let deviation = 1.0 / (rest.iter().product::<usize>() as f32).sqrt();
        let down = self.state(g, &format!("{name}.lora_a"), &down, Start::Normal { deviation })?;
        let up = self.state(g, &format!("{name}.lora_b"), &up, Start::Zeros)?;
        Ok(Delta { down, up, scale })
    }

    /// One node a state, however often it is asked for: the gradient of a node is that of the whole parameter.
    fn state(&self, g: &mut Graph, name: &str, shape: &[usize], start: Start) -> Result<NodeId> {
        let known = find_state(g, name).filter(|known| g.shape(*known).bound(g) == shape);
        let node = known.map_or_else(|| g.state(name, shape), Ok)?;
        let mut trained = self.trained.borrow_mut();
        if trained.iter().all(|known| known.name != name) {
            trained.push(Trained { name: name.into(), shape: shape.to_vec(), start });
        }
        Ok(node)
    }

    /// The states that learn, of all graphs that were built from these parameters, in the order they were asked for.
    pub fn states(&self) -> Vec<Trained> {
        self.trained.borrow().clone()
    }

    /// The nodes in `g` of the states that learn: what [`crate::adam::adam`] takes.
    ///
    /// # Errors
    /// `graph.grad` when nothing learns, or a pattern fits nothing that does: a name that is not the network's.
    pub fn nodes(&self, g: &Graph) -> Result<Vec<NodeId>> {
        let trained = self.trained.borrow();
        let named = |name: &str| name.strip_suffix(".lora_a").unwrap_or(name).to_owned();
        for Rule { pattern, learns } in &self.rules {
            if !matches!(learns, Learns::Nothing) && !trained.iter().any(|state| fits(pattern, &named(&state.name))) {
                let cause = format!("no parameter that learns has a name like {pattern}");
                return Err(Error::new("graph.grad", cause, "name parameters as the network's file does"));
            }
        }
        let nodes: Vec<NodeId> = trained.iter().filter_map(|state| find_state(g, &state.name)).collect();
        if nodes.is_empty() {
            return Err(Error::new("graph.grad", "no parameter of the network learns", "say which ones do"));
        }
        Ok(nodes)
    }
}

fn find_state(g: &Graph, name: &str) -> Option<NodeId> {
    let index = g.states.iter().position(|state| state.name == name)?;
    g.ids().find(|id| g.node(*id).op == Op::State(StateId(index as u32)))
}

/// Whether a name is like a pattern, in which each `*` stands for any characters.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(name) = name.strip_prefix(head) else { return false };
    let Some((middle, tail)) = rest.rsplit_once('*') else { return name.ends_with(rest) };
    let mut left = name;
    for part in middle.split('*') {
        match left.split_once(part) {
            Some((_, after)) => left = after,
            None => return false,
        }
    }
    left.ends_with(tail)
}

impl Trained {
    /// The values it starts with, row-major; `None` where they are given. The same for the same seed, everywhere.
    pub fn values(&self, seed: u64) -> Option<Vec<f32>> {
        let count = self.shape.iter().product();
        match self.start {
            Start::Given => None,
            Start::Zeros => Some(vec![0.0; count]),
            Start::Normal { deviation } => {
                let mut noise = Noise(self.name.bytes().fold(seed, |hash, byte| mixed(hash ^ u64::from(byte))));
                Some((0..count).map(|_| noise.normal() * deviation).collect())
            }
        }
    }
}

/// SplitMix64: Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators".
struct Noise(u64);

fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Noise {
    /// Above 0, up to 1.
    fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        ((mixed(self.0) >> 40) + 1) as f32 / (1u64 << 24) as f32
    }

    /// Box and Muller 1958, "A note on the generation of random normal deviates".
    fn normal(&mut self) -> f32 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (std::f32::consts::TAU * self.uniform()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_names() {
        let fit = [
            ("*", "blk.0.attn_q.weight"),
            ("*", ""),
            ("blk.0.attn_q.weight", "blk.0.attn_q.weight"),
            ("blk.*.weight", "blk.0.attn_q.weight"),
            ("blk.*.attn_*.weight", "blk.11.attn_output.weight"),
            ("*attn_q*", "blk.0.attn_q.weight"),
            ("*.weight", "a.weight.weight"),
            ("a*a", "aa"),
        ];
        for (pattern, name) in fit {
            assert!(fits(pattern, name), "{pattern} and {name}");
        }
        let miss = [
            ("", "a"),
            ("blk", "blk.0"),
            ("blk.*.weight", "blk.0.attn_q.bias"),
            ("blk.*.attn_*.weight", "blk.0.ffn_up.weight"),
            ("a*a", "a"),
            ("*x*y*", "yx"),
        ];
        for (pattern, name) in miss {
            assert!(!fits(pattern, name), "{pattern} and {name}");
        }
    }

    #[test]
    fn the_last_rule_decides() {
        let delta = LowRank { rank: 4, alpha: 8.0 };
        let f16 = |_: &str| DType::F16;
        let p = Parameters::weights(&f16).trained("*").low_rank("*.conv.*", delta).frozen("a.conv.weight");
        assert_eq!(p.source("a.norm.weight"), Source::State);
        assert_eq!(p.source("b.conv.weight"), Source::LowRank { base: DType::F16, delta });
        assert_eq!(p.source("a.conv.weight"), Source::Weight(DType::F16));
    }

    #[test]
    fn a_parameter_asked_for_twice_is_one_node() {
        let f32 = |_: &str| DType::F32;
        let p = Parameters::weights(&f32).trained("*");
        let mut g = Graph::new();
        let (a, b) = (p.matrix(&mut g, "table", &[3, 2]).unwrap(), p.matrix(&mut g, "table", &[3, 2]).unwrap());
        assert_eq!(a, b);
        assert_eq!(p.matrix(&mut g, "table", &[2, 3]).unwrap_err().code, "graph.shape");
        assert_eq!((p.states().len(), p.nodes(&g).unwrap()), (1, vec![a.base]));
    }

    #[test]
    fn a_name_that_no_parameter_has_is_told() {
        let f32 = |_: &str| DType::F32;
        let p = Parameters::weights(&f32).trained("head.*").trained("haed.*");
        let mut g = Graph::new();
        p.matrix(&mut g, "head.weight", &[3, 2]).unwrap();
        let error = p.nodes(&g).unwrap_err();
        assert_eq!(error.code, "graph.grad");
        assert!(error.cause.contains("haed.*"), "{error}");
        assert_eq!(Parameters::weights(&f32).nodes(&g).unwrap_err().code, "graph.grad");
    }

    #[test]
    fn deltas_start_at_zero_from_seeded_noise() {
        let f32 = |_: &str| DType::F32;
        let p = Parameters::weights(&f32).low_rank("*", LowRank { rank: 8, alpha: 8.0 });
        let mut g = Graph::new();
        p.matrix(&mut g, "conv", &[20, 3, 3, 10]).unwrap();
        p.vector(&mut g, "bias", 20).unwrap();
        let states = p.states();
        assert_eq!((&*states[0].name, &states[0].shape[..]), ("conv.lora_a", &[8, 3, 3, 10][..]));
        assert_eq!((&*states[1].name, &states[1].shape[..]), ("conv.lora_b", &[20, 1, 1, 8][..]));
        assert_eq!(states.len(), 2, "a vector has no delta");
        let a = states[0].values(7).unwrap();
        assert_eq!((Some(&a), states[1].values(7)), (states[0].values(7).as_ref(), Some(vec![0.0; 160])));
        assert_ne!(Some(&a), states[0].values(8).as_ref());
        // 720 numbers of deviation 1 / √90: mean and variance within four of their own deviations.
        let mean = a.iter().sum::<f32>() / 720.0;
        let variance = a.iter().map(|v| v * v).sum::<f32>() / 720.0 * 90.0;
        assert!(mean.abs() < 4.0 / (720.0f32 * 90.0).sqrt() && (variance - 1.0).abs() < 4.0 * (2.0f32 / 720.0).sqrt());
        let empty = Parameters::weights(&f32).low_rank("*", LowRank { rank: 0, alpha: 8.0 });
        assert_eq!(empty.matrix(&mut g, "m", &[2, 2]).unwrap_err().code, "graph.shape");
    }
}
