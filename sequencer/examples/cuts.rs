//! Measures sequential cuts per second beside the raw fdatasync of the same directory.
//!
//! `cargo run --release -p dfs-sequencer --example cuts -- DIR [CUTS]`; a DIR on tmpfs stands for a free fsync.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement at the outermost edge"
)]
use dfs_env::Env;
use dfs_rpc::roles::Sequencer;
use dfs_sequencer::{SequencerConfig, SequencerRole, Solitude};
use dfs_wire::v1;
use futures::StreamExt;
use std::io::{Seek, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

const OWNER: v1::Owner = v1::Owner {
    node_id: 1,
    incarnation: 7,
};

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let dir = args.next().expect("a directory");
    let cuts: u64 = args.next().map_or(5_000, |n| n.parse().unwrap());
    let dir = Path::new(&dir).join("cuts-example");
    std::fs::create_dir_all(&dir).unwrap();
    let raw = raw_fdatasync(&dir.join("raw"), 500);
    let env = Env::real();
    let given = given_disk(&env, &dir.join("given"), 500).await;
    let began = Instant::now();
    let config = SequencerConfig::single("", 1, 1);
    let role = SequencerRole::start(&env, &dir.join("sequencer"), config, Arc::new(Solitude))
        .await
        .unwrap();
    let (reports, lane, _alive) = join(&role).await;
    println!("cold start until a lane is open: {:?}", began.elapsed());
    let first = run(&role, &reports, lane, 0, 500).await;
    let (cpu, began) = (cpu_time(), Instant::now());
    let last = run(&role, &reports, lane, first, cuts).await;
    let (wall, cpu) = (began.elapsed(), cpu_time() - cpu);
    assert_eq!(last, first + cuts);
    let each = wall / cuts as u32;
    println!(
        "{cuts} sequential cuts: {:.0}/s, {each:?} each",
        1.0 / each.as_secs_f64()
    );
    println!("CPU per cut: {:?}", cpu / cuts as u32);
    println!(
        "raw write + fdatasync: {raw:?}, so cuts reach {:.2} of it",
        raw.as_secs_f64() / each.as_secs_f64()
    );
    println!("the same through the disk as given: {given:?}");
    let (cpu, began) = (cpu_time(), Instant::now());
    for _ in 0..cuts {
        role.end(v1::EndRequest { linearizable: true })
            .await
            .unwrap();
    }
    println!(
        "linearizable End, one after the other: {:?} each, CPU {:?}",
        began.elapsed() / cuts as u32,
        (cpu_time() - cpu) / cuts as u32
    );
    let (cpu, began) = (cpu_time(), Instant::now());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle = (cpu_time() - cpu).as_secs_f64() / began.elapsed().as_secs_f64();
    println!("idle: {:.2} % of a core", idle * 100.0);
    role.stop().await;
    std::fs::remove_dir_all(&dir).unwrap();
}

type Reports = mpsc::Sender<v1::UnitReport>;

async fn join(role: &Arc<SequencerRole>) -> (Reports, u64, mpsc::Sender<v1::Beat>) {
    let nonce = bytes::Bytes::from_static(&[1; 16]);
    let register = v1::RegisterRequest {
        node_nonce: nonce.clone(),
        incarnation: OWNER.incarnation,
        units: vec![v1::UnitSlot {
            slot: 1,
            nonce: nonce.clone(),
        }],
        ..Default::default()
    };
    let registered = loop {
        match role.register(register.clone()).await {
            Ok(registered) => break registered,
            Err(refusal) => assert!(refusal.is_retryable(), "{refusal}"),
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    let (beats, stream) = mpsc::channel(1);
    let beat = v1::Beat {
        node_id: registered.node_id,
        incarnation: 7,
        ..Default::default()
    };
    beats.send(beat).await.unwrap();
    let mut members = role
        .keep_alive(ReceiverStream::new(stream).boxed())
        .await
        .unwrap();
    tokio::spawn(async move { while members.next().await.is_some() {} });
    let (reports, stream) = mpsc::channel(16);
    let hello = v1::UnitHello {
        unit_id: registered.unit_ids[0],
        nonce,
        node: Some(OWNER),
        ..Default::default()
    };
    reports
        .send(v1::UnitReport {
            report: Some(v1::unit_report::Report::Hello(hello)),
        })
        .await
        .unwrap();
    let mut orders = role
        .unit(ReceiverStream::new(stream).boxed())
        .await
        .unwrap();
    tokio::spawn(async move { while orders.next().await.is_some() {} });
    let request_id = bytes::Bytes::from_static(&[2; 16]);
    let open = v1::OpenLaneRequest {
        request_id,
        owner: Some(OWNER),
    };
    let opened = role.open_lane(open).await.unwrap();
    (reports, opened.lane, beats)
}

/// One report, one cut, one after the other, as at queue depth 1.
async fn run(role: &Arc<SequencerRole>, reports: &Reports, lane: u64, from: u64, cuts: u64) -> u64 {
    let mut events = role
        .subscribe(v1::SubscribeRequest::default())
        .await
        .unwrap();
    let mut stamped_through = 0;
    for idx in from + 1..=from + cuts {
        let end = v1::FrameEnd {
            lane,
            end_idx: idx,
            chain_high: idx,
            chain_low: !idx,
        };
        let durable = v1::Durable {
            ends: vec![end],
            stamped_through,
            full: false,
            ..Default::default()
        };
        reports
            .send(v1::UnitReport {
                report: Some(v1::unit_report::Report::Durable(durable)),
            })
            .await
            .unwrap();
        loop {
            let event = events.next().await.unwrap().unwrap();
            if let Some(v1::log_event::Event::Cut(cut)) = event.event {
                assert_eq!(cut.lanes[0].to_idx, idx);
                stamped_through = cut.cut_seq;
                break;
            }
        }
    }
    from + cuts
}

/// The same through the disk that every role is given: its writer thread, and the way there and back.
async fn given_disk(env: &Env, dir: &Path, times: u32) -> Duration {
    let disk = env.disk(dir).unwrap();
    let file = disk
        .open("raw", dfs_env::OpenMode::CreateNew)
        .await
        .unwrap();
    file.allocate_zeroed(1 << 20).await.unwrap();
    let block = bytes::Bytes::from_static(&[1; 128]);
    let began = Instant::now();
    for at in 0..times {
        file.write_and_sync(u64::from(at) * 128, vec![block.clone()])
            .await
            .unwrap();
    }
    began.elapsed() / times
}

fn raw_fdatasync(path: &Path, times: u32) -> Duration {
    let mut file = std::fs::File::create(path).unwrap();
    file.write_all(&vec![0; 1 << 20]).unwrap();
    file.sync_all().unwrap();
    file.rewind().unwrap();
    let began = Instant::now();
    for _ in 0..times {
        file.write_all(&[1; 128]).unwrap();
        file.sync_data().unwrap();
    }
    began.elapsed() / times
}

fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
