//! `dfsctl config get`: settings of the cluster, as they are or were.
use super::{Elsewhere, named, when};
use crate::calendar;
use crate::call::Call;
use crate::failure::Outcome;
use crate::output::{Column, Item};
use dfs_fs::settings::{Setting, by_number};
use dfs_fs::v1;
use serde_json::json;

#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  dfsctl config get
  dfsctl config get replication
  dfsctl config get --at -1h -o json
  dfsctl config get -o wide              with bounds, and what each is for")]
pub struct Args {
    /// One of them; none: all
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

pub(super) async fn run(call: &Call, args: Args, elsewhere: Elsewhere) -> Outcome {
    let name = args.name.map(|name| named(&name, elsewhere)).transpose()?;
    let seen = call.cluster().await?.fs.settings(when(call)).await?;
    let wide = call.output.is_wide();
    // A newer cluster knows more of them than this program.
    let known = seen
        .value
        .iter()
        .filter_map(|state| Some((by_number(state.setting)?, state)));
    if let Some(one) = name {
        for (setting, state) in known.filter(|(setting, _)| setting.number == one.number) {
            let item = item(setting, state, true);
            call.output
                .shown("Setting", seen.lsn, item, &columns(true))?;
        }
        return Ok(());
    }
    let mut list = call.output.list("SettingList", columns(wide));
    for (setting, state) in known {
        list.push(seen.lsn, item(setting, state, wide))?;
    }
    list.end(seen.lsn, false)
}

fn columns(wide: bool) -> Vec<Column> {
    let mut columns = vec![
        Column::text("NAME"),
        Column::figure("VALUE"),
        Column::text("UNIT"),
        Column::figure("DEFAULT"),
        Column::figure("LSN"),
        Column::text("CHANGED"),
        Column::text("BY"),
    ];
    if wide {
        columns.extend(["ALLOWED", "WHAT"].map(Column::text));
    }
    columns
}

fn item(setting: &Setting, state: &v1::SettingState, wide: bool) -> Item {
    let v1::SettingState {
        value,
        default_value,
        lsn,
        ..
    } = state;
    let changed = |text: String| if *lsn > 0 { text } else { "-".into() };
    let mut cells = vec![
        setting.name.into(),
        value.to_string(),
        setting.unit.into(),
        default_value.to_string(),
        changed(lsn.to_string()),
        changed(calendar::format(state.log_time_us)),
        changed(state.actor.clone()),
    ];
    if wide {
        cells.extend([setting.allowed(), setting.what.into()]);
    }
    let changed = (*lsn > 0)
        .then(|| json!({ "lsn": lsn, "log_time_us": state.log_time_us, "by": state.actor }));
    Item {
        json: json!({
            "name": setting.name,
            "value": value,
            "unit": setting.unit,
            "default": default_value,
            "is_set": state.is_set,
            "changed": changed,
            "least": setting.least,
            "most": setting.most,
        }),
        name: setting.name.into(),
        cells,
    }
}
