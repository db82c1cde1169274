//! Names of figures: in queries, and in deploy/METRICS.md.
use std::collections::BTreeSet;

/// What a histogram is exported as.
const ENDS: [&str; 3] = ["_bucket", "_sum", "_count"];

/// Every name of ours in a query; of histograms without their ends.
pub fn asked(query: &str) -> BTreeSet<String> {
    let of_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = query.split(|c: char| !of_name(c));
    let ours = words.filter(|word| word.starts_with("dfs_") || word.starts_with("dfs:"));
    ours.map(str::to_string).collect()
}

/// Whether the document has it.
pub fn is_known(name: &str, documented: &BTreeSet<(String, String)>) -> bool {
    let has = |name: &str, kind: &str| documented.contains(&(name.into(), kind.into()));
    let of_histogram = |end: &str| {
        let base = name.strip_suffix(end);
        base.is_some_and(|base| has(base, "histogram"))
    };
    has(name, "counter") || has(name, "gauge") || ENDS.into_iter().any(of_histogram)
}

/// (name, kind) of each row.
pub fn documented(text: &str) -> BTreeSet<(String, String)> {
    let rows = text.lines().filter(|line| line.starts_with("| dfs_"));
    let cells = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    cells
        .map(|cells| (cells[1].to_string(), cells[2].to_string()))
        .collect()
}
