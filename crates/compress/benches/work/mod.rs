//! What is measured: natively by criterion, in WebAssembly by `cargo xtask bench compress`.

use lantern_compress::distribution::{Distribution, Gaussian, Laplace, StudentT, Table, Uniform};
use lantern_compress::layers::{Entry, compare_file};
use lantern_compress::theory::{BITS, Terms, curve, student_t_crossover};
use lantern_graph::Cancel;
use lantern_weights::{MemorySource, SafeDtype, Safetensors, SafetensorsWriter};
use pollster::block_on;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::hint::black_box;

pub struct Work {
    pub name: String,
    pub run: Box<dyn FnMut()>,
}

/// Tensors of the model, and their rows and columns: thirty million weights.
const TENSORS: usize = 30;
const SIDE: usize = 1000;

/// Aims, in WebAssembly on one core: 10 ms for the curves of one distribution, a second for the layers of a model, at seven
/// widths each.
pub fn all() -> Vec<Work> {
    let mut all = vec![curves("gaussian", || Gaussian), curves("laplace", || Laplace), curves("uniform", || Uniform)];
    for (nu, truncate) in [(2.0, 40.0), (0.7, 1e4), (5.0, f64::INFINITY), (300.0, f64::INFINITY)] {
        // What the distribution itself takes to make counts.
        let name = format!("student-t {nu} to {truncate}");
        all.push(curves(&name, move || StudentT::new(black_box(nu), truncate).unwrap()));
    }
    all.push(Work {
        name: "crossover of student-t 2 at 4 bits".into(),
        run: Box::new(|| {
            black_box(student_t_crossover(black_box(2.0), 4, Terms::default()).unwrap());
        }),
    });
    all.extend([layers("F32", &SafeDtype::F32), layers("F16", &SafeDtype::F16)]);
    all
}

fn curves<D: Distribution>(name: &str, make: impl Fn() -> D + 'static) -> Work {
    let run = move || {
        let distribution = make();
        black_box(curve(&Table::new(&distribution), BITS, Terms::default()).unwrap());
    };
    Work { name: format!("curves of {name}"), run: Box::new(run) }
}

/// A file in memory, so that no disk is measured; read as files are.
fn layers(dtype_name: &str, dtype: &SafeDtype) -> Work {
    let mut rng = SmallRng::seed_from_u64(1);
    // Twelve uniforms make a bell.
    let values: Vec<f32> = (0..SIDE * SIDE).map(|_| (0..12).map(|_| rng.random::<f32>() - 0.5).sum()).collect();
    let mut writer = SafetensorsWriter::new();
    for i in 0..TENSORS {
        writer.tensor_f32(&format!("layer {i}"), &[SIDE, SIDE], dtype, &values).unwrap();
    }
    let source = MemorySource::new(writer.finish());
    let entries = Entry::of_safetensors(&block_on(Safetensors::read(&source)).unwrap());
    let bits: Vec<u32> = BITS.collect();
    let run = move || {
        let (mut progress, cancel) = (|_, _| {}, Cancel::new());
        let compared = compare_file(&source, entries.clone(), &bits, Terms::default(), &mut progress, &cancel);
        assert_eq!(black_box(block_on(compared).unwrap()).layers.len(), TENSORS);
    };
    Work { name: format!("layers of 30 million weights in {dtype_name}"), run: Box::new(run) }
}
