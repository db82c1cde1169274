//! Where a copy, a move or a put ends: the target itself, or inside it.
//!
//! A target with a `/` at its end, and the target of several sources, is a directory to go into. Any other is
//! the new name itself, whatever stands there: so the same command twice does the same twice.
use crate::call::Place;
use crate::failure::{Failure, Outcome};
use std::ffi::OsString;

/// The sources, and the last argument.
pub(crate) fn split(paths: &[OsString]) -> Outcome<(&[OsString], &OsString)> {
    match paths.split_last() {
        Some((target, sources)) if !sources.is_empty() => Ok((sources, target)),
        _ => {
            let why = "a source and a target are needed";
            Err(Failure::usage(
                "too few arguments",
                why,
                "Give both; see --help",
            ))
        }
    }
}

/// `target`, or in it the name of `from`.
pub(crate) fn at(from: &Place, target: &Place, into: bool) -> Outcome<Place> {
    if !into {
        return Ok(target.clone());
    }
    match from.typed.name() {
        Some(name) => target.join(name),
        None => {
            let what = format!("no name for {} in {}", from.typed, target.typed);
            Err(Failure::usage(
                what,
                "the root has no name",
                "Say the new name, without a / at its end",
            ))
        }
    }
}

/// One record is one cluster's.
pub(crate) fn same_cluster(from: &Place, to: &Place) -> Outcome {
    if from.profile == to.profile {
        return Ok(());
    }
    let what = format!("{} and {} are in different clusters", from.typed, to.typed);
    let why = "nothing is moved or copied by reference between clusters";
    Err(Failure::usage(what, why, "Use get and put"))
}
