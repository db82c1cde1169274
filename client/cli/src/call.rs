//! One invocation: its flags, its output, the clusters it speaks to, and the worst that happened.
use crate::address::Address;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::globals::{Consistency, Globals};
use crate::moment::Moment;
use crate::output::Output;
use crate::profile::{self, Profile, Profiles, SEQUENCER_DEFAULT};
use crate::remote::{self, Cluster};
use dfs_env::Env;
use dfs_fs::{Fs, FsConfig, When};
use dfs_rpc::connector::NodeConnector;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What every command is given.
pub struct Call {
    pub env: Env,
    pub globals: Globals,
    pub output: Output,
    /// Names this invocation in errors, in JSON, in what is logged, and in traces: a W3C trace id.
    pub request_id: String,
    pub(crate) trace_id: u128,
    /// By profile; the first use connects.
    connected: Arc<tokio::sync::Mutex<BTreeMap<Option<String>, Cluster>>>,
    /// The ways to them, also after they were closed; one for each profile.
    reached: Arc<Mutex<Vec<Arc<NodeConnector>>>>,
    /// It belongs to a batch, which closes what was opened; said before its first failure.
    heading: Mutex<Option<String>>,
    is_part: bool,
    /// Standard input is what the lines of its batch come from.
    stdin_taken: bool,
    worst: Mutex<Exit>,
    /// What is being done, as the word behind `cannot`.
    doing: Mutex<&'static str>,
    /// For errors that have the form of another program's.
    id_told: AtomicBool,
}

/// An address with the cluster it is in: what commands work on.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) fs: Fs,
    pub(crate) at: dfs_fs::Address,
    pub(crate) when: When,
    /// As it was typed.
    pub(crate) typed: Address,
    /// Which cluster it is in.
    pub(crate) profile: Option<String>,
}

impl Place {
    /// One name deeper.
    pub(crate) fn join(&self, name: &[u8]) -> Outcome<Place> {
        Ok(Place {
            fs: self.fs.clone(),
            at: self.at.join(name)?,
            when: self.when,
            typed: self.typed.join(name),
            profile: self.profile.clone(),
        })
    }

    /// Another path in the same tree.
    pub(crate) fn elsewhere(&self, path: &[u8]) -> Outcome<Place> {
        Ok(Place {
            at: dfs_fs::Address::in_tree(self.at.tree(), path)?,
            typed: Address {
                path: path.to_vec(),
                directory: false,
                ..self.typed.clone()
            },
            ..self.clone()
        })
    }

    /// At exactly this LSN from now on, so that pages and files fit together.
    pub(crate) fn pinned(&self, lsn: u64) -> Place {
        Place {
            when: When::Lsn(lsn),
            ..self.clone()
        }
    }
}

/// A time as the LSN that was the last one then: all of a command is about the same one.
async fn lsn_at(fs: &Fs, moment: Moment, typed: &Address) -> Outcome<When> {
    let found = fs.resolve(moment.when()).await?;
    if found.lsn > 0 {
        return Ok(found.when());
    }
    let what = format!("nothing is known of {typed}");
    let why = format!("{moment} lies before the first record: the cluster did not exist then");
    let advice = "Name a later moment; dfsctl log show 1 has the time of the first record";
    Err(Failure::new(Exit::NotFound, what, why, advice))
}

/// A line on standard error. Where it cannot be written (its disk is full) nobody reads it either.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

impl Call {
    pub fn new(env: Env, globals: Globals, sink: Box<dyn Write + Send>) -> Call {
        let trace_id = env.random_u128().max(1);
        let request_id = format!("{trace_id:032x}");
        let output = Output::new(globals.output, globals.quiet, &request_id, sink);
        let output = output.null(globals.null);
        Call {
            env,
            globals,
            output,
            request_id,
            trace_id,
            connected: Arc::default(),
            reached: Arc::default(),
            heading: Mutex::default(),
            is_part: false,
            stdin_taken: false,
            worst: Mutex::new(Exit::Done),
            doing: Mutex::new("do"),
            id_told: AtomicBool::new(false),
        }
    }

    /// One line of a batch, with output of its own, over the same connections. `heading` is said
    /// before its first failure.
    pub fn part(&self, globals: Globals, sink: Box<dyn Write + Send>, heading: String) -> Call {
        let same_way = globals.reaches_as(&self.globals);
        let mut part = Call::new(self.env.clone(), globals.under(&self.globals), sink);
        part.heading = Mutex::new(Some(heading));
        if same_way {
            part.connected = self.connected.clone();
            part.reached = self.reached.clone();
            part.is_part = true;
        }
        part
    }

    /// Standard input belongs to somebody else: it is no source.
    pub fn without_stdin(mut self) -> Call {
        self.stdin_taken = true;
        self
    }

