//! The table of keys: what is configured, in which unit, within which bound, what it is by default, and why.
use crate::config::kind::Kind;
use crate::config::mistake::{Mistake, Place};
use crate::config::{NodeConfig, RoleName};
use toml::Value;

/// Of which variables of the environment carry keys: `DFS_CLUSTER__LOG_REPLICAS`.
pub const VARIABLES_BEGIN: &str = "DFS_";
/// Names of racks: as long as a host's.
const RACK_BYTES_MAX: usize = 64;
/// A century: log time is counted in µs, and a longer promise nobody keeps.
const SECONDS_MAX: u64 = 100 * 366 * 24 * 3600;
/// A PiB: beyond any log, and far from where bytes overflow.
const MIB_MAX: u64 = 1 << 30;

/// One key.
pub struct Key {
    /// With its section: `cluster.log_replicas`.
    pub name: &'static str,
    pub kind: Kind,
    /// Empty: it has none.
    pub unit: &'static str,
    /// What it is where nobody says anything, if that is no plain value.
    pub default: &'static str,
    /// A value, as TOML, that differs from the default.
    pub example: &'static str,
    pub what: &'static str,
    pub why: &'static str,
    /// What is in force; `None`: nothing.
    pub get: fn(&NodeConfig) -> Option<Value>,
}

impl Key {
    /// `None`: the top of the file.
    pub fn section(&self) -> Option<&'static str> {
        self.name.split_once('.').map(|(section, _)| section)
    }

    /// Without its section.
    pub fn last(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or(self.name)
    }

    pub fn variable(&self) -> String {
        let name = self.name.replace('.', "__").to_ascii_uppercase();
        format!("{VARIABLES_BEGIN}{name}")
    }

    /// `slots, a whole number, 1 to 64`
    pub fn allowed(&self) -> String {
        match self.unit {
            "" => self.kind.allowed(),
            unit => format!("{} ({unit})", self.kind.allowed()),
        }
    }
}

