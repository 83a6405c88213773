//! From a `.wgsl` file to a shader module: includes, conditions, constants, and what the host must know of the text.
//!
//! The host reads binding kinds and workgroup coverage out of the shader, so the two cannot drift apart.
//! - `#include "file.wgsl"`; `#if NAME`, `#else`, `#endif` on defined names; `${NAME}` is the name's value;
//! - `#for i 4` … `#end` stands there four times, with `${i}` from 0 to 3: compilers keep named values in registers, and not what
//!   is indexed in a loop;
//! - `@auto var<…>` gets the next binding of group 0;
//! - `const COVERS_X: u32 = 64u;` says how many results (or rows, or tiles) one workgroup covers in the grid's first
//!   dimension; `COVERS_Y` the second, 1 where absent.

use lantern_graph::{Error, Result};

macro_rules! files {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("kernels/", $name)))),*] };
}

const FILES: &[(&str, &str)] = files![
    "activations.wgsl",
    "argmax_core.wgsl",
    "argmax_software.wgsl",
    "attention_interface.wgsl",
    "attention_join.wgsl",
    "attention_operands.wgsl",
    "attention_pieces.wgsl",
    "attention_row.wgsl",
    "attention_software.wgsl",
    "attention_tiled.wgsl",
    "bench_chain.wgsl",
    "bench_copy.wgsl",
    "bench_fma.wgsl",
    "binary.wgsl",
    "common.wgsl",
    "conv_direct.wgsl",
    "conv_filter.wgsl",
    "conv_transposed.wgsl",
    "copy.wgsl",
    "dense.wgsl",
    "depthwise.wgsl",
    "each.wgsl",
    "frame_difference.wgsl",
    "frame_in.wgsl",
    "frame_interface.wgsl",
    "frame_out.wgsl",
    "gather.wgsl",
    "gemm_core.wgsl",
    "gemm_join.wgsl",
    "gemm_software.wgsl",
    "gemv_core.wgsl",
    "gemv_dot.wgsl",
    "gemv_f32.wgsl",
    "gemv_lanes.wgsl",
    "gemv_software.wgsl",
    "gemv_subgroups.wgsl",
    "group_norm_apply.wgsl",
    "group_norm_fold.wgsl",
    "group_norm_parts.wgsl",
    "half.wgsl",
    "int8.wgsl",
    "int8_group.wgsl",
    "linear_transposed.wgsl",
    "linear_transposed_interface.wgsl",
    "linear_transposed_operands.wgsl",
    "matmul.wgsl",
    "matmul_interface.wgsl",
    "matmul_operands.wgsl",
    "max_pool.wgsl",
    "pack.wgsl",
    "pairs_interface.wgsl",
    "patches.wgsl",
    "product_interface.wgsl",
    "product_tiled.wgsl",
    "quantize.wgsl",
    "range.wgsl",
    "reduce.wgsl",
    "resize_bilinear.wgsl",
    "resize_interface.wgsl",
    "resize_nearest.wgsl",
    "rms_norm_core.wgsl",
    "rms_norm_int8.wgsl",
    "rms_norm_software.wgsl",
    "rope.wgsl",
    "scaled.wgsl",
    "scales.wgsl",
    "scatter_add.wgsl",
    "softmax_core.wgsl",
    "softmax_software.wgsl",
    "swiglu.wgsl",
    "tile_begin.wgsl",
    "tile_end.wgsl",
    "top_k_core.wgsl",
    "top_k_interface.wgsl",
    "top_k_software.wgsl",
    "tree.wgsl",
    "turn.wgsl",
    "unary.wgsl",
    "unpack.wgsl",
    "weight_f16.wgsl",
    "weight_f32.wgsl",
    "weight_packed.wgsl",
    "weight_q4.wgsl",
    "weight_q8.wgsl",
    "window.wgsl",
];

/// A number that changes with the kernels' texts (FNV-1a).
pub fn fingerprint() -> u64 {
    let bytes = FILES.iter().flat_map(|(name, text)| name.bytes().chain(text.bytes()));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// What a binding of group 0 is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Binding {
    Read,
    ReadWrite,
    Uniform,
}

/// A shader's text, ready for a device, and what it says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shader {
    pub wgsl: String,
    pub bindings: Vec<Binding>,
    /// Units of the grid one workgroup covers, per dimension.
    pub covers: [usize; 2],
}