    pub(crate) fn stdin(&self) -> Outcome<std::io::Stdin> {
        if !self.stdin_taken {
            return Ok(std::io::stdin());
        }
        let why = "the lines of the batch come from it";
        let advice = "Give the lines as a file: dfsctl run FILE; or put a file";
        Err(Failure::usage("cannot read standard input", why, advice))
    }

    /// Refuses `--if-lsn` where more than one record is made: each would be held against it, and the
    /// first may change what the others meet.
    pub(crate) fn one_record(&self, several: &str) -> Outcome {
        if self.globals.if_lsn.is_none() {
            return Ok(());
        }
        let advice = "Nothing was done; leave it out, or change one entry at a time";
        Err(Failure::usage("--if-lsn is for one entry", several, advice))
    }

    /// The worst exit code of what was told already.
    pub fn counted(&self, worst: Exit) {
        self.verdict(worst);
    }

    /// Says something beside the data.
    pub fn note(&self, text: &str) {
        if !self.globals.quiet {
            say(text);
        }
    }

    /// Tells a failure and goes on: one of a batch.
    pub fn failed(&self, failure: &Failure) {
        self.verdict(failure.exit);
        self.tell(failure);
    }

    /// Tells a failure whose exit code is counted elsewhere.
    pub(crate) fn tell(&self, failure: &Failure) {
        if failure.silent {
            return;
        }
        let failure = failure.clone().while_doing(*self.doing());
        let heading = self
            .heading
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(heading) = heading.filter(|_| !self.output.is_json()) {
            say(&heading);
        }
        match self.output.is_json() {
            true => say(&failure.json(&self.request_id).to_string()),
            false => say(failure.lines(&self.request_id).trim_end()),
        }
    }

    /// Behind the first error that does not name the request itself.
    pub(crate) fn tell_id(&self) {
        if !self.id_told.swap(true, Ordering::Relaxed) {
            say(&format!("  request_id {}", self.request_id));
        }
    }

