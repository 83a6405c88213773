//! How long an exact search may look.

/// What ends a search that has not come to its end.
#[derive(Clone, Copy)]
pub struct Limit<'a> {
    /// Partial solutions looked at.
    pub nodes: u64,
    pub seconds: f64,
    /// Seconds since whenever: this crate has no clock of its own.
    pub clock: &'a dyn Fn() -> f64,
}

impl Limit<'_> {
    /// So many partial solutions, however long it takes.
    pub fn nodes(nodes: u64) -> Self {
        Self { nodes, seconds: f64::INFINITY, clock: &|| 0.0 }
    }
}

/// Partial solutions between two looks at the clock: milliseconds at most.
const LOOK_EVERY: u64 = 256;

/// What a search has spent.
pub(super) struct Meter<'a> {
    limit: Limit<'a>,
    end: f64,
    pub nodes: u64,
    is_over: bool,
}

impl<'a> Meter<'a> {
    pub fn new(limit: Limit<'a>) -> Self {
        Self { limit, end: (limit.clock)() + limit.seconds, nodes: 0, is_over: false }
    }

    /// Whether one more may be looked at; once `false`, always.
    pub fn spend(&mut self) -> bool {
        let is_late = self.nodes.is_multiple_of(LOOK_EVERY) && (self.limit.clock)() >= self.end;
        self.is_over = self.is_over || self.nodes >= self.limit.nodes || is_late;
        self.nodes += u64::from(!self.is_over);
        !self.is_over
    }
}
