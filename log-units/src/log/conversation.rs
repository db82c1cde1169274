//! The unit's conversation with the sequencer: Hello, then what became durable; Base, then cuts.

use std::sync::Arc;
use std::time::Duration;

use dfs_env::Env;
use dfs_rpc::roles::{Connector, Requests};
use dfs_wire::v1::unit_report::Report;
use dfs_wire::{Code, Refusal, v1};
use futures::{StreamExt, stream};
use tokio::sync::{mpsc, oneshot, watch};

use crate::log::ledger::Ledger;
use crate::log::owner::Order;

/// A new conversation follows a broken one after so long, doubled each time up to the second
/// number: a failover of the sequencer takes some hundred ms, and ends for clients when units are back.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(100));
/// A conversation in which a cut is expected and nothing is heard for so long is opened anew: the
/// connection may be dead. Doubled each time up to the second number: there may be nothing to cut.
const SILENCE: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(300));
/// Orders given to the owner at once.
const ORDERS_MAX: usize = 64;

pub(crate) struct Conversation {
    pub(crate) env: Env,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) queue: mpsc::Sender<Order>,
    pub(crate) connector: Arc<dyn Connector>,
}

/// What came in one conversation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heard {
    Nothing,
    Base,
    More,
}

impl Conversation {
    /// Until the role stops.
    pub(crate) async fn run(self) {
        let ledger = self.ledger.clone();
        tokio::select! {
            biased;
            () = ledger.stopped() => {}
            () = self.talk_for_ever() => {}
        }
    }

    async fn talk_for_ever(&self) {
        let (mut wait, mut patience) = (BACKOFF.0, SILENCE.0);
        for number in 1.. {
            let mut heard = Heard::Nothing;
            let why = match self.talk(number, patience, &mut heard).await {
                Ok(()) => "the sequencer ended it".to_string(),
                Err(refusal) => format!("{refusal:?}"),
            };
            let unit_id = self.ledger.config.unit_id;
            tracing::info!(unit_id, why, "talk with the sequencer");
            (wait, patience) = match heard {
                Heard::Nothing => ((2 * wait).min(BACKOFF.1), patience),
                Heard::Base => (BACKOFF.0, (2 * patience).min(SILENCE.1)),
                Heard::More => (BACKOFF.0, SILENCE.0),
            };
            let chance = self.env.random_u64() % (wait.as_micros() as u64 / 2 + 1);
            self.env
                .sleep(wait / 2 + Duration::from_micros(chance))
                .await;
        }
    }

    async fn talk(
        &self,
        number: u64,
        patience: Duration,
        heard: &mut Heard,
    ) -> Result<(), Refusal> {
        // Ends the reports with this conversation, whoever still holds them.
        let (_talking, ended) = oneshot::channel::<()>();
        let opening = async {
            let sequencer = self.connector.sequencer().await?;
            sequencer.unit(self.reports(number, ended)).await
        };
        let opened = self.env.timeout(patience, opening).await;
        let orders = opened.map_err(|_| silent())??;
        let mut orders = orders.ready_chunks(ORDERS_MAX);
        loop {
            match self.env.timeout(patience, orders.next()).await {
                Ok(Some(chunk)) => self.hear(chunk, heard).await?,
                Ok(None) => return Ok(()),
                Err(_) if *heard == Heard::Nothing || self.expects_a_cut() => return Err(silent()),
                Err(_) => {}
            }
        }
    }

    async fn hear(
        &self,
        chunk: Vec<Result<v1::UnitOrder, Refusal>>,
        heard: &mut Heard,
    ) -> Result<(), Refusal> {
        let orders: Vec<v1::UnitOrder> = chunk.into_iter().collect::<Result<_, _>>()?;
        let first = *heard == Heard::Nothing;
        if first && !orders.first().is_some_and(is_base) {
            let why = "it did not begin with Base";
            return Err(Refusal::new(Code::Mismatch, "the sequencer's orders", why));
        }
        let more = !first || orders.len() > 1;
        let (reply, told) = oneshot::channel();
        let ended = || Refusal::new(Code::Unavailable, "the unit", "it has stopped");
        let sent = self.queue.send(Order::Told(orders, reply)).await;
        sent.map_err(|_| ended())?;
        told.await.map_err(|_| ended())??;
        *heard = if more { Heard::More } else { Heard::Base };
        Ok(())
    }

    fn expects_a_cut(&self) -> bool {
        self.ledger.state.lock().expects_a_cut()
    }

    fn reports(&self, number: u64, ended: oneshot::Receiver<()>) -> Requests<v1::UnitReport> {
        let hello = self.hello(number);
        let told = Reports {
            ledger: self.ledger.clone(),
            number,
            tellable: self.ledger.watch_tellable(),
            ended,
        };
        let durable = stream::unfold(told, |mut told| async move {
            let durable = told.next().await?;
            Some((report(Report::Durable(durable)), told))
        });
        stream::once(async move { hello }).chain(durable).boxed()
    }

    fn hello(&self, number: u64) -> v1::UnitReport {
        let config = &self.ledger.config;
        let mut state = self.ledger.state.lock();
        report(Report::Hello(state.hello(
            number,
            config.nonce.clone(),
            config.node,
        )))
    }
}

struct Reports {
    ledger: Arc<Ledger>,
    number: u64,
    tellable: watch::Receiver<u64>,
    ended: oneshot::Receiver<()>,
}

impl Reports {
    /// What became durable since; one report covers all of it.
    async fn next(&mut self) -> Option<v1::Durable> {
        loop {
            if self.ended.try_recv() != Err(oneshot::error::TryRecvError::Empty) {
                return None;
            }
            self.tellable.mark_unchanged();
            let durable = self.ledger.state.lock().durable(self.number);
            if let Some(durable) = durable {
                let traces = self.ledger.take_traces();
                return Some(v1::Durable { traces, ..durable });
            }
            tokio::select! {
                biased;
                _ = &mut self.ended => return None,
                changed = self.tellable.changed() => changed.ok()?,
            }
        }
    }
}

fn silent() -> Refusal {
    Refusal::new(Code::Unavailable, "the sequencer", "it fell silent")
}

fn report(report: Report) -> v1::UnitReport {
    v1::UnitReport {
        report: Some(report),
    }
}

fn is_base(order: &v1::UnitOrder) -> bool {
    matches!(order.order, Some(v1::unit_order::Order::Base(_)))
}
