//! Arrows point one way: which crate may stand on which. Adding one is a change of its own.

use std::collections::BTreeMap;

use toml::{Table, Value};

use crate::{Fault, Tree};

const BELOW_FS: &[&str] = &[
    "client/log",
    "client/extents",
    "client/rpc",
    "client/wire",
    "client/env",
];
const BELOW_RPC: &[&str] = &["client/wire", "client/env"];
const RPC: &[&str] = &["client/rpc"];
const FS: &[&str] = &["client/fs"];
const SEGMENT: &[&str] = &["log-units/segment"];
const SERVERS: &[&str] = &["sequencer", "log-units", "materializer"];
const DOORS: &[&str] = &[
    "client/gateways/s3",
    "client/gateways/webhdfs",
    "client/gateways/console",
    "client/fuse",
];
const CLI: &[&str] = &["client/cli"];
const NODE: &[&str] = &["deploy/node"];
const LOAD: &[&str] = &["bench/load"];
const MODEL: &[&str] = &["bench/model"];

/// Each crate, and all that its code may import. Nothing imports a server but deploy/node, which puts
/// them together; nothing imports dfsctl. A crate that is not here does not belong to the workspace.
const ARROWS: [(&str, &[&[&str]]); 25] = [
    ("client/wire", &[]),
    ("client/env", &[]),
    ("client/rpc", &[BELOW_RPC]),
    ("client/log", &[RPC, BELOW_RPC]),
    ("client/extents", &[RPC, BELOW_RPC]),
    ("client/fs", &[BELOW_FS]),
    ("client/cli", &[FS, BELOW_FS]),
    ("client/gateways/s3", &[FS]),
    ("client/gateways/webhdfs", &[FS]),
    ("client/gateways/console", &[FS]),
    ("client/fuse", &[FS]),
    ("log-units/segment", &[&["client/env"]]),
    ("log-units", &[SEGMENT, RPC, BELOW_RPC]),
    ("sequencer", &[SEGMENT, RPC, BELOW_RPC]),
    ("materializer", &[BELOW_FS]),
    ("deploy/node", &[SERVERS, DOORS, FS, BELOW_FS]),
    ("deploy/dfsctl", &[NODE, LOAD, CLI, DOORS, FS, BELOW_FS]),
    ("bench/tidy", &[]),
    ("bench/model", &[&["client/wire"]]),
    ("bench/protocol", &[]),
    ("bench/load", &[FS, BELOW_FS]),
    ("bench/sim", &[NODE, MODEL, FS, BELOW_FS]),
    ("bench/seeing", &[FS, BELOW_FS]),
    ("bench/chaos", &[NODE, MODEL, CLI, DOORS, FS, BELOW_FS]),
    (
        "bench/conformance",
        &[NODE, MODEL, CLI, DOORS, FS, BELOW_FS],
    ),
];

/// Tests of every crate may also judge by the model and run on given, simulated things.
const TESTS_MAY_ALSO: [&str; 2] = ["bench/model", "client/env"];

/// Features of client/env that no server asks for.
const FOR_TESTS: [&str; 2] = ["sim", "testing"];

const ROOT: &str = "Cargo.toml";

pub fn check(tree: &Tree) -> Vec<Fault> {
    let workspace = match Workspace::read(tree) {
        Ok(workspace) => workspace,
        Err(fault) => return vec![fault],
    };
    let mut faults = workspace.faults.clone();
    for member in &workspace.members {
        faults.extend(check_package(member));
        faults.extend(
            member
                .dependencies(&workspace)
                .iter()
                .filter_map(|to| check_arrow(member, to)),
        );
    }
    faults
}

/// `dfs-` and the name of the directory; the binary is what people type.
fn check_package(member: &Member) -> Option<Fault> {
    let last = member.directory.rsplit('/').next().unwrap_or_default();
    let expected = if last == "dfsctl" {
        last.to_owned()
    } else {
        format!("dfs-{last}")
    };
    let what = format!(
        "package `{}` lies in {}: call it `{expected}`",
        member.package, member.directory
    );
    (member.package != expected).then(|| Fault::new(&member.path, 1, what))
}

fn check_arrow(from: &Member, to: &Dependency) -> Option<Fault> {
    let line = line_of(&from.text, &to.key);
    let allowed = allowed(&from.directory)?;
    let directory = to.directory.as_str();
    let for_tests = to.kind == Kind::Dev;
    let itself = for_tests && directory == from.directory;
    let judged = for_tests && TESTS_MAY_ALSO.contains(&directory);
    if !(itself || judged || allowed.contains(&directory)) {
        let what = format!(
            "{} may not stand on {directory}: let it be given what it needs, or change the table of \
             arrows in a commit of its own",
            from.directory
        );
        return Some(Fault::new(&from.path, line, what));
    }
    let simulates = directory == "client/env"
        && to
            .features
            .iter()
            .any(|feature| FOR_TESTS.contains(&feature.as_str()));
    if simulates && !for_tests && !from.directory.starts_with("bench/") {
        let what = "`sim` and `testing` are for tests: ask for them under [dev-dependencies]";
        return Some(Fault::new(&from.path, line, what));
    }
    None
}

