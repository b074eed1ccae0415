//! The bytes of requests: the connection's small buffer, and memory of its own for a request that does not fit there.

use sportello_net::{Buffer, Connection, Ended};

/// Bytes that were read and not yet consumed. Bounded by the parser, which refuses a request before it grows beyond its limit.
#[derive(Default)]
pub(super) struct Input {
    buffer: Buffer,
    /// In use as long as it is not empty; then `buffer` is.
    large: Vec<u8>,
    /// How many bytes of `large` were consumed.
    start: usize,
}

impl Input {
    /// What was read and not consumed.
    pub(super) fn filled(&self) -> &[u8] {
        if self.large.is_empty() { self.buffer.filled() } else { self.large.get(self.start..).unwrap_or_default() }
    }

    /// Marks the first bytes as consumed.
    pub(super) fn consume(&mut self, count: usize) {
        if self.large.is_empty() {
            return self.buffer.consume(count);
        }
        self.start = self.start.saturating_add(count);
        if self.start >= self.large.len() {
            self.large = Vec::new();
            self.start = 0;
        }
    }

    /// Reads until at least `needed` bytes are there; `false`: the peer closed its side before.
    pub(super) async fn fill(&mut self, connection: &mut Connection, needed: usize) -> Result<bool, Ended> {
        while self.filled().len() < needed {
            if self.large.is_empty() && self.buffer.is_full() {
                self.overflow();
            }
            let count = if self.filled().is_empty() {
                connection.idle(&mut self.buffer).await?
            } else {
                connection.read(&mut self.buffer).await?
            };
            if count == 0 {
                return Ok(false);
            }
            if !self.large.is_empty() {
                self.overflow();
            }
        }
        Ok(true)
    }

    /// Moves the buffer's bytes behind those of `large`, of which only what is not consumed stays.
    fn overflow(&mut self) {
        self.large.drain(..self.start);
        self.start = 0;
        let bytes = self.buffer.filled();
        self.large.extend_from_slice(bytes);
        self.buffer.consume(usize::MAX);
    }
}
