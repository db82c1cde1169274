//! One search of one model, and what it found.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::hash::Hash;
use std::time::Duration;

use clap::ValueEnum;
use stateright::report::{ReportData, ReportDiscovery, Reporter};
use stateright::{Checker, Expectation, HasDiscoveries, Model};

/// How much is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Size {
    /// What CI affords.
    Small,
    /// On request: minutes, and some GB of memory.
    Large,
}

/// How far a search goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// All states, on so many threads.
    Exhaustive { threads: usize },
    /// Breadth first to the first property that does not hold: the counterexample is a shortest one.
    ToFirstFault,
}

/// What a search found.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// States met for the first time.
    pub states: usize,
    /// Steps taken, those to known states too.
    pub steps: usize,
    pub depth: usize,
    pub took: Duration,
    /// A property that does not hold, and the steps to where it does not.
    pub fault: Option<Fault>,
    /// What should be reachable and was not met.
    pub unmet: Vec<&'static str>,
}

#[derive(Clone, Debug)]
pub struct Fault {
    pub property: &'static str,
    pub steps: Vec<String>,
}

impl Verdict {
    /// Every property holds, and the model is not vacuous.
    pub fn is_good(&self) -> bool {
        self.fault.is_none() && self.unmet.is_empty()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (states, steps, depth) = (self.states, self.steps, self.depth);
        let seconds = self.took.as_secs_f64();
        write!(
            out,
            "{states} states, {steps} steps, depth {depth}, {seconds:.1} s: "
        )?;
        match &self.fault {
            Some(fault) => {
                let steps = fault.steps.len();
                write!(out, "NOT TRUE after {steps} steps: {}", fault.property)?;
                fault
                    .steps
                    .iter()
                    .try_for_each(|step| write!(out, "\n    {step}"))
            }
            None if self.unmet.is_empty() => write!(out, "holds"),
            None => write!(out, "never reached: {}", self.unmet.join("; ")),
        }
    }
}

/// Searches, and waits for the end of it.
pub fn search<M>(model: M, search: Search) -> Verdict
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq + Send + Sync,
{
    let expected: Vec<(Expectation, &'static str)> = model
        .properties()
        .into_iter()
        .map(|property| (property.expectation, property.name))
        .collect();
    let checker = model.checker().finish_when(HasDiscoveries::AnyFailures);
    let mut record = Record::default();
    match search {
        Search::Exhaustive { threads } => {
            checker
                .threads(threads)
                .spawn_bfs()
                .join_and_report(&mut record);
        }
        Search::ToFirstFault => {
            checker.spawn_bfs().join_and_report(&mut record);
        }
    }
    record.into_verdict(&expected)
}

/// What the checker reports at its end.
#[derive(Default)]
struct Record {
    verdict: Verdict,
    met: BTreeMap<&'static str, Vec<String>>,
}

impl Record {
    fn into_verdict(self, expected: &[(Expectation, &'static str)]) -> Verdict {
        let mut verdict = self.verdict;
        for (expectation, name) in expected {
            match (expectation, self.met.get(name)) {
                (Expectation::Sometimes, None) => verdict.unmet.push(name),
                (Expectation::Sometimes, Some(_)) | (_, None) => {}
                (_, Some(steps)) => {
                    let steps = steps.clone();
                    verdict.fault.get_or_insert(Fault {
                        property: name,
                        steps,
                    });
                }
            }
        }
        verdict
    }
}

impl<M: Model> Reporter<M> for Record {
    fn report_checking(&mut self, data: ReportData) {
        self.verdict.states = data.unique_states;
        self.verdict.steps = data.total_states;
        self.verdict.depth = data.max_depth;
        self.verdict.took = data.duration;
    }

    fn report_discoveries(&mut self, _: &M, discoveries: BTreeMap<&'static str, ReportDiscovery<M>>)
    where
        M::Action: Debug + PartialEq,
        M::State: Debug + Hash + PartialEq,
    {
        for (name, discovery) in discoveries {
            let actions = discovery.path.into_actions();
            let steps = actions.iter().map(|action| format!("{action:?}"));
            self.met.insert(name, steps.collect());
        }
    }

    /// How often the checker looks whether it is done.
    fn delay(&self) -> Duration {
        Duration::from_millis(5)
    }
}
