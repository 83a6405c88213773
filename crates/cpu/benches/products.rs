//! `cargo bench -p lantern-cpu`: a JSON record of the least times; beside WebAssembly, and with the record kept: `cargo xtask bench
//! products`.

mod work;

use std::time::Instant;

const LEAST_RUNS: usize = 9;
const LEAST_MS: f64 = 600.0;

fn main() {
    let mut lines = Vec::new();
    for mut pair in work::all() {
        let (mut before, mut now) = (Vec::new(), Vec::new());
        let start = Instant::now();
        // In turns, so that what else the machine does takes from both.
        while now.len() < LEAST_RUNS || start.elapsed().as_secs_f64() * 1e3 < LEAST_MS {
            for (run, times) in [(&mut pair.before, &mut before), (&mut pair.now, &mut now)] {
                let start = Instant::now();
                std::hint::black_box(run());
                times.push(start.elapsed().as_secs_f64() * 1e3);
            }
        }
        let runs = now.len();
        // What else the machine does only adds to a time.
        let [before, now] = [before, now].map(|times| times.into_iter().fold(f64::INFINITY, f64::min));
        lines.push(format!("  {:?}: {{\"before\": {before}, \"now\": {now}, \"runs\": {runs}}}", pair.name));
    }
    println!("{{\n{}\n}}", lines.join(",\n"));
}
