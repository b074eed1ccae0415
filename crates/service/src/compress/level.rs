//! How hard a coding tries, within the bounds that each has.

use std::ops::RangeInclusive;

use sportello_wire::http1::coding::Coding;

/// A coding and its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    coding: Coding,
    number: u8,
}

impl Level {
    /// This one, if the coding has it.
    pub fn new(coding: Coding, number: u32) -> Option<Self> {
        let number = Some(number).filter(|number| Self::range(coding).contains(number))?;
        Some(Self { coding, number: u8::try_from(number).ok()? })
    }

    /// The levels of a coding. zstd's last three look back further than a client need be able to (RFC 9659).
    pub const fn range(coding: Coding) -> RangeInclusive<u32> {
        match coding {
            Coding::Gzip => 1..=9,
            Coding::Brotli => 0..=11,
            Coding::Zstd => 1..=19,
        }
    }

    /// The one where nothing else is said: what each gains beyond it, it gains slowly.
    pub const fn usual(coding: Coding) -> Self {
        let number = match coding {
            Coding::Gzip => 6,
            Coding::Brotli => 5,
            Coding::Zstd => 3,
        };
        Self { coding, number }
    }

    /// Whose level it is.
    pub fn coding(self) -> Coding {
        self.coding
    }

    /// As it is written.
    pub fn number(self) -> u32 {
        self.number.into()
    }

    /// As the library counts. zlib-rs counts as zlib-ng does, whose 1 and 6 make more bytes than zlib's; the next one makes
    /// about as many as zlib, and sooner (bench/PROFILES.md).
    pub(super) fn of_library(self) -> u32 {
        match (self.coding, self.number) {
            (Coding::Gzip, 1) => 2,
            (Coding::Gzip, 6) => 7,
            (_, number) => number.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_hold_at_their_ends() {
        for (coding, least, most) in [(Coding::Gzip, 1, 9), (Coding::Brotli, 0, 11), (Coding::Zstd, 1, 19)] {
            for (number, is_one) in [(least, true), (most, true), (most + 1, false), (u32::MAX, false)] {
                assert_eq!(Level::new(coding, number).is_some(), is_one, "{coding:?} {number}");
            }
            assert_eq!(Level::new(coding, 0).is_some(), least == 0);
            assert!(Level::range(coding).contains(&Level::usual(coding).number()));
        }
    }
}
