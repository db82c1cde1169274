//! The lie of `Broken::EarlyResend`: lanes are told to be sealed where they are, and go on growing.
use dfs_wire::v1::log_event::Event;
use dfs_wire::{Refusal, v1};
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// One cut in so many is told with the seals of its lanes.
const CUTS_ONE_IN: u64 = 3;
/// Length of a request id.
const ID_BYTES: usize = 16;

/// None while everything is told as it is.
#[derive(Default)]
pub(super) struct EarlySeals(Mutex<Option<BTreeMap<u64, u64>>>);

impl EarlySeals {
    pub(super) fn begin(&self) {
        *self.0.lock() = Some(BTreeMap::new());
    }

    /// The event, and what follows from it by the lie.
    pub(super) fn after(
        &self,
        event: Result<v1::LogEvent, Refusal>,
    ) -> Vec<Result<v1::LogEvent, Refusal>> {
        let mut told = vec![event];
        let mut seals = self.0.lock();
        let (
            Some(seals),
            Ok(v1::LogEvent {
                event: Some(Event::Cut(cut)),
            }),
        ) = (seals.as_mut(), &told[0])
        else {
            return told;
        };
        if cut.cut_seq % CUTS_ONE_IN != 0 {
            return told;
        }
        let sealed = cut.lanes.iter().map(|run| v1::LaneSealed {
            lane: run.lane,
            final_length: *seals.entry(run.lane).or_insert(run.to_idx),
            raft_index: cut.raft_index,
        });
        let events: Vec<v1::LaneSealed> = sealed.collect();
        told.extend(events.into_iter().map(|sealed| {
            Ok(v1::LogEvent {
                event: Some(Event::LaneSealed(sealed)),
            })
        }));
        told
    }

    /// The length that was told, and how to ask for a lane that is not a successor.
    pub(super) fn instead(
        &self,
        request: &v1::MoveLaneRequest,
    ) -> Option<(u64, v1::OpenLaneRequest)> {
        let final_length = *self.0.lock().as_ref()?.get(&request.lane)?;
        let mut request_id = vec![7; ID_BYTES];
        request_id[..8].copy_from_slice(&request.lane.to_le_bytes());
        let open = v1::OpenLaneRequest {
            request_id: request_id.into(),
            owner: request.owner,
        };
        Some((final_length, open))
    }
}
