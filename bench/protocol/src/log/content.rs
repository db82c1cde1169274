//! What a lane holds up to a length; the model's chain.

use std::fmt;

/// Up to eight small numbers in a row, each 0…14. A chain value is a hash over everything before it, so
/// the model takes the whole prefix for its chain: equal contents, equal chains, and no collisions.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Content(u32);

impl Content {
    pub const EMPTY: Self = Self(0);

    pub fn len(self) -> u8 {
        let used = 32 - self.0.leading_zeros();
        used.div_ceil(4) as u8
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The number at `index`, if it is that long.
    pub fn at(self, index: u8) -> Option<u8> {
        let nibble = (self.0 >> (4 * u32::from(index))) & 15;
        (nibble != 0).then(|| nibble as u8 - 1)
    }

    #[must_use]
    pub fn and(self, number: u8) -> Self {
        debug_assert!(number < 15 && self.len() < 8);
        Self(self.0 | (u32::from(number) + 1) << (4 * u32::from(self.len())))
    }

    #[must_use]
    pub fn prefix(self, length: u8) -> Self {
        if length >= 8 {
            return self;
        }
        Self(self.0 & ((1 << (4 * u32::from(length))) - 1))
    }

    /// What follows the first `length`.
    #[must_use]
    pub fn after(self, length: u8) -> Self {
        Self(self.0 >> (4 * u32::from(length)))
    }

    pub fn starts_with(self, prefix: Self) -> bool {
        self.prefix(prefix.len()) == prefix
    }

    /// Whether one of the two continues the other.
    pub fn agrees_with(self, other: Self) -> bool {
        self.starts_with(other) || other.starts_with(self)
    }

    pub fn numbers(self) -> impl Iterator<Item = u8> {
        (0..self.len()).filter_map(move |index| self.at(index))
    }

    pub fn of(numbers: &[u8]) -> Self {
        numbers.iter().fold(Self::EMPTY, |all, next| all.and(*next))
    }

    /// The longest that both begin with.
    #[must_use]
    pub fn shared_with(self, other: Self) -> Self {
        let different = self.0 ^ other.0;
        self.prefix((different.trailing_zeros() / 4) as u8)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.numbers()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_rows_of_numbers() {
        let content = Content::of(&[0, 3, 14]);
        assert_eq!(
            (content.len(), content.at(1), content.at(3)),
            (3, Some(3), None)
        );
        assert_eq!(content.prefix(1), Content::of(&[0]));
        assert_eq!(content.prefix(9), content);
        assert_eq!(content.after(1), Content::of(&[3, 14]));
        assert_eq!(content.after(3), Content::EMPTY);
        assert!(content.starts_with(Content::EMPTY) && content.starts_with(content));
        assert!(!content.starts_with(Content::of(&[0, 4])));
        assert!(Content::of(&[0]).agrees_with(content));
        assert_eq!(content.shared_with(Content::of(&[0, 4])), Content::of(&[0]));
        assert_eq!(content.shared_with(content), content);
        assert_eq!(Content::EMPTY.len(), 0);
    }
}
