//! Profiles: where a cluster is found. `$DFSCTL_CONFIG`, else `~/.config/dfsctl/config.toml`, mode 0600.
use crate::failure::{Failure, Outcome};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Where `dfsctl dev up` listens unless told otherwise.
pub const SEQUENCER_DEFAULT: &str = "127.0.0.1:9010";

/// One cluster: its sequencers, and its id so that another one at the same address is noticed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// `host:port` each.
    pub sequencers: Vec<String>,
    /// Hexadecimal; empty until the first contact.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cluster_id: String,
}

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profiles {
    /// The one used when none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    #[serde(default)]
    pub profiles: BTreeMap<String, Profile>,
}

/// Where the file lies; it need not exist.
pub fn path() -> Outcome<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(path) = set("DFSCTL_CONFIG") {
        return Ok(path.into());
    }
    let base = set("XDG_CONFIG_HOME").map(PathBuf::from);
    let base = base.or_else(|| set("HOME").map(|home| Path::new(&home).join(".config")));
    base.map(|base| base.join("dfsctl/config.toml"))
        .ok_or_else(|| {
            let what = "cannot find the configuration";
            Failure::usage(
                what,
                "neither DFSCTL_CONFIG nor HOME is set",
                "Set DFSCTL_CONFIG=FILE",
            )
        })
}

impl Profiles {
    /// No file is an empty one.
    pub fn load(path: &Path) -> Outcome<Profiles> {
        match fs::read_to_string(path) {
            Ok(text) => Profiles::parse(&text, path),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Profiles::default()),
            Err(e) if e.kind() == io::ErrorKind::IsADirectory => Err(Failure::usage(
                format!("cannot use {}", path.display()),
                "a directory; the configuration is one file",
                format!("Set DFSCTL_CONFIG={}", path.join("config.toml").display()),
            )),
            Err(e) => Err(Failure::local("read", path, &e)),
        }
    }

    fn parse(text: &str, path: &Path) -> Outcome<Profiles> {
        toml::from_str(text).map_err(|e| {
            let at = e
                .span()
                .map_or(0, |span| text[..span.start].matches('\n').count() + 1);
            let what = format!("cannot use {} (line {at})", path.display());
            Failure::usage(
                what,
                e.message(),
                "Correct the file, or remove it and add its profiles again",
            )
        })
    }

    /// Replaces the file in one step: a crash leaves the old one or the new one.
    pub fn save(&self, path: &Path) -> Outcome {
        let text = toml::to_string(self).map_err(|e| {
            Failure::usage(
                "cannot write the configuration",
                e.to_string(),
                "Report this as a bug",
            )
        })?;
        write_private(path, &text).map_err(|e| Failure::local("write", path, &e))
    }

    pub fn get(&self, name: &str) -> Outcome<&Profile> {
        self.profiles.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.profiles.keys().map(String::as_str).collect();
            let why = match known.as_slice() {
                [] => "there are no profiles yet".to_string(),
                known => format!("the profiles are {}", known.join(", ")),
            };
            let advice = "Choose one of `dfsctl profile list`, or make it: dfsctl profile add NAME HOST:PORT";
            Failure::new(crate::Exit::NotFound, format!("no profile `{name}`"), why, advice)
        })
    }
}

/// Names fit into addresses: letters, digits, `-`, `_` and `.`.
pub fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !name.is_empty() && name.chars().all(plain)
}

/// Writes and selects a profile: what `dev up` and `connect` do.
pub fn remember(name: &str, profile: Profile) -> Outcome {
    let path = path()?;
    let mut profiles = Profiles::load(&path)?;
    let known = profiles.profiles.get(name) == Some(&profile);
    if known && profiles.current.as_deref() == Some(name) {
        return Ok(());
    }
    profiles.profiles.insert(name.to_string(), profile);
    profiles.current = Some(name.to_string());
    profiles.save(&path)
}

/// A port of `host:port`, checked before it is kept.
pub fn check_sequencer(address: &str) -> Result<String, String> {
    let port = address
        .rsplit_once(':')
        .filter(|(host, _)| !host.is_empty());
    let port = port
        .and_then(|(_, port)| port.parse::<u16>().ok())
        .filter(|port| *port > 0);
    match port {
        Some(_) => Ok(address.to_string()),
        None => Err("an address is HOST:PORT, for example 127.0.0.1:9010".into()),
    }
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    let draft = PathBuf::from(name);
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    written
        .and_then(|()| fs::rename(&draft, path))
        .inspect_err(|_| {
            let _ = fs::remove_file(&draft);
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn one() -> Profiles {
        let profile = Profile {
            sequencers: vec![SEQUENCER_DEFAULT.into()],
            cluster_id: "00ff".into(),
        };
        Profiles {
            current: Some("dev".into()),
            profiles: BTreeMap::from([("dev".into(), profile)]),
        }
    }

    #[test]
    fn what_is_saved_is_loaded_and_private() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("deep/config.toml");
        assert_eq!(Profiles::load(&path).expect("no file"), Profiles::default());
        one().save(&path).expect("saved");
        assert_eq!(Profiles::load(&path).expect("loaded"), one());
        let mode = fs::metadata(&path).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let beside = fs::read_dir(path.parent().expect("a parent")).expect("listed");
        assert_eq!(beside.count(), 1);
    }

    #[test]
    fn a_wrong_key_is_told_with_its_line() {
        let text = "current = \"dev\"\n[profiles.dev]\nsequencer = []\n";
        let failure = Profiles::parse(text, Path::new("c.toml")).expect_err("unknown key");
        assert!(failure.what.contains("c.toml (line 3)"), "{}", failure.what);
        assert!(failure.why.contains("sequencer"), "{}", failure.why);
    }

    #[test]
    fn an_unknown_profile_names_those_there_are() {
        let failure = one().get("prod").expect_err("unknown").why;
        assert_eq!(failure, "the profiles are dev");
    }

    #[test]
    fn a_sequencer_is_host_and_port() {
        assert!(check_sequencer("[::1]:9010").is_ok());
        for bad in ["", "localhost", ":9010", "h:0", "h:99999", "h:x"] {
            assert!(check_sequencer(bad).is_err(), "{bad}");
        }
    }
}
