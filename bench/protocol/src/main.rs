//! `dfs-protocol`: searches the models of the protocols and prints what was found.

use std::process::ExitCode;

use clap::Parser;
use dfs_protocol::log::LogModel;
use dfs_protocol::terms::TermsModel;
use dfs_protocol::terms::mutant::Refusals;
use dfs_protocol::verdict::{Search, Size, Verdict, search};
use dfs_protocol::{log, terms};

/// Searches the models of the protocols exhaustively, within bounds.
#[derive(Parser)]
#[command(name = "dfs-protocol")]
struct Arguments {
    #[command(subcommand)]
    model: Which,
}

#[derive(clap::Subcommand)]
enum Which {
    /// The shared log: client/log/LOG.md.
    Log {
        #[command(flatten)]
        how: How,
        /// Leave out a rule, and show the shortest way to where that goes wrong.
        #[arg(long)]
        mutant: Option<log::mutant::Mutant>,
    },
    /// Terms, guards and slots of one shard: materializer/FOLD.md.
    Terms {
        #[command(flatten)]
        how: How,
        /// Leave out a rule, and show the shortest way to where that goes wrong.
        #[arg(long)]
        mutant: Option<terms::mutant::Mutant>,
    },
}

#[derive(clap::Args)]
struct How {
    #[arg(long, value_enum, default_value_t = Size::Small)]
    size: Size,
    /// Only the scenarios of this name.
    #[arg(long)]
    only: Option<String>,
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

impl How {
    fn search(&self) -> Search {
        Search::Exhaustive {
            threads: self.threads,
        }
    }

    fn includes(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only == name)
    }
}

fn main() -> ExitCode {
    let good = match Arguments::parse().model {
        Which::Log { how, mutant: None } => all_of_log(&how),
        Which::Terms { how, mutant: None } => all_of_terms(&how),
        Which::Log {
            mutant: Some(mutant),
            ..
        } => {
            let scenario = log::scenario::Scenario::of_mutant(mutant);
            let mutant = Some(mutant);
            is_caught(&search(LogModel { scenario, mutant }, Search::ToFirstFault))
        }
        Which::Terms {
            mutant: Some(mutant),
            ..
        } => {
            let scenario = terms::scenario::Scenario::of_mutant(mutant);
            let model = TermsModel {
                scenario,
                mutant: Some(mutant),
                refusals: Refusals::Recorded,
            };
            is_caught(&search(model, Search::ToFirstFault))
        }
    };
    match good {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn all_of_log(how: &How) -> bool {
    let scenarios = log::scenario::Scenario::all(how.size);
    let verdicts = scenarios
        .into_iter()
        .filter(|scenario| how.includes(scenario.name));
    let verdicts = verdicts.map(|scenario| {
        let (name, budget) = (scenario.name, scenario.budget);
        let mutant = None;
        let verdict = search(LogModel { scenario, mutant }, how.search());
        println!("{name} {budget:?}\n  {verdict}");
        verdict.is_good()
    });
    verdicts.fold(true, |all, good| all & good)
}

fn all_of_terms(how: &How) -> bool {
    let scenarios = terms::scenario::Scenario::all(how.size);
    let verdicts = scenarios
        .into_iter()
        .filter(|scenario| how.includes(scenario.name));
    let verdicts = verdicts.map(|scenario| {
        let (name, budget) = (scenario.name, scenario.budget);
        let model = TermsModel {
            scenario,
            mutant: None,
            refusals: Refusals::Recorded,
        };
        let verdict = search(model, how.search());
        println!("{name} {budget:?}\n  {verdict}");
        verdict.is_good()
    });
    verdicts.fold(true, |all, good| all & good)
}

/// For a mutant, a fault is what is hoped for.
fn is_caught(verdict: &Verdict) -> bool {
    println!("{verdict}");
    verdict.fault.is_some()
}
