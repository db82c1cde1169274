//! Following: units' stamps up to where this process began to hear cuts, then cut by cut (LOG-R1).
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll};

use dfs_wire::{Code, Refusal, Tag};

use super::cut_queue::{CutEvent, CutQueue, Segment};
use super::hub::{Hub, Known};
use super::scan::{Answered, StripeScan, Wanted};
use crate::follower::Source;
use crate::shared_log::{Batch, Event, Follow, FrameAt, Lsn, wants};

/// Bytes of frames after which a batch is handed over: four steps of a fold.
const BATCH_BYTES: usize = 4 << 20;
/// Events of a batch, for the same reason when frames are small.
const BATCH_EVENTS: usize = 1024;
/// Cuts without a frame of others after which a stripe's scan is closed: most processes only write.
const IDLE_CUTS_MAX: u32 = 256;

pub(super) struct Reader {
    hub: Arc<Hub>,
    tags: Vec<Tag>,
    own: bool,
    /// The first LSN not given out yet.
    next: Lsn,
    /// Where the cuts in `queue` begin; below it units' stamps tell the order.
    joined: Known,
    queue: Arc<CutQueue>,
    past: Option<Past>,
    cuts: VecDeque<Arc<CutEvent>>,
    /// How many segments of the front cut are given out.
    segments_done: usize,
    tails: BTreeMap<u64, Tail>,
    log_time_us: u64,
    events: Vec<Event>,
    bytes: usize,
}

/// A scan of all stripes over [from, joined).
struct Past {
    scans: Vec<StripeScan>,
    from: Lsn,
    counted: u64,
}

/// An endless scan of one stripe.
struct Tail {
    scan: StripeScan,
    /// LSN that the counts begin at.
    from: Lsn,
    /// Records of the stripe as the cuts have it, and as the unit answered.
    expected: u64,
    counted: u64,
    idle_cuts: u32,
}

impl Source for Reader {
    fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Result<Batch, Refusal>> {
        loop {
            let before = self.next;
            let polled = if self.past.is_some() {
                self.poll_past(cx)
            } else if self.queue.has_lagged() {
                self.join();
                continue;
            } else {
                self.poll_cuts(cx)
            };
            if let Err(refusal) = polled {
                return Poll::Ready(Err(refusal));
            }
            if self.next > before {
                return Poll::Ready(Ok(self.batch()));
            }
            let lagged = self.past.is_none() && self.queue.has_lagged();
            if !lagged && polled == Ok(false) {
                return Poll::Pending;
            }
        }
    }

    fn waits_for(&self) -> Option<Refusal> {
        let past = self.past.iter().flat_map(|past| &past.scans);
        let tails = self.tails.values().map(|tail| &tail.scan);
        past.chain(tails).find_map(StripeScan::waits_for)
    }
}

impl Reader {
    /// The hub has heard its first Base.
    pub(super) fn new(hub: Arc<Hub>, from: Lsn, what: Follow) -> Reader {
        let mut reader = Reader {
            hub,
            tags: what.tags,
            own: what.own,
            next: from.max(1),
            joined: Known::default(),
            queue: Arc::default(),
            past: None,
            cuts: VecDeque::new(),
            segments_done: 0,
            tails: BTreeMap::new(),
            log_time_us: 0,
            events: Vec::new(),
            bytes: 0,
        };
        reader.join();
        reader
    }

    /// Hears cuts from now on; what was cut before and is not given out yet is read from units.
    fn join(&mut self) {
        self.joined = self.hub.join(&self.queue);
        self.cuts.clear();
        self.segments_done = 0;
        self.tails.clear();
        let through = self.joined.next_lsn.saturating_sub(1);
        if self.next > through {
            return;
        }
        let from = self.next;
        let scan = |stripe: Arc<dfs_wire::v1::StripeState>| {
            let last_lsn = if stripe.closed {
                stripe.last_lsn.min(through)
            } else {
                through
            };
            let tags = self.tags.iter().map(|tag| tag.0).collect();
            let wanted = Wanted {
                from_lsn: from,
                last_lsn,
                tags,
                except_lanes: Vec::new(),
            };
            StripeScan::new(self.hub.clone(), stripe, wanted)
        };
        let scans = self
            .hub
            .stripes(from, through)
            .into_iter()
            .map(scan)
            .collect();
        self.past = Some(Past {
            scans,
            from,
            counted: 0,
        });
    }

