//! How far an import is: a bar where somebody sees it, else a line now and then.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use crate::cli::get::progress::Progress;
use crate::cli::paper::{Failed, Paper, byte_size, grouped};

/// Told on standard error.
pub struct Pace {
    bar: Option<Progress>,
    total: u64,
    done: u64,
    told: Instant,
}

/// Between two lines.
const EVERY: Duration = Duration::from_secs(10);

impl Pace {
    /// For so many bytes.
    pub fn new(name: &str, total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| Progress::new(name, 0, Some(total)));
        Self { bar, total, done: 0, told: Instant::now() }
    }

    /// So many bytes of the files more were read; so many messages are done.
    pub fn advance(&mut self, bytes: u64, messages: u64) -> Result<(), Failed> {
        self.done = self.done.saturating_add(bytes);
        if let Some(bar) = &mut self.bar {
            return bar.advance(bytes);
        }
        if self.told.elapsed() < EVERY {
            return Ok(());
        }
        self.told = Instant::now();
        Paper::stderr().line(line(self.done, self.total, messages))
    }

    /// Nothing more is told.
    pub fn end(&mut self) -> Result<(), Failed> {
        self.bar.as_mut().map_or(Ok(()), Progress::wipe)
    }
}

fn line(done: u64, total: u64, messages: u64) -> String {
    let share = u128::from(done.min(total)) * 100 / u128::from(total.max(1));
    format!("{share}%: {} of {}, {} messages", byte_size(done), byte_size(total), grouped(messages))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far() {
        assert_eq!(line(512, 1024, 12_345), "50%: 512 B of 1.0 KiB, 12,345 messages");
        assert_eq!(line(9, 0, 0), "0%: 9 B of 0 B, 0 messages");
    }
}
