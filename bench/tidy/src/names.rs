//! A name says what a thing is, not of what kind it is.

use syn::visit::{self, Visit};

use crate::rust::RustFile;
use crate::{Fault, Tree};

/// Rooms with such a name are where everything ends up that nobody thought about.
const BANNED: [&str; 12] = [
    "common",
    "core",
    "helper",
    "helpers",
    "manager",
    "managers",
    "misc",
    "shared",
    "types",
    "util",
    "utilities",
    "utils",
];

pub fn check(tree: &Tree, parsed: &[RustFile<'_>]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in tree.files.iter().filter(|file| holds_code(&file.path)) {
        let path = file
            .path
            .rsplit_once('.')
            .map_or(file.path.as_str(), |(path, _)| path);
        if let Some(part) = path.split('/').find(|part| is_banned(part)) {
            faults.push(Fault::new(&file.path, 1, advice(part)));
        }
    }
    for rust in parsed {
        let mut modules = Modules {
            path: &rust.file.path,
            faults: Vec::new(),
        };
        modules.visit_file(&rust.syntax);
        faults.extend(modules.faults);
    }
    faults
}

fn holds_code(path: &str) -> bool {
    path.ends_with(".rs") || path.ends_with(".proto") || path.ends_with("Cargo.toml")
}

/// The whole name, or its last word: `test_util` is a `util` too.
fn is_banned(name: &str) -> bool {
    let last = name.rsplit(['_', '-']).next().unwrap_or(name);
    BANNED.contains(&last)
}

fn advice(name: &str) -> String {
    format!("`{name}` names a kind: name the thing it holds, or move each piece to what uses it")
}

struct Modules<'a> {
    path: &'a str,
    faults: Vec<Fault>,
}

impl<'ast> Visit<'ast> for Modules<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let name = module.ident.to_string();
        if is_banned(&name) {
            let line = module.ident.span().start().line;
            self.faults.push(Fault::new(self.path, line, advice(&name)));
        }
        visit::visit_item_mod(self, module);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rust;

    #[test]
    fn banned_files_directories_and_modules_are_found() {
        let tree = Tree::of(&[
            ("client/log/src/utils.rs", "//! Any thing."),
            ("client/log/tests/common/mod.rs", "//! Any thing."),
            ("client/wire/proto/types.proto", ""),
            (
                "client/log/src/appender.rs",
                "//! One thing.\nmod test_helpers {}\nmod window {}\n",
            ),
            ("deploy/helm/common/values.yaml", ""),
        ]);
        let (parsed, _) = rust::parse(&tree);
        let faults = check(&tree, &parsed);
        let places: Vec<_> = faults
            .iter()
            .map(|fault| (fault.path.as_str(), fault.line))
            .collect();
        assert_eq!(
            places,
            [
                ("client/log/src/utils.rs", 1),
                ("client/log/tests/common/mod.rs", 1),
                ("client/wire/proto/types.proto", 1),
                ("client/log/src/appender.rs", 2),
            ]
        );
    }
}
