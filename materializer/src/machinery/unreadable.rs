//! A log that cannot be read on: said to everybody at once, logged once, looked at again by itself (LOG-R3, LOG-U7).
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dfs_wire::{Code, Refusal};
use tokio::time::Instant;

use super::hub::Standing;
use super::ops::Arrival;
use super::shard::{Command, Office, Shard};

/// What is lost comes back only when a person brings back a unit or its directory.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

enum Meanwhile {
    Command(Command),
    Arrived(Vec<Arrival>),
    LookAgain,
    End,
}

impl Shard {
    /// `None`: something was read.
    pub(crate) fn say_unreadable(&self, why: Option<Refusal>) {
        if self.hub.published.stuck() == why {
            return;
        }
        let standing = self.hub.standing.load_full();
        let halted = why.as_ref().map_or_else(String::new, Refusal::to_string);
        self.hub.standing.store(Arc::new(Standing {
            halted,
            ..(*standing).clone()
        }));
        self.hub.published.set_stuck(why);
    }

    /// At every turn. What is known to be lost stays so until something is read.
    pub(crate) fn say_waits(&self, waits: Option<Refusal>) {
        let known = self.hub.published.stuck();
        match (&waits, known) {
            (None, Some(known)) if !known.is_retryable() => {}
            (Some(waits), None) => {
                tracing::info!(%waits, "wait for log units");
                self.say_unreadable(Some(waits.clone()));
            }
            _ => self.say_unreadable(waits),
        }
    }

    /// Answers with what is lost until it is time to look again. False: it was stopped.
    pub(super) async fn stand_still(&mut self, lost: Refusal) -> bool {
        let known = self.hub.published.stuck();
        let again = known
            .is_some_and(|known| (known.code(), known.get().lsn) == (lost.code(), lost.get().lsn));
        if !again {
            tracing::error!(%lost, "the log cannot be read on: this materializer stands still");
        }
        self.say_unreadable(Some(lost));
        self.leave_for_another();
        let until = self.hub.env.now() + LOOK_AGAIN;
        loop {
            match self.meanwhile(until).await {
                Meanwhile::Command(Command::Stop) | Meanwhile::End => return false,
                Meanwhile::Command(Command::Lane(..)) => self.upkeep.claiming = false,
                Meanwhile::Command(command) => {
                    let _ = self.obey(command); // nothing is planned or answered from here
                }
                Meanwhile::Arrived(arrivals) => self.send_away(arrivals),
                Meanwhile::LookAgain => return true,
            }
        }
    }

    /// FOLD-T4: a primary that cannot fold serves nobody; another replica may have folded more.
    fn leave_for_another(&mut self) {
        match std::mem::replace(&mut self.office, Office::Replica) {
            Office::Primary(primary) => {
                self.hub.stepped_down.store(true, Ordering::Relaxed);
                self.leave_office(*primary);
            }
            Office::Candidate(..) | Office::Replica => self.stand(),
        }
        self.give_up_orphans();
    }

    async fn meanwhile(&mut self, until: Instant) -> Meanwhile {
        let env = self.hub.env.clone();
        let left = until.saturating_duration_since(env.now());
        tokio::select! {
            biased;
            command = self.commanded.recv() => command.map_or(Meanwhile::End, Meanwhile::Command),
            () = env.sleep(left) => Meanwhile::LookAgain,
            arrived = self.arriving.recv() => arrived.map_or(Meanwhile::End, Meanwhile::Arrived),
        }
    }

    /// To the primary, if another node is it and lives; else they are told what is lost.
    fn send_away(&self, arrivals: Vec<Arrival>) {
        let moved = self.moved();
        let members = self.hub.members();
        let owner = self.term.map(|term| term.owner.node_id);
        let is_gone = |node: u64| {
            let mut all = members.members.iter();
            all.any(|member| member.node_id == node && member.gone)
        };
        let lost = self.hub.published.stuck();
        let away = match lost {
            Some(lost) if moved.code() != Code::Moved || owner.is_some_and(is_gone) => lost,
            _ => moved,
        };
        for waiter in arrivals.into_iter().filter_map(|arrival| arrival.waiter) {
            waiter.asker.tell(Err(away.clone()));
        }
    }
}