/// Every key, those of a section together, in the order in which they are shown.
pub const KEYS: &[Key] = &[
    Key {
        name: "dir",
        kind: Kind::Path,
        unit: "",
        default: "none: it must be said",
        example: "\"/var/lib/dfs\"",
        what: "The data directory of the process; made if it is missing.",
        why: "Identity, lock and all roles' data lie here: one process, one directory, for good.",
        get: |c| Some(c.dir.to_string_lossy().into_owned().into()),
    },
    Key {
        name: "listen",
        kind: Kind::Listen,
        unit: "",
        default: "",
        example: "\"127.0.0.1:9101\"",
        what: "Where all roles of the process answer; port 0 takes a free one.",
        why: "Loopback by default: nothing is encrypted or authenticated yet.",
        get: |c| Some(c.listen.clone().into()),
    },
    Key {
        name: "advertise",
        kind: Kind::Address,
        unit: "",
        default: "the address listened on",
        example: "\"node-1:9010\"",
        what: "Where others are told to find this process.",
        why: "Behind a container or a name, what is listened on is not what others can dial.",
        get: |c| c.advertise.clone().map(Value::from),
    },
    Key {
        name: "metrics",
        kind: Kind::Listen,
        unit: "",
        default: "no such port",
        example: "\"127.0.0.1:9090\"",
        what: "Where this process tells of itself over HTTP: /metrics, /healthz, /readyz, /raft; port 0 takes a free one.",
        why: "A port of its own: whoever watches needs no access to the data, and a full queue there delays nobody.",
        get: |c| c.metrics.clone().map(Value::from),
    },
    Key {
        name: "traces",
        kind: Kind::Url,
        unit: "",
        default: "to no collector",
        example: "\"http://127.0.0.1:4317\"",
        what: "The collector that gets the spans of sampled requests, over OTLP (gRPC).",
        why: "A trace of many processes is seen whole in one place; while it is away spans are dropped, and counted.",
        get: |c| c.traces.clone().map(Value::from),
    },
    Key {
        name: "roles",
        kind: Kind::Roles,
        unit: "",
        default: "",
        example: "[\"unit\"]",
        what: "What runs here.",
        why: "All in one process is the smallest system; a cluster gives each its own.",
        get: |c| {
            let names = c.roles.iter().map(|role| role.as_str());
            Some(names.map(Value::from).collect::<Vec<_>>().into())
        },
    },
    Key {
        name: "sequencers",
        // More would make every cut slower and no failure less likely.
        kind: Kind::Addresses { most: 7 },
        unit: "",
        default: "",
        example: "[\"a:9010\", \"b:9010\", \"c:9010\"]",
        what: "Every sequencer voter, the same list in all files: the place in it is the voter's id.",
        why: "Founders and everybody else find each other by it; empty where all sequencers run here.",
        get: |c| {
            let list = c.sequencers.iter().cloned();
            Some(list.map(Value::from).collect::<Vec<_>>().into())
        },
    },
    Key {
        name: "join",
        kind: Kind::Flag,
        unit: "",
        default: "",
        example: "true",
        what: "The sequencer of this process founds no cluster: it joins that of `sequencers`.",
        why: "`dfsctl node add` then makes it a voter, with an id that is kept in its directory.",
        get: |c| Some(c.join.into()),
    },
    Key {
        name: "voters",
        kind: Kind::OneOf(&[1, 3, 5]),
        unit: "voters",
        default: "",
        example: "3",
        what: "Sequencer voters in this process; more than one only where no other process runs one.",
        why: "Odd numbers: an even one needs a larger majority and survives no more failures.",
        get: |c| Some(i64::from(c.voters).into()),
    },
    Key {
        name: "units",
        kind: Kind::Whole { least: 1, most: 64 },
        unit: "slots",
        default: "",
        example: "6",
        what: "Slots of log units in this process.",
        why: "Each has a directory and a writer of its own: more than a machine has disks gains nothing.",
        get: |c| Some(i64::from(c.units).into()),
    },
    Key {
        name: "rack",
        kind: Kind::Text {
            bytes_max: RACK_BYTES_MAX,
        },
        unit: "",
        default: "",
        example: "\"rack-1\"",
        what: "The rack this process stands in.",
        why: "Copies are spread over racks, so that one switch or fuse takes no two of them.",
        get: |c| Some(c.rack.clone().into()),
    },
    Key {
        name: "rank",
        kind: Kind::Whole {
            least: 0,
            most: u32::MAX as u64,
        },
        unit: "",
        default: "",
        example: "1",
        what: "Who campaigns first for a shard: lower first.",
        why: "The best machine becomes primary, and two do not campaign at once.",
        get: |c| Some(i64::from(c.rank).into()),
    },
    Key {
        name: "insecure",
        kind: Kind::Flag,
        unit: "",
        default: "",
        example: "true",
        what: "Allows addresses that are not loopback.",
        why: "Whoever reaches the port reads and writes everything: say that you know.",
        get: |c| Some(c.insecure.into()),
    },
    Key {
        name: "cluster.log_replicas",
        kind: Kind::Whole { least: 1, most: 7 },
        unit: "log units",
        default: "3, or 1 where a process runs fewer than 3 units alone",
        example: "5",
        what: "R: log units that hold each record. Read only when the cluster is made.",
        why: "One disk can promise no more than one copy; above 7 every write waits for too many.",
        get: |c| Some(i64::from(c.log_replicas()).into()),
    },
    Key {
        name: "cluster.log_write_quorum",
        kind: Kind::Whole { least: 1, most: 7 },
        unit: "log units",
        default: "more than half of R",
        example: "2",
        what: "W: how many of R must have a record on disk before it counts. Read only when the cluster is made.",
        why: "A record survives W - 1 disks at once; R - W units may be slow or gone without a wait.",
        get: |c| Some(i64::from(c.log_write_quorum()).into()),
    },
    Key {
        name: "cluster.file_copies",
        kind: Kind::Whole { least: 1, most: 7 },
        unit: "copies",
        default: "R",
        example: "2",
        what: "Copies of a file's contents. Read only when the cluster is made.",
        why: "Contents need not be as safe as the log that names them.",
        get: |c| Some(i64::from(c.file_copies()).into()),
    },
    Key {
        name: "cluster.shard_replicas",
        kind: Kind::Whole { least: 1, most: 7 },
        unit: "materializers",
        default: "",
        example: "3",
        what: "Materializers that hold each shard. Read only when the cluster is made.",
        why: "A second one takes over without folding the log anew; three find out which one differs.",
        get: |c| Some(i64::from(c.cluster.shard_replicas.unwrap_or(2)).into()),
    },
    Key {
        name: "cluster.digest_every",
        // Fewer than replicas say in one round, and digests would be all that they compare.
        kind: Kind::Whole {
            least: 16,
            most: 1 << 32,
        },
        unit: "log records",
        default: "",
        example: "1024",
        what: "From one digest that replicas compare to the next. Read only when the cluster is made.",
        why: "The sooner two that differ are found, the less there is to fold again.",
        get: |c| Some((c.cluster.digest_every.unwrap_or(4096) as i64).into()),
    },
    Key {
        name: "snapshots.every_records",
        kind: Kind::Whole {
            least: 0,
            most: 1 << 40,
        },
        unit: "log records",
        default: "",
        example: "100000",
        what: "A materializer takes a snapshot of itself after so many records; 0: not by that.",
        why: "Snapshots let the log be trimmed; each costs a pass over the state.",
        get: |c| Some((c.snapshots.policy().every_records as i64).into()),
    },
    Key {
        name: "snapshots.every_mib",
        kind: Kind::Whole {
            least: 0,
            most: MIB_MAX,
        },
        unit: "MiB of log",
        default: "",
        example: "1024",
        what: "The same by bytes of log, whichever comes first; 0: not by that.",
        why: "A start folds what came after the last snapshot: this bounds how long it takes.",
        get: |c| Some(((c.snapshots.policy().every_bytes >> 20) as i64).into()),
    },
    Key {
        name: "retention.seconds",
        kind: Kind::Whole {
            least: 0,
            most: SECONDS_MAX,
        },
        unit: "seconds",
        default: "as the cluster was made; 604800, 7 days, where this names nothing then",
        example: "86400",
        what: "How far back the past stays readable; 0: for ever.",
        why: "What was deleted by mistake on Friday is asked for on Monday.",
        get: |c| c.retention.seconds.map(|s| (s as i64).into()),
    },
    Key {
        name: "retention.mib",
        kind: Kind::Whole {
            least: 0,
            most: MIB_MAX,
        },
        unit: "MiB of log",
        default: "",
        example: "65536",
        what: "The past is readable as far back as both say; 0: without a bound.",
        why: "A busy week must not fill the disks of the units.",
        get: |c| Some((c.retention.mib.unwrap_or(0) as i64).into()),
    },
];

