//! A race instead of a guess: a kernel's variants are timed on the visitor's own card, and the fastest is taken.
//!
//! Only variants that passed their self-test are timed, on work as large as models have, in a small budget of time, by the
//! host's clock: enabling timestamp queries alone has slowed a browser's device down. Winners are remembered by the edges, under
//! a key that changes with the adapter, its driver and the kernels' texts. Nothing is raced on a software adapter: its order of
//! variants was measured.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use lantern_graph::{Bindings, Class, Error, Executor, Result};

use crate::caps::{Capabilities, Tier};
use crate::device::{Gpu, GpuOptions};
use crate::kernel::{Build, Choice, Kernel};
use crate::selftest::Builder;
use crate::shader;

/// No race begins once a device's races took that long together.
const BUDGET_MS: f64 = 150.0;

/// One measurement takes about that long: over the resolution of a page's clock many times.
const BATCH_MS: f64 = 3.0;

/// Runs in one measurement, at most.
const MOST_RUNS: f64 = 64.0;

/// Variants of one race.
const ENTRANTS: usize = 4;

/// A variant takes the first one's place where it needs less than this share of its time: less is noise.
const FASTER: f64 = 0.97;

/// Where variants are raced.
#[derive(Clone, Default)]
pub enum Race {
    /// On real graphics cards.
    #[default]
    OnGpus,
    Never,
    /// On software adapters too.
    Everywhere,
    /// On any adapter, among all variants, with milliseconds from elsewhere: how the tests know who wins.
    Timed(Rc<dyn Fn(Kernel, Choice) -> f64>),
}

/// Told of a race that was decided: [`Gpu::winners`] has news that are worth keeping.
pub type Decided = Rc<dyn Fn(&Gpu)>;

/// Why a kernel begins with another variant than the first, or that it does not.
#[derive(Debug, Clone, PartialEq)]
pub struct Winner {
    pub kernel: String,
    /// As [`Choice`] prints it.
    pub choice: String,
    /// Milliseconds of each that ran; empty where it was remembered.
    pub times: Vec<(String, f64)>,
}

/// What a device knows of its races.
pub(crate) struct Races {
    race: Race,
    /// Part of a kernel's name, and a variant.
    asked: Vec<(String, String)>,
    left_ms: Cell<f64>,
    decided: Option<Decided>,
    winners: RefCell<BTreeMap<String, Winner>>,
}

impl Races {
    /// # Errors
    /// `gpu.variant` where no kernel has what is asked for.
    pub fn new(options: &GpuOptions) -> Result<Races> {
        let asked = &options.variants;
        for (name, variant) in asked {
            let of_that_name = || Kernel::all().into_iter().filter(|kernel| kernel.name().contains(name.as_str()));
            let has = |kernel: Kernel| kernel.choices().iter().any(|choice| choice.to_string() == *variant);
            if !of_that_name().any(has) {
                let mut there: Vec<String> = of_that_name().flat_map(Kernel::choices).map(|c| c.to_string()).collect();
                there.sort();
                there.dedup();
                let (cause, remedy) = match there.is_empty() {
                    true => {
                        (format!("no kernel's name has {name:?} in it"), "give gemv, gemm, conv or attention".into())
                    }
                    false => (
                        format!("no kernel called {name:?} has a variant {variant:?}"),
                        format!("give one of {}", there.join(", ")),
                    ),
                };
                return Err(Error::new("gpu.variant", cause, remedy));
            }
        }
        Ok(Races {
            race: options.race.clone(),
            asked: asked.clone(),
            left_ms: Cell::new(BUDGET_MS),
            decided: options.decided.clone(),
            winners: RefCell::default(),
        })
    }

    fn asked(&self, kernel: Kernel, choices: &[Choice]) -> Option<Choice> {
        let name = kernel.name();
        let mut fitting = self.asked.iter().rev().filter(|(part, _)| name.contains(part.as_str()));
        fitting.find_map(|(_, variant)| named(variant, choices))
    }

    fn known(&self, kernel: Kernel, choices: &[Choice]) -> Option<Choice> {
        named(&self.winners.borrow().get(&kernel.name())?.choice, choices)
    }

    /// Which of the variants is the fastest, the first where none is clearly faster.
    fn decide(&self, kernel: Kernel, times: &[(Choice, f64)]) -> Option<Choice> {
        let (first, first_ms) = *times.first()?;
        let &(best, ms) = times.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
        let choice = if ms < first_ms * FASTER { best } else { first };
        let times = times.iter().map(|(choice, ms)| (choice.to_string(), *ms)).collect();
        let winner = Winner { kernel: kernel.name(), choice: choice.to_string(), times };
        self.winners.borrow_mut().insert(kernel.name(), winner);
        Some(choice)
    }
}

/// The variant that prints so.
fn named(text: &str, choices: &[Choice]) -> Option<Choice> {
    choices.iter().copied().find(|choice| choice.to_string() == text)
}

