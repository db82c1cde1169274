//! Creates and stats per second through the role's trait, on a log in memory: `rates [memory|DIR] [clients] [seconds]`.
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dfs_env::Env;
use dfs_log::MemoryLog;
use dfs_materializer::view::MemoryView;
use dfs_materializer::{MaterializerConfig, MaterializerRole, Store};
use dfs_rpc::roles::{Answers, Materializer, Requests};
use dfs_wire::v1::answer::Body;
use dfs_wire::v1::request::Op;
use dfs_wire::{Refusal, v1};
use futures::StreamExt;
use tokio::sync::{mpsc, watch};

/// Requests of a client that are in flight: its slots.
const DEPTH: u64 = 64;

#[tokio::main]
async fn main() -> Result<(), Refusal> {
    let mut args = std::env::args().skip(1);
    let store = args.next().unwrap_or_else(|| "memory".into());
    let clients: u64 = args.next().and_then(|n| n.parse().ok()).unwrap_or(8);
    let seconds: u64 = args.next().and_then(|n| n.parse().ok()).unwrap_or(5);
    let env = Env::real();
    let role = start(&env, &store).await?;
    while role.status().await?.role != "primary" {
        env.sleep(Duration::from_millis(1)).await;
    }
    for work in ["creates", "stats"] {
        let done = Arc::new(AtomicU64::new(0));
        let (begun, cpu) = (env.now(), cpu_us());
        let end = begun + Duration::from_secs(seconds);
        let mut tasks = Vec::new();
        for client in 0..clients {
            let (env, role, done) = (env.clone(), role.clone(), done.clone());
            let until = env.clone();
            tasks.push(env.spawn("client", async move {
                let mut client = Client::open(&role, client).await?;
                while until.now() < end {
                    done.fetch_add(client.round(work).await?, Ordering::Relaxed);
                }
                Ok::<_, Refusal>(())
            }));
        }
        for task in tasks {
            task.await.expect("no client panics")?;
        }
        let (done, spent) = (done.load(Ordering::Relaxed), cpu_us() - cpu);
        let took = env.now() - begun;
        let rate = done as f64 / took.as_secs_f64();
        println!(
            "{work}: {rate:.0}/s, {:.1} µs of CPU each",
            spent as f64 / done as f64
        );
    }
    let status = role.status().await?;
    println!(
        "applied {} durable {}",
        status.applied_lsn, status.durable_lsn
    );
    role.stop().await;
    Ok(())
}

async fn start(env: &Env, store: &str) -> Result<Arc<MaterializerRole>, Refusal> {
    let store = match store {
        "memory" => Store::Given(Arc::new(MemoryView::new())),
        dir => Store::Directory(dir.into()),
    };
    let (_, members) = watch::channel(Arc::<v1::Members>::default());
    let config = MaterializerConfig {
        owner: v1::Owner {
            node_id: 1,
            incarnation: env.random_u64(),
        },
        rank: 0,
        cluster_id: b"a cluster of 16B"[..].into(),
        store,
        settings: v1::Settings {
            replicas: 1,
            lease_us: 30_000_000,
            ..Default::default()
        },
        members,
        units: None,
        snapshots: Default::default(),
        retention: Default::default(),
        suspect: None,
    };
    MaterializerRole::start(env.clone(), config, MemoryLog::new(env.clone())).await
}

struct Client {
    name: u64,
    requests: mpsc::Sender<v1::RequestBatch>,
    answers: Answers<v1::AnswerBatch>,
    session: v1::SessionGranted,
    rounds: u64,
}

