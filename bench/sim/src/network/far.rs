//! Roles of other processes, as the same traits.
use super::Network;
use super::link::Link;
use async_trait::async_trait;
use dfs_rpc::roles::{Answers, LogUnit, Materializer, Requests, Sequencer};
use dfs_rpc::serve::Roles;
use dfs_wire::frame::Frame;
use dfs_wire::limits::SESSION_SLOTS;
use dfs_wire::v1::scan_item::Item;
use dfs_wire::v1::unit_order::Order as Told;
use dfs_wire::v1::unit_report::Report;
use dfs_wire::{Code, Refusal, v1};
use futures::{StreamExt, stream};
use std::sync::Arc;

/// More than one run ever has.
const STRIPES_MAX: u64 = 64;

pub(super) struct FarSequencer(pub(super) Link);

fn sequencer(roles: &Roles) -> Option<Arc<dyn Sequencer>> {
    roles.sequencer.clone()
}

#[async_trait]
impl Sequencer for FarSequencer {
    async fn register(&self, request: v1::RegisterRequest) -> Result<v1::Registered, Refusal> {
        let asked = request.clone();
        let act = |role: Arc<dyn Sequencer>| async move { role.register(asked).await };
        self.0.call("register", &request, sequencer, act).await
    }

    async fn keep_alive(&self, beats: Requests<v1::Beat>) -> Result<Answers<v1::Members>, Refusal> {
        self.0.there("keep-alive").await?;
        let role = self.0.role("keep-alive", sequencer)?;
        let (beats, held) = self.0.outgoing("beat", beats, None);
        let handler = async move { role.keep_alive(beats).await };
        self.0.answers("members", handler, Some(held)).await
    }

    async fn open_lane(&self, request: v1::OpenLaneRequest) -> Result<v1::LaneOpened, Refusal> {
        let asked = request.clone();
        let act = |role: Arc<dyn Sequencer>| async move { role.open_lane(asked).await };
        self.0.call("open lane", &request, sequencer, act).await
    }

    async fn move_lane(&self, request: v1::MoveLaneRequest) -> Result<v1::LaneMoved, Refusal> {
        if let Some((final_length, open)) = self.0.network.early_seals().instead(&request) {
            let successor = Some(self.open_lane(open).await?);
            return Ok(v1::LaneMoved {
                final_length,
                successor,
            });
        }
        let asked = request.clone();
        let act = |role: Arc<dyn Sequencer>| async move { role.move_lane(asked).await };
        self.0.call("move lane", &request, sequencer, act).await
    }

    async fn drain_unit(&self, asked: v1::DrainUnitRequest) -> Result<v1::DrainProgress, Refusal> {
        let act = |role: Arc<dyn Sequencer>| async move { role.drain_unit(asked).await };
        self.0.call("drain unit", &asked, sequencer, act).await
    }

    async fn remove_unit(&self, asked: v1::RemoveUnitRequest) -> Result<v1::UnitRemoved, Refusal> {
        let act = |role: Arc<dyn Sequencer>| async move { role.remove_unit(asked).await };
        self.0.call("remove unit", &asked, sequencer, act).await
    }

    async fn unit(
        &self,
        reports: Requests<v1::UnitReport>,
    ) -> Result<Answers<v1::UnitOrder>, Refusal> {
        self.0.there("unit").await?;
        let role = self.0.role("unit", sequencer)?;
        let network = self.0.network.clone();
        let told = move |report| boast(&network, report);
        let reports = reports.map(told).boxed();
        let (reports, held) = self.0.outgoing("report", reports, None);
        let handler = async move { role.unit(reports).await };
        let orders = self.0.answers("order", handler, Some(held)).await?;
        let network = self.0.network.clone();
        let told = move |order: Result<v1::UnitOrder, Refusal>| {
            order.map(|mut order| {
                match &mut order.order {
                    Some(Told::Trimmed(told)) => told.trim_lsn = network.trimmed_to(told.trim_lsn),
                    Some(Told::Base(base)) => base.trim_lsn = network.trimmed_to(base.trim_lsn),
                    _ => {}
                }
                order
            })
        };
        Ok(orders.map(told).boxed())
    }

