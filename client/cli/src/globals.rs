//! The flags that every command has. Flags > DFSCTL_* > profile > default.
use crate::moment::Moment;
use clap::{Args, ValueEnum};
use std::str::FromStr;
use std::time::Duration;

/// A request that takes longer will hardly be answered at all.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Where nothing listens: a cluster that restarts is back by then.
const TIMEOUT_TO_FIND: Duration = Duration::from_secs(5);

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Everywhere")]
pub struct Globals {
    /// The cluster, by the name of its profile (before COMMAND; --profile anywhere)
    #[arg(short = 'p', value_name = "PROFILE")]
    short_profile: Option<String>,
    /// The cluster, by the name of its profile (see `dfsctl profile list`)
    #[arg(long, global = true, env = "DFSCTL_PROFILE", hide_env_values = true)]
    profile: Option<String>,
    /// Sequencers to ask instead of those of the profile: HOST:PORT,…
    #[arg(long, global = true, env = "DFSCTL_SEQUENCERS", value_delimiter = ',', hide_env_values = true,
          value_parser = crate::profile::check_sequencer, value_name = "HOST:PORT")]
    pub sequencers: Vec<String>,
    /// Format of what goes to standard output
    #[arg(
        short,
        long,
        global = true,
        env = "DFSCTL_OUTPUT",
        hide_env_values = true,
        value_enum,
        default_value_t
    )]
    pub output: Format,
    /// Addresses as -o name has them, byte for byte, each ended by NUL (for xargs -0)
    #[arg(short = '0', long, global = true)]
    pub null: bool,
    /// The moment to read at where the address has none: LSN, time, -5m, head
    #[arg(long, global = true, value_name = "WHEN", allow_hyphen_values = true)]
    pub at: Option<Moment>,
    /// How fresh reads are: linearizable, at-least:LSN, bounded:500ms
    #[arg(
        long,
        global = true,
        env = "DFSCTL_CONSISTENCY",
        hide_env_values = true,
        default_value = "linearizable",
        value_name = "MODE"
    )]
    pub consistency: Consistency,
    /// Change the entry only if its version is this LSN (see `dfsctl stat`); 0: only if there is none
    #[arg(long, global = true, value_name = "LSN")]
    pub if_lsn: Option<u64>,
    /// Addresses are what they say: no patterns. For names that another command printed
    #[arg(long, global = true)]
    pub literal: bool,
    /// Only say what would be done
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// Answer every question with yes
    #[arg(short, long, global = true)]
    pub yes: bool,
    /// Print nothing but data and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more on standard error (-vv: still more)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Give a request up after this long: 500ms, 10s, 2m; default 30s, and 5s to find the cluster
    #[arg(long = "timeout", global = true, env = "DFSCTL_TIMEOUT", hide_env_values = true, value_name = "D",
          value_parser = parse_timeout)]
    timeout_given: Option<Duration>,
    /// Progress of transfers on standard error: a bar on a terminal, else none
    #[arg(long, global = true, value_enum, value_name = "HOW")]
    pub progress: Option<Progress>,
}

impl Globals {
    /// These, and what `all` of a batch were given. How results look (-o, -0, -q) each line says itself;
    /// `--if-lsn` is about one entry, and no batch takes it.
    pub(crate) fn under(mut self, all: &Globals) -> Globals {
        if self.profile().is_none() {
            self.short_profile = all.short_profile.clone();
            self.profile = all.profile.clone();
        }
        if self.sequencers.is_empty() {
            self.sequencers = all.sequencers.clone();
        }
        if self.consistency == Consistency::default() {
            self.consistency = all.consistency;
        }
        self.timeout_given = self.timeout_given.or(all.timeout_given);
        self.at = self.at.or(all.at);
        self.literal |= all.literal;
        self.dry_run |= all.dry_run;
        self.yes |= all.yes;
        self
    }

    /// Whether a connection that was made for `all` of a batch serves these, too.
    pub(crate) fn reaches_as(&self, all: &Globals) -> bool {
        let under = self.clone().under(all);
        (&under.sequencers, under.consistency, under.timeout_given)
            == (&all.sequencers, all.consistency, all.timeout_given)
    }

    /// The profile that was named; `None`: the one in use.
    pub fn profile(&self) -> Option<&str> {
        self.short_profile.as_deref().or(self.profile.as_deref())
    }

    /// How long a request may take.
    pub fn timeout(&self) -> Duration {
        self.timeout_given.unwrap_or(TIMEOUT)
    }

    /// How long a cluster is looked for.
    pub fn timeout_to_find(&self) -> Duration {
        self.timeout_given.unwrap_or(TIMEOUT_TO_FIND)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[default]
    Table,
    /// A table with more columns
    Wide,
    /// One object
    Json,
    /// An object per line, as they come
    Jsonl,
    /// Addresses only, fit to be given to another command; control characters escaped (but see -0)
    Name,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Progress {
    Bar,
    Json,
    None,
}

/// How fresh a read without a moment must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    #[default]
    Linearizable,
    AtLeast(u64),
    /// µs
    Bounded(u64),
}

impl FromStr for Consistency {
    type Err = String;

    fn from_str(text: &str) -> Result<Consistency, String> {
        let known = match text.split_once(':') {
            None => (text == "linearizable").then_some(Consistency::Linearizable),
            Some(("at-least", lsn)) => lsn.parse().ok().map(Consistency::AtLeast),
            Some(("bounded", age)) => {
                let age = humantime::parse_duration(age).ok();
                let age_us = age.and_then(|age| u64::try_from(age.as_micros()).ok());
                age_us.map(Consistency::Bounded)
            }
            Some(_) => None,
        };
        known.ok_or_else(|| "write linearizable, at-least:1219 or bounded:500ms".into())
    }
}

/// `500ms`, `10s`, `2m`; not nothing.
pub fn parse_timeout(text: &str) -> Result<Duration, String> {
    let timeout = humantime::parse_duration(text).map_err(|e| e.to_string())?;
    (!timeout.is_zero())
        .then_some(timeout)
        .ok_or_else(|| "no request is done in no time".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_of_consistency() {
        assert_eq!("linearizable".parse(), Ok(Consistency::Linearizable));
        assert_eq!("at-least:7".parse(), Ok(Consistency::AtLeast(7)));
        assert_eq!("bounded:500ms".parse(), Ok(Consistency::Bounded(500_000)));
        for bad in [
            "",
            "stale",
            "at-least:",
            "at-least:x",
            "bounded:",
            "bounded:5",
        ] {
            assert!(bad.parse::<Consistency>().is_err(), "{bad}");
        }
    }
}
