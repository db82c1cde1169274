//! The units' fsync counters all the while: whether the data plane goes on while the sequencer is away.
use crate::clients::Clients;
use crate::load::Load;
use dfs_fs::Fs;
use dfs_rpc::roles::Connector;
use dfs_wire::v1;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// Several in every gap.
const SAMPLE_EVERY: Duration = Duration::from_millis(20);
/// A unit that does not answer at once is left out of this sample.
const ANSWER_WITHIN: Duration = Duration::from_millis(200);

/// (µs since the run began, fsyncs of all units), in order.
#[derive(Default)]
pub(crate) struct Fsyncs {
    samples: Mutex<Vec<(u64, u64)>>,
}

impl Fsyncs {
    /// Until the load ends. Counters are those of the units' present lives: only where no unit is
    /// killed do they rise for good.
    pub(crate) async fn sample(self: Arc<Self>, clients: Clients, eye: Fs, load: Arc<Load>) {
        let Ok(status) = eye.status().await else {
            return;
        };
        let units: Vec<v1::UnitRef> = status.units.into_iter().map(|(unit, _)| unit).collect();
        let connector = clients.connector();
        while load.env.now() < load.until {
            let mut sum = Some(0);
            for unit in &units {
                let asked = async {
                    let found = connector.unit(unit.unit_id, &unit.address).await.ok()?;
                    let unit_id = unit.unit_id;
                    let status = found.status(v1::UnitStatusRequest { unit_id }).await;
                    Some(status.ok()?.fsyncs)
                };
                let answered = load.env.timeout(ANSWER_WITHIN, asked).await;
                sum = sum.zip(answered.ok().flatten()).map(|(sum, one)| sum + one);
            }
            if let Some(sum) = sum {
                self.samples.lock().push((load.now_us(), sum));
            }
            load.env.sleep(SAMPLE_EVERY).await;
        }
    }

    /// How much they rose between the first and the last sample of this time.
    pub(crate) fn rise(&self, from_us: u64, until_us: u64) -> Option<u64> {
        let samples = self.samples.lock();
        let mut within = samples
            .iter()
            .filter(|(at, _)| (from_us..=until_us).contains(at));
        let (_, first) = within.next()?;
        let (_, last) = within.next_back()?;
        Some(last.saturating_sub(*first))
    }
}
