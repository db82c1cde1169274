//! The layout of what a unit writes into its log stream, little-endian; FORMAT.md says the same in words.
//!
//! The kind of an entry of the stream says which it is: a frame as it was sent, a stamp, a lane,
//! or where a trimmed lane begins.

use bytes::{Bytes, BytesMut};
use dfs_wire::frame::{Frame, FrameError};
use zerocopy::little_endian::{U64, U128};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::unit::note::{BeginNote, LaneNote, Note, Stamp, StampedRun};

pub(crate) const KIND_FRAME: u8 = 1;
pub(crate) const KIND_STAMP: u8 = 2;
pub(crate) const KIND_LANE: u8 = 3;
pub(crate) const KIND_BEGIN: u8 = 4;
pub(crate) const KIND_COPIED: u8 = 5;

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct StampHeader {
    pub(crate) cut_seq: U64,
    pub(crate) raft_index: U64,
    pub(crate) log_time_us: U64,
    pub(crate) known_from_lsn: U64,
    pub(crate) next_lsn: U64,
    pub(crate) previous_cut_seq: U64,
}
const _: () = assert!(size_of::<StampHeader>() == 48);

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct RunEntry {
    pub(crate) lane: U64,
    pub(crate) from_idx: U64,
    pub(crate) to_idx: U64,
    pub(crate) first_lsn: U64,
    pub(crate) chain: U128,
}
const _: () = assert!(size_of::<RunEntry>() == 48);

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct LaneEntry {
    pub(crate) lane: U64,
    pub(crate) stripe: U64,
    pub(crate) first_chain: U128,
    pub(crate) node_id: U64,
    pub(crate) incarnation: U64,
}
const _: () = assert!(size_of::<LaneEntry>() == 48);

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct BeginEntry {
    pub(crate) lane: U64,
    pub(crate) stripe: U64,
    pub(crate) begin_idx: U64,
    pub(crate) flags: U64,
    pub(crate) chain: U128,
}
const _: () = assert!(size_of::<BeginEntry>() == 48);

/// Of a begin: its chain is known.
const FLAG_CHAIN: u64 = 1;

/// Before a stamp.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct CopiedHeader {
    pub(crate) stripe: U64,
}
const _: () = assert!(size_of::<CopiedHeader>() == 8);

/// What an entry turned out to be.
#[derive(Debug)]
pub(crate) enum Entry {
    Frame(Frame),
    Note(Note),
}

/// An entry whose batch was intact but which makes no sense: a defect, or a newer build's log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EntryError {
    #[error("an entry of the log stream is cut short")]
    Short,
    #[error("entry kind {0} of the log stream is unknown to this build")]
    Unknown(u8),
    #[error("a stored frame does not parse: {0}")]
    Frame(#[from] FrameError),
}

/// A note as an entry: its kind and its bytes.
pub(crate) fn encode_note(note: &Note) -> (u8, Bytes) {
    match note {
        Note::Stamp(stamp) => (KIND_STAMP, encode_stamp(stamp).freeze()),
        Note::Lane(lane) => (KIND_LANE, encode_lane(lane).freeze()),
        Note::Begin(begin) => (KIND_BEGIN, encode_begin(begin).freeze()),
        Note::Copied(stripe, stamp) => {
            let stripe = (*stripe).into();
            let mut out = BytesMut::from(CopiedHeader { stripe }.as_bytes());
            out.unsplit(encode_stamp(stamp));
            (KIND_COPIED, out.freeze())
        }
    }
}

fn encode_begin(note: &BeginNote) -> BytesMut {
    let entry = BeginEntry {
        lane: note.lane.into(),
        stripe: note.stripe.unwrap_or(0).into(),
        begin_idx: note.begin_idx.into(),
        flags: note.chain.map_or(0, |_| FLAG_CHAIN).into(),
        chain: note.chain.unwrap_or(0).into(),
    };
    BytesMut::from(entry.as_bytes())
}

fn encode_stamp(stamp: &Stamp) -> BytesMut {
    let header = StampHeader {
        cut_seq: stamp.cut_seq.into(),
        raft_index: stamp.raft_index.into(),
        log_time_us: stamp.log_time_us.into(),
        known_from_lsn: stamp.known_from_lsn.into(),
        next_lsn: stamp.next_lsn.into(),
        previous_cut_seq: stamp.previous_cut_seq.into(),
    };
    let mut out = BytesMut::from(header.as_bytes());
    for run in &stamp.runs {
        let run = RunEntry {
            lane: run.lane.into(),
            from_idx: run.from_idx.into(),
            to_idx: run.to_idx.into(),
            first_lsn: run.first_lsn.into(),
            chain: run.chain.into(),
        };
        out.extend_from_slice(run.as_bytes());
    }
    out
}

fn encode_lane(note: &LaneNote) -> BytesMut {
    let entry = LaneEntry {
        lane: note.lane.into(),
        stripe: note.stripe.into(),
        first_chain: note.first_chain.into(),
        node_id: note.node_id.into(),
        incarnation: note.incarnation.into(),
    };
    BytesMut::from(entry.as_bytes())
}