    async fn subscribe(
        &self,
        request: v1::SubscribeRequest,
    ) -> Result<Answers<v1::LogEvent>, Refusal> {
        self.0.note("subscribe", &request);
        self.0.there("subscribe").await?;
        let role = self.0.role("subscribe", sequencer)?;
        let handler = async move { role.subscribe(request).await };
        let events = self.0.answers("event", handler, None).await?;
        let network = self.0.network.clone();
        let told = move |event| stream::iter(network.early_seals().after(event));
        Ok(events.flat_map(told).boxed())
    }

    async fn end(&self, request: v1::EndRequest) -> Result<v1::EndAnswer, Refusal> {
        let act = move |role: Arc<dyn Sequencer>| async move { role.end(request).await };
        self.0.call("end", &request, sequencer, act).await
    }

    async fn status(&self) -> Result<v1::SequencerStatusAnswer, Refusal> {
        let request = v1::SequencerStatusRequest {};
        let act = |role: Arc<dyn Sequencer>| async move { role.status().await };
        self.0.call("status", &request, sequencer, act).await
    }

    async fn administer(&self, request: v1::AdminRequest) -> Result<v1::AdminAnswer, Refusal> {
        let asked = request.clone();
        let act = |role: Arc<dyn Sequencer>| async move { role.administer(asked).await };
        self.0.call("administer", &request, sequencer, act).await
    }

    async fn watch_group(&self) -> Result<Answers<v1::GroupStatus>, Refusal> {
        self.0.there("watch group").await?;
        let role = self.0.role("watch group", sequencer)?;
        let handler = async move { role.watch_group().await };
        self.0.answers("group", handler, None).await
    }

    async fn history(&self) -> Result<v1::HistoryAnswer, Refusal> {
        let request = v1::HistoryRequest {};
        let act = |role: Arc<dyn Sequencer>| async move { role.history().await };
        self.0.call("history", &request, sequencer, act).await
    }

    async fn change_history(
        &self,
        change: v1::HistoryChange,
    ) -> Result<v1::HistoryAnswer, Refusal> {
        let asked = change.clone();
        let act = |role: Arc<dyn Sequencer>| async move { role.change_history(asked).await };
        self.0.call("change history", &change, sequencer, act).await
    }
}

pub(super) struct FarUnit {
    pub(super) link: Link,
    pub(super) unit_id: u64,
}

impl FarUnit {
    async fn there(&self, what: &'static str) -> Result<Arc<dyn LogUnit>, Refusal> {
        self.link.there(what).await?;
        let unit_id = self.unit_id;
        let unit = move |roles: &Roles| roles.units.get(&unit_id).cloned();
        self.link.role(what, unit)
    }
}

#[async_trait]
impl LogUnit for FarUnit {
    async fn append(
        &self,
        frames: Requests<v1::AppendRequest>,
    ) -> Result<Answers<v1::CreditBatch>, Refusal> {
        let role = self.there("append").await?;
        let (frames, held) = self.link.outgoing("append", frames, None);
        let handler = async move { role.append(frames).await };
        self.link.answers("credit", handler, Some(held)).await
    }

    async fn scan(&self, request: v1::ScanRequest) -> Result<Answers<v1::ScanBatch>, Refusal> {
        self.link.note("scan", &request);
        let role = self.there("scan").await?;
        let handler = async move { role.scan(request).await };
        let scanned = self.link.answers("scanned", handler, None).await?;
        let (link, network) = (self.link.clone(), self.link.network.clone());
        let hide = move |batch: Result<v1::ScanBatch, Refusal>| {
            batch.map(|mut batch| {
                let frame = batch.items.iter_mut().find_map(hidden);
                if let Some((item, skip)) = frame
                    && network.takes_frame_to_skip()
                {
                    link.note("hide", item);
                    item.item = Some(Item::Skip(skip));
                }
                batch
            })
        };
        Ok(scanned.map(hide).boxed())
    }

