//! The board: the applied order and the leader's memory under one lock, and everyone who is told of it.
//!
//! What is told is queued under the same lock under which it was applied, so Base and what follows it
//! have no gap, and nobody hears of anything that is not applied (LOG-D4).
use crate::membership::holdings::Holdings;
use crate::membership::placement::{Redundancy, Sight};
use crate::membership::pulses::Pulses;
use crate::membership::watches::Watches;
use crate::order::command::{Command, Kind};
use crate::order::{Effects, Event, Order, Outcome};
use crate::traced::Traced;
use dfs_env::Env;
use dfs_wire::{Refusal, v1};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

/// Events queued for one listener: about a second of cuts. Whoever is slower is cut off and asks again.
const EVENTS_QUEUED: usize = 1_024;

pub(crate) struct Board {
    env: Env,
    started: Instant,
    seen: Mutex<Seen>,
    members: watch::Sender<Arc<v1::Members>>,
    /// Something may have advanced (LOG-D3).
    pub(crate) stirred: Notify,
    /// Somebody beats again, after nobody did.
    pub(crate) woken: Notify,
    /// There are verdicts to propose.
    pub(crate) judged: Notify,
    /// The log was found to have gone back: this voter must not cut (LOG-U9).
    pub(crate) condemned: Notify,
}

/// Everything a decision looks at.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) order: Order,
    pub(crate) holdings: Holdings,
    pub(crate) pulses: Pulses,
    pub(crate) watches: Watches,
    /// What the watches have found, until it is proposed: what one look finds.
    pub(crate) verdicts: VecDeque<Kind>,
    /// Whether this voter leads, and has applied what came before its term.
    pub(crate) leads: bool,
    /// Whether everything that was durable here at the start is applied: before that, the order may be
    /// older than what others have heard from it already.
    pub(crate) recovered: bool,
    /// LOG-U9: why this voter will not lead until a person has looked and started it again.
    pub(crate) went_back: Option<Refusal>,
    /// Cuts held from which on closed stripes hold back none.
    pub(crate) set_aside_from: usize,
    /// Sampled requests on their way to a cut.
    pub(crate) traced: Traced,
    streams: u64,
    subscribers: Vec<mpsc::Sender<v1::LogEvent>>,
    units: BTreeMap<u64, UnitOutlet>,
}

struct UnitOutlet {
    stream: u64,
    orders: mpsc::Sender<v1::UnitOrder>,
}

impl Seen {
    pub(crate) fn sight(&self) -> Sight<'_> {
        Sight {
            order: &self.order,
            holdings: &self.holdings,
            pulses: &self.pulses,
        }
    }

    /// LOG-D5, D6: looks for what is lost, once everything found before is proposed.
    pub(crate) fn judge(&mut self, redundancy: Redundancy, now_us: u64) {
        if !self.leads || !self.verdicts.is_empty() {
            return;
        }
        let mut watches = std::mem::take(&mut self.watches);
        self.verdicts = watches.look(&self.sight(), redundancy, now_us).into();
        self.watches = watches;
    }

    /// Conversations are numbered, so that a late word of an old one is known for what it is.
    pub(crate) fn next_stream(&mut self) -> u64 {
        self.streams += 1;
        self.streams
    }

    pub(crate) fn unit_ref(&self, id: u64) -> Option<v1::UnitRef> {
        let mut unit = self.order.unit_ref(id)?;
        let sight = self.sight();
        unit.live = sight.is_there(id);
        unit.full = sight.is_full(id);
        if let Some(space) = self.pulses.space(&self.order, unit.node_id, id) {
            unit.total_bytes = space.total_bytes;
            unit.available_bytes = space.available_bytes;
        }
        Some(unit)
    }

    pub(crate) fn members(&self) -> v1::Members {
        let members = self.order.members.iter().map(|(id, member)| {
            let beat = self.pulses.last_beat(&self.order, *id);
            v1::Member {
                node_id: *id,
                incarnation: member.incarnation,
                roles: member.roles.clone(),
                address: member.address.clone(),
                rack: member.rack.clone(),
                rank: member.rank,
                gone: !self.pulses.is_beating(&self.order, *id),
                stepped_down: beat
                    .map(|beat| beat.stepped_down.clone())
                    .unwrap_or_default(),
                applied_lsn: beat.map_or(0, |beat| beat.applied_lsn),
                durable_lsn: beat.map_or(0, |beat| beat.durable_lsn),
                removed: member.removed,
                replica_of: beat.map(|beat| beat.replica_of.clone()).unwrap_or_default(),
                ready_for: beat.map(|beat| beat.ready_for.clone()).unwrap_or_default(),
            }
        });
        let units = self.order.units.keys().filter_map(|id| self.unit_ref(*id));
        v1::Members {
            members: members.collect(),
            units: units.collect(),
        }
    }

    fn publish(&mut self, event: &Event) {
        if !self.units.is_empty()
            && let Some(order) = order_of(event)
        {
            self.units
                .retain(|_, outlet| outlet.orders.try_send(order.clone()).is_ok());
        }
        let told = |subscriber: &mpsc::Sender<v1::LogEvent>| {
            subscriber
                .try_send(v1::LogEvent {
                    event: Some(event.clone()),
                })
                .is_ok()
        };
        self.subscribers.retain(told);
    }
}

