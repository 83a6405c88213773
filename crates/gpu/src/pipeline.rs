//! Compiled kernels: made in the background, tested before use, kept for the device's life.

use std::rc::Rc;

use lantern_graph::{Error, Result};

use crate::caps::Tier;
use crate::device::{Gpu, StepDown};
use crate::kernel::Kernel;
use crate::selftest;
use crate::shader::{Binding, Shader};

/// A kernel's variant on this device.
pub struct Pipeline {
    pub kernel: Kernel,
    pub tier: Tier,
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
pub fn source(kernel: Kernel, tier: Tier) -> Result<Shader> {
    let variant = kernel.variant(tier).ok_or_else(|| {
        Error::new("gpu.shader", format!("{} has no variant for {tier}", kernel.name()), "use a lower tier")
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

impl Gpu {
    /// Compiles and tests what is missing of these kernels, each at the best tier that works here.
    ///
    /// # Errors
    /// `gpu.kernel` when a kernel fails at every tier; `gpu.lost`.
    pub async fn prepare(&self, kernels: &[Kernel]) -> Result<()> {
        let missing: Vec<Kernel> =
            kernels.iter().copied().filter(|k| !self.0.chosen.borrow().contains_key(k)).collect();
        for kernel in missing {
            self.choose(kernel).await?;
        }
        Ok(())
    }

    /// The variant a prepared kernel runs with.
    pub(crate) fn chosen(&self, kernel: Kernel) -> Result<Rc<Pipeline>> {
        self.0.chosen.borrow().get(&kernel).cloned().ok_or_else(|| {
            Error::new(
                "gpu.kernel",
                format!("{} was not prepared", kernel.name()),
                "this is a mistake; please report it",
            )
        })
    }

    async fn choose(&self, kernel: Kernel) -> Result<()> {
        let mut reasons = Vec::new();
        for tier in kernel.tiers(self.0.tier, &self.0.caps) {
            let outcome = async {
                for &other in kernel.variant(tier).map_or(&[][..], |variant| variant.with) {
                    let pipeline = self.compile(other, Tier::Software).await?;
                    self.0.chosen.borrow_mut().insert(other, pipeline);
                }
                let pipeline = self.compile(kernel, tier).await?;
                self.0.chosen.borrow_mut().insert(kernel, pipeline);
                selftest::passes(self, kernel).await
            }
            .await;
            match outcome {
                Ok(()) => return Ok(()),
                Err(e) if e.code == "gpu.lost" => return Err(e),
                Err(e) => {
                    self.0.chosen.borrow_mut().remove(&kernel);
                    reasons.push(format!("{tier}: {}", e.cause));
                    let step = StepDown { kernel: kernel.name(), tier, reason: e.cause };
                    self.0.step_downs.borrow_mut().push(step);
                }
            }
        }
        Err(Error::new(
            "gpu.kernel",
            format!("the kernel {} works at no tier here ({})", kernel.name(), reasons.join("; ")),
            "use the processor, or update the graphics driver, and please report it",
        ))
    }

    async fn compile(&self, kernel: Kernel, tier: Tier) -> Result<Rc<Pipeline>> {
        if let Some(pipeline) = self.0.pipelines.borrow().get(&(kernel, tier)) {
            return Ok(pipeline.clone());
        }
        let mut shader = source(kernel, tier)?;
        if let Some(patch) = &self.0.patch {
            shader.wgsl = patch(kernel, tier, shader.wgsl);
        }
        let pipeline = Rc::new(self.build(kernel, tier, shader).await?);
        self.0.pipelines.borrow_mut().insert((kernel, tier), pipeline.clone());
        Ok(pipeline)
    }

    async fn build(&self, kernel: Kernel, tier: Tier, shader: Shader) -> Result<Pipeline> {
        let name = kernel.name();
        let failed = |cause: String| {
            Error::new("gpu.shader", format!("{name} does not compile: {cause}"), "a lower tier is used instead")
        };
        let device = &self.0.device;
        #[cfg(target_arch = "wasm32")]
        let warm = crate::web::compile(device, &shader.wgsl, &shader.bindings).await.map_err(failed)?;
        let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let entries: Vec<_> = shader.bindings.iter().enumerate().map(|(i, b)| layout_entry(i as u32, *b)).collect();
        let layout =
            device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries });
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
            tier,
            shader,
            pipeline,
            layout,
            #[cfg(target_arch = "wasm32")]
            _warm: warm,
        })
    }
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
