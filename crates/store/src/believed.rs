//! The moment that retention by age goes by: the time of day, as far as it can be believed.
//!
//! A clock that is set forward during a run makes no mail old, for time passes as the steady clock says; that of a machine that sleeps
//! passes too, or a notebook's mail would be kept longer by all its nights. One that was wrong before the
//! start is told by the moment that the last run has left in `STATE/clock`: further than [`LEAP`] beyond that it is believed only when the
//! server has run for [`TRUST`], in one run or in several, in which somebody may see the warning. Without such a moment, as in a new
//! folder, it is believed.
//!
//! ```text
//! 1774080000000 28800000     the last moment that was believed, and how long it was doubted since, in milliseconds
//! ```

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How much time may pass between two runs before the clock is doubted.
const LEAP: Duration = Duration::from_secs(7 * 86_400);
/// How long a server runs in all until a clock that was doubted is believed.
const TRUST: Duration = Duration::from_secs(86_400);
/// Bytes that are read of the file: two numbers.
const LONGEST: u64 = 64;

/// The clock of one run.
#[derive(Debug)]
pub(crate) struct Clock {
    file: PathBuf,
    began: Instant,
    /// How long the machine was up then.
    up: Duration,
    start: Start,
}

/// What a run begins with.
#[derive(Clone, Copy, Debug)]
struct Start {
    /// The machine's clock, in milliseconds since 1970.
    ms: u64,
    /// What the last run has left.
    known: Option<Known>,
}

/// What a run leaves to the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    /// The last moment that was believed, in milliseconds since 1970.
    ms: u64,
    /// How long servers have run since then and doubted the clock.
    doubted: Duration,
}

impl Start {
    /// Now, when the machine's clock says `wall_ms` and `passed` is over since the start.
    fn believed(self, wall_ms: u64, passed: Duration) -> u64 {
        let now_ms = self.undoubted(wall_ms, passed);
        match self.known {
            Some(known) if known.doubted.saturating_add(passed) < TRUST => {
                let most = [LEAP, known.doubted, passed].into_iter().map(ms).fold(known.ms, u64::saturating_add);
                now_ms.min(most)
            }
            _ => now_ms,
        }
    }

    /// The same, if nothing were known of the last run.
    fn undoubted(self, wall_ms: u64, passed: Duration) -> u64 {
        wall_ms.min(self.ms.saturating_add(ms(passed)))
    }

    /// What the next run is to know. A restart does not make right what is doubted, but the time that it ran counts.
    fn left(self, wall_ms: u64, passed: Duration) -> Known {
        let believed_ms = self.believed(wall_ms, passed);
        match self.known {
            Some(known) if believed_ms < self.undoubted(wall_ms, passed) => {
                Known { doubted: known.doubted.saturating_add(passed), ..known }
            }
            _ => Known { ms: believed_ms, doubted: Duration::ZERO },
        }
    }
}

impl Known {
    /// What is in the file, if it is that.
    fn read(file: &Path) -> Option<Self> {
        let mut text = String::new();
        File::open(file).ok()?.take(LONGEST).read_to_string(&mut text).ok()?;
        let mut numbers = text.split_ascii_whitespace().map(str::parse);
        let (ms, doubted) = (numbers.next()?.ok()?, numbers.next().unwrap_or(Ok(0)).ok()?);
        Some(Self { ms, doubted: Duration::from_millis(doubted) })
    }

    /// Puts it there, whole or not at all.
    fn write(self, file: &Path) -> io::Result<()> {
        let new = file.with_extension("new");
        let mut written = File::create(&new)?;
        writeln!(written, "{} {}", self.ms, ms(self.doubted))?;
        written.sync_data()?;
        fs::rename(new, file)
    }
}

impl Clock {
    /// Begins a run in the state folder `folder`.
    pub(crate) fn start(folder: &Path) -> Self {
        let file = folder.join("clock");
        let known = Known::read(&file);
        Self { file, began: Instant::now(), up: uptime(), start: Start { ms: time_of_day(), known } }
    }

    /// How long the run lasts.
    fn passed(&self) -> Duration {
        passed(self.began.elapsed(), uptime().saturating_sub(self.up))
    }

    /// The moment that is believed.
    pub(crate) fn now_ms(&self) -> u64 {
        self.start.believed(time_of_day(), self.passed())
    }

    /// The moment that would be, if nothing were known of the last run.
    pub(crate) fn undoubted_ms(&self) -> u64 {
        self.start.undoubted(time_of_day(), self.passed())
    }

