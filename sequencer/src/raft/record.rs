//! Records of the Raft journal. Numbers never come back.
use crate::order::command::Command;
use crate::raft::{Entry, LogId, Vote};
use openraft::EntryPayload;
use openraft::impls::leader_id_adv::LeaderId;
use prost::Message;
use std::io;

/// One record; the segment's batch around it carries length and checksum.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Record {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4")]
    pub(crate) kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Kind {
    #[prost(message, tag = "1")]
    Entry(EntryRecord),
    #[prost(message, tag = "2")]
    Vote(VoteRecord),
    /// Entries after this one are void. Index 0 of term 0: all of them.
    #[prost(message, tag = "3")]
    TruncatedAfter(Place),
    /// Entries up to this one, inclusive, are in a snapshot.
    #[prost(message, tag = "4")]
    PurgedThrough(Place),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct EntryRecord {
    #[prost(message, required, tag = "1")]
    place: Place,
    #[prost(oneof = "Payload", tags = "2, 3, 4")]
    payload: Option<Payload>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Payload {
    #[prost(bool, tag = "2")]
    Blank(bool),
    #[prost(message, tag = "3")]
    Command(Command),
    /// JSON of openraft's own type: rare, and nobody else reads it.
    #[prost(bytes, tag = "4")]
    Membership(Vec<u8>),
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct Place {
    #[prost(uint64, tag = "1")]
    pub(crate) term: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) voter: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) index: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct VoteRecord {
    #[prost(uint64, tag = "1")]
    term: u64,
    #[prost(uint64, tag = "2")]
    voter: u64,
    #[prost(bool, tag = "3")]
    committed: bool,
}

impl From<Kind> for Record {
    fn from(kind: Kind) -> Record {
        Record { kind: Some(kind) }
    }
}

impl From<&LogId> for Place {
    fn from(id: &LogId) -> Place {
        Place {
            term: id.leader_id.term,
            voter: id.leader_id.node_id,
            index: id.index,
        }
    }
}

impl From<Place> for LogId {
    fn from(place: Place) -> LogId {
        LogId::new(
            LeaderId {
                term: place.term,
                node_id: place.voter,
            },
            place.index,
        )
    }
}

impl From<&Vote> for VoteRecord {
    fn from(vote: &Vote) -> VoteRecord {
        let LeaderId { term, node_id } = vote.leader_id;
        VoteRecord {
            term,
            voter: node_id,
            committed: vote.committed,
        }
    }
}

impl From<VoteRecord> for Vote {
    fn from(record: VoteRecord) -> Vote {
        let leader_id = LeaderId {
            term: record.term,
            node_id: record.voter,
        };
        Vote {
            leader_id,
            committed: record.committed,
        }
    }
}

impl EntryRecord {
    pub(crate) fn of(entry: &Entry) -> io::Result<EntryRecord> {
        let payload = match &entry.payload {
            EntryPayload::Blank => Payload::Blank(true),
            EntryPayload::Normal(command) => Payload::Command(command.clone()),
            EntryPayload::Membership(membership) => {
                Payload::Membership(serde_json::to_vec(membership)?)
            }
        };
        Ok(EntryRecord {
            place: Place::from(&entry.log_id),
            payload: Some(payload),
        })
    }

    pub(crate) fn into_entry(self) -> io::Result<Entry> {
        let payload = match self.payload {
            Some(Payload::Blank(_)) => EntryPayload::Blank,
            Some(Payload::Command(command)) => EntryPayload::Normal(command),
            Some(Payload::Membership(json)) => {
                EntryPayload::Membership(serde_json::from_slice(&json)?)
            }
            None => {
                let what = "a journal entry of a kind that this build does not know";
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
        };
        Ok(Entry {
            log_id: LogId::from(self.place),
            payload,
        })
    }
}

impl Record {
    pub(crate) fn entry_index(&self) -> Option<u64> {
        match &self.kind {
            Some(Kind::Entry(entry)) => Some(entry.place.index),
            _ => None,
        }
    }
}

impl Place {
    /// The first index that a truncation after this place makes void.
    pub(crate) fn index_after(&self) -> u64 {
        if *self == Place::default() {
            0
        } else {
            self.index + 1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::command::{Kind as CommandKind, SealLane};

    fn hex(record: &Record) -> String {
        record
            .encode_to_vec()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Old bytes are read for ever.
    #[test]
    fn records_are_encoded_as_in_version_1() {
        let id = LogId::new(
            LeaderId {
                term: 3,
                node_id: 1,
            },
            9,
        );
        let vote = Vote {
            leader_id: LeaderId {
                term: 3,
                node_id: 1,
            },
            committed: true,
        };
        let command = CommandKind::SealLane(SealLane { lane: 5 }).into();
        let entry = |payload| {
            let entry = Entry {
                log_id: id,
                payload,
            };
            Record::from(Kind::Entry(
                EntryRecord::of(&entry).expect("it has an encoding"),
            ))
        };
        let cases = [
            (entry(EntryPayload::Blank), "0a0a0a060803100118091001"),
            (
                entry(EntryPayload::Normal(command)),
                "0a0e0a060803100118091a0432020805",
            ),
            (
                Kind::Vote(VoteRecord::from(&vote)).into(),
                "1206080310011801",
            ),
            (
                Kind::TruncatedAfter(Place::from(&id)).into(),
                "1a06080310011809",
            ),
            (
                Kind::PurgedThrough(Place::from(&id)).into(),
                "2206080310011809",
            ),
        ];
        for (record, bytes) in cases {
            assert_eq!(hex(&record), bytes, "{record:?}");
            assert_eq!(
                Record::decode(record.encode_to_vec().as_slice()).as_ref(),
                Ok(&record)
            );
        }
        assert_eq!(Vote::from(VoteRecord::from(&vote)), vote);
        assert_eq!(LogId::from(Place::from(&id)), id);
    }

    #[test]
    fn entries_come_back_as_they_were() {
        let id = LogId::new(
            LeaderId {
                term: 3,
                node_id: 1,
            },
            9,
        );
        let voters = std::collections::BTreeMap::from([(1, openraft::BasicNode::new("a:1"))]);
        let membership =
            openraft::Membership::new(vec![[1].into()], voters).expect("the voter is known");
        for payload in [EntryPayload::Blank, EntryPayload::Membership(membership)] {
            let entry = Entry {
                log_id: id,
                payload,
            };
            let record = EntryRecord::of(&entry).expect("it has an encoding");
            assert_eq!(record.into_entry().expect("it was one"), entry);
        }
    }
}
