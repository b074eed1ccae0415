//! What `top` shows of one moment: lines made from two pictures of the server. No terminal, no clock.

use serde::Serialize;
use sportello_service::picture::{ChannelView, Picture, ThreadView};
use sportello_wire::resp::client::Value;

use crate::cli::connections::{self, Sort, cut, narrow};
use crate::cli::paper::{Ink, Style, byte_size, grouped, visible, visible_bytes};

/// What is known of one moment.
#[derive(Debug, Serialize)]
pub struct Moment {
    /// The server.
    pub picture: Picture,
    /// The latest slow requests, the slowest first.
    pub slow: Vec<Slow>,
}

/// One entry of SLOWLOG.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Slow {
    /// When it was answered, seconds since 1970.
    pub at: u64,
    /// Microseconds it took.
    pub took_us: u64,
    /// The client.
    pub peer: String,
    /// The name that the client gave itself.
    pub name: String,
    /// Its words, those of many bytes cut.
    pub words: Vec<String>,
}

impl Slow {
    /// From the answer to SLOWLOG GET; what has another shape is left out.
    pub fn read(answer: Value) -> Vec<Self> {
        let Value::Array(entries) = answer else { return Vec::new() };
        let mut slow: Vec<Self> = entries.into_iter().filter_map(Self::entry).collect();
        slow.sort_by_key(|one| std::cmp::Reverse(one.took_us));
        slow
    }

    fn entry(entry: Value) -> Option<Self> {
        let Value::Array(parts) = entry else { return None };
        let [_, Value::Integer(at), Value::Integer(took), Value::Array(words), peer, name, ..] = parts.as_slice()
        else {
            return None;
        };
        let text = |value: &Value| match value {
            Value::Bulk(bytes) => visible_bytes(bytes),
            _ => String::new(),
        };
        Some(Self {
            at: at.unsigned_abs(),
            took_us: took.unsigned_abs(),
            peer: text(peer),
            name: text(name),
            words: words.iter().map(text).collect(),
        })
    }
}

/// How much room there is.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Lines.
    pub rows: usize,
    /// Characters of a line.
    pub columns: usize,
}

impl Room {
    /// As much as is wanted: there is no terminal to fit.
    pub const ENOUGH: Self = Self { rows: 1_000, columns: 1_000 };
}

/// The most threads and slow requests where the room is scarce.
const THREADS: usize = 12;
const SLOW: usize = 5;

/// All lines, as many as there is room for. Rates are those since `before`.
pub fn lines(now: &Moment, before: Option<&Moment>, room: Room, ink: Ink) -> Vec<String> {
    let picture = &now.picture;
    let past = before.map(|before| &before.picture);
    let seconds = past.map_or(0.0, |past| picture.now_ms.saturating_sub(past.now_ms) as f64 / 1_000.0);
    let mut lines = vec![title(picture, ink), String::new()];
    lines.push(ink.paint(
        Style::Faint,
        format!(
            "{:<12} {:>7} {:>9} {:>10} {:>8} {:>10} {:>10}",
            "channel", "open", "new/s", "requests/s", "failed/s", "in/s", "out/s"
        ),
    ));
    for channel in &picture.channels {
        let past = past.and_then(|past| past.channels.iter().find(|other| other.name == channel.name));
        lines.push(channel_line(channel, past, seconds));
    }
    lines.push(String::new());
    lines.push(ink.paint(
        Style::Faint,
        format!("{:<18} {:>6}  {:<20} {:>11} {:>10}", "thread", "cpu %", "doing", "connections", "requests/s"),
    ));
    let mut threads: Vec<_> = picture
        .threads
        .iter()
        .map(|thread| {
            let past = past.and_then(|past| past.threads.iter().find(|other| other.tid == thread.tid));
            (rate(thread.cpu_ms, past.map(|past| past.cpu_ms), seconds) / 10.0, past, thread)
        })
        .collect();
    // The busiest first; among equals the workers, then as the server lists them.
    threads.sort_by(|one, other| {
        other.0.total_cmp(&one.0).then(other.2.requests.is_some().cmp(&one.2.requests.is_some()))
    });
    threads.truncate(if room.rows < 100 { THREADS } else { usize::MAX });
    lines.extend(threads.into_iter().map(|(share, past, thread)| thread_line(thread, past, share, seconds)));

    let slow = now.slow.iter().take(if room.rows < 100 { SLOW } else { usize::MAX });
    let mut last: Vec<String> = slow.map(slow_line).collect();
    if !last.is_empty() {
        last.insert(0, ink.paint(Style::Faint, format!("{:>10}  {:<21} slow request", "took", "client")));
        last.insert(0, String::new());
    }
    lines.push(String::new());
    lines.push(connections::heading(ink).trim_end().to_owned());
    let left = room.rows.saturating_sub(lines.len() + last.len());
    lines.extend(connection_lines(picture, past, left));
    lines.extend(last);
    lines.truncate(room.rows);
    lines.into_iter().map(|line| fit(line, room.columns, ink)).collect()
}

