//! When something is tried again, when its sender hears of the delay, when it is given up.

use std::time::Duration;

use crate::chance::Chance;

/// The schedule. Its waits follow one another, and the last one goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// How long to wait after the first try, the second, …; at least one.
    pub waits: Vec<Duration>,
    /// How old an entry may become (RFC 5321 §4.5.4.1: at least 4 to 5 days).
    pub give_up: Duration,
    /// At what age its sender hears that it is not delivered yet; `None`: never.
    pub notice: Option<Duration>,
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// No destination is left alone for longer by failures to reach it: its entries have waits of their own.
const LONGEST_SILENCE: Duration = Duration::from_secs(30 * MINUTE);

impl Default for Schedule {
    fn default() -> Self {
        let waits = [2 * MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR];
        Self {
            waits: waits.map(Duration::from_secs).to_vec(),
            give_up: Duration::from_secs(5 * 24 * HOUR),
            notice: Some(Duration::from_secs(4 * HOUR)),
        }
    }
}

impl Schedule {
    /// How long to wait after so many tries, give or take a fifth, so that what failed together does not come back
    /// together.
    pub(super) fn wait(&self, tries: u32, chance: Chance) -> Duration {
        let at = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX);
        let wait = self.waits.get(at).or(self.waits.last()).copied().unwrap_or(Duration::from_secs(HOUR));
        let milliseconds = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let fifth = milliseconds / 5;
        Duration::from_millis(milliseconds - fifth + chance.part_of(fifth.saturating_mul(2)))
    }

    /// How long to leave a destination alone that so many tries in a row did not reach.
    pub(super) fn silence(&self, failures: u32, chance: Chance) -> Duration {
        self.wait(failures, chance).min(LONGEST_SILENCE)
    }

    /// At what age somebody looks at an entry for the first time.
    pub fn first_look(&self) -> Duration {
        self.notice.unwrap_or(self.give_up).min(self.give_up)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_follow_one_another_and_the_last_goes_on_each_give_or_take_a_fifth() {
        let schedule = Schedule::default();
        for (tries, minutes) in [(0, 2), (1, 2), (2, 5), (3, 15), (4, 30), (5, 60), (6, 120), (7, 240), (u32::MAX, 240)]
        {
            let wait = Duration::from_secs(minutes * MINUTE);
            assert_eq!(schedule.wait(tries, Chance::LEAST), wait * 4 / 5, "{tries}");
            assert_eq!(schedule.wait(tries, Chance::MOST), wait * 6 / 5, "{tries}");
        }
        let none = Schedule { waits: Vec::new(), ..schedule.clone() };
        assert_eq!(none.wait(1, Chance::HALF), Duration::from_secs(HOUR));
        assert_eq!(schedule.silence(1, Chance::HALF), Duration::from_secs(2 * MINUTE));
        assert_eq!(schedule.silence(9, Chance::MOST), LONGEST_SILENCE);
    }

    #[test]
    fn the_first_look_is_for_the_notice_or_for_the_end() {
        let hours = |hours| Duration::from_secs(hours * HOUR);
        for (notice, give_up, expect) in [(Some(4), 120, 4), (None, 120, 120), (Some(4), 2, 2)] {
            let schedule = Schedule { notice: notice.map(hours), give_up: hours(give_up), ..Schedule::default() };
            assert_eq!(schedule.first_look(), hours(expect));
        }
    }
}