fn allowed(directory: &str) -> Option<Vec<&'static str>> {
    let row = ARROWS.iter().find(|(from, _)| *from == directory)?;
    Some(row.1.concat())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Normal,
    Dev,
    Build,
}

const KINDS: [(&str, Kind); 3] = [
    ("dependencies", Kind::Normal),
    ("dev-dependencies", Kind::Dev),
    ("build-dependencies", Kind::Build),
];

/// One arrow to another member of the workspace.
#[derive(Debug)]
struct Dependency {
    key: String,
    directory: String,
    kind: Kind,
    features: Vec<String>,
}

struct Member {
    path: String,
    directory: String,
    package: String,
    text: String,
    manifest: Table,
}

struct Workspace {
    members: Vec<Member>,
    /// Package name to directory.
    directories: BTreeMap<String, String>,
    /// `[workspace.dependencies]`
    shared: Table,
    faults: Vec<Fault>,
}

impl Workspace {
    fn read(tree: &Tree) -> Result<Self, Fault> {
        let root = tree
            .file(ROOT)
            .ok_or_else(|| Fault::new(ROOT, 1, "is missing"))?;
        let manifest = parse(ROOT, &root.text)?;
        let workspace = table(&manifest, "workspace");
        let listed = strings(workspace.get("members"));
        let mut faults = Vec::new();
        let mut members = Vec::new();
        for file in tree
            .files
            .iter()
            .filter(|file| file.path.ends_with("/Cargo.toml"))
        {
            let directory = file.path.trim_end_matches("/Cargo.toml").to_owned();
            if !listed.contains(&directory) {
                let what = "is no member of the workspace: list it in the root's Cargo.toml";
                faults.push(Fault::new(&file.path, 1, what));
                continue;
            }
            if allowed(&directory).is_none() {
                let what = format!("{directory} has no row in the table of arrows: give it one");
                faults.push(Fault::new(&file.path, 1, what));
            }
            let manifest = parse(&file.path, &file.text)?;
            let name = table(&manifest, "package").remove("name");
            let package = name
                .as_ref()
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            let (path, text) = (file.path.clone(), file.text.clone());
            members.push(Member {
                path,
                directory,
                package,
                text,
                manifest,
            });
        }
        let directories = members
            .iter()
            .map(|m| (m.package.clone(), m.directory.clone()))
            .collect();
        Ok(Self {
            members,
            directories,
            shared: table(&workspace, "dependencies"),
            faults,
        })
    }
}

impl Member {
    /// Its arrows inside the workspace, those for one target too.
    fn dependencies(&self, workspace: &Workspace) -> Vec<Dependency> {
        let mut sections = vec![self.manifest.clone()];
        let targets = table(&self.manifest, "target");
        sections.extend(targets.values().filter_map(Value::as_table).cloned());
        let mut found = Vec::new();
        for section in &sections {
            for (name, kind) in KINDS {
                let arrows = table(section, name);
                let arrows = arrows
                    .iter()
                    .filter_map(|(key, value)| arrow(key, value, kind, workspace));
                found.extend(arrows);
            }
        }
        found
    }
}

fn arrow(key: &str, value: &Value, kind: Kind, workspace: &Workspace) -> Option<Dependency> {
    let own = value.as_table().cloned().unwrap_or_default();
    let inherited = own
        .get("workspace")
        .is_some()
        .then(|| table(&workspace.shared, key));
    let inherited = inherited.unwrap_or_default();
    let renamed = own
        .get("package")
        .or(inherited.get("package"))
        .and_then(Value::as_str);
    let directory = workspace.directories.get(renamed.unwrap_or(key))?.clone();
    let mut features = strings(own.get("features"));
    features.extend(strings(inherited.get("features")));
    Some(Dependency {
        key: key.to_owned(),
        directory,
        kind,
        features,
    })
}

fn parse(path: &str, text: &str) -> Result<Table, Fault> {
    let parsed = text.parse::<Table>();
    parsed.map_err(|error| {
        Fault::new(
            path,
            1,
            format!("does not parse ({}): mend it", error.message()),
        )
    })
}

fn table(of: &Table, key: &str) -> Table {
    of.get(key)
        .and_then(Value::as_table)
        .cloned()
        .unwrap_or_default()
}

