//! Every shader as text, to be compiled by real browsers in the tests: naga accepts what some of them refuse.

use lantern_graph::Result;

use crate::kernel::{Choice, Kernel};
use crate::pipeline::{source, uses_subgroups};

/// One variant as a browser gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShaderText {
    pub name: String,
    pub choice: Choice,
    pub subgroups: bool,
    pub wgsl: String,
}

/// All variants of all kernels.
///
/// # Errors
/// `gpu.shader` when one does not expand.
pub fn shaders() -> Result<Vec<ShaderText>> {
    let mut texts = Vec::new();
    for kernel in Kernel::all() {
        for choice in kernel.choices() {
            let shader = source(kernel, choice)?;
            let subgroups = uses_subgroups(&shader);
            let enable = if subgroups && !shader.wgsl.starts_with("enable") { "enable subgroups;\n" } else { "" };
            let wgsl = format!("{enable}{}", shader.wgsl);
            texts.push(ShaderText { name: kernel.name(), choice, subgroups, wgsl });
        }
    }
    Ok(texts)
}
