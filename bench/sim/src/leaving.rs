//! Units that are drained and leave, and units whose directory is emptied: others hold what they held.
use crate::cluster::Cluster;
use dfs_env::Env;
use dfs_rpc::roles::Connector;
use dfs_wire::v1::UnitState;
use dfs_wire::v1::scan_item::Item;
use dfs_wire::{Code, Refusal, v1};
use futures::StreamExt;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Between two questions of an operator who waits.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// An answer that takes longer was lost.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Of six units, so that a whole set and a spare one stay.
const LEAVING_MAX: usize = 2;
/// Before a unit that is said to hold something is not believed: crashes and repairs are over by then.
const ANSWER_TIMES: u32 = 100;
/// How many must hold what is closed.
const COPIES: usize = 3;

#[derive(Default)]
pub(crate) struct Leaving(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    draining: Vec<&'static str>,
    gone: BTreeSet<&'static str>,
}

impl Leaving {
    pub(crate) fn is_gone(&self, name: &str) -> bool {
        self.0.lock().gone.contains(name)
    }

    fn begin(&self, name: &'static str) -> bool {
        let mut inner = self.0.lock();
        let begins = inner.draining.len() < LEAVING_MAX && !inner.draining.contains(&name);
        if begins {
            inner.draining.push(name);
        }
        begins
    }
}

/// The id of the unit that the process has now.
async fn unit_id(cluster: &Cluster, env: &Env, name: &str) -> u64 {
    loop {
        if let Some((id, _)) = cluster.unit(name) {
            return id;
        }
        env.sleep(ASK_EVERY).await;
    }
}

async fn drain(operator: &Arc<dyn Connector>, unit_id: u64) -> Result<v1::DrainProgress, Refusal> {
    let undo = false;
    let asked = v1::DrainUnitRequest { unit_id, undo };
    operator.sequencer().await?.drain_unit(asked).await
}

async fn remove(operator: &Arc<dyn Connector>, unit_id: u64, lost: bool) -> Result<(), Refusal> {
    let asked = v1::RemoveUnitRequest { unit_id, lost };
    let removed = operator.sequencer().await?.remove_unit(asked).await;
    removed.map(drop)
}

/// Asks until the unit is draining; what comes of it is seen at the end.
pub(crate) async fn begin(cluster: &Cluster, env: &Env, name: &'static str) {
    if !cluster.leaving.begin(name) {
        return;
    }
    cluster.network.note(env, "drain", name, &[]);
    let operator = cluster.outsider(env, "operator");
    loop {
        let id = unit_id(cluster, env, name).await;
        let asked = env.timeout(ANSWER_WITHIN, drain(&operator, id)).await;
        if matches!(asked, Ok(Ok(_))) {
            return;
        }
        env.sleep(ASK_EVERY).await;
    }
}

/// Every drain ends, and its unit leaves: what follows is read without it.
pub(crate) async fn leave(
    cluster: &Cluster,
    env: &Env,
    operator: &Arc<dyn Connector>,
) -> Result<(), String> {
    let draining = cluster.leaving.0.lock().draining.clone();
    for name in draining {
        let id = unit_id(cluster, env, name).await;
        let mut ends = false;
        while !ends {
            env.sleep(ASK_EVERY).await;
            let asked = env.timeout(ANSWER_WITHIN, drain(operator, id)).await;
            ends = matches!(asked, Ok(Ok(told)) if told.drained);
        }
        depart(cluster, env, operator, (name, id)).await?;
    }
    Ok(())
}

