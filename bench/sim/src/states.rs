//! Folded state: damaged behind the back of its materializer, and compared row by row (FOLD-X4b).
use crate::alarms;
use crate::cluster::{Cluster, Damaged, address};
use dfs_env::Env;
use dfs_node::roles::view::{Keyspace, MemoryView, Read, View};
use dfs_rpc::roles::Connector;
use dfs_wire::v1::request::Op;
use dfs_wire::{Refusal, v1};
use futures::{StreamExt, stream};
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

/// Between two looks for a replica that holds something.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Before it is given up: all clients are done by then.
const LOOKS: u32 = 1_000;
/// Ticks that are asked for, of all replicas, before damage counts as missed, from when the fold has met it:
/// more than between two digests, and time to fold anew.
const TICKS: u32 = 200;
/// Until it has answered, or somebody else is asked.
const TICK_WITHIN: Duration = Duration::from_secs(2);
const ABOVE_ALL_KEYS: [u8; 64] = [0xff; 64];

impl Cluster {
    pub(crate) fn has_damaged(&self) -> bool {
        !self.states.damaged.lock().is_empty()
    }

    /// What is used by processes that run, and which rows of it nobody has written since.
    fn damage_in_use(&self) -> InUse {
        let newest = self.states.newest.lock();
        let damaged = self.states.damaged.lock();
        let in_use = damaged.iter().filter(|damaged| {
            let used = newest.get(damaged.name);
            used.is_some_and(|used| Arc::ptr_eq(used, &damaged.view))
        });
        let mut counted = InUse::default();
        for damaged in in_use {
            counted.first.get_or_insert(damaged.name);
            counted.untouched += usize::from(damaged.is_untouched());
        }
        counted
    }

    /// What nobody has written since, no digest can see (FOLD.md): slots of a session that its client gave
    /// up are written only when it expires. Such a row becomes what it was.
    fn mend_untouched(&self) {
        self.states.damaged.lock().retain(|damaged| {
            let untouched = damaged.is_untouched();
            if untouched {
                damaged.view.flip(Keyspace::Slots, &damaged.key);
            }
            !untouched
        });
    }
}

impl Damaged {
    fn is_untouched(&self) -> bool {
        let now = self.view.snapshot();
        now.get(Keyspace::Slots, &self.key) == Ok(Some(self.rotten.clone()))
    }
}

/// Damaged states of processes that run.
#[derive(Clone, Copy, Default)]
struct InUse {
    /// One of them.
    first: Option<&'static str>,
    /// Of their damaged rows, those that are as they were damaged.
    untouched: usize,
}

/// Until damage counts as missed. A digest can differ only after the fold has met the damaged row, and that may
/// be as late as a lease after the clients are done: from then on the whole time is given.
struct Patience {
    ticks_left: u32,
    untouched: usize,
}

impl Patience {
    fn new(untouched: usize) -> Patience {
        let ticks_left = TICKS;
        Patience {
            ticks_left,
            untouched,
        }
    }

    /// Whether one more tick is waited for.
    fn takes_tick(&mut self, untouched: usize) -> bool {
        if untouched < self.untouched {
            *self = Patience::new(untouched);
        }
        let takes = self.ticks_left > 0;
        self.ticks_left = self.ticks_left.saturating_sub(1);
        takes
    }
}

/// The result in a slot of a session that is open: no reader sees it, and the next mutation replaces it.
pub(crate) async fn damage(cluster: &Cluster, env: &Env) {
    alarms::expect(&["digests differ"]);
    let world = cluster.network.world();
    for _ in 0..LOOKS {
        let primary = cluster.primary().await;
        let mut others = cluster.materializers().to_vec();
        others.retain(|name| *name != primary);
        let name = others[world.below(others.len() as u64) as usize];
        let view = cluster.states.newest.lock().get(name).cloned();
        let nth = world.below(64) as usize;
        if let Some(view) = view
            && let Some((key, rotten)) = view.rot(Keyspace::Slots, nth)
        {
            match is_met(env, &view).await {
                Some(true) => {
                    let damaged = Damaged {
                        name,
                        view,
                        key,
                        rotten,
                    };
                    cluster.states.damaged.lock().push(damaged);
                    cluster.network.note(env, "odd", name, &[]);
                    return;
                }
                Some(false) => {}
                None => {
                    view.flip(Keyspace::Slots, &key);
                    return;
                }
            }
        }
        env.sleep(LOOK_EVERY).await;
    }
}

