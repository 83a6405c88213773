//! Invert: pixels in, pixels out. The smallest demo: CONTRIBUTING.md tells of it.

use std::rc::Rc;

use lantern_demos::invert::Inverter;
use lantern_graph::{Account, Executor, Result};
use wasm_bindgen::JsValue;

use crate::contract::{Loaded, Loading, Model, Reply, Session, known};
use crate::picture;
use crate::port::Port;

/// It has no weights: what its sessions share is the executor alone.
struct Invert<E>(Rc<E>);

pub async fn load<E: Executor>(loading: Loading<'_, E>) -> Result<Loaded> {
    Ok(Loaded::new(Invert(loading.executor.clone()), JsValue::NULL, None))
}

impl<E: Executor> Model for Invert<E> {
    type Session = Inverter<E>;

    async fn open(self: &Rc<Self>, port: &Port) -> Result<Inverter<E>> {
        Inverter::new(&*self.0, port.cancel()).await
    }
}

impl<E: Executor> Session for Inverter<E> {
    fn account(&self) -> &Account {
        self.account()
    }

    async fn request(&mut self, kind: &str, payload: &JsValue, port: &Port) -> Result<Reply> {
        known(kind, &["invert"])?;
        let negative = self.invert(&picture::read(payload)?, &mut port.teller(), port.cancel()).await?;
        Ok(picture::reply([negative.width, negative.height], &negative.to_rgba8(), &[]))
    }
}
