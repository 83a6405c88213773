//! The engine as JavaScript sees it: one executor, chosen when it is made.

use std::rc::Rc;

use js_sys::Array;
use lantern_cpu::{Cpu, Mode};
use lantern_demos::models::Processor;
use lantern_gpu::{Gpu, GpuOptions, StepDown, Tier};
use lantern_graph::{Description, Error, Executor, Result};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::asked;
use crate::contract::{Loading, Reply};
use crate::host::{Host, Limits, Memory, Table};
use crate::library::Library;
use crate::port::Port;
use crate::{Answer, demos, js, list, turn};

/// Weights on the processor lie in the WebAssembly heap, which ends at 4 GB and shares it with all else.
const CPU_CEILING_BYTES: u64 = 1_500_000_000;

#[derive(Clone)]
pub enum Hosts {
    Cpu(Rc<Host<Cpu>>),
    Gpu(Rc<Host<Gpu>>),
}

/// The same call on whichever executor it is.
macro_rules! on {
    ($hosts:expr, $host:ident => $call:expr) => {
        match $hosts {
            Hosts::Cpu($host) => $call,
            Hosts::Gpu($host) => $call,
        }
    };
}

#[wasm_bindgen]
pub struct Engine {
    pub(crate) hosts: Hosts,
    table: Rc<Table>,
    /// Why it is not the device that was hoped for.
    notice: Option<Error>,
}

#[wasm_bindgen]
impl Engine {
    /// `device`: `auto`, `cpu` or `gpu`. `tier`: empty for the device's own choice.
    ///
    /// # Errors
    /// `gpu.*` when the GPU was asked for and is not to be had; `web.device`, `cpu.tier`, `gpu.tier` for unknown names.
    pub async fn create(device: String, tier: String) -> std::result::Result<Engine, JsValue> {
        create(&device, &tier).await.map_err(|error| js::failure(&error))
    }

    /// `{device, tier, adapter, notice, stepDowns}`: the last are the kernels that failed their self-test so far.
    pub fn info(&self) -> JsValue {
        let step_downs = match &self.hosts {
            Hosts::Cpu(_) => Array::new(),
            Hosts::Gpu(host) => host.executor.step_downs().into_iter().map(step_down).collect(),
        };
        let Description { device, tier, adapter } = on!(&self.hosts, host => host.executor.describe());
        js::object(&[
            ("device", device.into()),
            ("tier", tier.into()),
            ("adapter", adapter.into()),
            ("notice", self.notice.as_ref().map_or(JsValue::NULL, js::notice)),
            ("stepDowns", step_downs.into()),
        ])
    }

    /// Fetches a demo's files where they are not here, and reads them onto the device. `sources`: `ModelSource[]` of
    /// `www/lantern/core/protocol.js`. Gives `{model, info, notice}`; `info` is the demo's own.
    pub async fn load(&self, demo: String, sources: Array, library: Library, port: &Port) -> Answer {
        let (hosts, table, port) = (self.hosts.clone(), self.table.clone(), port.clone());
        let loaded = async {
            let asked = asked::read(&sources, &demo, &library).await?;
            on!(&hosts, host => {
                let (executor, limits, shared) = (&host.executor, host.limits, &host.shared);
                demos::load(&demo, Loading { executor, limits, shared, asked, library: &library, port: &port }).await
            })
        };
        told(loaded.await.map(|loaded| table.keep(loaded)))
    }

    /// The catalogue and what is stored here, as this device sees it: see `ModelList` in `www/lantern/core/protocol.js`.
    pub async fn list_models(&self, library: Library, base: String) -> Answer {
        let (processor, limits) = match &self.hosts {
            Hosts::Cpu(host) => (Processor::Cpu, host.limits),
            Hosts::Gpu(host) => (Processor::Gpu, host.limits),
        };
        told(list::models(&library, &base, processor, limits).await)
    }

    /// Sessions that are open keep the weights alive.
    pub fn close_model(&self, model: u32) {
        self.table.close_model(model);
    }

    /// Gives the session's number.
    pub async fn open(&self, model: u32, port: &Port) -> Answer {
        let (table, port) = (self.table.clone(), port.clone());
        told(table.open(model, &port).await.map(JsValue::from))
    }

