//! What the reader of an error can do here, in a page. The crates below say what helps and name no control: the command line shows
//! the same errors. `crates/cli/src/remedy.rs` is this file's counterpart.

/// By code, instead of the error's own remedy.
pub const WAYS: &[(&str, &str)] = &[
    ("catalogue.damaged", "reload the page"),
    ("chat.keep", "shorten what the model is told first"),
    ("chat.logits", "fetch the model again; if that does not help, add ?device=cpu to this page's address"),
    ("chat.template", "leave empty what the model is told first, or choose another file of this model"),
    ("chat.too_long", "shorten the prompt, begin anew, or let it forget the oldest (finer control)"),
    ("cpu.ceiling", "choose a smaller model or a browser with WebGPU, or leave another demo of this page"),
    ("cpu.memory", "close other tabs, or choose a smaller model or picture"),
    ("frame.canvas", "reload the page"),
    ("frame.too_large", "choose a smaller picture, or add ?device=cpu to this page's address"),
    (
        "gpu.adapter",
        "leave ?device=gpu out of this page's address to use the processor, or update the graphics driver and turn the browser's graphics acceleration on",
    ),
    ("gpu.device", "restart the browser, or add ?device=cpu to this page's address to use the processor"),
    ("gpu.kernel", "add ?device=cpu to this page's address to use the processor, and please report it"),
    ("gpu.lost", "try again; if it is lost again, restart the browser, or add ?device=cpu to this page's address"),
    ("gpu.memory", "close other tabs, choose a smaller model or picture, or add ?device=cpu to this page's address"),
    ("gpu.shader", "leave ?tier= out of this page's address, and please report it"),
    ("gpu.tier", "leave ?tier= out of this page's address"),
    ("gpu.too_large", "choose a smaller model or picture, or add ?device=cpu to this page's address"),
    ("gpu.validation", "add ?device=cpu to this page's address to use the processor, and please report it"),
    ("gpu.variant", "leave ?variant= out of this page's address"),
    ("web.threads", "leave ?threads= out of this page's address, or give a number from 1 to 16"),
    ("gpu.weight", "add ?device=cpu to this page's address to use the processor"),
    ("llama.context", "choose a smaller model"),
];

/// An error's remedy as the page tells it.
pub fn here<'a>(code: &str, remedy: &'a str) -> &'a str {
    let way = WAYS.iter().find(|(of, _)| *of == code);
    way.map_or(remedy, |(_, ours)| ours)
}
