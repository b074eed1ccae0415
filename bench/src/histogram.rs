//! Latencies in buckets that are never wider than 1/32 of their value: fixed memory, a few nanoseconds per entry.

use std::time::Duration;

/// How often each latency was seen.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

/// Buckets in each power of two.
const STEPS: u64 = 32;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// Nanoseconds from 0 to 2^40 (18 minutes); what is longer goes into the last bucket.
const BUCKETS: usize = (41 - STEP_BITS as usize) * STEPS as usize;

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0 }
    }
}

impl Histogram {
    /// `times` operations took `latency` each.
    pub(crate) fn add(&mut self, latency: Duration, times: u64) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get_mut(bucket(nanoseconds)) {
            *count += times;
        }
        self.total += times;
    }

    /// Adds all that `other` has seen.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
    }

    /// The latency that a `share` (0 to 1) of the operations did not pass; `None` when there was none.
    pub(crate) fn at(&self, share: f64) -> Option<Duration> {
        if self.total == 0 {
            return None;
        }
        let wanted = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        found.map(|index| Duration::from_nanos(value(index)))
    }
}

fn bucket(nanoseconds: u64) -> usize {
    if nanoseconds < STEPS {
        return nanoseconds as usize;
    }
    let power = nanoseconds.ilog2() - STEP_BITS;
    let step = (nanoseconds >> power) - STEPS;
    ((u64::from(power + 1) * STEPS + step) as usize).min(BUCKETS - 1)
}

/// The least latency of a bucket, in nanoseconds.
fn value(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    match bucket / STEPS {
        0 => bucket,
        row => (STEPS + bucket % STEPS) << (row - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_narrow() {
        for nanoseconds in [0, 1, 31, 32, 33, 63, 64, 1_000, 123_456, 999_999_999] {
            let least = value(bucket(nanoseconds));
            assert!(least <= nanoseconds && nanoseconds - least <= nanoseconds / STEPS, "{nanoseconds} in {least}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn shares_are_found() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.at(0.5), None);
        histogram.add(Duration::from_nanos(16), 99);
        histogram.add(Duration::from_nanos(1024), 1);
        assert_eq!(histogram.at(0.5), Some(Duration::from_nanos(16)));
        assert_eq!(histogram.at(0.99), Some(Duration::from_nanos(16)));
        assert_eq!(histogram.at(1.0), Some(Duration::from_nanos(1024)));
    }
}
