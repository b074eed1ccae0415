//! The bar that a person sees while a large file comes: name, share, size, rate, what is left.
//!
//! Drawn on a terminal only, at most ten times a second, within 79 columns, and wiped away at the end.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use crate::cli::paper::{Failed, Ink, Paper, Style, byte_size};

/// The bar of one transfer.
pub struct Progress {
    paper: Option<Paper>,
    name: String,
    /// Where this run began, where it is, and where it ends.
    first: u64,
    done: u64,
    total: Option<u64>,
    started: Instant,
    drawn: Option<Instant>,
}

impl Progress {
    /// A bar for `name` on standard error, if that is a terminal. `first` bytes are there already.
    pub fn new(name: &str, first: u64, total: Option<u64>) -> Self {
        let paper = std::io::stderr().is_terminal().then(Paper::stderr);
        let name = shortened(name);
        Self { paper, name, first, done: first, total, started: Instant::now(), drawn: None }
    }

    /// So many bytes more.
    pub fn advance(&mut self, bytes: u64) -> Result<(), Failed> {
        const EVERY: Duration = Duration::from_millis(100);
        self.done = self.done.saturating_add(bytes);
        let small = self.total.unwrap_or(self.done) < Self::LEAST;
        if small || self.drawn.is_some_and(|drawn| drawn.elapsed() < EVERY) {
            return Ok(());
        }
        let Some(paper) = &mut self.paper else { return Ok(()) };
        self.drawn = Some(Instant::now());
        let text = line(&self.name, self.first, self.done, self.total, self.started.elapsed(), paper.ink());
        paper.text(format_args!("\r\x1b[K{text}"))
    }

    /// Wipes the bar away.
    pub fn wipe(&mut self) -> Result<(), Failed> {
        match (&mut self.paper, self.drawn.take()) {
            (Some(paper), Some(_)) => paper.text("\r\x1b[K"),
            _ => Ok(()),
        }
    }

    /// Smaller files come without a bar.
    const LEAST: u64 = 1 << 20;
}

fn line(name: &str, first: u64, done: u64, total: Option<u64>, took: Duration, ink: Ink) -> String {
    const CELLS: u64 = 16;
    let seconds = took.as_secs_f64().max(0.001);
    let rate = (done.saturating_sub(first)) as f64 / seconds;
    let speed = format!("{}/s", byte_size(rate as u64));
    let Some(total) = total.filter(|total| *total > 0) else {
        return format!("{name}  {}  {speed}", byte_size(done));
    };
    let share = |of: u64| (u128::from(done.min(total)) * u128::from(of) / u128::from(total)) as usize;
    let filled = share(CELLS);
    let bar = format!("{}{}", "█".repeat(filled), "░".repeat(CELLS as usize - filled));
    let left = if rate >= 1.0 { clock((total.saturating_sub(done)) as f64 / rate) } else { "-:--".to_owned() };
    let bar = ink.paint(Style::Good, bar);
    format!("{name} {:>3}% {bar} {} of {}  {speed}  {left}", share(100), byte_size(done), byte_size(total))
}

/// `1:05`, `2:03:04`
fn clock(seconds: f64) -> String {
    let seconds = seconds.min(359_999.0) as u64;
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

fn shortened(name: &str) -> String {
    const MOST: usize = 14;
    let name = crate::cli::paper::visible(name);
    if name.chars().count() <= MOST {
        return name;
    }
    let start: String = name.chars().take(MOST - 1).collect();
    format!("{start}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_says_what_is_there() {
        let draw =
            |first, done, total, seconds| line("big.iso", first, done, total, Duration::from_secs(seconds), Ink::Plain);
        let mib = 1 << 20;
        assert_eq!(
            draw(0, 25 * mib, Some(50 * mib), 5),
            "big.iso  50% ████████░░░░░░░░ 25.0 MiB of 50.0 MiB  5.0 MiB/s  0:05"
        );
        assert_eq!(
            draw(25 * mib, 30 * mib, Some(50 * mib), 1),
            "big.iso  60% █████████░░░░░░░ 30.0 MiB of 50.0 MiB  5.0 MiB/s  0:04"
        );
        assert_eq!(draw(0, 3 * mib, None, 3), "big.iso  3.0 MiB  1.0 MiB/s");
        assert_eq!(draw(0, 0, Some(50 * mib), 0), "big.iso   0% ░░░░░░░░░░░░░░░░ 0 B of 50.0 MiB  0 B/s  -:--");
    }

    #[test]
    fn it_fits_a_terminal_whatever_the_figures() {
        let name = shortened(&"x".repeat(300));
        for (done, total) in [(0, 1), (u64::MAX, u64::MAX), (1_023 << 30, 1_024 << 30), (u64::MAX, 1)] {
            let text = line(&name, 0, done, Some(total), Duration::from_nanos(1), Ink::Plain);
            assert!(text.chars().count() <= 79, "{}: {text}", text.chars().count());
        }
        assert_eq!(clock(f64::INFINITY), "99:59:59");
        assert_eq!(clock(65.9), "1:05");
    }
}
