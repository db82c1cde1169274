//! As many linearizable reads as the cluster answers, each judged when it is answered.
//!
//! Their clients know one materializer each, so they stay with it when it is cut off or paused; others ask
//! one sequencer each where the log ends.
use crate::clients::Clients;
use crate::cluster::{Cluster, Role};
use crate::dice::Dice;
use crate::history::{Act, Outcome};
use crate::load::{Load, REGISTERS, read};
use anyhow::Result;
use dfs_env::Task;
use dfs_fs::Fs;
use dfs_rpc::leading::Dial;
use dfs_wire::{Refusal, v1};
use std::sync::Arc;
use std::time::Duration;

/// Short, so that many are asked while a process does not answer.
const TIMEOUT: Duration = Duration::from_millis(600);
/// After a failure: whoever refuses at once is not asked in circles.
const REST: Duration = Duration::from_millis(20);
/// Questions to one sequencer: most refuse, for they do not lead.
const END_EVERY: Duration = Duration::from_millis(10);

/// `count` readers over all materializers, and one more for each sequencer; none for none.
pub(crate) async fn begin(
    cluster: &Cluster,
    clients: &Clients,
    load: &Arc<Load>,
    count: u64,
) -> Result<Vec<Task<()>>> {
    let mut tasks = Vec::new();
    if count == 0 {
        return Ok(tasks);
    }
    let mut doors = Vec::new();
    for process in cluster.of(Role::Materializer) {
        let actor = format!("reads-{}", process.name);
        let fs = clients.pinned(&actor, &process.address, TIMEOUT).await?;
        doors.push((process.number, fs));
    }
    for number in 0..count {
        let (place, fs) = doors[number as usize % doors.len()].clone();
        let reading = read_on(load.clone(), fs, place, Dice::new(number));
        tasks.push(load.env.spawn("chaos-reader", reading));
    }
    for process in cluster.of(Role::Sequencer) {
        let asking = ask_on(
            load.clone(),
            clients.clone(),
            process.address.clone(),
            process.number,
        );
        tasks.push(load.env.spawn("chaos-end-asker", asking));
    }
    Ok(tasks)
}

/// One after the other, of the materializer with this number.
async fn read_on(load: Arc<Load>, fs: Fs, place: usize, mut dice: Dice) {
    let witness = &load.witness;
    while load.env.now() < load.until {
        let register = format!("r{}", dice.below(REGISTERS));
        let act = Act::Read {
            register: register.clone(),
        };
        let apart = witness.apart(place);
        let known = witness.begins(&act);
        let outcome = read(&fs, &register).await;
        witness.ends(&act, known, &outcome);
        let answered = matches!(outcome, Outcome::Saw { .. });
        if apart.is_some() && apart == witness.apart(place) {
            witness.read_apart(answered);
        }
        if !answered {
            load.env.sleep(REST).await;
        }
    }
}

/// Of one sequencer, whatever it is now.
async fn ask_on(load: Arc<Load>, clients: Clients, address: String, place: usize) {
    let (witness, connector) = (&load.witness, clients.connector());
    while load.env.now() < load.until {
        let apart = witness.apart(place);
        let known = witness.known();
        let asked = async {
            let request = v1::EndRequest { linearizable: true };
            let end = connector.dial(&address).await?.end(request).await?;
            Ok::<u64, Refusal>(end.next_lsn)
        };
        let end = load.env.timeout(TIMEOUT, asked).await;
        let end = end.ok().and_then(Result::ok);
        if let Some(next_lsn) = end {
            witness.ended(known, next_lsn);
        }
        if apart.is_some() && apart == witness.apart(place) {
            witness.end_apart(end.is_some());
        }
        load.env.sleep(END_EVERY).await;
    }
}
