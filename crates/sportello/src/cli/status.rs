//! `sportello status`: the picture of the running server, as a table.

use clap::Args;
use sportello_service::picture::{ChannelView, Picture, ThreadView};

use super::conversation::Deadlines;
use super::conversation::resp::Commands;
use super::paper::{Failed, Ink, Paper, Style, byte_size, grouped, visible};
use super::place::Whereabouts;

/// `sportello status`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Status {
    /// Print the whole picture as one line of JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub whereabouts: Whereabouts,
}

const EXAMPLES: &str = "\
Shows each channel with what it has answered, each thread with what it does and the share of a core that it has used since \
the server began, and what is stored. It asks the command channel for STATUS JSON.

Examples:
  sportello status
  sportello status --server 127.0.0.1:7070
  sportello status --json | python3 -m json.tool

Exit codes: 0 shown, 1 no server answers (one sentence on standard error says why), 2 wrong usage.";

/// Runs it.
pub fn run(status: &Status) -> Result<u8, Failed> {
    let way = status.whereabouts.commands()?;
    let picture: Picture = Commands::reach(&way, Deadlines::default())?.json(&["STATUS", "JSON"])?;
    let mut paper = Paper::stdout();
    if status.json {
        paper.json(&picture)?;
    } else {
        let text = table(&picture, paper.ink());
        paper.text(text)?;
    }
    Ok(0)
}

/// The whole table.
fn table(picture: &Picture, ink: Ink) -> String {
    let address = picture.address.map_or_else(|| "?".to_owned(), |address| address.to_string());
    let mut text = format!(
        "{}\n  up {} · {} resident · process {} · state in {}\n\n",
        ink.paint(Style::Heading, format_args!("Sportello {} listens on {address}", visible(&picture.version))),
        duration(picture.uptime_ms),
        byte_size(picture.resident_bytes),
        picture.pid,
        visible(&picture.state),
    );
    if let Some(configuration) = &picture.configuration {
        let ago = duration(picture.now_ms.saturating_sub(configuration.loaded_ms));
        text.truncate(text.trim_end().len());
        let (file, hash) = (visible(&configuration.file), visible(&configuration.hash));
        text += &format!("\n  configuration {file} ({hash}), loaded {ago} ago\n\n");
    }
    text += &heading(ink, "channel         port   open  accepted  refused   requests   failed       in      out");
    picture.channels.iter().for_each(|channel| text += &channel_row(channel, ink));
    text += "\n";
    text += &heading(ink, "thread              load   cpu time  connections   requests  doing");
    picture.threads.iter().for_each(|thread| text += &thread_row(thread, picture.uptime_ms, ink));
    text += "\n";
    text += &totals(picture, ink);
    text
}

fn heading(ink: Ink, text: &str) -> String {
    format!("  {}\n", ink.paint(Style::Faint, text))
}

fn channel_row(channel: &ChannelView, ink: Ink) -> String {
    // The socket in the state folder has none.
    let port = channel.address.map_or_else(|| "-".to_owned(), |address| address.port().to_string());
    let failures = format!("{:>8}", grouped(channel.failures));
    format!(
        "  {} {port:>5} {:>6} {:>9} {:>8} {:>10} {} {:>8} {:>8}\n",
        ink.paint(Style::Channel, format_args!("{:<14}", cut(&channel.name, 14))),
        grouped(channel.open),
        grouped(channel.accepted),
        grouped(channel.refused),
        grouped(channel.requests),
        if channel.failures > 0 { ink.paint(Style::Bad, failures) } else { failures },
        narrow(channel.bytes_in),
        narrow(channel.bytes_out),
    )
}

fn thread_row(thread: &ThreadView, uptime_ms: u64, ink: Ink) -> String {
    let count = |count: Option<u64>| count.map(grouped).unwrap_or_default();
    let share = thread.cpu_ms as f64 * 100.0 / uptime_ms.max(1) as f64;
    let row = format!(
        "  {} {share:>6.1} % {:>8.1} s {:>11} {:>10}  {}",
        ink.paint(Style::Thread, format_args!("{:<15}", cut(&thread.name, 15))),
        thread.cpu_ms as f64 / 1_000.0,
        count(thread.connections),
        count(thread.requests),
        cut(&thread.doing, 30),
    );
    format!("{}\n", row.trim_end())
}

fn totals(picture: &Picture, ink: Ink) -> String {
    let (store, programs) = (&picture.store, &picture.programs);
    let mut text = format!(
        "  mail       {} stored ({}) · {} accepted in {} commits\n",
        count(store.messages, "message"),
        byte_size(store.bytes),
        grouped(store.accepted),
        grouped(store.commits),
    );
    if let Some(reason) = &store.failed {
        text += &format!("             {}\n", ink.paint(Style::Bad, format_args!("refuses mail: {}", visible(reason))));
    }
    text += &refusals(picture);
    let (sent, bans) = (&picture.sending, &picture.bans);
    if sent.attempts > 0 {
        text += &format!(
            "  sending    {} delivered, {} to be tried again, {} given up · {}\n",
            grouped(sent.delivered),
            grouped(sent.deferred),
            grouped(sent.failed),
            count(sent.reports, "report"),
        );
    }
    if bans.begun > 0 {
        text += &format!(
            "  bans       {} now · {} since the start, {} refused\n",
            count(bans.standing, "source"),
            grouped(bans.begun),
            count(bans.refused, "connection"),
        );
    }
    let names = match programs.names.len() {
        0 => "none configured (serve --command NAME=PATH)".to_owned(),
        _ => cut(&programs.names.join(" "), 40),
    };
    text += &format!(
        "  programs   {names} · {} running, {} waiting, {} finished\n",
        grouped(programs.running),
        grouped(programs.queued),
        grouped(programs.finished),
    );
    let requests = picture.channels.iter().fold(0u64, |sum, channel| sum.saturating_add(channel.requests));
    text += &format!(
        "  in all     {} answered · {} open\n",
        count(requests, "request"),
        count(picture.connections_open, "connection")
    );
    text
}