    async fn store(&self, parts: Requests<v1::StorePart>) -> Result<v1::Stored, Refusal> {
        let role = self.there("store").await?;
        let (parts, _held) = self.link.outgoing("store", parts, None);
        let handler = async move { role.store(parts).await };
        let stored = self.link.handled("store", handler).await;
        self.link.back("stored", stored).await
    }

    async fn load(&self, request: v1::LoadRequest) -> Result<Answers<v1::LoadPart>, Refusal> {
        self.link.note("load", &request);
        let role = self.there("load").await?;
        let handler = async move { role.load(request).await };
        self.link.answers("loaded", handler, None).await
    }

    async fn status(
        &self,
        request: v1::UnitStatusRequest,
    ) -> Result<v1::UnitStatusAnswer, Refusal> {
        let unit_id = self.unit_id;
        let unit = move |roles: &Roles| roles.units.get(&unit_id).cloned();
        let act = move |role: Arc<dyn LogUnit>| async move { role.status(request).await };
        self.link.call("unit status", &request, unit, act).await
    }

    async fn fetch(&self, request: v1::FetchRequest) -> Result<Answers<v1::FetchBatch>, Refusal> {
        self.link.note("fetch", &request);
        if self.link.network.has_hollow_copies() {
            return Err(Refusal::new(
                Code::Unavailable,
                "fetch",
                "broken on purpose",
            ));
        }
        let role = self.there("fetch").await?;
        let handler = async move { role.fetch(request).await };
        self.link.answers("fetched", handler, None).await
    }
}

/// The lie of `Broken::HollowCopies`: whatever is closed is held.
fn boast(network: &Network, mut report: v1::UnitReport) -> v1::UnitReport {
    if network.has_hollow_copies()
        && let Some(Report::Durable(durable)) = &mut report.report
    {
        durable.whole_stripes = (1..=STRIPES_MAX).collect();
    }
    report
}

/// A frame, and the lie that would stand in its place.
fn hidden(item: &mut v1::ScanItem) -> Option<(&mut v1::ScanItem, v1::Skip)> {
    let Some(Item::Frame(scanned)) = &item.item else {
        return None;
    };
    let header = Frame::parse(scanned.frame.clone()).ok()?.header;
    header.order?; // others may be void: a second genesis, whose loss nobody would miss
    let count = u64::from(header.count);
    let skip = v1::Skip {
        first_lsn: scanned.first_lsn,
        last_lsn: scanned.first_lsn + count - 1,
        count,
    };
    Some((item, skip))
}

pub(super) struct FarMaterializer(pub(super) Link);

/// The same batch; in a broken build, in slots that nobody uses.
fn double(network: &Network, batch: &v1::RequestBatch) -> v1::RequestBatch {
    let mut batch = batch.clone();
    if network.forgets_slots() {
        let slots = batch.requests.iter_mut().flat_map(|r| &mut r.slot);
        slots.for_each(|slot| slot.slot += SESSION_SLOTS / 2);
    }
    batch
}

fn materializer(roles: &Roles) -> Option<Arc<dyn Materializer>> {
    roles.materializer.clone()
}

#[async_trait]
impl Materializer for FarMaterializer {
    async fn requests(
        &self,
        requests: Requests<v1::RequestBatch>,
    ) -> Result<Answers<v1::AnswerBatch>, Refusal> {
        self.0.there("requests").await?;
        let role = self.0.role("requests", materializer)?;
        let (requests, held) = self.0.outgoing("request", requests, Some(double));
        let handler = async move { role.requests(requests).await };
        self.0.answers("answer", handler, Some(held)).await
    }

    async fn status(&self) -> Result<v1::MaterializerStatusAnswer, Refusal> {
        let request = v1::MaterializerStatusRequest {};
        let act = |role: Arc<dyn Materializer>| async move { role.status().await };
        self.0.call("status", &request, materializer, act).await
    }
}
