//! `lantern shaders`.

use lantern_gpu::shaders;
use lantern_graph::Result;
use serde_json::{Value, json};

use crate::args::Json;
use crate::output;

pub fn run(args: &Json) -> Result<()> {
    let all = shaders()?;
    if args.json {
        let texts: Vec<Value> = all
            .iter()
            .map(|s| {
                json!({
                    "name": s.name, "tier": s.choice.tier.name(), "variant": s.choice.name, "subgroups": s.subgroups, "wgsl": s.wgsl,
                })
            })
            .collect();
        return output::json(&texts);
    }
    let line = |name: &str, tier: &str, lines: usize| format!("{name:<40} {tier:<14} {lines:>4} lines\n");
    output::text(&all.iter().map(|s| line(&s.name, &s.choice.to_string(), s.wgsl.lines().count())).collect::<String>())
}
