//! `lantern devices`.

use std::collections::BTreeMap;

use lantern_cpu::{Cpu, Mode};
use lantern_gpu::{AdapterReport, Gpu};
use lantern_graph::{Executor, Result};
use serde_json::{Value, json};

use crate::args::Json;
use crate::output;
use crate::races;

pub async fn run(args: &Json) -> Result<()> {
    let kept = races::kept();
    let raced = |a: &AdapterReport| kept.get(&a.caps.race_key()).cloned().unwrap_or_default();
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
                // Which variants won here, as far as kernels were raced.
                "raced": raced(a),
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
        let raced: BTreeMap<_, _> = raced(a).into_iter().collect();
        if !raced.is_empty() {
            let won: Vec<String> = raced.iter().map(|(kernel, choice)| format!("{kernel}={choice}")).collect();
            text += &format!("     won races here: {}\n", won.join(", "));
        }
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
