//! The median of the members' clocks: what log time is proposed from, and `now`.

/// The lower middle one, so that of two clocks the one that runs ahead moves nothing.
pub(crate) fn median(mut clocks_us: Vec<u64>) -> Option<u64> {
    clocks_us.sort_unstable();
    let middle = clocks_us.len().checked_sub(1)? / 2;
    clocks_us.get(middle).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_clock_far_ahead_or_behind_moves_nothing() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![5]), Some(5));
        assert_eq!(median(vec![u64::MAX, 5]), Some(5));
        assert_eq!(median(vec![u64::MAX, 5, 6]), Some(6));
        assert_eq!(median(vec![0, 7, 6, 5, u64::MAX]), Some(6));
    }
}
