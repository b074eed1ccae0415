//! A share that chance decides, from nothing to all: jitter, and a moment within a window.

use rustls::crypto::aws_lc_rs;

/// A share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chance(u32);

impl Chance {
    /// Nothing.
    pub const LEAST: Self = Self(0);
    /// All.
    pub const MOST: Self = Self(u32::MAX);
    /// As good as half.
    #[cfg(test)]
    pub(crate) const HALF: Self = Self(u32::MAX / 2 + 1);

    /// One that nobody can know before.
    pub fn random() -> Self {
        let mut bytes = [0; 4];
        // Without randomness TLS does not work either; jitter does without.
        match aws_lc_rs::default_provider().secure_random.fill(&mut bytes) {
            Ok(()) => Self(u32::from_le_bytes(bytes)),
            Err(_) => Self::LEAST,
        }
    }

    /// Its part of a whole.
    pub(crate) fn part_of(self, whole: u64) -> u64 {
        let part = u128::from(whole).saturating_mul(u128::from(self.0)) / u128::from(u32::MAX);
        // A part is not more than its whole.
        u64::try_from(part).unwrap_or(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_from_nothing_to_the_whole() {
        for whole in [0, 1, 1_000, u64::MAX] {
            assert_eq!(Chance::LEAST.part_of(whole), 0);
            assert_eq!(Chance::MOST.part_of(whole), whole);
        }
        assert_eq!(Chance::HALF.part_of(1_000), 500);
        assert!((0..64).map(|_| Chance::random()).any(|chance| chance != Chance::random()));
    }
}