pub(crate) fn decode(kind: u8, bytes: Bytes) -> Result<Entry, EntryError> {
    Ok(match kind {
        KIND_FRAME => Entry::Frame(Frame::parse(bytes)?),
        KIND_STAMP => Entry::Note(Note::Stamp(decode_stamp(&bytes)?)),
        KIND_LANE => Entry::Note(Note::Lane(decode_lane(&bytes)?)),
        KIND_BEGIN => Entry::Note(Note::Begin(decode_begin(&bytes)?)),
        KIND_COPIED => {
            let copied = CopiedHeader::read_from_prefix(&bytes);
            let (header, stamp) = copied.map_err(|_| EntryError::Short)?;
            Entry::Note(Note::Copied(header.stripe.get(), decode_stamp(stamp)?))
        }
        unknown => return Err(EntryError::Unknown(unknown)),
    })
}

fn decode_stamp(payload: &[u8]) -> Result<Stamp, EntryError> {
    let (header, mut rest) =
        StampHeader::read_from_prefix(payload).map_err(|_| EntryError::Short)?;
    let mut runs = Vec::new();
    while !rest.is_empty() {
        let (run, more) = RunEntry::read_from_prefix(rest).map_err(|_| EntryError::Short)?;
        rest = more;
        runs.push(StampedRun {
            lane: run.lane.get(),
            from_idx: run.from_idx.get(),
            to_idx: run.to_idx.get(),
            first_lsn: run.first_lsn.get(),
            chain: run.chain.get(),
        });
    }
    Ok(Stamp {
        cut_seq: header.cut_seq.get(),
        raft_index: header.raft_index.get(),
        log_time_us: header.log_time_us.get(),
        known_from_lsn: header.known_from_lsn.get(),
        next_lsn: header.next_lsn.get(),
        previous_cut_seq: header.previous_cut_seq.get(),
        runs,
    })
}

fn decode_lane(payload: &[u8]) -> Result<LaneNote, EntryError> {
    let entry = LaneEntry::read_from_bytes(payload).map_err(|_| EntryError::Short)?;
    Ok(LaneNote {
        lane: entry.lane.get(),
        stripe: entry.stripe.get(),
        first_chain: entry.first_chain.get(),
        node_id: entry.node_id.get(),
        incarnation: entry.incarnation.get(),
    })
}

fn decode_begin(payload: &[u8]) -> Result<BeginNote, EntryError> {
    let entry = BeginEntry::read_from_bytes(payload).map_err(|_| EntryError::Short)?;
    let (stripe, chain) = (entry.stripe.get(), entry.chain.get());
    let known = entry.flags.get() & FLAG_CHAIN != 0;
    Ok(BeginNote {
        lane: entry.lane.get(),
        stripe: (stripe != 0).then_some(stripe),
        begin_idx: entry.begin_idx.get(),
        chain: known.then_some(chain),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use dfs_wire::frame::FrameDraft;

    #[test]
    fn entries_come_back_as_they_were_written() {
        let run = StampedRun {
            lane: 3,
            from_idx: 5,
            to_idx: 9,
            first_lsn: 70,
            chain: 1 << 100,
        };
        let stamp = Stamp {
            cut_seq: 11,
            raft_index: 12,
            log_time_us: 13,
            known_from_lsn: 60,
            next_lsn: 74,
            previous_cut_seq: 8,
            runs: vec![run, StampedRun { lane: 4, ..run }],
        };
        let (copied, stamp) = (Note::Copied(7, stamp.clone()), Note::Stamp(stamp));
        let lane = Note::Lane(LaneNote {
            lane: 3,
            stripe: 1,
            first_chain: u128::MAX - 1,
            node_id: 5,
            incarnation: 6,
        });
        let draft = FrameDraft {
            records: vec![Bytes::from_static(b"fact")],
            ..Default::default()
        };
        let frame = draft.freeze(3, 5, 77);
        let frame_entry = decode(KIND_FRAME, frame.bytes().clone()).unwrap();
        assert!(matches!(frame_entry, Entry::Frame(found) if found.bytes() == frame.bytes()));
        let begin = |stripe, chain| {
            Note::Begin(BeginNote {
                lane: 3,
                stripe,
                begin_idx: 90,
                chain,
            })
        };
        let begins = [begin(Some(1), Some(7)), begin(None, None)];
        for note in [stamp, lane, copied].into_iter().chain(begins) {
            let (kind, bytes) = encode_note(&note);
            assert!(matches!(decode(kind, bytes).unwrap(), Entry::Note(found) if found == note));
        }
    }

    #[test]
    fn what_is_not_an_entry_is_refused() {
        let short = Bytes::from_static(&[1, 2, 3]);
        assert!(matches!(
            decode(KIND_LANE, short.clone()),
            Err(EntryError::Short)
        ));
        assert!(matches!(decode(9, short), Err(EntryError::Unknown(9))));
    }
}