/// Extents are not moved yet: a unit that holds some goes as one that is lost.
async fn depart(
    cluster: &Cluster,
    env: &Env,
    operator: &Arc<dyn Connector>,
    (name, id): (&'static str, u64),
) -> Result<(), String> {
    let mut lost = false;
    loop {
        let asked = env.timeout(ANSWER_WITHIN, remove(operator, id, lost)).await;
        match asked {
            Ok(Ok(())) => break,
            Ok(Err(refusal)) if refusal.to_string().contains("extents of files") => {
                cluster.crash(env, name);
                lost = true;
            }
            // Its process may not have been heard yet, or be heard still.
            Ok(Err(refusal)) if refusal.is_retryable() || refusal.code() == Code::State => {}
            Ok(Err(refusal)) => return Err(format!("{name} does not leave: {refusal:?}")),
            Err(_) => {}
        }
        env.sleep(ASK_EVERY).await;
    }
    cluster.crash(env, name);
    cluster.leaving.0.lock().gone.insert(name);
    cluster.network.note(env, "left", name, &[]);
    Ok(())
}

/// The process ends, and its unit's directories are empty when it starts again: another unit (LOG-D1).
pub(crate) async fn empty(cluster: &Cluster, env: &Env, name: &'static str) {
    cluster.crash(env, name);
    for part in ["d/unit-1/log", "d/unit-1/extents"] {
        let disk = cluster.network.world().disk(name, part);
        for file in disk.files() {
            let removed = disk.open_disk().remove(&file.name).await;
            assert!(removed.is_ok(), "a simulated file goes: {removed:?}");
        }
        let synced = disk.open_disk().sync_dir().await;
        assert!(synced.is_ok(), "a simulated directory is synced");
    }
    cluster.network.note(env, "empty", name, &[]);
}

/// LOG.md §6: the log is nowhere under-replicated. That this comes is part of the verdict; and that
/// whoever is said to hold a stripe answers for all of it.
pub(crate) async fn closed_stripes_are_held(
    cluster: &Cluster,
    env: &Env,
    operator: &Arc<dyn Connector>,
) -> Result<(), String> {
    loop {
        if let Some((_, status)) = cluster.leading().await
            && let Some(holders) = holders(&status)
        {
            for (stripe, unit) in holders {
                answers(env, operator, &stripe, &unit).await?;
            }
            return Ok(());
        }
        env.sleep(ASK_EVERY).await;
    }
}

/// Of every closed stripe of which something is left; none while some has too few.
fn holders(status: &v1::SequencerStatusAnswer) -> Option<Vec<(v1::StripeState, v1::UnitRef)>> {
    let history = status.history.as_ref();
    let trim_lsn = history.map_or(0, |history| history.trim_lsn);
    let mut all = Vec::new();
    for stripe in status.stripes.iter().filter(|stripe| stripe.closed) {
        let mut stripe = stripe.clone();
        stripe.first_lsn = stripe.first_lsn.max(trim_lsn).max(1);
        if stripe.last_lsn < stripe.first_lsn {
            continue;
        }
        let part = stripe.units.iter().chain(&stripe.copies);
        let holds = |unit: &&v1::UnitRef| {
            stripe.locations.contains(&unit.unit_id) && unit.state() == UnitState::Active
        };
        let units: Vec<v1::UnitRef> = part.filter(holds).cloned().collect();
        if units.len() < COPIES {
            return None;
        }
        all.extend(units.into_iter().map(|unit| (stripe.clone(), unit)));
    }
    Some(all)
}

/// A unit that is away, or was damaged and is not repaired yet, is asked again.
async fn answers(
    env: &Env,
    operator: &Arc<dyn Connector>,
    stripe: &v1::StripeState,
    unit: &v1::UnitRef,
) -> Result<(), String> {
    let mut why = String::new();
    for _ in 0..ANSWER_TIMES {
        match env
            .timeout(ANSWER_WITHIN, scan(operator, stripe, unit))
            .await
        {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(refusal)) if refusal.code() == Code::Trimmed => return Ok(()),
            Ok(Err(refusal)) => why = refusal.to_string(),
            Err(_) => why = "it says nothing".into(),
        }
        env.sleep(ASK_EVERY).await;
    }
    let (unit, stripe) = (unit.unit_id, stripe.stripe);
    Err(format!(
        "unit {unit} is said to hold stripe {stripe}, and does not: {why}"
    ))
}

async fn scan(
    operator: &Arc<dyn Connector>,
    stripe: &v1::StripeState,
    unit: &v1::UnitRef,
) -> Result<(), Refusal> {
    let request = v1::ScanRequest {
        unit_id: unit.unit_id,
        stripe: stripe.stripe,
        from_lsn: stripe.first_lsn,
        last_lsn: stripe.last_lsn,
        ..v1::ScanRequest::default()
    };
    let role = operator.unit(unit.unit_id, &unit.address).await?;
    let mut batches = role.scan(request).await?;
    let mut through = 0;
    while let Some(batch) = batches.next().await {
        for item in batch?.items {
            if let Some(Item::ProgressThroughLsn(lsn)) = item.item {
                through = lsn;
            }
        }
    }
    match through >= stripe.last_lsn {
        true => Ok(()),
        false => Err(Refusal::new(
            Code::Absent,
            "scan",
            format!("it ends after LSN {through}"),
        )),
    }
}