    fn batch(&mut self) -> Batch {
        self.bytes = 0;
        let (lsn, log_time_us) = (self.next - 1, self.log_time_us);
        let mut events = std::mem::take(&mut self.events);
        events.push(Event::Through { lsn, log_time_us });
        Batch { events }
    }

    fn is_full(&self) -> bool {
        self.bytes >= BATCH_BYTES || self.events.len() >= BATCH_EVENTS
    }

    fn give(&mut self, at: FrameAt) {
        if wants(&self.tags, &at.frame.header.tags) {
            self.bytes += at.frame.bytes().len();
            self.events.push(Event::Frame(at));
        }
    }

    /// Merges what all stripes have answered. False: nothing more for now.
    fn poll_past(&mut self, cx: &mut Context<'_>) -> Result<bool, Refusal> {
        let Some(mut past) = self.past.take() else {
            return Ok(false);
        };
        let last = self.joined.next_lsn - 1;
        for scan in &mut past.scans {
            scan.poll(cx, last)?;
        }
        let covered = past
            .scans
            .iter()
            .map(StripeScan::covered)
            .fold(last, Lsn::min);
        if covered >= self.next {
            let (mut frames, mut straddling) = (Vec::new(), 0);
            for scan in &mut past.scans {
                let answered = scan.take(covered, &mut frames);
                past.counted += answered.count;
                straddling += answered.straddling;
            }
            let answered = Answered {
                count: past.counted,
                straddling,
            };
            check_coverage(past.from, covered, covered + 1 - past.from, &answered)?;
            frames.sort_unstable_by_key(|at| at.first_lsn);
            for at in frames {
                self.log_time_us = self.log_time_us.max(at.log_time_us);
                self.give(at);
            }
            self.next = covered + 1;
        }
        if covered < last {
            self.past = Some(past);
        } else {
            self.log_time_us = self.joined.log_time_us;
        }
        Ok(false)
    }

    /// Gives out cuts, own frames at once, those of others as their stripes answer.
    fn poll_cuts(&mut self, cx: &mut Context<'_>) -> Result<bool, Refusal> {
        while !self.is_full() {
            let Some(cut) = self.cuts.front().cloned() else {
                self.cuts = self.queue.take(cx);
                if self.cuts.is_empty() {
                    return Ok(false);
                }
                continue;
            };
            while let Some(segment) = cut.segments.get(self.segments_done) {
                if segment.last_lsn >= self.next && !self.poll_segment(cx, segment)? {
                    return Ok(false);
                }
                self.segments_done += 1;
            }
            self.log_time_us = cut.log_time_us;
            self.cuts.pop_front();
            self.segments_done = 0;
            self.tails.retain(|_, tail| {
                tail.idle_cuts += 1;
                tail.idle_cuts <= IDLE_CUTS_MAX
            });
        }
        Ok(true)
    }

    /// False: the stripe has not answered yet.
    fn poll_segment(&mut self, cx: &mut Context<'_>, segment: &Segment) -> Result<bool, Refusal> {
        let own = if self.own { segment.own.as_ref() } else { None };
        if let Some(frames) = own {
            if let Some(tail) = self.tails.get_mut(&segment.stripe) {
                tail.pass(cx, segment)?;
            }
            let next = self.next;
            frames
                .iter()
                .filter(|at| at.last_lsn() >= next)
                .for_each(|at| self.give(at.clone()));
        } else {
            let from = self.next.max(segment.first_lsn);
            let tail = self.tails.get(&segment.stripe);
            if tail.is_none_or(|tail| tail.scan.leaves_out(segment.lane)) {
                self.open_tail(segment.stripe, from)?;
            }
            loop {
                let tail = self.tails.get_mut(&segment.stripe).expect("just opened");
                let (through, frames) = tail.read(cx, segment)?;
                if through < self.next {
                    return Ok(false);
                }
                frames.into_iter().for_each(|at| self.give(at));
                self.next = through + 1;
                if through == segment.last_lsn {
                    return Ok(true);
                }
            }
        }
        self.next = segment.last_lsn + 1;
        Ok(true)
    }

