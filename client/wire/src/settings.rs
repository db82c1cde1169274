//! The settings of a cluster: the table of their names, units, bounds, defaults and reasons.
use crate::limits::{FILE_BYTES_MAX, INLINE_BYTES_DEFAULT, INLINE_BYTES_MAX, NAME_BYTES_MAX};
use crate::v1::redundancy::Rule;
use crate::v1::{Redundancy, Setting as Number, Settings};
use crate::{Code, Refusal};

/// A century: log time is counted in µs, and a longer promise nobody keeps.
const SECONDS_MAX: u64 = 100 * 366 * 24 * 3600;
/// A PiB: beyond any log, and far from where bytes overflow.
const MIB_MAX: u64 = 1 << 30;
const MIB: u64 = 1 << 20;
const SECOND_US: u64 = 1_000_000;

/// One setting. All are whole numbers.
pub struct Setting {
    pub number: Number,
    pub name: &'static str,
    pub unit: &'static str,
    pub least: u64,
    pub most: u64,
    /// What a cluster is made with where its founder says nothing.
    pub default: u64,
    /// The key of a process's TOML that says it when the cluster is made; empty: there is none.
    pub made_by: &'static str,
    pub what: &'static str,
    pub why: &'static str,
    get: fn(&Settings) -> u64,
    set: fn(&mut Settings, u64),
}

impl std::fmt::Debug for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Setting {
    /// What is in force.
    pub fn get(&self, settings: &Settings) -> u64 {
        (self.get)(settings)
    }

    pub fn set(&self, settings: &mut Settings, value: u64) {
        (self.set)(settings, value)
    }

    /// `a whole number, 1 to 7 (copies)`
    pub fn allowed(&self) -> String {
        let (least, most, unit) = (self.least, self.most, self.unit);
        format!("a whole number, {least} to {most} ({unit})")
    }

    /// `Invalid` with what is allowed.
    pub fn check(&self, value: u64) -> Result<(), Refusal> {
        if (self.least..=self.most).contains(&value) {
            return Ok(());
        }
        let why = format!("{value} is not allowed: {}", self.allowed());
        let what = format!("setting {}", self.name);
        Err(Refusal::new(Code::Invalid, what, why).advice(self.why))
    }

    /// Why a limit refuses: `… (setting name_bytes_max)`, for whoever wants to change it.
    pub fn exceeded(&self, asked: impl std::fmt::Display, settings: &Settings) -> String {
        let most = self.get(settings);
        format!("{asked}, at most {most} are taken (setting {})", self.name)
    }

    /// Below [`Setting::exceeded`].
    pub fn advice(&self) -> String {
        let name = self.name;
        format!("Do with less, or change it: dfsctl config set {name} VALUE")
    }
}

/// By rising number.
pub const SETTINGS: &[Setting] = &[
    Setting {
        number: Number::ShardReplicas,
        name: "shard_replicas",
        unit: "materializers",
        least: 1,
        most: 7,
        default: 2,
        made_by: "cluster.shard_replicas",
        what: "Materializers that hold each shard.",
        why: "A second one takes over without folding the log anew; three find out which one differs.",
        get: |s| u64::from(s.replicas),
        set: |s, value| s.replicas = value as u32,
    },
    Setting {
        number: Number::Replication,
        name: "replication",
        unit: "copies",
        least: 1,
        most: 7,
        default: 1,
        made_by: "cluster.file_copies",
        what: "Copies of the contents of files that are written from now on.",
        why: "One disk can promise no more than one copy; above 7 every write waits for too many.",
        get: |s| match s.redundancy.and_then(|redundancy| redundancy.rule) {
            Some(Rule::Replicated(copies)) => u64::from(copies),
            _ => 1,
        },
        set: |s, value| {
            let rule = Some(Rule::Replicated(value as u32));
            s.redundancy = Some(Redundancy { rule });
        },
    },
    Setting {
        number: Number::InlineBytes,
        name: "inline_bytes",
        unit: "bytes",
        least: 1,
        most: INLINE_BYTES_MAX as u64,
        default: INLINE_BYTES_DEFAULT as u64,
        made_by: "",
        what: "Contents up to this many bytes are written into the record, and need no extent. Writers keep to it; what is on its way is taken.",
        why: "An extent costs a request to each unit more; bytes in records are folded by every replica.",
        get: |s| or(s.inline_bytes_max.into(), INLINE_BYTES_DEFAULT as u64),
        set: |s, value| s.inline_bytes_max = value as u32,
    },
    Setting {
        number: Number::RetentionSeconds,
        name: "retention_seconds",
        unit: "seconds",
        least: 0,
        most: SECONDS_MAX,
        default: 7 * 24 * 3600,
        made_by: "retention.seconds",
        what: "How far back the past stays readable; 0: for ever.",
        why: "What was deleted by mistake on Friday is asked for on Monday.",
        get: |s| s.retention_us / SECOND_US,
        set: |s, value| s.retention_us = value * SECOND_US,
    },
    Setting {
        number: Number::RetentionMib,
        name: "retention_mib",
        unit: "MiB of log",
        least: 0,
        most: MIB_MAX,
        default: 0,
        made_by: "",
        what: "The past is readable as far back as both say; 0: without a bound.",
        why: "A busy week must not fill the disks of the units.",
        get: |s| s.retention_bytes / MIB,
        set: |s, value| s.retention_bytes = value * MIB,
    },
    Setting {
        number: Number::FileBytesMax,
        name: "file_bytes_max",
        unit: "bytes",
        least: INLINE_BYTES_MAX as u64,
        most: FILE_BYTES_MAX,
        default: FILE_BYTES_MAX,
        made_by: "",
        what: "The longest file that is made or made longer; longer ones that stand are left as they are.",
        why: "One runaway writer must not fill the disks; above the limit one record cannot list the holes.",
        get: |s| or(s.file_bytes_max, FILE_BYTES_MAX),
        set: |s, value| s.file_bytes_max = value,
    },
    Setting {
        number: Number::NameBytesMax,
        name: "name_bytes_max",
        unit: "bytes",
        least: 32,
        most: NAME_BYTES_MAX as u64,
        default: NAME_BYTES_MAX as u64,
        made_by: "",
        what: "The longest name that an entry gets; longer ones that stand are left as they are.",
        why: "Programs that read the tree may take less than POSIX allows: eCryptfs takes 143. Unfinished transfers take up to 32.",
        get: |s| or(s.name_bytes_max.into(), NAME_BYTES_MAX as u64),
        set: |s, value| s.name_bytes_max = value as u32,
    },
    Setting {
        number: Number::DirectoryEntriesMax,
        name: "directory_entries_max",
        unit: "entries",
        least: 0,
        most: 1 << 40,
        default: 0,
        made_by: "",
        what: "Entries of a directory above which it gets no more; 0: without a bound. What is in flight is not counted.",
        why: "A job that forgets its subdirectories is found before its listing takes minutes.",
        get: |s| s.directory_entries_max,
        set: |s, value| s.directory_entries_max = value,
    },
];

