//! A Rust file parsed, with the line ranges that hold only tests.

use std::ops::RangeInclusive;

use proc_macro2::TokenStream;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::{Fault, SourceFile, Tree};

/// One parsed file of the tree.
pub struct RustFile<'a> {
    pub file: &'a SourceFile,
    pub syntax: syn::File,
    /// Inline items under `#[cfg(test)]`, outermost only, attribute included.
    pub test_items: Vec<RangeInclusive<usize>>,
}

impl RustFile<'_> {
    /// Whether the line (from 1) is compiled for tests only.
    pub fn is_test_line(&self, line: usize) -> bool {
        self.file.is_test() || self.test_items.iter().any(|lines| lines.contains(&line))
    }
}

/// Every Rust file that somebody wrote, and a fault for each that does not parse.
pub fn parse(tree: &Tree) -> (Vec<RustFile<'_>>, Vec<Fault>) {
    let mut parsed = Vec::new();
    let mut faults = Vec::new();
    for file in tree
        .files
        .iter()
        .filter(|file| file.is_rust() && !is_generated(&file.text))
    {
        match syn::parse_file(&file.text) {
            Ok(syntax) => parsed.push(RustFile {
                file,
                test_items: test_items(&syntax),
                syntax,
            }),
            Err(error) => {
                let line = error.span().start().line;
                faults.push(Fault::new(
                    &file.path,
                    line,
                    format!("does not parse ({error}): mend it"),
                ));
            }
        }
    }
    (parsed, faults)
}

/// Generators sign their files in the first lines.
pub fn is_generated(text: &str) -> bool {
    text.lines().take(3).any(|line| line.contains("@generated"))
}

fn test_items(syntax: &syn::File) -> Vec<RangeInclusive<usize>> {
    let mut finder = TestItems::default();
    finder.visit_file(syntax);
    finder.found
}

#[derive(Default)]
struct TestItems {
    found: Vec<RangeInclusive<usize>>,
}

impl<'ast> Visit<'ast> for TestItems {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if attributes(item).iter().any(is_test_only) {
            let span = item.span();
            self.found.push(span.start().line..=span.end().line);
        } else {
            visit::visit_item(self, item);
        }
    }
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// `cfg(test)`, `cfg(all(test, …))`, `test` or `tokio::test`; not `cfg(any(test, …))`, which others see.
fn is_test_only(attribute: &syn::Attribute) -> bool {
    let path = attribute.path();
    if path
        .segments
        .last()
        .is_some_and(|last| last.ident == "test")
    {
        return true;
    }
    let syn::Meta::List(list) = &attribute.meta else {
        return false;
    };
    path.is_ident("cfg") && asks_for_test(list.tokens.clone())
}

fn asks_for_test(tokens: TokenStream) -> bool {
    let text: String = tokens.to_string().split_whitespace().collect();
    let inner = text
        .strip_prefix("all(")
        .and_then(|rest| rest.strip_suffix(')'));
    inner.unwrap_or(&text).split(',').any(|part| part == "test")
        && !inner.unwrap_or(&text).starts_with("any(")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "//! Example.\nfn a() {}\n#[cfg(test)]\nmod tests {\n fn b() {}\n}\n\
        #[cfg(any(test, feature = \"sim\"))]\nmod sim {}\n#[cfg(all(test, unix))]\nfn c() {}\n";

    #[test]
    fn lines_for_tests_only_are_found() {
        let tree = Tree::of(&[("client/log/src/lib.rs", SOURCE)]);
        let (parsed, faults) = parse(&tree);
        assert!(faults.is_empty());
        assert_eq!(parsed[0].test_items, [3..=6, 9..=10]);
        assert!(parsed[0].is_test_line(5) && !parsed[0].is_test_line(8));
    }

    #[test]
    fn a_broken_file_is_a_fault_and_a_generated_one_is_left_alone() {
        let tree = Tree::of(&[
            ("a.rs", "//! A.\nfn a( {}\n"),
            ("b.rs", "// @generated\nfn b( {}\n"),
        ]);
        let (parsed, faults) = parse(&tree);
        assert!(parsed.is_empty());
        assert_eq!(faults.len(), 1);
        assert_eq!((faults[0].path.as_str(), faults[0].line), ("a.rs", 2));
    }
}
