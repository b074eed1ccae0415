//! How long the answer of one stream waits for its client to take it.
//!
//! Only the waits for a window count, not what a service takes. Bounded by the channel's deadlines: so long for each step; and what is
//! left for all steps is renewed by the bytes that are taken, at the least rate, which all streams of a connection share. So it helps
//! nobody to open a window by one byte now and then.

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use h2::SendStream;
use sportello_net::Deadlines;
use tokio::time::{Instant, timeout};

use super::STREAMS_MOST;
use super::answer::Cut;

/// The patience with one stream.
pub(super) struct Window {
    step: Duration,
    /// What is left for all steps, and what it is at most.
    left: Duration,
    most: Duration,
    /// What a byte that is taken adds to it.
    for_byte: Duration,
}

impl Window {
    pub(super) fn new(deadlines: &Deadlines) -> Self {
        let second = Duration::from_secs(1).saturating_mul(STREAMS_MOST);
        let for_byte = second.checked_div(deadlines.minimum_rate).unwrap_or(Duration::MAX);
        let most = deadlines.write.saturating_add(deadlines.rate_grace);
        Self { step: deadlines.write, left: most, most, for_byte }
    }

    /// How much may be sent now of `wanted` bytes: waits until that is something.
    pub(super) async fn room(&mut self, stream: &mut SendStream<Bytes>, wanted: usize) -> Result<usize, Cut> {
        stream.reserve_capacity(wanted);
        if wanted == 0 || stream.capacity() > 0 {
            return Ok(stream.capacity());
        }
        let began = Instant::now();
        let opened = timeout(self.step.min(self.left), poll_fn(|context| stream.poll_capacity(context))).await;
        self.left = self.left.saturating_sub(began.elapsed());
        opened.map_err(|_| Cut::Slow)?.ok_or(Cut::Reset)?.map_err(|_| Cut::Reset)
    }

    /// So many bytes found room.
    pub(super) fn filled(&mut self, bytes: usize) {
        let earned = self.for_byte.saturating_mul(u32::try_from(bytes).unwrap_or(u32::MAX));
        self.left = self.left.saturating_add(earned).min(self.most);
    }
}