fn title(picture: &Picture, ink: Ink) -> String {
    let address = picture.address.map_or_else(|| "?".to_owned(), |address| address.to_string());
    let text = format!(
        "Sportello {} on {address} · up {} s · {} resident · {} open · {} messages · programs {} running, {} waiting · q quits",
        visible(&picture.version),
        grouped(picture.uptime_ms / 1_000),
        byte_size(picture.resident_bytes),
        grouped(picture.connections_open),
        grouped(picture.store.messages),
        grouped(picture.programs.running),
        grouped(picture.programs.queued),
    );
    ink.paint(Style::Heading, text)
}

fn channel_line(channel: &ChannelView, past: Option<&ChannelView>, seconds: f64) -> String {
    let of = |figure: fn(&ChannelView) -> u64| rate(figure(channel), past.map(figure), seconds);
    let whole = |value: f64| grouped(value.round() as u64);
    format!(
        "{:<12} {:>7} {:>9} {:>10} {:>8} {:>10} {:>10}",
        cut(&channel.name, 12),
        grouped(channel.open),
        whole(of(|view| view.accepted)),
        whole(of(|view| view.requests)),
        whole(of(|view| view.failures)),
        narrow(of(|view| view.bytes_in).round() as u64),
        narrow(of(|view| view.bytes_out).round() as u64),
    )
}

fn thread_line(thread: &ThreadView, past: Option<&ThreadView>, share: f64, seconds: f64) -> String {
    let held = thread.connections.map(grouped).unwrap_or_default();
    let answered = thread
        .requests
        .map(|requests| grouped(rate(requests, past.and_then(|past| past.requests), seconds).round() as u64));
    format!(
        "{:<18} {share:>6.1}  {:<20} {held:>11} {:>10}",
        cut(&thread.name, 18),
        cut(&thread.doing, 20),
        answered.unwrap_or_default(),
    )
}

/// The connections over which most went since `past`, then the oldest.
fn connection_lines(picture: &Picture, past: Option<&Picture>, most: usize) -> Vec<String> {
    let mut views = picture.connections.clone();
    connections::sort(&mut views, Sort::Id);
    let before = |id: u64| past.and_then(|past| past.connections.iter().find(|view| view.id == id));
    views.sort_by_cached_key(|view| {
        let all = view.bytes_in.saturating_add(view.bytes_out);
        let old = before(view.id).map_or(0, |view| view.bytes_in.saturating_add(view.bytes_out));
        std::cmp::Reverse(all.saturating_sub(old))
    });
    let beyond = picture.connections_open.saturating_sub(views.len().min(most) as u64);
    let shown = if beyond > 0 { most.saturating_sub(1) } else { most };
    let mut lines: Vec<String> =
        views.iter().take(shown).map(|view| connections::row(view).trim_end().to_owned()).collect();
    if beyond > 0 && most > 0 {
        lines.push(format!("and {} more", grouped(picture.connections_open.saturating_sub(lines.len() as u64))));
    }
    lines
}

