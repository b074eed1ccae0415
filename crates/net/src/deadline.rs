//! How long a peer may keep us waiting.
//!
//! Deadlines are kept by the worker in ticks of [`TICK`], swept once per tick: setting one is a store to memory, and no timer
//! is registered per request. A deadline is met up to two ticks late, never early by more than one.

use std::time::Duration;

/// How exact a deadline is.
pub const TICK: Duration = Duration::from_millis(100);

/// The waits of one channel. Zero would mean "never wait"; there is no "for ever".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// For a TLS handshake, from its beginning to its end.
    pub handshake: Duration,
    /// From accept to the first byte.
    pub first_byte: Duration,
    /// From an answer to the first byte of the next request.
    pub idle: Duration,
    /// Between two reads within one request.
    pub between_bytes: Duration,
    /// From a request's first byte to its last.
    pub request: Duration,
    /// Between two steps of progress while we write.
    pub write: Duration,
    /// Bytes per second that a request or an answer must keep up in the mean, once `rate_grace` has passed.
    pub minimum_rate: u32,
    /// How long a request or an answer may be slower than `minimum_rate`.
    pub rate_grace: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            first_byte: Duration::from_secs(30),
            idle: Duration::from_secs(75),
            between_bytes: Duration::from_secs(30),
            request: Duration::from_secs(3_600),
            write: Duration::from_secs(30),
            minimum_rate: 256,
            rate_grace: Duration::from_secs(20),
        }
    }
}

/// Which wait was too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// The TLS handshake was not over.
    Handshake,
    /// No byte came after accept.
    FirstByte,
    /// No further request came.
    Idle,
    /// A request stopped in its middle.
    BetweenBytes,
    /// A request or an answer crept along below the minimum rate.
    Rate,
    /// A request took longer than any may.
    Request,
    /// The peer does not read our answer.
    Write,
}

/// A moment in ticks since the worker's beginning.
pub(crate) type Tick = u32;

/// A duration in whole ticks, rounded up, at least one.
pub(crate) fn ticks(duration: Duration) -> Tick {
    let ticks = duration.as_millis().div_ceil(TICK.as_millis()).max(1);
    Tick::try_from(ticks).unwrap_or(Tick::MAX)
}

/// The moment by which a peer that has moved `bytes` since `since` must have moved more to keep up the minimum rate.
pub(crate) fn rate_due(deadlines: &Deadlines, since: Tick, bytes: u64) -> Tick {
    let rate = u64::from(deadlines.minimum_rate.max(1));
    let per_second = (1_000 / TICK.as_millis()) as u64;
    let allowed = bytes.saturating_mul(per_second) / rate;
    since.saturating_add(ticks(deadlines.rate_grace)).saturating_add(Tick::try_from(allowed).unwrap_or(Tick::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_buys_time_with_bytes() {
        let deadlines = Deadlines { minimum_rate: 100, rate_grace: Duration::from_secs(10), ..Deadlines::default() };
        assert_eq!(rate_due(&deadlines, 5, 0), 105);
        assert_eq!(rate_due(&deadlines, 5, 100), 115);
        assert_eq!(rate_due(&deadlines, 5, u64::MAX), Tick::MAX);
    }

    #[test]
    fn a_duration_is_never_rounded_to_nothing() {
        assert_eq!(ticks(Duration::ZERO), 1);
        assert_eq!(ticks(Duration::from_millis(101)), 2);
        assert_eq!(ticks(Duration::MAX), Tick::MAX);
    }
}