/// Where 0 stands for nothing said.
fn or(value: u64, default: u64) -> u64 {
    if value == 0 { default } else { value }
}

pub fn by_name(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

/// `None`: a newer build's.
pub fn by_number(number: u32) -> Option<&'static Setting> {
    let mut all = SETTINGS.iter();
    all.find(|setting| u32::try_from(setting.number as i32) == Ok(number))
}

/// The row of a setting that the code names.
pub fn of(number: Number) -> &'static Setting {
    // Every number but 0 has its row: a test sees to it.
    by_number(number as u32).unwrap_or(&SETTINGS[0])
}

/// The setting that goes on from a key of a process's TOML, once the cluster is made.
pub fn made_by(key: &str) -> Option<&'static Setting> {
    let mut all = SETTINGS.iter();
    all.find(|setting| !key.is_empty() && setting.made_by == key)
}

/// All of it, for people.
pub fn reference() -> String {
    let mut text = String::from(
        "# Settings of a cluster: records of its log, changed at run time by `dfsctl config set NAME VALUE`, used everywhere\n\
         # within a second, with a history (`dfsctl config history`). Keys of processes are in reference.toml.\n",
    );
    for setting in SETTINGS {
        let Setting {
            name,
            what,
            why,
            default,
            ..
        } = setting;
        let made_by = match setting.made_by {
            "" => String::new(),
            key => format!(", or what `{key}` said when the cluster was made"),
        };
        let allowed = setting.allowed();
        text.push_str(&format!(
            "\n{name}\n  {what}\n  {allowed}; default: {default}{made_by}\n  {why}\n"
        ));
    }
    text
}

/// `inline_bytes, …`: for whoever named another.
pub fn names() -> String {
    let names: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_one_row_and_its_bounds_hold() {
        for (n, setting) in SETTINGS.iter().enumerate() {
            assert_eq!(setting.number as usize, n + 1, "{setting:?}");
            assert_eq!(of(setting.number).name, setting.name);
            assert_eq!(
                by_name(setting.name).map(|s| s.number),
                Some(setting.number)
            );
            assert!(setting.check(setting.default).is_ok(), "{setting:?}");
            assert!(setting.check(setting.most + 1).is_err(), "{setting:?}");
            let mut settings = Settings::default();
            for value in [setting.most, setting.least] {
                setting.set(&mut settings, value);
                assert_eq!(setting.get(&settings), value, "{setting:?}");
            }
        }
        assert!(
            Number::try_from(SETTINGS.len() as i32 + 1).is_err(),
            "it has no row"
        );
    }

    #[test]
    fn a_value_out_of_bounds_is_refused_with_what_is_allowed() {
        let refused = of(Number::Replication).check(9).map_err(Refusal::into_wire);
        let refused = refused.expect_err("refused");
        assert_eq!(refused.what, "setting replication");
        assert_eq!(
            refused.why,
            "9 is not allowed: a whole number, 1 to 7 (copies)"
        );
    }
}
