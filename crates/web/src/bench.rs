//! What `cargo xtask bench conv` measures in the page: stacks of convolutions by the page's clock, and what the adapter can
//! do at all.

use std::cell::RefCell;

use js_sys::{Float32Array, Function};
use lantern_bench::{LoadedStack, Stack, parse};
use lantern_cpu::Cpu;
use lantern_gpu::{BenchOptions, Gpu, limits};
use lantern_graph::{Cancel, Error, Executor, Result};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

use crate::engine::{Engine, Hosts};
use crate::{Answer, js};

/// `None` while it runs.
type Slot<E> = RefCell<Option<LoadedStack<E>>>;

enum Loaded {
    Cpu(Slot<Cpu>),
    Gpu(Slot<Gpu>),
}

/// A stack (its description as JSON: `benches/stacks.json`) on an engine.
#[wasm_bindgen]
pub struct StackBench(Loaded);

#[wasm_bindgen]
impl StackBench {
    /// # Errors
    /// `stack.*`; the executor's own.
    pub async fn open(engine: &Engine, stack: String) -> std::result::Result<StackBench, JsValue> {
        open(engine.hosts.clone(), &stack).await.map(StackBench).map_err(|error| js::failure(&error))
    }

    /// A picture `[h, w, c]` in, the result `[h, w, c]` out.
    pub async fn run(&self, picture: Vec<f32>) -> Answer {
        let result = match &self.0 {
            Loaded::Cpu(slot) => run(slot, picture).await,
            Loaded::Gpu(slot) => run(slot, picture).await,
        };
        result.map(|values| Float32Array::from(&*values).into()).map_err(|error| js::failure(&error))
    }
}

#[wasm_bindgen]
impl Engine {
    /// Multiplications and additions in registers, in billions a second: the limit that kernels are held against.
    pub async fn fma_gflop_per_s(&self) -> Answer {
        fma_gflop_per_s(self.hosts.clone()).await.map(JsValue::from).map_err(|error| js::failure(&error))
    }
}

async fn open(hosts: Hosts, stack: &str) -> Result<Loaded> {
    let stack: Stack = parse(stack)?;
    Ok(match hosts {
        Hosts::Cpu(host) => Loaded::Cpu(load(&*host.executor, &stack).await?),
        Hosts::Gpu(host) => Loaded::Gpu(load(&*host.executor, &stack).await?),
    })
}

async fn load<E: Executor>(executor: &E, stack: &Stack) -> Result<Slot<E>> {
    Ok(RefCell::new(Some(LoadedStack::load(executor, stack, &Cancel::new()).await?)))
}

async fn run<E: Executor>(slot: &Slot<E>, picture: Vec<f32>) -> Result<Vec<f32>> {
    let taken = slot.borrow_mut().take();
    let mut loaded =
        taken.ok_or_else(|| Error::new("bench.busy", "this stack is running already", "wait for its end"))?;
    let result = loaded.run(picture, &Cancel::new()).await;
    *slot.borrow_mut() = Some(loaded);
    result
}

async fn fma_gflop_per_s(hosts: Hosts) -> Result<f64> {
    let Hosts::Gpu(host) = hosts else {
        return Err(Error::new(
            "bench.device",
            "the limit is measured on graphics adapters only",
            "ask a GPU's engine",
        ));
    };
    let performance = js::field(&js_sys::global(), "performance");
    let clock = js::field(&performance, "now").dyn_into::<Function>().ok();
    let now_ms = || {
        let told = clock.as_ref().and_then(|now| now.call0(&performance).ok()).and_then(|ms| ms.as_f64());
        told.unwrap_or_else(js_sys::Date::now)
    };
    let options = BenchOptions { working_set_bytes: 1 << 24, runs: 1 };
    Ok(limits(&host.executor, &options, &now_ms).await?.fma_gflop_per_s)
}
