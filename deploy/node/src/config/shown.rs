//! A configuration as text: what is in force and why, what is by default, what is different.
use crate::config::NodeConfig;
use crate::config::keys::{KEYS, Key};
use crate::config::load::Loaded;
use crate::config::mistake::Place;
use std::fmt::Write;
use toml::Value;

/// What stands for nothing where a value is shown.
pub const NOTHING: &str = "(unset)";

/// Every key, commented: a file to begin with.
pub fn defaults() -> String {
    let mut text = String::from(
        "# Every key of a process: its unit, bound, default, and why. What is commented out is the default or an example.\n\
         # A flag (--set KEY=VALUE) overrides the environment (DFS_KEY, DFS_SECTION__KEY), and that this file.\n",
    );
    let smallest = smallest();
    let mut section = None;
    for key in KEYS {
        if key.section() != section {
            section = key.section();
            let _ = write!(text, "\n[{}]\n", section.unwrap_or_default());
        }
        let value = (key.get)(&smallest);
        let default = default_of(key, value.as_ref());
        let shown = value.map_or_else(|| key.example.to_string(), |value| value.to_string());
        let mark = if key.name == "dir" { "" } else { "#" };
        let _ = write!(
            text,
            "\n# {}\n#   {}; default: {default}; {}\n#   {}\n{mark}{} = {shown}\n",
            key.what,
            key.allowed(),
            key.variable(),
            key.why,
            key.last()
        );
    }
    text
}

/// The same, a line per key.
pub fn help() -> String {
    let mut text = String::from("Keys (all of it: dfsctl config view --defaults):\n");
    let smallest = smallest();
    for key in KEYS {
        let default = default_of(key, (key.get)(&smallest).as_ref());
        let _ = writeln!(
            text,
            "  {:26} {}; default: {default}",
            key.name,
            key.allowed()
        );
    }
    text
}

/// What is said of the default.
pub fn default_of(key: &Key, value: Option<&Value>) -> String {
    match (key.default, value) {
        ("", Some(value)) => value.to_string(),
        ("", None) => NOTHING.into(),
        (said, _) => said.into(),
    }
}

/// Nothing said but what must be.
pub fn smallest() -> NodeConfig {
    NodeConfig::named("/var/lib/dfs".into())
}

/// What is in force, as TOML; behind each value where it comes from.
pub fn effective(loaded: &Loaded) -> String {
    let mut text = String::new();
    let mut section = None;
    for key in KEYS {
        if key.section() != section {
            section = key.section();
            let _ = write!(text, "\n[{}]\n", section.unwrap_or_default());
        }
        let line = match (key.get)(&loaded.config) {
            Some(value) => format!("{} = {value}", key.last()),
            None => format!("#{} is unset", key.last()),
        };
        let from = match loaded.place(key) {
            Place::Default if !key.default.is_empty() => format!("default: {}", key.default),
            place => place.to_string(),
        };
        let _ = writeln!(text, "{line:40} # {from}");
    }
    text
}

/// A key that is not the same in two configurations.
pub struct Difference {
    pub key: &'static Key,
    pub one: (Option<Value>, Place),
    pub other: (Option<Value>, Place),
}

pub fn differences(one: &Loaded, other: &Loaded) -> Vec<Difference> {
    let of = |loaded: &Loaded, key| ((key_value(key, loaded)), loaded.place(key));
    let differ = |difference: &Difference| difference.one.0 != difference.other.0;
    let all = KEYS.iter().map(|key| Difference {
        key,
        one: of(one, key),
        other: of(other, key),
    });
    all.filter(differ).collect()
}

fn key_value(key: &Key, loaded: &Loaded) -> Option<Value> {
    (key.get)(&loaded.config)
}