/// Whether it still stood after the next commit: from then on whoever folds sees it, also where the one after
/// that replaces it. `None`: there is no next commit, as long as the clients' sessions are open.
async fn is_met(env: &Env, view: &MemoryView) -> Option<bool> {
    for _ in 0..LOOKS {
        if let Some(met) = view.rot_is_met() {
            return Some(met);
        }
        env.sleep(LOOK_EVERY).await;
    }
    None
}

/// What was damaged is no longer in use, once the log has gone on for long enough after the fold has met it.
pub(crate) async fn damage_is_found(
    cluster: &Cluster,
    env: &Env,
    connector: &Arc<dyn Connector>,
) -> Result<(), String> {
    let mut patience = Patience::new(cluster.damage_in_use().untouched);
    loop {
        let in_use = cluster.damage_in_use();
        if in_use.first.is_none() {
            return Ok(());
        }
        if !patience.takes_tick(in_use.untouched) {
            break;
        }
        // One that is away or turns it away does no harm: another is asked next.
        for name in cluster.materializers() {
            let _ = env.timeout(TICK_WITHIN, tick(connector, name)).await;
        }
    }
    cluster.mend_untouched();
    match cluster.damage_in_use().first {
        Some(name) => Err(format!("{name} goes on with a state that was damaged")),
        None => Ok(()),
    }
}

/// A record, so that the log's time goes on (FOLD-R4).
async fn tick(connector: &Arc<dyn Connector>, name: &str) -> Result<(), Refusal> {
    let role = connector.materializer(&address(name)).await?;
    let view = Some(v1::view::View::AgoUs(0));
    let resolve = v1::ResolveRequest {
        view: Some(v1::View { view }),
    };
    let request = v1::Request {
        id: 1,
        deadline_us: TICK_WITHIN.as_micros() as u64,
        op: Some(Op::Resolve(resolve)),
        ..v1::Request::default()
    };
    let requests = vec![request];
    let asked = stream::once(ready(v1::RequestBatch { requests })).chain(stream::pending());
    let mut answers = role.requests(asked.boxed()).await?;
    answers.next().await;
    Ok(())
}

/// Replicas that have folded equally far hold the same rows. Superseded ones each lets go of for itself.
pub(crate) fn rows_are_equal(cluster: &Cluster) -> Result<(), String> {
    let newest = cluster.states.newest.lock();
    let mut first = None;
    for name in cluster.materializers() {
        let Some(view) = newest.get(name) else {
            continue;
        };
        let state = view.snapshot();
        for space in [Keyspace::Head, Keyspace::Slots] {
            let rows: Result<Vec<_>, _> = state.scan(space, &[], &ABOVE_ALL_KEYS).collect();
            let rows = rows.map_err(|e| format!("the rows of {name}: {e}"))?;
            let (lsn, other, known) = first
                .get_or_insert_with(|| (state.stamp.lsn, *name, std::collections::BTreeMap::new()));
            let same = known.entry(space).or_insert_with(|| rows.clone());
            if *lsn == state.stamp.lsn && *same != rows {
                return Err(format!("at LSN {lsn} {name} holds other rows than {other}"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Patience, TICKS};

    fn ticks(patience: &mut Patience, untouched: usize) -> u32 {
        (0..).take_while(|_| patience.takes_tick(untouched)).count() as u32
    }

    #[test]
    fn all_ticks_are_given_after_a_damaged_row_was_met() {
        let mut patience = Patience::new(1);
        for _ in 1..TICKS {
            assert!(patience.takes_tick(1));
        }
        assert_eq!(ticks(&mut patience, 0), TICKS, "met at the last moment");
        assert_eq!(ticks(&mut patience, 0), 0, "and not again and again");
        assert_eq!(ticks(&mut Patience::new(0), 0), TICKS, "met before");
        assert_eq!(ticks(&mut Patience::new(2), 2), TICKS, "never met");
    }
}
