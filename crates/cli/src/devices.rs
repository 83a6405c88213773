//! `lantern devices`.

use lantern_cpu::{Cpu, Mode};
use lantern_gpu::Gpu;
use lantern_graph::{Executor, Result};
use serde_json::{Value, json};

use crate::args::Json;
use crate::output;

pub async fn run(args: &Json) -> Result<()> {
    let processor = Cpu::new(Mode::Fast).describe();
    let adapters = Gpu::adapters().await;
    if args.json {
        let mut all = vec![json!({
            "device": "cpu",
            "adapter": processor.adapter,
            "tiers": ["exact", "fast"],
            "preferred": "fast",
        })];
        all.extend(adapters.iter().map(|a| {
            json!({
                "device": "gpu",
                "adapter": a.caps.name,
                "backend": a.backend,
                "software": a.caps.is_cpu,
                "tiers": a.tiers.iter().map(|t| t.name()).collect::<Vec<_>>(),
                "preferred": a.preferred.name(),
                "f16": a.caps.f16,
                "subgroups": a.caps.subgroups,
                "packed_dot": a.caps.packed_dot,
                "timestamps": a.caps.timestamps,
                "max_binding_bytes": a.max_binding_bytes,
                "max_buffer_bytes": a.max_buffer_bytes,
            })
        }));
        return output::json(&Value::Array(all));
    }
    let mut text = format!("cpu  {}\n     tiers: exact, fast (preferred)\n", processor.adapter);
    for a in &adapters {
        let tiers: Vec<String> = a
            .tiers
            .iter()
            .map(|t| if *t == a.preferred { format!("{t} (preferred)") } else { t.to_string() })
            .collect();
        let software = if a.caps.is_cpu { ", in software" } else { "" };
        text += &format!("gpu  {} ({}{software})\n     tiers: {}\n", a.caps.name, a.backend, tiers.join(", "));
        let yes = |has: bool| if has { "yes" } else { "no" };
        text += &format!(
            "     f16 arithmetic: {}, subgroups: {}, packed int8 dots: {}, binding limit: {} MiB, buffer limit: {} MiB\n",
            yes(a.caps.f16),
            yes(a.caps.subgroups),
            yes(a.caps.packed_dot),
            a.max_binding_bytes >> 20,
            a.max_buffer_bytes >> 20,
        );
    }
    if adapters.is_empty() {
        text += "no graphics adapter: on Linux, install a Vulkan driver\n";
    }
    output::text(&text)
}
