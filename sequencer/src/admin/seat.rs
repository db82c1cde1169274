//! Seat: a sequencer that joins gets its id, once and for good (Q9).
use crate::order::command::{Kind, SeatVoter};
use crate::role::{NONCE_BYTES, SequencerRole};
use dfs_wire::{Code, Refusal, v1};

impl SequencerRole {
    /// Idempotent per nonce. The id is new: also not that of one that was removed.
    pub(super) async fn seat(&self, asked: v1::SeatRequest) -> Result<v1::Seated, Refusal> {
        let what = "a seat in the group";
        if asked.nonce.len() != NONCE_BYTES {
            let why = "its nonce is not of 16 bytes";
            return Err(Refusal::new(Code::Invalid, what, why));
        }
        self.seat_itself().await?;
        loop {
            let known = self.known();
            let (seated, next, cluster_id) = self.leading(what, |seen| {
                let seats = &seen.order.seats;
                let mut of_nonce = seats.iter().filter(|(_, kept)| **kept == asked.nonce);
                let seated = of_nonce.next().map(|(id, _)| *id);
                let taken = seats.keys().chain(known.addresses.keys()).max();
                let next = taken.copied().unwrap_or(0) + 1;
                Ok((seated, next, seen.order.cluster_id.clone()))
            })?;
            if let Some(id) = seated {
                let cluster_id = cluster_id.into();
                return Ok(v1::Seated { id, cluster_id });
            }
            let nonce = asked.nonce.to_vec();
            let seat = Kind::SeatVoter(SeatVoter { voter: next, nonce });
            match self.propose(what, seat).await {
                // Somebody else was given this one: the next, then.
                Err(refusal) if refusal.code() == Code::Mismatch => {}
                done => drop(done?),
            }
        }
    }

    /// A voter that was alone has no seat yet, and is to be the first.
    pub(super) async fn seat_itself(&self) -> Result<(), Refusal> {
        let what = "a seat in the group";
        let own = self.config().voter;
        let seated = self.leading(what, |seen| Ok(seen.order.seats.contains_key(&own)))?;
        if seated {
            return Ok(());
        }
        let nonce = self.standing().nonce().to_vec();
        let seat = SeatVoter { voter: own, nonce };
        self.propose(what, Kind::SeatVoter(seat)).await.map(drop)
    }
}
