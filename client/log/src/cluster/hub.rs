//! What this process knows of the order: one subscription, shared by its lanes and followers.
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use dfs_env::Env;
use dfs_rpc::roles::Connector;
use dfs_wire::{Code, Refusal, v1};
use futures::StreamExt;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::cut_queue::{CutEvent, CutQueue, Segment};
use super::finding::{self, Finding};
use super::lane::Lane;
use super::retry;
use crate::appender::FramePlace;
use crate::machine::Settled;
use crate::outcome::Outcome;
use crate::shared_log::Lsn;

/// A stream that says nothing for so long, while cuts must have been made, is opened anew.
const SILENCE_TIME: Duration = Duration::from_secs(2);
/// Addresses are asked for at most so often: a new subscription costs everybody some latency.
const REFRESH_EVERY: Duration = Duration::from_secs(10);

pub(super) struct Hub {
    pub(super) env: Env,
    pub(super) connector: Arc<dyn Connector>,
    node: v1::Owner,
    state: Mutex<State>,
    first_base: Arc<Outcome<()>>,
    /// Somebody met an address that does not answer: Base tells the new one.
    refresh: Notify,
}

#[derive(Default)]
struct State {
    known: Option<Known>,
    lanes: BTreeMap<u64, KnownLane>,
    stripes: BTreeMap<u64, Arc<v1::StripeState>>,
    /// Lanes of this process that may still be cut.
    own: BTreeMap<u64, Arc<Lane>>,
    /// Of those, the ones that missed cuts.
    finding: Finding,
    followers: Vec<Weak<CutQueue>>,
    /// The end, as somebody was answered.
    end: Lsn,
    /// Records below are gone.
    trim_lsn: Lsn,
}

/// What is known of every lane.
#[derive(Clone, Copy)]
struct KnownLane {
    stripe: u64,
    /// LOG-I6: nothing of it is cut beyond.
    final_length: Option<u64>,
}

/// The end, as heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) cut_seq: u64,
    pub(super) next_lsn: Lsn,
    pub(super) log_time_us: u64,
}

impl Hub {
    pub(super) fn new(env: Env, connector: Arc<dyn Connector>, node: v1::Owner) -> Arc<Hub> {
        let (state, first_base) = (Mutex::default(), Outcome::new());
        Arc::new(Hub {
            env,
            connector,
            node,
            state,
            first_base,
            refresh: Notify::new(),
        })
    }

    /// Waits for the first Base.
    pub(super) async fn ready(&self) {
        self.first_base.wait().await;
    }

    pub(super) fn known(&self) -> Option<Known> {
        self.state.lock().known
    }

    /// LOG.md §8: whoever asks for less gets TRIMMED, never a gap.
    pub(super) fn check_trim(&self, from: Lsn) -> Result<(), Refusal> {
        let trim_lsn = self.state.lock().trim_lsn;
        if from >= trim_lsn {
            return Ok(());
        }
        let why = format!("the log begins at LSN {trim_lsn}");
        let advice = "Begin there; `log usage` says what is kept";
        let what = format!("cannot read the log at LSN {from}");
        let refusal = Refusal::new(Code::Trimmed, what, why);
        Err(refusal.advice(advice).at(trim_lsn))
    }

    /// Somebody was told of this end.
    pub(super) fn note_end(&self, next_lsn: Lsn) {
        let mut state = self.state.lock();
        state.end = state.end.max(next_lsn);
    }

    /// What is known, if there must be more: an end beyond it, or records on their way.
    fn expects_more(&self) -> Option<Known> {
        let state = self.state.lock();
        let known = state.known.unwrap_or_default();
        let uncut = |lane: &Arc<Lane>| lane.has_uncut();
        (state.end > known.next_lsn || state.own.values().any(uncut)).then_some(known)
    }

    /// Asks for a new Base, with new addresses.
    pub(super) fn refresh(&self) {
        self.refresh.notify_one();
    }

    /// Tells a queue every cut from now on; where that begins.
    pub(super) fn join(&self, queue: &Arc<CutQueue>) -> Known {
        let mut state = self.state.lock();
        queue.reset();
        let itself = Arc::downgrade(queue);
        state
            .followers
            .retain(|other| other.strong_count() > 0 && !other.ptr_eq(&itself));
        state.followers.push(itself);
        state.known.unwrap_or_default()
    }

