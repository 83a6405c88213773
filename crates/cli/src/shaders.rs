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
                    "name": s.name, "tier": s.tier.name(), "subgroups": s.subgroups, "wgsl": s.wgsl,
                })
            })
            .collect();
        return output::json(&texts);
    }
    let line = |name: &str, tier: &str, lines: usize| format!("{name:<40} {tier:<10} {lines:>4} lines\n");
    output::text(&all.iter().map(|s| line(&s.name, s.tier.name(), s.wgsl.lines().count())).collect::<String>())
}
