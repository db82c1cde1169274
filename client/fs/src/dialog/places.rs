//! Where materializers answer: what the sequencer lists, and who is known to be primary.

use std::time::Duration;

use dfs_wire::{Code, Refusal, v1};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::Dialog;

/// The role of `Member` that answers requests.
const MATERIALIZER: &str = "materializer";

#[derive(Default)]
pub(crate) struct Places {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Live ones first.
    addresses: Vec<String>,
    primary: Option<String>,
    /// Counts on to the next one whenever the present one failed.
    turn: usize,
    asked: Option<Instant>,
}

/// The sequencer is asked this often at most, however many requests fail at once.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(100);

impl Places {
    /// Clients begin at different members, by `chance`.
    pub(crate) fn new(chance: u64) -> Places {
        let state = State {
            turn: (chance % 1024) as usize,
            ..State::default()
        };
        Places {
            state: Mutex::new(state),
        }
    }

    /// Whom to ask now: the primary when it is known, because one stream then carries everything.
    pub(crate) fn known(&self) -> Option<String> {
        let state = self.state.lock();
        let turn = state
            .addresses
            .get(state.turn % state.addresses.len().max(1));
        state.primary.as_ref().or(turn).cloned()
    }

    pub(crate) fn set_primary(&self, address: &str) {
        self.state.lock().primary = Some(address.to_owned());
    }

    /// This one did not serve: ask another next.
    pub(crate) fn failed(&self, address: &str) {
        let mut state = self.state.lock();
        if state.primary.as_deref() == Some(address) {
            state.primary = None;
        }
        state.turn = state.turn.wrapping_add(1);
    }

    /// Whether it is time to ask the sequencer; then this was noted.
    fn is_due(&self, now: Instant) -> bool {
        let mut state = self.state.lock();
        let due = state
            .asked
            .is_none_or(|asked| now - asked >= ASK_AGAIN_AFTER);
        if due {
            state.asked = Some(now);
        }
        due
    }

    fn learn(&self, members: &v1::Members) {
        let mut listed: Vec<&v1::Member> = members
            .members
            .iter()
            .filter(|member| member.roles.iter().any(|role| role == MATERIALIZER))
            .collect();
        listed.sort_by_key(|member| (member.gone, member.rank, member.node_id));
        let live = listed.iter().filter(|member| !member.gone).count();
        listed.truncate(live.max(1)); // a view in which all are gone may be old
        self.state.lock().addresses = listed.iter().map(|member| member.address.clone()).collect();
    }
}

impl Dialog {
    /// Asks the sequencer who is there. What was known stays when it does not answer.
    pub(crate) async fn refresh_places(&self) -> Result<(), Refusal> {
        let status = self.connector.sequencer().await?.status().await?;
        self.places.learn(&status.members.unwrap_or_default());
        Ok(())
    }

    /// The same after a failure, not too often.
    pub(crate) async fn refresh_failed_places(&self) -> Result<(), Refusal> {
        match self.places.is_due(self.env.now()) {
            true => self.refresh_places().await,
            false => Ok(()),
        }
    }

    /// Whom to ask now, from the sequencer when nobody is known.
    pub(crate) async fn place(&self) -> Result<String, Refusal> {
        if let Some(address) = self.places.known() {
            return Ok(address);
        }
        self.refresh_places().await?;
        self.places.known().ok_or_else(|| {
            let why = "the sequencer lists no materializer";
            Refusal::new(Code::Unavailable, "the file system", why)
        })
    }
}

impl Dialog {
    /// The first look, with patience: a cluster that is just starting is found.
    pub(crate) async fn find_members(&self) -> Result<(), Refusal> {
        let deadline = self.deadline();
        let mut backoff = self.backoff();
        loop {
            let found = self
                .env
                .timeout(self.left(deadline), self.refresh_places())
                .await;
            let refusal = match found {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(refusal)) => refusal,
                Err(_) => return Err(super::silent("the sequencer")),
            };
            if !super::asks_again(refusal.code()) || !backoff.pause(deadline).await {
                return Err(refusal);
            }
        }
    }
}