fn strings(value: Option<&Value>) -> Vec<String> {
    let values = value.and_then(Value::as_array).into_iter().flatten();
    values
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

fn line_of(text: &str, key: &str) -> usize {
    let mut lines = text.lines();
    let found = lines.position(|line| {
        let rest = line.trim_start().strip_prefix(key);
        rest.is_some_and(|rest| rest.starts_with([' ', '.', '=']))
    });
    found.map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMBERS: [&str; 6] = [
        "client/env",
        "client/wire",
        "client/fs",
        "log-units",
        "sequencer",
        "bench/model",
    ];

    /// The workspace of `MEMBERS` where `directory` has these further lines in its Cargo.toml.
    fn faults_with(directory: &str, lines: &str) -> Vec<Fault> {
        let root = format!(
            "[workspace]\nmembers = {MEMBERS:?}\n[workspace.dependencies]\n\
             dfs-env = {{ path = \"client/env\" }}\nunits = {{ package = \"dfs-log-units\", path = \"\" }}\n"
        );
        let manifest = |member: &str| {
            let last = member.rsplit('/').next().unwrap();
            let more = if member == directory { lines } else { "" };
            format!("[package]\nname = \"dfs-{last}\"\n{more}")
        };
        let texts = MEMBERS.map(|member| (format!("{member}/Cargo.toml"), manifest(member)));
        let mut files: Vec<(&str, &str)> = vec![(ROOT, &root)];
        files.extend(
            texts
                .iter()
                .map(|(path, text)| (path.as_str(), text.as_str())),
        );
        check(&Tree::of(&files))
    }

    #[test]
    fn an_arrow_of_the_table_passes() {
        assert_eq!(
            faults_with("sequencer", "[dependencies]\ndfs-env.workspace = true\n"),
            []
        );
        assert_eq!(
            faults_with("client/fs", "[dependencies]\ndfs-wire = { path = \"\" }\n"),
            []
        );
    }

    #[test]
    fn a_server_that_imports_a_server_is_refused() {
        let faults = faults_with(
            "sequencer",
            "[dependencies]\nbytes = \"1\"\ndfs-log-units.workspace = true\n",
        );
        assert_eq!(faults.len(), 1);
        assert_eq!(
            (faults[0].path.as_str(), faults[0].line),
            ("sequencer/Cargo.toml", 5)
        );
        assert!(
            faults[0]
                .what
                .contains("sequencer may not stand on log-units")
        );
    }

    #[test]
    fn no_detour_helps() {
        for detour in [
            "[dependencies]\nunits = { workspace = true }\n",
            "[dev-dependencies]\ndfs-log-units = { path = \"../log-units\" }\n",
            "[build-dependencies]\nanything = { package = \"dfs-log-units\", path = \"\" }\n",
            "[target.'cfg(unix)'.dependencies]\ndfs-log-units.workspace = true\n",
        ] {
            assert_eq!(faults_with("sequencer", detour).len(), 1, "{detour}");
        }
    }

    #[test]
    fn tests_may_use_the_model_and_the_simulated_world() {
        let sim = "dfs-env = { workspace = true, features = [\"sim\"] }\n";
        assert_eq!(
            faults_with("client/wire", &format!("[dev-dependencies]\n{sim}")),
            []
        );
        assert_eq!(
            faults_with(
                "client/wire",
                "[dev-dependencies]\ndfs-model.workspace = true\n"
            ),
            []
        );
        assert_eq!(
            faults_with(
                "client/wire",
                "[dependencies]\ndfs-model.workspace = true\n"
            )
            .len(),
            1
        );
        let faults = faults_with("sequencer", &format!("[dependencies]\n{sim}"));
        assert_eq!(faults.len(), 1);
        assert!(faults[0].what.contains("[dev-dependencies]"));
    }

    #[test]
    fn an_unknown_crate_is_refused() {
        let root = "[workspace]\nmembers = [\"client/shiny\"]\n";
        let tree = Tree::of(&[
            (ROOT, root),
            (
                "client/shiny/Cargo.toml",
                "[package]\nname = \"dfs-shiny\"\n",
            ),
            (
                "client/stray/Cargo.toml",
                "[package]\nname = \"dfs-stray\"\n",
            ),
        ]);
        let faults = check(&tree);
        assert_eq!(faults.len(), 2);
        assert!(faults[0].what.contains("has no row") && faults[1].what.contains("is no member"));
    }

    #[test]
    fn a_package_is_called_after_its_directory() {
        let tree = Tree::of(&[
            (ROOT, "[workspace]\nmembers = [\"client/log\"]\n"),
            ("client/log/Cargo.toml", "[package]\nname = \"log\"\n"),
        ]);
        let faults = check(&tree);
        assert_eq!(faults.len(), 1);
        assert!(faults[0].what.contains("`dfs-log`"));
    }

    #[test]
    fn the_table_has_no_circle() {
        for (from, _) in ARROWS {
            let mut reached = allowed(from).unwrap();
            let mut next = 0;
            while let Some(at) = reached.get(next).copied() {
                assert_ne!(at, from);
                let further = allowed(at).unwrap();
                let new: Vec<_> = further
                    .into_iter()
                    .filter(|to| !reached.contains(to))
                    .collect();
                reached.extend(new);
                next += 1;
            }
        }
    }
}
