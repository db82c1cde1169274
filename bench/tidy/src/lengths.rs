//! A function fits a screen, a file has one main thing: the tail is the style.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::Fault;
use crate::rust::RustFile;

/// From the line of `fn` to the closing brace.
pub const FUNCTION_LINES_MAX: usize = 70;
pub const FILE_LINES_MAX: usize = 700;
/// Of all tests inside one file.
pub const TEST_LINES_MAX: usize = 200;
/// What we aim at is [`P95_AIM`].
pub const P95_MAX: usize = 45;
pub const P95_AIM: usize = 40;
/// A percentile of fewer functions says nothing.
const P95_FUNCTIONS_MIN: usize = 100;

/// One function: its name, where it begins and how long it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    pub path: String,
    pub name: String,
    pub line: usize,
    pub lines: usize,
}

pub fn check(parsed: &[RustFile<'_>]) -> Vec<Fault> {
    let mut faults: Vec<Fault> = parsed.iter().flat_map(check_file).collect();
    let functions = functions(parsed);
    for long in functions
        .iter()
        .filter(|function| function.lines > FUNCTION_LINES_MAX)
    {
        let Function {
            path,
            name,
            line,
            lines,
        } = long;
        let what = format!(
            "`{name}` has {lines} lines, the most is {FUNCTION_LINES_MAX}: push ifs up, fors down"
        );
        faults.push(Fault::new(path, *line, what));
    }
    let p95 = p95(&functions);
    if functions.len() >= P95_FUNCTIONS_MIN && p95 > P95_MAX {
        let what =
            format!("p95 of all functions is {p95} lines (at most {P95_MAX}): split the longest");
        faults.push(Fault::new("Cargo.toml", 1, what));
    }
    faults
}

fn check_file(rust: &RustFile<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let lines = rust.file.text.lines().count();
    if lines > FILE_LINES_MAX {
        let what = format!(
            "{lines} lines, the most is {FILE_LINES_MAX}: give a second thing its own file"
        );
        faults.push(Fault::new(&rust.file.path, 1, what));
    }
    let tests: usize = rust
        .test_items
        .iter()
        .map(|lines| lines.clone().count())
        .sum();
    if tests > TEST_LINES_MAX && !rust.file.is_test() {
        let line = rust.test_items.first().map_or(1, |lines| *lines.start());
        let what = format!(
            "{tests} lines of tests inside the file (at most {TEST_LINES_MAX}): move them out"
        );
        faults.push(Fault::new(&rust.file.path, line, what));
    }
    faults
}

/// Every function with a body, tests too; a nested one counts for itself as well.
pub fn functions(parsed: &[RustFile<'_>]) -> Vec<Function> {
    let mut functions = Vec::new();
    for rust in parsed {
        let mut finder = Functions {
            path: &rust.file.path,
            found: Vec::new(),
        };
        finder.visit_file(&rust.syntax);
        functions.extend(finder.found);
    }
    functions
}

/// The length that 95 of 100 functions do not exceed; 0 when there are none.
pub fn p95(functions: &[Function]) -> usize {
    let mut lengths: Vec<usize> = functions.iter().map(|function| function.lines).collect();
    lengths.sort_unstable();
    let rank = (lengths.len() * 95).div_ceil(100);
    rank.checked_sub(1)
        .and_then(|index| lengths.get(index))
        .copied()
        .unwrap_or(0)
}

struct Functions<'a> {
    path: &'a str,
    found: Vec<Function>,
}

impl Functions<'_> {
    fn add(&mut self, signature: &syn::Signature, body: &syn::Block) {
        let line = signature.fn_token.span().start().line;
        let lines = body.brace_token.span.close().end().line - line + 1;
        let name = signature.ident.to_string();
        self.found.push(Function {
            path: self.path.to_owned(),
            name,
            line,
            lines,
        });
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(body) = &function.default {
            self.add(&function.sig, body);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Tree, rust};

    fn faults_of(path: &str, text: &str) -> Vec<Fault> {
        let tree = Tree::of(&[(path, text)]);
        let (parsed, broken) = rust::parse(&tree);
        assert!(broken.is_empty());
        check(&parsed)
    }

    fn function_of(lines: usize) -> String {
        format!("fn long() {{\n{}}}\n", "    step();\n".repeat(lines - 2))
    }

    #[test]
    fn a_function_of_71_lines_is_refused_and_one_of_70_passes() {
        assert!(faults_of("a.rs", &function_of(70)).is_empty());
        let faults = faults_of(
            "a.rs",
            &format!("//! Long.\n/// Words.\n{}", function_of(71)),
        );
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].line, 3);
        assert!(faults[0].what.contains("`long` has 71 lines"));
    }

    #[test]
    fn methods_and_default_methods_are_measured_too() {
        let long = function_of(80);
        let text = format!("impl A {{\n{long}}}\ntrait B {{\n{long}}}\n");
        assert_eq!(faults_of("a.rs", &text).len(), 2);
    }

    #[test]
    fn a_file_of_701_lines_is_refused() {
        assert!(faults_of("a.rs", &"// line\n".repeat(700)).is_empty());
        assert_eq!(faults_of("a.rs", &"// line\n".repeat(701)).len(), 1);
    }

    #[test]
    fn tests_past_200_lines_move_out_of_the_file() {
        let module = format!(
            "#[cfg(test)]\nmod tests {{\n{}}}\n",
            "fn t() {}\n".repeat(198)
        );
        let faults = faults_of("a.rs", &module);
        assert_eq!(faults.len(), 1);
        assert!(faults[0].what.contains("201 lines of tests"));
        assert!(faults_of("src/a_tests.rs", &module).is_empty());
    }

    #[test]
    fn the_whole_is_refused_when_its_p95_is_long() {
        let text = function_of(46).repeat(6) + &"fn short() {}\n".repeat(94);
        let faults = faults_of("a.rs", &text);
        assert_eq!(faults.len(), 1);
        assert!(faults[0].what.contains("p95 of all functions is 46"));
        let text = function_of(46).repeat(5) + &"fn short() {}\n".repeat(95);
        assert!(faults_of("a.rs", &text).is_empty());
    }
}
