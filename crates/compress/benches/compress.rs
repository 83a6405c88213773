//! `cargo bench -p lantern-compress`; beside WebAssembly, and with a record kept: `cargo xtask bench compress`.

mod work;

use criterion::{Criterion, criterion_group, criterion_main};

fn all(c: &mut Criterion) {
    let mut group = c.benchmark_group("compress");
    // Of up to half a second each.
    group.sample_size(20);
    for mut work in work::all() {
        group.bench_function(work.name.clone(), |b| b.iter(&mut work.run));
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
