//! Rules for a run of minutes: every duration divided, within bounds that a scrape each second allows.
use std::fmt::Write;

/// What `for` and windows are divided by.
pub const FACTOR: u64 = 15;
/// An alert that waits has to be seen waiting; nobody waits longer.
const FOR_S: (u64, u64) = (1, 10);
/// Enough scrapes for a rate; what is over has to leave it soon.
const WINDOW_S: (u64, u64) = (15, 30);

/// The same rules: `for: 5m` and `[5m]` take seconds.
pub fn hurried(text: &str) -> String {
    let mut hurried = String::with_capacity(text.len());
    for line in text.lines() {
        let waits = line.trim_start().strip_prefix("for: ");
        let line = match waits.and_then(seconds) {
            Some(waits) => {
                let indent = &line[..line.len() - line.trim_start().len()];
                format!("{indent}for: {}s", divided(waits, FOR_S))
            }
            None => windows(line),
        };
        let _ = writeln!(hurried, "{line}");
    }
    hurried
}

fn divided(seconds: u64, (least, most): (u64, u64)) -> u64 {
    (seconds / FACTOR).clamp(least, most)
}

/// `[5m]` and `[5m:]`.
fn windows(line: &str) -> String {
    let mut done = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('[') {
        done.push_str(before);
        done.push('[');
        let digits_end = after.find([']', ':']).unwrap_or(0);
        match seconds(&after[..digits_end]) {
            Some(window) => {
                let _ = write!(done, "{}s", divided(window, WINDOW_S));
                rest = &after[digits_end..];
            }
            None => rest = after,
        }
    }
    done + rest
}

/// `30s`, `5m`, `1h`.
fn seconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return None,
    };
    Some(number.parse::<u64>().ok()? * unit)
}

#[cfg(test)]
mod tests {
    use super::hurried;

    #[test]
    fn durations_are_divided_and_the_rest_stays() {
        let rules = "      - alert: A\n        expr: rate(a{b=\"[x]\"}[5m]) > avg_over_time(c[10m:]) # 5m\n        for: 1m\n";
        let told = hurried(rules);
        assert_eq!(
            told,
            "      - alert: A\n        expr: rate(a{b=\"[x]\"}[20s]) > avg_over_time(c[30s:]) # 5m\n        for: 4s\n"
        );
    }
}
