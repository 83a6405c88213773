//! A plan taken apart, for people and for scripts: every benchmark of a plan shows it in the same way.

use lantern_gpu::{Operation, Profile};
use serde_json::{Value, json};

/// With what `about` says of the run.
pub fn to_json(profile: &Profile, about: Value) -> Value {
    let operation = |o: &Operation| {
        json!({
            "scope": o.work.scope, "operation": o.work.operation, "shape": o.work.shape, "kernel": o.work.kernel,
            "tier": o.work.variant.tier.name(), "variant": o.work.variant.to_string(), "workgroups": o.work.workgroups, "count": o.count, "us": o.us_each(), "ms": o.ms,
            "share": o.share, "bytes": o.bytes, "flops": o.flops, "bytes_ms": o.bytes_ms, "flops_ms": o.flops_ms,
            "dispatch_ms": o.dispatch_ms, "limit_ms": o.limit_ms(), "of_limit": ratio(o.limit_ms(), o.ms),
        })
    };
    let mut all = json!({
        "clock": profile.clock, "dispatches": profile.dispatches, "ms": profile.ms, "whole_ms": profile.whole_ms,
        "limit_ms": profile.limit_ms(), "of_limit": ratio(profile.limit_ms(), profile.ms),
        "operations": profile.operations.iter().map(operation).collect::<Vec<_>>(),
    });
    for (name, value) in about.as_object().into_iter().flatten() {
        all[name] = value.clone();
    }
    all
}

/// Nothing where there is nothing to divide by: a clock may stand still for a whole dispatch.
fn ratio(a: f64, b: f64) -> Option<f64> {
    (b > 0.0).then(|| a / b)
}

/// A line a kind of operation. The limit is what the adapter would need by its own measured rates.
pub fn to_text(profile: &Profile) -> String {
    let of = |limit, ms| ratio(limit, ms).map_or(String::new(), |share| format!("{:.0}%", share * 100.0));
    let mut text = format!(
        "  {:>9} {:>6} {:>9} {:>6} {:>9} {:>9} {:>9} {:>9} {:>8}  what\n",
        "µs", "count", "ms", "share", "MB", "MFLOP", "groups", "limit ms", "of limit"
    );
    for o in &profile.operations {
        text += &format!(
            "  {:>9.1} {:>6} {:>9.3} {:>5.1}% {:>9.2} {:>9.1} {:>9} {:>9.3} {:>8}  {} {} {:?}: {} ({})\n",
            o.us_each(),
            o.count,
            o.ms,
            o.share * 100.0,
            o.bytes as f64 / 1e6,
            o.flops as f64 / 1e6,
            o.work.workgroups,
            o.limit_ms(),
            of(o.limit_ms(), o.ms),
            o.work.scope,
            o.work.operation,
            o.work.shape,
            o.work.kernel,
            o.work.variant,
        );
    }
    text += &format!(
        "  {:>9} {:>6} {:>9.3} {:>6} {:>9} {:>9} {:>9} {:>9.3} {:>8}  all; {:.3} ms from the first's beginning to the last's end\n",
        "",
        profile.dispatches,
        profile.ms,
        "",
        "",
        "",
        "",
        profile.limit_ms(),
        of(profile.limit_ms(), profile.ms),
        profile.whole_ms,
    );
    text
}
