//! The task that opens the session, finds the primary anew when asked to, and keeps the lease.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dfs_rpc::trace::within;
use dfs_wire::v1::answer::Body;
use dfs_wire::v1::request::Op;
use dfs_wire::{Code, Refusal, v1};
use tokio::sync::watch;

use super::{Asker, Fresh, Grant, Slots, State};
use crate::dialog::{Dialog, asks_again, silent};

/// A lease is renewed when this part of it has passed: two renewals may fail.
const RENEW_AT: u64 = 3;

pub(super) struct Keeper {
    dialog: Arc<Dialog>,
    publish: watch::Sender<State>,
    demand: watch::Receiver<u64>,
    generation: u64,
    granted: Option<Grant>,
    /// Of the session to be opened next: a repeated OpenSession gets the same session.
    nonce: u128,
    fresh: Arc<Fresh>,
    asker: Asker,
}

impl Keeper {
    pub(super) fn new(
        dialog: Arc<Dialog>,
        publish: watch::Sender<State>,
        demand: watch::Receiver<u64>,
        fresh: Arc<Fresh>,
    ) -> Keeper {
        let nonce = dialog.env.random_u128();
        Keeper {
            dialog,
            publish,
            demand,
            generation: 0,
            granted: None,
            nonce,
            fresh,
            asker: Asker::default(),
        }
    }

    /// For whoever wants a grant next.
    pub(super) fn asked_by(self, asker: Asker) -> Keeper {
        Keeper { asker, ..self }
    }

    pub(super) async fn run(mut self) {
        loop {
            let generation = self.generation;
            let renewal = self.granted.as_ref().map(|grant| grant.lease_us / RENEW_AT);
            let env = self.dialog.env.clone();
            tokio::select! {
                biased;
                demanded = self.demand.wait_for(|wanted| *wanted > generation) => {
                    if demanded.is_err() {
                        return; // nobody is left to ask
                    }
                }
                () = env.sleep(Duration::from_micros(renewal.unwrap_or(0))), if renewal.is_some() => {}
            }
            let asker = self.asker.lock().take();
            within(asker, self.renew()).await;
        }
    }

    /// Asks until somebody grants, or refuses for good.
    async fn renew(&mut self) {
        let mut backoff = self.dialog.backoff();
        loop {
            let refusal = match self.ask().await {
                Ok(grant) => return self.publish(Ok(grant)),
                Err(refusal) => refusal,
            };
            match refusal.code() {
                Code::SessionGone => self.forget(),
                code if asks_again(code) => {}
                _ => return self.publish(Err(refusal)),
            }
            self.publish
                .send_modify(|state| state.trouble = Some(refusal));
            let far = self.dialog.deadline();
            backoff.pause(far).await;
        }
    }

    fn forget(&mut self) {
        self.granted = None;
        self.nonce = self.dialog.env.random_u128();
    }

    fn publish(&mut self, granted: Result<Grant, Refusal>) {
        self.generation += 1;
        let generation = self.generation;
        let granted = granted.map(|grant| Grant {
            generation,
            ..grant
        });
        if let Ok(grant) = &granted {
            self.dialog.places.set_primary(&grant.primary);
            self.granted = Some(grant.clone());
        }
        let state = State {
            generation,
            granted: Some(granted),
            trouble: None,
        };
        self.publish.send_replace(state);
    }

    async fn ask(&mut self) -> Result<Grant, Refusal> {
        let dialog = self.dialog.clone();
        let patience = dialog.config.attempt_timeout;
        let deadline = dialog.env.now() + patience;
        let placed = dialog.env.timeout(patience, dialog.place()).await;
        let address = placed.map_err(|_| silent("the sequencer"))??;
        let sent = dialog.env.now();
        let asked = dialog.ask_at(&address, self.request(), None, deadline);
        let answered = match dialog.env.timeout(patience, asked).await {
            Ok(Ok(answer)) => match answer.body {
                Some(Body::Session(session)) => {
                    self.fresh.heard(sent, answer.settings_lsn);
                    Ok((session, answer.settings_lsn))
                }
                Some(Body::Refusal(refusal)) => Err(Refusal::from(refusal)),
                _ => Err(crate::ops::odd_answer("the session")),
            },
            Ok(Err(failed)) => Err(failed.into_refusal()),
            Err(_) => Err(silent(&address)),
        };
        match answered {
            Ok(granted) => Ok(self.grant(granted, address)),
            Err(refusal) => {
                if asks_again(refusal.code()) {
                    let deadline = dialog.env.now() + patience;
                    dialog.look_elsewhere(&address, &refusal, deadline).await;
                }
                Err(refusal)
            }
        }
    }

    fn request(&self) -> Op {
        match &self.granted {
            Some(grant) => Op::KeepSession(v1::KeepSession {
                session: grant.session,
            }),
            None => Op::OpenSession(v1::OpenSession {
                client_nonce: Bytes::copy_from_slice(&self.nonce.to_be_bytes()),
            }),
        }
    }

    fn grant(&self, granted: (v1::SessionGranted, u64), primary: String) -> Grant {
        let (granted, settings_lsn) = granted;
        let same = self
            .granted
            .as_ref()
            .filter(|grant| grant.session == granted.session);
        let lease_us = match granted.lease_us {
            0 => dfs_wire::limits::SESSION_LEASE_US,
            lease_us => lease_us,
        };
        Grant {
            generation: 0,
            session: granted.session,
            shard: granted.shard,
            term: granted.term,
            lease_us,
            primary,
            settings: granted.settings.unwrap_or_default(),
            settings_lsn,
            slots: same.map_or_else(|| Slots::new(granted.slots), |grant| grant.slots.clone()),
            extents: same.map_or_else(Arc::default, |grant| grant.extents.clone()),
        }
    }
}
