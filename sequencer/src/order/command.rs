//! Commands as they stand in the Raft journal. Numbers never come back.
use dfs_wire::v1;
use prost::Message;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// One entry of the Raft log.
#[derive(Clone, PartialEq, Message)]
pub struct Command {
    #[prost(
        oneof = "Kind",
        tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 20, 21, 22, 23, 24, 32, 33, 34"
    )]
    pub kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Kind {
    #[prost(message, tag = "1")]
    Found(Found),
    #[prost(message, tag = "2")]
    Cut(ProposedCut),
    #[prost(message, tag = "3")]
    Register(Register),
    #[prost(message, tag = "4")]
    OpenLane(OpenLane),
    #[prost(message, tag = "5")]
    OpenStripe(OpenStripe),
    #[prost(message, tag = "6")]
    SealLane(SealLane),
    #[prost(message, tag = "7")]
    CloseStripe(CloseStripe),
    #[prost(message, tag = "8")]
    SeatVoter(SeatVoter),
    #[prost(message, tag = "32")]
    UnseatVoter(UnseatVoter),
    #[prost(message, tag = "33")]
    RemoveNode(RemoveNode),
    #[prost(message, tag = "9")]
    MoveLane(MoveLane),
    #[prost(message, tag = "20")]
    Trim(Trim),
    #[prost(message, tag = "21")]
    Pin(v1::Pin),
    #[prost(message, tag = "22")]
    Unpin(v1::PinMove),
    #[prost(message, tag = "23")]
    AdvancePin(v1::PinMove),
    #[prost(message, tag = "24")]
    SnapshotDone(v1::SnapshotRow),
    #[prost(message, tag = "10")]
    SetUnit(SetUnit),
    #[prost(message, tag = "11")]
    CopyStripe(StripeAndUnit),
    #[prost(message, tag = "12")]
    AddLocation(StripeAndUnit),
    #[prost(message, tag = "34")]
    RemoveLocation(StripeAndUnit),
}

/// Gives the cluster its id; only the first one counts.
#[derive(Clone, PartialEq, Message)]
pub struct Found {
    #[prost(bytes = "vec", tag = "1")]
    pub cluster_id: Vec<u8>,
}

/// Lanes have durably grown to these frame ends. Max-merged: a late or doubled one does nothing.
#[derive(Clone, PartialEq, Message)]
pub struct ProposedCut {
    #[prost(message, repeated, tag = "1")]
    pub ends: Vec<ProposedEnd>,
    /// Median of the members' wall clocks, µs.
    #[prost(uint64, tag = "2")]
    pub log_time_us: u64,
    /// A cut_seq: cuts up to it are stamped by W units of every stripe they touch (LOG-U6).
    #[prost(uint64, tag = "3")]
    pub forget_through: u64,
    /// Closed stripes of which that is not so: what is forgotten of them is set aside.
    #[prost(message, repeated, tag = "20")]
    pub waits: Vec<StripeWaits>,
}

/// W units of a closed stripe have stamped up to this cut_seq, and perhaps no more ever will.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct StripeWaits {
    #[prost(uint64, tag = "1")]
    pub stripe: u64,
    #[prost(uint64, tag = "2")]
    pub stamped_through: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct ProposedEnd {
    #[prost(uint64, tag = "1")]
    pub lane: u64,
    #[prost(uint64, tag = "2")]
    pub end_idx: u64,
    #[prost(fixed64, tag = "3")]
    pub chain_high: u64,
    #[prost(fixed64, tag = "4")]
    pub chain_low: u64,
}

/// A process with its units.
#[derive(Clone, PartialEq, Message)]
pub struct Register {
    #[prost(bytes = "vec", tag = "1")]
    pub node_nonce: Vec<u8>,
    /// 0 until the process knows it.
    #[prost(uint64, tag = "2")]
    pub node_id: u64,
    #[prost(uint64, tag = "3")]
    pub incarnation: u64,
    #[prost(string, repeated, tag = "4")]
    pub roles: Vec<String>,
    #[prost(string, tag = "5")]
    pub address: String,
    #[prost(string, tag = "6")]
    pub rack: String,
    #[prost(uint32, tag = "7")]
    pub rank: u32,
    #[prost(message, repeated, tag = "8")]
    pub units: Vec<RegisterUnit>,
}

#[derive(Clone, PartialEq, Message)]
pub struct RegisterUnit {
    #[prost(uint32, tag = "1")]
    pub slot: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub nonce: Vec<u8>,
}

