//! The device: opened once, owned here, named nowhere else.

use std::rc::Rc;
use std::sync::{Arc, Mutex};

use lantern_graph::{Account, Clock, Description, Error, Oracle, Queue, Result};

use crate::caps::{Capabilities, Tier};
use crate::frame::Show;
use crate::memory::Buffer;
use crate::pipeline::{Pipelines, ShaderPatch, StepDown};
use crate::race::{Decided, Race, Races};

/// How to open a device.
#[derive(Clone, Default)]
pub struct GpuOptions {
    /// Run at this tier instead of the adapter's preferred one.
    pub tier: Option<Tier>,
    /// Part of the adapter's name, any case; the first that fits is taken. Native only: a browser chooses by itself.
    pub adapter: Option<String>,
    /// Behave as an adapter with no larger storage bindings than this, and no larger buffers than twice that.
    pub binding_limit: Option<u64>,
    /// Where variants of a kernel are raced.
    pub race: Race,
    /// Variants to begin with instead: a part of a kernel's name, and the variant ([`Choice`](crate::Choice) as text). The last
    /// that fits counts.
    pub variants: Vec<(String, String)>,
    /// Called after each race.
    pub decided: Option<Decided>,
    /// Changes a kernel's text before it is compiled: how the tests break one on purpose.
    pub patch: Option<ShaderPatch>,
    /// Tells the time. The machine's own where there is none; in a page it stands still then.
    pub clock: Option<Clock>,
    /// A slice has so many floating-point operations until its plan was timed, instead of what the kind of adapter suggests.
    pub slice_flops: Option<u64>,
    /// Most bytes that are held at a time. The device itself says what it has only when it has no more.
    pub memory_limit: Option<u64>,
}

/// The GPU executor, or a part of it that holds memory: a session, a set of weights. Clones share the device.
#[derive(Clone)]
pub struct Gpu(pub(crate) Rc<Inner>, pub(crate) Account);

pub(crate) struct Inner {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub caps: Capabilities,
    pub tier: Tier,
    /// Somebody asked for that tier by name.
    pub tier_is_asked: bool,
    pub races: Races,
    pub binding_limit: u64,
    pub buffer_limit: u64,
    pub workgroups_limit: u32,
    /// Longest side of a texture.
    pub texture_limit: u32,
    pub slices: Queue,
    pub slice_flops: Option<u64>,
    pub pipelines: Pipelines,
    pub oracle: Rc<dyn Oracle>,
    pub show: Show,
    trouble: Arc<Mutex<Option<Error>>>,
}

/// An adapter as `lantern devices` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterReport {
    pub caps: Capabilities,
    pub backend: String,
    pub tiers: Vec<Tier>,
    pub preferred: Tier,
    pub max_binding_bytes: u64,
    pub max_buffer_bytes: u64,
}

fn no_adapter(cause: String) -> Error {
    Error::new("gpu.adapter", cause, "use the processor, or update the graphics driver")
}

fn instance() -> wgpu::Instance {
    wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle())
}

