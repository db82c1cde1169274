//! A shard alone, for tests: plans in flight, frames, a fold; no log, no machinery.
use crate::fold::{FoldFrame, Folded, Folder, Halt};
use crate::plan::{self, Context, CopySource, Ids, Overlay, Planned, Planning, Ticket, Unplanned};
use crate::read::{self, At};
use crate::view::{MemoryView, Snapshot, View};
use dfs_wire::frame::{FrameDraft, Order, crc32c};
use dfs_wire::v1;
use std::collections::VecDeque;
use std::sync::Arc;

pub(crate) const NODE: u64 = 11;

/// One shard and its only planner.
pub(crate) struct Alone {
    pub(crate) folder: Folder,
    pub(crate) overlay: Overlay,
    pub(crate) ids: Ids,
    pub(crate) settings: v1::Settings,
    pub(crate) term: u64,
    /// Frames of the term that were given a number.
    pub(crate) counted: u64,
    /// The LSN that the next planned record will have.
    pub(crate) next_lsn: u64,
    pub(crate) session: u64,
    pub(crate) group: u64,
    pub(crate) in_flight: VecDeque<(Ticket, Planned)>,
    /// All frames folded, in order.
    pub(crate) frames: Vec<FoldFrame>,
    pub(crate) now_ns: i64,
}

pub(crate) fn owner(node_id: u64) -> v1::Owner {
    v1::Owner {
        node_id,
        incarnation: node_id + 100,
    }
}

pub(crate) fn path(path: &str) -> Option<v1::Path> {
    Some(v1::Path {
        path: path.as_bytes().to_vec().into(),
        ..v1::Path::default()
    })
}

pub(crate) fn inline(bytes: &[u8]) -> v1::Content {
    v1::Content {
        size: bytes.len() as u64,
        crc32c: crc32c(bytes),
        inline: bytes.to_vec().into(),
        extents: Vec::new(),
    }
}

pub(crate) fn op(op: v1::mutate::Op) -> v1::Mutate {
    v1::Mutate {
        op: Some(op),
        if_lsn: None,
    }
}

/// Log time of an LSN in these tests: three records a cut.
pub(crate) fn log_time_us(lsn: u64) -> u64 {
    1_000_000 + (lsn / 3) * 1000
}

impl Alone {
    /// After genesis, with one session and one group.
    pub(crate) fn new() -> Alone {
        let view: Arc<dyn View> = Arc::new(MemoryView::new());
        let mut alone = Alone {
            folder: Folder::new(view).unwrap(),
            overlay: Overlay::default(),
            ids: Ids::resume(&MemoryView::new().snapshot()).unwrap(),
            settings: v1::Settings {
                inline_bytes_max: 4096,
                ..v1::Settings::default()
            },
            term: 0,
            counted: 0,
            next_lsn: 1,
            session: 0,
            group: 0,
            in_flight: VecDeque::new(),
            frames: Vec::new(),
            now_ns: 5_000_000_000,
        };
        let genesis = plan::control::genesis(b"cluster", alone.settings, &[NODE], owner(NODE));
        alone.fly(genesis);
        alone.land_all();
        alone.term = 1;
        alone.session = alone.open_session(1);
        let mut ids = alone.ids.clone();
        let wanted = v1::Group {
            unit_ids: vec![1],
            ..v1::Group::default()
        };
        let (group, planned) = plan::control::open_group(&alone.context(), &mut ids, wanted);
        (alone.ids, alone.group) = (ids, group);
        alone.fly(planned);
        alone.land_all();
        alone
    }

