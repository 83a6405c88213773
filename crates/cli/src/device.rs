//! Opening the device that was asked for.

use std::rc::Rc;

use lantern_cpu::{Cpu, Mode};
use lantern_gpu::{Gpu, GpuOptions, Tier};
use lantern_graph::{Error, Result};

use crate::args::{Device as Args, Kind};
use crate::output::Notes;
use crate::races;

pub enum Device {
    Cpu(Rc<Cpu>),
    Gpu(Rc<Gpu>),
}

/// The reference.
pub fn exact() -> Rc<Cpu> {
    Rc::new(Cpu::new(Mode::Exact))
}

/// # Errors
/// `device.tier` when the device has no such tier, `device.adapter` when the processor is to be a graphics adapter; the
/// GPU's own.
pub async fn open(args: &Args, notes: &mut Notes) -> Result<Device> {
    if let (Kind::Cpu, Some(adapter)) = (args.device, &args.adapter) {
        let cause = format!("--adapter {adapter} names a graphics adapter, and --device cpu asks for the processor");
        return Err(Error::new("device.adapter", cause, "leave one of them out"));
    }
    let tier = args.tier.as_deref();
    let of_gpus = tier.is_some_and(|name| name.parse::<Tier>().is_ok());
    let kind = match args.device {
        // A tier's name, or an adapter's, says which device is meant.
        Kind::Auto if of_gpus || args.adapter.is_some() => Kind::Gpu,
        Kind::Auto if tier.is_none() && Gpu::adapters().await.iter().any(|a| !a.caps.is_cpu) => Kind::Gpu,
        Kind::Auto => Kind::Cpu,
        kind => kind,
    };
    if kind == Kind::Cpu {
        return Ok(Device::Cpu(Rc::new(Cpu::new(cpu_mode(tier)?))));
    }
    let gpu = open_gpu(tier, args.adapter.clone(), &args.variant).await?;
    if gpu.capabilities().is_cpu && args.adapter.is_none() && tier.is_none() {
        let cause = format!("the only GPU here is emulated on the processor ({})", gpu.capabilities().name);
        notes.tell(Error::new("gpu.software", cause, "the processor itself answers faster: --device cpu"));
    }
    Ok(Device::Gpu(gpu))
}

/// # Errors
/// `device.tier` when no GPU has such a tier; the GPU's own.
pub async fn gpu(tier: Option<&str>, adapter: Option<String>) -> Result<Rc<Gpu>> {
    open_gpu(tier, adapter, &[]).await
}

async fn open_gpu(tier: Option<&str>, adapter: Option<String>, variants: &[(String, String)]) -> Result<Rc<Gpu>> {
    let parse = |name: &str| name.parse().map_err(|_| no_tier(name, "a GPU", "software, core, subgroups or dot"));
    let tier = tier.map(parse).transpose()?;
    let options = GpuOptions {
        tier,
        adapter,
        variants: variants.to_vec(),
        decided: Some(Rc::new(races::keep)),
        ..GpuOptions::default()
    };
    let gpu = Rc::new(Gpu::new(&options, exact()).await?);
    races::recall(&gpu);
    Ok(gpu)
}

fn cpu_mode(tier: Option<&str>) -> Result<Mode> {
    match tier {
        None | Some("fast") => Ok(Mode::Fast),
        Some("exact") => Ok(Mode::Exact),
        Some(name) => Err(no_tier(name, "the processor", "exact or fast")),
    }
}

fn no_tier(name: &str, whose: &str, choice: &str) -> Error {
    Error::new("device.tier", format!("{whose} has no tier {name:?}"), format!("give --tier {choice}, or leave it out"))
}