    /// Leaves the moment to the next run, or how long it was doubted.
    pub(crate) fn leave(&self) -> io::Result<()> {
        self.start.left(time_of_day(), self.passed()).write(&self.file)
    }
}

/// The time that passed, when the machine was awake for so long, and up for so many whole seconds.
fn passed(awake: Duration, up: Duration) -> Duration {
    // Two moments, each rounded up, are nearer to each other than they seem, by less than a second.
    awake.max(up.saturating_sub(Duration::from_secs(1)))
}

/// How long the machine is up, asleep or awake, in whole seconds (man 2 sysinfo).
fn uptime() -> Duration {
    Duration::from_secs(rustix::system::sysinfo().uptime.try_into().unwrap_or(0))
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
    fn time_passes_while_the_machine_sleeps() {
        let ms = Duration::from_millis;
        for (awake, up, expect) in
            [(0, 0, 0), (1, 1_000, 1), (999, 1_000, 999), (1_500, 1_000, 1_500), (1_500, 30_000_000, 29_999_000)]
        {
            assert_eq!(passed(ms(awake), ms(up)), ms(expect), "{awake} {up}");
        }
        let up = uptime();
        assert!(up > Duration::ZERO && up <= uptime());
    }

    #[test]
    fn a_clock_that_is_set_forward_is_not_believed() {
        let start = Start { ms: 100 * DAY, known: None };
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
            let known = known.map(|ms| Known { ms, doubted: Duration::ZERO });
            let believed = Start { ms: start, known }.believed(wall, passed);
            assert_eq!(believed, expect, "{known:?} {start} {passed:?}");
        }
    }

    #[test]
    fn short_runs_after_a_long_pause_come_to_believe_the_clock_and_restarts_do_not() {
        let hour = Duration::from_millis(DAY / 24);
        // Eight hours a day after a holiday of twenty days; a restart now and then.
        let mut known = Known { ms: 100 * DAY, doubted: Duration::ZERO };
        let mut told = Vec::new();
        for (day, passed) in [(120, 8), (121, 0), (121, 8), (122, 0), (122, 7), (122, 1), (123, 0)] {
            let start = Start { ms: day * DAY, known: Some(known) };
            known = start.left(start.ms + ms(hour * passed), hour * passed);
            told.push((known.ms / DAY, ms(known.doubted) / ms(hour)));
        }
        assert_eq!(told, [(100, 8), (100, 8), (100, 16), (100, 16), (100, 23), (122, 0), (123, 0)]);
        // Set right meanwhile, it is believed at once.
        let known = Known { ms: 100 * DAY, doubted: hour };
        let start = Start { ms: 120 * DAY, known: Some(known) };
        assert_eq!(start.left(101 * DAY, hour), Known { ms: 101 * DAY, doubted: Duration::ZERO });
        // What is believed meanwhile never goes back.
        assert_eq!(start.believed(120 * DAY, Duration::ZERO), 107 * DAY + ms(hour));
    }

    #[test]
    fn a_run_leaves_its_moment_to_the_next_one() {
        let folder = std::env::temp_dir().join(format!("sportello-clock-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("clock");
        let first = Clock::start(&folder);
        assert_eq!(first.start.known, None);
        first.leave().unwrap();
        let known = Clock::start(&folder).start.known.unwrap();
        assert!(known.ms.abs_diff(time_of_day()) < DAY && known.doubted == Duration::ZERO);
        for known in [known, Known { ms: u64::MAX, doubted: Duration::from_millis(u64::MAX) }] {
            known.write(&file).unwrap();
            assert_eq!(Known::read(&file), Some(known));
        }
        // One that is set far ahead leaves what was known.
        let long_ago = Known { ms: time_of_day() - 999 * DAY, doubted: Duration::ZERO };
        long_ago.write(&file).unwrap();
        Clock::start(&folder).leave().unwrap();
        assert_eq!(Known::read(&file).map(|known| known.ms), Some(long_ago.ms));
        for (text, expect) in [("", None), ("x", None), ("-1", None), ("1 x", None), ("1", Some(1)), ("1 2 3", Some(1))]
        {
            fs::write(&file, text).unwrap();
            assert_eq!(Known::read(&file).map(|known| known.ms), expect, "{text}");
        }
        fs::write(&file, "1".repeat(1 << 20)).unwrap();
        assert_eq!(Known::read(&file), None, "too long a number, of which no more is read");
        fs::remove_dir_all(folder).unwrap();
    }
}
