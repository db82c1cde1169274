//! The moment at which the namespace is read: what stands behind `@`.
use crate::calendar;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// `head`, an LSN, a time, or so long ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    Head,
    Lsn(u64),
    /// µs since the epoch.
    TimeUs(u64),
    /// µs before the cluster's now.
    AgoUs(u64),
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Moment, String> {
        if text == "head" {
            return Ok(Moment::Head);
        }
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return match text.parse() {
                Ok(0) => Err("LSNs begin with 1".into()),
                Ok(lsn) => Ok(Moment::Lsn(lsn)),
                Err(_) => Err(format!("`{text}` is larger than any LSN")),
            };
        }
        if let Some(ago) = text.strip_prefix('-') {
            return parse_ago(ago);
        }
        calendar::parse(text).map(Moment::TimeUs).ok_or_else(|| {
            format!("`{text}` is neither an LSN, `head`, `-5m` nor a time with its zone")
        })
    }
}

fn parse_ago(text: &str) -> Result<Moment, String> {
    let ago = humantime::parse_duration(text).map_err(|e| format!("`-{text}`: {e}"))?;
    let us = u64::try_from(ago.as_micros());
    us.map(Moment::AgoUs)
        .map_err(|_| format!("`-{text}` is longer than time itself"))
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Moment::Head => f.write_str("head"),
            Moment::Lsn(lsn) => write!(f, "{lsn}"),
            Moment::TimeUs(us) => f.write_str(&calendar::format(*us)),
            Moment::AgoUs(us) => {
                let ago = humantime::format_duration(Duration::from_micros(*us)).to_string();
                write!(f, "-{}", ago.replace(' ', ""))
            }
        }
    }
}

impl Moment {
    /// As the file system takes it.
    pub(crate) fn when(self) -> dfs_fs::When {
        match self {
            Moment::Head => dfs_fs::When::Head,
            Moment::Lsn(lsn) => dfs_fs::When::Lsn(lsn),
            Moment::TimeUs(us) => dfs_fs::When::TimeUs(us),
            Moment::AgoUs(us) => dfs_fs::When::AgoUs(us),
        }
    }
}
