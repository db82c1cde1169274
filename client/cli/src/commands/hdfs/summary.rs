//! `-du`, `-count`, `-df`: sums, in the columns of HDFS.
use super::list::{human, replication};
use super::words::Words;
use super::{Path, Told, complaint};
use crate::call::Call;
use crate::walk::Listing;
use dfs_fs::Usage;
use std::sync::Mutex;

async fn usage(path: &Path) -> Told<Usage> {
    let usage = path.place.fs.du(&path.place.at, path.place.when).await;
    Ok(usage.map_err(path.refused())?.value)
}

/// Size, size times copies, path; columns as wide as the widest.
pub(super) async fn du(call: &Call, name: &str, mut words: Words) -> Told {
    let options = words.options(&["s", "h", "v", "x"])?;
    let has = |option: &str| options.iter().any(|o| o == option);
    let (sum, human_sizes) = (has("s") || name == "dus", has("h"));
    let copies = replication(call).await? as u64;
    let rows = Mutex::new(Vec::new());
    let (rows_of, shown) = (&rows, |bytes| {
        if human_sizes {
            human(bytes)
        } else {
            bytes.to_string()
        }
    });
    let push = |bytes: u64, path: String| {
        let row = [shown(bytes), shown(bytes * copies), path];
        rows_of
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(row);
    };
    let push = &push;
    let paths = words.paths()?;
    call.hdfs_each(name, &paths, |path| async move {
        let seen = path.stat().await?;
        if sum || !seen.is_directory() {
            push(usage(&path).await?.bytes, path.shown.clone());
            return Ok(());
        }
        for entry in Listing::new(&path.place).all().await? {
            let below = path.join(&entry.name)?;
            push(usage(&below).await?.bytes, below.shown.clone());
        }
        Ok(())
    })
    .await?;
    let mut rows = rows
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if has("v") {
        let titles = [
            "SIZE",
            "DISK_SPACE_CONSUMED_WITH_ALL_REPLICAS",
            "FULL_PATH_NAME",
        ];
        rows.insert(0, titles.map(str::to_string));
    }
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1));
    rows.iter().try_for_each(|[size, space, path]| {
        call.hdfs_line(&format!("{size:<first$}  {space:<second$}  {path}"))
    })
}

/// Directories, files, bytes, path.
pub(super) async fn count(call: &Call, mut words: Words) -> Told {
    let options = words.options(&["h", "v", "q", "u", "x", "e"])?;
    let has = |option: &str| options.iter().any(|o| o == option);
    let (human_sizes, quotas) = (has("h"), has("q") || has("u"));
    if has("v") {
        let before = if quotas {
            "       QUOTA       REM_QUOTA     SPACE_QUOTA REM_SPACE_QUOTA "
        } else {
            ""
        };
        let columns = "   DIR_COUNT   FILE_COUNT       CONTENT_SIZE PATHNAME";
        call.hdfs_line(&format!("{before}{columns}"))?;
    }
    let paths = words.paths()?;
    call.hdfs_each("count", &paths, |path| async move {
        let usage = usage(&path).await?;
        let files = usage.files + usage.symlinks;
        let size = if human_sizes {
            human(usage.bytes)
        } else {
            usage.bytes.to_string()
        };
        // There are no quotas yet: as HDFS writes where none is set.
        let quota = match quotas {
            true => format!("{:>12} {:>15} {:>15} {:>15} ", "none", "inf", "none", "inf"),
            false => String::new(),
        };
        let (directories, shown) = (usage.directories, &path.shown);
        call.hdfs_line(&format!(
            "{quota}{directories:>12} {files:>12} {size:>18} {shown}"
        ))
    })
    .await
}

pub(super) async fn df(call: &Call, mut words: Words) -> Told {
    let options = words.options(&["h"])?;
    let human_sizes = options.iter().any(|option| option == "h");
    let status = call.cluster().await?.fs.status().await;
    let status = status.map_err(|refusal| complaint("/", &refusal))?;
    let told = status
        .units
        .iter()
        .filter_map(|(_, told)| told.as_ref().ok());
    let (total, available) = told.fold((0_u64, 0_u64), |(total, available), unit| {
        (total + unit.total_bytes, available + unit.available_bytes)
    });
    let used = total.saturating_sub(available);
    let percent = u128::from(used) * 100 / u128::from(total.max(1));
    let shown = |bytes: u64| {
        if human_sizes {
            human(bytes)
        } else {
            bytes.to_string()
        }
    };
    let cells = [shown(total), shown(used), shown(available)];
    let titles = ["Size", "Used", "Available"];
    let mut lines = [String::from("Filesystem"), String::from("dfs       ")];
    for (title, cell) in titles.iter().zip(&cells) {
        let width = title.len().max(cell.len());
        lines[0].push_str(&format!("  {title:>width$}"));
        lines[1].push_str(&format!("  {cell:>width$}"));
    }
    call.hdfs_line(&format!("{}  Use%", lines[0]))?;
    call.hdfs_line(&format!("{}  {percent:>3}%", lines[1]))
}
