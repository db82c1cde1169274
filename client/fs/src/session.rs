//! The session of this process: opened at the first mutation, kept alive, closed at the end (FOLD-S1).

mod fresh;
mod keeper;
mod mutation;
mod slots;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use dfs_rpc::trace::TraceContext;
use dfs_wire::{Code, Refusal, v1};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::dialog::Dialog;
pub(crate) use fresh::Fresh;
pub(crate) use slots::Slots;

/// What the primary of shard 0 has granted. A new `generation` is a new look at who is primary,
/// often with the same session.
#[derive(Clone)]
pub(crate) struct Grant {
    pub(crate) generation: u64,
    pub(crate) session: u64,
    pub(crate) shard: u64,
    pub(crate) term: u64,
    pub(crate) lease_us: u64,
    pub(crate) primary: String,
    pub(crate) settings: v1::Settings,
    /// The last change of them; 0: none.
    pub(crate) settings_lsn: u64,
    pub(crate) slots: Arc<Slots>,
    /// Counters of extent ids of this session, from 1.
    pub(crate) extents: Arc<AtomicU64>,
}

#[derive(Clone, Default)]
struct State {
    generation: u64,
    granted: Option<Result<Grant, Refusal>>,
    /// Why there is no newer grant yet.
    trouble: Option<Refusal>,
}

type Asker = Arc<Mutex<Option<TraceContext>>>;

/// The handle; the work is done by the task in `keeper.rs`.
pub(crate) struct Session {
    dialog: Arc<Dialog>,
    state: watch::Receiver<State>,
    /// A grant of at least this generation is wanted.
    wanted: watch::Sender<u64>,
    /// The sampled request that wanted it last.
    asker: Asker,
    keeper: dfs_env::Task<()>,
    fresh: Arc<Fresh>,
}

impl Session {
    pub(crate) fn new(dialog: Arc<Dialog>) -> Session {
        let (publish, state) = watch::channel(State::default());
        let (wanted, demand) = watch::channel(0);
        let fresh = Arc::<Fresh>::default();
        let asker = Asker::default();
        let keep = keeper::Keeper::new(dialog.clone(), publish, demand, fresh.clone());
        let keep = keep.asked_by(asker.clone()).run();
        let keeper = dialog.env.spawn("session", keep);
        Session {
            dialog,
            state,
            wanted,
            asker,
            keeper,
            fresh,
        }
    }

    /// The present grant; the first call opens the session.
    pub(crate) async fn grant(&self, deadline: Instant) -> Result<Grant, Refusal> {
        let generation = match &*self.state.borrow() {
            State {
                granted: Some(Ok(grant)),
                ..
            } => return Ok(grant.clone()),
            // What was refused then may be granted now: a disk was full, and is not any more.
            State { generation, .. } => *generation,
        };
        self.newer_than(generation, deadline).await
    }

    /// A grant whose settings are less than a second old.
    pub(crate) async fn settings(&self, deadline: Instant) -> Result<Grant, Refusal> {
        let grant = self.grant(deadline).await?;
        if self.fresh.knows(&grant, self.dialog.env.now()) {
            return Ok(grant);
        }
        self.newer_than(grant.generation, deadline).await
    }

    /// Of the present grant; 0: there is none, or nothing was changed.
    pub(crate) fn settings_lsn(&self) -> u64 {
        match &self.state.borrow().granted {
            Some(Ok(grant)) => grant.settings_lsn,
            _ => 0,
        }
    }

    /// A grant that was made after the one of this generation: it did not serve.
    pub(crate) async fn newer_than(
        &self,
        generation: u64,
        deadline: Instant,
    ) -> Result<Grant, Refusal> {
        let span = self.dialog.step("fs.session");
        if let Some(context) = span.context() {
            *self.asker.lock() = Some(context);
        }
        let mut state = self.state.clone();
        self.wanted.send_if_modified(|wanted| {
            let newer = *wanted <= generation;
            *wanted = (*wanted).max(generation + 1);
            newer
        });
        let granted = async {
            let found = state.wait_for(|state| state.generation > generation).await;
            found.ok().and_then(|state| state.granted.clone())
        };
        match self
            .dialog
            .env
            .timeout(self.dialog.left(deadline), granted)
            .await
        {
            Ok(Some(granted)) => granted,
            Ok(None) => Err(Refusal::new(
                Code::Unavailable,
                "the session",
                "it is closed",
            )),
            Err(_) => Err(self.trouble()),
        }
    }

    fn trouble(&self) -> Refusal {
        let trouble = self.state.borrow().trouble.clone();
        trouble.unwrap_or_else(|| {
            Refusal::new(
                Code::Unavailable,
                "the session",
                "no primary grants one in time",
            )
        })
    }

    /// Gives the session back; extents that no record names die with it.
    pub(crate) async fn close(&self) -> Result<(), Refusal> {
        self.keeper.abort();
        let granted = self.state.borrow().granted.clone();
        let Some(Ok(grant)) = granted else {
            return Ok(());
        };
        let close = v1::CloseSession {
            session: grant.session,
        };
        let deadline = self.dialog.env.now() + self.dialog.config.attempt_timeout;
        let asked = self.dialog.ask_at(
            &grant.primary,
            v1::request::Op::CloseSession(close),
            None,
            deadline,
        );
        match self
            .dialog
            .env
            .timeout(self.dialog.left(deadline), asked)
            .await
        {
            Ok(Ok(_)) => Ok(()),
            // Its lease ends by itself.
            Ok(Err(failed)) => Err(failed.into_refusal()),
            Err(_) => Err(crate::dialog::silent("the primary")),
        }
    }
}