    /// Stripes that may hold LSNs in [first, last].
    pub(super) fn stripes(&self, first: Lsn, last: Lsn) -> Vec<Arc<v1::StripeState>> {
        let state = self.state.lock();
        let holds = |stripe: &&Arc<v1::StripeState>| {
            stripe.first_lsn <= last && (!stripe.closed || stripe.last_lsn >= first)
        };
        state.stripes.values().filter(holds).cloned().collect()
    }

    pub(super) fn stripe(&self, id: u64) -> Option<Arc<v1::StripeState>> {
        self.state.lock().stripes.get(&id).cloned()
    }

    /// The newest address of a unit.
    pub(super) fn address(&self, stripe: u64, unit_id: u64) -> Option<String> {
        let stripe = self.stripe(stripe)?;
        let mut units = stripe.units.iter().chain(&stripe.copies);
        let unit = units.find(|unit| unit.unit_id == unit_id)?;
        Some(unit.address.clone())
    }

    /// Lanes of this process whose frames come from its memory, at every cut from now on.
    pub(super) fn own_lanes(&self) -> Vec<u64> {
        let state = self.state.lock();
        let own = state.own.keys().copied();
        own.filter(|lane| !state.finding.holds(*lane)).collect()
    }

    pub(super) fn add_lane(&self, lane: Arc<Lane>) {
        self.state.lock().own.insert(lane.id(), lane);
    }

    pub(super) fn forget_lane(&self, lane: u64) {
        self.state.lock().own.remove(&lane);
    }

    pub(super) fn lagging(&self) -> Vec<v1::UnitLag> {
        let own: Vec<_> = self.state.lock().own.values().cloned().collect();
        own.iter().flat_map(|lane| lane.lagging()).collect()
    }

    fn hear(self: &Arc<Self>, event: v1::LogEvent) -> Result<(), Refusal> {
        use v1::log_event::Event as E;
        match event.event {
            Some(E::Base(base)) => {
                self.hear_base(&base)?;
                self.hear_seals(&base);
            }
            Some(E::Cut(cut)) => self.hear_cut(&cut)?,
            Some(E::LaneOpened(lane)) => {
                let mut state = self.state.lock();
                let known = KnownLane {
                    stripe: lane.stripe,
                    final_length: None,
                };
                state.lanes.entry(lane.lane).or_insert(known);
            }
            Some(E::LaneSealed(sealed)) => self.hear_seal(sealed.lane, sealed.final_length),
            Some(E::StripeOpened(opened)) => {
                if let Some(stripe) = opened.stripe {
                    self.state
                        .lock()
                        .stripes
                        .insert(stripe.stripe, Arc::new(stripe));
                }
            }
            Some(E::StripeClosed(closed)) => {
                if let Some(stripe) = self.state.lock().stripes.get_mut(&closed.stripe) {
                    let stripe = Arc::make_mut(stripe);
                    (stripe.last_lsn, stripe.closed) = (closed.last_lsn, true);
                }
            }
            Some(E::Trimmed(trimmed)) => self.state.lock().trim(trimmed.trim_lsn),
            Some(E::StripeChanged(changed)) => {
                if let Some(stripe) = changed.stripe {
                    let mut state = self.state.lock();
                    state.stripes.insert(stripe.stripe, Arc::new(stripe));
                }
            }
            None => {}
        }
        Ok(())
    }

    /// LOG-R1: the cuts that Base holds close the gap, or units tell what happened in it.
    fn hear_base(self: &Arc<Self>, base: &v1::Base) -> Result<(), Refusal> {
        let before = {
            let mut state = self.state.lock();
            if state
                .known
                .is_some_and(|known| base.cut_seq < known.cut_seq)
            {
                let why = "its cuts end before those that were heard";
                return Err(Refusal::new(Code::Unavailable, "sequencer", why));
            }
            state.learn(base);
            let before = *state.known.get_or_insert(Known::at(base));
            self.first_base.set(());
            before
        };
        let missed: Vec<_> = base
            .cuts
            .iter()
            .filter(|c| c.cut_seq > before.cut_seq)
            .collect();
        let first = missed.first().map_or(base.cut_seq + 1, |cut| cut.cut_seq);
        if first == before.cut_seq + 1 {
            return missed.into_iter().try_for_each(|cut| self.hear_cut(cut));
        }
        self.pass_over(base, before.next_lsn);
        Ok(())
    }

