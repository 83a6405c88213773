//! Letting the Worker hear its messages while the processor computes.

use js_sys::{Function, Promise};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;
use web_sys::MessageChannel;

/// Resolves after a turn of the event loop, behind the messages that wait already. A promise alone would not do: its
/// callbacks run before the next message is heard. A timer would wait 4 ms each time.
pub async fn turn() {
    let Ok(channel) = MessageChannel::new() else { return };
    let (here, there) = (channel.port1(), channel.port2());
    let promise = Promise::new(&mut |resolve: Function, _| {
        here.set_onmessage(Some(&resolve));
        if there.post_message(&JsValue::NULL).is_err() {
            // Then nothing will come: go on at once.
            let _ = resolve.call0(&JsValue::UNDEFINED);
        }
    });
    let _ = JsFuture::from(promise).await;
    here.close();
}
