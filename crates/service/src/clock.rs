//! The wall clock, as a service reads it: another one in tests.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What time it is. Clones show the same time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

/// Seconds since 1970, as they are kept.
pub(crate) type Seconds = u64;

impl Clock {
    /// The machine's.
    pub fn system() -> Self {
        Self::of(SystemTime::now)
    }

    /// Another one.
    pub fn of(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// What time it is.
    pub fn now(&self) -> SystemTime {
        (self.0)()
    }

    pub(crate) fn seconds(&self) -> Seconds {
        seconds(self.now())
    }
}

/// As it is kept; a moment before 1970 is its beginning.
pub(crate) fn seconds(moment: SystemTime) -> Seconds {
    moment.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// As it is told to people.
pub(crate) fn moment(seconds: Seconds) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(UNIX_EPOCH)
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Clock")
    }
}