/// What mail channels refused to clients of other machines; nothing where nothing was.
fn refusals(picture: &Picture) -> String {
    let all = picture.channels.iter().flat_map(|channel| &channel.refusals).filter(|refusal| refusal.count > 0);
    let told: Vec<_> = all.map(|one| format!("{} {}", grouped(one.count), cut(&one.reason, 16))).collect();
    if told.is_empty() { String::new() } else { format!("             refused: {}\n", told.join(" · ")) }
}

fn count(number: u64, thing: &str) -> String {
    format!("{} {thing}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// A size within eight columns.
fn narrow(bytes: u64) -> String {
    byte_size(bytes).replace("iB", "")
}

fn cut(text: &str, most: usize) -> String {
    let text = visible(text);
    if text.chars().count() <= most { text } else { text.chars().take(most - 1).chain(['…']).collect() }
}

/// `0.8 s`, `5 min 3 s`, `2 h 4 min`, `3 d 1 h`
fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1_000;
    match seconds {
        0..60 => format!("{:.1} s", milliseconds as f64 / 1_000.0),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", grouped(seconds / 86_400), seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use sportello_service::picture::{BansView, RefusalView};
    use sportello_service::queue::Counted;

    use super::*;

    #[test]
    fn durations_have_two_units() {
        for (milliseconds, text) in
            [(0, "0.0 s"), (59_999, "60.0 s"), (60_000, "1 min 0 s"), (3_600_000, "1 h 0 min"), (90_000_000, "1 d 1 h")]
        {
            assert_eq!(duration(milliseconds), text);
        }
    }

    fn busy() -> Picture {
        Picture {
            version: "0.1.0".into(),
            pid: u32::MAX,
            address: Some([127, 0, 0, 1].into()),
            uptime_ms: 10_000,
            channels: vec![ChannelView {
                name: "a-channel-with-a-long-name\x1b[2J".into(),
                address: Some(([127, 0, 0, 1], 65_535).into()),
                accepted: 1_234_567,
                requests: 12_345_678,
                failures: 1,
                bytes_in: u64::MAX,
                bytes_out: 1_023,
                ..ChannelView::default()
            }],
            threads: vec![ThreadView {
                name: "worker-0".into(),
                cpu_ms: 5_000,
                doing: "running".into(),
                connections: Some(3),
                requests: Some(4),
                ..ThreadView::default()
            }],
            ..Picture::default()
        }
    }

    #[test]
    fn the_table_fits_and_says_what_is() {
        let text = table(&busy(), Ink::Plain);
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        assert!(!text.contains('\x1b'), "{text}");
        for part in ["listens on 127.0.0.1", "65535", "12,345,678", "50.0 %", "0 messages stored", "none configured"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(table(&Picture::default(), Ink::Plain).contains("listens on ?"));
    }

    #[test]
    fn refusals_are_told_where_there_were_any() {
        let view = |(reason, count): (&str, u64)| RefusalView { reason: reason.to_owned(), count };
        let refusals = [("pregreet", 1_000), ("error-rate", 0), ("x\x1b[2J", 1)].map(view).to_vec();
        let channels = vec![ChannelView { refusals, ..ChannelView::default() }];
        let text = table(&Picture { channels, ..Picture::default() }, Ink::Plain);
        assert!(text.contains("  refused: 1,000 pregreet · 1 x") && !text.contains('\x1b'), "{text}");
        assert!(!table(&Picture::default(), Ink::Plain).contains("refused:"));
    }

    #[test]
    fn what_was_sent_and_who_is_banned_are_told_where_there_is_any() {
        let sending = Counted { attempts: 2, delivered: 1, deferred: 1_000, reports: 1, ..Counted::default() };
        let bans = BansView { standing: 2, begun: 3, refused: 1 };
        let text = table(&Picture { sending, bans, ..Picture::default() }, Ink::Plain);
        assert!(text.contains("1 delivered, 1,000 to be tried again, 0 given up · 1 report\n"), "{text}");
        assert!(text.contains("2 sources now · 3 since the start, 1 connection refused\n"), "{text}");
        let nothing = table(&Picture::default(), Ink::Plain);
        assert!(!nothing.contains("sending ") && !nothing.contains("bans "), "{nothing}");
    }

    #[test]
    fn columns_stand_under_their_headings() {
        let text = table(&busy(), Ink::Plain);
        let lines: Vec<&str> = text.lines().collect();
        let end = |line: &str, word: &str| line.find(word).map(|at| line[..at + word.len()].chars().count());
        for (heading, value) in
            [("port", "65535"), ("accepted", "1,234,567"), ("requests", "12,345,678"), ("out", "1023 B")]
        {
            assert_eq!(end(lines[3], heading), end(lines[4], value), "{heading}\n{}\n{}", lines[3], lines[4]);
        }
    }
}
