//! `/metrics`: the picture as Prometheus reads it (text exposition format 0.0.4).
//!
//! Base units (seconds, bytes), counters that end in `_total`. Its labels are the names of channels, sites, routes, upstreams, threads and
//! protocols, which the configuration bounds: nothing that a client sends becomes one, so that the number of series is bounded too.

mod web;

use std::collections::BTreeMap;
use std::fmt::{Display, Write};

use sportello_store::queue::QueueFigures;

use crate::picture::{ChannelView, Picture};
use crate::web::Answer;

/// The page for one picture.
pub(super) fn answer(picture: &Picture, queued: QueueFigures) -> Answer {
    let mut page = exposition(picture);
    queue(&mut page, queued);
    Answer::bytes(200, "text/plain; version=0.0.4; charset=utf-8", page.text)
}

fn exposition(picture: &Picture) -> Page {
    let mut page = Page::default();
    let version = [("version", picture.version.as_str())];
    page.family("sportello_build_info", Kind::Gauge, "Which version runs.").sample(&version, 1);
    process(&mut page, picture);
    channels(&mut page, picture);
    refusals(&mut page, picture);
    web::tell(&mut page, picture);
    certificates(&mut page, picture);
    threads(&mut page, picture);
    store(&mut page, picture);
    sending(&mut page, picture);
    bans(&mut page, picture);
    programs(&mut page, picture);
    page
}

fn queue(page: &mut Page, figures: QueueFigures) {
    let help = "Entries of the queue by what they do: wait, are being sent, are held by a person.";
    let mut family = page.family("sportello_queue_entries", Kind::Gauge, help);
    for (state, number) in [("waiting", figures.waiting), ("leased", figures.leased), ("held", figures.held)] {
        family.sample(&[("state", state)], number);
    }
    let help = "Entries that were being sent when the run before ended, and were sent again.";
    page.family("sportello_queue_interrupted_total", Kind::Counter, help).sample(&[], figures.interrupted);
}

fn process(page: &mut Page, picture: &Picture) {
    page.family("process_resident_memory_bytes", Kind::Gauge, "Resident memory.").sample(&[], picture.resident_bytes);
    let began_ms = picture.now_ms.saturating_sub(picture.uptime_ms);
    page.family("process_start_time_seconds", Kind::Gauge, "When it began to accept, since 1970.")
        .sample(&[], Seconds::of_ms(began_ms));
    page.family("sportello_uptime_seconds", Kind::Gauge, "For how long it has accepted.")
        .sample(&[], Seconds::of_ms(picture.uptime_ms));
    if let Some(configuration) = &picture.configuration {
        page.family(
            "sportello_configuration_load_seconds",
            Kind::Gauge,
            "When the file in force was loaded, since 1970.",
        )
        .sample(&[], Seconds::of_ms(configuration.loaded_ms));
    }
}

/// A figure of a channel: its name, its kind, its help, and where it is found.
type Figure = (&'static str, Kind, &'static str, fn(&ChannelView) -> u64);

fn channels(page: &mut Page, picture: &Picture) {
    let figures: [Figure; 10] = [
        ("sportello_connections_accepted_total", Kind::Counter, "Connections accepted.", |one| one.accepted),
        ("sportello_connections_refused_total", Kind::Counter, "Connections refused by a limit.", |one| one.refused),
        ("sportello_connections_open", Kind::Gauge, "Connections open now.", |one| one.open),
        ("sportello_tls_handshakes_total", Kind::Counter, "Full TLS handshakes.", |one| one.handshakes),
        ("sportello_tls_resumed_total", Kind::Counter, "TLS handshakes that resumed an earlier one.", |one| {
            one.resumed
        }),
        ("sportello_tls_failed_total", Kind::Counter, "TLS handshakes that failed.", |one| one.unsecured),
        ("sportello_requests_total", Kind::Counter, "HTTP requests, mails and commands answered.", |one| one.requests),
        ("sportello_request_failures_total", Kind::Counter, "Requests answered with an error.", |one| one.failures),
        ("sportello_received_bytes_total", Kind::Counter, "Bytes received from clients.", |one| one.bytes_in),
        ("sportello_sent_bytes_total", Kind::Counter, "Bytes sent to clients.", |one| one.bytes_out),
    ];
    for (name, kind, help, figure) in figures {
        let mut family = page.family(name, kind, help);
        for channel in &picture.channels {
            family.sample(&[("channel", &channel.name), ("protocol", &channel.protocol)], figure(channel));
        }
    }
}

