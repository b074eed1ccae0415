//! What a tour looks like: within 100 columns, the same with colour and without.

use std::time::Duration;

use super::letter::Letter;
use super::naps::Naps;
use super::visit::Visit;
use super::{Facts, ServerFacts, span};
use crate::cli::paper::{Ink, Style, grouped, visible};

/// The columns that there are.
const WIDTH: usize = 100;

/// The server, before anything is asked of it.
pub fn server(server: &ServerFacts, ink: Ink) -> String {
    let channels: Vec<String> = server
        .channels
        .iter()
        .map(|(name, port)| format!("{} {port}", ink.paint(Style::Channel, visible(name))))
        .collect();
    let whose = if server.own { "started for this tour" } else { "running already" };
    format!(
        "\n{}\n\n  Sportello {} ({whose}, process {}) listens on {},\n  on its channels {}\n",
        ink.paint(Style::Heading, "What a server is: it listens; a request arrives; it executes it and answers."),
        visible(&server.version),
        server.pid,
        ink.paint(Style::Heading, visible(&server.address)),
        channels.join(", "),
    )
}

fn section(ink: Ink, number: u8, title: &str, lesson: [&str; 2]) -> String {
    let mut text = format!("\n{}\n", ink.paint(Style::Heading, format_args!("{number} · {title}")));
    for line in lesson {
        text += &format!("  {}\n", ink.paint(Style::Faint, line));
    }
    text + "\n"
}

/// The three requests.
pub fn visits(visits: &[Visit], ink: Ink) -> String {
    let mut text = section(
        ink,
        1,
        "Three requests at the same moment, on one address",
        [
            "Each channel is a TCP port with a protocol of its own. Whoever connects is held by one thread of",
            "the server, which reads the request, has it executed, and writes the answer: whole and in order.",
        ],
    );
    for visit in visits {
        let before = |ink: Ink| {
            format!(
                "  client {} → port {} {} → {} → answer ",
                ink.paint(Style::Client, visit.client),
                visit.port,
                ink.paint(Style::Channel, &visit.channel),
                ink.paint(Style::Thread, &visit.thread),
            )
        };
        let room = WIDTH.saturating_sub(before(Ink::Plain).chars().count() + 2).max(8);
        let answer = ink.paint(Style::Good, format_args!("`{}`", short(&visit.answer, room)));
        text += &format!("{}{answer}\n", before(ink));
        let way = match &visit.tcp {
            None => "nothing is known of the way".to_owned(),
            Some(tcp) => format!(
                "TCP: round trip {} (best {}), {} resent, {} bytes in, {} out",
                span(Duration::from_micros(tcp.rtt_us.into())),
                span(Duration::from_micros(tcp.min_rtt_us.into())),
                grouped(tcp.retransmits.into()),
                grouped(tcp.bytes_received),
                grouped(tcp.bytes_sent),
            ),
        };
        let took = span(Duration::from_secs_f64(visit.milliseconds.max(0.0) / 1_000.0));
        let line = format!("    {} after {took} · {way}", visit.asked);
        text += &format!("{}\n", ink.paint(Style::Faint, line));
    }
    text
}

/// The eight programs.
pub fn naps(naps: &Naps, ink: Ink) -> String {
    let mut text = section(
        ink,
        2,
        "Eight programs of one second, at once",
        [
            "While one request is carried out the server goes on listening and begins the next: what takes one",
            "client a second takes eight clients together about a second, not eight.",
        ],
    );
    match naps {
        Naps::Skipped { skipped } => {
            text += &format!("  {}\n", ink.paint(Style::Faint, format_args!("not shown: {skipped}")))
        }
        Naps::Ran { spans, seconds } => {
            for (begin, end) in spans {
                let bar = ink.paint(Style::Thread, bar(*begin, *end, *seconds));
                text += &format!("  nap 1  {bar}  {begin:.2} → {end:.2} s\n");
            }
            let sum: f64 = spans.iter().map(|(begin, end)| end - begin).sum();
            let total = ink.paint(Style::Good, format_args!("{seconds:.2} s"));
            text += &format!("  together {total}; one after the other it would have been {sum:.2} s\n");
        }
    }
    text
}

fn bar(begin: f64, end: f64, whole: f64) -> String {
    const CELLS: usize = 60;
    let cell = |at: f64| ((at / whole.max(0.001) * CELLS as f64).round().clamp(0.0, CELLS as f64)) as usize;
    let (begin, end) = (cell(begin).min(CELLS - 1), cell(end));
    let filled = end.saturating_sub(begin).max(1);
    format!("{}{}{}", "·".repeat(begin), "━".repeat(filled), "·".repeat(CELLS - begin - filled))
}

/// The mail.
pub fn letter(letter: &Letter, ink: Ink) -> String {
    let mut text = section(
        ink,
        3,
        "The mail, read back from what was stored",
        [
            "An answer is a promise: when the mail server says 250, the message is on the disk, whole, and",
            "stays there through a power cut. The 250 named it, and by that name it is read again.",
        ],
    );
    text += &format!(
        "  {} bytes sent → stored as {} → {} bytes read = {} put before by the server + {} as sent\n",
        grouped(letter.sent),
        ink.paint(Style::Good, visible(&letter.id)),
        grouped(letter.stored),
        grouped(letter.added),
        grouped(letter.stored.saturating_sub(letter.added)),
    );
    if !letter.trace.is_empty() {
        text += &format!("  {}\n", ink.paint(Style::Faint, short(&letter.trace, WIDTH - 4)));
    }
    text
}

/// The verdict.
pub fn end(facts: &Facts, stopped: Option<Duration>, ink: Ink) -> String {
    let mut text = "\n".to_owned();
    for sentence in &facts.untrue {
        text += &format!("  {} {}\n", ink.paint(Style::Bad, "✗ not so:"), visible(sentence));
    }
    if facts.ok {
        text += &format!("  {} everything shown above was checked and is so\n", ink.paint(Style::Good, "✓"));
    }
    match stopped {
        Some(took) => text += &format!("  the server was told to stop and had finished after {}\n", span(took)),
        None => text += "  the server goes on running, and the letter stays in its inbox\n",
    }
    text
}

fn short(text: &str, most: usize) -> String {
    let text = visible(text);
    if text.chars().count() <= most { text } else { text.chars().take(most - 1).chain(['…']).collect() }
}
