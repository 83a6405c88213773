//! One element at a time, with broadcasting.

use lantern_graph::{Activation, Binary, Unary};

use super::layout::{broadcast_strides, walk};

fn map(x: &[f32], out: &mut [f32], f: impl Fn(f32) -> f32) {
    for (out, x) in out.iter_mut().zip(x) {
        *out = f(*x);
    }
}

pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

pub fn unary(op: Unary, x: &[f32], out: &mut [f32]) {
    match op {
        Unary::Exp => map(x, out, f32::exp),
        Unary::Log => map(x, out, f32::ln),
        Unary::Sqrt => map(x, out, f32::sqrt),
        Unary::Rsqrt => map(x, out, |x| 1.0 / x.sqrt()),
        Unary::Recip => map(x, out, |x| 1.0 / x),
        Unary::Sin => map(x, out, f32::sin),
        Unary::Cos => map(x, out, f32::cos),
        Unary::Tanh => map(x, out, f32::tanh),
        Unary::Sigmoid => map(x, out, sigmoid),
        Unary::Relu => map(x, out, |x| x.max(0.0)),
    }
}

pub fn affine(x: &[f32], mul: f32, add: f32, out: &mut [f32]) {
    map(x, out, |x| x * mul + add);
}

/// `start, start + 1, …`
pub fn range(start: usize, out: &mut [f32]) {
    for (i, out) in out.iter_mut().enumerate() {
        *out = (start + i) as f32;
    }
}

/// `silu(gate) · up`.
pub fn swiglu(gate: &[f32], up: &[f32], out: &mut [f32]) {
    for ((out, gate), up) in out.iter_mut().zip(gate).zip(up) {
        *out = gate * sigmoid(*gate) * up;
    }
}

pub fn add_to(out: &mut [f32], x: &[f32]) {
    for (out, x) in out.iter_mut().zip(x) {
        *out += x;
    }
}

/// `activation(out + bias + residual)` in place, for rows as long as the bias.
pub fn finish(out: &mut [f32], bias: Option<&[f32]>, residual: Option<&[f32]>, activation: Option<Activation>) {
    if let Some(bias) = bias.filter(|bias| !bias.is_empty()) {
        out.chunks_exact_mut(bias.len()).for_each(|row| add_to(row, bias));
    }
    if let Some(residual) = residual {
        add_to(out, residual);
    }
    let each = |out: &mut [f32], f: fn(f32) -> f32| out.iter_mut().for_each(|x| *x = f(*x));
    match activation {
        None => {}
        Some(Activation::Relu) => out.iter_mut().for_each(|x| *x = x.max(0.0)),
        Some(Activation::Silu) => each(out, |x| x * sigmoid(x)),
        Some(Activation::Tanh) => each(out, f32::tanh),
        Some(Activation::Sigmoid) => each(out, sigmoid),
    }
}

/// `dims` is the result's shape; both sides are right-aligned to it.
pub fn binary(op: Binary, a: (&[f32], &[usize]), b: (&[f32], &[usize]), dims: &[usize], out: &mut [f32]) {
    let truth = |yes: bool| if yes { 1.0 } else { 0.0 };
    match op {
        Binary::Add => zip(a, b, dims, out, |a, b| a + b),
        Binary::Sub => zip(a, b, dims, out, |a, b| a - b),
        Binary::Mul => zip(a, b, dims, out, |a, b| a * b),
        Binary::Div => zip(a, b, dims, out, |a, b| a / b),
        Binary::Max => zip(a, b, dims, out, |a, b| if a > b { a } else { b }),
        Binary::Greater => zip(a, b, dims, out, |a, b| truth(a > b)),
        Binary::Equal => zip(a, b, dims, out, |a, b| truth(a == b)),
    }
}

fn zip(
    (a, a_dims): (&[f32], &[usize]),
    (b, b_dims): (&[f32], &[usize]),
    dims: &[usize],
    out: &mut [f32],
    f: impl Fn(f32, f32) -> f32,
) {
    let strides = [broadcast_strides(a_dims, dims), broadcast_strides(b_dims, dims)];
    let mut done = 0;
    walk(dims, strides, |len, [a_at, b_at], [a_step, b_step]| {
        let out = &mut out[done..done + len];
        done += len;
        match (a_step, b_step) {
            (1, 1) => {
                for ((out, a), b) in out.iter_mut().zip(&a[a_at..a_at + len]).zip(&b[b_at..b_at + len]) {
                    *out = f(*a, *b);
                }
            }
            (1, 0) => map(&a[a_at..a_at + len], out, |x| f(x, b[b_at])),
            (0, 1) => map(&b[b_at..b_at + len], out, |x| f(a[a_at], x)),
            _ => {
                for (i, out) in out.iter_mut().enumerate() {
                    *out = f(a[a_at + i * a_step], b[b_at + i * b_step]);
                }
            }
        }
    });
}
