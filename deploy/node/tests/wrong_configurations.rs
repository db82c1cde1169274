//! Configurations with mistakes, and exactly what is said of each: `wrong_configurations.txt`.
#![allow(clippy::unwrap_used, reason = "tests")]

use dfs_node::config::load::{Flag, Sources, load};
use std::fmt::Write;
use std::path::Path;

const CASES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/wrong_configurations.txt"
);

/// `# NAME`, then lines of TOML, of the environment (`$ NAME=VALUE`) and flags (`$ --set KEY=VALUE`),
/// then what is said (`> `).
struct Case<'a> {
    name: &'a str,
    toml: String,
    given: Vec<&'a str>,
    said: String,
}

fn parse(text: &str) -> Vec<Case<'_>> {
    let mut cases: Vec<Case<'_>> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("## ") {
            cases.push(Case {
                name,
                toml: String::new(),
                given: Vec::new(),
                said: String::new(),
            });
            continue;
        }
        let Some(case) = cases.last_mut() else {
            continue; // what the file is
        };
        if let Some(given) = line.strip_prefix("$ ") {
            case.given.push(given);
        } else if let Some(said) = line.strip_prefix("> ") {
            writeln!(case.said, "{said}").unwrap();
        } else if !line.is_empty() {
            writeln!(case.toml, "{line}").unwrap();
        }
    }
    cases
}

fn said(case: &Case<'_>, dir: &Path) -> String {
    let file = dir.join("node.toml");
    let _ = std::fs::remove_file(&file);
    if case.toml != "(no file)\n" {
        std::fs::write(&file, case.toml.replace("\\xff", "\u{fffe}")).unwrap();
    }
    let mut sources = Sources {
        file: Some(file.clone()),
        ..Sources::default()
    };
    for given in &case.given {
        let (name, value) = given.split_once('=').unwrap();
        match name.strip_prefix("--set ") {
            Some(key) => sources.flags.push(Flag {
                typed: format!("--set {key}"),
                key: key.into(),
                value: value.into(),
            }),
            None => sources.variables.push((name.into(), value.into())),
        }
    }
    let error = load(&sources).map(|loaded| loaded.config);
    let error = error.expect_err(case.name).to_string();
    let beside = format!("{}/", dir.display());
    format!("{}\n", error.replace(&beside, ""))
}

#[test]
fn each_is_refused_with_its_place_and_what_is_allowed() {
    let text = std::fs::read_to_string(CASES).unwrap();
    let cases = parse(&text);
    assert!(cases.len() >= 30, "{} cases", cases.len());
    let dir = tempfile::tempdir().unwrap();
    let (head, _) = text.split_once("## ").unwrap();
    let mut rewritten = head.to_string();
    for case in &cases {
        let said = said(case, dir.path());
        writeln!(rewritten, "## {}\n{}", case.name, case.toml.trim_end()).unwrap();
        case.given
            .iter()
            .for_each(|given| writeln!(rewritten, "$ {given}").unwrap());
        said.lines()
            .for_each(|line| writeln!(rewritten, "> {line}").unwrap());
        rewritten.push('\n');
    }
    let rewritten = format!("{}\n", rewritten.trim_end());
    if std::env::var_os("REWRITE").is_some() {
        std::fs::write(CASES, &rewritten).unwrap();
    }
    for case in &cases {
        assert_eq!(said(case, dir.path()), case.said, "{}", case.name);
    }
    assert_eq!(rewritten, text, "written in another way");
}
