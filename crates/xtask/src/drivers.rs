//! Vulkan drivers for native GPU tests. A machine with a GPU keeps its own; one without gets the two software drivers
//! that Debian's Chromium and Mesa bring: SwiftShader (no f16, subgroups of 4) and lavapipe (f16, subgroups of 8).

use crate::target_dir;
use anyhow::Result;
use std::path::{Path, PathBuf};

const LAVAPIPE: [&str; 2] =
    ["/usr/share/vulkan/icd.d/lvp_icd.x86_64.json", "/usr/share/vulkan/icd.d/lvp_icd.aarch64.json"];

/// Beside the Chromium binary: Debian, Ubuntu, Fedora, Arch, and Google's own package.
const SWIFTSHADER: [&str; 4] = [
    "/usr/lib/chromium/libvk_swiftshader.so",
    "/usr/lib/chromium-browser/libvk_swiftshader.so",
    "/usr/lib64/chromium-browser/libvk_swiftshader.so",
    "/opt/google/chrome/libvk_swiftshader.so",
];

/// What native GPU tests run on.
pub enum Gpu {
    /// The machine's own, or what the caller has put into `VK_DRIVER_FILES`.
    Own,
    /// A value for `VK_DRIVER_FILES`.
    Software(String),
    /// Nothing, and why.
    None(&'static str),
}

pub fn for_tests() -> Result<Gpu> {
    if own() {
        return Ok(Gpu::Own);
    }
    let mut files = Vec::new();
    if let Some(library) = SWIFTSHADER.iter().map(Path::new).find(|path| path.is_file()) {
        files.push(swiftshader_icd(library)?);
    }
    files.extend(LAVAPIPE.iter().map(PathBuf::from).filter(|path| path.is_file()));
    if files.is_empty() {
        return Ok(Gpu::None("no GPU, and no software Vulkan driver found"));
    }
    Ok(Gpu::Software(files.iter().map(|file| file.to_string_lossy()).collect::<Vec<_>>().join(":")))
}

/// Software GPUs take minutes for what a real one does in seconds: too long for the inner loop.
pub fn for_quick_tests() -> Gpu {
    if own() { Gpu::Own } else { Gpu::None("no GPU here, and --quick leaves the software ones out") }
}

fn own() -> bool {
    std::env::var_os("VK_DRIVER_FILES").is_some() || has_gpu()
}

/// Chromium's own ICD file names its library relatively and for Chromium's loader; this one has the full path.
fn swiftshader_icd(library: &Path) -> Result<PathBuf> {
    let path = target_dir().join("swiftshader_icd.json");
    let icd = serde_json::json!({
        "file_format_version": "1.0.0",
        "ICD": { "library_path": library, "api_version": "1.3.0" }
    });
    std::fs::create_dir_all(target_dir())?;
    std::fs::write(&path, serde_json::to_vec_pretty(&icd)?)?;
    Ok(path)
}

/// A render node or an NVIDIA device file. Elsewhere than on Linux the system's driver is always the one to use.
fn has_gpu() -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    let render_node = std::fs::read_dir("/dev/dri")
        .is_ok_and(|entries| entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("renderD")));
    render_node || Path::new("/dev/nvidia0").exists()
}
