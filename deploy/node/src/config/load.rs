//! A configuration from all that says something: flags over environment over file over default.
use crate::config::keys::{self, KEYS, Key, VARIABLES_BEGIN};
use crate::config::mistake::{ConfigError, Mistake, Place};
use crate::config::{NodeConfig, rules};
use dfs_wire::settings;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

mod file;

/// A variable this near to one that is known was meant to be it; others (a container platform names
/// services `DFS_…_PORT`) are somebody else's.
const VARIABLE_NEAR: usize = 2;
/// A file that is longer is something else.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What is read.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    pub file: Option<PathBuf>,
    /// All of the environment; others than `DFS_…` are passed over.
    pub variables: Vec<(String, String)>,
    pub flags: Vec<Flag>,
}

/// A key given on the command line.
#[derive(Clone, Debug)]
pub struct Flag {
    /// As it is shown in a mistake.
    pub typed: String,
    pub key: String,
    pub value: String,
}

/// A configuration, and where each key that somebody gave comes from.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: NodeConfig,
    places: BTreeMap<&'static str, Place>,
}

impl Loaded {
    pub fn place(&self, key: &Key) -> Place {
        self.places.get(key.name).cloned().unwrap_or(Place::Default)
    }
}

/// Reads, checks, and puts together.
///
/// # Errors
/// All mistakes that can be found at once.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    let mut gathered = Gathered::default();
    if let Some(path) = &sources.file {
        let text = read(path)?;
        file::gather(path, &text, &mut gathered);
    }
    for (name, value) in &sources.variables {
        gathered.variable(name, value);
    }
    for flag in &sources.flags {
        gathered.flag(flag);
    }
    gathered.whole(sources.file.as_deref())
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |error: std::io::Error| ConfigError {
        mistakes: vec![Mistake {
            place: Place::Whole(path.into()),
            key: String::new(),
            found: "cannot be read".into(),
            allowed: error.to_string(),
        }],
        unreadable: Some(error.kind()),
    };
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if length > FILE_BYTES_MAX {
        let mistake = Mistake {
            place: Place::Whole(path.into()),
            key: String::new(),
            found: format!("has {length} bytes"),
            allowed: format!("a configuration has at most {FILE_BYTES_MAX}"),
        };
        return Err(mistake.into());
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
        let mistake = Mistake {
            place: file::place(path, &before, valid),
            key: String::new(),
            found: "this is no text".into(),
            allowed: "a configuration is TOML in UTF-8".into(),
        };
        mistake.into()
    })
}

/// A value with the place of each of its elements.
struct Given {
    value: Value,
    /// As it was written.
    text: String,
    place: Place,
    elements: Vec<Place>,
}

/// What has been read so far; what is read later overrides.
#[derive(Default)]
struct Gathered {
    values: BTreeMap<&'static str, (Value, Place)>,
    mistakes: Vec<Mistake>,
    /// Keys whose values cannot be used: what contradicts them is not known.
    spoiled: BTreeSet<&'static str>,
    not_toml: bool,
}

impl Gathered {
    fn mistake(&mut self, place: Place, key: &str, found: impl Into<String>, allowed: String) {
        self.mistakes.push(Mistake {
            place,
            key: key.into(),
            found: found.into(),
            allowed,
        });
    }

    fn take(&mut self, key: &'static Key, given: Given) {
        match key.kind.check(&given.value) {
            Ok(()) => {
                self.values.insert(key.name, (given.value, given.place));
            }
            Err(wrong) => {
                let element = wrong.element.and_then(|i| given.elements.get(i));
                let place = element.cloned().unwrap_or(given.place);
                self.spoil(key, place, &given.text);
            }
        }
    }

    fn spoil(&mut self, key: &'static Key, place: Place, text: &str) {
        let allowed = format!("allowed is {}", key.allowed());
        self.mistake(place, key.name, format!(" = {}", shortened(text)), allowed);
        self.spoiled.insert(key.name);
    }

    fn unknown(&mut self, place: Place, name: &str, known: &str) {
        self.mistake(place, name, "", format!("no such key{known}"));
    }

    fn variable(&mut self, name: &str, text: &str) {
        let Some(rest) = name.strip_prefix(VARIABLES_BEGIN) else {
            return;
        };
        let place = Place::Variable(name.into());
        let Some(key) = KEYS.iter().find(|key| key.variable() == name) else {
            let near = |key: &&Key| keys::distance(&key.variable(), name);
            let nearest = KEYS.iter().min_by_key(near);
            if let Some(key) = nearest.filter(|key| near(key) <= VARIABLE_NEAR) {
                let meant = format!("; {} is one", key.variable());
                let name = rest.replace("__", ".").to_ascii_lowercase();
                self.unknown(place, &name, &meant);
            }
            return;
        };
        self.parsed(key, place, text);
    }

