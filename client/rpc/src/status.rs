//! A refusal as a gRPC status with `ErrorInfo` details, and back: no string is ever parsed for its meaning.
use dfs_wire::{Code, Refusal, v1};
use std::collections::HashMap;
use tonic::{Code as Grpc, Status};
use tonic_types::{ErrorDetails, StatusExt};

const DOMAIN: &str = "dfs";

/// A status that carries the whole refusal.
pub fn to_status(refusal: Refusal) -> Status {
    let wire = refusal.into_wire();
    let code = wire.code();
    let message = format!("{}: {}", wire.what, wire.why);
    let metadata = HashMap::from([
        ("what".to_string(), wire.what),
        ("why".to_string(), wire.why),
        ("advice".to_string(), wire.advice),
        ("retryable".to_string(), wire.retryable.to_string()),
        ("not_done".to_string(), wire.not_done.to_string()),
        ("primary".to_string(), wire.primary),
        ("lsn".to_string(), wire.lsn.to_string()),
        ("log_time_us".to_string(), wire.log_time_us.to_string()),
    ]);
    let details = ErrorDetails::with_error_info(code.as_str_name(), DOMAIN, metadata);
    Status::with_error_details(grpc_code(code), message, details)
}

/// The refusal in a status; for a status of another origin, a retryable UNAVAILABLE or TIMED_OUT about `what`.
pub fn from_status(status: &Status, what: &str) -> Refusal {
    let info = status
        .get_details_error_info()
        .filter(|info| info.domain == DOMAIN);
    let Some(mut info) = info else {
        return foreign(status, what);
    };
    let mut take = |key: &str| info.metadata.remove(key).unwrap_or_default();
    let wire = v1::Refusal {
        code: Code::from_str_name(&info.reason).unwrap_or(Code::Unspecified) as i32,
        what: take("what"),
        why: take("why"),
        advice: take("advice"),
        retryable: take("retryable") == "true",
        not_done: take("not_done") == "true",
        primary: take("primary"),
        lsn: take("lsn").parse().unwrap_or(0),
        log_time_us: take("log_time_us").parse().unwrap_or(0),
    };
    Refusal::from(wire)
}

/// Whether the status came from the transport, not from the role.
pub fn is_transport(status: &Status) -> bool {
    status.get_details_error_info().is_none()
}

/// A call that broke under way may have been carried out: only a refused connection is certain.
fn foreign(status: &Status, what: &str) -> Refusal {
    let code = match status.code() {
        Grpc::Unavailable => Code::Unavailable,
        Grpc::ResourceExhausted | Grpc::OutOfRange | Grpc::InvalidArgument => Code::Invalid,
        Grpc::Unimplemented => Code::Mismatch,
        _ => Code::TimedOut,
    };
    Refusal::new(
        code,
        what,
        format!("{} ({:?})", status.message(), status.code()),
    )
}

fn grpc_code(code: Code) -> Grpc {
    match code {
        Code::Unspecified => Grpc::Unknown,
        Code::Invalid => Grpc::InvalidArgument,
        Code::NotFound | Code::Absent | Code::Reaped => Grpc::NotFound,
        Code::Exists => Grpc::AlreadyExists,
        Code::Denied => Grpc::PermissionDenied,
        Code::NotEmpty
        | Code::WrongKind
        | Code::Conflict
        | Code::State
        | Code::Mismatch
        | Code::SessionGone
        | Code::LogWentBack => Grpc::FailedPrecondition,
        Code::Unavailable | Code::Moved | Code::Busy | Code::NotYet => Grpc::Unavailable,
        Code::TimedOut => Grpc::DeadlineExceeded,
        Code::Void => Grpc::Aborted,
        Code::NoSpace => Grpc::ResourceExhausted,
        Code::Corrupt | Code::Lost => Grpc::DataLoss,
        Code::Trimmed => Grpc::OutOfRange,
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, Refusal, from_status, is_transport, to_status};

    #[test]
    fn a_refusal_survives_the_journey() {
        for code in (0..=23).map(|number| Code::try_from(number).expect("written out")) {
            let refusal = Refusal::new(code, "/a/ü", "because: of\nthis")
                .primary("h:1")
                .at(7);
            let status = to_status(refusal.clone());
            assert!(!is_transport(&status));
            assert!(from_status(&status, "other") == refusal);
        }
    }

    #[test]
    fn a_broken_call_has_an_unknown_outcome() {
        let status = tonic::Status::unknown("h2 protocol error");
        assert!(is_transport(&status));
        assert_eq!(from_status(&status, "append").code(), Code::TimedOut);
        assert!(!from_status(&status, "append").get().not_done);
    }
}
