//! `dfsctl version`: of this program and of the protocol it speaks.
use crate::call::Call;
use crate::failure::Outcome;
use dfs_wire::limits::PROTOCOL_VERSION;
use serde_json::json;

#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  dfsctl version -o json")]
pub struct Args {}

pub(crate) fn run(call: &Call) -> Outcome {
    let version = env!("CARGO_PKG_VERSION");
    let fields = json!({ "version": version, "protocol": PROTOCOL_VERSION });
    let line = format!("dfsctl {version}, protocol {PROTOCOL_VERSION}");
    call.output
        .data("Version", 0, fields, version.as_bytes(), &line)
}