impl Client {
    async fn open(role: &MaterializerRole, name: u64) -> Result<Client, Refusal> {
        let (requests, incoming) = mpsc::channel(4);
        let incoming: Requests<v1::RequestBatch> =
            futures::stream::unfold(incoming, |mut incoming| async {
                incoming.recv().await.map(|batch| (batch, incoming))
            })
            .boxed();
        let answers = role.requests(incoming).await?;
        let session = v1::SessionGranted::default();
        let mut client = Client {
            name,
            requests,
            answers,
            session,
            rounds: 0,
        };
        let nonce = (u128::from(name) + 1).to_be_bytes().to_vec().into();
        let open = Op::OpenSession(v1::OpenSession {
            client_nonce: nonce,
        });
        let answer = client
            .ask(vec![v1::Request {
                op: Some(open),
                ..Default::default()
            }])
            .await?;
        if let Some(Body::Session(session)) = &answer[0].body {
            client.session = *session;
        }
        let slot = Some(client.slot(63, 1)); // repeated by the second run: the stored answer
        let make = v1::mutate::Op::MakeDirectory(v1::MakeDirectory {
            path: Some(path(format!("d{name}"))),
            exist_ok: true,
            ..Default::default()
        });
        let op = Some(Op::Mutate(v1::Mutate {
            op: Some(make),
            if_lsn: None,
        }));
        client
            .ask(vec![v1::Request {
                slot,
                op,
                ..Default::default()
            }])
            .await?;
        Ok(client)
    }

    fn slot(&self, slot: u64, seq: u64) -> v1::SlotUse {
        let v1::SessionGranted {
            session,
            shard,
            term,
            ..
        } = self.session;
        v1::SlotUse {
            session,
            shard,
            slot: slot as u32,
            seq,
            attempt: 1,
            term,
        }
    }

    async fn round(&mut self, work: &str) -> Result<u64, Refusal> {
        self.rounds += 1;
        let request = |n: u64| {
            let of = self.rounds * (DEPTH - 1) + n;
            match work {
                "creates" => v1::Request {
                    slot: Some(self.slot(n, self.rounds)),
                    op: Some(create(format!("d{}/file-{of:08}", self.name))),
                    ..Default::default()
                },
                _ => v1::Request {
                    op: Some(stat(format!(
                        "d{}/file-{:08}",
                        self.name,
                        DEPTH + of % 1000
                    ))),
                    ..Default::default()
                },
            }
        };
        let requests = (0..DEPTH - 1).map(request).collect();
        let answers = self.ask(requests).await?;
        for answer in &answers {
            if let Some(Body::Refusal(refusal)) = &answer.body {
                return Err(refusal.clone().into());
            }
        }
        Ok(answers.len() as u64)
    }

    async fn ask(&mut self, mut requests: Vec<v1::Request>) -> Result<Vec<v1::Answer>, Refusal> {
        let expected = requests.len();
        requests
            .iter_mut()
            .zip(1..)
            .for_each(|(request, id)| request.id = id);
        self.requests
            .send(v1::RequestBatch { requests })
            .await
            .expect("the role runs");
        let mut answers = Vec::with_capacity(expected);
        while answers.len() < expected {
            answers.extend(self.answers.next().await.expect("the role runs")?.answers);
        }
        Ok(answers)
    }
}

fn path(path: String) -> v1::Path {
    v1::Path {
        path: path.into_bytes().into(),
        ..Default::default()
    }
}

fn create(name: String) -> Op {
    let content = v1::Content {
        size: 4,
        crc32c: dfs_wire::frame::crc32c(b"data"),
        inline: b"data"[..].into(),
        extents: vec![],
    };
    let commit = v1::Commit {
        path: Some(path(name)),
        attr: Some(v1::Attr {
            mode: 0o644,
            ..Default::default()
        }),
        content: Some(content),
        mode: v1::CommitMode::Create as i32,
        if_lsn: None,
    };
    Op::Mutate(v1::Mutate {
        op: Some(v1::mutate::Op::Commit(commit)),
        if_lsn: None,
    })
}

fn stat(name: String) -> Op {
    Op::Stat(v1::StatRequest {
        path: Some(path(name)),
        ..Default::default()
    })
}

/// Of this process, all threads.
fn cpu_us() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|n| n.parse::<u64>().ok());
    ticks.sum::<u64>() * 10_000
}
