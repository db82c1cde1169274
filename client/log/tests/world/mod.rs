//! A cluster of stand-ins, a process with a lane in it, and numbered records.

use std::sync::Arc;

use bytes::Bytes;
use dfs_env::Env;
use dfs_log::testing::FakeCluster;
use dfs_log::{Appender, ClusterLog, Draft, SharedLog, Ticket};
use dfs_wire::Tag;
use dfs_wire::v1::Owner;

pub(crate) const ONE: Owner = Owner {
    node_id: 1,
    incarnation: 100,
};
pub(crate) const OTHER: Owner = Owner {
    node_id: 2,
    incarnation: 200,
};

pub(crate) struct World {
    pub(crate) env: Env,
    pub(crate) cluster: Arc<FakeCluster>,
    pub(crate) log: Arc<ClusterLog>,
    pub(crate) appender: Appender,
    pub(crate) appended: u64,
}

pub(crate) fn numbered(n: u64) -> Draft {
    let (tags, record) = (vec![Tag(n % 3)], Bytes::from(format!("record {n}")));
    Draft {
        tags,
        record,
        ..Draft::default()
    }
}

impl World {
    /// `r` units a stripe, of which `w` must hold a record.
    pub(crate) async fn new(stripes: u64, r: u64, w: u32) -> World {
        let env = Env::real();
        let cluster = FakeCluster::new(env.clone(), stripes, r, w);
        let log = ClusterLog::open(env.group("one"), cluster.connector(), ONE);
        let appender = log.appender(ONE).await.unwrap();
        World {
            env,
            cluster,
            log,
            appender,
            appended: 0,
        }
    }

    pub(crate) fn other_process(&self) -> Arc<ClusterLog> {
        ClusterLog::open(self.env.group("other"), self.cluster.connector(), OTHER)
    }

    pub(crate) async fn send(&mut self, count: u64) -> Vec<Ticket> {
        let mut tickets = Vec::new();
        for _ in 0..count {
            tickets.push(self.appender.append(numbered(self.appended)).await.unwrap());
            self.appended += 1;
        }
        tickets
    }

    /// What was appended so far.
    pub(crate) fn expected(&self) -> Vec<Bytes> {
        (0..self.appended).map(|n| numbered(n).record).collect()
    }
}
