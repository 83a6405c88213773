//! Whatever lasts between runs is a state: a training run, a network that remembers its last result, a chat's cache. Each is taken
//! out of one session and put into a new one, as a file, and goes on as if nothing had happened.

use std::rc::Rc;

use lantern_cpu::{Cpu, Mode};
use lantern_demos::{load_states, save_states};
use lantern_graph::{
    Bindings, Cancel, Class, DType, Executor, Graph, Index, Result, Session, StateOptions, Unary, Value,
};
use lantern_models::adam::{AdamOptions, adam};
use lantern_models::{Parameters, nn};
use lantern_weights::MemorySource;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const MODES: [Mode; 2] = [Mode::Exact, Mode::Fast];
const STEPS: usize = 12;
const WIDTH: usize = 6;

fn seeded(seed: u64) -> SmallRng {
    let seed = std::env::var("LANTERN_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(seed);
    println!("seed {seed} (LANTERN_SEED)");
    SmallRng::seed_from_u64(seed)
}

fn floats(rng: &mut SmallRng, count: usize) -> Vec<f32> {
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// What is run again and again: at `step` with these symbols and inputs, and `output` is what it comes to.
struct Repeated {
    what: &'static str,
    graph: Graph,
    output: &'static str,
    symbols: fn(usize) -> Vec<(&'static str, usize)>,
    inputs: Vec<Vec<(&'static str, Value)>>,
    /// What states hold before the first step, where it is not zeros.
    start: Vec<(String, Vec<f32>)>,
}

/// Two layers, one step of Adam a run: parameters, moments and corrections are states.
fn training(rng: &mut SmallRng) -> Result<Repeated> {
    let params = Parameters::weights(&|_| DType::F32).trained("*");
    let mut g = Graph::new();
    let x = g.input("x", [4, WIDTH], DType::F32);
    let hidden = nn::linear(&mut g, &params, x, "first", 8, true)?;
    let hidden = g.unary(Unary::Tanh, hidden)?;
    let y = nn::linear(&mut g, &params, hidden, "second", 1, true)?;
    let wanted = g.input("wanted", [4, 1], DType::F32);
    let error = g.sub(y, wanted)?;
    let squares = g.mul(error, error)?;
    let loss = g.sum(squares, 0)?;
    g.output("loss", loss);
    let learns = params.nodes(&g)?;
    adam(&mut g, loss, &learns, AdamOptions { learning_rate: 0.05, ..AdamOptions::default() })?;
    let start = params.states().into_iter().map(|s| (s.name, floats(rng, s.shape.iter().product()))).collect();
    let inputs = (0..STEPS)
        .map(|_| vec![("x", Value::F32(floats(rng, 4 * WIDTH))), ("wanted", Value::F32(floats(rng, 4)))])
        .collect();
    Ok(Repeated { what: "a training run", graph: g, output: "loss", symbols: |_| Vec::new(), inputs, start })
}

/// A result that is made of the picture and the result before, as a matte is from frame to frame.
fn recurrent(rng: &mut SmallRng) -> Result<Repeated> {
    let mut g = Graph::new();
    let frame = g.input("frame", [1, 4, WIDTH, 2], DType::F32);
    let before = g.state("matte", &[1, 4, WIDTH, 2])?;
    let (kept, fresh) = (g.affine(before, 0.8, 0.0)?, g.affine(frame, 0.3, 0.1)?);
    let sum = g.add(kept, fresh)?;
    let matte = g.unary(Unary::Sigmoid, sum)?;
    g.assign(before, matte)?;
    g.output("matte", matte);
    let inputs = (0..STEPS).map(|_| vec![("frame", Value::F32(floats(rng, 8 * WIDTH)))]).collect();
    Ok(Repeated {
        what: "a recurrent matte",
        graph: g,
        output: "matte",
        symbols: |_| Vec::new(),
        inputs,
        start: Vec::new(),
    })
}

/// A cache of halves that grows by a row a run, and what all of its rows sum up to.
fn cache(rng: &mut SmallRng) -> Result<Repeated> {
    let mut g = Graph::new();
    let (past, len) = (g.symbol("past", 1000), g.symbol("len", 1000));
    let row = g.input("row", [1, WIDTH], DType::F32);
    let options = StateOptions { storage: DType::F16, growing: true };
    let cache = g.state_with("k.0", &[1000, WIDTH], options)?;
    let cache = g.write(cache, row, Index::Symbol(past))?;
    let seen = g.slice(cache, 0, Index::Fixed(0), len)?;
    let sum = g.sum(seen, 0)?;
    g.output("sum", sum);
    let inputs = (0..STEPS).map(|_| vec![("row", Value::F32(floats(rng, WIDTH)))]).collect();
    // Through the first bucket, so that it grows on the way.
    let symbols = |step: usize| vec![("past", 250 + step), ("len", 251 + step)];
    Ok(Repeated { what: "a cache", graph: g, output: "sum", symbols, inputs, start: Vec::new() })
}

impl Repeated {
    async fn open<E: Executor>(&self, executor: &E) -> (E::Session, <E::Session as Session>::Plan) {
        let mut session = executor.session(Class::Training);
        let weights = Rc::new(E::Weights::default());
        let plan = session.compile(&self.graph, &weights, &Cancel::new()).await.unwrap();
        (session, plan)
    }

    async fn steps<S: Session>(&self, session: &mut S, plan: &S::Plan, steps: std::ops::Range<usize>) -> Vec<Value> {
        let mut results = Vec::new();
        for step in steps {
            let bindings = Bindings::new(&self.graph, &(self.symbols)(step)).unwrap();
            session.run(plan, &bindings, &self.inputs[step], &Cancel::new()).await.unwrap();
            results.push(session.read(plan, self.output).await.unwrap());
        }
        results
    }
}

fn all(rng: &mut SmallRng) -> [Repeated; 3] {
    [training(rng).unwrap(), recurrent(rng).unwrap(), cache(rng).unwrap()]
}

#[test]
fn whatever_lasts_goes_on_in_a_new_session() {
    let mut rng = seeded(81);
    for repeated in all(&mut rng) {
        for mode in MODES {
            let cpu = Cpu::new(mode);
            pollster::block_on(async {
                let (mut first, plan) = repeated.open(&cpu).await;
                for (name, values) in &repeated.start {
                    first.write_state(name, &Value::F32(values.clone())).unwrap();
                }
                repeated.steps(&mut first, &plan, 0..STEPS / 2).await;
                let file = save_states(&mut first, &repeated.graph.states).await.unwrap();
                let expected = repeated.steps(&mut first, &plan, STEPS / 2..STEPS).await;
                drop((first, plan));

                let (mut second, plan) = repeated.open(&cpu).await;
                load_states(&mut second, &repeated.graph.states, &MemorySource::new(file.clone())).await.unwrap();
                assert_eq!(save_states(&mut second, &repeated.graph.states).await.unwrap(), file, "{}", repeated.what);
                let got = repeated.steps(&mut second, &plan, STEPS / 2..STEPS).await;
                assert_eq!(got, expected, "{} ({mode:?})", repeated.what);

                let (mut empty, plan) = repeated.open(&cpu).await;
                let from_nothing = repeated.steps(&mut empty, &plan, STEPS / 2..STEPS).await;
                assert_ne!(from_nothing, expected, "{}: its states make no difference", repeated.what);
            });
        }
    }
}

#[test]
fn a_file_of_other_states_fills_none() {
    let mut rng = seeded(82);
    let [training, _, cache] = all(&mut rng);
    pollster::block_on(async {
        let cpu = Cpu::new(Mode::Exact);
        let (mut session, _plan) = training.open(&cpu).await;
        let file = save_states(&mut session, &training.graph.states).await.unwrap();
        for (name, values) in &training.start {
            session.write_state(name, &Value::F32(values.clone())).unwrap();
        }
        let before = save_states(&mut session, &training.graph.states).await.unwrap();
        let source = MemorySource::new(file);

        let mut other = training.graph.states.clone();
        other.last_mut().unwrap().name = "another".into();
        let error = load_states(&mut session, &other, &source).await.unwrap_err();
        assert_eq!(error.code, "safetensors.missing");
        assert!(error.cause.contains("another"), "{error}");
        let mut other = training.graph.states.clone();
        other.last_mut().unwrap().shape.push(1);
        assert_eq!(load_states(&mut session, &other, &source).await.unwrap_err().code, "safetensors.shape");
        assert_eq!(save_states(&mut session, &training.graph.states).await.unwrap(), before);

        let error = save_states(&mut session, &cache.graph.states).await.unwrap_err();
        assert!(error.cause.contains("k.0"), "{error}");
        let (mut session, _plan) = cache.open(&cpu).await;
        let file = MemorySource::new(save_states(&mut session, &cache.graph.states).await.unwrap());
        let mut other = cache.graph.states.clone();
        other[0].dtype = DType::F32;
        assert_eq!(load_states(&mut session, &other, &file).await.unwrap_err().code, "safetensors.type");
    });
}
