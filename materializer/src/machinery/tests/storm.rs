//! Primaries crash and lanes move while clients append, retry and double their requests: every append lands once.
use super::retries::{append, retry};
use super::*;
use futures::future::join_all;
use parking_lot::Mutex;
use std::time::Duration;

const CLIENTS: u64 = 4;
const APPENDS: u64 = 40;
const CRASHES: u64 = 6;

type Roles = Arc<Mutex<BTreeMap<u64, Arc<MaterializerRole>>>>;

#[test]
fn every_append_lands_once_while_primaries_crash() {
    for seed in 500..520 {
        SimWorld::run(seed, storm);
    }
}

#[test]
fn one_seed_is_one_run() {
    assert_eq!(SimWorld::run(499, storm), SimWorld::run(499, storm));
}

/// What was folded in the end.
async fn storm(world: SimWorld) -> v1::MaterializerStatusAnswer {
    let mut cluster = Cluster::on(&world, log_with_delays(&world));
    let roles = Roles::default();
    let views: [Arc<dyn View>; 2] = [Arc::new(MemoryView::new()), Arc::new(MemoryView::new())];
    for id in [1, 2] {
        let node = cluster.start_with(id, views[id as usize - 1].clone()).await;
        roles.lock().insert(id, node.role.clone());
    }
    let env = world.node("clients");
    env.sleep(Duration::from_secs(1)).await; // both become replicas
    let clients = (0..CLIENTS).map(|client| {
        let (env, roles, world) = (env.clone(), roles.clone(), world.clone());
        async move { write(&env, &roles, &world, client).await }
    });
    let chaos = crash_and_restart(&world, &mut cluster, &roles, &views);
    let (doubled, ()) = futures::join!(join_all(clients), chaos);
    assert!(
        doubled.iter().sum::<u64>() > 0,
        "seed {}: nothing was retried",
        world.seed()
    );
    let role = roles.lock().values().next().cloned().unwrap();
    let mut client = Client::connect(&env, &role).await;
    for n in 0..CLIENTS {
        let size = client.stat(&format!("f{n}"), None).await.unwrap().size;
        assert_eq!(size, APPENDS, "seed {}: client {n}", world.seed());
    }
    role.status().await.unwrap()
}

/// So that a crash finds records that are appended and not cut.
fn log_with_delays(world: &SimWorld) -> Arc<MemoryLog> {
    let env = world.node("log");
    let log = MemoryLog::stepped(env.clone());
    let (cuts, pace, world) = (log.clone(), env.clone(), world.clone());
    env.spawn("cut", async move {
        loop {
            pace.sleep(Duration::from_millis(world.below(20))).await;
            // What is appended and not cut goes on in other lanes, in the same term (FOLD-T2).
            if world.below(8) == 0 {
                cuts.move_lanes();
            }
            cuts.cut();
        }
    });
    log
}

async fn crash_and_restart(
    world: &SimWorld,
    cluster: &mut Cluster,
    roles: &Roles,
    views: &[Arc<dyn View>; 2],
) {
    let env = world.node("chaos");
    for _ in 0..CRASHES {
        env.sleep(Duration::from_millis(world.below(1500))).await;
        let id = 1 + world.below(2);
        world.crash(&format!("node {id}"));
        roles.lock().remove(&id);
        env.sleep(Duration::from_millis(world.below(500))).await;
        cluster.set_gone(id, true);
        env.sleep(Duration::from_millis(world.below(1500))).await;
        let view = match world.below(3) {
            0 => Arc::new(MemoryView::new()), // its disk is lost as well
            _ => views[id as usize - 1].clone(),
        };
        let node = cluster.start_with(id, view).await;
        roles.lock().insert(id, node.role.clone());
    }
}

/// How many sends were more than one per request.
async fn write(env: &Env, roles: &Roles, world: &SimWorld, client: u64) -> u64 {
    let mut more = 0;
    for seq in 1..=APPENDS + 1 {
        let op = match seq {
            1 => create(&format!("f{client}"), b""),
            _ => append(&format!("f{client}"), b"x"),
        };
        for attempt in 1.. {
            assert!(
                attempt < 1000,
                "seed {}: client {client} never gets through",
                world.seed()
            );
            env.sleep(Duration::from_millis(world.below(20))).await;
            let role = roles.lock().values().nth(world.below(2) as usize).cloned();
            let Some(role) = role else { continue };
            let sent = send_once(env, &role, world, (client, seq, attempt), op.clone());
            match env.timeout(Duration::from_secs(2), sent).await {
                Ok(Ok(())) => break,
                Ok(Err(refusal)) => {
                    let gone_on = refusal.is_retryable() || refusal.code() == Code::Moved;
                    assert!(gone_on, "seed {}: {refusal:?}", world.seed());
                }
                Err(_) => {} // crashed meanwhile
            }
            more += 1;
        }
    }
    more
}

async fn send_once(
    env: &Env,
    role: &Arc<MaterializerRole>,
    world: &SimWorld,
    (client, seq, attempt): (u64, u64, u32),
    op: v1::mutate::Op,
) -> Result<(), Refusal> {
    if role.status().await?.role != "primary" {
        return Err(Refusal::new(Code::Moved, "node", "not the primary"));
    }
    let mut stream = Client::connect(env, role).await;
    let nonce = vec![client as u8 + 1; 16].into();
    let open = request(Op::OpenSession(v1::OpenSession {
        client_nonce: nonce,
    }));
    let answer = stream.ask(open).await?;
    if let Some(Body::Session(session)) = answer.body {
        stream.session = session;
    }
    let request = retry(&stream.mutation(3, seq, op), attempt);
    let lost = Err(Refusal::new(Code::TimedOut, "answer", "lost on its way"));
    if world.below(4) == 0 {
        stream.send(vec![request]).await;
        env.sleep(Duration::from_millis(world.below(40))).await;
        return lost;
    }
    let ids = stream
        .send(vec![request; 1 + world.below(2) as usize])
        .await;
    let Some(answer) = stream.heard(ids[0]).await else {
        return lost;
    };
    match answer.body {
        Some(Body::Done(_)) => Ok(()),
        Some(Body::Refusal(refusal)) => Err(refusal.into()),
        other => panic!("{other:?}"),
    }
}
