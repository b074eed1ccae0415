//! What was found: plain data that goes to JSON and comes back for the table.

use serde::{Deserialize, Serialize};

use crate::histogram::Histogram;
use crate::rounds::Slice;

/// The middle, the least and the greatest of several rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) greatest: f64,
}

impl Spread {
    /// Of at least one value; of none it is all zero.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(0.0);
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { at(middle) } else { f64::midpoint(at(middle.saturating_sub(1)), at(middle)) };
        Self { median, least: at(0), greatest: at(values.len().saturating_sub(1)) }
    }
}

/// What the ratio of a case is made of. Greater is always better for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Measure {
    /// The peer's processor time per operation over ours.
    CpuPerOperation,
    /// Our operations per second over the peer's.
    Rate,
    /// The peer's latency that one request in a hundred exceeds, over ours.
    Tail,
}

impl Measure {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CpuPerOperation => "CPU/op",
            Self::Rate => "rate",
            Self::Tail => "p99",
        }
    }
}

/// What a bounded figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Unit {
    MiB,
    Bytes,
    Seconds,
}

impl Unit {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::MiB => "MiB",
            Self::Bytes => "bytes",
            Self::Seconds => "s",
        }
    }
}

/// How one server fared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Server {
    pub(crate) name: String,
    /// Microseconds of processor time per operation.
    pub(crate) cost: Spread,
    /// Operations per second until the last answer.
    pub(crate) rate: Spread,
    /// Operations per second until all that was put off was done too.
    pub(crate) settled_rate: Spread,
    /// Microseconds, over all rounds; none where the load does not tell.
    pub(crate) p50: Option<f64>,
    pub(crate) p99: Option<f64>,
    /// Processor time over wall time: below 0.9 or so the server was not what limited the rate.
    pub(crate) busy: f64,
    /// The part of the processor time in user mode.
    pub(crate) user_share: f64,
    /// Lines in its log for each operation: 1 says that none was lost.
    pub(crate) logged: Option<f64>,
    /// Ours against this one, round by round; one for ourselves.
    pub(crate) ratio: Spread,
    /// The other measure's ratio, for the eye.
    pub(crate) other_ratio: Spread,
}

/// What a case found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Finding {
    /// Ours first, then the peer that the target is about, then others.
    Compared { measure: Measure, target: f64, servers: Vec<Server>, notes: Vec<String> },
    /// A figure that must not pass its bound.
    Bounded { unit: Unit, value: f64, bound: f64, notes: Vec<String> },
}

/// One row as it is kept between runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) case: String,
    pub(crate) cores: String,
    pub(crate) date: String,
    pub(crate) revision: String,
    pub(crate) rounds: u32,
    pub(crate) slice_seconds: f64,
    pub(crate) finding: Finding,
}

impl Finding {
    /// `slices[n]` are those of the server `names[n]`, as many for each.
    pub(crate) fn compared(
        measure: Measure,
        target: f64,
        names: Vec<String>,
        slices: Vec<Vec<Slice>>,
        notes: Vec<String>,
    ) -> Self {
        let ours = slices.first().cloned().unwrap_or_default();
        let servers = names.into_iter().zip(&slices).map(|(name, slices)| Server::of(name, measure, &ours, slices));
        Self::Compared { measure, target, servers: servers.collect(), notes }
    }

    pub(crate) fn bounded(unit: Unit, value: f64, bound: f64, notes: Vec<String>) -> Self {
        Self::Bounded { unit, value, bound, notes }
    }

    pub(crate) fn met(&self) -> bool {
        match self {
            Self::Compared { target, servers, .. } => servers.get(1).is_some_and(|peer| peer.ratio.median >= *target),
            Self::Bounded { value, bound, .. } => value <= bound,
        }
    }
}

impl Server {
    fn of(name: String, measure: Measure, ours: &[Slice], slices: &[Slice]) -> Self {
        let mut latency = Histogram::default();
        for slice in slices {
            latency.merge(&slice.latency);
        }
        let microseconds = |share| latency.at(share).map(|time| time.as_secs_f64() * 1e6);
        let paired = |ratio: fn(&Slice, &Slice) -> f64| {
            Spread::of(ours.iter().zip(slices).map(|(ours, theirs)| ratio(ours, theirs)))
        };
        let by_cost = paired(|ours, theirs| theirs.cost() / ours.cost());
        let by_rate = paired(|ours, theirs| ours.rate() / theirs.rate());
        let (ratio, other_ratio) = match measure {
            Measure::CpuPerOperation => (by_cost, by_rate),
            Measure::Rate => (by_rate, by_cost),
            Measure::Tail => (paired(|ours, theirs| theirs.tail() / ours.tail()), by_cost),
        };
        let share = |of: fn(&Slice) -> f64| Spread::of(slices.iter().map(of)).median;
        Self {
            name,
            cost: Spread::of(slices.iter().map(Slice::cost)),
            rate: Spread::of(slices.iter().map(Slice::rate)),
            settled_rate: Spread::of(
                slices.iter().map(|slice| slice.operations as f64 / slice.settled.as_secs_f64().max(1e-9)),
            ),
            p50: microseconds(0.5),
            p99: microseconds(0.99),
            busy: share(|slice| slice.spent.total.as_secs_f64() / slice.wall.as_secs_f64().max(1e-9)),
            user_share: share(|slice| slice.spent.user_share),
            logged: slices
                .first()
                .and_then(|slice| slice.logged)
                .map(|_| Spread::of(slices.iter().filter_map(|slice| slice.logged)).median),
            ratio,
            other_ratio,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_the_median() {
        let check = |values: &[f64], median, least, greatest| {
            assert_eq!(Spread::of(values.iter().copied()), Spread { median, least, greatest });
        };
        check(&[], 0.0, 0.0, 0.0);
        check(&[3.0], 3.0, 3.0, 3.0);
        check(&[3.0, 1.0, 2.0], 2.0, 1.0, 3.0);
        check(&[4.0, 1.0, 2.0, 3.0], 2.5, 1.0, 4.0);
    }

    #[test]
    fn a_bound_is_met_at_itself() {
        let met = |value| Finding::bounded(Unit::MiB, value, 24.0, Vec::new()).met();
        assert!(met(24.0) && !met(24.1));
    }
}