/// What units hear of an event, if anything.
fn order_of(event: &Event) -> Option<v1::UnitOrder> {
    use v1::unit_order::Order as ForUnit;
    let order = match event {
        Event::Base(base) => ForUnit::Base(base.clone()),
        Event::Cut(cut) => ForUnit::Cut(cut.clone()),
        Event::LaneOpened(opened) => ForUnit::LaneOpened(opened.clone()),
        Event::LaneSealed(sealed) => ForUnit::LaneSealed(*sealed),
        Event::Trimmed(trimmed) => ForUnit::Trimmed(*trimmed),
        Event::StripeClosed(closed) => ForUnit::StripeClosed(*closed),
        Event::StripeChanged(changed) => ForUnit::StripeChanged(changed.clone()),
        // Else nobody would answer for one that has no lane yet.
        Event::StripeOpened(opened) => ForUnit::StripeChanged(v1::StripeChanged {
            stripe: opened.stripe.clone(),
            lanes: Vec::new(),
            raft_index: opened.raft_index,
        }),
    };
    Some(v1::UnitOrder { order: Some(order) })
}

impl Board {
    pub(crate) fn new(env: Env) -> Arc<Board> {
        let started = env.now();
        let members = watch::Sender::new(Arc::default());
        let (stirred, woken, judged, condemned) =
            (Notify::new(), Notify::new(), Notify::new(), Notify::new());
        Arc::new(Board {
            env,
            started,
            seen: Mutex::default(),
            members,
            stirred,
            woken,
            judged,
            condemned,
        })
    }

    pub(crate) fn env(&self) -> &Env {
        &self.env
    }

    /// Looks, or changes the leader's memory. `f` must not wait.
    pub(crate) fn with<T>(&self, f: impl FnOnce(&mut Seen) -> T) -> T {
        f(&mut self.seen.lock())
    }

    /// LOG-U9: nothing is decided any more on a log that went back.
    pub(crate) fn sound(&self) -> Result<(), Refusal> {
        let went_back = self.with(|seen| seen.went_back.clone());
        went_back.map_or(Ok(()), Err)
    }

    /// µs of the monotonic clock since the start.
    pub(crate) fn now_us(&self) -> u64 {
        self.env.now().duration_since(self.started).as_micros() as u64
    }

    /// The median of the members' clocks, this one included (LOG.md §2).
    pub(crate) fn clock_us(&self, seen: &Seen) -> u64 {
        seen.pulses.clock_us(self.now_us(), self.env.wall_us())
    }

