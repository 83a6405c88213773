//! Compiled kernels: made in the background, kept for the device's life. `prepare.rs` tests them before they are used.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use lantern_graph::{Error, Result};

use crate::kernel::{Choice, Kernel};
use crate::shader::{Binding, Shader};

/// A kernel's variant on this device.
pub struct Pipeline {
    pub kernel: Kernel,
    pub choice: Choice,
    pub shader: Shader,
    pub pipeline: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
    /// Keeps the browser's cached compilation alive.
    #[cfg(target_arch = "wasm32")]
    _warm: wasm_bindgen::JsValue,
}

/// The text of a variant as this platform's compiler takes it.
///
/// # Errors
/// `gpu.shader` when the kernel has no such variant.
pub fn source(kernel: Kernel, choice: Choice) -> Result<Shader> {
    let variant = kernel.variant(choice).ok_or_else(|| {
        Error::new("gpu.shader", format!("{} has no variant for {choice}", kernel.name()), "use a lower tier")
    })?;
    let mut shader = Shader::expand(variant.file, &variant.defines)?;
    // Browsers want the extension named; naga knows subgroups without and refuses the line.
    if cfg!(target_arch = "wasm32") && uses_subgroups(&shader) {
        shader.wgsl.insert_str(0, "enable subgroups;\n");
    }
    Ok(shader)
}

pub fn uses_subgroups(shader: &Shader) -> bool {
    shader.wgsl.contains("subgroup_size")
}

/// Kernel, variant and WGSL text in; the text to compile out.
pub type ShaderPatch = Rc<dyn Fn(Kernel, Choice, String) -> String>;

/// A variant that failed on this driver, and was left for another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepDown {
    pub kernel: String,
    pub choice: Choice,
    pub reason: String,
}

/// What a device has compiled, and which variant each kernel runs with.
#[derive(Default)]
pub struct Pipelines {
    compiled: RefCell<HashMap<(Kernel, Choice), Rc<Pipeline>>>,
    /// Once it passed its self-test, or while it runs.
    chosen: RefCell<HashMap<Kernel, Rc<Pipeline>>>,
    /// Whether a variant passed its self-test here.
    tested: RefCell<HashMap<(Kernel, Choice), bool>>,
    step_downs: RefCell<Vec<StepDown>>,
    patch: Option<ShaderPatch>,
}

impl Pipelines {
    pub fn new(patch: Option<ShaderPatch>) -> Pipelines {
        Pipelines { patch, ..Pipelines::default() }
    }

    pub fn is_chosen(&self, kernel: Kernel) -> bool {
        self.chosen.borrow().contains_key(&kernel)
    }

    /// # Errors
    /// `gpu.kernel` for one that was not prepared.
    pub fn chosen(&self, kernel: Kernel) -> Result<Rc<Pipeline>> {
        self.chosen.borrow().get(&kernel).cloned().ok_or_else(|| {
            Error::new(
                "gpu.kernel",
                format!("{} was not prepared", kernel.name()),
                "this is a mistake; please report it",
            )
        })
    }

    /// The kernel runs with that variant from now on.
    ///
    /// # Errors
    /// `gpu.shader` when it does not compile.
    pub async fn choose(&self, device: &wgpu::Device, kernel: Kernel, choice: Choice) -> Result<()> {
        let pipeline = self.compile(device, kernel, choice).await?;
        self.chosen.borrow_mut().insert(kernel, pipeline);
        Ok(())
    }

    /// The kernel runs with what it ran with before, if it did.
    pub fn restore(&self, kernel: Kernel, before: Option<Rc<Pipeline>>) {
        let mut chosen = self.chosen.borrow_mut();
        match before {
            Some(pipeline) => chosen.insert(kernel, pipeline),
            None => chosen.remove(&kernel),
        };
    }

    /// What the variant's self-test said, if it ran.
    pub fn tested(&self, kernel: Kernel, choice: Choice) -> Option<bool> {
        self.tested.borrow().get(&(kernel, choice)).copied()
    }

    pub fn passed(&self, kernel: Kernel, choice: Choice) {
        self.tested.borrow_mut().insert((kernel, choice), true);
    }

    /// That variant is not used, for that reason.
    pub fn step_down(&self, kernel: Kernel, choice: Choice, reason: String) {
        self.chosen.borrow_mut().remove(&kernel);
        self.tested.borrow_mut().insert((kernel, choice), false);
        self.step_downs.borrow_mut().push(StepDown { kernel: kernel.name(), choice, reason });
    }

    pub fn step_downs(&self) -> Vec<StepDown> {
        self.step_downs.borrow().clone()
    }

    async fn compile(&self, device: &wgpu::Device, kernel: Kernel, choice: Choice) -> Result<Rc<Pipeline>> {
        if let Some(pipeline) = self.compiled.borrow().get(&(kernel, choice)) {
            return Ok(pipeline.clone());
        }
        let mut shader = source(kernel, choice)?;
        if let Some(patch) = &self.patch {
            shader.wgsl = patch(kernel, choice, shader.wgsl);
        }
        let pipeline = Rc::new(build(device, kernel, choice, shader).await?);
        self.compiled.borrow_mut().insert((kernel, choice), pipeline.clone());
        Ok(pipeline)
    }
}

/// Compiles a shader.
async fn build(device: &wgpu::Device, kernel: Kernel, choice: Choice, shader: Shader) -> Result<Pipeline> {
    let name = kernel.name();
    let failed = |cause: String| {
        Error::new("gpu.shader", format!("{name} does not compile: {cause}"), "a lower tier is used instead")
    };
    #[cfg(target_arch = "wasm32")]
    let warm = crate::web::compile(device, &shader.wgsl, &shader.bindings).await.map_err(failed)?;
    let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let entries: Vec<_> = shader.bindings.iter().enumerate().map(|(i, b)| layout_entry(i as u32, *b)).collect();
    let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries });
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: None,
        bind_group_layouts: &[Some(&layout)],
        immediate_size: 0,
    });
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(&name),
        source: wgpu::ShaderSource::Wgsl(shader.wgsl.as_str().into()),
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(&name),
        layout: Some(&pipeline_layout),
        module: &module,
        entry_point: Some("main"),
        compilation_options: Default::default(),
        cache: None,
    });
    if let Some(error) = scope.pop().await {
        return Err(failed(error.to_string()));
    }
    Ok(Pipeline {
        kernel,
        choice,
        shader,
        pipeline,
        layout,
        #[cfg(target_arch = "wasm32")]
        _warm: warm,
    })
}

fn layout_entry(binding: u32, kind: Binding) -> wgpu::BindGroupLayoutEntry {
    let ty = match kind {
        Binding::Read => wgpu::BufferBindingType::Storage { read_only: true },
        Binding::ReadWrite => wgpu::BufferBindingType::Storage { read_only: false },
        Binding::Uniform => wgpu::BufferBindingType::Uniform,
    };
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
        count: None,
    }
}
