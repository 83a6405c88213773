//! The engine as JavaScript sees it: one executor, chosen when it is made.

use std::rc::Rc;

use js_sys::{Array, Function};
use lantern_cpu::{Cpu, Mode};
use lantern_demos::models::Processor;
use lantern_gpu::{Gpu, GpuOptions, StepDown, Tier, Winner};
use lantern_graph::{Description, Error, Executor, Result};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::asked;
use crate::browser::Browser;
use crate::contract::{Loading, Reply};
use crate::host::{Host, Limits, Memory, Table};
use crate::port::Port;
use crate::{Answer, crew, demos, js, list, turn};

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
    /// Why the processor has one thread.
    alone: Option<String>,
}

/// What an engine should be, as the page asks for it; empty for the engine's own choice.
struct Wanted {
    device: String,
    tier: String,
    /// `KERNEL=VARIANT`, several with commas between.
    variant: String,
    threads: String,
    /// Starts a helper: see [`crew::start`].
    start_helper: Function,
}

#[wasm_bindgen]
impl Engine {
    /// `wanted`: an `ExecutorChoice` of `www/lantern/core/protocol.js`. `start_helper`: gives a promise of a Worker that computes
    /// beside this one.
    ///
    /// # Errors
    /// `gpu.*` when the GPU was asked for and is not to be had; `web.device`, `web.threads`, `cpu.tier`, `gpu.tier`,
    /// `gpu.variant` for what is unknown.
    pub async fn create(wanted: JsValue, start_helper: Function) -> std::result::Result<Engine, JsValue> {
        let text = |name: &str| js::field(&wanted, name).as_string().unwrap_or_default();
        let [device, tier, variant, threads] = ["device", "tier", "variant", "threads"].map(text);
        let wanted = Wanted { device, tier, variant, threads, start_helper };
        create(&wanted).await.map_err(|error| js::failure(&error))
    }

    /// A `DeviceInfo` of `www/lantern/core/protocol.js`: kernels that failed their self-test so far, and who won races, too.
    pub fn info(&self) -> JsValue {
        let step_downs = match &self.hosts {
            Hosts::Cpu(_) => Array::new(),
            Hosts::Gpu(host) => host.executor.step_downs().into_iter().map(step_down).collect(),
        };
        let Description { device, tier, mut adapter } = on!(&self.hosts, host => host.executor.describe());
        if let Some(why) = &self.alone {
            adapter = format!("{adapter}: {why}");
        }
        let raced = match &self.hosts {
            Hosts::Cpu(_) => Array::new(),
            Hosts::Gpu(host) => host.executor.winners().into_iter().map(winner).collect(),
        };
        js::object(&[
            ("device", device.into()),
            ("tier", tier.into()),
            ("adapter", adapter.into()),
            ("notice", self.notice.as_ref().map_or(JsValue::NULL, js::notice)),
            ("stepDowns", step_downs.into()),
            ("raced", raced.into()),
        ])
    }

    /// What winners of races hold for: see `www/lantern/core/races.js`. Empty where nothing is raced.
    pub fn race_key(&self) -> String {
        match &self.hosts {
            Hosts::Cpu(_) => String::new(),
            Hosts::Gpu(host) => host.executor.race_key(),
        }
    }

    /// Winners of an earlier visit, `{kernel, variant}[]`: they are not raced again.
    pub fn remember(&self, winners: Array) {
        let text = |winner: &JsValue, name: &str| js::field(winner, name).as_string();
        let named = winners.iter().filter_map(|winner| Some((text(&winner, "kernel")?, text(&winner, "variant")?)));
        if let Hosts::Gpu(host) = &self.hosts {
            host.executor.remember(&named.collect());
        }
    }

    /// Fetches a demo's files where they are not here, and reads them onto the device. `sources`: `ModelSource[]` of
    /// `www/lantern/core/protocol.js`. Gives `{model, info, notice}`; `info` is the demo's own.
    pub async fn load(&self, demo: String, sources: Array, browser: Browser, port: &Port) -> Answer {
        let (hosts, table, port) = (self.hosts.clone(), self.table.clone(), port.clone());
        let loaded = async {
            let asked = asked::read(&sources, &demo, &browser).await?;
            on!(&hosts, host => {
                let (executor, limits, shared) = (&host.executor, host.limits, &host.shared);
                demos::load(&demo, Loading { executor, limits, shared, asked, browser: &browser, port: &port }).await
            })
        };
        answer(loaded.await.map(|loaded| table.keep(loaded)))
    }

    /// The catalogue and what is stored here, as this device sees it: see `ModelList` in `www/lantern/core/protocol.js`.
    pub async fn list_models(&self, browser: Browser, base: String) -> Answer {
        let (processor, limits) = match &self.hosts {
            Hosts::Cpu(host) => (Processor::Cpu, host.limits),
            Hosts::Gpu(host) => (Processor::Gpu, host.limits),
        };
        answer(list::models(&browser, &base, processor, limits).await)
    }

