//! Requests that change nothing: any replica will do, and another one when it fails.

use std::collections::BTreeSet;

use dfs_wire::v1::answer::Body;
use dfs_wire::v1::request::Op;
use dfs_wire::{Code, Refusal, v1};
use tokio::time::Instant;

use super::Dialog;
use super::kinds::kind_of;

impl Dialog {
    /// The answer, or the refusal, of whoever can serve it within the configured time.
    pub(crate) async fn read(&self, op: Op) -> Result<v1::Answer, Refusal> {
        let span = self.step("fs.read");
        if span.is_kept() {
            span.set("kind", kind_of(&op));
        }
        Box::pin(span.covers(self.read_until(op, self.deadline()))).await
    }

    pub(crate) async fn read_until(
        &self,
        op: Op,
        deadline: Instant,
    ) -> Result<v1::Answer, Refusal> {
        let mut backoff = self.backoff();
        let mut lost_at = BTreeSet::new();
        loop {
            let (refusal, address) = match self.read_once(op.clone(), deadline).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            let again = asks_again(refusal.code())
                || self
                    .lost_only_there(&refusal, address, &mut lost_at, deadline)
                    .await;
            if !again || !backoff.pause(deadline).await {
                return Err(unanswered_read(refusal));
            }
        }
    }

    /// A materializer that lacks a range of the log says so of everything; another may have folded it
    /// before it was lost. True: one that has not said so is asked next.
    async fn lost_only_there(
        &self,
        refusal: &Refusal,
        address: Option<String>,
        lost_at: &mut BTreeSet<String>,
        deadline: Instant,
    ) -> bool {
        let (Code::Lost | Code::Corrupt, Some(address)) = (refusal.code(), address) else {
            return false;
        };
        self.look_elsewhere(&address, refusal, deadline).await;
        lost_at.insert(address);
        let next = self.places.known();
        next.is_some_and(|next| !lost_at.contains(&next))
    }

    /// One attempt; a refusal comes with the address that was asked.
    async fn read_once(
        &self,
        op: Op,
        deadline: Instant,
    ) -> Result<v1::Answer, (Refusal, Option<String>)> {
        let patience = self.config.attempt_timeout.min(self.left(deadline));
        let address = match self.env.timeout(patience, self.place()).await {
            Ok(address) => address.map_err(|refusal| (refusal, None))?,
            Err(_) => return Err((silent("the sequencer"), None)),
        };
        let asked = self.ask_at(&address, op, None, deadline);
        let refusal = match self.env.timeout(patience, asked).await {
            Ok(Ok(mut answer)) => match answer.body.take() {
                Some(Body::Refusal(refusal)) => Refusal::from(refusal),
                body => return Ok(v1::Answer { body, ..answer }),
            },
            Ok(Err(failed)) => failed.into_refusal(),
            Err(_) => silent(&address),
        };
        if asks_again(refusal.code()) {
            self.look_elsewhere(&address, &refusal, deadline).await;
        }
        Err((refusal, Some(address)))
    }

    /// After a refusal that another member might not give.
    pub(crate) async fn look_elsewhere(&self, address: &str, refusal: &Refusal, deadline: Instant) {
        if refusal.code() == Code::Busy || refusal.code() == Code::Void {
            return; // it is the right one
        }
        self.places.failed(address);
        let primary = &refusal.get().primary;
        if refusal.code() == Code::Moved && !primary.is_empty() {
            self.places.set_primary(primary);
            return;
        }
        let patience = self.config.attempt_timeout.min(self.left(deadline));
        let refreshed = self
            .env
            .timeout(patience, self.refresh_failed_places())
            .await;
        if let Ok(Err(refusal)) = refreshed {
            tracing::debug!(%refusal, "the sequencer does not say who is there");
        }
    }
}

pub(crate) fn silent(who: &str) -> Refusal {
    let why = format!("{who} does not answer in time");
    Refusal::new(Code::Unavailable, "the file system", why)
}

/// Refusals that say nothing about the request itself.
pub(crate) fn asks_again(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable | Code::TimedOut | Code::Void | Code::Moved | Code::Busy | Code::NotYet
    )
}

/// A read has no outcome that could be unknown: nothing happened.
fn unanswered_read(refusal: Refusal) -> Refusal {
    if refusal.code() != Code::TimedOut {
        return refusal;
    }
    let wire = refusal.into_wire();
    Refusal::new(Code::Unavailable, wire.what, wire.why)
}

impl Dialog {
    /// A read whose answer takes as long as it takes: one attempt has all the time there is.
    pub(crate) async fn read_patiently(&self, op: Op) -> Result<v1::Answer, Refusal> {
        let deadline = self.deadline();
        let mut backoff = self.backoff();
        loop {
            let address = match self.env.timeout(self.left(deadline), self.place()).await {
                Ok(address) => address,
                Err(_) => return Err(silent("the sequencer")),
            };
            let refusal = match &address {
                Ok(address) => {
                    let asked = self.ask_at(address, op.clone(), None, deadline);
                    match self.env.timeout(self.left(deadline), asked).await {
                        Ok(Ok(mut answer)) => match answer.body.take() {
                            Some(Body::Refusal(refusal)) => Refusal::from(refusal),
                            body => return Ok(v1::Answer { body, ..answer }),
                        },
                        Ok(Err(failed)) => failed.into_refusal(),
                        Err(_) => return Err(silent("the materializer")),
                    }
                }
                Err(refusal) => refusal.clone(),
            };
            if let (Ok(address), true) = (&address, asks_again(refusal.code())) {
                self.look_elsewhere(address, &refusal, deadline).await;
            }
            if !asks_again(refusal.code()) || !backoff.pause(deadline).await {
                return Err(unanswered_read(refusal));
            }
        }
    }
}