/// Values for `${NAME}`; a defined name also satisfies `#if NAME`.
pub type Defines = Vec<(&'static str, String)>;

impl Shader {
    /// Expands a kernel file, with `common.wgsl` before it.
    ///
    /// # Errors
    /// `gpu.shader` when a file, a name or an `#endif` is missing: a mistake in a kernel, found by the first test that uses it.
    pub fn expand(file: &str, defines: &Defines) -> Result<Shader> {
        let mut lines = Vec::new();
        expand_file("common.wgsl", defines, &mut lines)?;
        expand_file(file, defines, &mut lines)?;
        let mut bindings = Vec::new();
        for line in &mut lines {
            if let Some(rest) = line.strip_prefix("@auto ") {
                bindings.push(if rest.starts_with("var<storage, read_write>") {
                    Binding::ReadWrite
                } else if rest.starts_with("var<storage, read>") {
                    Binding::Read
                } else {
                    Binding::Uniform
                });
                *line = format!("@group(0) @binding({}) {rest}", bindings.len() - 1);
            }
        }
        let covers = |name: &str| -> Option<usize> {
            let prefix = format!("const {name}: u32 = ");
            lines.iter().find_map(|l| l.strip_prefix(&prefix)?.strip_suffix("u;")?.parse().ok())
        };
        let x = covers("COVERS_X").ok_or_else(|| mistake(format!("{file} does not say COVERS_X")))?;
        let y = covers("COVERS_Y").unwrap_or(1);
        Ok(Shader { wgsl: lines.join("\n") + "\n", bindings, covers: [x, y] })
    }
}

fn mistake(cause: String) -> Error {
    Error::new("gpu.shader", cause, "this is a mistake in a kernel; please report it")
}

fn expand_file(file: &str, defines: &Defines, lines: &mut Vec<String>) -> Result<()> {
    let (name, text) =
        FILES.iter().find(|(name, _)| *name == file).ok_or_else(|| mistake(format!("no file {file}")))?;
    expand_lines(name, &text.lines().collect::<Vec<_>>(), defines, lines)
}

fn expand_lines(file: &str, text: &[&'static str], defines: &Defines, lines: &mut Vec<String>) -> Result<()> {
    // Whether each enclosing `#if` takes this branch.
    let mut taken: Vec<bool> = Vec::new();
    let mut next = 0;
    while let Some(line) = text.get(next).copied() {
        next += 1;
        if let Some(name) = line.strip_prefix("#if ") {
            taken.push(defines.iter().any(|(n, _)| *n == name.trim()));
        } else if line == "#else" {
            let branch = taken.last_mut().ok_or_else(|| mistake(format!("{file}: #else without #if")))?;
            *branch = !*branch;
        } else if line == "#endif" {
            taken.pop().ok_or_else(|| mistake(format!("{file}: #endif without #if")))?;
        } else if !taken.iter().all(|t| *t) {
            continue;
        } else if let Some(head) = line.strip_prefix("#for ") {
            let end = end_of(&text[next..]).ok_or_else(|| mistake(format!("{file}: #for without #end")))?;
            let (name, count) = head.split_once(' ').unwrap_or((head, ""));
            let count: usize =
                substitute(count, defines).parse().map_err(|_| mistake(format!("{file}: {line:?} has no number")))?;
            for i in 0..count {
                let mut inner = defines.clone();
                inner.push((name, i.to_string()));
                expand_lines(file, &text[next..next + end], &inner, lines)?;
            }
            next += end + 1;
        } else {
            let line = substitute(line, defines);
            match line.strip_prefix("#include \"").and_then(|rest| rest.strip_suffix('"')) {
                Some(included) => expand_file(included, defines, lines)?,
                None if line.contains("${") => return Err(mistake(format!("{file}: undefined name in {line:?}"))),
                None => lines.push(line),
            }
        }
    }
    if taken.is_empty() { Ok(()) } else { Err(mistake(format!("{file}: #if without #endif"))) }
}

/// Where the `#end` of a `#for` stands in what follows it.
fn end_of(text: &[&str]) -> Option<usize> {
    let mut open = 1;
    text.iter().position(|line| {
        open += usize::from(line.starts_with("#for "));
        open -= usize::from(*line == "#end");
        open == 0
    })
}

fn substitute(line: &str, defines: &Defines) -> String {
    let mut line = line.to_owned();
    for (name, value) in defines {
        line = line.replace(&format!("${{{name}}}"), value);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bindings_and_coverage_come_from_the_text() {
        let shader = Shader::expand("unary.wgsl", &vec![("EXPRESSION", "exp(v)".into())]).unwrap();
        assert_eq!(shader.bindings, [Binding::Read, Binding::ReadWrite, Binding::Uniform]);
        assert_eq!(shader.covers, [64, 1]);
        assert!(shader.wgsl.contains("y[i] = exp(v);"), "{}", shader.wgsl);
        assert!(!shader.wgsl.contains("@auto"));
    }

    #[test]
    fn an_undefined_name_is_told() {
        let error = Shader::expand("unary.wgsl", &Vec::new()).unwrap_err();
        assert_eq!(error.code, "gpu.shader");
    }

    #[test]
    fn lines_are_repeated_with_their_numbers() {
        let text = ["#for i ${N}", "a${i}", "#for j 2", "#if X", "b${i}${j}", "#endif", "#end", "#end", "c"];
        let expanded = |defines: Defines| {
            let mut lines = Vec::new();
            expand_lines("test", &text, &defines, &mut lines).map(|()| lines.join(" "))
        };
        let n = |n: &str| ("N", n.to_owned());
        assert_eq!(expanded(vec![n("2"), ("X", String::new())]).unwrap(), "a0 b00 b01 a1 b10 b11 c");
        assert_eq!(expanded(vec![n("1")]).unwrap(), "a0 c");
        assert!(expanded(vec![n("many")]).unwrap_err().cause.contains("no number"));
    }

    #[test]
    fn conditions_choose_a_branch() {
        let aligned = vec![
            ("FORMAT", "f32".into()),
            ("ALIGNED", String::new()),
            ("INTERFACE", "product".into()),
            ("DOTS", String::new()),
        ];
        let shader = Shader::expand("gemv_software.wgsl", &aligned).unwrap();
        assert!(!shader.wgsl.contains("x_or_zero") && !shader.wgsl.contains("residual["));
    }
}
