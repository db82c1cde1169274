//! LOG-U9: a leader whose log ends before what a unit has stamped makes no cut and says why.
mod world;

use dfs_env::sim::SimWorld;
use dfs_rpc::roles::Sequencer;
use dfs_wire::{Code, v1};
use futures::StreamExt;
use world::{Process, Unit, end, linear_end, next_cut, refused_as, start, subscribe};

fn hello(process: &Process, last_lsn: u64) -> v1::UnitHello {
    let (unit_id, nonce) = process.units[0].clone();
    v1::UnitHello {
        unit_id,
        nonce,
        node: Some(process.owner),
        ends: vec![end(1, 9)],
        last_stamp: Some(v1::Stamp {
            lsn: last_lsn,
            cut_seq: 1,
            raft_index: 8,
        }),
        ..Default::default()
    }
}

#[test]
fn a_leader_stops_when_a_unit_knows_a_later_end() {
    SimWorld::run(1, |world| async move {
        let (env, role) = start(&world, 1, 1).await;
        let process = Process::join(&env, &role, 1, &[11]).await;
        let unit = process.unit(0, vec![]).await;
        process.open_lane(1).await.expect("the unit lives");
        let (_, mut events) = subscribe(&role).await;
        unit.durable(vec![end(1, 5)], 0).await;
        assert_eq!(next_cut(&mut events).await.lanes[0].to_idx, 5);

        // As it should be: the last stamp is of the last LSN.
        let unit = Unit::converse(&role, hello(&process, 5)).await;
        let mut unit = unit.expect("the log knows what it has stamped");
        assert_eq!(next_cut(&mut events).await.lanes[0].to_idx, 9);
        assert_eq!(linear_end(&env, &role).await.next_lsn, 10);

        // The journal was set back: it ends at 9, and 10 was stamped.
        let refused = Unit::converse(&role, hello(&process, 10)).await;
        let why = refused.as_ref().err().map(ToString::to_string);
        assert!(
            why.is_some_and(|why| why.contains("it ends at LSN 9, but unit 1 has stamped LSN 10"))
        );
        refused_as(refused.map(|_| ()), Code::LogWentBack);
        let linearizable = true;
        refused_as(
            role.end(v1::EndRequest { linearizable }).await,
            Code::LogWentBack,
        );
        refused_as(process.open_lane(2).await, Code::LogWentBack);
        // Who spoke with it is sent away, and nothing more is cut.
        while let Some(order) = unit.orders.next().await {
            if order.is_err() {
                break;
            }
        }
        let ends = events.next().await;
        assert!(ends.is_none_or(|event| event.is_err()), "no cut follows");
        let status = role.status().await.expect("told");
        assert!(status.next_lsn == 10 && status.halted.contains("unit 1 has stamped LSN 10"));
    });
}
