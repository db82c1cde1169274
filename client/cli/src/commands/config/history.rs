//! `dfsctl config history`: how settings of the cluster came to be what they are.
use super::{Elsewhere, named, when};
use crate::calendar;
use crate::call::Call;
use crate::failure::Outcome;
use crate::output::{Column, Item};
use dfs_fs::settings::by_number;
use dfs_fs::v1;
use serde_json::json;

/// What a back-to-the-default is shown as.
const DEFAULT: &str = "(default)";

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Newest first. The last 1,024 changes of each setting are kept, whatever the retention is, and all within it.

Examples:
  dfsctl config history
  dfsctl config history replication --limit 3
  dfsctl config history --before 1219 -o jsonl"
)]
pub struct Args {
    /// Of one of them; none: all
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// At most so many changes, and what else was changed with the last of them
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=4096))]
    limit: u32,
    /// Only changes before this LSN
    #[arg(long, value_name = "LSN")]
    before: Option<u64>,
}

pub(super) async fn run(call: &Call, args: Args, elsewhere: Elsewhere) -> Outcome {
    let name = args.name.map(|name| named(&name, elsewhere)).transpose()?;
    let fs = call.cluster().await?.fs;
    let number = name.map(|setting| setting.number);
    let asked = fs.setting_history(when(call), number, args.before, args.limit);
    let seen = asked.await?;
    let columns = vec![
        Column::figure("LSN"),
        Column::text("TIME"),
        Column::text("NAME"),
        Column::figure("OLD"),
        Column::figure("NEW"),
        Column::text("BY"),
    ];
    let mut list = call.output.list("SettingChangeList", columns);
    for change in &seen.changes {
        list.push(seen.lsn, item(change))?;
    }
    list.end(seen.lsn, seen.more)?;
    if let (true, Some(last)) = (seen.more, seen.changes.last()) {
        call.note(&format!("older ones: --before {}", last.lsn));
    }
    Ok(())
}

fn item(change: &v1::SettingChange) -> Item {
    let known = by_number(change.setting);
    let name = known.map_or_else(|| change.setting.to_string(), |known| known.name.into());
    let value = |value: Option<u64>| value.map_or_else(|| DEFAULT.into(), |v| v.to_string());
    let cells = vec![
        change.lsn.to_string(),
        calendar::format(change.log_time_us),
        name.clone(),
        value(change.old_value),
        value(change.new_value),
        change.actor.clone(),
    ];
    Item {
        json: json!({
            "lsn": change.lsn,
            "log_time_us": change.log_time_us,
            "name": name,
            "old": change.old_value,
            "new": change.new_value,
            "by": change.actor,
        }),
        name: name.into(),
        cells,
    }
}
