//! `sportello top`: the server, live.
//!
//! It asks STATUS and SLOWLOG once a second over one connection. On a terminal it draws a screen; without one it prints text, or
//! with `--json` lines, again and again. Bounded by what the server lists: 1,000 connections, the slow log.

mod frame;
mod screen;

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use clap::Args;
use rustix::fs::OFlags;
use sportello_wire::resp::client::Value;
use tokio::net::unix::pipe;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;

use self::frame::{Moment, Room, Slow};
use self::screen::Screen;
use super::conversation::Deadlines;
use super::conversation::resp::Commands;
use super::paper::{Failed, Paper};
use super::place::Whereabouts;

/// `sportello top`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Top {
    /// Seconds from one look to the next.
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub interval: u64,
    /// Look twice, print what was between as text, and end.
    #[arg(long)]
    pub once: bool,
    /// Print one line of JSON at each look: {"picture","slow"}.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub whereabouts: Whereabouts,
}

const EXAMPLES: &str = "\
Shows channels with their rates, threads with the share of a core that each uses, the connections over which most goes, with their \
round-trip time, segments sent again, congestion window and delivery rate, and the requests that took longest. q or Ctrl-C ends it. \
Where standard output is no terminal, it prints text at each look.

Examples:
  sportello top
  sportello top --once
  sportello top --interval 10 --json >> figures.jsonl

Exit codes: 0 ended as asked, 1 no server answers (one sentence on standard error says why), 2 wrong usage.";

/// Runs it.
pub fn run(top: &Top) -> Result<u8, Failed> {
    let deadlines = Deadlines { idle: Duration::from_secs(10), ..Deadlines::default() };
    let mut server = Commands::reach(&top.whereabouts.commands()?, deadlines)?;
    let first = look(&mut server)?;
    // Signals are waited for, so that none ends us before the terminal is as it was.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(watch(top, &mut server, first))
}

fn look(server: &mut Commands) -> Result<Moment, Failed> {
    let picture = server.json(&["STATUS", "JSON"])?;
    let slow = match server.ask(&["SLOWLOG", "GET", "10"])? {
        // An older server keeps none.
        Value::Error(_) => Vec::new(),
        answer => Slow::read(answer),
    };
    Ok(Moment { picture, slow })
}

/// Where it is shown.
enum Show {
    Screen(Screen, pipe::Receiver),
    Text(Paper),
    Json(Paper),
}

impl Show {
    fn open(top: &Top) -> Result<Self, Failed> {
        if top.json {
            return Ok(Self::Json(Paper::stdout()));
        }
        if top.once || !io::stdout().is_terminal() {
            return Ok(Self::Text(Paper::stdout()));
        }
        let terminal = File::options().read(true).write(true).open("/dev/tty")?;
        let screen = Screen::take(terminal)?;
        // Opened once more, so that only reading does not wait; the type is for pipes, of which a terminal has what is needed.
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
        let keys = File::options().read(true).custom_flags(flags).open("/dev/tty")?;
        Ok(Self::Screen(screen, pipe::Receiver::from_file_unchecked(keys)?))
    }

    fn show(&mut self, now: &Moment, before: Option<&Moment>) -> Result<(), Failed> {
        match self {
            Self::Json(paper) => paper.json(now),
            Self::Text(paper) => {
                let lines = frame::lines(now, before, Room::ENOUGH, paper.ink());
                paper.text(lines.join("\n") + "\n\n")
            }
            Self::Screen(screen, _) => {
                let (rows, columns) = screen.size();
                let lines = frame::lines(now, before, Room { rows, columns }, Paper::stdout().ink());
                Ok(screen.draw(&lines)?)
            }
        }
    }

    /// Waits for a key; for ever where there are none. Dropping the future loses none.
    async fn key(&mut self) -> io::Result<u8> {
        let Self::Screen(_, keys) = self else { return std::future::pending().await };
        loop {
            keys.readable().await?;
            let mut key = [0];
            match keys.try_read(&mut key) {
                Ok(1) => return Ok(key[0]),
                // The terminal is gone.
                Ok(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

async fn watch(top: &Top, server: &mut Commands, first: Moment) -> Result<u8, Failed> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut resized = signal(SignalKind::window_change())?;
    let mut ticks = tokio::time::interval(Duration::from_secs(top.interval));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut show = Show::open(top)?;
    let (mut now, mut before): (Moment, Option<Moment>) = (first, None);
    if !top.once {
        show.show(&now, None)?;
    }
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                let next = look(server)?;
                before = Some(std::mem::replace(&mut now, next));
                show.show(&now, before.as_ref())?;
                if top.once {
                    return Ok(0);
                }
            }
            _ = resized.recv() => show.show(&now, before.as_ref())?,
            key = show.key() => {
                if matches!(key?, b'q' | b'Q') {
                    return Ok(0);
                }
            }
            _ = interrupt.recv() => return Ok(0),
            // As a shell tells it.
            _ = terminate.recv() => return Ok(128 + 15),
            _ = hangup.recv() => return Ok(128 + 1),
        }
    }
}