    fn doing(&self) -> MutexGuard<'_, &'static str> {
        self.doing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn begin(&self, doing: &'static str) {
        *self.doing() = doing;
    }

    /// A verdict that is no failure: something was left out, a test was false.
    pub(crate) fn verdict(&self, exit: Exit) {
        let mut worst = self.worst.lock().unwrap_or_else(PoisonError::into_inner);
        *worst = worst.worse(exit);
    }

    /// The exit code of the whole invocation, after its last word.
    pub fn end(&self, outcome: Outcome) -> Exit {
        for failure in [outcome, self.output.flush()]
            .into_iter()
            .filter_map(Result::err)
        {
            self.failed(&failure);
        }
        *self.worst.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `one` to each; a failure does not keep the rest from being done, except a reader that has gone.
    pub(crate) async fn each<'a, T, F>(&self, all: &'a [T], one: impl Fn(&'a T) -> F) -> Outcome
    where
        F: Future<Output = Outcome>,
    {
        if all.len() > 1 {
            self.one_record("several are named")?;
        }
        for item in all {
            match one(item).await {
                Err(failure) if !failure.silent => self.failed(&failure),
                outcome => outcome?,
            }
        }
        Ok(())
    }

    /// Something to read: with a moment, if one was given.
    pub(crate) async fn place(&self, argument: impl AsRef<OsStr>) -> Outcome<Place> {
        let argument = argument.as_ref();
        let typed = Address::parse(argument).map_err(|bad| Failure::address(argument, bad))?;
        let (profile, tree) = self.resolve(&typed)?;
        let at = dfs_fs::Address::in_tree(tree, &typed.path)?;
        let moment = typed.moment.or(self.globals.at).unwrap_or(Moment::Head);
        let fs = self.cluster_of(profile.as_deref()).await?.fs;
        let when = match moment {
            Moment::TimeUs(_) | Moment::AgoUs(_) => lsn_at(&fs, moment, &typed).await?,
            Moment::Head | Moment::Lsn(_) => moment.when(),
        };
        Ok(Place {
            fs: fs.with_if_lsn(self.globals.if_lsn),
            at,
            when,
            typed,
            profile,
        })
    }

    /// Something to write: the past stays as it was.
    pub(crate) async fn target(&self, argument: impl AsRef<OsStr>) -> Outcome<Place> {
        let argument = argument.as_ref();
        let typed = Address::parse(argument).map_err(|bad| Failure::address(argument, bad))?;
        match typed.moment.or(self.globals.at) {
            None | Some(Moment::Head) => self.place(argument).await,
            Some(_) => {
                let what = format!("cannot change {typed}");
                let advice = "Leave the moment (@… or --at) out";
                Err(Failure::usage(what, "the past cannot be changed", advice))
            }
        }
    }

    /// Which profile and which tree the prefixes mean.
    fn resolve(&self, typed: &Address) -> Outcome<(Option<String>, u64)> {
        let default = self.globals.profile().map(str::to_string);
        match typed.prefixes.as_slice() {
            [] => Ok((default, dfs_fs::MAIN_TREE)),
            [tree] if tree == remote::MAIN_TREE_NAME => Ok((default, dfs_fs::MAIN_TREE)),
            [profile] => Ok((Some(profile.clone()), dfs_fs::MAIN_TREE)),
            [profile, tree, ..] if tree == remote::MAIN_TREE_NAME => {
                Ok((Some(profile.clone()), dfs_fs::MAIN_TREE))
            }
            [_, tree, ..] => {
                let what = format!("no tree `{tree}`");
                let why = format!("the only tree is `{}`", remote::MAIN_TREE_NAME);
                Err(Failure::new(
                    Exit::NotFound,
                    what,
                    why,
                    "Leave its name out",
                ))
            }
        }
    }

    /// The cluster of the profile, or of the one in use. Connects once.
    pub(crate) async fn cluster_of(&self, profile: Option<&str>) -> Outcome<Cluster> {
        let mut connected = self.connected.lock().await;
        let key = profile.map(str::to_string);
        if let Some(cluster) = connected.get(&key) {
            return Ok(cluster.clone());
        }
        let found = self.profile(profile)?;
        let cluster = self.cluster_at(&found).await?;
        connected.insert(key, cluster.clone());
        self.reached().push(cluster.connector.clone());
        Ok(cluster)
    }

    /// A cluster that is no profile's yet.
    pub(crate) async fn cluster_at(&self, profile: &Profile) -> Outcome<Cluster> {
        remote::connect(
            &self.env,
            profile,
            self.config(),
            self.globals.timeout_to_find(),
        )
        .await
    }

    /// The way to the sequencers of the cluster that is meant, also where nothing else answers.
    pub(crate) async fn connector(&self) -> Outcome<Arc<NodeConnector>> {
        let found = self.profile(self.globals.profile())?;
        remote::reach(&self.env, &found, self.globals.timeout_to_find()).await
    }

    /// The profile that was used names these sequencers from now on. False: it did, or none was used.
    pub(crate) fn remember_sequencers(&self, addresses: &[String]) -> Outcome<bool> {
        if !self.globals.sequencers.is_empty() || addresses.is_empty() {
            return Ok(false);
        }
        let path = profile::path()?;
        let mut profiles = Profiles::load(&path)?;
        let name = self.globals.profile().map(str::to_owned);
        let Some(name) = name.or_else(|| profiles.current.clone()) else {
            return Ok(false);
        };
        match profiles.profiles.get_mut(&name) {
            Some(profile) if profile.sequencers != addresses => {
                profile.sequencers = addresses.to_vec();
            }
            _ => return Ok(false),
        }
        profiles.save(&path)?;
        Ok(true)
    }

    /// The cluster that is meant when no address says another.
    pub(crate) async fn cluster(&self) -> Outcome<Cluster> {
        self.cluster_of(self.globals.profile()).await
    }

    /// Flags > environment > profile > default.
    fn profile(&self, name: Option<&str>) -> Outcome<Profile> {
        if !self.globals.sequencers.is_empty() {
            return Ok(Profile {
                sequencers: self.globals.sequencers.clone(),
                cluster_id: String::new(),
            });
        }
        let profiles = Profiles::load(&profile::path()?)?;
        match name.or(profiles.current.as_deref()) {
            Some(name) => profiles.get(name).cloned(),
            None => Ok(Profile {
                sequencers: vec![SEQUENCER_DEFAULT.into()],
                cluster_id: String::new(),
            }),
        }
    }

    fn config(&self) -> FsConfig {
        let consistency = match self.globals.consistency {
            Consistency::Linearizable => dfs_fs::Consistency::Linearizable,
            Consistency::AtLeast(lsn) => dfs_fs::Consistency::AtLeast(lsn),
            Consistency::Bounded(us) => dfs_fs::Consistency::BoundedUs(us),
        };
        let user = ["USER", "LOGNAME"]
            .iter()
            .find_map(|name| std::env::var(name).ok());
        FsConfig {
            actor: user.unwrap_or_else(|| "dfsctl".into()),
            uid: rustix::process::getuid().as_raw(),
            gid: rustix::process::getgid().as_raw(),
            consistency,
            timeout: self.globals.timeout(),
            ..FsConfig::default()
        }
    }

    /// The ways to all clusters that were spoken with.
    pub(crate) fn connectors(&self) -> Vec<Arc<NodeConnector>> {
        self.reached().clone()
    }

    fn reached(&self) -> MutexGuard<'_, Vec<Arc<NodeConnector>>> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes what was opened, so that sessions end now and not by their lease.
    pub async fn close(&self) {
        if self.is_part {
            return;
        }
        let connected = std::mem::take(&mut *self.connected.lock().await);
        for cluster in connected.into_values() {
            if let Err(refusal) = cluster.fs.close().await {
                tracing::debug!(%refusal, "the session ends with its lease");
            }
        }
    }
}