impl Gpu {
    /// Opens an adapter. `oracle` is what kernels are tested against before they are used.
    ///
    /// # Errors
    /// `gpu.adapter` when there is none (of that name), `gpu.tier` when it lacks the asked tier, `gpu.variant` when no kernel
    /// has an asked variant, `gpu.device` when it will not open.
    pub async fn new(options: &GpuOptions, oracle: Rc<dyn Oracle>) -> Result<Gpu> {
        let races = Races::new(options)?;
        let instance = instance();
        let adapter = find_adapter(&instance, options.adapter.as_deref()).await?;
        let mut limits = adapter.limits();
        if let Some(cap) = options.binding_limit {
            limits.max_storage_buffer_binding_size = limits.max_storage_buffer_binding_size.min(cap);
            limits.max_buffer_size = limits.max_buffer_size.min(cap * 2);
        }
        let mut wanted = wgpu::Features::SUBGROUP | wgpu::Features::SHADER_F16;
        // With them merely enabled, one browser decoded three times slower.
        wanted.set(wgpu::Features::TIMESTAMP_QUERY, cfg!(not(target_arch = "wasm32")));
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("lantern"),
            required_features: adapter.features() & wanted,
            required_limits: limits.clone(),
            memory_hints: wgpu::MemoryHints::Performance,
            ..Default::default()
        };
        let (device, queue) = adapter.request_device(&descriptor).await.map_err(|e| {
            Error::new(
                "gpu.device",
                format!("the graphics device did not open: {e}"),
                "use the processor, or close other programs that use the graphics card",
            )
        })?;
        let trouble = Arc::new(Mutex::new(None));
        listen(&device, &trouble);
        let caps = capabilities(&instance, &adapter, &device);
        let tier = caps.choose(options.tier)?;
        let memory = Account::default();
        memory.limit_to(options.memory_limit);
        let inner = Inner {
            binding_limit: limits.max_storage_buffer_binding_size,
            buffer_limit: limits.max_buffer_size,
            workgroups_limit: limits.max_compute_workgroups_per_dimension,
            texture_limit: limits.max_texture_dimension_2d,
            device,
            queue,
            caps,
            tier,
            tier_is_asked: options.tier.is_some(),
            races,
            slices: options.clock.clone().map_or_else(Queue::with_default_clock, Queue::new),
            slice_flops: options.slice_flops,
            pipelines: Pipelines::new(options.patch.clone()),
            oracle,
            show: Show::default(),
            trouble,
        };
        Ok(Gpu(Rc::new(inner), memory))
    }

    /// Every adapter of this machine.
    pub async fn adapters() -> Vec<AdapterReport> {
        let instance = instance();
        let mut reports = Vec::new();
        for adapter in instance.enumerate_adapters(wgpu::Backends::all()).await {
            let caps = adapter_capabilities(&adapter);
            let limits = adapter.limits();
            reports.push(AdapterReport {
                backend: format!("{:?}", adapter.get_info().backend).to_lowercase(),
                tiers: Tier::ALL.into_iter().filter(|t| caps.has(*t)).collect(),
                preferred: caps.preferred_tier(),
                max_binding_bytes: limits.max_storage_buffer_binding_size,
                max_buffer_bytes: limits.max_buffer_size,
                caps,
            });
        }
        reports
    }

    pub fn capabilities(&self) -> &Capabilities {
        &self.0.caps
    }

    pub fn tier(&self) -> Tier {
        self.0.tier
    }

    /// Variants that failed their self-test here, so far.
    pub fn step_downs(&self) -> Vec<StepDown> {
        self.0.pipelines.step_downs()
    }

    pub fn describe(&self) -> Description {
        Description { device: "gpu", tier: self.0.tier.name().into(), adapter: self.0.caps.name.clone() }
    }

    /// Floating-point operations of a slice, until its plan was timed: a token of 7 billion weights is one. The slowest of
    /// graphics cards (100 GFLOP/s) takes a fifth of a second.
    pub(crate) fn first_slice_flops(&self) -> u64 {
        if self.0.caps.is_cpu { self.slice_flops() } else { 2 * self.slice_flops() }
    }

    /// Floating-point operations that a dispatch may have where it can be cut. Windows resets a GPU that is busy for two
    /// seconds; this is about a tenth of a second at the rate of the slowest adapter of each kind (SwiftShader 0.5 GFLOP/s, a
    /// phone's GPU 100 GFLOP/s).
    pub(crate) fn slice_flops(&self) -> u64 {
        if self.0.caps.is_cpu { 50_000_000 } else { 10_000_000_000 }
    }

    /// Whose slice is next: one for all sessions of this executor.
    pub fn queue(&self) -> &Queue {
        &self.0.slices
    }

    /// The same device, for somebody whose memory is counted by itself too.
    pub(crate) fn part(&self) -> Gpu {
        Gpu(self.0.clone(), self.1.part())
    }

    /// Whether so many bytes more are within the budget.
    pub(crate) fn check_memory(&self, what: &str, bytes: u64) -> Result<()> {
        self.1.check("gpu.memory", what, bytes, "use a smaller model, a smaller picture, or the processor")
    }

    pub(crate) fn buffer(&self, label: &str, bytes: u64, usage: wgpu::BufferUsages) -> Buffer {
        Buffer::new(&self.0.device, &self.1, label, bytes, usage)
    }

    /// What went wrong since the device was opened, if anything did: a lost device stays lost.
    pub(crate) fn check(&self) -> Result<()> {
        match self.0.trouble.lock() {
            Ok(trouble) => trouble.clone().map_or(Ok(()), Err),
            Err(_) => Err(lost("a graphics callback failed".into())),
        }
    }

    /// Takes an error that was about one thing only, such as a pipeline that did not compile.
    pub(crate) fn take_trouble(&self) -> Option<Error> {
        let mut trouble = self.0.trouble.lock().ok()?;
        if trouble.as_ref().is_some_and(|e| e.code == "gpu.lost") { trouble.clone() } else { trouble.take() }
    }
}

