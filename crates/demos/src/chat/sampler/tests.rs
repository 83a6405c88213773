//! The noise, and the ends of the interval. Distributions and devices are in `tests/sampling.rs`.

use super::*;
use crate::chat::GenerateOptions;

#[test]
fn noise_depends_on_seed_and_step_alone_and_fills_the_unit_interval() {
    assert_eq!(uniform(3, 41), uniform(3, 41));
    assert_ne!(uniform(3, 41), uniform(3, 42));
    // Neighbouring seeds share no draw, shifted or not.
    let first: Vec<f64> = (0..64).map(|i| uniform(1, i)).collect();
    assert!((0..64).all(|i| !first.contains(&uniform(2, i))));
    let mean = (0..10_000).map(|i| uniform(0, i)).sum::<f64>() / 10_000.0;
    assert!((mean - 0.5).abs() < 0.01, "{mean}");
    assert!((0..10_000).all(|i| (0.0..1.0).contains(&uniform(u64::MAX, i))));
}

#[test]
fn the_ends_of_the_interval_and_broken_logits() {
    let warm = GenerateOptions { temperature: 1.0, ..GenerateOptions::default() };
    let draw = |logits: &[f32], u: f64| draw_whole(logits.to_vec(), &[], &warm, u);
    let logits = [f32::NEG_INFINITY, 0.0, 0.0, f32::NEG_INFINITY];
    assert_eq!(draw(&logits, 0.0).unwrap(), 1);
    assert_eq!(draw(&logits, 1.0 - f64::EPSILON).unwrap(), 2);
    assert_eq!(draw(&logits, 1.0).unwrap(), 1, "past the end");
    for broken in [[f32::NAN, 0.0], [0.0, f32::NAN], [f32::INFINITY, 0.0], [f32::NEG_INFINITY; 2]] {
        assert_eq!(draw(&broken, 0.5).unwrap_err().code, "chat.logits", "{broken:?}");
    }
    let harsh = GenerateOptions { repeat_penalty: 1e-30, ..warm };
    assert_eq!(draw_whole(vec![1e20, 0.0], &[0], &harsh, 0.5).unwrap_err().code, "chat.repeat_penalty");
}

#[test]
fn cuts_are_where_they_are_said_to_be() {
    let keeps = |logits: &[f32], options: GenerateOptions| -> Vec<u32> {
        let options = GenerateOptions { temperature: 1000.0, ..options };
        let mut kept: Vec<u32> =
            (0..200).map(|i| draw_whole(logits.to_vec(), &[], &options, i as f64 / 200.0).unwrap()).collect();
        kept.dedup();
        kept
    };
    let default = GenerateOptions::default;
    // Probabilities 8, 4, 2, 1, 1 of 16.
    let logits: Vec<f32> = [1.0f32, 8.0, 2.0, 4.0, 1.0].iter().map(|p| p.ln()).collect();
    assert_eq!(keeps(&logits, default()), [1, 3, 2, 0, 4], "of equals the lower id");
    assert_eq!(keeps(&logits, GenerateOptions { top_k: 4, ..default() }), [1, 3, 2, 0]);
    // The one that reaches the share stays, at temperature 1 although the draw's is another.
    assert_eq!(keeps(&logits, GenerateOptions { top_p: 0.49, ..default() }), [1]);
    assert_eq!(keeps(&logits, GenerateOptions { top_p: 0.51, ..default() }), [1, 3]);
    // Of what top-k left: 8 of 12 now.
    assert_eq!(keeps(&logits, GenerateOptions { top_p: 0.6, top_k: 2, ..default() }), [1]);
    assert_eq!(keeps(&logits, GenerateOptions { top_p: 1e-30, ..default() }), [1], "one always stays");
    assert_eq!(keeps(&logits, GenerateOptions { min_p: 0.24, ..default() }), [1, 3, 2]);
    assert_eq!(keeps(&logits, GenerateOptions { min_p: 0.999, ..default() }), [1]);
}

#[test]
fn what_is_no_sampler_is_refused_by_name() {
    let default = GenerateOptions::default;
    let nan = f32::NAN;
    let refused = [nan, -0.1, f32::INFINITY].map(|temperature| GenerateOptions { temperature, ..default() });
    for options in refused {
        assert_eq!(options.check().unwrap_err().code, "chat.temperature");
    }
    for top_p in [0.0, -1.0, 1.01, nan] {
        assert_eq!(GenerateOptions { top_p, ..default() }.check().unwrap_err().code, "chat.top_p");
    }
    for min_p in [-0.1, 1.0, nan] {
        assert_eq!(GenerateOptions { min_p, ..default() }.check().unwrap_err().code, "chat.min_p");
    }
    for repeat_penalty in [0.0, -1.0, nan, f32::INFINITY] {
        let error = GenerateOptions { repeat_penalty, ..default() }.check().unwrap_err();
        assert!(error.code == "chat.repeat_penalty" && error.cause.contains(&repeat_penalty.to_string()), "{error}");
    }
    assert_eq!(GenerateOptions { stop: vec![String::new()], ..default() }.check().unwrap_err().code, "chat.stop");
    let all = GenerateOptions { top_p: 1.0, min_p: 0.0, top_k: usize::MAX, repeat_last_n: usize::MAX, ..default() };
    all.check().unwrap();
}