    fn open_tail(&mut self, stripe: u64, from: Lsn) -> Result<(), Refusal> {
        let unknown = || Refusal::new(Code::Absent, format!("stripe {stripe}"), "never opened");
        let state = self.hub.stripe(stripe).ok_or_else(unknown)?;
        let mut except_lanes = match self.own {
            true => self.hub.own_lanes(),
            false => Vec::new(),
        };
        // Some cuts that wait here may have come without frames of a lane that has been found since.
        let waiting = self.cuts.iter().flat_map(|cut| &cut.segments);
        for segment in waiting.filter(|segment| segment.own.is_none()) {
            except_lanes.retain(|lane| *lane != segment.lane);
        }
        let tags = self.tags.iter().map(|tag| tag.0).collect();
        let wanted = Wanted {
            from_lsn: from,
            last_lsn: 0,
            tags,
            except_lanes,
        };
        let scan = StripeScan::new(self.hub.clone(), state, wanted);
        let tail = Tail {
            scan,
            from,
            expected: 0,
            counted: 0,
            idle_cuts: 0,
        };
        self.tails.insert(stripe, tail);
        Ok(())
    }
}

impl Tail {
    /// A segment that was delivered from memory: the unit tells of it too, sooner or later.
    fn pass(&mut self, cx: &mut Context<'_>, segment: &Segment) -> Result<(), Refusal> {
        self.scan.poll(cx, 0)?;
        self.expected += segment.count();
        self.counted += self.scan.take(segment.last_lsn, &mut Vec::new()).count;
        Ok(())
    }

    /// What the stripe has answered of the segment: through which LSN, and the frames not given out before.
    fn read(
        &mut self,
        cx: &mut Context<'_>,
        segment: &Segment,
    ) -> Result<(Lsn, Vec<FrameAt>), Refusal> {
        self.idle_cuts = 0;
        self.scan.poll(cx, segment.last_lsn)?;
        let through = self.scan.covered().min(segment.last_lsn);
        let mut frames = Vec::new();
        if through < segment.first_lsn {
            return Ok((through, frames));
        }
        let answered = self.scan.take(through, &mut frames);
        self.counted += answered.count;
        let expected = self.expected + (through + 1 - segment.first_lsn.max(self.from));
        let answered = Answered {
            count: self.counted,
            ..answered
        };
        check_coverage(self.from, through, expected, &answered)?;
        if through == segment.last_lsn {
            self.expected = expected;
        }
        // Before the segment lie only own frames, of a lane opened after the scan.
        frames.retain(|at| at.last_lsn() >= segment.first_lsn);
        frames.iter().try_for_each(|at| check_place(segment, at))?;
        Ok((through, frames))
    }
}

/// The cut and the unit tell the same of a frame.
fn check_place(segment: &Segment, at: &FrameAt) -> Result<(), Refusal> {
    let header = &at.frame.header;
    let idx = at
        .first_lsn
        .checked_sub(segment.first_lsn)
        .map(|n| n + segment.from_idx);
    if header.lane == segment.lane && Some(header.first_idx) == idx {
        return Ok(());
    }
    let why = format!("the cut has lane {} there", segment.lane);
    let what = format!("frame at LSN {}", at.first_lsn);
    Err(Refusal::new(Code::Corrupt, what, why).at(at.first_lsn))
}

/// LOG-R2: frames and skips add up to what lies there. A skip that goes on beyond `through` can be
/// counted only roughly until its end is reached.
fn check_coverage(
    from: Lsn,
    through: Lsn,
    expected: u64,
    answered: &Answered,
) -> Result<(), Refusal> {
    let Answered { count, straddling } = *answered;
    if count <= expected && expected <= count + straddling {
        return Ok(());
    }
    let what = format!("log from LSN {from} to {through}");
    let why = format!("units answered for {count} of {expected} records (LOG-R2)");
    Err(Refusal::new(Code::Corrupt, what, why).at(from))
}