    /// Sessions that are open keep the weights alive.
    pub fn close_model(&self, model: u32) {
        self.table.close_model(model);
    }

    /// Gives the session's number.
    pub async fn open(&self, model: u32, port: &Port) -> Answer {
        let (table, port) = (self.table.clone(), port.clone());
        answer(table.open(model, &port).await.map(JsValue::from))
    }

    /// `kind` and `payload`: of the demo's `messages.js`. Gives `{value, transfer}`: the answer, and what of it goes over without a
    /// copy.
    pub async fn request(&self, session: u32, kind: String, payload: JsValue, port: &Port) -> Answer {
        let (table, port) = (self.table.clone(), port.clone());
        let reply = table.request(session, &kind, &payload, &port).await;
        answer(reply.map(|Reply { value, transfer }| js::object(&[("value", value), ("transfer", transfer.into())])))
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
        Engine { hosts, table: Rc::default(), notice, alone: None }
    }
}

fn step_down(StepDown { kernel, choice, reason }: StepDown) -> JsValue {
    js::object(&[("kernel", kernel.into()), ("tier", choice.to_string().into()), ("reason", reason.into())])
}

fn winner(Winner { kernel, choice, .. }: Winner) -> JsValue {
    js::object(&[("kernel", kernel.into()), ("variant", choice.into())])
}

/// A failure as the page shows it.
fn answer(result: Result<JsValue>) -> Answer {
    result.map_err(|error| js::failure(&error))
}

async fn create(wanted: &Wanted) -> Result<Engine> {
    let tier = wanted.tier.as_str();
    let of_cpu = [Mode::Fast, Mode::Exact].iter().any(|mode| mode.name() == tier);
    match wanted.device.as_str() {
        "cpu" => cpu(wanted, tier, None).await,
        "gpu" => gpu(wanted).await,
        "auto" if of_cpu => cpu(wanted, tier, None).await,
        "auto" => match gpu(wanted).await {
            // A processor that pretends to be a graphics card loses to the same processor asked directly.
            Ok(Engine { hosts: Hosts::Gpu(host), .. }) if tier.is_empty() && host.executor.tier() == Tier::Software => {
                cpu(wanted, "", Some(software(&host.executor.describe().adapter))).await
            }
            Ok(engine) => Ok(engine),
            Err(error) if ["gpu.tier", "gpu.variant"].contains(&error.code) => Err(error),
            Err(error) => cpu(wanted, "", Some(instead(error))).await,
        },
        device => Err(Error::new("web.device", format!("there is no device {device:?}"), "choose auto, cpu or gpu")),
    }
}

/// Here it is the browser that looks for graphics cards.
fn seen_here(error: Error) -> Error {
    match error.code {
        "gpu.adapter" => {
            Error { cause: "This browser has WebGPU, but no graphics card that it may use".into(), ..error }
        }
        _ => error,
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

async fn cpu(wanted: &Wanted, tier: &str, notice: Option<Error>) -> Result<Engine> {
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
    let mut executor = Cpu::new(mode)
        .with_weight_limit(CPU_CEILING_BYTES)
        .with_clock(crate::clock::clock())
        .with_yield(Rc::new(|| Box::pin(turn::turn())));
    let threads = crew::threads(&wanted.threads)?;
    let mut alone = None;
    if mode == Mode::Fast && threads > 1 {
        match crew::start(threads - 1, &wanted.start_helper).await {
            Ok(team) => executor = executor.with_team(team),
            Err(why) => alone = Some(why.cause),
        }
    }
    let host = Host::new(executor, Limits { ceiling: Some(CPU_CEILING_BYTES) });
    Ok(Engine { alone, ..Engine::new(Hosts::Cpu(Rc::new(host)), notice) })
}

async fn gpu(wanted: &Wanted) -> Result<Engine> {
    let tier = wanted.tier.as_str();
    let tier = if tier.is_empty() { None } else { Some(tier.parse()?) };
    if js::field(&js::field(&js_sys::global(), "navigator"), "gpu").is_falsy() {
        return Err(Error::new(
            "gpu.absent",
            "This browser has no WebGPU",
            "Turn it on, or leave ?device=gpu out of this page's address to use the processor",
        ));
    }
    let variant = |text: &str| match text.split_once('=') {
        Some((kernel, variant)) => Ok((kernel.to_owned(), variant.to_owned())),
        None => Err(Error::new(
            "gpu.variant",
            format!("{text:?} names no kernel and no variant"),
            "write a part of a kernel's name, =, and a variant: gemv=core",
        )),
    };
    let variants = wanted.variant.split(',').filter(|text| !text.is_empty()).map(variant).collect::<Result<_>>()?;
    let options = GpuOptions { tier, variants, clock: Some(crate::clock::clock()), ..GpuOptions::default() };
    let executor = Gpu::new(&options, Rc::new(Cpu::new(Mode::Exact))).await.map_err(seen_here)?;
    Ok(Engine::new(Hosts::Gpu(Rc::new(Host::new(executor, Limits { ceiling: None }))), None))
}
