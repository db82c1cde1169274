//! Register: ids for a process and its units.
use super::SequencerRole;
use crate::order::Outcome;
use crate::order::command::{Kind, Register, RegisterUnit};
use dfs_wire::{Code, Refusal, v1};

/// Nonces and request ids.
pub(crate) const NONCE_BYTES: usize = 16;
/// Units of one process, and length of its texts: a registration must stay small.
const UNITS_MAX: usize = 64;
const TEXT_BYTES_MAX: usize = 1_024;

impl SequencerRole {
    pub(super) async fn register_process(
        &self,
        request: v1::RegisterRequest,
    ) -> Result<v1::Registered, Refusal> {
        check(&request)?;
        self.leading("registration", |_| Ok(()))?;
        let register = Register {
            node_nonce: request.node_nonce.to_vec(),
            node_id: request.node_id,
            incarnation: request.incarnation,
            roles: request.roles,
            address: request.address,
            rack: request.rack,
            rank: request.rank,
            units: request
                .units
                .into_iter()
                .map(|unit| RegisterUnit {
                    slot: unit.slot,
                    nonce: unit.nonce.to_vec(),
                })
                .collect(),
        };
        match self
            .propose("registration", Kind::Register(register))
            .await?
        {
            Outcome::Registered { node_id, unit_ids } => {
                let cluster_id = self.board.with(|seen| seen.order.cluster_id.clone()).into();
                Ok(v1::Registered {
                    cluster_id,
                    node_id,
                    unit_ids,
                })
            }
            other => unreachable!("Register was answered by {other:?}"),
        }
    }
}

fn check(request: &v1::RegisterRequest) -> Result<(), Refusal> {
    let texts = request
        .roles
        .iter()
        .chain([&request.address, &request.rack]);
    let text_bytes: usize = texts.map(String::len).sum();
    let nonces = request
        .units
        .iter()
        .map(|unit| &unit.nonce)
        .chain([&request.node_nonce]);
    let why = if nonces.into_iter().any(|nonce| nonce.len() != NONCE_BYTES) {
        "a nonce is not of 16 bytes"
    } else if request.units.len() > UNITS_MAX || text_bytes > TEXT_BYTES_MAX {
        "too many units, or texts that are too long"
    } else {
        return Ok(());
    };
    Err(Refusal::new(Code::Invalid, "registration", why))
}