    /// Cuts are missing: followers read from units what lies there, and own frames that were cut
    /// meanwhile get their LSNs from the units' stamps.
    fn pass_over(self: &Arc<Self>, base: &v1::Base, from: Lsn) {
        let round = {
            let mut state = self.state.lock();
            state.known = Some(Known::at(base));
            let behind = |lane: &v1::LaneState| {
                let own = state.own.get(&lane.lane)?;
                (own.cut_idx() < lane.length).then(|| own.clone())
            };
            let behind: Vec<Arc<Lane>> = base.lanes.iter().filter_map(behind).collect();
            let round =
                (!behind.is_empty()).then(|| state.finding.begin(behind, from, base.next_lsn));
            state.followers().for_each(|queue| queue.lag());
            round
        };
        if let Some(round) = round {
            let search = finding::run(self.clone(), round);
            self.env.spawn("missed records", search);
        }
    }

    /// Base tells of seals as well: the event was missed.
    fn hear_seals(&self, base: &v1::Base) {
        for lane in base.lanes.iter().filter(|lane| lane.sealed) {
            self.hear_seal(lane.lane, lane.length);
        }
    }

    /// It stays here until all below its final length is cut, or found.
    pub(super) fn hear_seal(&self, lane: u64, final_length: u64) {
        let own = {
            let mut state = self.state.lock();
            if let Some(known) = state.lanes.get_mut(&lane) {
                known.final_length = Some(final_length);
            }
            state.own.get(&lane).cloned()
        };
        own.into_iter().for_each(|lane| lane.seal(final_length));
    }

    pub(super) fn with_finding<T>(&self, f: impl FnOnce(&mut Finding) -> T) -> T {
        f(&mut self.state.lock().finding)
    }

    fn hear_cut(&self, cut: &v1::Cut) -> Result<(), Refusal> {
        let settled = {
            let mut state = self.state.lock();
            let known = state.known.unwrap_or_default();
            if cut.cut_seq <= known.cut_seq {
                return Ok(());
            }
            if cut.cut_seq != known.cut_seq + 1 || cut.first_lsn != known.next_lsn {
                let why = format!("cut {} after {}", cut.cut_seq, known.cut_seq);
                return Err(Refusal::new(Code::Unavailable, "stream of cuts", why));
            }
            state.apply(cut)?
        };
        for (lane, settled) in settled {
            lane.answer(settled);
        }
        Ok(())
    }
}

/// Who may serve a stripe: its own units, and those that have copied all of it.
pub(super) fn holders(stripe: &v1::StripeState) -> impl Iterator<Item = &v1::UnitRef> {
    let whole = |unit: &&v1::UnitRef| stripe.locations.contains(&unit.unit_id);
    stripe
        .units
        .iter()
        .chain(stripe.copies.iter().filter(whole))
}

impl Known {
    fn at(base: &v1::Base) -> Known {
        let v1::Base {
            cut_seq,
            next_lsn,
            log_time_us,
            ..
        } = *base;
        Known {
            cut_seq,
            next_lsn,
            log_time_us,
        }
    }
}

impl State {
    fn trim(&mut self, trim_lsn: Lsn) {
        self.trim_lsn = self.trim_lsn.max(trim_lsn);
    }

    fn learn(&mut self, base: &v1::Base) {
        self.trim(base.trim_lsn);
        for lane in &base.lanes {
            let known = self.lanes.entry(lane.lane).or_insert(KnownLane {
                stripe: lane.stripe,
                final_length: None,
            });
            let sealed = lane.sealed.then_some(lane.length);
            known.final_length = known.final_length.or(sealed);
        }
        let stripes = base.stripes.iter();
        self.stripes
            .extend(stripes.map(|stripe| (stripe.stripe, Arc::new(stripe.clone()))));
    }