    fn flag(&mut self, flag: &Flag) {
        let place = Place::Flag(flag.typed.clone());
        match keys::find(&flag.key) {
            Some(key) => self.parsed(key, place, &flag.value),
            None => {
                let meant = meant(&flag.key);
                self.unknown(place, &flag.key, &meant);
            }
        }
    }

    fn parsed(&mut self, key: &'static Key, place: Place, text: &str) {
        let Some(value) = key.kind.parse(text) else {
            return self.spoil(key, place, text);
        };
        let given = Given {
            text: value.to_string(),
            value,
            place,
            elements: Vec::new(),
        };
        self.take(key, given);
    }

    fn whole(mut self, file: Option<&Path>) -> Result<Loaded, ConfigError> {
        let nowhere = || match file {
            Some(path) => Place::Whole(path.into()),
            None => Place::Flag("without a file".into()),
        };
        if self.not_toml {
            return Err(self.error()); // what is not understood may have said anything
        }
        if !self.values.contains_key("dir") && !self.spoiled.contains("dir") {
            let allowed = "name the data directory of the process".to_string();
            self.mistake(nowhere(), "dir", " is missing", allowed);
            self.spoiled.insert("dir");
        }
        let mut values = self.values.iter();
        let mut table = nested(
            values
                .by_ref()
                .map(|(name, (value, _))| (*name, value.clone())),
        );
        if self.spoiled.contains("dir") {
            table.insert("dir".into(), Value::String(".".into()));
        }
        let config = match NodeConfig::deserialize(table) {
            Ok(config) => config,
            Err(error) => {
                // Every value has been found good by its kind: a key that the struct does not know.
                self.mistake(nowhere(), "", "cannot be used", error.message().into());
                return Err(self.error());
            }
        };
        self.contradictions(&config, &nowhere());
        self.look_at_directory();
        if !self.mistakes.is_empty() {
            return Err(self.error());
        }
        let places = self
            .values
            .into_iter()
            .map(|(name, (_, place))| (name, place));
        Ok(Loaded {
            config,
            places: places.collect(),
        })
    }

    fn error(self) -> ConfigError {
        ConfigError {
            mistakes: self.mistakes,
            unreadable: None,
        }
    }

    fn contradictions(&mut self, config: &NodeConfig, nowhere: &Place) {
        for wrong in rules::contradictions(config) {
            if wrong.keys.iter().any(|key| self.spoiled.contains(key)) {
                continue;
            }
            let mut given = wrong.keys.iter().filter_map(|key| self.values.get(key));
            let place = given
                .next()
                .map_or_else(|| nowhere.clone(), |(_, place)| place.clone());
            self.mistake(place, wrong.key(), wrong.found, wrong.allowed);
        }
    }

    /// A directory that is there and cannot be one is told now, with its place.
    fn look_at_directory(&mut self) {
        let Some((Value::String(dir), place)) = self.values.get("dir") else {
            return;
        };
        let error = match std::fs::read_dir(dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => error,
            _ => return,
        };
        let (found, place) = (format!(" = \"{dir}\""), place.clone());
        let allowed = format!("a directory that can be read and written, or made: {error}");
        self.mistake(place, "dir", found, allowed);
    }
}

/// `; did you mean`: empty where nothing is near.
fn meant(name: &str) -> String {
    let last = name.rsplit('.').next().unwrap_or(name);
    if let Some(setting) = settings::by_name(last) {
        let name = setting.name;
        return format!("; `{name}` is a setting of the cluster: dfsctl config set {name} VALUE");
    }
    match keys::nearest(name) {
        Some(key) => match (key.section(), name.contains('.')) {
            (None, true) => format!("; `{}` is one, above the first [section]", key.name),
            _ => format!("; `{}` is one", key.name),
        },
        None => "; `dfsctl config view --defaults` shows all".into(),
    }
}

/// One line, of a length that can be read.
fn shortened(text: &str) -> String {
    const LENGTH: usize = 60;
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn nested(values: impl Iterator<Item = (&'static str, Value)>) -> Table {
    let mut table = Table::new();
    for (name, value) in values {
        match name.split_once('.') {
            None => {
                table.insert(name.into(), value);
            }
            Some((section, last)) => {
                let section = table.entry(section).or_insert(Value::Table(Table::new()));
                if let Value::Table(section) = section {
                    section.insert(last.into(), value);
                }
            }
        }
    }
    table
}
