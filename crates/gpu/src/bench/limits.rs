//! What an adapter can do at all: what kernels and whole plans are held against.

use lantern_graph::{Class, Error, Executor, Result};

use super::{BenchOptions, median};
use crate::device::Gpu;
use crate::kernel::Kernel;
use crate::memory::Buffer;

/// What kernels are held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Bytes read and written.
    pub copy_gb_per_s: f64,
    /// Multiplications and additions in registers, in f32.
    pub fma_gflop_per_s: f64,
    /// Milliseconds that a dispatch takes which has next to nothing to do and waits for the one before it.
    pub dispatch_ms: f64,
}

/// Bytes that are copied on a real GPU, the rest of the adapter allowing: beyond all caches; the best counts.
const COPIED_BYTES: [u64; 2] = [256 << 20, 1 << 30];

/// Dispatches of the shorter of two chains; the longer has twice as many.
const CHAIN: usize = 256;

/// Measures what this adapter can do at all.
///
/// # Errors
/// `gpu.clock` when a run took no measurable time; `gpu.lost`.
pub async fn limits(gpu: &Gpu, options: &BenchOptions, now_ms: &dyn Fn() -> f64) -> Result<Limits> {
    let is_cpu = gpu.capabilities().is_cpu;
    let most = gpu.0.binding_limit.min(gpu.0.buffer_limit);
    let sizes = if is_cpu { vec![options.working_set_bytes / 2] } else { COPIED_BYTES.to_vec() };
    let mut copy_gb_per_s: f64 = 0.0;
    for size in sizes {
        match copy(gpu, size.min(most) / 16 * 16, options.runs, now_ms).await {
            Ok(rate) => copy_gb_per_s = copy_gb_per_s.max(rate),
            // A card with less memory is measured with less.
            Err(error) if error.code == "gpu.memory" && copy_gb_per_s > 0.0 => {
                gpu.take_trouble();
            }
            Err(error) => return Err(error),
        }
    }
    let invocations = if is_cpu { 4096 } else { 1 << 18 };
    let steps = 512u64;
    let out = gpu.buffer("out", invocations * 4, STORAGE);
    let numbers = [invocations as u32, steps as u32, 0.5f32.to_bits()];
    let fma = Raw::new(gpu, Kernel::Arithmetic, &[&out], &numbers).await?;
    let fma_ms = fma.ms(gpu, (invocations, 1), options.runs, now_ms).await?;
    Ok(Limits {
        copy_gb_per_s,
        fma_gflop_per_s: (invocations * steps * 64) as f64 / fma_ms / 1e6,
        dispatch_ms: dependent_dispatch(gpu, options.runs, now_ms).await?,
    })
}

const STORAGE: wgpu::BufferUsages = wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_SRC);

/// GB/s of so many bytes from one buffer to another, read and written.
async fn copy(gpu: &Gpu, bytes: u64, runs: usize, now_ms: &dyn Fn() -> f64) -> Result<f64> {
    gpu.check_memory("the copy", 2 * bytes)?;
    let (from, to) = (gpu.buffer("from", bytes, STORAGE), gpu.buffer("to", bytes, STORAGE));
    gpu.check()?;
    let raw = Raw::new(gpu, Kernel::Bandwidth, &[&from, &to], &[(bytes / 16) as u32]).await?;
    let ms = raw.ms(gpu, (bytes / 16, 1), runs, now_ms).await?;
    Ok(2.0 * bytes as f64 / ms / 1e6)
}

/// What each dispatch more adds to a chain of them, each of which reads what the one before it wrote.
async fn dependent_dispatch(gpu: &Gpu, runs: usize, now_ms: &dyn Fn() -> f64) -> Result<f64> {
    let buffer = gpu.buffer("chain", 64 * 4, STORAGE);
    let chain = Raw::new(gpu, Kernel::Chain, &[&buffer], &[64]).await?;
    let short = chain.ms(gpu, (64, CHAIN), runs, now_ms).await?;
    let long = chain.ms(gpu, (64, 2 * CHAIN), runs, now_ms).await?;
    // On a machine that does something else meanwhile, the whole tells more than the difference.
    let all = long / (2 * CHAIN) as f64;
    let added = (long - short) / CHAIN as f64;
    Ok(if added > 0.0 { added.min(all) } else { all })
}

/// A kernel that no graph has, and what it is bound to.
struct Raw {
    kernel: Kernel,
    bind_group: wgpu::BindGroup,
    _numbers: Buffer,
}

impl Raw {
    async fn new(gpu: &Gpu, kernel: Kernel, buffers: &[&Buffer], numbers: &[u32]) -> Result<Raw> {
        gpu.prepare(&[kernel]).await?;
        let uniform = gpu.buffer("params", 256, wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST);
        gpu.0.queue.write_buffer(&uniform, 0, bytemuck::cast_slice(numbers));
        let bound: Vec<&Buffer> = buffers.iter().copied().chain([&uniform]).collect();
        let entries: Vec<_> = bound
            .iter()
            .enumerate()
            .map(|(i, b)| wgpu::BindGroupEntry { binding: i as u32, resource: b.as_entire_binding() })
            .collect();
        let bind_group = gpu.0.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &gpu.chosen(kernel)?.layout,
            entries: &entries,
        });
        Ok(Raw { kernel, bind_group, _numbers: uniform })
    }

    /// Median milliseconds of `times` dispatches behind each other, of so many units each.
    async fn ms(&self, gpu: &Gpu, (units, times): (u64, usize), runs: usize, now_ms: &dyn Fn() -> f64) -> Result<f64> {
        let pipeline = gpu.chosen(self.kernel)?;
        let workgroups = (units as usize).div_ceil(pipeline.shader.covers[0]);
        let mut session = gpu.session(Class::Picture);
        let mut taken = Vec::new();
        for run in 0..=runs {
            let ms = session.time_dispatches(&pipeline.pipeline, &self.bind_group, (workgroups, times), now_ms).await?;
            // The first run warms up.
            if run > 0 {
                taken.push(ms);
            }
        }
        let ms = median(&taken);
        if ms > 0.0 {
            return Ok(ms);
        }
        Err(Error::new(
            "gpu.clock",
            format!("{} took no measurable time", self.kernel.name()),
            "measure with a larger working set",
        ))
    }
}
