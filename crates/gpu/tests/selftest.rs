//! Every kernel at every tier gives the right numbers, and one that does not is stepped down from.

mod common;

use std::rc::Rc;

use common::{Work, adapters_and_tiers, each_adapter_and_tier, one_device, open};
use lantern_gpu::{Adds, Choice, Format, GpuOptions, Kernel, Tier};
use lantern_graph::{DType, Unary, Value};

#[test]
fn every_kernel_passes_its_self_test_at_every_tier() {
    each_adapter_and_tier(|gpu| {
        // What a tier takes from the tier below is tested there.
        let kernels: Vec<Kernel> = Kernel::all().into_iter().filter(|k| k.is_written_for(gpu.tier())).collect();
        pollster::block_on(gpu.prepare(&kernels)).expect("every kernel works at some tier");
        assert_eq!(gpu.step_downs(), [], "at {}", gpu.tier());
    });
}

/// Tiles are the same text whatever the layout and whatever is added: with their first variants, all are tested.
fn stands_for_others(kernel: &Kernel) -> bool {
    let is_one = |format: &Format| [Format::F32, Format::Q4].contains(format);
    match kernel {
        Kernel::Large { format, adds, .. } => is_one(format) && *adds == Adds::NONE,
        Kernel::Split { format, .. } => is_one(format),
        _ => true,
    }
}

#[test]
fn every_named_variant_passes_its_self_test() {
    let _device = one_device();
    for (adapter, tier) in adapters_and_tiers() {
        // One device for each name, which is asked for wherever a kernel has it.
        let named = |kernel: &Kernel| kernel.choices().into_iter().filter(|c| c.tier == tier && !c.name.is_empty());
        let mut kernels: Vec<Kernel> = Kernel::all().into_iter().filter(|kernel| named(kernel).count() > 0).collect();
        kernels.retain(stands_for_others);
        let mut names: Vec<&str> = kernels.iter().flat_map(named).map(|choice| choice.name).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let variants = vec![(String::new(), Choice { tier, name }.to_string())];
            let gpu =
                open(&GpuOptions { adapter: Some(adapter.clone()), tier: Some(tier), variants, ..Default::default() })
                    .unwrap();
            pollster::block_on(gpu.prepare(&kernels)).unwrap();
            assert_eq!(gpu.step_downs(), [], "{tier}:{name}");
        }
    }
}

#[test]
fn a_broken_kernel_steps_down_a_tier_and_says_so() {
    let _device = one_device();
    for (adapter, tier) in adapters_and_tiers().into_iter().filter(|(_, t)| *t == Tier::Core) {
        // A miscompile: right shape, wrong numbers, at this tier only.
        let patch = |kernel: Kernel, choice: Choice, wgsl: String| match (kernel, choice.tier) {
            (Kernel::RmsNorm, Tier::Core) => wgsl.replace("x[base + i] * scale", "x[base + i] * scale * 1.01"),
            _ => wgsl,
        };
        let options =
            GpuOptions { tier: Some(tier), adapter: Some(adapter), patch: Some(Rc::new(patch)), ..Default::default() };
        let gpu = open(&options).unwrap();
        pollster::block_on(gpu.prepare(&[Kernel::RmsNorm, Kernel::Softmax])).unwrap();
        let steps = gpu.step_downs();
        assert_eq!(steps.len(), 1, "{steps:?}");
        assert_eq!((steps[0].kernel.as_str(), steps[0].choice), ("rms_norm", Tier::Core.into()));
    }
}

#[test]
fn a_kernel_that_does_not_compile_steps_down_too() {
    let _device = one_device();
    for (adapter, tier) in adapters_and_tiers().into_iter().filter(|(_, t)| *t == Tier::Core) {
        let patch = |kernel: Kernel, choice: Choice, wgsl: String| match (kernel, choice.tier) {
            (Kernel::Softmax, Tier::Core) => wgsl.replace("exp(", "no_such_function("),
            _ => wgsl,
        };
        let options =
            GpuOptions { tier: Some(tier), adapter: Some(adapter), patch: Some(Rc::new(patch)), ..Default::default() };
        let gpu = open(&options).unwrap();
        pollster::block_on(gpu.prepare(&[Kernel::Softmax])).unwrap();
        assert_eq!(gpu.step_downs().len(), 1);
        assert_eq!(gpu.step_downs()[0].kernel, "softmax");
    }
}

/// Adreno has waves of 128; here a workgroup of two stands for one of 64 on them.
#[test]
fn a_subgroup_wider_than_its_workgroup_skips_nothing() {
    let _device = one_device();
    for (adapter, tier) in adapters_and_tiers().into_iter().filter(|(_, t)| *t == Tier::Subgroups) {
        let patch = |_: Kernel, choice: Choice, wgsl: String| match choice.tier {
            Tier::Subgroups => wgsl.replace("const WG: u32 = 64u;", "const WG: u32 = 2u;"),
            _ => wgsl,
        };
        let options =
            GpuOptions { tier: Some(tier), adapter: Some(adapter), patch: Some(Rc::new(patch)), ..Default::default() };
        let gpu = open(&options).unwrap();
        let kernels: Vec<Kernel> = Kernel::all().into_iter().filter(|k| k.is_written_for(tier)).collect();
        pollster::block_on(gpu.prepare(&kernels)).unwrap();
        assert_eq!(gpu.step_downs(), []);
    }
}

#[test]
fn a_kernel_broken_at_every_tier_is_an_error_that_names_it() {
    let _device = one_device();
    for (adapter, tier) in adapters_and_tiers().into_iter().filter(|(_, t)| *t == Tier::Core) {
        let patch = |kernel: Kernel, _: Choice, wgsl: String| match kernel {
            Kernel::Unary(Unary::Exp) => wgsl.replace("exp(v)", "v"),
            _ => wgsl,
        };
        let options =
            GpuOptions { tier: Some(tier), adapter: Some(adapter), patch: Some(Rc::new(patch)), ..Default::default() };
        let gpu = open(&options).unwrap();
        let mut work = Work::new();
        let x = work.graph.input("x", [4], DType::F32);
        let y = work.graph.unary(Unary::Exp, x).unwrap();
        work.graph.output("y", y);
        work.inputs.push(("x".into(), Value::F32(vec![0.0; 4])));
        let error = work.run(&gpu).unwrap_err();
        assert_eq!(error.code, "gpu.kernel");
        assert!(error.cause.contains("unary_exp"), "{error}");
    }
}