fn lost(cause: String) -> Error {
    Error::new("gpu.lost", cause, "start again; if it is lost again, use the processor")
}

fn listen(device: &wgpu::Device, trouble: &Arc<Mutex<Option<Error>>>) {
    let note = trouble.clone();
    device.set_device_lost_callback(move |reason, message| {
        if let Ok(mut trouble) = note.lock() {
            *trouble = Some(lost(format!("the graphics device was lost ({reason:?}): {message}")));
        }
    });
    let note = trouble.clone();
    device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
        if let Ok(mut trouble) = note.lock() {
            let error = match error {
                wgpu::Error::OutOfMemory { .. } => Error::new(
                    "gpu.memory",
                    "the graphics device has no memory left",
                    "use a smaller model, or the processor",
                ),
                other => Error::new(
                    "gpu.validation",
                    format!("the graphics device refused a command: {other}"),
                    "use another tier or the processor, and please report it",
                ),
            };
            trouble.get_or_insert(error);
        }
    }));
}

async fn find_adapter(instance: &wgpu::Instance, name: Option<&str>) -> Result<wgpu::Adapter> {
    let Some(name) = name else {
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        // What wgpu says here is of its own build: that it tried what there is, and of what it was made without.
        let found = instance.request_adapter(&options).await;
        return found.map_err(|_| no_adapter("no graphics adapter was found that can be computed on".into()));
    };
    let adapters = instance.enumerate_adapters(wgpu::Backends::all()).await;
    let names: Vec<String> = adapters.iter().map(|a| a.get_info().name).collect();
    adapters
        .into_iter()
        .find(|a| a.get_info().name.to_lowercase().contains(&name.to_lowercase()))
        .ok_or_else(|| no_adapter(format!("no graphics adapter is named {name:?}; there are {names:?}")))
}

fn adapter_capabilities(adapter: &wgpu::Adapter) -> Capabilities {
    let (info, features) = (adapter.get_info(), adapter.features());
    // SwiftShader and lavapipe say what they are; a browser's names are empty here (see `web.rs`).
    let name = if info.name.is_empty() { "WebGPU adapter".to_owned() } else { info.name.clone() };
    Capabilities {
        is_cpu: info.device_type == wgpu::DeviceType::Cpu,
        is_qualcomm: info.vendor == 0x5143 || name.to_lowercase().contains("adreno"),
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
        subgroups: features.contains(wgpu::Features::SUBGROUP),
        // naga writes packed dot products out where the driver has none.
        packed_dot: true,
        f16: features.contains(wgpu::Features::SHADER_F16),
        timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
        name,
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn capabilities(_: &wgpu::Instance, adapter: &wgpu::Adapter, _: &wgpu::Device) -> Capabilities {
    adapter_capabilities(adapter)
}

#[cfg(target_arch = "wasm32")]
fn capabilities(instance: &wgpu::Instance, adapter: &wgpu::Adapter, device: &wgpu::Device) -> Capabilities {
    crate::web::capabilities(adapter_capabilities(adapter), instance, device)
}