    /// `kind` and `payload`: of the demo's `messages.js`. Gives `{value, transfer}`: the answer, and what of it goes over without a
    /// copy.
    pub async fn request(&self, session: u32, kind: String, payload: JsValue, port: &Port) -> Answer {
        let (table, port) = (self.table.clone(), port.clone());
        let reply = table.request(session, &kind, &payload, &port).await;
        told(reply.map(|Reply { value, transfer }| js::object(&[("value", value), ("transfer", transfer.into())])))
    }

    pub fn close_session(&self, session: u32) {
        self.table.close_session(session);
    }

    /// `{weights, work}`, bytes on the device that an open session holds: see `Stats` in `www/lantern/core/protocol.js`.
    pub fn session_memory(&self, session: u32) -> JsValue {
        self.table.memory(session).map_or(JsValue::NULL, |Memory { weights, work }| {
            js::object(&[("weights", (weights as f64).into()), ("work", (work as f64).into())])
        })
    }

    /// Bytes held on the device now.
    pub fn memory_bytes(&self) -> f64 {
        on!(&self.hosts, host => host.executor.memory_bytes()) as f64
    }
}

impl Engine {
    fn new(hosts: Hosts, notice: Option<Error>) -> Engine {
        Engine { hosts, table: Rc::default(), notice }
    }
}

fn step_down(StepDown { kernel, choice, reason }: StepDown) -> JsValue {
    js::object(&[("kernel", kernel.into()), ("tier", choice.to_string().into()), ("reason", reason.into())])
}

fn told(answer: Result<JsValue>) -> Answer {
    answer.map_err(|error| js::failure(&error))
}

async fn create(device: &str, tier: &str) -> Result<Engine> {
    let of_cpu = [Mode::Fast, Mode::Exact].iter().any(|mode| mode.name() == tier);
    match device {
        "cpu" => cpu(tier, None),
        "gpu" => gpu(tier).await,
        "auto" if of_cpu => cpu(tier, None),
        "auto" => match gpu(tier).await {
            // A processor that pretends to be a graphics card loses to the same processor asked directly.
            Ok(Engine { hosts: Hosts::Gpu(host), .. }) if tier.is_empty() && host.executor.tier() == Tier::Software => {
                cpu("", Some(software(&host.executor.describe().adapter)))
            }
            Ok(engine) => Ok(engine),
            Err(error) if error.code == "gpu.tier" => Err(error),
            Err(error) => cpu("", Some(instead(error))),
        },
        _ => Err(Error::new("web.device", format!("there is no device {device:?}"), "choose auto, cpu or gpu")),
    }
}

fn instead(error: Error) -> Error {
    Error::new(error.code, error.cause, "The processor answers instead: more slowly, with the same model")
}

fn software(adapter: &str) -> Error {
    Error::new(
        "gpu.software",
        format!("This browser's GPU is emulated in software ({adapter}), so the processor answers directly"),
        "It is the same model. To use a graphics card, turn graphics acceleration on in the browser's settings",
    )
}

fn cpu(tier: &str, notice: Option<Error>) -> Result<Engine> {
    let mode = match tier {
        "" | "fast" => Mode::Fast,
        "exact" => Mode::Exact,
        _ => {
            return Err(Error::new(
                "cpu.tier",
                format!("the processor has no tier {tier:?}"),
                "choose fast or exact, or leave the tier out",
            ));
        }
    };
    let executor = Cpu::new(mode)
        .with_weight_limit(CPU_CEILING_BYTES)
        .with_clock(crate::clock::clock())
        .with_yield(Rc::new(|| Box::pin(turn::turn())));
    Ok(Engine::new(Hosts::Cpu(Rc::new(Host::new(executor, Limits { ceiling: Some(CPU_CEILING_BYTES) }))), notice))
}

async fn gpu(tier: &str) -> Result<Engine> {
    let tier = if tier.is_empty() { None } else { Some(tier.parse()?) };
    if js::field(&js::field(&js_sys::global(), "navigator"), "gpu").is_falsy() {
        return Err(Error::new(
            "gpu.absent",
            "This browser has no WebGPU",
            "Turn it on, or leave ?device=gpu out of this page's address to use the processor",
        ));
    }
    let options = GpuOptions { tier, clock: Some(crate::clock::clock()), ..GpuOptions::default() };
    let executor = Gpu::new(&options, Rc::new(Cpu::new(Mode::Exact))).await?;
    Ok(Engine::new(Hosts::Gpu(Rc::new(Host::new(executor, Limits { ceiling: None }))), None))
}
