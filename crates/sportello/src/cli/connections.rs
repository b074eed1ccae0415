//! `sportello connections`: the open connections, with what each does and how its TCP fares.

use clap::{Args, ValueEnum};
use sportello_service::picture::ConnectionView;

use super::conversation::Deadlines;
use super::conversation::resp::Commands;
use super::paper::{Failed, Ink, Paper, Style, byte_size, grouped, visible};
use super::place::Whereabouts;

/// `sportello connections`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Connections {
    /// Only those of this channel.
    #[arg(long, value_name = "NAME")]
    pub channel: Option<String>,
    /// What comes first.
    #[arg(long, value_name = "FIGURE", default_value = "id")]
    pub sort: Sort,
    /// The most that are shown.
    #[arg(short = 'n', long, value_name = "COUNT")]
    pub number: Option<usize>,
    /// Print a JSON array on one line.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub whereabouts: Whereabouts,
}

/// By what connections are sorted: the first is the oldest, or the one with the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// The oldest first
    Id,
    /// The one idle for longest
    Idle,
    /// The most requests
    Requests,
    /// The most bytes received
    In,
    /// The most bytes sent
    Out,
    /// The longest round trip
    Rtt,
    /// The most segments sent again
    Retransmits,
}

const EXAMPLES: &str = "\
One line for each connection: its number (for `sportello call CLIENT KILL ID number`), its channel and thread, the client, what it \
does, requests, bytes, age, and what the kernel says of its TCP: round-trip time, segments sent again, congestion window \
(segments), delivery rate (per second). The server lists at most 1,000.

Examples:
  sportello connections
  sportello connections --channel web --sort out -n 10
  sportello connections --json | jq '.[] | select(.tcp.retransmits > 0)'

Exit codes: 0 shown, 1 no server answers (one sentence on standard error says why), 2 wrong usage.";

/// Runs it.
pub fn run(connections: &Connections) -> Result<u8, Failed> {
    let way = connections.whereabouts.commands()?;
    let mut views: Vec<ConnectionView> = Commands::reach(&way, Deadlines::default())?.json(&["CONNECTIONS", "JSON"])?;
    if let Some(channel) = &connections.channel {
        views.retain(|view| view.channel == *channel);
    }
    sort(&mut views, connections.sort);
    views.truncate(connections.number.unwrap_or(usize::MAX));
    let mut paper = Paper::stdout();
    if connections.json {
        paper.json(&views)?;
    } else {
        let mut text = heading(paper.ink());
        views.iter().for_each(|view| text += &row(view));
        paper.text(text)?;
    }
    Ok(0)
}

/// Puts first what was asked for; among equals the oldest.
pub fn sort(views: &mut [ConnectionView], by: Sort) {
    let tcp = |view: &ConnectionView, figure: fn(&sportello_service::picture::TcpView) -> u32| {
        view.tcp.as_ref().map_or(0, |tcp| u64::from(figure(tcp)))
    };
    let most = |view: &ConnectionView| match by {
        Sort::Id => 0,
        Sort::Idle => view.idle_ms,
        Sort::Requests => view.requests,
        Sort::In => view.bytes_in,
        Sort::Out => view.bytes_out,
        Sort::Rtt => tcp(view, |tcp| tcp.rtt_us),
        Sort::Retransmits => tcp(view, |tcp| tcp.retransmits),
    };
    views.sort_by_key(|view| (std::cmp::Reverse(most(view)), view.id));
}

/// The names of the columns.
pub fn heading(ink: Ink) -> String {
    let line = format!(
        "{:>6} {:<9} {:<10} {:<21} {:>8} {:>8} {:>8} {:>6} {:>9} {:>5} {:>4} {:>8}  {}",
        "id", "channel", "thread", "client", "requests", "in", "out", "age", "rtt", "again", "cwnd", "rate", "doing"
    );
    format!("{}\n", ink.paint(Style::Faint, line))
}