    /// Carries out a committed command and tells everyone.
    pub(crate) fn apply(&self, index: u64, command: &Command) -> Outcome {
        let mut seen = self.seen.lock();
        let Effects {
            outcome,
            events,
            members_changed,
        } = seen.order.apply(index, command);
        for event in &events {
            if let Event::Cut(cut) = event {
                let Seen { holdings, .. } = &mut *seen;
                holdings.cut(cut);
            }
            if let Event::Trimmed(_) = event {
                let Seen {
                    holdings, order, ..
                } = &mut *seen;
                holdings.trimmed(order);
            }
            seen.publish(event);
        }
        if members_changed {
            let Seen {
                holdings, order, ..
            } = &mut *seen;
            holdings.drop_dead(order);
            self.tell_members(&seen);
        }
        outcome
    }

    /// The order of a snapshot: whoever listens begins anew with its Base.
    pub(crate) fn install(&self, order: Order) {
        let mut seen = self.seen.lock();
        seen.order = order;
        seen.holdings = Holdings::default();
        seen.subscribers.clear();
        seen.units.clear();
        self.tell_members(&seen);
    }

    pub(crate) fn encode_order(&self) -> Vec<u8> {
        self.seen.lock().order.encode()
    }

    /// Leadership was won (everything before it is applied) or lost: a leader's memory begins empty.
    ///
    /// Whoever listens to a leader that was deposed looks for the next one: what it does is heard there first.
    pub(crate) fn lead(&self, leads: bool) {
        let mut seen = self.seen.lock();
        if seen.leads && !leads {
            seen.subscribers.clear();
        }
        seen.leads = leads;
        seen.holdings = Holdings::default();
        seen.pulses = Pulses::default();
        seen.traced.forget();
        (seen.watches, seen.verdicts) = Default::default();
        seen.units.clear();
        self.tell_members(&seen);
    }

    /// Base, then every event in apply order; `None` before the start is done. It ends when the
    /// listener is too slow.
    pub(crate) fn subscribe(&self) -> Option<mpsc::Receiver<v1::LogEvent>> {
        let (events, listener) = mpsc::channel(EVENTS_QUEUED);
        let mut seen = self.seen.lock();
        if !seen.recovered {
            return None;
        }
        let base = v1::LogEvent {
            event: Some(Event::Base(seen.order.base())),
        };
        if events.try_send(base).is_ok() {
            seen.subscribers
                .retain(|subscriber| !subscriber.is_closed());
            seen.subscribers.push(events);
        }
        Some(listener)
    }

    /// A unit that said Hello: its Base and its orders. A former conversation of it ends.
    pub(crate) fn join_unit(
        &self,
        seen: &mut Seen,
        hello: &v1::UnitHello,
        stream: u64,
    ) -> mpsc::Receiver<v1::UnitOrder> {
        let (orders, listener) = mpsc::channel(EVENTS_QUEUED);
        if let Some(base) = order_of(&Event::Base(seen.order.base_for(hello.unit_id))) {
            let _fits = orders.try_send(base);
        }
        seen.units
            .insert(hello.unit_id, UnitOutlet { stream, orders });
        let Seen {
            holdings, order, ..
        } = seen;
        holdings.hello(order, hello, stream, self.now_us());
        self.tell_members(seen);
        self.stirred.notify_one();
        listener
    }

    /// A unit's conversation ended.
    pub(crate) fn leave_unit(&self, unit: u64, stream: u64) {
        let mut seen = self.seen.lock();
        if seen
            .units
            .get(&unit)
            .is_some_and(|outlet| outlet.stream == stream)
        {
            seen.units.remove(&unit);
        }
        if seen.holdings.closed(unit, stream) {
            self.tell_members(&seen);
        }
    }

    pub(crate) fn tell_members(&self, seen: &Seen) {
        let now = seen.members();
        self.members.send_if_modified(|told| {
            let differs = **told != now;
            if differs {
                *told = Arc::new(now);
            }
            differs
        });
    }

    pub(crate) fn watch_members(&self) -> watch::Receiver<Arc<v1::Members>> {
        self.members.subscribe()
    }
}
