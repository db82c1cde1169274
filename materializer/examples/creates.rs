//! What a create costs: planned over an overlay, framed, folded into fjall. `cargo run --release --example creates`.
#![allow(
    clippy::disallowed_methods,
    reason = "a measurement takes the time itself"
)]
use dfs_materializer::fold::{FoldFrame, Folder};
use dfs_materializer::plan::{self, Context, Ids, Overlay, Planned, Planning, Ticket};
use dfs_materializer::view::{LsmView, View};
use dfs_wire::frame::{FrameDraft, Order, crc32c};
use dfs_wire::v1;
use rustix::time::{ClockId, clock_gettime};
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CREATES: u64 = 400_000;
const IN_FLIGHT: u64 = 64;
const DIRECTORIES: u64 = 100;
/// Of /proc: sysconf(_SC_CLK_TCK) on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

struct Bench {
    folder: Folder,
    overlay: Overlay,
    ids: Ids,
    lsn: u64,
    counted: u64,
    settings: v1::Settings,
    /// µs of CPU of this thread: plan, frame, fold, commit.
    spent: [f64; 4],
}

impl Bench {
    fn land(&mut self, batch: Vec<Planned>, ordered: bool) -> Result<(), Box<dyn Error>> {
        let start = thread_us();
        let first_lsn = self.lsn + 1 - batch.len() as u64;
        let order = ordered.then(|| {
            self.counted += 1;
            Order {
                shard: 0,
                term: 1,
                n: self.counted,
            }
        });
        let draft = FrameDraft {
            tags: batch[0].tags.clone(),
            guards: batch[0].guards_encoded.clone(),
            order,
            privileged: false,
            records: batch
                .iter()
                .map(|planned| planned.encoded.clone())
                .collect(),
        };
        let frame = draft.freeze(1, first_lsn, 0);
        let framed = thread_us();
        let log_time_us = first_lsn * 10;
        self.folder.fold(&FoldFrame {
            first_lsn,
            log_time_us,
            cut_seq: first_lsn,
            frame,
        })?;
        let folded = thread_us();
        self.folder.commit()?;
        for lsn in first_lsn..=self.lsn {
            self.overlay.folded(Ticket(lsn));
        }
        self.spent[1] += framed - start;
        self.spent[2] += folded - framed;
        self.spent[3] += thread_us() - folded;
        Ok(())
    }

    fn plan(&mut self, op: v1::mutate::Op, seq: u64) -> Result<Planned, Box<dyn Error>> {
        let start = thread_us();
        let slot = v1::SlotUse {
            session: 2,
            slot: (seq % 64) as u32,
            seq,
            attempt: 1,
            term: 1,
            ..v1::SlotUse::default()
        };
        let context = Context {
            shard: 0,
            term: 1,
            actor: "bench",
            uid: 0,
            gid: 0,
            now_ns: seq as i64,
            slot: Some(slot),
            settings: &self.settings,
        };
        let planning = Planning {
            overlay: &self.overlay,
            folded: self.folder.snapshot(),
        };
        let request = v1::Mutate {
            op: Some(op),
            if_lsn: None,
        };
        let planned = plan::mutate(planning, &request, None, &context, &mut self.ids)
            .map_err(|unplanned| format!("{unplanned:?}"))?;
        self.lsn += 1;
        self.overlay
            .add(Ticket(self.lsn), &planned, self.folder.snapshot())?;
        self.spent[0] += thread_us() - start;
        Ok(planned)
    }
}

fn create(n: u64) -> v1::mutate::Op {
    let bytes = vec![7u8; 100];
    let path = format!("top/dir{}/file-{n}", n % DIRECTORIES);
    v1::mutate::Op::Commit(v1::Commit {
        path: Some(v1::Path {
            path: path.into_bytes().into(),
            ..v1::Path::default()
        }),
        attr: None,
        content: Some(v1::Content {
            size: 100,
            crc32c: crc32c(&bytes),
            inline: bytes.into(),
            extents: Vec::new(),
        }),
        mode: v1::CommitMode::Create as i32,
        if_lsn: None,
    })
}

fn thread_us() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e6 + now.tv_nsec as f64 / 1e3
}

fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split(' ')
        .collect();
    let ticks: f64 = fields[12].parse::<f64>()? + fields[13].parse::<f64>()?;
    Ok(ticks / TICKS_PER_SECOND)
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let view: Arc<dyn View> = Arc::new(LsmView::open(directory.path())?);
    let folder = Folder::new(view)?;
    let ids = Ids::resume(folder.snapshot())?;
    let (overlay, settings) = (Overlay::default(), v1::Settings::default());
    let spent = Default::default();
    let mut bench = Bench {
        folder,
        overlay,
        ids,
        lsn: 1,
        counted: 0,
        settings,
        spent,
    };
    let owner = v1::Owner {
        node_id: 1,
        incarnation: 1,
    };
    bench.land(
        vec![plan::control::genesis(b"c", settings, &[1], owner)],
        false,
    )?;
    for n in 0..DIRECTORIES {
        let path = format!("top/dir{n}").into_bytes().into();
        let path = Some(v1::Path {
            path,
            ..v1::Path::default()
        });
        let make = v1::MakeDirectory {
            path,
            parents: true,
            exist_ok: true,
            attr: None,
        };
        let planned = bench.plan(v1::mutate::Op::MakeDirectory(make), n + 1)?;
        bench.land(vec![planned], true)?;
    }
    bench.spent = Default::default();
    let (cpu, start) = (cpu_seconds()?, Instant::now());
    let mut batch = Vec::new();
    for n in 0..CREATES {
        batch.push(bench.plan(create(n), 1000 + n)?);
        if batch.len() as u64 == IN_FLIGHT {
            bench.land(std::mem::take(&mut batch), true)?;
        }
    }
    let per = |seconds: f64| seconds * 1e6 / CREATES as f64;
    println!(
        "µs of CPU per create, fjall's threads included: {:.1}",
        per(cpu_seconds()? - cpu)
    );
    println!(
        "µs of wall clock per create: {:.1}",
        per(start.elapsed().as_secs_f64())
    );
    for (name, spent) in ["plan", "frame", "fold", "commit"].iter().zip(bench.spent) {
        println!("  {name}: {:.1}", spent / CREATES as f64);
    }
    Ok(())
}