    fn followers(&mut self) -> impl Iterator<Item = Arc<CutQueue>> + '_ {
        self.followers.iter().filter_map(Weak::upgrade)
    }

    /// LOG-I6: records that were sent again would lie in the log twice. Nothing is heard beyond such a cut.
    fn check_run(&self, run: &v1::CutLane) -> Result<(), Refusal> {
        let (lane, to_idx) = (run.lane, run.to_idx);
        let Some(known) = self.lanes.get(&lane) else {
            let why = format!("lane {lane} was cut and never opened");
            return Err(Refusal::new(Code::Unavailable, "stream of cuts", why));
        };
        match known.final_length {
            Some(final_length) if to_idx > final_length => {
                tracing::error!(lane, final_length, to_idx, "I6: a sealed lane was cut");
                let why =
                    format!("lane {lane} was sealed at {final_length} and cut up to {to_idx}");
                Err(Refusal::new(Code::Corrupt, "stream of cuts", why))
            }
            _ => Ok(()),
        }
    }

    /// Followers get the cut before anybody hears of its own records, so that who was answered finds
    /// the fold already woken.
    fn apply(&mut self, cut: &v1::Cut) -> Result<Vec<(Arc<Lane>, Settled)>, Refusal> {
        cut.lanes.iter().try_for_each(|run| self.check_run(run))?;
        if cut.lanes.iter().any(|run| !self.finding.has_room(run.lane)) {
            let why = "records of a lane that were missed are not found yet";
            return Err(Refusal::new(Code::Unavailable, "stream of cuts", why));
        }
        let (mut segments, mut all) = (Vec::with_capacity(cut.lanes.len()), Vec::new());
        let mut first_lsn = cut.first_lsn;
        let mut disagreed = false;
        for run in &cut.lanes {
            let place = FramePlace {
                first_lsn,
                log_time_us: cut.log_time_us,
                cut_seq: cut.cut_seq,
            };
            let mut own = None;
            if self.finding.holds(run.lane) {
                self.finding.cut(*run, place);
            } else if let Some(lane) = self.own.get(&run.lane).cloned() {
                match lane.cut(run, place) {
                    Some(mut settled) => {
                        own = Some(std::mem::take(&mut settled.frames));
                        all.push((lane, settled));
                    }
                    None => disagreed |= self.own.remove(&run.lane).is_some(),
                }
            }
            let stripe = self.lanes[&run.lane].stripe;
            let next = first_lsn + (run.to_idx - run.from_idx);
            let (lane, from_idx, last_lsn) = (run.lane, run.from_idx, next - 1);
            segments.push(Segment {
                lane,
                stripe,
                from_idx,
                first_lsn,
                last_lsn,
                own,
            });
            first_lsn = next;
        }
        let log_time_us = cut.log_time_us;
        self.known = Some(Known {
            cut_seq: cut.cut_seq,
            next_lsn: first_lsn,
            log_time_us,
        });
        let event = Arc::new(CutEvent::new(log_time_us, segments));
        self.followers().for_each(|queue| queue.push(&event));
        if disagreed {
            // Scans that leave the lane out must not go on without it.
            self.followers().for_each(|queue| queue.lag());
        }
        Ok(all)
    }
}

/// Cuts are heard for as long as it is there. Then nothing settles a lane any more, and those that are known
/// here, which hold the hub, are let go of.
struct Listening(Arc<Hub>);

impl Drop for Listening {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        let lanes = (
            std::mem::take(&mut state.own),
            std::mem::take(&mut state.finding),
        );
        drop(state);
        drop(lanes);
    }
}

/// Listens until its group of tasks ends.
pub(super) async fn run(hub: Arc<Hub>) {
    let listening = Listening(hub);
    let hub = &listening.0;
    let mut failures = 0;
    loop {
        let before = hub.known();
        let Err(refusal) = listen(hub).await else {
            continue;
        };
        tracing::debug!(%refusal, "the stream of cuts broke");
        failures = if hub.known() == before {
            failures + 1
        } else {
            1
        };
        hub.env.sleep(retry::pause(failures)).await;
    }
}

/// Hears events until the stream breaks, or until there is a reason to ask for a new Base.
async fn listen(hub: &Arc<Hub>) -> Result<(), Refusal> {
    let request = v1::SubscribeRequest {
        node: Some(hub.node),
    };
    let subscribed = async { hub.connector.sequencer().await?.subscribe(request).await };
    let mut events = retry::attempt(hub, "stream of cuts", subscribed).await?;
    let begun = hub.env.now();
    let mut silence = Silence::default();
    loop {
        let sleep = hub.env.sleep(SILENCE_TIME);
        tokio::pin!(sleep);
        loop {
            tokio::select! {
                biased;
                event = events.next() => match event {
                    Some(event) => hub.hear(event?)?,
                    None => return Err(Refusal::new(Code::Unavailable, "stream of cuts", "it ended")),
                },
                () = hub.refresh.notified() => {
                    if hub.env.now() - begun >= REFRESH_EVERY {
                        return Ok(());
                    }
                }
                () = &mut sleep => break,
            }
        }
        if silence.is_suspect(hub) {
            return Ok(());
        }
    }
}

/// Tells a stream that has fallen silent from a log that has nothing to say.
#[derive(Default)]
struct Silence {
    /// What was known when something was expected, if it was.
    expected_at: Option<Known>,
}

impl Silence {
    /// True when something has been expected for a whole `SILENCE_TIME`, and nothing was heard.
    fn is_suspect(&mut self, hub: &Hub) -> bool {
        let now = hub.expects_more();
        let suspect = now.is_some() && now == self.expected_at;
        self.expected_at = now;
        suspect
    }
}
