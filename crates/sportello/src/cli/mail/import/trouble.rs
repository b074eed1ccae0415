//! What could not be taken, and why: the list at the end.

use std::fmt;

use crate::cli::paper::visible;

/// Bounded by [`Troubles::MOST_NAMED`]; of more only the number is kept.
#[derive(Debug, Default)]
pub struct Troubles {
    named: Vec<(String, String)>,
    more: u64,
}

impl Troubles {
    /// The most that are named.
    pub const MOST_NAMED: usize = 1000;

    /// One more.
    pub fn tell(&mut self, what: impl fmt::Display, why: impl fmt::Display) {
        if self.named.len() < Self::MOST_NAMED {
            self.named.push((visible(&what.to_string()), visible(&why.to_string())));
        } else {
            self.more += 1;
        }
    }

    /// Those that are named.
    pub fn named(&self) -> &[(String, String)] {
        &self.named
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.more + self.named.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_named_and_the_rest_counted() {
        let mut troubles = Troubles::default();
        for _ in 0..Troubles::MOST_NAMED {
            troubles.tell("a\x1b", "b");
        }
        assert_eq!((troubles.named().len() as u64, troubles.count()), (1000, 1000));
        troubles.tell("a", "b");
        assert_eq!((troubles.named().len(), troubles.count()), (1000, 1001));
        assert_eq!(troubles.named()[0].0, "a\u{fffd}");
    }
}