/// What mail channels refused, a series for each reason.
fn refusals(page: &mut Page, picture: &Picture) {
    let help = "What clients of other machines were refused, by reason: too early, too often, too much.";
    let mut family = page.family("sportello_mail_refusals_total", Kind::Counter, help);
    for channel in &picture.channels {
        for refusal in &channel.refusals {
            family.sample(&[("channel", &channel.name), ("reason", &refusal.reason)], refusal.count);
        }
    }
}

/// Each by the first name that it is shown for.
fn certificates(page: &mut Page, picture: &Picture) {
    let help = "When a certificate ends, since 1970, by the first of its names.";
    let mut family = page.family("sportello_certificate_end_seconds", Kind::Gauge, help);
    for certificate in &picture.certificates {
        if let (Some(name), Some(end)) = (certificate.names.first(), certificate.not_after_ms) {
            family.sample(&[("name", name), ("source", &certificate.source)], Seconds::of_ms(end));
        }
    }
    let warned = picture.certificates.iter().filter(|certificate| certificate.warning.is_some()).count();
    let help = "Certificates that expire soon, could not be renewed or cannot be used.";
    page.family("sportello_certificate_warnings", Kind::Gauge, help).sample(&[], warned);
}

/// Threads of one name are told together: a series may stand in the page once.
fn threads(page: &mut Page, picture: &Picture) {
    let mut cpu: BTreeMap<&str, u64> = BTreeMap::new();
    for thread in &picture.threads {
        let sum = cpu.entry(&thread.name).or_default();
        *sum = sum.saturating_add(thread.cpu_ms);
    }
    let mut family = page.family("sportello_thread_cpu_seconds_total", Kind::Counter, "User and system time used.");
    for (name, cpu_ms) in cpu.into_iter().take(MOST_THREADS) {
        family.sample(&[("thread", name)], Seconds::of_ms(cpu_ms));
    }
}

fn store(page: &mut Page, picture: &Picture) {
    let store = &picture.store;
    for (name, kind, help, value) in [
        ("sportello_store_messages", Kind::Gauge, "Messages in all mailboxes.", store.messages),
        ("sportello_store_bytes", Kind::Gauge, "Bytes of their bodies.", store.bytes),
        ("sportello_store_accepted_total", Kind::Counter, "Messages accepted.", store.accepted),
        ("sportello_store_commits_total", Kind::Counter, "Transactions committed.", store.commits),
        ("sportello_store_spooled_total", Kind::Counter, "Bodies that went through the spool.", store.spooled),
        ("sportello_store_memory_bytes", Kind::Gauge, "Bodies that are in memory now.", store.memory_bytes),
        (
            "sportello_store_failed",
            Kind::Gauge,
            "1 when writes are refused until the server is started again.",
            u64::from(store.failed.is_some()),
        ),
    ] {
        page.family(name, kind, help).sample(&[], value);
    }
}

fn sending(page: &mut Page, picture: &Picture) {
    let sent = &picture.sending;
    for (name, help, value) in [
        ("sportello_queue_attempts_total", "Tries at entries of the queue.", sent.attempts),
        ("sportello_queue_unreached_total", "Tries that reached no server.", sent.unreached),
        ("sportello_queue_reports_total", "Reports to senders.", sent.reports),
        ("sportello_queue_unreported_total", "Failures of which nobody could be told.", sent.unreported),
    ] {
        page.family(name, Kind::Counter, help).sample(&[], value);
    }
    let help = "Recipients by what a try came to: taken by another server, to be tried again, given up.";
    let mut family = page.family("sportello_queue_recipients_total", Kind::Counter, help);
    for (outcome, number) in [("delivered", sent.delivered), ("deferred", sent.deferred), ("failed", sent.failed)] {
        family.sample(&[("outcome", outcome)], number);
    }
}

fn bans(page: &mut Page, picture: &Picture) {
    let bans = &picture.bans;
    for (name, kind, help, value) in [
        ("sportello_bans", Kind::Gauge, "Sources that are banned now.", bans.standing),
        ("sportello_bans_total", Kind::Counter, "Bans for wrong passwords.", bans.begun),
        ("sportello_bans_refused_total", Kind::Counter, "Connections of banned sources, closed.", bans.refused),
    ] {
        page.family(name, kind, help).sample(&[], value);
    }
}

fn programs(page: &mut Page, picture: &Picture) {
    let programs = &picture.programs;
    for (name, kind, help, value) in [
        ("sportello_programs_running", Kind::Gauge, "Programs running now.", programs.running),
        ("sportello_programs_queued", Kind::Gauge, "Programs waiting for a permit.", programs.queued),
        ("sportello_programs_finished_total", Kind::Counter, "Programs that have ended.", programs.finished),
    ] {
        page.family(name, kind, help).sample(&[], value);
    }
}

/// The page as it is written.
#[derive(Default)]
struct Page {
    text: String,
}

