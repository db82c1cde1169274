//! `dfsctl node list`, `dfsctl node get`.
use super::asked::Group;
use super::named::Named;
use super::row::{Row, columns, rows};
use crate::call::Call;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use dfs_wire::v1;

pub(super) async fn list(call: &Call) -> Outcome {
    let status = Group::find(call).await?.status().await?;
    let (wide, lsn) = (call.output.is_wide(), status.next_lsn.saturating_sub(1));
    let mut list = call.output.list("NodeList", columns(wide));
    for row in rows(&status) {
        list.push(lsn, row.item(wide))?;
    }
    list.end(lsn, false)
}

pub(super) async fn get(call: &Call, name: &Named) -> Outcome {
    let status = Group::find(call).await?.status().await?;
    let row = one(&status, name)?;
    let lsn = status.next_lsn.saturating_sub(1);
    call.output
        .shown("Node", lsn, row.item(true), &columns(true))
}

/// The one that is meant; an address or a process may stand for several.
pub(super) fn one(status: &v1::GroupStatus, name: &Named) -> Outcome<Row> {
    let meant = |row: &Row| match name {
        Named::Address(address) => row.address == *address,
        Named::Node(id) => row.node_id == *id,
        name => row.name == *name,
    };
    let mut found: Vec<Row> = rows(status).into_iter().filter(meant).collect();
    match (found.pop(), found.is_empty()) {
        (Some(row), true) => Ok(row),
        (Some(row), false) => {
            let all = found.iter().map(|row| row.name.to_string());
            let all: Vec<String> = all.chain([row.name.to_string()]).collect();
            let why = format!("it has several roles: {}", all.join(", "));
            Err(Failure::usage(
                format!("cannot tell what {name} means"),
                why,
                "Name one of them",
            ))
        }
        (None, _) => {
            let why = "the cluster knows nothing of that name";
            let advice = "Look at dfsctl node list";
            Err(Failure::new(
                Exit::NotFound,
                format!("no {name}"),
                why,
                advice,
            ))
        }
    }
}