/// The key of this name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Whether some key lies in it.
pub(crate) fn is_section(name: &str) -> bool {
    KEYS.iter().any(|key| key.section() == Some(name))
}

/// The section that may have been meant.
pub(crate) fn nearest_section(name: &str) -> Option<&'static str> {
    let far = |section: &&str| distance(section, name);
    let nearest = KEYS.iter().filter_map(Key::section).min_by_key(far)?;
    (far(&nearest) <= 1 + name.len() / 3).then_some(nearest)
}

/// The key that may have been meant: of the same name in another section, or a few letters away.
pub(crate) fn nearest(name: &str) -> Option<&'static Key> {
    let last = name.rsplit('.').next().unwrap_or(name);
    if let Some(key) = KEYS.iter().find(|key| key.last() == last) {
        return Some(key);
    }
    let far = |key: &&Key| distance(key.name, name).min(distance(key.last(), last));
    let nearest = KEYS.iter().min_by_key(far)?;
    (far(&nearest) <= 1 + last.len() / 3).then_some(nearest)
}

/// Letters to change, add or leave out from one to the other.
pub(crate) fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

/// Values that no key's kind allows, of a configuration that was never text.
pub(crate) fn out_of_bounds(config: &NodeConfig) -> Vec<Mistake> {
    let value = |key: &'static Key| (key.get)(config).map(|value| (key, value));
    let given = KEYS.iter().filter_map(value);
    let wrong = given.filter(|(key, value)| key.kind.check(value).is_err());
    let mistake = |(key, value): (&Key, Value)| Mistake {
        place: Place::Nowhere,
        key: key.name.into(),
        found: format!(" = {value}"),
        allowed: format!("allowed is {}", key.allowed()),
    };
    wrong.map(mistake).collect()
}

/// What is said of roles where one is named that does not exist.
pub(crate) fn role_names() -> String {
    RoleName::ALL.map(RoleName::as_str).join(", ")
}
