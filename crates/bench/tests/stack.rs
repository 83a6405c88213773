//! A stack's graph computes what its description says: held to the definition, written out in f64.

use lantern_bench::{Activation, LoadedStack, Stack, graph, parse};
use lantern_cpu::{Cpu, Mode};
use lantern_graph::Cancel;

/// Everything a layer can have, at odd sizes.
const STACK: &str = r#"{
    "name": "all", "about": "", "seed": 11, "input": [5, 7, 6],
    "layers": [
        { "out": 8, "kernel": 3, "activation": "silu" },
        { "group_norm": 4, "out": 8, "kernel": 3, "residual": 1, "activation": "relu" },
        { "out": 8, "kernel": 3, "stride": 2, "groups": 8 },
        { "upsample": 2, "out": 5, "kernel": 1 },
        { "from": 0, "group_norm": 3, "upsample": 3, "out": 4, "kernel": 5, "stride": 2, "groups": 2 }
    ]
}"#;

fn silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

/// The definition, index by index.
fn by_definition(stack: &Stack) -> Vec<f64> {
    let mut parameters = stack.parameters().expect("it fits together").into_iter().map(|p| stack.values(&p));
    let mut next = || parameters.next().expect("one per name");
    let mut values = vec![(stack.input, stack.picture().into_iter().map(f64::from).collect::<Vec<_>>())];
    for (before, layer) in stack.layers.iter().enumerate() {
        let ([h, w, c], mut x) = values[layer.from.unwrap_or(before)].clone();
        if let Some(groups) = layer.group_norm {
            let (weight, bias, each) = (next(), next(), c / groups);
            for group in 0..groups {
                let inside: Vec<usize> = (0..h * w * c).filter(|i| i % c / each == group).collect();
                let mean = inside.iter().map(|&i| x[i]).sum::<f64>() / inside.len() as f64;
                let variance = inside.iter().map(|&i| (x[i] - mean).powi(2)).sum::<f64>() / inside.len() as f64;
                for i in inside {
                    let normed = (x[i] - mean) / (variance + 1e-5).sqrt();
                    x[i] = silu(normed * f64::from(weight[i % c]) + f64::from(bias[i % c]));
                }
            }
        }
        let (filter, bias, half) = (next(), next(), (layer.kernel / 2) as isize);
        let (per_in, per_out) = (c / layer.groups, layer.out / layer.groups);
        let (tall, wide) = (h * layer.upsample, w * layer.upsample);
        let (oh, ow) = (tall.div_ceil(layer.stride), wide.div_ceil(layer.stride));
        let mut y = Vec::new();
        for i in 0..oh * ow * layer.out {
            let (row, column, o) = (i / layer.out / ow, i / layer.out % ow, i % layer.out);
            let mut sum = f64::from(bias[o]);
            for tap in 0..layer.kernel * layer.kernel {
                let at = (row * layer.stride) as isize + (tap / layer.kernel) as isize - half;
                let across = (column * layer.stride) as isize + (tap % layer.kernel) as isize - half;
                if at < 0 || across < 0 || at >= tall as isize || across >= wide as isize {
                    continue;
                }
                let pixel = (at as usize / layer.upsample * w + across as usize / layer.upsample) * c;
                for k in 0..per_in {
                    let factor = filter[(o * layer.kernel * layer.kernel + tap) * per_in + k];
                    sum += f64::from(factor) * x[pixel + o / per_out * per_in + k];
                }
            }
            sum += layer.residual.map_or(0.0, |value| values[value].1[i]);
            y.push(match layer.activation {
                Activation::None => sum,
                Activation::Relu => sum.max(0.0),
                Activation::Silu => silu(sum),
            });
        }
        values.push(([oh, ow, layer.out], y));
    }
    values.pop().expect("the input at least").1
}

#[test]
fn a_stack_computes_what_its_description_says() {
    let whole: Stack = parse(STACK).expect("a stack");
    // Every layer's result in turn is the last.
    for layers in 1..=whole.layers.len() {
        let stack = Stack { layers: whole.layers[..layers].to_vec(), ..whole.clone() };
        let expected = by_definition(&stack);
        let largest = expected.iter().fold(0.0f64, |max, x| max.max(x.abs()));
        for mode in [Mode::Exact, Mode::Fast] {
            let found = pollster::block_on(async {
                let mut loaded = LoadedStack::load(&Cpu::new(mode), &stack, &Cancel::new()).await?;
                loaded.run(stack.picture(), &Cancel::new()).await
            })
            .expect("it runs");
            assert_eq!(found.len(), expected.len());
            // Sums of at most 54 products in f32, through at most four layers.
            for (found, expected) in found.iter().zip(&expected) {
                let apart = (f64::from(*found) - expected).abs() / largest;
                assert!(apart < 1e-5, "{layers} layers, {}: {found}, not {expected}", mode.name());
            }
        }
    }
}

#[test]
fn numbers_come_from_the_seed_alone_and_differ_between_parameters() {
    let stack: Stack = parse(STACK).expect("a stack");
    let parameters = stack.parameters().expect("it fits together");
    let firsts: Vec<f32> = parameters.iter().map(|p| stack.values(p)[0]).collect();
    assert_eq!(firsts, parameters.iter().map(|p| stack.clone().values(p)[0]).collect::<Vec<_>>());
    let other = Stack { seed: 12, ..stack.clone() };
    for (i, parameter) in parameters.iter().enumerate() {
        assert!(firsts[..i].iter().all(|x| *x != firsts[i]), "{} starts as another does", parameter.name);
        assert_ne!(other.values(parameter)[0], firsts[i], "{} does not follow the seed", parameter.name);
    }
}

#[test]
fn text_that_is_no_stack_is_refused() {
    for text in
        ["", "[]", r#"{"name": "x"}"#, &STACK.replace("\"out\": 5", "\"out\": -5"), &STACK.replace("stride", "strife")]
    {
        assert_eq!(parse::<Stack>(text).err().map(|e| e.code), Some("stack.json"), "{text}");
    }
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let stack: Stack = parse(STACK).expect("a stack");
    let broken: [fn(&mut Stack); 6] = [
        |s| s.layers[1].residual = Some(0),
        |s| s.layers[1].residual = Some(2),
        |s| s.layers[0].groups = 4,
        |s| s.layers[0].kernel = 2,
        |s| s.layers[0].stride = 0,
        |s| s.layers[0].from = Some(1),
    ];
    for (number, breaks) in broken.into_iter().enumerate() {
        let mut stack = stack.clone();
        breaks(&mut stack);
        let error = graph(&stack).err().map(|e| e.code);
        assert_eq!(error, Some("stack.shape"), "case {number}");
    }
}