/// One connection. What the client chose comes last and is made visible.
pub fn row(view: &ConnectionView) -> String {
    let peer = view.peer.map_or_else(|| "socket".to_owned(), |peer| peer.to_string());
    let (rtt, again, window, rate) = match &view.tcp {
        Some(tcp) => (
            milliseconds(tcp.rtt_us),
            tcp.retransmits.to_string(),
            tcp.congestion_window.to_string(),
            narrow(tcp.delivery_rate),
        ),
        None => Default::default(),
    };
    let tls = view.tls.split(' ').next().filter(|version| !version.is_empty());
    let tls = tls.map(|version| format!(" {}", visible(version))).unwrap_or_default();
    let name = if view.name.is_empty() { String::new() } else { format!(" '{}'", visible(&view.name)) };
    format!(
        "{:>6} {:<9} {:<10} {:<21} {:>8} {:>8} {:>8} {:>6} {rtt:>9} {again:>5} {window:>4} {rate:>8}  {}{tls}{name}\n",
        view.id,
        cut(&view.channel, 9),
        cut(&view.worker, 10),
        peer,
        grouped(view.requests),
        narrow(view.bytes_in),
        narrow(view.bytes_out),
        short(view.age_ms),
        cut(&view.doing, 40),
    )
}

/// `0.04 ms`, `120 ms`
fn milliseconds(micros: u32) -> String {
    let value = f64::from(micros) / 1_000.0;
    if value < 9.995 { format!("{value:.2} ms") } else { format!("{value:.0} ms") }
}

/// A size within eight columns.
pub fn narrow(bytes: u64) -> String {
    byte_size(bytes).replace("iB", "")
}

/// An age within six columns: `12s`, `59m`, `23h`, `400d`.
fn short(milliseconds: u64) -> String {
    let seconds = milliseconds / 1_000;
    match seconds {
        0..100 => format!("{seconds}s"),
        100..6_000 => format!("{}m", seconds / 60),
        6_000..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Text from elsewhere, made visible, within so many columns.
pub fn cut(text: &str, most: usize) -> String {
    let text = visible(text);
    if text.chars().count() <= most { text } else { text.chars().take(most.saturating_sub(1)).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use sportello_service::picture::TcpView;

    use super::*;

    fn view(id: u64, out: u64, retransmits: u32) -> ConnectionView {
        let tcp = TcpView { retransmits, rtt_us: 40, congestion_window: 10, ..TcpView::default() };
        ConnectionView { id, bytes_out: out, tcp: Some(tcp), ..ConnectionView::default() }
    }

    #[test]
    fn what_is_asked_for_comes_first() {
        for (by, expect) in [(Sort::Id, [1, 2, 3]), (Sort::Out, [2, 1, 3]), (Sort::Retransmits, [3, 1, 2])] {
            let mut views = [view(3, 5, 9), view(1, 5, 0), view(2, 7, 0)];
            sort(&mut views, by);
            assert_eq!(views.map(|view| view.id), expect, "{by:?}");
        }
    }

    #[test]
    fn a_row_stands_under_its_headings_and_obeys_nothing() {
        let mut one = view(7, 1_536, 2);
        one.channel = "web".into();
        one.doing = "GET /\x1b[2J".into();
        one.name = "\x07".into();
        let row = row(&one);
        let heading = heading(Ink::Plain);
        let end = |line: &str, word: &str| line.find(word).map(|at| line[..at + word.len()].chars().count());
        for (name, value) in [("out", "1.5 K"), ("rtt", "0.04 ms"), ("again", "    2"), ("cwnd", "  10")] {
            assert_eq!(end(&heading, name), end(&row, value), "{name}\n{heading}{row}");
        }
        assert!(!row.contains(['\x1b', '\x07']) && row.contains("socket"), "{row}");
    }

    #[test]
    fn ages_are_short() {
        for (milliseconds, text) in
            [(0, "0s"), (99_999, "99s"), (100_000, "1m"), (5_999_999, "99m"), (6_000_000, "1h"), (172_800_000, "2d")]
        {
            assert_eq!(short(milliseconds), text);
        }
    }
}
