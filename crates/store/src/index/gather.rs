//! How long mail gathers before it is indexed.
//!
//! One transaction and one read for each message would cost more than the mail itself, and the core that its next one
//! waits for. So mail gathers while more comes. Knows neither clock nor index. Bounded by [`MOST_GATHERED`] messages and
//! [`MOST_LOOKS`] pauses: about a second.

use std::time::Duration;

/// Mail gathers until none comes for so long.
const PAUSE: Duration = Duration::from_millis(10);
/// Messages that gather at most: what is indexed in the half second that a search waits.
const MOST_GATHERED: u64 = 4_000;
/// How often at most it is looked whether more comes.
const MOST_LOOKS: u32 = 100;

/// Lets mail gather while more comes, unless the index `is_wanted`. `known` messages had been accepted when it was last
/// looked for mail, so that those that came since have gathered already.
pub(crate) fn gather(
    known: u64,
    accepted: impl Fn() -> u64,
    is_wanted: impl Fn() -> bool,
    mut pause: impl FnMut(Duration),
) {
    let mut last = accepted();
    for _ in 0..MOST_LOOKS {
        if is_wanted() || last.saturating_sub(known) >= MOST_GATHERED {
            return;
        }
        pause(PAUSE);
        let now = accepted();
        if std::mem::replace(&mut last, now) == now {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// How often it pauses where so many wait at first, so many more come in each of the first pauses, and it is wanted
    /// after some.
    fn pauses(waiting: u64, coming: &[u64], wanted_after: Option<u32>) -> u32 {
        let (accepted, pauses) = (Cell::new(100 + waiting), Cell::new(0));
        gather(
            100,
            || accepted.get(),
            || wanted_after.is_some_and(|after| pauses.get() >= after),
            |_| {
                let more = coming.get(pauses.get() as usize).copied().unwrap_or_default();
                accepted.set(accepted.get() + more);
                pauses.set(pauses.get() + 1);
            },
        );
        pauses.get()
    }

    #[test]
    fn mail_gathers_while_more_comes_up_to_the_bounds() {
        let without_pause = [1; 1000];
        for (waiting, coming, expect) in [
            (1, &[][..], 1),
            (1, &[1], 2),
            (1, &[1, 0, 1], 2),
            (1, &without_pause, MOST_LOOKS),
            (MOST_GATHERED - 1, &without_pause, 1),
            (MOST_GATHERED - 2, &without_pause, 2),
            (MOST_GATHERED, &without_pause, 0),
        ] {
            assert_eq!(pauses(waiting, coming, None), expect, "{waiting} {coming:?}");
        }
    }

    #[test]
    fn who_waits_for_the_index_ends_it() {
        for after in [0, 1, 7] {
            assert_eq!(pauses(1, &[1; 1000], Some(after)), after);
        }
    }
}
