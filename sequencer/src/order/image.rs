//! The order as it stands in a snapshot: rows and the whole. Numbers never come back.
use crate::order::{History, Order};
use dfs_wire::v1;
use prost::Message;
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Message)]
pub struct Member {
    #[prost(bytes = "vec", tag = "1")]
    pub nonce: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub incarnation: u64,
    #[prost(string, repeated, tag = "3")]
    pub roles: Vec<String>,
    #[prost(string, tag = "4")]
    pub address: String,
    #[prost(string, tag = "5")]
    pub rack: String,
    #[prost(uint32, tag = "6")]
    pub rank: u32,
    #[prost(bool, tag = "7")]
    pub removed: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct Unit {
    #[prost(uint64, tag = "1")]
    pub node_id: u64,
    #[prost(uint32, tag = "2")]
    pub slot: u32,
    #[prost(bytes = "vec", tag = "3")]
    pub nonce: Vec<u8>,
    #[prost(enumeration = "v1::UnitState", tag = "4")]
    pub state: i32,
    /// Dead for good: it does not come back with its directory.
    #[prost(bool, tag = "5")]
    pub removed: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct Stripe {
    /// Ascending.
    #[prost(uint64, repeated, tag = "1")]
    pub units: Vec<u64>,
    #[prost(uint32, tag = "2")]
    pub write_quorum: u32,
    #[prost(uint64, tag = "3")]
    pub first_lsn: u64,
    /// 0 while it is open.
    #[prost(uint64, tag = "4")]
    pub last_lsn: u64,
    #[prost(bool, tag = "5")]
    pub closed: bool,
    /// Other units that were asked to copy it, once it was closed.
    #[prost(uint64, repeated, tag = "6")]
    pub copies: Vec<u64>,
    /// Ascending: units, of both kinds, that hold all of it. Plain metadata (LOG-I12).
    #[prost(uint64, repeated, tag = "7")]
    pub locations: Vec<u64>,
    /// Of a closed one: runs of forgotten cuts that too few have stamped.
    #[prost(message, optional, tag = "20")]
    pub waiting: Option<v1::WaitingRuns>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Lane {
    #[prost(uint64, tag = "1")]
    pub owner_node: u64,
    #[prost(uint64, tag = "2")]
    pub owner_incarnation: u64,
    #[prost(uint64, tag = "3")]
    pub stripe: u64,
    #[prost(uint64, tag = "4")]
    pub length: u64,
    #[prost(fixed64, tag = "5")]
    pub chain_high: u64,
    #[prost(fixed64, tag = "6")]
    pub chain_low: u64,
    #[prost(bool, tag = "7")]
    pub sealed: bool,
    #[prost(bytes = "vec", tag = "8")]
    pub request_id: Vec<u8>,
    #[prost(uint64, tag = "9")]
    pub opened_index: u64,
    /// The lane that goes on where this one was sealed; 0 while there is none.
    #[prost(uint64, tag = "10")]
    pub successor: u64,
    /// Once it is sealed: no record of it lies at or above. 0 where it was sealed by an older build.
    #[prost(uint64, tag = "20")]
    pub end_lsn: u64,
}

/// The whole order.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Image {
    #[prost(bytes = "vec", tag = "1")]
    cluster_id: Vec<u8>,
    #[prost(uint64, tag = "2")]
    generation: u64,
    #[prost(btree_map = "uint64, message", tag = "3")]
    members: BTreeMap<u64, Member>,
    #[prost(btree_map = "uint64, message", tag = "4")]
    units: BTreeMap<u64, Unit>,
    #[prost(btree_map = "uint64, message", tag = "5")]
    stripes: BTreeMap<u64, Stripe>,
    #[prost(btree_map = "uint64, message", tag = "6")]
    lanes: BTreeMap<u64, Lane>,
    #[prost(uint64, tag = "7")]
    next_lsn: u64,
    #[prost(uint64, tag = "8")]
    cut_seq: u64,
    #[prost(uint64, tag = "9")]
    log_time_us: u64,
    #[prost(message, repeated, tag = "10")]
    cuts: Vec<v1::Cut>,
    #[prost(uint64, tag = "11")]
    applied_index: u64,
    #[prost(btree_map = "uint64, bytes", tag = "12")]
    seats: BTreeMap<u64, Vec<u8>>,
    #[prost(message, optional, tag = "20")]
    history: Option<History>,
}

impl From<&Order> for Image {
    fn from(order: &Order) -> Image {
        Image {
            cluster_id: order.cluster_id.clone(),
            generation: order.generation,
            members: order.members.clone(),
            units: order.units.clone(),
            stripes: order.stripes.clone(),
            lanes: order.lanes.clone(),
            next_lsn: order.next_lsn,
            cut_seq: order.cut_seq,
            log_time_us: order.log_time_us,
            cuts: order.cuts.iter().cloned().collect(),
            applied_index: order.applied_index,
            seats: order.seats.clone(),
            history: (order.history != History::default()).then(|| order.history.clone()),
        }
    }
}

impl From<Image> for Order {
    fn from(image: Image) -> Order {
        Order {
            cluster_id: image.cluster_id,
            generation: image.generation,
            members: image.members,
            units: image.units,
            stripes: image.stripes,
            lanes: image.lanes,
            next_lsn: image.next_lsn,
            cut_seq: image.cut_seq,
            log_time_us: image.log_time_us,
            cuts: image.cuts.into(),
            applied_index: image.applied_index,
            seats: image.seats,
            history: image.history.unwrap_or_default(),
        }
    }
}

impl Order {
    pub fn encode(&self) -> Vec<u8> {
        Image::from(self).encode_to_vec()
    }

    pub fn decode(bytes: &[u8]) -> Result<Order, prost::DecodeError> {
        Image::decode(bytes).map(Order::from)
    }
}
