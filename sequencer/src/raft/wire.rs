//! What voters tell each other, between openraft's types and the wire's. Entries travel as they stand in
//! the journal.
use crate::raft::journal::invalid;
use crate::raft::record::EntryRecord;
use crate::raft::{Entry, LogId, Types, Vote};
use bytes::Bytes;
use dfs_wire::v1;
use openraft::impls::leader_id_adv::LeaderId;
use openraft::raft::{
    AppendEntriesRequest, StreamAppendError, StreamAppendResult, VoteRequest, VoteResponse,
};
use prost::Message;
use std::io;

pub(crate) fn place_of(id: &LogId) -> v1::RaftPlace {
    v1::RaftPlace {
        term: id.leader_id.term,
        voter: id.leader_id.node_id,
        index: id.index,
    }
}

pub(crate) fn log_id_of(place: v1::RaftPlace) -> LogId {
    let leader_id = LeaderId {
        term: place.term,
        node_id: place.voter,
    };
    LogId::new(leader_id, place.index)
}

pub(crate) fn told_vote(vote: &Vote) -> v1::RaftVote {
    v1::RaftVote {
        term: vote.leader_id.term,
        voter: vote.leader_id.node_id,
        committed: vote.committed,
    }
}

pub(crate) fn vote_of(told: Option<v1::RaftVote>) -> io::Result<Vote> {
    let told = told.ok_or_else(|| invalid("a message without a vote"))?;
    Ok(Vote {
        leader_id: LeaderId {
            term: told.term,
            node_id: told.voter,
        },
        committed: told.committed,
    })
}

pub(super) fn told_entries(
    head: Option<v1::PeerHead>,
    request: &AppendEntriesRequest<Types>,
) -> io::Result<v1::ReplicateRequest> {
    let entry = |entry: &Entry| {
        let bytes = EntryRecord::of(entry)?.encode_to_vec();
        Ok(Bytes::from(bytes))
    };
    Ok(v1::ReplicateRequest {
        head,
        vote: Some(told_vote(&request.vote)),
        before: request.prev_log_id.as_ref().map(place_of),
        entries: request
            .entries
            .iter()
            .map(entry)
            .collect::<io::Result<_>>()?,
        committed: request.leader_commit.as_ref().map(place_of),
    })
}

pub(crate) fn entries_of(told: v1::ReplicateRequest) -> io::Result<AppendEntriesRequest<Types>> {
    let entry = |bytes: Bytes| {
        let record = EntryRecord::decode(bytes).map_err(|e| invalid(e.to_string()))?;
        record.into_entry()
    };
    Ok(AppendEntriesRequest {
        vote: vote_of(told.vote)?,
        prev_log_id: told.before.map(log_id_of),
        entries: told
            .entries
            .into_iter()
            .map(entry)
            .collect::<io::Result<_>>()?,
        leader_commit: told.committed.map(log_id_of),
    })
}

pub(crate) fn told_outcome(
    result: StreamAppendResult<Types>,
    nonce: Bytes,
    applied: u64,
) -> v1::Replicated {
    use v1::replicated::Outcome;
    let outcome = match result {
        Ok(last) => Outcome::Matched(v1::Matched {
            last: last.as_ref().map(place_of),
        }),
        Err(StreamAppendError::Conflict(at)) => Outcome::Conflict(place_of(&at)),
        Err(StreamAppendError::HigherVote(vote)) => Outcome::Higher(told_vote(&vote)),
    };
    v1::Replicated {
        outcome: Some(outcome),
        nonce,
        applied,
    }
}

pub(super) fn outcome_of(told: v1::Replicated) -> io::Result<StreamAppendResult<Types>> {
    use v1::replicated::Outcome;
    let outcome = told.outcome.ok_or_else(|| invalid("an empty answer"))?;
    Ok(match outcome {
        Outcome::Matched(matched) => Ok(matched.last.map(log_id_of)),
        Outcome::Conflict(at) => Err(StreamAppendError::Conflict(log_id_of(at))),
        Outcome::Higher(vote) => Err(StreamAppendError::HigherVote(vote_of(Some(vote))?)),
    })
}

pub(super) fn told_vote_request(
    head: Option<v1::PeerHead>,
    request: &VoteRequest<Types>,
    pre_vote: bool,
) -> v1::VoteRequest {
    v1::VoteRequest {
        head,
        vote: Some(told_vote(&request.vote)),
        last: request.last_log_id.as_ref().map(place_of),
        leadership_transfer: request.leadership_transfer,
        pre_vote,
    }
}

pub(crate) fn vote_request_of(told: &v1::VoteRequest) -> io::Result<VoteRequest<Types>> {
    let mut request = VoteRequest::new(vote_of(told.vote)?, told.last.map(log_id_of));
    request.leadership_transfer = told.leadership_transfer;
    Ok(request)
}

pub(crate) fn told_voted(response: &VoteResponse<Types>, nonce: Bytes) -> v1::Voted {
    v1::Voted {
        vote: Some(told_vote(&response.vote)),
        granted: response.vote_granted,
        last: response.last_log_id.as_ref().map(place_of),
        nonce,
    }
}

pub(super) fn voted_of(told: v1::Voted) -> io::Result<VoteResponse<Types>> {
    let last = told.last.map(log_id_of);
    Ok(VoteResponse::new(vote_of(told.vote)?, last, told.granted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use openraft::EntryPayload;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn place(index: u64) -> LogId {
        log_id_of(v1::RaftPlace {
            term: 3,
            voter: 1,
            index,
        })
    }

    fn vote() -> Vote {
        let told = v1::RaftVote {
            term: 3,
            voter: 1,
            committed: true,
        };
        vote_of(Some(told)).expect("it is there")
    }

    /// Voters of two versions understand each other; an entry is what the journal holds.
    #[test]
    fn entries_travel_as_in_version_1() {
        let entry = Entry {
            log_id: place(9),
            payload: EntryPayload::Blank,
        };
        let request = AppendEntriesRequest {
            vote: vote(),
            prev_log_id: Some(place(8)),
            entries: vec![entry],
            leader_commit: Some(place(7)),
        };
        let told = told_entries(None, &request).expect("it has an encoding");
        assert_eq!(
            hex(&told.encode_to_vec()),
            "12060803100118011a06080310011808220a0a060803100118091001\
             2a06080310011807"
        );
        let back = entries_of(told).expect("it was one");
        assert_eq!(
            (back.vote, back.prev_log_id, back.leader_commit),
            (request.vote, request.prev_log_id, request.leader_commit)
        );
        assert_eq!(back.entries, request.entries);
    }

    #[test]
    fn answers_come_back_as_they_were() {
        let conflict = StreamAppendError::Conflict(place(4));
        let higher = StreamAppendError::HigherVote(vote());
        for result in [Ok(None), Ok(Some(place(4))), Err(conflict), Err(higher)] {
            let told = told_outcome(result.clone(), Bytes::new(), 0);
            assert_eq!(outcome_of(told).expect("it was one"), result);
        }
        assert!(outcome_of(v1::Replicated::default()).is_err());
        let mut request = VoteRequest::new(vote(), Some(place(2)));
        request.leadership_transfer = true;
        let told = told_vote_request(None, &request, true);
        assert!(told.pre_vote);
        assert_eq!(vote_request_of(&told).expect("it was one"), request);
        let response = VoteResponse::new(vote(), Some(place(2)), true);
        let told = told_voted(&response, Bytes::new());
        assert_eq!(voted_of(told).expect("it was one"), response);
    }
}
