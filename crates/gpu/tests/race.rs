//! Which variant of a kernel runs: the fastest that is right, a remembered one, or the one that was asked for.

mod common;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use common::{adapters_and_tiers, one_device, open};
use lantern_gpu::{Adds, Choice, Format, Gpu, GpuOptions, Kernel, Race, Tier};
use lantern_graph::{Cancel, Class, DType, Executor, Graph, Session};

/// Has variants for `software`, `core` and `subgroups`.
const PRODUCT: Kernel = Kernel::Linear { format: Format::F32, many: false, adds: Adds::NONE, aligned: true };

/// An adapter with subgroups, its name, and which variants of [`PRODUCT`] were timed.
struct Track {
    gpu: Gpu,
    timed: Rc<RefCell<Vec<Choice>>>,
}

/// Every adapter with subgroups, whose variants take so many milliseconds.
fn on_each_adapter(ms: fn(Tier) -> f64, options: impl Fn() -> GpuOptions, test: impl Fn(Track)) {
    let _device = one_device();
    for (adapter, tier) in adapters_and_tiers().into_iter().filter(|(_, tier)| *tier == Tier::Subgroups) {
        let timed = Rc::new(RefCell::new(Vec::new()));
        let note = timed.clone();
        let race = Race::Timed(Rc::new(move |_, choice| {
            note.borrow_mut().push(choice);
            ms(choice.tier)
        }));
        let gpu = open(&GpuOptions { tier: Some(tier), adapter: Some(adapter), race, ..options() }).unwrap();
        test(Track { gpu, timed });
    }
}

/// The tier that a product runs at.
fn tier_of_a_product(gpu: &Gpu) -> Tier {
    let mut graph = Graph::new();
    let x = graph.input("x", [1, 64], DType::F32);
    let w = graph.weight("w", &[32, 64], DType::F32).unwrap();
    let y = graph.linear(x, w).unwrap();
    graph.output("y", y);
    let weights = Rc::new(gpu.allocate_weights(&graph.weights).unwrap());
    let plan = pollster::block_on(gpu.session(Class::Token).compile(&graph, &weights, &Cancel::new())).unwrap();
    plan.kernels()[0].1
}

#[test]
fn the_fastest_variant_wins() {
    let ms = |tier| if tier == Tier::Core { 1.0 } else { 2.0 };
    on_each_adapter(ms, GpuOptions::default, |Track { gpu, timed }| {
        assert_eq!(tier_of_a_product(&gpu), Tier::Core);
        assert_eq!(*timed.borrow(), [Tier::Subgroups, Tier::Core, Tier::Software].map(Choice::from));
        let winner = gpu.winners().into_iter().find(|winner| winner.kernel == PRODUCT.name()).unwrap();
        assert_eq!((winner.choice.as_str(), winner.times.len()), ("core", 3));
    });
}

/// Every kernel that has several variants of one tier, on the adapters that have it.
#[test]
fn a_real_race_times_each_variant_that_is_right() {
    let _device = one_device();
    for (adapter, tier) in adapters_and_tiers() {
        let decided = Rc::new(RefCell::new(0));
        let count = decided.clone();
        let gpu = open(&GpuOptions {
            tier: Some(tier),
            adapter: Some(adapter),
            race: Race::Everywhere,
            decided: Some(Rc::new(move |_| *count.borrow_mut() += 1)),
            ..GpuOptions::default()
        })
        .unwrap();
        let entrants = |kernel: &Kernel| kernel.choices().into_iter().filter(|choice| choice.tier == tier).count();
        let raced: Vec<Kernel> = Kernel::all().into_iter().filter(|kernel| entrants(kernel) > 1).take(1).collect();
        pollster::block_on(gpu.prepare(&raced)).unwrap();
        let winners = gpu.winners();
        assert_eq!((winners.len(), *decided.borrow()), (raced.len(), raced.len()), "{winners:?}");
        for winner in winners {
            assert_eq!(winner.times.len(), entrants(&raced[0]), "{winner:?}");
            assert!(winner.times.iter().all(|(_, ms)| ms.is_finite() && *ms > 0.0), "{winner:?}");
            assert!(winner.times.iter().any(|(choice, _)| *choice == winner.choice), "{winner:?}");
        }
    }
}

