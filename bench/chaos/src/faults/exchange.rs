//! One process takes the place of another, by the commands that an operator types.
use super::Nemesis;
use crate::cluster::{Process, Role, Standing};
use anyhow::{Context, Result};
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A process that has started is a member of the cluster by then.
const LISTED_WITHIN: Duration = Duration::from_secs(20);

impl Nemesis {
    /// A spare of the same role joins, then the old one leaves for good.
    pub(crate) async fn replace(&self, old: &Process) {
        let Some(new) = self.cluster.spare(old.role) else {
            return;
        };
        let mark = self.begin(format!("{} takes the place of {}", new.name, old.name));
        new.stands(Standing::Member);
        self.start(new);
        let replaced = match old.role {
            Role::Sequencer => Box::pin(self.exchange_sequencer(old, new)).await,
            Role::Unit => Box::pin(self.exchange_unit(old, new)).await,
            Role::Materializer => Box::pin(self.exchange_materializer(old, new)).await,
        };
        if let Err(error) = replaced {
            let what = format!("{} stays: {error:#}", old.name);
            self.unasked.lock().push(what);
        } else {
            old.kill().await;
        }
        self.until_well(mark).await;
    }

    async fn exchange_sequencer(&self, old: &Process, new: &Process) -> Result<()> {
        self.cluster.operate(&["node", "add", &new.address]).await?;
        self.leave(old, &old.address).await
    }

    async fn exchange_unit(&self, old: &Process, new: &Process) -> Result<()> {
        let wait = ["node", "wait", &new.address, "--for", "live"];
        self.until_listed(new).await?;
        self.cluster.operate(&wait).await?;
        let unit = format!("unit/{}", self.unit_at(old).await?);
        self.cluster.operate(&["node", "drain", &unit]).await?;
        self.leave(old, &unit).await
    }

    async fn exchange_materializer(&self, old: &Process, new: &Process) -> Result<()> {
        self.until_listed(new).await?;
        let wait = ["node", "wait", &new.address, "--for", "caught-up"];
        self.cluster.operate(&wait).await?;
        old.stands(Standing::Left);
        old.kill().await;
        let removed = self
            .cluster
            .operate(&["node", "remove", &old.address])
            .await;
        removed.map(drop)
    }

    /// It may end by itself when it hears of it: from here on that is no fault, unless it stays.
    async fn leave(&self, old: &Process, name: &str) -> Result<()> {
        old.stands(Standing::Left);
        let removed = self.cluster.operate(&["node", "remove", name]).await;
        if removed.is_err() {
            old.stands(Standing::Member);
        }
        removed.map(drop)
    }

    async fn unit_at(&self, process: &Process) -> Result<u64> {
        let status = self.eye.status().await?;
        let mut units = status.units.iter().map(|(unit, _)| unit);
        let found = units.find(|unit| unit.address == process.address);
        found
            .map(|unit| unit.unit_id)
            .with_context(|| format!("no unit at {}", process.address))
    }

    async fn until_listed(&self, process: &Process) -> Result<()> {
        let until = self.env.now() + LISTED_WITHIN;
        loop {
            let members = self
                .eye
                .status()
                .await
                .ok()
                .and_then(|it| it.sequencer.members);
            let members = members.unwrap_or_default().members;
            if members.iter().any(|it| it.address == process.address) {
                return Ok(());
            }
            anyhow::ensure!(self.env.now() < until, "{} never joined", process.name);
            self.env.sleep(LOOK_EVERY).await;
        }
    }
}
