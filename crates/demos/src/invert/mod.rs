//! Invert: a picture's negative, by a graph of one operation and without weights. The smallest demo: CONTRIBUTING.md tells of it.

use lantern_graph::{Account, Bindings, Cancel, Class, DType, Dim, Executor, Graph, Result, Session, Value};

use crate::{Picture, Progress, Stage};

/// Numbers that run at once; between them a stop is heard.
const BAND: usize = 1 << 16;

pub struct Inverter<E: Executor> {
    session: E::Session,
    graph: Graph,
    plan: <E::Session as Session>::Plan,
}

impl<E: Executor> Inverter<E> {
    pub async fn new(executor: &E, cancel: &Cancel) -> Result<Self> {
        let mut graph = Graph::new();
        let count = graph.symbol("count", BAND);
        let numbers = graph.input("numbers", [Dim::Symbol(count)], DType::F32);
        let negative = graph.affine(numbers, -1.0, 1.0)?;
        graph.output("negative", negative);
        let mut session = executor.session(Class::Picture);
        let plan = session.compile(&graph, &executor.allocate_weights(&[])?.into(), cancel).await?;
        Ok(Self { session, graph, plan })
    }

    pub fn account(&self) -> &Account {
        self.session.account()
    }

    /// `progress` hears of the numbers that are done.
    pub async fn invert(
        &mut self,
        picture: &Picture,
        progress: &mut dyn FnMut(Progress),
        cancel: &Cancel,
    ) -> Result<Picture> {
        let (mut rgb, total) = (Vec::new(), picture.rgb.len() as u64);
        for band in picture.rgb.chunks(BAND) {
            let bindings = Bindings::new(&self.graph, &[("count", band.len())])?;
            self.session.run(&self.plan, &bindings, &[("numbers", Value::F32(band.to_vec()))], cancel).await?;
            rgb.extend(self.session.read(&self.plan, "negative").await?.into_f32()?);
            progress(Progress { stage: Stage::Run, done: rgb.len() as u64, total });
        }
        Picture::new(picture.width, picture.height, rgb)
    }
}