#[test]
fn a_difference_that_is_noise_changes_nothing() {
    let ms = |tier| if tier == Tier::Core { 0.98 } else { 1.0 };
    on_each_adapter(ms, GpuOptions::default, |Track { gpu, .. }| {
        assert_eq!(tier_of_a_product(&gpu), Tier::Subgroups);
    });
}

#[test]
fn a_variant_that_is_wrong_never_wins() {
    let ms = |tier| if tier == Tier::Core { 0.001 } else { 2.0 };
    let broken = || {
        let patch = |kernel: Kernel, choice: Choice, wgsl: String| match (kernel, choice.tier) {
            (PRODUCT, Tier::Core) => wgsl.replace("workgroupBarrier();", "").replace("var<workgroup>", "var<private>"),
            _ => wgsl,
        };
        GpuOptions { patch: Some(Rc::new(patch)), ..GpuOptions::default() }
    };
    on_each_adapter(ms, broken, |Track { gpu, timed }| {
        assert_eq!(tier_of_a_product(&gpu), Tier::Subgroups);
        assert!(!timed.borrow().contains(&Tier::Core.into()));
        let downs = gpu.step_downs();
        assert_eq!(downs.iter().map(|down| down.choice).collect::<Vec<_>>(), [Choice::from(Tier::Core)], "{downs:?}");
    });
}

#[test]
fn a_remembered_winner_is_taken_without_a_race() {
    let ms = |tier| if tier == Tier::Core { 1.0 } else { 2.0 };
    on_each_adapter(ms, GpuOptions::default, |Track { gpu, timed }| {
        // Of an older version, too, whose variants are no more.
        let winners = [(PRODUCT.name(), "software".into()), ("gone".into(), "core:gone".into())];
        gpu.remember(&HashMap::from(winners));
        assert_eq!(tier_of_a_product(&gpu), Tier::Software);
        assert!(timed.borrow().is_empty());
    });
}

#[test]
fn a_winner_that_is_no_more_is_raced_again() {
    let ms = |tier| if tier == Tier::Core { 1.0 } else { 2.0 };
    on_each_adapter(ms, GpuOptions::default, |Track { gpu, .. }| {
        gpu.remember(&HashMap::from([(PRODUCT.name(), "core:gone".into())]));
        assert_eq!(tier_of_a_product(&gpu), Tier::Core);
    });
}

#[test]
fn a_variant_that_is_asked_for_is_taken_without_a_race() {
    let asked = || GpuOptions { variants: vec![("gemv".into(), "software".into())], ..GpuOptions::default() };
    on_each_adapter(
        |_| 1.0,
        asked,
        |Track { gpu, timed }| {
            assert_eq!(tier_of_a_product(&gpu), Tier::Software);
            assert!(timed.borrow().is_empty());
        },
    );
}

#[test]
fn software_adapters_race_nothing_by_themselves() {
    let _device = one_device();
    for (adapter, tier) in adapters_and_tiers().into_iter().filter(|(_, tier)| *tier == Tier::Subgroups) {
        let gpu = open(&GpuOptions { tier: Some(tier), adapter: Some(adapter), ..GpuOptions::default() }).unwrap();
        if gpu.capabilities().is_cpu {
            assert_eq!(tier_of_a_product(&gpu), Tier::Subgroups);
            assert_eq!(gpu.winners(), []);
        }
    }
}

#[test]
fn a_variant_that_no_kernel_has_is_refused_with_those_there_are() {
    for (kernel, variant, told) in [("gemv", "core:huge", "core"), ("gemw", "core", "gemm")] {
        let variants = vec![(kernel.to_owned(), variant.to_owned())];
        let error = open(&GpuOptions { variants, ..GpuOptions::default() }).map(|_| ()).unwrap_err();
        assert_eq!(error.code, "gpu.variant");
        assert!(error.remedy.contains(told), "{error}");
    }
}