impl Capabilities {
    /// What winners hold for: this adapter, its driver, and these texts of the kernels.
    pub fn race_key(&self) -> String {
        format!("{} / {} / {:016x}", self.name, self.driver, shader::fingerprint())
    }
}

impl Gpu {
    /// As [`Capabilities::race_key`].
    pub fn race_key(&self) -> String {
        self.0.caps.race_key()
    }

    /// Winners of an earlier time, by kernel: they are not raced again. Names that there are no more are passed over.
    pub fn remember(&self, winners: &HashMap<String, String>) {
        let mut known = self.0.races.winners.borrow_mut();
        for (kernel, choice) in winners {
            let winner = Winner { kernel: kernel.clone(), choice: choice.clone(), times: Vec::new() };
            known.insert(kernel.clone(), winner);
        }
    }

    /// The outcomes of races, this time's and remembered ones.
    pub fn winners(&self) -> Vec<Winner> {
        self.0.races.winners.borrow().values().cloned().collect()
    }

    /// Which of its variants a kernel should begin with; `None` for the first.
    ///
    /// # Errors
    /// `gpu.lost`.
    pub(crate) async fn fastest(&self, kernel: Kernel, choices: &[Choice]) -> Result<Option<Choice>> {
        let (races, raced_as) = (&self.0.races, kernel.raced_as());
        if let Some(choice) = races.asked(kernel, choices).or_else(|| races.known(raced_as, choices)) {
            return Ok(Some(choice));
        }
        let entrants = self.entrants(choices);
        let Some(trial) = raced_as.trial(self.0.caps.is_cpu).filter(|_| entrants.len() > 1) else { return Ok(None) };
        let mut passed = Vec::new();
        for choice in entrants {
            if self.is_right(raced_as, choice).await? {
                passed.push(choice);
            }
        }
        let times = match &races.race {
            Race::Never => return Ok(None),
            Race::Timed(ms) => passed.into_iter().map(|choice| (choice, ms(raced_as, choice))).collect(),
            Race::OnGpus | Race::Everywhere => match self.run(raced_as, trial, passed).await {
                Err(error) if error.code == "gpu.lost" => return Err(error),
                // A card without the memory for a trial runs as it would without races.
                Err(_) => return Ok(None),
                Ok(times) => times,
            },
        };
        let choice = races.decide(raced_as, &times);
        if let Some(tell) = &races.decided {
            tell(self);
        }
        Ok(choice)
    }

    /// Who takes part: nobody on software adapters, and where a tier was asked for only that tier's.
    fn entrants(&self, choices: &[Choice]) -> Vec<Choice> {
        let races = &self.0.races;
        let on = match races.race {
            Race::Never => false,
            Race::OnGpus => !self.0.caps.is_cpu,
            Race::Everywhere | Race::Timed(_) => true,
        } && races.left_ms.get() > 0.0;
        let Some(first) = choices.first().filter(|_| on) else { return Vec::new() };
        let takes_part = |choice: &Choice| match races.race {
            Race::Timed(_) => true,
            _ if self.0.tier_is_asked => choice.tier == first.tier,
            _ => choice.tier != Tier::Software,
        };
        choices.iter().copied().filter(takes_part).take(ENTRANTS).collect()
    }

    /// Times them in turns; the better of two times counts for each.
    async fn run(&self, kernel: Kernel, trial: Build, entrants: Vec<Choice>) -> Result<Vec<(Choice, f64)>> {
        let races = &self.0.races;
        let now_ms = || self.queue().now_ms();
        let start = now_ms();
        let work = Builder::make(&trial)?;
        let bindings = Bindings::new(&work.graph, &[])?;
        let weights = self.allocate_weights(&work.graph.weights)?;
        for (name, bytes) in &work.weights {
            weights.write_rows(self, name, 0, bytes)?;
        }
        let (weights, mut session) = (Rc::new(weights), self.session(Class::Token));
        let mut plans = Vec::new();
        for choice in entrants {
            self.0.pipelines.choose(&self.0.device, kernel, choice).await?;
            plans.push((choice, session.record_as_it_is(&work.graph, &weights, kernel)?));
        }
        let mut times: Vec<(Choice, f64)> = plans.iter().map(|(choice, _)| (*choice, f64::INFINITY)).collect();
        let mut runs = vec![1; plans.len()];
        // The first round warms up, and says how many runs make a batch.
        for round in 0..3 {
            for (i, (_, plan)) in plans.iter().enumerate() {
                let ms = session.time_runs(plan, &bindings, &work.inputs, runs[i]).await?;
                let each = ms / f64::from(runs[i]);
                match round {
                    0 => runs[i] = (BATCH_MS / each).clamp(1.0, MOST_RUNS) as u32,
                    _ => times[i].1 = times[i].1.min(each),
                }
            }
        }
        races.left_ms.set(races.left_ms.get() - (now_ms() - start));
        // A clock that stands still decides nothing.
        times.retain(|(_, ms)| *ms > 0.0);
        Ok(times)
    }
}