/// A lane on the open stripe over exactly these units; if there is none, the stripe is opened with it.
#[derive(Clone, PartialEq, Message)]
pub struct OpenLane {
    #[prost(bytes = "vec", tag = "1")]
    pub request_id: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub owner_node: u64,
    #[prost(uint64, tag = "3")]
    pub owner_incarnation: u64,
    #[prost(uint64, repeated, tag = "4")]
    pub units: Vec<u64>,
    #[prost(uint32, tag = "5")]
    pub write_quorum: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct OpenStripe {
    #[prost(uint64, repeated, tag = "1")]
    pub units: Vec<u64>,
    #[prost(uint32, tag = "2")]
    pub write_quorum: u32,
}

/// LOG-I16: lane and stripe ids never come back and neither opens again, so a stale one of these two
/// closes what was closed, or what its leader saw lost.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct SealLane {
    #[prost(uint64, tag = "1")]
    pub lane: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct CloseStripe {
    #[prost(uint64, tag = "1")]
    pub stripe: u64,
}

/// A voter and the nonce of its directory.
#[derive(Clone, PartialEq, Message)]
pub struct SeatVoter {
    #[prost(uint64, tag = "1")]
    pub voter: u64,
    #[prost(bytes = "vec", tag = "2")]
    pub nonce: Vec<u8>,
}

/// A voter that was removed from the group.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct UnseatVoter {
    #[prost(uint64, tag = "1")]
    pub voter: u64,
}

/// Seals the lane and opens its successor over exactly these units, unless it has one already.
#[derive(Clone, PartialEq, Message)]
pub struct MoveLane {
    #[prost(uint64, tag = "1")]
    pub lane: u64,
    #[prost(uint64, tag = "2")]
    pub owner_node: u64,
    #[prost(uint64, tag = "3")]
    pub owner_incarnation: u64,
    #[prost(uint64, repeated, tag = "4")]
    pub units: Vec<u64>,
    #[prost(uint32, tag = "5")]
    pub write_quorum: u32,
}

/// A process that leaves for good.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct RemoveNode {
    #[prost(uint64, tag = "1")]
    pub node_id: u64,
}

/// Records below `lsn` are let go, as far as pins allow it (LOG-I11).
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Trim {
    #[prost(uint64, tag = "1")]
    pub lsn: u64,
}

/// A unit begins to leave, stays after all, or is gone for good.
#[derive(Clone, PartialEq, Message)]
pub struct SetUnit {
    #[prost(uint64, tag = "1")]
    pub unit: u64,
    #[prost(enumeration = "v1::UnitState", tag = "2")]
    pub state: i32,
    /// Dead although others may lack what it held.
    #[prost(bool, tag = "3")]
    pub lost: bool,
}

/// CopyStripe: the unit is to copy the closed stripe. AddLocation: it holds all of it. RemoveLocation: no more.
#[derive(Clone, PartialEq, Message)]
pub struct StripeAndUnit {
    #[prost(uint64, tag = "1")]
    pub stripe: u64,
    #[prost(uint64, tag = "2")]
    pub unit: u64,
}

impl From<Kind> for Command {
    fn from(kind: Kind) -> Command {
        Command { kind: Some(kind) }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.kind {
            None => "unknown",
            Some(Kind::Found(_)) => "found",
            Some(Kind::Cut(_)) => "cut",
            Some(Kind::Register(_)) => "register",
            Some(Kind::OpenLane(_)) => "open lane",
            Some(Kind::OpenStripe(_)) => "open stripe",
            Some(Kind::SealLane(_)) => "seal lane",
            Some(Kind::CloseStripe(_)) => "close stripe",
            Some(Kind::SeatVoter(_)) => "seat voter",
            Some(Kind::UnseatVoter(_)) => "unseat voter",
            Some(Kind::RemoveNode(_)) => "remove node",
            Some(Kind::MoveLane(_)) => "move lane",
            Some(Kind::Trim(_)) => "trim",
            Some(Kind::Pin(_)) => "pin",
            Some(Kind::Unpin(_)) => "unpin",
            Some(Kind::AdvancePin(_)) => "advance pin",
            Some(Kind::SnapshotDone(_)) => "snapshot done",
            Some(Kind::SetUnit(_)) => "set unit",
            Some(Kind::CopyStripe(_)) => "copy stripe",
            Some(Kind::AddLocation(_)) => "add location",
            Some(Kind::RemoveLocation(_)) => "remove location",
        })
    }
}

// openraft wants serde of its payloads; the bytes are the one encoding there is.
impl Serialize for Command {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.encode_to_vec().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Command {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Command, D::Error> {
        let bytes = Vec::<u8>::deserialize(deserializer)?;
        Command::decode(bytes.as_slice()).map_err(serde::de::Error::custom)
    }
}
