use lantern_cpu::{Cpu, Mode};
use lantern_gpu::*;
use lantern_graph::*;
use std::rc::Rc;
use std::time::Instant;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let tier: Tier = args[2].parse().unwrap();
    let gpu = pollster::block_on(Gpu::new(
        &GpuOptions { tier: Some(tier), adapter: Some(args[1].clone()), ..Default::default() },
        Rc::new(Cpu::new(Mode::Exact)),
    ))
    .unwrap();
    match args[3].as_str() {
        "prepare" => {
            for k in Kernel::all() {
                if k.name().contains(&args[4]) {
                    let t = Instant::now();
                    eprint!("{} ", k.name());
                    let r = pollster::block_on(gpu.prepare(&[k]));
                    eprintln!("{:.2} s {:?} {:?}", t.elapsed().as_secs_f64(), r.err(), gpu.step_downs());
                }
            }
        }
        "conv" => {
            for (h, w, c, o, k) in [
                (32usize, 32usize, 64usize, 64usize, 3usize),
                (16, 16, 256, 128, 3),
                (32, 32, 128, 128, 1),
                (64, 64, 3, 32, 3),
            ] {
                let mut g = Graph::new();
                let x = g.input("x", [1, h, w, c], DType::F32);
                let wt = g.weight("w", &[o, k, k, c], DType::F32).unwrap();
                let y = g.conv2d(x, wt, Window::same(k), 1).unwrap();
                g.output("y", y);
                let weights = gpu.allocate_weights(&g.weights).unwrap();
                let mut s = gpu.session(&Rc::new(weights));
                let plan = pollster::block_on(s.compile(&g, &Cancel::new())).unwrap();
                let b = Bindings::new(&g, &[]).unwrap();
                let start = Instant::now();
                let now = || start.elapsed().as_secs_f64() * 1e3;
                let mut best = f64::MAX;
                for _ in 0..4 {
                    let t: f64 =
                        pollster::block_on(s.profile(&plan, &b, &[("x", Value::F32(vec![0.5; h * w * c]))], &now))
                            .unwrap()
                            .iter()
                            .sum();
                    best = best.min(t);
                }
                let fl = 2.0 * (h * w * c * o * k * k) as f64;
                println!("{h}x{w}x{c}->{o} k{k}: {best:.1} ms {:.3} GFLOP/s {:?}", fl / best / 1e6, plan.kernels()[0]);
            }
        }
        _ => {}
    }
}