    pub(crate) fn context(&self) -> Context<'_> {
        Context {
            shard: 0,
            term: self.term,
            actor: "tester",
            uid: 7,
            gid: 8,
            now_ns: self.now_ns,
            slot: None,
            settings: &self.settings,
        }
    }

    pub(crate) fn open_session(&mut self, nonce: u8) -> u64 {
        let request = v1::OpenSession {
            client_nonce: vec![nonce; 16].into(),
        };
        let mut ids = self.ids.clone();
        let planning = Planning {
            overlay: &self.overlay,
            folded: self.folder.snapshot(),
        };
        match plan::control::open_session(planning, &request, &self.context(), &mut ids).unwrap() {
            plan::control::SessionPlan::Open(session) => session,
            plan::control::SessionPlan::Planned { session, planned } => {
                self.ids = ids;
                self.fly(*planned);
                self.land_all();
                session
            }
        }
    }

    /// Plans as a primary does, over what is in flight.
    pub(crate) fn plan(
        &mut self,
        request: &v1::Mutate,
        source: Option<&CopySource>,
        slot: Option<v1::SlotUse>,
    ) -> Result<Planned, Unplanned> {
        let planning = Planning {
            overlay: &self.overlay,
            folded: self.folder.snapshot(),
        };
        let mut ids = self.ids.clone();
        let context = Context {
            slot,
            ..self.context()
        };
        let planned = plan::mutate(planning, request, source, &context, &mut ids);
        self.ids = ids;
        planned
    }

    /// Sends a plan off: its LSN will be the next. Returns that.
    pub(crate) fn fly(&mut self, planned: Planned) -> u64 {
        let lsn = self.next_lsn;
        self.overlay
            .add(Ticket(lsn), &planned, self.folder.snapshot())
            .unwrap();
        self.in_flight.push_back((Ticket(lsn), planned));
        self.next_lsn += 1;
        lsn
    }

    /// Plans, flies and lands one request.
    pub(crate) fn act(&mut self, request: v1::mutate::Op) -> Result<u64, Unplanned> {
        let planned = self.plan(&op(request), None, None)?;
        let lsn = self.fly(planned);
        self.land_all();
        Ok(lsn)
    }

    /// Folds the oldest `records` in flight, those that may share a frame in one, and publishes.
    pub(crate) fn land(&mut self, records: usize) -> Vec<Folded> {
        let mut folded = Vec::new();
        let mut left = records.min(self.in_flight.len());
        while left > 0 {
            let frame = self.next_frame(left);
            left -= frame.frame.header.count as usize;
            folded.push(self.folder.fold(&frame).unwrap());
            self.frames.push(frame);
        }
        self.folder.commit().unwrap();
        self.settings = crate::state::settings(self.folder.snapshot()).unwrap();
        for done in folded
            .iter()
            .flat_map(|folded| folded.first_lsn..=folded.last_lsn)
        {
            self.overlay.folded(Ticket(done));
        }
        folded
    }

    pub(crate) fn land_all(&mut self) -> Vec<Folded> {
        self.land(usize::MAX)
    }

    /// The oldest in flight as a frame, with its neighbours if they are alike.
    fn next_frame(&mut self, most: usize) -> FoldFrame {
        let (_, first) = self.in_flight.pop_front().unwrap();
        let first_lsn = self.folder.stamp().lsn + 1;
        let mut records = vec![first.encoded.clone()];
        while records.len() < most
            && self.in_flight.front().is_some_and(|(_, next)| {
                (&next.tags, &next.guards_encoded) == (&first.tags, &first.guards_encoded)
            })
        {
            records.push(self.in_flight.pop_front().unwrap().1.encoded);
        }
        let mut order = None;
        if first.ordered {
            self.counted += 1;
            order = Some(Order {
                shard: 0,
                term: self.term,
                n: self.counted,
            });
        }
        frame(first_lsn, &first, order, records)
    }

    pub(crate) fn snapshot(&self) -> &Snapshot {
        self.folder.snapshot()
    }

    pub(crate) fn head(&self) -> At<'_> {
        At::head(self.snapshot())
    }

    pub(crate) fn stat(&self, at: &str) -> Result<v1::Entry, dfs_wire::Refusal> {
        read::stat(self.head(), &path(at).unwrap(), true)
    }

    /// An extent of this session in the open group.
    pub(crate) fn extent(&self, counter: u64, length: u32) -> v1::ExtentRef {
        v1::ExtentRef {
            extent: Some(v1::ExtentId {
                session: self.session,
                counter,
            }),
            group: self.group,
            generation: 0,
            stored_length: length,
            crc32c: counter as u32,
            skip: 0,
            length,
        }
    }
}

pub(crate) fn frame(
    first_lsn: u64,
    planned: &Planned,
    order: Option<Order>,
    records: Vec<bytes::Bytes>,
) -> FoldFrame {
    let draft = FrameDraft {
        tags: planned.tags.clone(),
        guards: planned.guards_encoded.clone(),
        order,
        privileged: false,
        records,
    };
    FoldFrame {
        first_lsn,
        log_time_us: log_time_us(first_lsn),
        cut_seq: first_lsn / 3,
        frame: draft.freeze(1, first_lsn, 0),
    }
}

/// Folds frames into another store, committing where `split` says so.
pub(crate) fn refold(
    view: Arc<dyn View>,
    frames: &[FoldFrame],
    mut split: impl FnMut(usize) -> bool,
) -> Result<Folder, Halt> {
    let mut folder = Folder::new(view).unwrap();
    for (index, frame) in frames.iter().enumerate() {
        folder.fold(frame)?;
        if split(index) || folder.is_full() {
            folder.commit()?;
        }
    }
    folder.commit()?;
    Ok(folder)
}
