//! The moment that retention by age goes by: the time of day, as far as it can be believed.
//!
//! A clock that is set forward during a run makes no mail old, for time passes as the steady clock says. One that was wrong before the
//! start is told by the moment that the last run has left in `STATE/clock`: further than [`LEAP`] beyond that it is believed only when the
//! server has run for [`TRUST`], in which somebody may see the warning. Without such a moment, as in a new folder, it is believed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How much time may pass between two runs before the clock is doubted.
const LEAP: Duration = Duration::from_secs(7 * 86_400);
/// How long a server runs until a clock that was doubted is believed.
const TRUST: Duration = Duration::from_secs(86_400);

/// The clock of one run.
#[derive(Debug)]
pub(crate) struct Clock {
    file: PathBuf,
    began: Instant,
    start: Start,
}

/// What a run begins with, in milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
struct Start {
    /// The machine's clock.
    ms: u64,
    /// The moment that the last run has left.
    known_ms: Option<u64>,
}

impl Start {
    /// Now, when the machine's clock says `wall_ms` and `passed` is over since the start.
    fn believed(self, wall_ms: u64, passed: Duration) -> u64 {
        let now_ms = wall_ms.min(self.ms.saturating_add(ms(passed)));
        match self.known_ms {
            Some(known_ms) if passed < TRUST => {
                now_ms.min(known_ms.saturating_add(ms(LEAP)).saturating_add(ms(passed)))
            }
            _ => now_ms,
        }
    }
}

impl Clock {
    /// Begins a run in the state folder `folder`.
    pub(crate) fn start(folder: &Path) -> Self {
        let file = folder.join("clock");
        let known_ms = fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok());
        Self { file, began: Instant::now(), start: Start { ms: time_of_day(), known_ms } }
    }

    /// The moment that is believed.
    pub(crate) fn now_ms(&self) -> u64 {
        self.start.believed(time_of_day(), self.began.elapsed())
    }

    /// The moment that would be, if nothing were known of the last run.
    pub(crate) fn undoubted_ms(&self) -> u64 {
        Start { known_ms: None, ..self.start }.believed(time_of_day(), self.began.elapsed())
    }

    /// Whether the machine's clock is not believed now.
    pub(crate) fn is_doubted(&self) -> bool {
        // It may go on between the two looks.
        self.undoubted_ms() > self.now_ms().saturating_add(1_000)
    }

    /// Leaves the moment to the next run.
    pub(crate) fn leave(&self) -> io::Result<()> {
        let new = self.file.with_extension("new");
        let mut file = File::create(&new)?;
        writeln!(file, "{}", self.now_ms())?;
        file.sync_data()?;
        fs::rename(new, &self.file)
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds since 1970.
fn time_of_day() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400_000;

    #[test]
    fn a_clock_that_is_set_forward_is_not_believed() {
        let start = Start { ms: 100 * DAY, known_ms: None };
        assert_eq!(start.believed(150 * DAY, Duration::from_secs(1)), 100 * DAY + 1_000);
        assert_eq!(start.believed(90 * DAY, Duration::from_secs(1)), 90 * DAY);
    }

    #[test]
    fn a_clock_far_beyond_the_last_run_is_believed_after_a_day() {
        let day = Duration::from_millis(DAY);
        let tick = Duration::from_millis(1);
        for (known, start, passed, expect) in [
            (Some(100 * DAY), 107 * DAY, Duration::ZERO, 107 * DAY),
            (Some(100 * DAY), 107 * DAY + 1, Duration::ZERO, 107 * DAY),
            (Some(100 * DAY), 999 * DAY, day - tick, 108 * DAY - 1),
            (Some(100 * DAY), 999 * DAY, day, 1_000 * DAY),
            (Some(100 * DAY), 50 * DAY, Duration::ZERO, 50 * DAY),
            (Some(u64::MAX), 999 * DAY, Duration::ZERO, 999 * DAY),
            (None, 999 * DAY, Duration::ZERO, 999 * DAY),
        ] {
            let wall = start + ms(passed);
            let believed = Start { ms: start, known_ms: known }.believed(wall, passed);
            assert_eq!(believed, expect, "{known:?} {start} {passed:?}");
        }
    }

    #[test]
    fn a_run_leaves_its_moment_to_the_next_one() {
        let folder = std::env::temp_dir().join(format!("sportello-clock-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let first = Clock::start(&folder);
        assert_eq!(first.start.known_ms, None);
        first.leave().unwrap();
        let second = Clock::start(&folder);
        assert!(second.start.known_ms.is_some_and(|known| known.abs_diff(time_of_day()) < DAY));
        // One that was set far ahead leaves what it believed, so that a restart does not make it right.
        let ahead = Start { ms: time_of_day() + 999 * DAY, known_ms: second.start.known_ms };
        assert!(ahead.believed(ahead.ms, Duration::ZERO) < time_of_day() + 8 * DAY);
        for broken in ["", "x", "-1"] {
            fs::write(folder.join("clock"), broken).unwrap();
            assert_eq!(Clock::start(&folder).start.known_ms, None, "{broken}");
        }
        fs::remove_dir_all(folder).unwrap();
    }
}
