//! What a model's linear layers see on a text: the model runs, block after block, and leaves XᵀX of each layer's inputs.
//!
//! Blocks already compressed run compressed: a layer is calibrated on the inputs it will have. What stands between two blocks, the
//! residual stream of the whole text, is kept, so that each block runs twice: as it was, for its layers' inputs, and as it is then,
//! for the next one.

use std::cell::Cell;
use std::rc::Rc;

use lantern_graph::{
    Bindings, Cancel, Class, DType, Error, Executor, Graph, NodeId, Op, Result, Session, Value, WeightSpec,
};
use lantern_models::Parameters;
use lantern_models::llama::{self, Config};
use lantern_weights::{ByteSource, Gguf, Rows, fill, fill_values};

use crate::quadratic::Gram;

/// Rows of the text that run at once.
const ROWS: usize = 64;

/// A model with f32 weights, to be filled and run.
pub struct Calibrator<E: Executor> {
    executor: Rc<E>,
    weights: Rc<E::Weights>,
    specs: Vec<WeightSpec>,
    config: Config,
    /// Ids of each piece, which begins with BOS.
    pieces: Vec<Vec<u32>>,
    stream: Cell<Option<Stream>>,
}

/// The residual stream of every piece, `[tokens, hidden_size]`.
struct Stream {
    /// Before this block.
    block: usize,
    pieces: Vec<Vec<f32>>,
}

impl<E: Executor> Calibrator<E> {
    /// `ids`: a text's, without BOS, which is put before each piece of `context` tokens where the model has one.
    ///
    /// # Errors
    /// `compress.calibration` for a text of fewer tokens than the widest layer has inputs: its H would be singular;
    /// the executor's own.
    pub fn new(executor: &Rc<E>, config: &Config, ids: &[u32], bos: Option<u32>, context: usize) -> Result<Self> {
        let widest = config.hidden_size.max(config.feed_forward_length).max(config.heads * config.head_dim);
        if ids.len() < widest {
            return Err(Error::new(
                "compress.calibration",
                format!("the text has {} tokens, and the widest layer {widest} inputs", ids.len()),
                format!("give a text of at least {widest} tokens, better some thousands"),
            ));
        }
        if let Some(id) = ids.iter().chain(&bos).find(|id| **id as usize >= config.vocab_size) {
            return Err(Error::new(
                "compress.calibration",
                format!("token {id} of a vocabulary of {}", config.vocab_size),
                "cut the text by the model's own vocabulary",
            ));
        }
        let context = context.min(config.context_length).max(2);
        let config = Config { context_length: context, kv_f16: false, ..config.clone() };
        let text = context - usize::from(bos.is_some());
        let pieces = ids.chunks(text).map(|piece| bos.iter().chain(piece).copied().collect()).collect();
        let specs = llama::decode(&config, &Parameters::weights(&|_| DType::F32))?.weights;
        let weights = executor.allocate_weights(&specs)?;
        let (executor, weights, stream) = (executor.clone(), Rc::new(weights), Cell::new(None));
        Ok(Self { executor, weights, specs, config, pieces, stream })
    }

