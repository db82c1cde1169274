//! How long nobody was served: the longest time without an acknowledgement, after each fault and at all.
use crate::history::{Operation, Outcome};

/// When mutations were acknowledged, µs since the run began, in order.
pub(crate) fn acknowledged(history: &[Operation]) -> Vec<u64> {
    let done = history.iter().filter(|operation| operation.is_done());
    let mut times: Vec<u64> = done.map(|operation| operation.end_us).collect();
    times.sort_unstable();
    times
}

/// The longest time without one, of what of it lies before `until`; also where it began before `from`.
pub(crate) fn longest(acknowledged: &[u64], from: u64, until: u64) -> u64 {
    let first = acknowledged.partition_point(|at| *at <= from);
    let mut last = match first {
        0 => from,
        first => acknowledged[first - 1],
    };
    let mut longest = 0;
    for at in &acknowledged[first..] {
        longest = longest.max((*at).min(until).saturating_sub(last));
        last = *at;
        if last >= until {
            return longest;
        }
    }
    longest.max(until.saturating_sub(last))
}

/// The smallest of them that `quantile` of all do not exceed; 0 where there are none.
pub(crate) fn at_quantile(values: &[u64], quantile: f64) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (quantile * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(0)
}

/// (failed, unknown) of all operations; a read that got no answer has failed.
pub(crate) fn unanswered(history: &[&Operation]) -> (u64, u64) {
    let count = |is: fn(&Outcome) -> bool| {
        let those = history.iter().filter(|operation| is(&operation.outcome));
        those.count() as u64
    };
    let refused = count(|outcome| matches!(outcome, Outcome::Refused(_)));
    (
        refused,
        count(|outcome| matches!(outcome, Outcome::Unknown(_))),
    )
}

#[cfg(test)]
mod tests {
    use super::{at_quantile, longest};

    #[test]
    fn a_gap_belongs_to_the_fault_it_follows() {
        let acknowledged = [10, 20, 30, 500, 510, 520, 900, 910];
        assert_eq!(longest(&acknowledged, 35, 515), 470);
        // The next fault answers for what comes after it.
        assert_eq!(longest(&acknowledged, 510, 530), 10);
        assert_eq!(longest(&acknowledged, 510, 910), 380);
        assert_eq!(longest(&acknowledged, 0, 25), 10);
        assert_eq!(longest(&acknowledged, 900, 2_000), 1_090);
        assert_eq!(longest(&[], 5, 50), 45);
    }

    #[test]
    fn quantiles_are_values_that_were_seen() {
        let values: Vec<u64> = (1..=30).rev().collect();
        assert_eq!(at_quantile(&values, 0.5), 15);
        assert_eq!(at_quantile(&values, 0.99), 30);
        assert_eq!(at_quantile(&[7], 0.99), 7);
        assert_eq!(at_quantile(&[], 0.5), 0);
    }
}