/// What a family of metrics is.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// It only grows, until the process ends.
    Counter,
    /// It grows and shrinks.
    Gauge,
    /// How many were up to each of some bounds; its samples are parts.
    Histogram,
}

/// One family; its samples follow right behind its head.
struct Family<'a> {
    page: &'a mut Page,
    name: &'static str,
}

impl Page {
    /// Writes the head of a family. The help is ours and needs no escaping.
    fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing to a String does not fail, here and below.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Family { page: self, name }
    }
}

impl Family<'_> {
    fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.part("", labels, value);
    }

    /// A sample of a part of the family, which `suffix` names.
    fn part(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let text = &mut self.page.text;
        text.push_str(self.name);
        text.push_str(suffix);
        for (index, (label, value)) in labels.iter().enumerate() {
            let _ = write!(text, "{}{label}=\"{}\"", if index == 0 { '{' } else { ',' }, escaped(value));
        }
        if !labels.is_empty() {
            text.push('}');
        }
        let _ = writeln!(text, " {value}");
    }
}

/// The three characters that a label's value may not hold as they are.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Milliseconds written as seconds, exactly.
struct Seconds {
    ms: u64,
}

impl Seconds {
    fn of_ms(ms: u64) -> Self {
        Self { ms }
    }
}

impl Display for Seconds {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{:03}", self.ms / 1000, self.ms % 1000)
    }
}

/// The most threads told of; a process of ours has fewer.
const MOST_THREADS: usize = 2000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{BansView, ConnectionView, RefusalView, RequestView, ThreadView};
    use crate::queue::Counted;

    fn picture() -> Picture {
        let thread = |name: &str, cpu_ms| ThreadView { name: name.into(), cpu_ms, ..ThreadView::default() };
        Picture {
            version: "0.1.0".into(),
            now_ms: 5_000,
            uptime_ms: 1_250,
            channels: vec![ChannelView {
                name: "a\"b\\c\nd".into(),
                protocol: "http".into(),
                requests: 7,
                refusals: [("pregreet", 3), ("disk-share", 0)]
                    .map(|(reason, count)| RefusalView { reason: reason.into(), count })
                    .to_vec(),
                ..ChannelView::default()
            }],
            bans: BansView { standing: 1, begun: 2, refused: 3 },
            sending: Counted { deferred: 4, ..Counted::default() },
            threads: vec![thread("worker-0", 1_001), thread("tokio", 10), thread("tokio", 20)],
            connections: vec![ConnectionView { name: "stranger".into(), ..ConnectionView::default() }],
            requests: vec![RequestView { what: "GET /stranger".into(), ..RequestView::default() }],
            ..Picture::default()
        }
    }

    #[test]
    fn figures_are_in_base_units_and_names_are_escaped() {
        let text = exposition(&picture()).text;
        for line in [
            "# TYPE sportello_requests_total counter",
            "sportello_requests_total{channel=\"a\\\"b\\\\c\\nd\",protocol=\"http\"} 7",
            "sportello_mail_refusals_total{channel=\"a\\\"b\\\\c\\nd\",reason=\"pregreet\"} 3",
            "sportello_build_info{version=\"0.1.0\"} 1",
            "process_start_time_seconds 3.750",
            "sportello_uptime_seconds 1.250",
            "sportello_thread_cpu_seconds_total{thread=\"worker-0\"} 1.001",
            "sportello_store_failed 0",
            "sportello_bans 1",
            "sportello_bans_refused_total 3",
            "sportello_queue_recipients_total{outcome=\"deferred\"} 4",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        assert!(!text.contains("stranger"), "nothing that a client says is told");
    }

    #[test]
    fn every_series_stands_once_under_one_head() {
        let text = exposition(&picture()).text;
        let mut series: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| Some(line.rsplit_once(' ')?.0))
            .collect();
        let all = series.len();
        series.sort_unstable();
        series.dedup();
        assert_eq!(series.len(), all);
        assert!(text.contains("{thread=\"tokio\"} 0.030\n"), "two threads of one name are one series");
        for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let (name, kind) = line.split_once(' ').unwrap();
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
            assert_eq!(text.matches(&format!("# HELP {name} ")).count(), 1, "{name}");
        }
    }

    #[test]
    fn threads_are_bounded() {
        let thread = |number: usize| ThreadView { name: format!("t{number:04}"), ..ThreadView::default() };
        for (many, told) in [(MOST_THREADS, MOST_THREADS), (MOST_THREADS + 1, MOST_THREADS)] {
            let picture = Picture { threads: (0..many).map(thread).collect(), ..Picture::default() };
            assert_eq!(exposition(&picture).text.matches("{thread=").count(), told);
        }
    }
}