    /// Tokens that every layer sees.
    pub fn tokens(&self) -> usize {
        self.pieces.iter().map(Vec::len).sum()
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Fills all weights from a file.
    ///
    /// # Errors
    /// `compress.size` for a tensor that is missing; the source's and the executor's own; `run.cancelled`.
    pub async fn load(&self, source: &impl ByteSource, gguf: &Gguf, cancel: &Cancel) -> Result<()> {
        let tensors = self.specs.iter().map(|spec| {
            let tensor = gguf.tensor(&spec.name).ok_or_else(|| {
                let cause = format!("the file has no tensor {}", spec.name);
                Error::new("compress.size", cause, "get the whole file, or convert it again")
            })?;
            Rows::gguf(source, tensor, spec)
        });
        fill(&*self.executor, &self.weights, tensors, &mut |_| {}, cancel).await
    }

    /// Fills a weight whose rows are of `columns`.
    ///
    /// # Errors
    /// The executor's own; `run.cancelled`.
    pub async fn write(&self, name: &str, values: &[f32], columns: usize, cancel: &Cancel) -> Result<()> {
        fill_values(&*self.executor, &self.weights, name, values, columns, cancel).await
    }

    /// Runs the text up to `block` and adds up the inputs of its linear layers. Layers that share their input share the sums. Blocks
    /// before it run with the weights they have now, unless an earlier call has run them: that stream goes on from there.
    ///
    /// # Errors
    /// The executor's own; `compress.calibration` where the model computes what is not finite; `run.cancelled`.
    pub async fn inputs(&self, block: usize, cancel: &Cancel) -> Result<Inputs> {
        let stream = self.stream_before(block, cancel).await?;
        let mut graph = llama::block(&self.config, &Parameters::weights(&|_| DType::F32), block, self.rows())?;
        let layers = linear_layers(&graph, &format!("blk.{block}."));
        let mut nodes: Vec<NodeId> = layers.iter().map(|(_, input)| *input).collect();
        nodes.sort();
        nodes.dedup();
        graph.outputs = nodes.iter().map(|node| (format!("inputs.{}", node.0), *node)).collect();
        let mut grams = Vec::new();
        for node in &nodes {
            grams.push(Gram::new(graph.shape(*node).back(0).bound(&graph))?);
        }
        self.run(&graph, Some(&stream.pieces), &mut |_, output, x| grams[output].add(&x), cancel).await?;
        self.stream.set(Some(stream));
        let place = |node| nodes.binary_search(&node).unwrap_or_default();
        let layers = layers.into_iter().map(|(name, node)| (name, place(node))).collect();
        Ok(Inputs { layers, grams })
    }

    async fn stream_before(&self, block: usize, cancel: &Cancel) -> Result<Stream> {
        let mut stream = match self.stream.take().filter(|stream| stream.block <= block) {
            Some(stream) => stream,
            None => {
                let graph = llama::embed(&self.config, &Parameters::weights(&|_| DType::F32), self.rows())?;
                Stream { block: 0, pieces: self.residual(&graph, None, cancel).await? }
            }
        };
        while stream.block < block {
            let graph = llama::block(&self.config, &Parameters::weights(&|_| DType::F32), stream.block, self.rows())?;
            let pieces = self.residual(&graph, Some(&stream.pieces), cancel).await?;
            stream = Stream { block: stream.block + 1, pieces };
        }
        Ok(stream)
    }

    fn rows(&self) -> usize {
        ROWS.min(self.config.context_length)
    }

    /// The stream that a graph of one output leaves.
    async fn residual(&self, graph: &Graph, stream: Option<&[Vec<f32>]>, cancel: &Cancel) -> Result<Vec<Vec<f32>>> {
        let mut pieces = vec![Vec::new(); self.pieces.len()];
        let mut take = |piece: usize, _: usize, x: Vec<f32>| {
            pieces[piece].extend(x);
            Ok(())
        };
        self.run(graph, stream, &mut take, cancel).await?;
        Ok(pieces)
    }

    /// Runs a graph on the text's ids, or on a stream; `take` has, chunk by chunk of a piece, the piece, the output and its numbers.
    async fn run(
        &self,
        graph: &Graph,
        stream: Option<&[Vec<f32>]>,
        take: &mut dyn FnMut(usize, usize, Vec<f32>) -> Result<()>,
        cancel: &Cancel,
    ) -> Result<()> {
        let names: Vec<String> = graph.outputs.iter().map(|(name, _)| name.clone()).collect();
        let (graph, _) = graph.without_dead_nodes();
        let width = self.config.hidden_size;
        let mut session = self.executor.session(Class::Training);
        let plan = session.compile(&graph, &self.weights, cancel).await?;
        for (i, piece) in self.pieces.iter().enumerate() {
            let mut past = 0;
            for rows in piece.chunks(self.rows()) {
                let symbols = [("past", past), ("kv_len", past + rows.len()), ("rows", rows.len())];
                let bindings = Bindings::new(&graph, &symbols)?;
                let input = match stream {
                    None => ("ids", Value::U32(rows.to_vec())),
                    Some(pieces) => ("x", Value::F32(pieces[i][past * width..(past + rows.len()) * width].to_vec())),
                };
                session.run(&plan, &bindings, &[input], cancel).await?;
                for (output, name) in names.iter().enumerate() {
                    take(i, output, session.read(&plan, name).await?.into_f32()?)?;
                }
                past += rows.len();
            }
        }
        Ok(())
    }
}

/// Of a block's linear layers.
pub struct Inputs {
    /// A weight's name, and which sums are those of its inputs.
    layers: Vec<(String, usize)>,
    grams: Vec<Gram>,
}

impl Inputs {
    /// # Errors
    /// `compress.calibration` for a weight that is none of the block's linear layers.
    pub fn of(&self, weight: &str) -> Result<&Gram> {
        let found = self.layers.iter().find(|(name, _)| name == weight);
        found.map(|(_, i)| &self.grams[*i]).ok_or_else(|| {
            let cause = format!("{weight} is no linear layer of the block that was run");
            Error::new("compress.calibration", cause, "name one of its linear layers")
        })
    }
}

/// The products with weights whose names begin so: the weight's name and the node that it multiplies.
fn linear_layers(graph: &Graph, prefix: &str) -> Vec<(String, NodeId)> {
    let products = graph.ids().map(|id| graph.node(id)).filter(|node| matches!(node.op, Op::Linear { .. }));
    products
        .filter_map(|node| match graph.node(node.inputs[1]).op {
            Op::Weight(id) => Some((graph.weights[id.0 as usize].name.clone(), node.inputs[0])),
            _ => None,
        })
        .filter(|(name, _)| name.starts_with(prefix))
        .collect()
}
