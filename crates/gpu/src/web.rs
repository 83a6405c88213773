//! What wgpu's web backend does not offer, asked of the browser's own device: subgroups, the adapter's name, and
//! pipelines compiled without stalling.

use js_sys::{Array, Function, Object, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::caps::Capabilities;
use crate::shader::Binding;

pub(crate) fn get(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap_or(JsValue::UNDEFINED)
}

fn text(object: &JsValue, name: &str) -> String {
    get(object, name).as_string().unwrap_or_default()
}

fn call(object: &JsValue, method: &str, argument: &JsValue) -> Result<JsValue, JsValue> {
    get(object, method).dyn_into::<Function>()?.call1(object, argument)
}

pub(crate) fn raw(device: &wgpu::Device) -> JsValue {
    device.as_webgpu().map_or(JsValue::UNDEFINED, |d| d.clone().into())
}

/// Completes what wgpu could tell. The worker's start-up script asks for `subgroups` where the adapter has them.
pub fn capabilities(mut caps: Capabilities, _: &wgpu::Instance, device: &wgpu::Device) -> Capabilities {
    let device = raw(device);
    let info = get(&device, "adapterInfo");
    let (vendor, architecture) = (text(&info, "vendor"), text(&info, "architecture"));
    let described = [text(&info, "description"), format!("{vendor} {architecture}"), text(&info, "device")];
    if let Some(name) = described.iter().map(|n| n.trim()).find(|n| !n.is_empty()) {
        caps.name = name.to_owned();
    }
    let has = |set: &JsValue, name: &str| call(set, "has", &name.into()).is_ok_and(|v| v.is_truthy());
    caps.is_cpu = architecture.contains("swiftshader") || get(&info, "isFallbackAdapter").is_truthy();
    caps.is_qualcomm = vendor.contains("qualcomm");
    caps.subgroups = has(&get(&device, "features"), "subgroups");
    caps.f16 = has(&get(&device, "features"), "shader-f16");
    let gpu = get(&get(&js_sys::global(), "navigator"), "gpu");
    caps.packed_dot = has(&get(&gpu, "wgslLanguageFeatures"), "packed_4x8_integer_dot_product");
    caps
}

pub(crate) fn object(entries: &[(&str, &JsValue)]) -> JsValue {
    let object = Object::new();
    for (name, value) in entries {
        // Setting a property of a fresh plain object cannot fail.
        let _ = Reflect::set(&object, &(*name).into(), value);
    }
    object.into()
}

/// What JavaScript threw, in words.
pub(crate) fn thrown(error: &JsValue) -> String {
    let told = text(error, "message");
    if told.is_empty() { format!("{error:?}") } else { told }
}

/// Compiles a pipeline in the browser's background and gives a handle to keep: while it lives, creating a pipeline of equal
/// content through wgpu takes from the browser's cache (0.1 to 0.4 ms instead of a stall of up to 2 s at first use).
///
/// # Errors
/// The browser's message when it does not compile.
pub async fn compile(device: &wgpu::Device, wgsl: &str, bindings: &[Binding]) -> Result<JsValue, String> {
    let create = || -> Result<Promise, JsValue> {
        let device = raw(device);
        let entries = Array::new();
        for (i, binding) in bindings.iter().enumerate() {
            let kind = match binding {
                Binding::Read => "read-only-storage",
                Binding::ReadWrite => "storage",
                Binding::Uniform => "uniform",
            };
            let buffer = object(&[("type", &kind.into())]);
            // 4: GPUShaderStage.COMPUTE.
            entries.push(&object(&[("binding", &(i as u32).into()), ("visibility", &4.into()), ("buffer", &buffer)]));
        }
        let group = call(&device, "createBindGroupLayout", &object(&[("entries", &entries)]))?;
        let groups = Array::of1(&group);
        let layout = call(&device, "createPipelineLayout", &object(&[("bindGroupLayouts", &groups)]))?;
        let module = call(&device, "createShaderModule", &object(&[("code", &wgsl.into())]))?;
        let stage = object(&[("module", &module), ("entryPoint", &"main".into())]);
        let descriptor = object(&[("layout", &layout), ("compute", &stage)]);
        call(&device, "createComputePipelineAsync", &descriptor)?.dyn_into::<Promise>()
    };
    let message = |error: JsValue| thrown(&error);
    JsFuture::from(create().map_err(message)?).await.map_err(message)
}