fn slow_line(slow: &Slow) -> String {
    let name = if slow.name.is_empty() { String::new() } else { format!(" '{}'", slow.name) };
    let took = format!("{:.1} ms", slow.took_us as f64 / 1_000.0);
    format!("{took:>10}  {:<21} {}{name}", cut(&slow.peer, 21), cut(&slow.words.join(" "), 200))
}

/// How much a figure grows in a second; 0 where nothing is known of before.
fn rate(now: u64, before: Option<u64>, seconds: f64) -> f64 {
    match before {
        Some(before) if seconds > 0.0 => now.saturating_sub(before) as f64 / seconds,
        _ => 0.0,
    }
}

/// Cuts a line; one that is painted is cut by the terminal itself.
fn fit(line: String, columns: usize, ink: Ink) -> String {
    if ink == Ink::Colour && line.contains('\x1b') { line } else { line.chars().take(columns).collect() }
}

#[cfg(test)]
mod tests {
    use sportello_service::picture::ConnectionView;

    use super::*;

    fn moment(at: u64, requests: u64, cpu: u64, connections: u64) -> Moment {
        let view =
            |id| ConnectionView { id, doing: "GET /\x1b[2J".into(), bytes_out: id * at, ..ConnectionView::default() };
        Moment {
            picture: Picture {
                now_ms: at,
                channels: vec![ChannelView { name: "web\x1b[2J".into(), requests, ..ChannelView::default() }],
                threads: vec![ThreadView {
                    name: "worker-0".into(),
                    cpu_ms: cpu,
                    requests: Some(requests),
                    ..ThreadView::default()
                }],
                connections: (1..=connections).map(view).collect(),
                connections_open: connections,
                ..Picture::default()
            },
            slow: vec![Slow {
                at: 1,
                took_us: 12_345,
                peer: "127.0.0.1:1".into(),
                name: String::new(),
                words: vec!["nap".into()],
            }],
        }
    }

    #[test]
    fn rates_are_those_between_two_pictures() {
        let (before, now) = (moment(1_000, 100, 50, 1), moment(3_000, 5_100, 1_050, 1));
        let text = lines(&now, Some(&before), Room::ENOUGH, Ink::Plain).join("\n");
        for piece in ["2,500", "  50.0  ", "12.3 ms", "nap", "slow request"] {
            assert!(text.contains(piece), "{piece} in {text}");
        }
        assert!(!text.contains('\x1b'), "{text}");
        // A server that was started anew counts from nothing.
        assert!(!lines(&before, Some(&now), Room::ENOUGH, Ink::Plain).join("\n").contains("2,500"));
    }

    #[test]
    fn it_fits_whatever_the_room() {
        let now = moment(1_000, 1, 1, 1_000);
        for rows in [0, 1, 5, 24, 60] {
            for columns in [1, 40, 200] {
                let lines = lines(&now, None, Room { rows, columns }, Ink::Plain);
                assert!(lines.len() <= rows, "{rows}");
                assert!(lines.iter().all(|line| line.chars().count() <= columns));
            }
        }
        let text = lines(&now, None, Room { rows: 24, columns: 200 }, Ink::Plain).join("\n");
        assert!(text.contains("more") && text.contains("12.3 ms"), "{text}");
    }

    #[test]
    fn slow_requests_are_read_as_the_server_tells_them() {
        let bulk = |text: &str| Value::Bulk(text.as_bytes().to_vec());
        let entry = vec![
            Value::Integer(4),
            Value::Integer(9),
            Value::Integer(7),
            Value::Array(vec![bulk("nap\x1b")]),
            bulk("a:1"),
            bulk(""),
        ];
        let read = Slow::read(Value::Array(vec![Value::Array(entry), Value::Null]));
        assert_eq!(read.len(), 1);
        assert_eq!((read[0].took_us, read[0].words[0].as_str()), (7, "nap\u{fffd}"));
        assert!(Slow::read(Value::Null).is_empty());
    }
}
